//! Counts for each room, for as many rooms as may be: the one that nothing happened in for longest makes room.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use serde::Serialize;

use super::record::{Kind, Record};

/// Users of one room that are told apart; eight bytes each.
const USERS_MAX: usize = 4_096;

/// What passed through one room since it was first seen (or since it was counted anew).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Room {
    pub(crate) messages_total: u64,
    /// Messages published into it.
    pub(crate) messages_incoming: u64,
    /// Members at each message's hand-out, summed up.
    pub(crate) messages_outgoing: u64,
    /// Of what was published.
    pub(crate) bytes: u64,
    /// Users that published, joined, left or were refused.
    pub(crate) unique_users: usize,
    /// There are so many that there may be more.
    pub(crate) unique_users_at_least: bool,
    pub(crate) connection_events: u64,
    pub(crate) errors: u64,
    pub(crate) first_at_unix_ms: u64,
    pub(crate) last_at_unix_ms: u64,
}

#[derive(Debug, Default)]
struct Counted {
    room: Room,
    /// Hashes of user ids.
    users: HashSet<u64>,
    /// Its place in the order of use.
    turn: u64,
}

/// All rooms that are counted for.
#[derive(Debug)]
pub(crate) struct Rooms {
    rooms: HashMap<Arc<str>, Counted>,
    /// Least recently used first.
    order: BTreeMap<u64, Arc<str>>,
    hasher: RandomState,
    max: usize,
    turn: u64,
    evicted: u64,
}

impl Rooms {
    pub(super) fn new(max: usize) -> Self {
        Self {
            rooms: HashMap::new(),
            order: BTreeMap::new(),
            hasher: RandomState::new(),
            max,
            turn: 0,
            evicted: 0,
        }
    }

    /// Counts a record for the room it names.
    pub(super) fn count(&mut self, record: &Record) {
        let Some(name) = record.room.as_deref() else { return };
        let user = record.user_id.as_ref().map(|user_id| self.hasher.hash_one(user_id));
        let Counted { room, users, .. } = self.touch(name);
        if room.first_at_unix_ms == 0 {
            room.first_at_unix_ms = record.at_unix_ms;
        }
        room.last_at_unix_ms = room.last_at_unix_ms.max(record.at_unix_ms);
        if let Some(user) = user.filter(|user| !users.contains(user)) {
            if users.len() < USERS_MAX {
                users.insert(user);
                room.unique_users += 1;
            } else {
                room.unique_users_at_least = true;
            }
        }
        match (record.kind, &record.header) {
            (Kind::Message, Some(header)) => {
                room.messages_incoming += 1;
                room.messages_outgoing += u64::from(header.members);
                room.messages_total = room.messages_incoming + room.messages_outgoing;
                room.bytes += header.bytes as u64;
            }
            (Kind::Message, None) => {}
            (Kind::Event, _) => room.connection_events += 1,
            (Kind::Error, _) => room.errors += 1,
        }
    }

    /// The room, as the most recently used one.
    fn touch(&mut self, name: &str) -> &mut Counted {
        self.turn += 1;
        let turn = self.turn;
        let key = match self.rooms.get(name) {
            Some(counted) => self.order.remove(&counted.turn).expect("invariant: every room is in the order"),
            None => {
                if self.rooms.len() == self.max {
                    let (_, oldest) = self.order.pop_first().expect("invariant: `max` is at least 1");
                    self.rooms.remove(&oldest);
                    self.evicted += 1;
                }
                name.into()
            }
        };
        self.order.insert(turn, Arc::clone(&key));
        let counted = self.rooms.entry(key).or_default();
        counted.turn = turn;
        counted
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Room> {
        self.rooms.get(name).map(|counted| &counted.room)
    }

    /// The most recently used first.
    pub(crate) fn latest(&self) -> impl Iterator<Item = (&Arc<str>, &Room)> {
        self.order.values().rev().map(|name| (name, &self.rooms[name].room))
    }

    pub(crate) fn len(&self) -> usize {
        self.rooms.len()
    }

    pub(crate) fn max(&self) -> usize {
        self.max
    }

    /// Rooms whose counts were given up since the start.
    pub(crate) fn evicted(&self) -> u64 {
        self.evicted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn join(room: &str, user: usize) -> Record {
        let user_id = Some(format!("u{user}").into());
        Record { user_id, ..Record::plain(Kind::Event, "join", room, 1 + user as u64) }
    }

    #[test]
    fn the_room_that_was_used_longest_ago_makes_room_and_is_counted() {
        let mut rooms = Rooms::new(2);
        for room in ["a", "b", "a", "c"] {
            rooms.count(&join(room, 0));
        }
        let names: Vec<&str> = rooms.latest().map(|(name, _)| &**name).collect();
        assert_eq!((names, rooms.evicted()), (vec!["c", "a"], 1));
        assert_eq!(rooms.get("a").unwrap().connection_events, 2);
        assert_eq!(rooms.get("b"), None);
        rooms.count(&join("b", 0));
        assert_eq!(rooms.get("b").unwrap().connection_events, 1, "counted anew");
        assert_eq!((rooms.rooms.len(), rooms.order.len()), (2, 2));
    }

    #[test]
    fn users_are_counted_once_and_up_to_a_bound() {
        let mut rooms = Rooms::new(1);
        for user in (0..USERS_MAX).chain(0..10) {
            rooms.count(&join("a", user));
        }
        let room = rooms.get("a").unwrap();
        assert_eq!((room.unique_users, room.unique_users_at_least), (USERS_MAX, false));
        assert_eq!((room.first_at_unix_ms, room.last_at_unix_ms), (1, USERS_MAX as u64));
        rooms.count(&join("a", USERS_MAX));
        let room = rooms.get("a").unwrap();
        assert_eq!((room.unique_users, room.unique_users_at_least), (USERS_MAX, true));
    }

    #[test]
    fn errors_and_records_without_a_room_go_where_they_belong() {
        let mut rooms = Rooms::new(1);
        rooms.count(&Record::plain(Kind::Error, "FORBIDDEN", "a", 5));
        rooms.count(&Record::plain(Kind::Error, "FORBIDDEN", "", 6));
        assert_eq!((rooms.get("a").unwrap().errors, rooms.len()), (1, 1));
    }
}
