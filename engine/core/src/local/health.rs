//! How good a connection is: numbered pings that the client itself answers, for those who asked for them.
//!
//! A WebSocket's own ping is answered by whatever holds the socket, often not the program behind it. These are messages,
//! so the answer says that the program is alive, and the time between them is what its user feels. It is measured by this
//! server's clock alone.

use fanfare_protocol::wire::CommandId;
use fanfare_protocol::{Code, Reply};
use smallvec::SmallVec;

use crate::close::Close;
use crate::effect::Effects;
use crate::fact::FactKind;
use crate::id::ConnectionId;
use crate::local::connection::Connection;
use crate::local::shard::Local;
use crate::options::Heartbeat;
use crate::time::Now;
use crate::view::{HealthRow, Quality};

/// Pings whose answers are still taken; older ones count as lost.
const UNANSWERED_MAX: usize = 8;

/// What is known of a connection that asked for it.
#[derive(Debug)]
pub(crate) struct Health {
    /// The last ping's number; 0: there was none yet.
    number: u64,
    /// Pings without an answer: number and when they were sent, oldest first.
    unanswered: SmallVec<[(u64, u64); 1]>,
    next_ms: u64,
    answers: u64,
    /// Round trips, in microseconds: the last, least, greatest, and all together.
    last_us: u64,
    min_us: u64,
    max_us: u64,
    sum_us: u64,
    answered_unix_ms: u64,
    /// The last round trip took too long.
    is_slow: bool,
}

impl Health {
    /// Nothing is sent before [`Local::ping`].
    pub(crate) fn new() -> Self {
        Self {
            number: 0,
            unanswered: SmallVec::new(),
            next_ms: u64::MAX,
            answers: 0,
            last_us: 0,
            min_us: u64::MAX,
            max_us: 0,
            sum_us: 0,
            answered_unix_ms: 0,
            is_slow: false,
        }
    }

    /// When nothing must have come for its end: the grace after the first ping since anything came.
    fn lost_ms(&self, received_ms: u64, grace_ms: u64) -> u64 {
        let since = self.unanswered.iter().map(|(_, sent_us)| sent_us / 1_000).find(|ms| *ms >= received_ms);
        since.map_or(u64::MAX, |since_ms| since_ms + grace_ms)
    }

    /// Takes an answer; the round trip in microseconds. Nothing when no such ping waits for one.
    fn answer(&mut self, now: Now, number: u64) -> Option<u64> {
        let at = self.unanswered.iter().position(|(of, _)| *of == number)?;
        let (_, sent_us) = self.unanswered[at];
        self.unanswered.drain(..=at);
        let us = now.mono_us.saturating_sub(sent_us);
        self.answers += 1;
        self.last_us = us;
        self.min_us = self.min_us.min(us);
        self.max_us = self.max_us.max(us);
        self.sum_us += us;
        self.answered_unix_ms = now.unix_ms;
        Some(us)
    }

    pub(crate) fn row(&self) -> HealthRow {
        let is_known = self.answers > 0;
        let known = |us: u64| is_known.then_some(us);
        HealthRow {
            sequence_number: self.number,
            last_us: known(self.last_us),
            min_us: known(self.min_us),
            mean_us: self.sum_us.checked_div(self.answers),
            max_us: known(self.max_us),
            last_pong_unix_ms: known(self.answered_unix_ms),
        }
    }
}

/// What is due for the health of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    Nothing,
    Ping,
    /// It is lost.
    End,
}

impl Connection {
    /// Its health, once it is measured.
    fn health(&self) -> Option<&Health> {
        self.extra.as_ref()?.health.as_deref().filter(|health| health.number > 0)
    }

    /// When its health must be looked at. Nothing where that is not measured.
    pub(super) fn health_ms(&self, heartbeat: Heartbeat) -> Option<u64> {
        let health = self.health()?;
        Some(health.next_ms.min(health.lost_ms(self.received_ms, heartbeat.grace_ms)))
    }

    /// What is due now. Nothing where its health is not measured.
    pub(super) fn health_due(&self, now_ms: u64, heartbeat: Heartbeat) -> Option<Due> {
        let health = self.health()?;
        Some(if now_ms >= health.lost_ms(self.received_ms, heartbeat.grace_ms) {
            Due::End
        } else if now_ms >= health.next_ms {
            Due::Ping
        } else {
            Due::Nothing
        })
    }
}

impl Local {
    /// Sends the next numbered ping to a connection that asked for them.
    pub(super) fn ping(&mut self, now: Now, id: ConnectionId) {
        let Some(connection) = self.connections.get(id) else { return };
        let interval_ms = self.heartbeat_of(connection).interval_ms;
        let Some(connection) = self.connections.get_mut(id) else { return };
        let Some(health) = connection.extra.as_mut().and_then(|extra| extra.health.as_mut()) else { return };
        health.number += 1;
        if health.unanswered.len() == UNANSWERED_MAX {
            // The first since anything came stays: from it the time of silence counts.
            let keeps_first = health.unanswered[0].1 / 1_000 >= connection.received_ms;
            health.unanswered.remove(usize::from(keeps_first));
        }
        health.unanswered.push((health.number, now.mono_us));
        health.next_ms = now.mono_ms() + interval_ms;
        let sequence_number = health.number;
        self.reply(id, None, &Reply::HeartbeatPing { sequence_number, timestamp_unix_ms: now.unix_ms });
        self.reschedule(now, id);
    }

    /// A numbered ping was answered. False when no such ping waits for it.
    pub(crate) fn ponged(
        &mut self,
        now: Now,
        id: ConnectionId,
        command: Option<&CommandId>,
        sequence_number: u64,
        out: &mut Effects,
    ) -> bool {
        let Some(connection) = self.connections.get_mut(id) else { return false };
        let health = connection.extra.as_mut().and_then(|extra| extra.health.as_mut());
        let Some(health) = health else { return false };
        let Some(round_trip_us) = health.answer(now, sequence_number) else { return false };
        let is_slow = round_trip_us / 1_000 >= self.options.heartbeat.slow_ms;
        let was_slow = std::mem::replace(&mut health.is_slow, is_slow);
        if is_slow && !was_slow {
            self.note_duration(id, FactKind::Slow, round_trip_us / 1_000, out);
        }
        let quality = Quality::of(round_trip_us).name();
        let timestamp_unix_ms = now.unix_ms;
        let health = Reply::Health { sequence_number, round_trip_us, quality, timestamp_unix_ms };
        self.reply(id, command, &health);
        true
    }

    /// Nothing came for too long.
    pub(super) fn time_out(&mut self, now: Now, id: ConnectionId, out: &mut Effects) {
        let reason = "no answer to a heartbeat";
        self.reply(id, None, &Reply::ConnectionTimeout { reason, timestamp_unix_ms: now.unix_ms });
        self.close(now, id, Close::code(Code::HeartbeatTimeout, reason), out);
    }
}
