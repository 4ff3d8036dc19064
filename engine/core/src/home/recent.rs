//! Publishes of late that carried an id of their publisher's: the same again is answered and not done again.

use std::collections::VecDeque;
use std::hash::BuildHasher;

use fanfare_protocol::RoomName;
use foldhash::quality::FixedState;
use hashbrown::HashMap;

use crate::id::Epoch;
use crate::time::Now;

/// The place that a publish got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) epoch: Epoch,
    pub(crate) offset: u64,
}

/// Ids of one shard's rooms, bounded in number and age.
#[derive(Debug)]
pub(crate) struct Recent {
    /// By room, publisher and id: two keyed hashes, since the texts themselves would take ten times the memory.
    places: HashMap<u128, (Place, u64), FixedState>,
    /// When, a number, and the id. The number stands with the place as well: of an id that was forgotten and came
    /// again, only the later entry counts.
    order: VecDeque<(u64, u64, u128)>,
    sequence: u64,
    hashers: [FixedState; 2],
    ids_max: usize,
    window_ms: u64,
}

impl Recent {
    /// At most `ids_max` ids, each for at most `window_ms`.
    pub(crate) fn new(ids_max: usize, window_ms: u64, seeds: [u64; 2]) -> Self {
        let hashers = seeds.map(FixedState::with_seed);
        Self { places: HashMap::default(), order: VecDeque::new(), sequence: 0, hashers, ids_max, window_ms }
    }

    /// What stands for a publisher's id in a room.
    pub(crate) fn key(&self, room: &RoomName, user: Option<&RoomName>, message_id: &str) -> u128 {
        let [high, low] = self.hashers.each_ref().map(|hasher| hasher.hash_one((room, user, message_id)));
        u128::from(high) << 64 | u128::from(low)
    }

    /// The place it got, if it was published within the window.
    pub(crate) fn find(&mut self, now: Now, key: u128) -> Option<Place> {
        self.forget(now);
        self.places.get(&key).map(|(place, _)| *place)
    }

    /// Notes a place; the oldest makes room.
    pub(crate) fn note(&mut self, now: Now, key: u128, place: Place) {
        self.forget(now);
        self.note_of(now.mono_ms(), key, place);
    }

    /// Notes a place of an earlier time, but not earlier than those noted before.
    pub(crate) fn note_of(&mut self, at_ms: u64, key: u128, place: Place) {
        if self.ids_max == 0 {
            return;
        }
        while self.order.len() >= self.ids_max {
            self.drop_oldest();
        }
        self.sequence += 1;
        self.places.insert(key, (place, self.sequence));
        self.order.push_back((at_ms, self.sequence, key));
    }

    /// The publish was not done after all.
    pub(crate) fn forget_id(&mut self, key: u128) {
        self.places.remove(&key);
    }

    /// Lets go what is too old.
    pub(crate) fn forget(&mut self, now: Now) {
        while self.order.front().is_some_and(|(at, _, _)| self.is_over(now, *at)) {
            self.drop_oldest();
        }
    }

    /// Ids held.
    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }

    fn is_over(&self, now: Now, at_ms: u64) -> bool {
        at_ms.saturating_add(self.window_ms) <= now.mono_ms()
    }

    fn drop_oldest(&mut self) {
        if let Some((_, sequence, key)) = self.order.pop_front()
            && self.places.get(&key).is_some_and(|(_, of)| *of == sequence)
        {
            self.places.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now(ms: u64) -> Now {
        Now { mono_us: ms * 1_000, unix_ms: 0 }
    }

    fn room(name: &str) -> RoomName {
        RoomName::parse(name).unwrap()
    }

    const PLACE: Place = Place { epoch: Epoch(7), offset: 3 };

    #[test]
    fn an_id_is_its_publishers_own_in_its_room() {
        let recent = Recent::new(10, 1_000, [1, 2]);
        let (ada, ben) = (RoomName::of_user("ada"), RoomName::of_user("ben"));
        let key = |name: &str, user: Option<&RoomName>, id: &str| recent.key(&room(name), user, id);
        let keys = [
            key("a:1", Some(&ada), "x"),
            key("a:1", Some(&ben), "x"),
            key("a:1", None, "x"),
            key("a:2", Some(&ada), "x"),
            key("a:1", Some(&ada), "y"),
        ];
        for (at, one) in keys.iter().enumerate() {
            assert!(!keys[..at].contains(one));
        }
        assert_eq!(keys[0], key("a:1", Some(&ada), "x"));
    }

    #[test]
    fn ids_are_known_within_their_window_and_number() {
        let mut recent = Recent::new(2, 1_000, [1, 2]);
        recent.note(now(0), 1, PLACE);
        assert_eq!(recent.find(now(999), 1), Some(PLACE));
        assert_eq!(recent.find(now(1_000), 1), None);
        recent.note(now(500), 2, PLACE);
        recent.note(now(600), 3, PLACE);
        assert_eq!(
            (recent.find(now(600), 1), recent.find(now(600), 2), recent.len()),
            (None, Some(PLACE), 2)
        );
        recent.forget(now(1_600));
        assert_eq!(recent.len(), 0);
        recent.note(now(1_600), 4, PLACE);
        recent.forget_id(4);
        assert_eq!(recent.find(now(1_600), 4), None);
        recent.note(now(1_700), 4, PLACE);
        assert_eq!(recent.find(now(2_650), 4), Some(PLACE), "the later one has its own time");
        let mut none = Recent::new(0, 1_000, [1, 2]);
        none.note(now(0), 1, PLACE);
        assert_eq!((none.find(now(0), 1), none.len()), (None, 0));
    }
}
