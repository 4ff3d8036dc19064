//! Commands of connections: one file each. Parsing is done; here it is decided what may be.

mod ack;
mod auth;
pub(crate) mod call;
pub(crate) mod chain;
mod heartbeat;
mod history;
mod inquire;
mod join;
mod leave;
pub(crate) mod presence;
pub(crate) mod publish;

use std::collections::VecDeque;

use fanfare_protocol::wire::CommandId;
use fanfare_protocol::{Code, Command, Refusal, Request};

pub(crate) use auth::token;
pub(crate) use inquire::verdict;

use crate::class::Class;
use crate::close::Close;
use crate::effect::Effects;
use crate::id::ConnectionId;
use crate::local::{Held, Limited, Local, State, dialect_of};
use crate::rate::Rate;
use crate::time::Now;

/// Commands that may wait for an earlier join, or a backend's answer, of the same connection.
const HELD_MAX: usize = 256;

impl Local {
    pub(crate) fn rate(&self) -> Rate {
        let limits = &self.options.limits;
        Rate { per_minute: limits.commands_per_minute, burst: limits.burst }
    }

    /// The rate of a dialect's connections, where it is another.
    #[cold]
    fn own_rate(&self, class: Class) -> Rate {
        let own = dialect_of(&self.options, class).and_then(|dialect| dialect.pace().rate);
        own.map_or_else(|| self.rate(), |(per_minute, burst)| Rate { per_minute, burst })
    }

    /// Counts one command against the connection's rate. False: it was refused.
    fn allowed(&mut self, now: Now, id: ConnectionId, command: Option<&CommandId>) -> bool {
        let Some(connection) = self.connections.get(id) else { return false };
        let rate = match connection.class.dialect() {
            0 => self.rate(),
            _ => self.own_rate(connection.class),
        };
        let connection = self.connections.get_mut(id).expect("invariant: just seen");
        self.stats.commands += 1;
        connection.commands = connection.commands.wrapping_add(1);
        connection.command_ms = now.mono_ms();
        if connection.bucket.take(now.mono_ms(), rate) {
            return true;
        }
        let limited = Limited::of(rate, "commands", connection.bucket.wait_ms(now.mono_ms(), rate));
        self.limit(id, command, &limited);
        false
    }
}

/// A command came, and maybe more that are one message with it.
pub(crate) fn handle(
    local: &mut Local,
    now: Now,
    id: ConnectionId,
    request: Request,
    rest: VecDeque<Request>,
    out: &mut Effects,
) {
    let Some(connection) = local.connections.get(id) else { return };
    match connection.state {
        State::Closing | State::Bare => return,
        State::AwaitingToken => {
            let close =
                Close::code(Code::AuthenticationFailed, "the first message must be `auth` with a token");
            local.close(now, id, close, out);
            return;
        }
        State::Admitting | State::Open => {}
    }
    if let Command::HeartbeatPong { sequence_number } = request.command
        && local.ponged(now, id, request.id.as_ref(), sequence_number, out)
    {
        // There are no more of these than pings: they count as nothing, not as activity either.
        return;
    }
    if !local.allowed(now, id, request.id.as_ref()) || !local.paced(now, id, &request, out) {
        return;
    }
    let connection = local.connections.get_mut(id).expect("invariant: just seen");
    if connection.joins_pending > 0 || connection.state == State::Admitting || connection.is_chained() {
        let held = connection.held.get_or_insert_with(Box::<Held>::default);
        if held.requests.len() >= HELD_MAX {
            let message = format!("more than {HELD_MAX} commands wait for an earlier one to be answered");
            let refusal = Refusal::new(Code::RateLimitExceeded, message).of(request.id);
            local.refuse(id, &refusal);
        } else {
            held.requests.push_back((request, rest));
        }
        return;
    }
    chain::begin(local, now, id, request, rest, out);
}

/// A join or a question was answered: what waited for it may go on.
pub(crate) fn go_on(local: &mut Local, now: Now, id: ConnectionId, out: &mut Effects) {
    while let Some(connection) = local.connections.get_mut(id) {
        if connection.state != State::Open || connection.joins_pending > 0 || connection.is_chained() {
            return;
        }
        let Some(held) = connection.held.as_mut() else { return };
        if let Some(join) = held.rooms.pop_front() {
            join::join(local, now, id, None, join, false, out);
        } else if let Some((request, rest)) = held.requests.pop_front() {
            chain::begin(local, now, id, request, rest, out);
        } else {
            connection.held = None;
        }
    }
}

fn perform(local: &mut Local, now: Now, id: ConnectionId, request: Request, out: &mut Effects) {
    let Request { id: command, command: what } = request;
    match what {
        Command::Join(join) => join::join(local, now, id, command, join, false, out),
        Command::Leave { room } => leave::leave(local, id, command, &room, out),
        Command::Publish(publish) => publish::publish(local, now, id, command, publish, false, out),
        Command::HeartbeatPong { .. } => {
            let message = "`sequence_number` is of no ping that waits for its answer";
            local.refuse(id, &Refusal::invalid(command, Some("sequence_number"), message));
        }
        Command::Heartbeat { data } => {
            heartbeat::heartbeat(local, now, id, command.as_ref(), data.as_ref(), out);
        }
        Command::Ack(ack) => ack::ack(local, id, command, ack, out),
        Command::History(history) => history::history(local, now, id, command, history, false, out),
        Command::Call(call) => call::call(local, now, id, command, call, false, out),
        Command::Presence { room } => presence::presence(local, now, id, command, room, false, out),
        // The shell checks tokens and sends `Input::Token` instead, but for one among other commands of a message.
        Command::Auth { .. } | Command::Refresh { .. } => {
            let message = "a token must come in a message of its own";
            local.refuse(id, &Refusal::invalid(command, Some("type"), message));
        }
    }
}

/// Whether a connection may show a token now.
pub(crate) fn may_show_token(
    local: &mut Local,
    now: Now,
    id: ConnectionId,
    command: Option<&CommandId>,
) -> bool {
    match local.connections.get(id).map(|connection| connection.state) {
        None | Some(State::Closing | State::Bare) => false,
        Some(State::AwaitingToken) => true,
        Some(State::Admitting | State::Open) => local.allowed(now, id, command),
    }
}

/// A command could not be read.
pub(crate) fn malformed(local: &mut Local, now: Now, id: ConnectionId, refusal: Refusal, out: &mut Effects) {
    let Some(connection) = local.connections.get(id) else { return };
    match connection.state {
        State::Closing | State::Bare => {}
        State::AwaitingToken => {
            let close =
                Close::code(Code::AuthenticationFailed, "the first message must be `auth` with a token");
            local.close(now, id, close, out);
        }
        State::Admitting | State::Open => {
            if local.allowed(now, id, refusal.id.as_ref()) {
                local.refuse(id, &refusal);
            }
        }
    }
}
