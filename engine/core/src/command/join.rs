//! `join`: the connection wants to be a member of a room.

use fanfare_protocol::wire::{CommandId, Join};
use fanfare_protocol::{Code, Command, Refusal, Request, RoomName};

use crate::effect::Effects;
use crate::hook::About;
use crate::id::{Address, ConnectionId};
use crate::local::{Connection, Local};
use crate::mesh::{CatchUp, JoinKind, Mesh, ToHome};
use crate::rejoin::Rejoin;
use crate::time::Now;

/// Whether the connection's token and its role allow it to be in a room.
pub(super) fn may_join(local: &Local, connection: &Connection, room: &RoomName) -> bool {
    local.options.may_join(connection.bearer(local.roles.name(connection.role)), room)
}

/// Checks the right to join and asks the room's home, after a backend where one is to be asked. Joining twice is answered
/// with where the room stands, and brings nothing of the past.
pub(crate) fn join(
    local: &mut Local,
    now: Now,
    id: ConnectionId,
    command: Option<CommandId>,
    join: Join,
    asked: bool,
    out: &mut Effects,
) {
    let Join { room, recover, last } = join;
    let connection = local.connections.get(id).expect("invariant: the caller holds it");
    let number = local.rooms.find(&room);
    let member = number.filter(|number| connection.memberships.iter().any(|m| m.room == *number));
    if member.is_some() {
        let from = Address { shard: local.shard, connection: id };
        let rejoin = Rejoin { room, from, command, member: local.member_of(id) };
        let connection = local.connections.get_mut(id).expect("invariant: just seen");
        connection.joins_pending += 1;
        out.send(local.home_of(&rejoin.room), Mesh::Home(ToHome::Rejoin(Box::new(rejoin))));
        return;
    }
    let may = may_join(local, connection, &room);
    let max = local.options.limits.rooms_per_connection;
    let refusal = if !may {
        Some((Code::Forbidden, "the token does not allow to join this `room`".to_owned()))
    } else if connection.rooms_joined() >= max as usize {
        Some((Code::RateLimitExceeded, format!("a connection may be in {max} rooms at a time")))
    } else {
        None
    };
    if let Some((code, message)) = refusal {
        let refusal = Refusal::new(code, message).at("room").of(command);
        local.deny_join(now, id, room, refusal, out);
        return;
    }
    if !asked && local.options.hooks.as_ref().is_some_and(|hooks| hooks.asks_join(&room)) {
        let about = About::Join(room.clone());
        let command = Request { id: command, command: Command::Join(Join { room, recover, last }) };
        local.inquire_command(now, id, about, command, out);
        return;
    }
    let from = Address { shard: local.shard, connection: id };
    let connection = local.connections.get_mut(id).expect("invariant: the caller holds it");
    connection.joins_pending += 1;
    let class = connection.class;
    let to = local.home_of(&room);
    let kind = JoinKind::Command(command);
    let reader = local.reader_of(id, &room);
    let wants_past = recover.is_some() || last.is_some_and(|last| last > 0) || reader.is_some();
    let member = Some(local.member_of(id));
    let role = wants_past.then(|| local.filtered_role(id)).flatten();
    let catch_up = CatchUp { recover, last, reader, member, role, ..CatchUp::default() };
    let catch_up = Some(Box::new(catch_up));
    out.send(to, Mesh::Home(ToHome::Join { room, from, class, owner: 0, catch_up, kind }));
}
