//! What somebody hears, each message checked when it comes.

use fanfare_core::Input;
use fanfare_protocol::RoomName;
use serde_json::Value;

use crate::acks::reader;
use crate::lasting::KEPT_MS;
use crate::ledger::Published;
use crate::person::{Acking, Hole, Kind, Membership, Person, kind};
use crate::stream::Stream;
use crate::{Acks, Ledger, World};

impl Person {
    /// Takes what has arrived.
    ///
    /// # Panics
    /// Something came that must not come.
    pub fn take(&mut self, world: &mut World, ledger: &mut Ledger, acks: &mut Acks) {
        let Some(client) = self.client else { return };
        let mut ends = false;
        for message in world.take_messages(client) {
            match message["type"].as_str() {
                Some("said") => self.said(world, client, &message, ledger),
                Some("joined") => {
                    let (epoch, stands) = (text(&message, "epoch"), offset(&message, "offset"));
                    ledger.hear_of(text(&message, "room"), epoch, stands);
                    self.joined(world, &message);
                }
                Some("left") => drop(self.rooms.remove(text(&message, "room"))),
                Some("gap") => self.gap(world, client, &message, ledger),
                Some("published") => {
                    if let Some(number) = message["id"].as_u64().and_then(|id| self.asked.remove(&id)) {
                        ledger.answered(number, text(&message, "epoch"), offset(&message, "offset"));
                    }
                }
                Some("history") => check_page(&message, ledger),
                Some("ok") => self.acknowledged(&message, acks),
                Some("receipt") => receipt(client, &message, ledger, acks),
                Some("error") => self.refused(world, ledger, &message),
                Some("welcome") => self.welcome(world, acks, &message),
                None if message == "ping" => {
                    let of = &world.clients[client];
                    world.input(of.shard, Input::Heard(of.id));
                }
                // A close frame's number.
                None if message.is_number() => {
                    let made_way = message == 4_009 && self.session.is_welcome();
                    let may = self.session.has_tried_in_vain();
                    assert!(!made_way || may, "{}: somebody else has taken its place", self.who.user);
                    ends = true;
                }
                _ => panic!("{}: {message}: nobody knows what that is", self.who.user),
            }
        }
        if ends || world.clients[client].closed {
            self.lose(world);
        }
    }

    fn welcome(&mut self, world: &mut World, acks: &Acks, message: &Value) {
        let resumed = message["resumed"] == true;
        self.tried.resumed += u64::from(resumed);
        let rooms = self.session.welcome(world, resumed, text(message, "resume"));
        let rooms = rooms.unwrap_or_else(|why| panic!("{}: {message}: {why}", self.who.user));
        for room in rooms {
            if let Some(membership) = self.rooms.get_mut(&room) {
                membership.asked = false;
                self.join(world, acks, &room);
            }
        }
    }

    fn acknowledged(&mut self, message: &Value, acks: &mut Acks) {
        let Some(acking) = message["id"].as_u64().and_then(|id| self.acking.remove(&id)) else { return };
        let Acking { room, epoch, offset, is_wrong } = acking;
        assert!(!is_wrong, "{}: {message}: {room} {offset} is of another epoch, or beyond", self.who.user);
        self.tried.acked += 1;
        acks.confirm(&self.reader, &room, &epoch, offset);
        if let Some(membership) = self.rooms.get_mut(&room).filter(|of| of.reader.epoch == epoch) {
            membership.reader.acknowledged(offset);
        }
    }

    /// Something was refused. A publish may only be where the store fails or has too much to do, where the role does not
    /// allow it, or when too many commands wait; it can be tried again. A join only for the last, an acknowledgement also if
    /// it is wrong.
    fn refused(&mut self, world: &World, ledger: &Ledger, message: &Value) {
        if let Some(room) = message["id"].as_str().and_then(|id| id.strip_prefix("join ")) {
            assert_eq!(message["code"], 4004, "{}: {message}: a join is refused", self.who.user);
            if let Some(membership) = self.rooms.get_mut(room) {
                membership.asked = false;
            }
        }
        let Some(id) = message["id"].as_u64() else { return };
        if let Some(acking) = self.acking.remove(&id) {
            let may = acking.is_wrong || message["code"] == 4004;
            assert!(may, "{}: {message}: {acking:?} is refused", self.who.user);
        }
        let Some(number) = self.asked.remove(&id) else { return };
        let published = ledger.message(number);
        let room = RoomName::restore(&published.room).expect("rooms are named well");
        let may = match message["code"].as_u64() {
            Some(4004) => true,
            Some(4006) => world.is_durable(&room),
            _ => published.is_forbidden,
        };
        assert!(may, "{}: {message}: {published:?} is refused", self.who.user);
    }

    fn joined(&mut self, world: &World, message: &Value) {
        let (user, room) = (&self.who.user, text(message, "room"));
        if self.session.is_resumed() {
            // There may have been another connection with this client id, which was in other rooms.
            self.rooms.entry(room.to_owned()).or_default().asked = true;
        }
        let membership = self.rooms.get_mut(room).filter(|of| of.asked);
        let membership = membership.unwrap_or_else(|| panic!("{user}: {message}: not asked"));
        if std::mem::replace(&mut membership.joined, true) {
            // A second answer, where the server had joined the room before it was asked to: it says where the room stands,
            // but what this connection has not been sent yet is still to come.
            return;
        }
        let (before, life) = (membership.seen_ms, membership.life);
        (membership.seen_ms, membership.life) = (membership.asked_ms, world.life());
        let (epoch, stands) = (text(message, "epoch"), offset(message, "offset"));
        let recovered = message["recovered"] == true;
        self.tried.recovered += u64::from(recovered);
        let name = RoomName::parse(room).expect("rooms are named well");
        let rule = world.options.type_of(&name);
        let now_ms = world.now.mono_ms();
        let kind = kind(world, room);
        let Membership { stream, reader, asked_ms, named, is_known, confirmed, .. } = membership;
        let (known, place) = match kind {
            Kind::Acknowledged(_) => (&reader.epoch, reader.top),
            _ => (&stream.epoch, stream.place),
        };
        let is_recent = !known.is_empty() && now_ms < before + KEPT_MS;
        let in_memory = life == world.life() && rule.kept().size > 0;
        // The store hears of a room with its first message.
        let in_store = place > 0 && world.is_durable(&name);
        if is_recent && (in_memory || in_store) {
            assert_eq!(*known, epoch, "{user}: {message}: the epoch changed");
        }
        let joined = match kind {
            Kind::Acknowledged(_) => {
                let knows = *is_known && now_ms < before.saturating_add(rule.queue.ttl_ms);
                reader.joined(epoch, stands, *asked_ms, !knows, *confirmed);
                Ok(())
            }
            Kind::Queued if *named && stream.epoch == epoch => stream.recovered(stands),
            Kind::Queued => {
                stream.begin_somewhere(epoch, life != world.life());
                Ok(())
            }
            Kind::Plain if recovered => {
                assert_eq!(stream.epoch, epoch, "{user}: {message}");
                stream.recovered(stands)
            }
            Kind::Plain => stream.begin(epoch, stands),
        };
        *is_known = true;
        joined.unwrap_or_else(|why| panic!("{user}: {message}: {why}"));
    }

    fn said(&mut self, world: &World, client: usize, message: &Value, ledger: &mut Ledger) {
        let (user, room, epoch) = (&self.who.user, text(message, "room"), text(message, "epoch"));
        let at = offset(message, "offset");
        let number = message["data"]["number"].as_u64().expect("every message has its number") as usize;
        ledger.seen(number, room, epoch, at);
        let published = ledger.message(number);
        assert!(self.is_meant(published, client), "{user}: {message}: not for it");
        let priority = priority(message);
        assert_eq!(priority, published.priority, "{user}: {message}: another priority");
        if room.starts_with('@') {
            self.tried.whispers += 1;
            self.inbox.heard.insert(number);
        } else if let Kind::Acknowledged(rule) = kind(world, room) {
            let reader = &mut self.member(message).reader;
            let outcome = reader.message(at, published.at_ms, world.now.mono_ms(), rule);
            self.tried.redelivered += std::mem::take(&mut reader.again);
            outcome.unwrap_or_else(|why| panic!("{}: {message}: {why}", self.who.user));
            return;
        }
        let holes = self.stream(world, message).message(at, priority);
        self.leave_empty(client, message, holes);
    }

    fn gap(&mut self, world: &World, client: usize, message: &Value, ledger: &mut Ledger) {
        self.tried.gaps += 1;
        let (room, epoch) = (text(message, "room"), text(message, "epoch"));
        let (from, to) = (offset(message, "from"), offset(message, "to"));
        assert!(from <= to, "{}: {message}", self.who.user);
        ledger.hear_of(room, epoch, to);
        let hole = |offset| Hole { room: room.into(), epoch: epoch.into(), offset, client };
        self.told.extend((from..=to).map(|offset| (hole(offset), world.now.mono_ms())));
        if room.starts_with('@') {
            self.inbox.told.extend((from..=to).map(|offset| (epoch.to_owned(), offset)));
        } else {
            match kind(world, room) {
                Kind::Acknowledged(_) => {
                    let outcome = self.member(message).reader.gap(from..=to);
                    outcome.unwrap_or_else(|why| panic!("{}: {message}: {why}", self.who.user));
                    return;
                }
                // Of too much that waits, the urgent goes as well.
                Kind::Queued => {}
                Kind::Plain => {
                    let dropped = |offset| Hole { room: room.into(), epoch: epoch.into(), offset, client };
                    self.dropped.extend((from..=to).map(dropped));
                }
            }
        }
        let holes = self.stream(world, message).gap(from..=to);
        self.leave_empty(client, message, holes);
    }

    /// The membership that a message belongs to.
    fn member(&mut self, message: &Value) -> &mut Membership {
        let (user, room, epoch) = (&self.who.user, text(message, "room"), text(message, "epoch"));
        let Some(membership) = self.rooms.get_mut(room).filter(|of| of.joined) else {
            panic!("{user}: {message}: not a member");
        };
        let known = [&membership.stream.epoch, &membership.reader.epoch];
        assert!(known.contains(&&epoch.to_owned()), "{user}: {message}: another epoch without a join");
        membership
    }

    /// The stream that a message belongs to.
    fn stream(&mut self, world: &World, message: &Value) -> &mut Stream {
        if !text(message, "room").starts_with('@') {
            return &mut self.member(message).stream;
        }
        let (user, epoch) = (&self.who.user, text(message, "epoch"));
        assert_eq!(text(message, "room"), format!("@user:{user}"), "{message}: somebody else's");
        assert!(self.session.is_welcome(), "{user}: {message}: before the welcome");
        let begun = self.inbox.hear(epoch, world.life());
        begun.unwrap_or_else(|why| panic!("{user}: {message}: {why}"));
        &mut self.inbox.stream
    }

    /// A stream went on; what it left out is missing for good.
    fn leave_empty(&mut self, client: usize, message: &Value, holes: Result<Vec<u64>, String>) {
        let holes = holes.unwrap_or_else(|why| panic!("{}: {message}: {why}", self.who.user));
        let (room, epoch) = (text(message, "room"), text(message, "epoch"));
        let hole = |offset| Hole { room: room.to_owned(), epoch: epoch.to_owned(), offset, client };
        self.holes.extend(holes.into_iter().map(hole));
        let stream = match self.rooms.get_mut(room) {
            Some(membership) => &mut membership.stream,
            None => &mut self.inbox.stream,
        };
        self.tried.overtaken += std::mem::take(&mut stream.overtaken);
        self.tried.repeated += std::mem::take(&mut stream.repeated);
    }

    /// Whether a message that comes to a connection may.
    pub(crate) fn is_meant(&self, message: &Published, client: usize) -> bool {
        let for_role = message.roles.is_empty() || message.roles.contains(&self.who.role);
        for_role && message.exclude != Some(client) && !message.is_forbidden
    }
}

fn receipt(client: usize, message: &Value, ledger: &Ledger, acks: &mut Acks) {
    let (room, epoch, at) = (text(message, "room"), text(message, "epoch"), offset(message, "offset"));
    let number = ledger.at(room, epoch, at);
    let number = number.unwrap_or_else(|| panic!("{message}: nobody knows that message"));
    let published = ledger.message(number);
    let is_its = published.receipts && published.clients.contains(&client);
    assert!(is_its, "{message}: {published:?} asked for none here");
    if let Some(message_id) = &published.message_id {
        assert_eq!(text(message, "message_id"), message_id);
    }
    let reader = reader(text(message, "user_id"), message["client_id"].as_str());
    acks.receipt(number, &reader, room, epoch, at);
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
