//! `leave`: the connection wants no more of a room.

use fanfare_protocol::wire::CommandId;
use fanfare_protocol::{Reply, RoomName};

use crate::effect::Effects;
use crate::fact::FactKind;
use crate::id::ConnectionId;
use crate::local::Local;

/// What was published before the leave comes before the answer, nothing comes after it. Leaving a room that one is not in
/// is done already, so a client may ask again when an answer got lost.
pub(crate) fn leave(
    local: &mut Local,
    id: ConnectionId,
    command: Option<CommandId>,
    room: &RoomName,
    out: &mut Effects,
) {
    let connection = local.connections.get(id).expect("invariant: the caller holds it");
    let number = local.rooms.find(room);
    let number = number.filter(|number| connection.memberships.iter().any(|m| m.room == *number));
    if let Some(number) = number {
        local.leave(id, number, true, out);
        local.note(id, FactKind::Left, room.clone(), out);
    }
    local.reply(id, command.as_ref(), &Reply::Left { room: room.as_str(), member: number.is_some() });
}
