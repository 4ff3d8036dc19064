//! One client as an application writes it: it remembers how far it has come in each room, comes back there, and
//! believes nothing that it cannot check.

use std::collections::{BTreeMap, HashMap};

use fanfare_core::Input;
use fanfare_protocol::RoomName;
use serde_json::{Value, json};

use crate::lasting::KEPT_MS;
use crate::ledger::Published;
use crate::stream::Stream;
use crate::{Ledger, World};

/// How far somebody has come in a room.
#[derive(Clone, Debug, Default)]
struct Membership {
    stream: Stream,
    /// Whether this connection has asked to join.
    asked: bool,
    /// Whether that was answered.
    joined: bool,
    /// Whether it has asked to leave.
    leaving: bool,
    /// When it was known to be in last, and in which life of the deployment: when it asked to join, or when its connection
    /// broke if the server held it until then.
    seen_ms: u64,
    life: u64,
    asked_ms: u64,
}

/// A place that somebody has not got, on that connection; there must be a reason.
#[derive(Clone, Debug)]
struct Hole {
    room: String,
    epoch: String,
    offset: u64,
    client: usize,
}

/// See the module's own text.
#[derive(Debug)]
pub struct Person {
    user: String,
    role: &'static str,
    client: Option<usize>,
    rooms: BTreeMap<String, Membership>,
    /// Publishes that are unanswered, by command id.
    asked: HashMap<u64, usize>,
    next_id: u64,
    holes: Vec<Hole>,
    /// What notices said would not come.
    dropped: Vec<Hole>,
    /// Joins that brought all that was missed.
    pub recovered: u64,
    /// Notices of messages that were dropped.
    pub gaps: u64,
    /// Messages that others with later places overtook.
    pub overtaken: u64,
    /// Messages that came again after a recovery.
    pub repeated: u64,
}

impl Person {
    /// Somebody who is not there yet.
    pub fn new(user: String, role: &'static str) -> Self {
        Self {
            user,
            role,
            client: None,
            rooms: BTreeMap::new(),
            asked: HashMap::new(),
            next_id: 0,
            holes: Vec::new(),
            dropped: Vec::new(),
            recovered: 0,
            gaps: 0,
            overtaken: 0,
            repeated: 0,
        }
    }

    /// The connection, while there is one.
    pub fn client(&self) -> Option<usize> {
        self.client
    }

    /// What messages may be for.
    pub fn role(&self) -> &'static str {
        self.role
    }

    /// Opens a connection and goes on in every room.
    pub fn come_back(&mut self, world: &mut World) {
        if self.client.is_some() {
            return;
        }
        let shard = world.random.below(world.cores.len());
        self.client = Some(world.open(shard, &self.user, self.role, fanfare_protocol::Encoding::Json));
        let rooms: Vec<String> = self.rooms.keys().cloned().collect();
        for room in rooms {
            self.join(world, &room);
        }
    }

    /// Notes that the server holds this connection until now, if it does.
    pub fn is_still_in(&mut self, world: &World) {
        if self.client.is_some_and(|client| world.is_open(client)) {
            let in_rooms = self.rooms.values_mut().filter(|of| of.joined);
            in_rooms.for_each(|of| of.seen_ms = world.now.mono_ms());
        }
    }

    /// The connection breaks.
    pub fn lose(&mut self, world: &mut World) {
        self.is_still_in(world);
        let Some(client) = self.client.take() else { return };
        if !world.clients[client].closed {
            world.lose(client);
        }
        self.asked.clear();
        for membership in self.rooms.values_mut() {
            (membership.asked, membership.joined, membership.leaving) = (false, false, false);
        }
    }

    /// Joins a room, from where it had come to if it ever was in it.
    pub fn join(&mut self, world: &mut World, room: &str) {
        let Some(client) = self.client else { return };
        let mut command = json!({ "type": "join", "id": "join", "room": room });
        let membership = self.rooms.entry(room.to_owned()).or_default();
        if std::mem::replace(&mut membership.asked, true) {
            return;
        }
        membership.asked_ms = world.now.mono_ms();
        let Stream { epoch, place, .. } = &membership.stream;
        if !epoch.is_empty() {
            command["recover"] = json!({ "epoch": epoch, "offset": place });
        }
        world.command(client, &command);
    }

    /// Leaves a room and forgets how far it had come.
    pub fn leave(&mut self, world: &mut World, room: &str) {
        let Some(client) = self.client else { return };
        // One that is being joined is not left: whose answer is whose could not be told.
        if let Some(membership) = self.rooms.get_mut(room).filter(|of| of.joined && !of.leaving) {
            membership.leaving = true;
            world.command(client, &json!({ "type": "leave", "id": "leave", "room": room }));
        }
    }

    /// Publishes a message of the ledger.
    pub fn publish(&mut self, world: &mut World, ledger: &Ledger, number: usize) {
        let Some(client) = self.client else { return };
        let message = ledger.message(number);
        let mut command = json!({
            "type": "publish", "id": self.next_id, "room": message.room, "event": "said",
            "data": { "number": number, "filler": "x".repeat(number * 37 % 300) },
            "exclude_self": message.exclude.is_some(), "roles": message.roles,
        });
        if let Some(key) = message.key {
            command["key"] = json!(format!("key-{key}"));
        }
        if message.expires {
            command["ttl"] = json!(1);
        }
        if message.priority > 0 {
            command["priority"] = json!(message.priority);
        }
        if let Some(message_id) = &message.message_id {
            command["message_id"] = json!(message_id);
        }
        self.asked.insert(self.next_id, number);
        self.next_id += 1;
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

    /// Takes what has arrived.
    ///
    /// # Panics
    /// Something came that must not come.
    pub fn take(&mut self, world: &mut World, ledger: &mut Ledger) {
        let Some(client) = self.client else { return };
        let mut ends = false;
        for message in world.take_messages(client) {
            match message["type"].as_str() {
                Some("said") => self.said(client, &message, ledger),
                Some("joined") => {
                    ledger.hear_of(
                        text(&message, "room"),
                        text(&message, "epoch"),
                        offset(&message, "offset"),
                    );
                    self.joined(world, &message);
                }
                Some("left") => drop(self.rooms.remove(text(&message, "room"))),
                Some("gap") => self.gap(client, &message, ledger),
                Some("published") => {
                    if let Some(number) = message["id"].as_u64().and_then(|id| self.asked.remove(&id)) {
                        ledger.answered(number, text(&message, "epoch"), offset(&message, "offset"));
                    }
                }
                Some("history") => check_page(&message, ledger),
                Some("error") => self.refused(world, ledger, &message),
                Some("welcome") => {}
                None if message == "ping" => {
                    let of = &world.clients[client];
                    world.input(of.shard, Input::Heard(of.id));
                }
                // A close frame's number.
                None if message.is_number() => ends = true,
                _ => panic!("{}: {message}: nobody knows what that is", self.user),
            }
        }
        if ends || world.clients[client].closed {
            self.lose(world);
        }
    }

    /// Something was refused. A publish may only be where the store fails or has too much to do, or when too many
    /// commands wait; it can be tried again.
    fn refused(&mut self, world: &World, ledger: &Ledger, message: &Value) {
        let Some(number) = message["id"].as_u64().and_then(|id| self.asked.remove(&id)) else { return };
        let published = ledger.message(number);
        let room = RoomName::restore(&published.room).expect("rooms are named well");
        let may = message["code"] == 4004 || message["code"] == 4006 && world.is_durable(&room);
        assert!(may, "{}: {message}: {published:?} is refused", self.user);
    }

    fn joined(&mut self, world: &World, message: &Value) {
        let room = text(message, "room");
        let membership =
            self.rooms.get_mut(room).unwrap_or_else(|| panic!("{}: {message}: not asked", self.user));
        membership.joined = true;
        let (before, life) = (membership.seen_ms, membership.life);
        (membership.seen_ms, membership.life) = (membership.asked_ms, world.life());
        let (epoch, stands) = (text(message, "epoch"), offset(message, "offset"));
        let joined = if message["recovered"] == true {
            self.recovered += 1;
            assert_eq!(membership.stream.epoch, epoch, "{}: {message}", self.user);
            membership.stream.recovered(stands)
        } else {
            let known = &membership.stream.epoch;
            let is_recent = !known.is_empty() && world.now.mono_ms() < before + KEPT_MS;
            let name = RoomName::parse(room).expect("rooms are named well");
            let in_memory = life == world.life() && world.options.type_of(&name).kept().size > 0;
            // The store hears of a room with its first message.
            let in_store = membership.stream.place > 0 && world.is_durable(&name);
            if is_recent && (in_memory || in_store) {
                assert_eq!(*known, epoch, "{}: {message}: the epoch changed", self.user);
            }
            membership.stream.begin(epoch, stands)
        };
        joined.unwrap_or_else(|why| panic!("{}: {message}: {why}", self.user));
    }

    fn said(&mut self, client: usize, message: &Value, ledger: &mut Ledger) {
        let (room, epoch, at) = (text(message, "room"), text(message, "epoch"), offset(message, "offset"));
        let number = message["data"]["number"].as_u64().expect("every message has its number") as usize;
        ledger.seen(number, room, epoch, at);
        let published = ledger.message(number);
        assert!(self.is_meant(published, client), "{}: {message}: not for it", self.user);
        let priority = priority(message);
        assert_eq!(priority, published.priority, "{}: {message}: another priority", self.user);
        let holes = self.stream(message).message(at, priority);
        self.leave_empty(client, message, holes);
    }

    fn gap(&mut self, client: usize, message: &Value, ledger: &mut Ledger) {
        self.gaps += 1;
        let (room, epoch) = (text(message, "room"), text(message, "epoch"));
        let (from, to) = (offset(message, "from"), offset(message, "to"));
        assert!(from <= to, "{}: {message}", self.user);
        ledger.hear_of(room, epoch, to);
        let dropped = |offset| Hole { room: room.to_owned(), epoch: epoch.to_owned(), offset, client };
        self.dropped.extend((from..=to).map(dropped));
        let holes = self.stream(message).gap(from..=to);
        self.leave_empty(client, message, holes);
    }

    /// The room's stream that a message belongs to.
    fn stream(&mut self, message: &Value) -> &mut Stream {
        let (user, room, epoch) = (&self.user, text(message, "room"), text(message, "epoch"));
        let Some(membership) = self.rooms.get_mut(room).filter(|of| of.joined) else {
            panic!("{user}: {message}: not a member");
        };
        assert_eq!(membership.stream.epoch, epoch, "{user}: {message}: another epoch without a join");
        &mut membership.stream
    }

    /// A room's stream went on; what it left out is missing for good.
    fn leave_empty(&mut self, client: usize, message: &Value, holes: Result<Vec<u64>, String>) {
        let holes = holes.unwrap_or_else(|why| panic!("{}: {message}: {why}", self.user));
        let (room, epoch) = (text(message, "room"), text(message, "epoch"));
        let hole = |offset| Hole { room: room.to_owned(), epoch: epoch.to_owned(), offset, client };
        self.holes.extend(holes.into_iter().map(hole));
        let stream = &mut self.rooms.get_mut(room).expect("invariant: it has a stream").stream;
        self.overtaken += std::mem::take(&mut stream.overtaken);
        self.repeated += std::mem::take(&mut stream.repeated);
    }

    /// When everything has come to rest: nothing may be missing without a reason.
    ///
    /// # Panics
    /// Something is.
    pub fn check(&self, ledger: &Ledger) {
        for hole in &self.holes {
            self.check_hole(ledger, hole);
        }
        for hole in &self.dropped {
            let number = ledger.at(&hole.room, &hole.epoch, hole.offset);
            let Some(message) = number.map(|number| ledger.message(number)) else { continue };
            let urgent = message.priority > 0 && self.is_meant(message, hole.client);
            assert!(!urgent, "{}: {hole:?}: {message:?} was dropped", self.user);
        }
        let Some(client) = self.client else { return };
        for (room, membership) in self.rooms.iter().filter(|(_, of)| of.joined) {
            let stream = &membership.stream;
            for offset in stream.missing(ledger.last(room, &stream.epoch)) {
                let (room, epoch) = (room.clone(), stream.epoch.clone());
                self.check_hole(ledger, &Hole { room, epoch, offset, client });
            }
        }
    }

    fn check_hole(&self, ledger: &Ledger, hole: &Hole) {
        let Hole { room, epoch, offset, client } = hole;
        // Whose publisher went before its answer, and which nobody else saw, nobody can judge.
        let Some(number) = ledger.at(room, epoch, *offset) else { return };
        let message = ledger.message(number);
        let meant = |of: &Published| self.is_meant(of, *client);
        // In a conflating room a newer one of the same key takes its place; that one must come, or have its own reason.
        // What is urgent is not replaced and replaces nothing.
        let replaced = message.key.is_some()
            && message.priority == 0
            && room.starts_with("c:")
            && (ledger
                .after(room, epoch, *offset)
                .any(|newer| newer.key == message.key && newer.priority == 0 && meant(newer))
                || !ledger.knows_all_after(room, epoch, *offset));
        let reason = !meant(message) || message.expires || replaced;
        assert!(
            reason,
            "{} ({}): {room} {epoch} {offset}, {number}: {message:?} never came",
            self.user, self.role
        );
    }

    fn is_meant(&self, message: &Published, client: usize) -> bool {
        (message.roles.is_empty() || message.roles.contains(&self.role)) && message.exclude != Some(client)
    }
}

fn check_page(message: &Value, ledger: &mut Ledger) {
    let (room, epoch) = (text(message, "room"), text(message, "epoch"));
    let page = message["messages"].as_array().expect("a list");
    let offsets: Vec<u64> = page.iter().map(|of| offset(of, "offset")).collect();
    let ordered = offsets.is_sorted_by(|a, b| a < b) || offsets.is_sorted_by(|a, b| a > b);
    assert!(ordered, "{message}: out of order");
    for of in page {
        let number = of["data"]["number"].as_u64().expect("every message has its number") as usize;
        ledger.seen(number, room, epoch, offset(of, "offset"));
        assert_eq!(priority(of), ledger.message(number).priority, "{of}: another priority");
    }
}

fn priority(message: &Value) -> u8 {
    let Some(priority) = message.get("priority") else { return 0 };
    let known = priority.as_u64().filter(|priority| (1..=9).contains(priority));
    known.unwrap_or_else(|| panic!("{message}: no such priority")) as u8
}

fn text<'m>(message: &'m Value, name: &str) -> &'m str {
    message[name].as_str().unwrap_or_else(|| panic!("{message}: no {name}"))
}

fn offset(message: &Value, name: &str) -> u64 {
    message[name].as_u64().unwrap_or_else(|| panic!("{message}: no {name}"))
}
