//! A service's command: checked here as far as it can be, then sent to the home of its room.

use std::collections::VecDeque;
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
use crate::permission::Permission;
use crate::service::{self, Args, Caller, Method, Place, Spec};
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
    let is_asked_for = calling.as_ref().ok().filter(|_| !asked && local.options.hooks.is_some());
    let room = is_asked_for.and_then(|calling| room_of(local, calling));
    if let Some(room) = room.filter(|room| local.asks_outsider(id, room)) {
        let request = Request { id: command, command: Command::Call(call) };
        local.inquire_command(now, id, About::Join(room), request, out);
        return;
    }
    let outcome = calling.and_then(|calling| {
        let patterns = local.connections.get(id).and_then(|connection| connection.patterns.clone());
        let spec = calling.spec;
        let room = route(local, calling, patterns.as_ref(), out)?;
        if spec.steers() {
            local.note(id, FactKind::Commanded, format!("{} {room}", spec.name), out);
        }
        Ok(())
    });
    if let Err(refusal) = outcome {
        let refusal = refusal.of(command);
        if refusal.code == Code::Forbidden {
            local.deny(id, FactKind::CallDenied, call.name.to_string(), &refusal, out);
        } else {
            local.refuse(id, &refusal);
        }
    }
}

/// The room that a command is about, unless it will be refused for it.
fn room_of(local: &Local, calling: &Calling) -> Option<RoomName> {
    let Calling { spec, room, args, caller, .. } = calling;
    places(local, spec, room.clone(), args, caller).ok()?.pop_back()
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
    let args = Args::read_unclean(spec, call.body.as_ref(), &[])?;
    let address = Address { shard: local.shard, connection: id };
    let caller = local.caller(id);
    let is_member = call.room.as_ref().is_some_and(|room| local.is_in(id, room));
    let caller = Caller { is_member, ..caller };
    let origin = command.map_or(Origin::Silent, |command| Origin::Connection(address, command));
    Ok(Calling { spec, room: call.room.clone(), args, caller, origin })
}

/// A command over HTTP.
pub(crate) fn over_http(
    local: &mut Local,
    now: Now,
    calling: Calling,
    patterns: Option<&Arc<[RoomPattern]>>,
    out: &mut Effects,
) {
    let Calling { spec, caller, origin, .. } = &calling;
    if let Some(user) = caller.user.as_ref().filter(|_| !local.options.rates.is_empty())
        && let Err(limited) = local.paced_user(now, user, &caller.role, (spec.name, None), out)
    {
        local.limit_http(origin, limited, out);
        return;
    }
    send(local, calling, patterns, out);
}

/// Sends a command on, or answers its origin why not.
fn send(local: &mut Local, calling: Calling, patterns: Option<&Arc<[RoomPattern]>>, out: &mut Effects) {
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
) -> Result<RoomName, Refusal> {
    let Calling { spec, room, mut args, caller, origin } = calling;
    let mut rooms = places(local, spec, room, &args, &caller)?;
    // The last one is the one that answers. Of rooms in turn those before it are no more than it is; of a list each counts.
    let last = rooms.back().expect("invariant: a command is about one room at least").clone();
    match spec.place {
        Place::Each(..) => {
            rooms.iter().try_for_each(|room| caller.check(&local.options, patterns, spec, room))?;
        }
        _ => caller.check(&local.options, patterns, spec, &last)?,
    }
    args.clean(spec, local.options.type_of(&last).sanitize)?;
    let operates = caller.permissions.has(Permission::Admin) && spec.steers();
    if spec.method != Method::Get && !operates {
        // Of the few commands that have a priority, it is a message's.
        local.options.mode.takes_change(args.whole("priority").unwrap_or(0) as u8)?;
    }
    let room = rooms.pop_front().expect("invariant: just seen");
    let (service, _) = service::find(spec.name).expect("invariant: every command is found");
    let to = local.home_of(&room);
    let called = Called { room, rooms, service, spec, args, caller, origin };
    out.send(to, Mesh::Home(ToHome::Call(Box::new(called))));
    Ok(last)
}

/// The rooms that a command is about, one after the other.
fn places(
    local: &Local,
    spec: &Spec,
    room: Option<RoomName>,
    args: &Args,
    caller: &Caller,
) -> Result<VecDeque<RoomName>, Refusal> {
    let one = match spec.place {
        Place::Room => room.ok_or_else(|| Refusal::invalid(None, Some("room"), "`room` is required"))?,
        Place::Of(kind, field) => {
            let room = RoomName::parse(&format!("{kind}:{}", args.word(field)));
            room.map_err(|error| Refusal::invalid(None, Some(field), error.to_string()))?
        }
        Place::User(field) => RoomName::of_user(args.word(field)),
        Place::Client(field) => RoomName::of_client(args.word(field)),
        Place::All => RoomName::of_all(),
        Place::Own => caller.own_room(args)?,
        Place::InTurn(rooms) => return Ok(rooms(args, caller)?.into()),
        Place::Each(rooms, _) => {
            let mut rooms = rooms(args, caller)?;
            // Those of one shard in a row: it does them at once.
            rooms.sort_by_key(|room| local.home_of(room));
            return Ok(rooms.into());
        }
    };
    Ok([one].into())
}

/// The service has answered a connection.
pub(crate) fn answer(
    local: &mut Local,
    id: ConnectionId,
    command: CommandId,
    outcome: Result<Body, Box<Refusal>>,
    out: &mut Effects,
) {
    match outcome {
        Ok(data) => local.reply(id, Some(&command), &Reply::Done { data: &data }),
        Err(refusal) => {
            let refusal = (*refusal).of(Some(command));
            local.deny_at_home(id, FactKind::CallDenied, &refusal, out);
        }
    }
}
