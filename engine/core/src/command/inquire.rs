//! A backend was asked about a command or a token, and has answered.

use fanfare_protocol::{Code, Command, Refusal, Request};

use super::{auth, call, go_on, history, join, presence, publish};
use crate::close::Close;
use crate::effect::Effects;
use crate::fact::{FactKind, Label};
use crate::hook::{Changes, Verdict};
use crate::id::ConnectionId;
use crate::identity::Identity;
use crate::local::{Local, Pending, State};
use crate::time::Now;

/// Does what was asked about, or refuses it; then what waited behind it goes on. An answer that comes too late is none.
pub(crate) fn verdict(local: &mut Local, now: Now, number: u64, verdict: Verdict, out: &mut Effects) {
    let Some((id, pending)) = local.answered(number) else { return };
    match verdict {
        Verdict::Allow(_) => {}
        Verdict::Deny(_) => local.stats.inquiries_denied += 1,
        Verdict::Unanswered => local.stats.inquiries_unanswered += 1,
    }
    if local.connections.get(id).is_none_or(|connection| connection.state == State::Closing) {
        return;
    }
    let hooks = local.options.hooks.as_ref().expect("invariant: only asked where there are hooks");
    match (pending, hooks.decide(verdict)) {
        (Pending::Request(request), Ok(changes)) => perform(local, now, id, request, changes, out),
        (Pending::Request(request), Err(why)) => refuse(local, now, id, request, why, out),
        (Pending::Admission(identity), Ok(changes)) => {
            let connection = local.connections.get_mut(id).expect("invariant: just seen");
            connection.state = State::AwaitingToken;
            local.admit(now, id, changed(identity, changes), out);
        }
        (Pending::Admission(_), Err((code, message))) => {
            let (kind, why) = (FactKind::AuthFailed, message.clone().into());
            local.note_code(id, kind, Label::Nothing, code.number(), why, out);
            let close = Close { reason: message.into(), ..Close::code(code, "") };
            local.close(now, id, close, out);
        }
        (Pending::Refresh(command, identity), Ok(changes)) => {
            auth::refresh(local, now, id, command, changed(identity, changes), out);
        }
        (Pending::Refresh(command, _), Err((code, message))) => {
            local.refuse(id, &Refusal::new(code, message).at("token").of(command));
        }
    }
    go_on(local, now, id, out);
}

fn changed(identity: Identity, changes: Changes) -> Identity {
    let Changes { role, rooms, .. } = changes;
    Identity { role: role.unwrap_or(identity.role), rooms: rooms.or(identity.rooms), ..identity }
}

/// What was checked before the question is checked again: a token may have run out meanwhile.
fn perform(
    local: &mut Local,
    now: Now,
    id: ConnectionId,
    request: Request,
    changes: Changes,
    out: &mut Effects,
) {
    let Request { id: command, command: what } = request;
    match what {
        Command::Join(wanted) => join::join(local, now, id, command, wanted, true, out),
        Command::Publish(mut wanted) => {
            changes.rewrite(&mut wanted);
            publish::publish(local, now, id, command, wanted, true, out);
        }
        Command::Presence { room } => presence::presence(local, now, id, command, room, true, out),
        Command::Call(call) => call::call(local, now, id, command, call, true, out),
        Command::History(wanted) => history::history(local, now, id, command, wanted, true, out),
        _ => unreachable!("nothing else is asked about"),
    }
}

fn refuse(
    local: &mut Local,
    now: Now,
    id: ConnectionId,
    request: Request,
    (code, message): (Code, String),
    out: &mut Effects,
) {
    let refusal = Refusal::new(code, message).of(request.id);
    let (kind, subject) = match &request.command {
        // Somebody may need the room, however it was refused.
        Command::Join(join) => return local.deny_join(now, id, join.room.clone(), refusal, out),
        Command::Publish(publish) => (FactKind::PublishDenied, publish::subject(&publish.target)),
        Command::Presence { room } => (FactKind::CallDenied, room.to_string()),
        Command::Call(call) => (FactKind::CallDenied, call.name.to_string()),
        Command::History(history) => (FactKind::HistoryDenied, history.room.to_string()),
        _ => unreachable!("nothing else is asked about"),
    };
    local.note_code(id, kind, subject, refusal.code.number(), refusal.message.clone().into(), out);
    local.refuse(id, &refusal);
}
