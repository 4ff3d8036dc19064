//! What time does to connections: tokens that never come or run out, silence, stalls, closes that hang.

use fanfare_protocol::Code;
use fanfare_protocol::ws::{OpCode, encode_frame};

use crate::close::Close;
use crate::effect::Effects;
use crate::id::ConnectionId;
use crate::local::connection::{Connection, State};
use crate::local::flush::STALLED_MS;
use crate::local::health::Due;
use crate::local::pace;
use crate::local::say::dialect_of;
use crate::local::shard::Local;
use crate::options::Heartbeat;
use crate::time::Now;

/// What somebody is told whose token has expired.
const RAN_OUT: &str = "the token ran out; reconnect with a new one";

impl Local {
    /// How a connection is kept alive: as the engine does, or as its dialect wants it.
    pub(super) fn heartbeat_of(&self, connection: &Connection) -> Heartbeat {
        let heartbeat = self.options.heartbeat;
        let Some(dialect) = dialect_of(&self.options, connection.class) else { return heartbeat };
        let pace = dialect.pace();
        Heartbeat {
            interval_ms: pace.interval_ms.unwrap_or(heartbeat.interval_ms),
            grace_ms: pace.grace_ms.unwrap_or(heartbeat.grace_ms),
            idle_ms: pace.idle_ms.unwrap_or(heartbeat.idle_ms),
            ..heartbeat
        }
    }

    pub(super) fn schedule(&mut self, now: Now, id: ConnectionId) {
        let Some(connection) = self.connections.get(id) else { return };
        let at = next_look(connection, self.heartbeat_of(connection)).max(now.mono_ms() + 1);
        self.wheel.insert(id.slot, at);
    }

    pub(crate) fn reschedule(&mut self, now: Now, id: ConnectionId) {
        self.wheel.remove(id.slot);
        self.schedule(now, id);
    }

    /// Looks at every connection whose time has come.
    pub(crate) fn tick(&mut self, now: Now, out: &mut Effects) {
        while let Some(slot) = self.wheel.expired(now.mono_ms()) {
            let id = self.connections.id_of(slot);
            self.schedule(now, id);
            self.look(now, id, out);
        }
        pace::sweep(self, now);
    }

    fn look(&mut self, now: Now, id: ConnectionId, out: &mut Effects) {
        let connection = self.connections.get(id).expect("invariant: the wheel holds living connections");
        let heartbeat = self.heartbeat_of(connection);
        let connection = self.connections.get_mut(id).expect("invariant: just seen");
        let now_ms = now.mono_ms();
        let silent_ms = now_ms.saturating_sub(connection.received_ms);
        let stalled = |progress_ms| now_ms.saturating_sub(progress_ms) >= STALLED_MS;
        match connection.state {
            State::Closing if now_ms >= connection.until_ms => self.release(id, out),
            State::Closing => {}
            State::AwaitingToken if now_ms >= connection.until_ms => {
                let close = Close::code(Code::AuthenticationFailed, "no token came in time");
                self.close(now, id, close, out);
            }
            State::AwaitingToken => {}
            State::Bare if now_ms >= connection.until_ms => {
                self.close(now, id, Close::code(Code::TokenExpired, RAN_OUT), out);
            }
            State::Bare if silent_ms >= heartbeat.idle_ms => {
                self.close(now, id, Close::code(Code::IdleTimeout, "nothing came for too long"), out);
            }
            State::Bare => {}
            State::Admitting | State::Open => {
                let idle_ms = now_ms.saturating_sub(connection.command_ms);
                if now_ms >= connection.until_ms {
                    self.close(now, id, Close::code(Code::TokenExpired, RAN_OUT), out);
                } else if connection.backlog.as_ref().is_some_and(|backlog| stalled(backlog.progress_ms)) {
                    self.close_slow(now, id, out);
                } else if idle_ms >= heartbeat.idle_ms {
                    self.close(now, id, Close::code(Code::IdleTimeout, "no command came for too long"), out);
                } else if let Some(due) = connection.health_due(now_ms, heartbeat) {
                    match due {
                        Due::Nothing => {}
                        Due::Ping => self.ping(now, id),
                        Due::End => self.time_out(now, id, out),
                    }
                } else if connection.pinged && silent_ms >= heartbeat.interval_ms + heartbeat.grace_ms {
                    let close = Close::code(Code::HeartbeatTimeout, "no answer to a ping");
                    self.close(now, id, close, out);
                } else if !connection.pinged && silent_ms >= heartbeat.interval_ms {
                    connection.pinged = true;
                    self.write(id.slot, |bytes| encode_frame(bytes, OpCode::Ping, false, b""));
                    self.reschedule(now, id);
                }
            }
        }
    }
}

/// When a connection must be looked at next, at the latest.
fn next_look(connection: &Connection, heartbeat: Heartbeat) -> u64 {
    match connection.state {
        State::Closing | State::AwaitingToken => connection.until_ms,
        State::Bare => connection.until_ms.min(connection.received_ms.saturating_add(heartbeat.idle_ms)),
        State::Admitting | State::Open => {
            let grace_ms = if connection.pinged { heartbeat.grace_ms } else { 0 };
            let stalled = connection.backlog.as_ref().map_or(u64::MAX, |b| b.progress_ms + STALLED_MS);
            let silent = connection.received_ms + heartbeat.interval_ms + grace_ms;
            let alive = connection.health_ms(heartbeat).unwrap_or(silent);
            let idle = connection.command_ms.saturating_add(heartbeat.idle_ms);
            alive.min(idle).min(connection.until_ms).min(stalled)
        }
    }
}
