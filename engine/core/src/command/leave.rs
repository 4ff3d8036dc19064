//! `leave`: the connection wants no more of a room.

use fanfare_protocol::wire::CommandId;
use fanfare_protocol::{Code, Refusal, Reply, RoomName};

use crate::effect::Effects;
use crate::id::ConnectionId;
use crate::local::Local;

/// What was published before the leave comes before the answer, nothing comes after it.
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
    let Some(number) = number else {
        let message = "`room` is not one this connection has joined".to_owned();
        local.refuse(id, &Refusal { id: command, code: Code::RoomNotFound, message, field: Some("room") });
        return;
    };
    local.leave(id, number, out);
    local.audit(id, "leave", room.to_string(), out);
    local.reply(id, command.as_ref(), &Reply::Left { room: room.as_str() });
}
