//! One client as an application writes it: it remembers how far it has come in each room, comes back there, and
//! believes nothing that it cannot check. What it does is here; what it hears is in `hear`, its end in `rest`.

use std::collections::{BTreeMap, HashMap};

use fanfare_core::{Delivery, Window};
use fanfare_protocol::wire::{Join, Position};
use fanfare_protocol::{Encoding, RoomName};
use serde_json::json;

use crate::acks::reader;
use crate::inbox::Inbox;
use crate::reader::{Reader, Rule};
use crate::session::Session;
use crate::stream::Stream;
use crate::{Acks, Ledger, Tried, World};

/// How far somebody has come in a room.
#[derive(Clone, Debug, Default)]
pub(crate) struct Membership {
    pub(crate) stream: Stream,
    /// The same where messages are acknowledged.
    pub(crate) reader: Reader,
    /// Whether this connection has asked to join, and named the place to go on from.
    pub(crate) asked: bool,
    pub(crate) named: bool,
    /// Whether that was answered.
    pub(crate) joined: bool,
    /// Whether it has asked to leave.
    pub(crate) leaving: bool,
    /// When it was known to be in last, and in which life of the deployment: when it asked to join, or when its connection
    /// broke if the server held it until then.
    pub(crate) seen_ms: u64,
    pub(crate) life: u64,
    pub(crate) asked_ms: u64,
    /// Whether the server remembers it, unless it stays away for too long.
    pub(crate) is_known: bool,
    /// How far its acknowledgements were confirmed when it asked to join.
    pub(crate) confirmed: u64,
}

/// What members of a room go by.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// By the places they know themselves.
    Plain,
    /// The same, and what came meanwhile waits for them.
    Queued,
    /// By what they have acknowledged.
    Acknowledged(Rule),
}

/// The kind of a room.
pub(crate) fn kind(world: &World, room: &str) -> Kind {
    let name = RoomName::parse(room).expect("rooms are named well");
    let room_type = world.options.type_of(&name);
    match room_type.delivery {
        Delivery::AtLeastOnce { ack_wait_ms, max_deliver } => {
            Kind::Acknowledged(Rule { ack_wait_ms, max_deliver })
        }
        Delivery::AtMostOnce if room_type.queue.size > 0 => Kind::Queued,
        Delivery::AtMostOnce => Kind::Plain,
    }
}

/// An acknowledgement that waits for its answer.
#[derive(Clone, Debug)]
pub(crate) struct Acking {
    pub(crate) room: String,
    pub(crate) epoch: String,
    pub(crate) offset: u64,
    /// Whether it must be refused.
    pub(crate) is_wrong: bool,
}

/// Who somebody is and what it reads.
#[derive(Clone, Debug)]
pub struct Who {
    /// The user.
    pub user: String,
    /// The role.
    pub role: &'static str,
    /// The client id that it always takes, if it does.
    pub device: Option<String>,
    /// Whether each device of a user acknowledges for itself.
    pub reads_alone: bool,
    /// Whether there is somebody else with this user's name.
    pub shares: bool,
    /// What its connections read.
    pub encoding: Encoding,
    /// The window, if compressed.
    pub window: Option<Window>,
}

impl Who {
    /// A user of its own that reads JSON.
    pub fn new(user: &str, role: &'static str) -> Self {
        let (user, encoding) = (user.to_owned(), Encoding::Json);
        Self { user, role, device: None, reads_alone: false, shares: false, encoding, window: None }
    }
}

/// A place that somebody has not got, on that connection; there must be a reason.
#[derive(Clone, Debug)]
pub(crate) struct Hole {
    pub(crate) room: String,
    pub(crate) epoch: String,
    pub(crate) offset: u64,
    pub(crate) client: usize,
}

/// See the module's own text.
#[derive(Debug)]
pub struct Person {
    pub(crate) who: Who,
    /// How rooms know it where messages are acknowledged.
    pub(crate) reader: String,
    pub(crate) client: Option<usize>,
    pub(crate) rooms: BTreeMap<String, Membership>,
    pub(crate) inbox: Inbox,
    pub(crate) session: Session,
    /// Publishes and acknowledgements that are unanswered, by command id.
    pub(crate) asked: HashMap<u64, usize>,
    pub(crate) acking: HashMap<u64, Acking>,
    next_id: u64,
    pub(crate) holes: Vec<Hole>,
    /// What notices said would not come.
    pub(crate) dropped: Vec<Hole>,
    /// What notices of any kind said, and when.
    pub(crate) told: Vec<(Hole, u64)>,
    /// What it has met.
    pub tried: Tried,
}

impl Person {
    /// Somebody who is not there yet.
    pub fn new(who: Who) -> Self {
        let device = who.device.as_deref().filter(|_| who.reads_alone);
        Self {
            reader: reader(&who.user, device),
            who,
            client: None,
            rooms: BTreeMap::new(),
            inbox: Inbox::default(),
            session: Session::default(),
            asked: HashMap::new(),
            acking: HashMap::new(),
            next_id: 0,
            holes: Vec::new(),
            dropped: Vec::new(),
            told: Vec::new(),
            tried: Tried::default(),
        }
    }

    /// The connection, while there is one.
    pub fn client(&self) -> Option<usize> {
        self.client
    }

    /// Opens a connection and goes on in every room.
    pub fn come_back(&mut self, world: &mut World, acks: &Acks) {
        if self.client.is_some() {
            return;
        }
        let shard = world.random.below(world.cores.len());
        let resume = self.session.take_up(world);
        let own = RoomName::of_user(&self.who.user);
        let never = self.inbox.life.is_none_or(|life| life != world.life() && !world.is_durable(&own));
        let place = self.inbox.place().filter(|_| world.random.chance(80)).map(position);
        self.inbox.open(place.is_some(), never && !self.who.shares);
        self.inbox.life = Some(world.life());
        let mut rooms = Vec::new();
        if resume.is_some() {
            let names: Vec<String> = self.rooms.keys().cloned().collect();
            for room in names {
                if self.session.leaves_out(world, &room) {
                    self.ask_to_join(world, acks, &room, false);
                } else {
                    let recover = self.ask_to_join(world, acks, &room, true);
                    let room = RoomName::parse(&room).expect("rooms are named well");
                    rooms.push(Join { room, recover, last: None });
                }
            }
        }
        let goes_on = resume.is_some();
        let who = &self.who;
        let client = world.open_with(shard, &who.user, who.role, |opening| {
            (opening.encoding, opening.window) = (who.encoding, who.window);
            opening.client_id = who.device.as_deref().map(Into::into);
            (opening.inbox, opening.resume, opening.rooms) = (place, resume, rooms);
        });
        self.client = Some(client);
        if !goes_on {
            let rooms: Vec<String> = self.rooms.keys().cloned().collect();
            rooms.iter().for_each(|room| self.join(world, acks, room));
        }
    }

    /// Notes that the server holds this connection until now, if it does.
    pub fn is_still_in(&mut self, world: &World) {
        if self.client.is_some_and(|client| world.is_open(client)) {
            let now_ms = world.now.mono_ms();
            self.rooms.values_mut().filter(|of| of.joined).for_each(|of| of.seen_ms = now_ms);
        }
    }

    /// The connection breaks.
    pub fn lose(&mut self, world: &mut World) {
        self.part(world);
        if let Some(client) = self.client.take()
            && !world.clients[client].closed
        {
            world.lose(client);
        }
    }

    /// The connection is given up, which the server does not know.
    pub fn forget(&mut self, world: &World) {
        self.part(world);
        self.session.old.extend(self.client.take());
    }

    fn part(&mut self, world: &World) {
        let Some(client) = self.client else { return };
        self.is_still_in(world);
        let rooms = self.rooms.iter().filter(|(_, of)| of.joined && !of.leaving);
        self.session.part(world, client, rooms.map(|(room, _)| room.clone()).collect());
        self.asked.clear();
        self.acking.clear();
        for membership in self.rooms.values_mut() {
            membership.is_known &= !membership.leaving;
            (membership.asked, membership.joined, membership.leaving) = (false, false, false);
        }
    }

    /// The process has died. `kept` are the readers that its store remembers, by room.
    pub(crate) fn restarted(&mut self, world: &World, is_kept: impl Fn(&str, &str) -> bool) {
        for (room, membership) in &mut self.rooms {
            let name = RoomName::parse(room).expect("rooms are named well");
            // What was given up may not be on disk, and comes again.
            membership.reader.holes.clear();
            membership.is_known &= world.is_durable(&name) && is_kept(room, &self.reader);
        }
    }

    /// Joins a room, from where it had come to if it ever was in it.
    pub fn join(&mut self, world: &mut World, acks: &Acks, room: &str) {
        let Some(client) = self.client else { return };
        if self.rooms.get(room).is_some_and(|of| of.asked) {
            return;
        }
        let mut command = json!({ "type": "join", "id": format!("join {room}"), "room": room });
        if let Some(Position { epoch, offset }) = self.ask_to_join(world, acks, room, true) {
            command["recover"] = json!({ "epoch": &*epoch, "offset": offset });
        }
        world.command(client, &command);
    }

    /// Notes that it asks to join; gives the place to name, if it may be named.
    fn ask_to_join(&mut self, world: &World, acks: &Acks, room: &str, may_name: bool) -> Option<Position> {
        let membership = self.rooms.entry(room.to_owned()).or_default();
        membership.asked = true;
        membership.asked_ms = world.now.mono_ms();
        let epoch = &membership.reader.epoch;
        membership.confirmed = acks.confirmed(&self.reader, room, epoch);
        // Who acknowledges need not remember anything.
        let by_place = may_name && !matches!(kind(world, room), Kind::Acknowledged(_));
        let place = membership.stream.named().filter(|_| by_place).map(position);
        membership.named = place.is_some();
        place
    }

    /// Leaves a room and forgets how far it had come.
    pub fn leave(&mut self, world: &mut World, room: &str) {
        let Some(client) = self.client else { return };
        // Others of this user would not know that the server forgets them too.
        if self.who.shares && !matches!(kind(world, room), Kind::Plain) {
            return;
        }
        // One that is being joined is not left: whose answer is whose could not be told.
        if let Some(membership) = self.rooms.get_mut(room).filter(|of| of.joined && !of.leaving) {
            membership.leaving = true;
            world.command(client, &json!({ "type": "leave", "id": "leave", "room": room }));
        }
    }

    /// Publishes a message of the ledger.
    pub fn publish(&mut self, world: &mut World, ledger: &mut Ledger, number: usize) {
        let Some(client) = self.client else { return };
        ledger.published_on(number, client);
        let message = ledger.message(number);
        let mut command = json!({
            "type": "publish", "id": self.next_id, "event": "said",
            "data": { "number": number, "filler": "x".repeat(number * 37 % 300) },
            "exclude_self": message.exclude.is_some(), "roles": message.roles,
        });
        match message.room.strip_prefix("@user:") {
            Some(user) => command["user"] = json!(user),
            None => command["room"] = json!(message.room),
        }
        if let Some(key) = message.key {
            command["key"] = json!(format!("key-{key}"));
        }
        if message.expires {
            command["ttl"] = json!(1);
        }
        if message.priority > 0 {
            command["priority"] = json!(message.priority);
        }
        if message.receipts {
            command["receipts"] = json!(true);
        }
        if let Some(message_id) = &message.message_id {
            command["message_id"] = json!(message_id);
        }
        self.asked.insert(self.next_id, number);
        self.next_id += 1;
        world.command(client, &command);
    }

    /// Acknowledges something of what it has got, or what it cannot.
    pub fn acknowledge(&mut self, world: &mut World, acks: &mut Acks, room: &str) {
        let Some(client) = self.client else { return };
        let in_it = self.rooms.get(room).filter(|of| of.joined && !of.leaving);
        let Some(Membership { reader, .. }) = in_it.filter(|of| of.reader.top > 0) else { return };
        let random = &mut world.random;
        let offset =
            if random.chance(60) { reader.top } else { random.below(reader.top as usize + 1) as u64 };
        let is_wrong = random.chance(10);
        // No room of a play ever gets that far.
        let is_beyond = is_wrong && random.chance(50);
        let offset = if is_beyond { offset + 1_000_000 } else { offset };
        let id = self.next_id;
        let mut command = json!({ "type": "ack", "room": room, "offset": offset });
        if is_beyond {
            command["epoch"] = json!(reader.epoch);
        } else if is_wrong {
            command["epoch"] = json!("of-another");
        } else if random.chance(50) {
            command["epoch"] = json!(reader.epoch);
        }
        // One that nobody answers counts as well.
        if is_wrong || random.chance(80) {
            let (room, epoch) = (room.to_owned(), reader.epoch.clone());
            self.acking.insert(id, Acking { room, epoch, offset, is_wrong });
            self.next_id += 1;
            command["id"] = json!(id);
        }
        if !is_wrong {
            acks.send(&self.reader, room, &reader.epoch, offset);
        }
        world.command(client, &command);
    }

    /// Asks for a page of history.
    pub fn read_history(&mut self, world: &mut World, room: &str) {
        let Some(client) = self.client else { return };
        let reverse = world.random.chance(50);
        let mut command =
            json!({ "type": "history", "id": "history", "room": room, "limit": 7, "reverse": reverse });
        let stream = self.rooms.get(room).map(|of| &of.stream);
        if let Some(Stream { epoch, place, .. }) = stream.filter(|of| !of.epoch.is_empty()) {
            command["since"] = json!({ "epoch": epoch, "offset": place.saturating_sub(5) });
        }
        world.command(client, &command);
    }
}

fn position((epoch, offset): (&str, u64)) -> Position {
    Position { epoch: epoch.into(), offset }
}
