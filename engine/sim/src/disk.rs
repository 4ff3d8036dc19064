//! A store as simple as can be: what is on it after each commit, kept in maps.

use std::collections::{BTreeMap, VecDeque};

use fanfare_core::{
    Cursor, DeadLetter, Entry, Epoch, Report, StoredId, StoredRoom, StoredState, Subscriber, Write,
};
use fanfare_protocol::RoomName;

/// One room on the disk.
#[derive(Clone, Debug)]
struct Room {
    epoch: Epoch,
    offset: u64,
    entries: BTreeMap<u64, Entry>,
    cursors: BTreeMap<Subscriber, Cursor>,
}

/// What survives.
#[derive(Clone, Debug, Default)]
struct Kept {
    rooms: BTreeMap<RoomName, Room>,
    dead: BTreeMap<(RoomName, u64), DeadLetter>,
    ids: Vec<StoredId>,
    states: BTreeMap<(RoomName, &'static str), Box<[u8]>>,
}

/// Writes of one shard, as many as it had made when they were handed over.
#[derive(Debug)]
struct Asked {
    shard: usize,
    failures: u32,
    written: u64,
    writes: Vec<Write>,
}

/// A store with a queue before it.
#[derive(Debug)]
pub struct Disk {
    kept: Kept,
    queue: VecDeque<Asked>,
    /// How often each shard was told that the store failed; what it asked for before does not count.
    failures: Vec<u32>,
    /// Whether every write fails.
    full: bool,
}

impl Disk {
    /// An empty one, for so many shards.
    pub fn new(shards: usize) -> Self {
        Self { kept: Kept::default(), queue: VecDeque::new(), failures: vec![0; shards], full: false }
    }

    /// A shard wants something kept.
    pub(crate) fn ask(&mut self, shard: usize, failures: u32, written: u64, writes: Vec<Write>) {
        self.queue.push_back(Asked { shard, failures, written, writes });
    }

    /// Whether something waits to be written.
    pub fn is_waiting(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Whether all that anybody wanted kept is.
    pub fn is_up_to_date(&self) -> bool {
        !self.is_waiting() && !self.full
    }

    /// Writes what one shard asked for first, as one transaction; whom to tell what.
    pub fn commit(&mut self) -> Option<(usize, Report)> {
        loop {
            let Asked { shard, failures, written, writes } = self.queue.pop_front()?;
            if failures < self.failures[shard] {
                continue;
            }
            assert!(!self.full, "a failing store is asked by nobody who knows");
            writes.into_iter().for_each(|write| self.kept.write(write));
            return Some((shard, Report::Stored(written)));
        }
    }

    /// Every write fails from now on, and all that waits is lost. With `torn`, what waited first was written after all, but
    /// nobody is told so. Each shard must be told of the failure.
    pub fn fail(&mut self, torn: bool) -> Vec<(usize, Report)> {
        if self.full {
            return Vec::new();
        }
        self.full = true;
        let first =
            self.queue.pop_front().filter(|asked| torn && asked.failures == self.failures[asked.shard]);
        if let Some(asked) = first {
            asked.writes.into_iter().for_each(|write| self.kept.write(write));
        }
        self.queue.clear();
        self.failures.iter_mut().for_each(|failures| *failures += 1);
        (0..self.failures.len()).map(|shard| (shard, Report::Failed)).collect()
    }

    /// Writes work again. Each shard must be told.
    pub fn heal(&mut self) -> Vec<(usize, Report)> {
        if !std::mem::take(&mut self.full) {
            return Vec::new();
        }
        (0..self.failures.len()).map(|shard| (shard, Report::Healed)).collect()
    }

    /// The process dies: what was not committed is gone, or the first of it came through in the last moment.
    pub fn crash(&mut self, first_came_through: bool) {
        let first = self
            .queue
            .pop_front()
            .filter(|asked| first_came_through && !self.full && asked.failures == self.failures[asked.shard]);
        if let Some(asked) = first {
            asked.writes.into_iter().for_each(|write| self.kept.write(write));
        }
        self.queue.clear();
        self.full = false;
        self.failures.iter_mut().for_each(|failures| *failures = 0);
    }

    /// All rooms, as a store gives them back.
    pub fn rooms(&self) -> impl Iterator<Item = StoredRoom> {
        self.kept.rooms.iter().map(|(name, room)| StoredRoom {
            room: name.clone(),
            epoch: room.epoch,
            offset: room.offset,
            entries: room.entries.values().cloned().collect(),
            cursors: room.cursors.iter().map(|(who, cursor)| (who.clone(), *cursor)).collect(),
        })
    }

    /// All publishers' ids, in the order of their times.
    pub fn ids(&self) -> &[StoredId] {
        &self.kept.ids
    }

    /// What services had of rooms.
    pub fn states(&self) -> impl Iterator<Item = StoredState> {
        self.kept.states.iter().map(|((room, service), bytes)| StoredState {
            room: room.clone(),
            service: (*service).into(),
            bytes: bytes.clone(),
        })
    }

    /// All dead letters.
    pub fn dead(&self) -> impl Iterator<Item = &DeadLetter> {
        self.kept.dead.values()
    }
}

impl Kept {
    fn room(&mut self, name: RoomName, epoch: Epoch) -> &mut Room {
        let new = Room { epoch, offset: 0, entries: BTreeMap::new(), cursors: BTreeMap::new() };
        let room = self.rooms.entry(name).or_insert_with(|| new.clone());
        if room.epoch != epoch {
            // Cursors may come before the first message; those of another count mean nothing.
            let none_yet = room.epoch == Epoch(0);
            let cursors = if none_yet { std::mem::take(&mut room.cursors) } else { BTreeMap::new() };
            *room = Room { cursors, ..new };
        }
        room
    }

    fn write(&mut self, write: Write) {
        match write {
            Write::Append { room, epoch, entry } => {
                if entry.is_publishers_id {
                    self.ids.push(StoredId {
                        room: room.clone(),
                        user: entry.user.clone(),
                        message_id: entry.message_id.clone(),
                        epoch,
                        offset: entry.offset,
                        at_ms: entry.at_ms,
                    });
                }
                let room = self.room(room, epoch);
                assert_eq!(entry.offset, room.offset + 1, "the store was told to leave a place out");
                room.offset = entry.offset;
                room.entries.insert(entry.offset, *entry);
            }
            Write::Trim { room, to } => {
                if let Some(room) = self.rooms.get_mut(&room) {
                    room.entries.retain(|offset, _| *offset > to);
                }
            }
            Write::Undo { room, after } => {
                if let Some(found) = self.rooms.get_mut(&room) {
                    found.entries.retain(|offset, _| *offset <= after);
                    found.offset = after;
                    self.ids.retain(|id| id.room != room || id.offset <= after);
                }
            }
            Write::Cursor { room, subscriber, cursor } => {
                let epoch = self.rooms.get(&room).map_or(Epoch(0), |room| room.epoch);
                self.room(room, epoch).cursors.insert(subscriber, cursor);
            }
            Write::Unsubscribe { room, subscriber } => {
                if let Some(room) = self.rooms.get_mut(&room) {
                    room.cursors.remove(&subscriber);
                }
            }
            Write::Bury(letter) => {
                self.dead.insert((letter.user.clone(), letter.id), *letter);
            }
            Write::Exhume { user, id } => {
                self.dead.remove(&(user, id));
            }
            Write::Redact { room, entry } => {
                let found = self.rooms.get_mut(&room).and_then(|room| room.entries.get_mut(&entry.offset));
                if let Some(kept) = found {
                    *kept = *entry;
                }
            }
            Write::State { room, service, bytes: Some(bytes) } => {
                self.states.insert((room, service), bytes);
            }
            Write::State { room, service, bytes: None } => {
                self.states.remove(&(room, service));
            }
            Write::Forget { room } => {
                self.rooms.remove(&room);
                self.ids.retain(|id| id.room != room);
            }
        }
    }
}
