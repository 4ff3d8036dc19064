//! A service's command: checked here as far as it can be, then sent to the home of its room.

use std::sync::Arc;

use fanfare_protocol::wire::{Call, CommandId};
use fanfare_protocol::{Body, Code, Command, Refusal, Reply, Request, RoomName};

use crate::RoomPattern;
use crate::effect::Effects;
use crate::fact::FactKind;
use crate::hook::About;
use crate::id::{Address, ConnectionId};
use crate::local::Local;
use crate::mesh::{Called, Mesh, Origin, ToHome, ToLocal};
use crate::service::{self, Args, Caller, Place, Spec};
use crate::time::Now;

/// A command whose arguments keep its rules.
#[derive(Debug)]
pub(crate) struct Calling {
    pub(crate) spec: &'static Spec,
    pub(crate) room: Option<RoomName>,
    pub(crate) args: Args,
    pub(crate) caller: Caller,
    pub(crate) origin: Origin,
}

/// A connection's command. Where a backend is asked about joins, it is asked about callers who are not in the room.
pub(super) fn call(
    local: &mut Local,
    now: Now,
    id: ConnectionId,
    command: Option<CommandId>,
    call: Box<Call>,
    asked: bool,
    out: &mut Effects,
) {
    let calling = read(local, id, command.clone(), &call);
    let room = calling.as_ref().ok().filter(|_| !asked && local.options.hooks.is_some()).and_then(room_of);
    if let Some(room) = room.filter(|room| local.asks_outsider(id, room)) {
        let request = Request { id: command, command: Command::Call(call) };
        local.inquire_command(now, id, About::Join(room), request, out);
        return;
    }
    let outcome = calling.and_then(|calling| {
        let patterns = local.connections.get(id).and_then(|connection| connection.patterns.clone());
        route(local, calling, patterns.as_ref(), out)
    });
    if let Err(refusal) = outcome {
        let refusal = Refusal { id: command, ..refusal };
        if refusal.code == Code::Forbidden {
            local.deny(id, FactKind::CallDenied, call.name.to_string(), &refusal, out);
        } else {
            local.refuse(id, &refusal);
        }
    }
}

/// The room that a command is about, unless it will be refused for it.
fn room_of(calling: &Calling) -> Option<RoomName> {
    let Calling { spec, room, args, caller, .. } = calling;
    place(spec, room.clone(), args, caller).ok()
}

fn read(
    local: &Local,
    id: ConnectionId,
    command: Option<CommandId>,
    call: &Call,
) -> Result<Calling, Refusal> {
    let Some((_, spec)) = service::find(&call.name) else {
        return Err(Refusal::invalid(None, Some("type"), service::unknown(&call.name)));
    };
    let args = Args::read(spec, call.body.as_ref(), &[])?;
    let address = Address { shard: local.shard, connection: id };
    let caller = local.caller(id);
    let origin = command.map_or(Origin::Silent, |command| Origin::Connection(address, command));
    Ok(Calling { spec, room: call.room.clone(), args, caller, origin })
}

/// Sends a command on, or answers its origin why not.
pub(crate) fn send(
    local: &mut Local,
    calling: Calling,
    patterns: Option<&Arc<[RoomPattern]>>,
    out: &mut Effects,
) {
    let origin = calling.origin.clone();
    if let Err(refusal) = route(local, calling, patterns, out) {
        out.send(local.shard, Mesh::Local(ToLocal::Answered(origin, Err(Box::new(refusal)))));
    }
}

pub(super) fn route(
    local: &Local,
    calling: Calling,
    patterns: Option<&Arc<[RoomPattern]>>,
    out: &mut Effects,
) -> Result<(), Refusal> {
    let Calling { spec, room, args, caller, origin } = calling;
    let room = place(spec, room, &args, &caller)?;
    caller.check(&local.options, patterns, spec, &room)?;
    let (service, _) = service::find(spec.name).expect("invariant: every command is found");
    let to = local.home_of(&room);
    let called = Called { room, service, spec, args, caller, origin };
    out.send(to, Mesh::Home(ToHome::Call(Box::new(called))));
    Ok(())
}

/// The room that a command is about.
fn place(spec: &Spec, room: Option<RoomName>, args: &Args, caller: &Caller) -> Result<RoomName, Refusal> {
    match spec.place {
        Place::Room => room.ok_or_else(|| Refusal::invalid(None, Some("room"), "`room` is required")),
        Place::Of(kind, field) => {
            let room = RoomName::parse(&format!("{kind}:{}", args.word(field)));
            room.map_err(|error| Refusal::invalid(None, Some(field), error.to_string()))
        }
        Place::Own => match (&caller.user, args.text("user_id")) {
            (Some(user), None) => Ok(user.clone()),
            (Some(user), Some(user_id)) if caller.user_id() == user_id => Ok(user.clone()),
            (Some(_), Some(user_id)) if caller.permissions.has(crate::Permission::Admin) => {
                Ok(RoomName::of_user(user_id))
            }
            (Some(_), Some(_)) => {
                let message = "`user_id` must be the caller's own, or left out".to_owned();
                Err(Refusal { id: None, code: Code::Forbidden, message, field: Some("user_id") })
            }
            (None, Some(user_id)) => Ok(RoomName::of_user(user_id)),
            (None, None) => {
                let message = "`user_id` is required: a key belongs to no user";
                Err(Refusal::invalid(None, Some("user_id"), message))
            }
        },
    }
}

/// The service has answered a connection.
pub(crate) fn answer(
    local: &mut Local,
    id: ConnectionId,
    command: CommandId,
    outcome: Result<Body, Box<Refusal>>,
) {
    match outcome {
        Ok(data) => local.reply(id, Some(&command), &Reply::Done { data: &data }),
        Err(refusal) => local.refuse(id, &Refusal { id: Some(command), ..*refusal }),
    }
}
