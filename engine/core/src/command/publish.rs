//! `publish`: a message for a room, or for a target that is a room underneath.

use fanfare_protocol::wire::{CommandId, Position};
use fanfare_protocol::{Code, Command, Publish, Refusal, Reply, Request, RoomName, Target, sanitize};

use crate::effect::Effects;
use crate::fact::FactKind;
use crate::hook::About;
use crate::id::{Address, ConnectionId};
use crate::identity::may_speak_for;
use crate::local::Local;
use crate::mesh::{Mesh, Origin, ToHome, ToLocal};
use crate::options::Options;
use crate::publication::{Placed, Publication};
use crate::room_type::{RoomType, Sanitize};
use crate::time::Now;

/// A connection's command. A backend that is to be asked was, if so told.
pub(crate) fn publish(
    local: &mut Local,
    now: Now,
    id: ConnectionId,
    command: Option<CommandId>,
    mut publish: Box<Publish>,
    asked: bool,
    out: &mut Effects,
) {
    let connection = local.connections.get(id).expect("invariant: the caller holds it");
    let role = local.roles.name(connection.role);
    let room_type = type_of(&local.options, &publish.target);
    if !local.options.may_publish(connection.bearer(role), &publish.target) {
        let message = match publish.target {
            Target::Room(_) => "the token does not allow to publish to this `room`",
            _ => "the token's role may publish to rooms only",
        };
        let refusal = Refusal::new(Code::Forbidden, message).of(command);
        local.deny(id, FactKind::PublishDenied, subject(&publish.target), &refusal, out);
        return;
    }
    if let Err(refusal) = may_speak_for(connection.user_id(), &publish) {
        let refusal = refusal.of(command);
        local.deny(id, FactKind::PublishDenied, subject(&publish.target), &refusal, out);
        return;
    }
    if let Err(refusal) = clean(room_type.sanitize, &mut publish) {
        local.refuse(id, &refusal.of(command));
        return;
    }
    if !asked && local.options.hooks.as_ref().is_some_and(|hooks| hooks.asks_publish(&publish)) {
        let about = About::Publish(publish.clone());
        let request = Request { id: command, command: Command::Publish(publish) };
        local.inquire_command(now, id, about, request, out);
        return;
    }
    let (options, priority) = (&local.options, publish.priority.unwrap_or(0));
    if let Err(refusal) = options.mode.takes_publish(priority, || options.permissions_of(role)) {
        local.refuse(id, &refusal.of(command));
        return;
    }
    let user = connection.user.clone();
    let address = Address { shard: local.shard, connection: id };
    let exclude = publish.exclude_self.then_some(address);
    let origin = command.map_or(Origin::Silent, |command| Origin::Connection(address, command));
    send(local, now, &publish, Some(user), exclude, origin, out);
}

/// An item of an HTTP request, which may publish.
pub(crate) fn over_http(
    local: &mut Local,
    now: Now,
    publish: &mut Publish,
    user: Option<(RoomName, Box<str>)>,
    origin: Origin,
    out: &mut Effects,
) {
    if let Some((user, role)) = user.as_ref().filter(|_| !local.options.rates.is_empty())
        && let Err(limited) = local.paced_publish(now, user, role, publish, out)
    {
        local.limit_http(&origin, limited, out);
        return;
    }
    let room_type = type_of(&local.options, &publish.target);
    match clean(room_type.sanitize, publish) {
        Ok(()) => {
            // An API key has no user of its own.
            let on_behalf = || publish.user_id.as_deref().map(RoomName::of_user);
            let user = user.map(|(user, _)| user).or_else(on_behalf);
            send(local, now, publish, user, None, origin, out);
        }
        Err(refusal) => {
            let refused = ToLocal::Published(origin, Err(Box::new(refusal)));
            out.send(local.shard, Mesh::Local(refused));
        }
    }
}

/// The type that the room underneath a target follows.
fn type_of<'o>(options: &'o Options, target: &Target) -> &'o RoomType {
    match target {
        Target::Room(room) => options.type_of(room),
        Target::User(_) | Target::Users(_) => &options.inbox,
        Target::Role(_) | Target::Client(_) | Target::All => &options.default_type,
    }
}

/// Takes characters out of a message that its room does not want, or refuses it.
fn clean(rule: Sanitize, publish: &mut Publish) -> Result<(), Refusal> {
    match rule {
        Sanitize::Off => {}
        Sanitize::Refuse if sanitize::is_clean(&publish.body) => {}
        Sanitize::Refuse => {
            let message = "`data` must hold no control characters but tab and newline, and none that turn the direction of text";
            return Err(Refusal::invalid(None, Some("data"), message));
        }
        Sanitize::Strip => {
            if let Some(body) = sanitize::strip(&publish.body) {
                publish.body = body;
            }
        }
    }
    Ok(())
}

/// Sends a message to the home of its room; to several users: one each, of which the first is answered.
fn send(
    local: &mut Local,
    now: Now,
    publish: &Publish,
    user: Option<RoomName>,
    exclude: Option<Address>,
    origin: Origin,
    out: &mut Effects,
) {
    let one_id = match (&publish.target, &publish.message_id) {
        // One id for all copies, so that a user with two names sees one message.
        (Target::Users(_), None) => Some(local.random.message_id(now.unix_ms).into()),
        (_, id) => id.clone(),
    };
    let receipts = match &origin {
        Origin::Connection(address, _) if publish.receipts => Some(*address),
        _ => None,
    };
    let mut origin = origin;
    let mut to_room = |room: RoomName| {
        let origin = std::mem::replace(&mut origin, Origin::Silent);
        let mut publication = Publication::new(publish, room, origin, now.mono_us);
        publication.user.clone_from(&user);
        publication.exclude = exclude;
        publication.receipts = receipts;
        publication.message_id.clone_from(&one_id);
        let to = local.home_of(&publication.room);
        out.send(to, Mesh::Home(ToHome::Publish(Box::new(publication))));
    };
    match &publish.target {
        Target::Room(room) => to_room(room.clone()),
        Target::User(user_id) => to_room(RoomName::of_user(user_id)),
        Target::Role(role) => to_room(RoomName::of_role(role)),
        Target::Client(client_id) => to_room(RoomName::of_client(client_id)),
        Target::All => to_room(RoomName::of_all()),
        Target::Users(users) => users.iter().for_each(|user_id| to_room(RoomName::of_user(user_id))),
    }
}

/// The home has given the message its place, or has not.
pub(crate) fn answer(
    local: &mut Local,
    id: ConnectionId,
    command: CommandId,
    outcome: Result<Box<Placed>, Box<Refusal>>,
    out: &mut Effects,
) {
    match outcome {
        Ok(placed) => {
            let Placed { room, epoch, offset, message_id, members } = *placed;
            let position = Position { epoch: epoch.to_string().into(), offset };
            let (room, members) = (room.as_str(), members.map(u64::from));
            let published = Reply::Published { room, position: &position, message_id: &message_id, members };
            local.reply(id, Some(&command), &published);
        }
        Err(refusal) => {
            let refusal = (*refusal).of(Some(command));
            local.deny_at_home(id, FactKind::PublishDenied, &refusal, out);
        }
    }
}

/// What an auditor reads: where it should have gone, not what it said.
pub(super) fn subject(target: &Target) -> String {
    match target {
        Target::Room(room) => room.to_string(),
        Target::User(_) | Target::Users(_) => "user".to_owned(),
        Target::Role(role) => format!("role {role}"),
        Target::Client(_) => "client".to_owned(),
        Target::All => "all".to_owned(),
    }
}
