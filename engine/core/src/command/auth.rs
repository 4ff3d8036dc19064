//! `auth` and `refresh`: a token came by command, and the shell has checked it.

use std::borrow::Cow;

use fanfare_protocol::wire::CommandId;
use fanfare_protocol::{Code, Refusal, Reply};

use crate::close::Close;
use crate::effect::Effects;
use crate::fact::{FactKind, Label};
use crate::id::ConnectionId;
use crate::identity::Identity;
use crate::local::{Local, State};
use crate::time::Now;

/// The first good token admits; a later one of the same user and role prolongs.
pub(crate) fn token(
    local: &mut Local,
    now: Now,
    id: ConnectionId,
    command: Option<CommandId>,
    outcome: Result<Identity, String>,
    out: &mut Effects,
) {
    let Some(connection) = local.connections.get(id) else { return };
    match (connection.state, outcome) {
        (State::Closing | State::Bare, _) => {}
        (State::AwaitingToken, Ok(identity)) => local.ask_to_admit(now, id, identity, out),
        (State::AwaitingToken, Err(message)) => {
            let reason = Cow::Owned(message.clone());
            let refusal = Refusal::new(Code::AuthenticationFailed, message).at("token").of(command);
            let close = Close { error: None, reason, ..Close::code(Code::AuthenticationFailed, "") };
            local.deny(id, FactKind::AuthFailed, Label::Nothing, &refusal, out);
            local.close(now, id, close, out);
        }
        (State::Admitting | State::Open, Err(message)) => {
            let refusal = Refusal::new(Code::AuthenticationFailed, message).at("token").of(command);
            local.refuse(id, &refusal);
        }
        (State::Admitting | State::Open, Ok(identity)) if local.asks_connect() => {
            local.inquire_refresh(now, id, command, identity, out);
        }
        (State::Admitting | State::Open, Ok(identity)) => refresh(local, now, id, command, identity, out),
    }
}

/// A later good token takes the place of the former.
pub(super) fn refresh(
    local: &mut Local,
    now: Now,
    id: ConnectionId,
    command: Option<CommandId>,
    identity: Identity,
    out: &mut Effects,
) {
    let connection = local.connections.get(id).expect("invariant: the caller looked");
    let same_role = *local.roles.name(connection.role) == *identity.role;
    if connection.user_id() != &*identity.user_id || !same_role {
        let message = "`token` must be of the same user and role; reconnect to change them";
        local.refuse(id, &Refusal::new(Code::Forbidden, message).at("token").of(command));
        return;
    }
    let lost: Vec<u32> = connection
        .memberships
        .iter()
        .filter(|membership| {
            let room = local.rooms.get(membership.room).expect("invariant: a room with members is kept");
            !room.name.is_engine_room() && !local.options.reaches(identity.bearer(), &room.name)
        })
        .map(|membership| membership.room)
        .collect();
    for room in lost {
        let name = local.rooms.get(room).expect("invariant: just seen").name.clone();
        local.leave(id, room, true, out);
        local.reply(id, None, &Reply::Left { room: name.as_str(), member: true });
    }
    let connection = local.connections.get_mut(id).expect("invariant: still held");
    connection.key = identity.key;
    connection.until_ms = identity.expires_ms(now);
    connection.patterns = identity.rooms;
    local.note(id, FactKind::Refreshed, Label::Nothing, out);
    local.reschedule(now, id);
    if command.is_some() {
        local.reply(id, command.as_ref(), &Reply::Ok);
    }
}
