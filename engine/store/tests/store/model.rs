//! What a store should hold, kept in maps; and writes that a core could have made.

use std::collections::BTreeMap;

use bytes::Bytes;
use fanfare_core::{Cursor, DeadLetter, Entry, Epoch, StoredId, Subscriber, Write};
use fanfare_protocol::{Body, EventName, RoomName};
use fanfare_store::{Loaded, Store, Stored};

use crate::random::Random;

/// Everything that a store holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Model {
    pub(crate) rooms: BTreeMap<String, Room>,
    pub(crate) dead: BTreeMap<(String, u64), DeadLetter>,
    pub(crate) ids: BTreeMap<(u64, String, u64), StoredId>,
    pub(crate) states: BTreeMap<(String, String), Vec<u8>>,
    clock_ms: u64,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Room {
    /// Its epoch and its last offset.
    pub(crate) row: Option<(u32, u64)>,
    pub(crate) entries: BTreeMap<u64, Entry>,
    pub(crate) cursors: BTreeMap<Subscriber, (u64, u64)>,
}

/// A write in a few small numbers, so that it shrinks well.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Op {
    pub(crate) kind: u8,
    pub(crate) room: u8,
    pub(crate) who: u8,
    pub(crate) number: u16,
}

impl Op {
    pub(crate) fn random(random: &mut Random) -> Self {
        let bits = random.next();
        Self {
            kind: bits as u8,
            room: (bits >> 8) as u8,
            who: (bits >> 16) as u8,
            number: (bits >> 24) as u16,
        }
    }
}

impl Model {
    /// Does what the writes say.
    pub(crate) fn apply(&mut self, write: &Write) {
        match write.clone() {
            Write::Append { room: name, epoch, entry } => {
                let room = self.room(&name);
                if room.row.is_none_or(|(before, _)| before != epoch.0) {
                    room.entries.clear();
                    if room.row.is_some() {
                        room.cursors.clear();
                    }
                }
                room.row = Some((epoch.0, entry.offset));
                room.entries.insert(entry.offset, (*entry).clone());
                if entry.is_publishers_id {
                    let Entry { offset, at_ms, user, message_id, .. } = *entry;
                    let key = (at_ms, name.as_str().to_owned(), offset);
                    self.ids.insert(key, StoredId { room: name, user, message_id, epoch, offset, at_ms });
                }
            }
            Write::Trim { room, to } => self.room(&room).entries.retain(|offset, _| *offset > to),
            Write::Undo { room: name, after } => {
                let room = self.room(&name);
                room.entries.retain(|offset, _| *offset <= after);
                room.row = room.row.map(|(epoch, _)| (epoch, after));
                self.ids.retain(|_, id| id.room != name || id.offset <= after);
            }
            Write::Cursor { room, subscriber, cursor } => {
                self.room(&room).cursors.insert(subscriber, (cursor.offset, cursor.seen_ms));
            }
            Write::Unsubscribe { room, subscriber } => drop(self.room(&room).cursors.remove(&subscriber)),
            Write::Bury(letter) => {
                self.dead.insert((letter.user.as_str().to_owned(), letter.id), *letter);
            }
            Write::Exhume { user, id } => drop(self.dead.remove(&(user.as_str().to_owned(), id))),
            Write::Redact { room, entry } => {
                if let Some(kept) = self.room(&room).entries.get_mut(&entry.offset) {
                    *kept = *entry;
                }
            }
            Write::State { room, service, bytes } => {
                let key = (room.as_str().to_owned(), service.to_owned());
                match bytes {
                    Some(bytes) => drop(self.states.insert(key, bytes.into())),
                    None => drop(self.states.remove(&key)),
                }
            }
            Write::Forget { room } => drop(self.rooms.remove(room.as_str())),
        }
        self.rooms.retain(|_, room| room.row.is_some() || !room.cursors.is_empty());
    }

    fn room(&mut self, name: &RoomName) -> &mut Room {
        self.rooms.entry(name.as_str().to_owned()).or_default()
    }

    /// What the operation means now. Offsets rise as a core's do; time passes.
    pub(crate) fn write(&mut self, op: Op) -> Write {
        let room = room_name(op.room);
        let number = u64::from(op.number);
        let (epoch, offset) = self.rooms.get(room.as_str()).and_then(|room| room.row).unwrap_or((1, 0));
        let subscriber = Subscriber {
            user: RoomName::of_user(["ada", "bob é", "c"][usize::from(op.who) % 3]),
            device: [None, Some("phone"), Some("tv")][usize::from(op.who / 3) % 3].map(Box::from),
        };
        self.clock_ms += number % 3;
        match op.kind % 64 {
            0..40 => {
                let offset = offset + 1;
                Write::Append { room, epoch: Epoch(epoch), entry: Box::new(entry(op, offset, self.clock_ms)) }
            }
            40 | 41 => {
                let offset = offset.saturating_sub(number % 4).max(1);
                Write::Redact { room, entry: Box::new(entry(op, offset, self.clock_ms)) }
            }
            42 | 43 => {
                let service = ["poll", "pollster"][usize::from(op.who) % 2];
                let bytes = (number % 5 > 0).then(|| vec![op.who; usize::from(op.number) % 5_000].into());
                Write::State { room, service, bytes }
            }
            44..48 => Write::Trim { room, to: (offset + 2).saturating_sub(number % 40) },
            48..51 => Write::Undo { room, after: offset.saturating_sub(number % 4) },
            51..56 => {
                let cursor = Cursor { offset: number.min(offset), seen_ms: self.clock_ms };
                Write::Cursor { room, subscriber, cursor }
            }
            56 => Write::Unsubscribe { room, subscriber },
            57..60 => Write::Bury(Box::new(DeadLetter {
                id: number % 8,
                user: subscriber.user,
                room,
                epoch: Epoch(epoch),
                entry: entry(op, offset, self.clock_ms),
                died_ms: self.clock_ms,
                deliveries: u32::from(op.who),
            })),
            60 => Write::Exhume { user: subscriber.user, id: number % 8 },
            61 => Write::Forget { room },
            _ => {
                let entry = Box::new(entry(op, 1, self.clock_ms));
                Write::Append { room, epoch: Epoch(epoch + 1), entry }
            }
        }
    }

    /// The write, done here as well.
    pub(crate) fn step(&mut self, op: Op) -> Write {
        let write = self.write(op);
        self.apply(&write);
        write
    }

    /// What a store holds, with the model's own clock.
    pub(crate) fn load(&self, store: &Store) -> (Self, Loaded) {
        let mut model = Self { clock_ms: self.clock_ms, ..Self::default() };
        let loaded = store.load(&mut |stored| model.take(stored)).expect("loads");
        (model, loaded)
    }

    pub(crate) fn take(&mut self, stored: Stored) {
        match stored {
            Stored::Room(stored) => {
                let row = (stored.epoch.0 != 0).then_some((stored.epoch.0, stored.offset));
                let entries = stored.entries.into_iter().map(|entry| (entry.offset, entry)).collect();
                let cursors = stored.cursors.into_iter();
                let cursors = cursors.map(|(who, cursor)| (who, (cursor.offset, cursor.seen_ms))).collect();
                let room = Room { row, entries, cursors };
                assert!(
                    self.rooms.insert(stored.room.as_str().to_owned(), room).is_none(),
                    "a room came twice"
                );
            }
            Stored::State(state) => {
                let key = (state.room.as_str().to_owned(), state.service.into());
                assert!(self.states.insert(key, state.bytes.into()).is_none(), "a state came twice");
            }
            Stored::Dead(letter) => {
                self.dead.insert((letter.user.as_str().to_owned(), letter.id), letter);
            }
            Stored::Id(id) => {
                self.ids.insert((id.at_ms, id.room.as_str().to_owned(), id.offset), id);
            }
        }
    }
}

/// Asserts that the store holds exactly this.
pub(crate) fn assert_holds(store: &Store, model: &Model) {
    let (found, loaded) = model.load(store);
    assert_eq!(loaded.damage, []);
    assert_eq!(&found, model);
}

/// Some names are the beginnings of others.
pub(crate) fn room_name(number: u8) -> RoomName {
    match number % 6 {
        0 => RoomName::of_user("ada"),
        1 => RoomName::of_all(),
        2 => RoomName::parse("chat").expect("a name"),
        3 => RoomName::parse("chat:1").expect("a name"),
        4 => RoomName::parse("chat:12").expect("a name"),
        _ => RoomName::of_client("bob é"),
    }
}

pub(crate) fn entry(op: Op, offset: u64, at_ms: u64) -> Entry {
    // Most are small, some take pages of their own.
    let length = if op.number.is_multiple_of(16) {
        usize::from(op.number) % 9_000
    } else {
        usize::from(op.number) % 100
    };
    let bytes = Bytes::from(vec![op.who; length]);
    Entry {
        offset,
        at_ms,
        expires_ms: if op.who.is_multiple_of(2) { u64::MAX } else { at_ms + 5 },
        timestamp_unix_ms: 1_800_000_000_000 + at_ms,
        event: EventName::parse("say").expect("an event"),
        user: op.who.is_multiple_of(3).then(|| RoomName::of_user("ada")),
        body: if op.who.is_multiple_of(5) { Body::MessagePack(bytes) } else { Body::Json(bytes) },
        message_id: format!("{}-{offset}", op.number).into(),
        is_publishers_id: op.number.is_multiple_of(2),
        roles: ["doctor", "nurse"]
            .iter()
            .take(usize::from(op.who) % 3)
            .map(|role| Box::from(*role))
            .collect(),
        not_for_publisher: op.who.is_multiple_of(3),
        priority: op.who % 10,
    }
}
