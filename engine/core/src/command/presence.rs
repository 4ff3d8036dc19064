//! `presence`: who is in a room. The service of that name answers.

use std::collections::VecDeque;

use fanfare_protocol::wire::CommandId;
use fanfare_protocol::{Body, Command, Refusal, Reply, Request, RoomName};

use crate::command::call::{self, Calling};
use crate::effect::Effects;
use crate::fact::FactKind;
use crate::hook::About;
use crate::id::{Address, ConnectionId};
use crate::local::Local;
use crate::mesh::{Called, Mesh, Origin, ToHome};
use crate::room_type::Presence;
use crate::service::{self, Args};
use crate::time::Now;

/// Asks the room's home; where a backend is asked about joins, first that, about who is not in the room.
pub(super) fn presence(
    local: &mut Local,
    now: Now,
    id: ConnectionId,
    command: Option<CommandId>,
    room: RoomName,
    asked: bool,
    out: &mut Effects,
) {
    if !asked && local.asks_outsider(id, &room) {
        let about = About::Join(room.clone());
        let request = Request { id: command, command: Command::Presence { room } };
        local.inquire_command(now, id, about, request, out);
        return;
    }
    let (_, spec) = service::find("presence.list").expect("invariant: there is such a service");
    let origin = Origin::Roster(Address { shard: local.shard, connection: id }, command.clone());
    let caller = local.caller(id);
    let calling = Calling { spec, room: Some(room), args: Args::default(), caller, origin };
    let patterns = local.connections.get(id).and_then(|connection| connection.patterns.clone());
    if let Err(refusal) = call::route(local, calling, patterns.as_ref(), out) {
        local.refuse(id, &refusal.of(command));
    }
}

/// A heartbeat came: every room of the connection that keeps presence hears what it says of the user.
pub(super) fn heard(local: &mut Local, id: ConnectionId, data: Option<&Body>, out: &mut Effects) {
    let connection = local.connections.get(id).expect("invariant: the caller holds it");
    let rooms = connection.memberships.iter().filter_map(|of| local.rooms.get(of.room));
    let rooms: Vec<RoomName> = rooms
        .map(|room| &room.name)
        .filter(|name| !name.is_engine_room() && local.options.type_of(name).presence != Presence::Off)
        .cloned()
        .collect();
    if rooms.is_empty() {
        return;
    }
    let (service, spec) = service::find("presence.set").expect("invariant: there is such a service");
    let caller = local.caller(id);
    let patterns = connection.patterns.as_ref();
    let rooms = rooms.into_iter();
    let rooms = rooms.filter(|room| caller.check(&local.options, patterns, spec, room).is_ok());
    // A heartbeat may say anything; what is no such thing says nothing of the user.
    let said = Args::fitting(spec, data);
    for room in rooms {
        let (to, caller) = (local.home_of(&room), caller.clone());
        let (rooms, mut args) = (VecDeque::new(), said.clone());
        args.clean_each(spec, local.options.type_of(&room).sanitize);
        let called = Called { room, rooms, service, spec, args, caller, origin: Origin::Silent };
        out.send(to, Mesh::Home(ToHome::Call(Box::new(called))));
    }
}

/// The service has answered.
pub(crate) fn answer(
    local: &mut Local,
    id: ConnectionId,
    command: Option<CommandId>,
    outcome: Result<Body, Box<Refusal>>,
    out: &mut Effects,
) {
    match outcome {
        Ok(roster) => {
            let roster = roster_of(&roster);
            let members = Body::Json(roster["members"].to_string().into());
            let (room, count) = (roster["room"].as_str().unwrap_or_default(), roster["count"].as_u64());
            let presence = Reply::Presence { room, count: count.unwrap_or(0), members: &members };
            local.reply(id, command.as_ref(), &presence);
        }
        Err(refusal) => {
            let refusal = (*refusal).of(command);
            local.deny_at_home(id, FactKind::CallDenied, &refusal, out);
        }
    }
}

fn roster_of(answer: &Body) -> serde_json::Value {
    let (Body::Json(bytes) | Body::MessagePack(bytes)) = answer;
    serde_json::from_slice(bytes).expect("invariant: services answer with JSON")
}
