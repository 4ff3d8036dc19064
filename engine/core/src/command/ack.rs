//! `ack`: the member has got everything up to a place.

use fanfare_protocol::wire::{Ack, CommandId};
use fanfare_protocol::{Code, Refusal};

use crate::effect::Effects;
use crate::id::{Address, ConnectionId};
use crate::local::Local;
use crate::mesh::{Acknowledgement, Mesh, ToHome};

/// Checks what can be checked here, and tells the room's home.
pub(crate) fn ack(
    local: &mut Local,
    id: ConnectionId,
    command: Option<CommandId>,
    ack: Ack,
    out: &mut Effects,
) {
    let Ack { room, offset, epoch } = ack;
    let connection = local.connections.get(id).expect("invariant: the caller holds it");
    let number = local.rooms.find(&room);
    let number = number.filter(|number| connection.memberships.iter().any(|of| of.room == *number));
    let member = number.and_then(|number| local.rooms.get(number));
    let refused = match member {
        None => Some((Code::InvalidMessage, "room", "only a member of the `room` can acknowledge")),
        Some(_) if !local.options.type_of(&room).is_acknowledged() => Some((
            Code::InvalidMessage,
            "room",
            "messages of this `room` are not acknowledged: its type delivers at most once",
        )),
        Some(member) if offset > member.offset => {
            Some((Code::InvalidMessage, "offset", "`offset` lies beyond the last message that was delivered"))
        }
        Some(_) => None,
    };
    if let Some((code, field, message)) = refused {
        local.refuse(id, &Refusal::new(code, message).at(field).of(command));
        return;
    }
    let from = Address { shard: local.shard, connection: id };
    let answer = command.map(|command| (connection.class.encoding(), command));
    let to = local.home_of(&room);
    let ack = Acknowledgement { room, from, offset, epoch, answer };
    out.send(to, Mesh::Home(ToHome::Ack(Box::new(ack))));
}
