//! Things found by room name: a slab, and an index that keeps no second copy of the names.

use std::hash::BuildHasher;

use fanfare_protocol::RoomName;
use foldhash::quality::FixedState;
use hashbrown::HashTable;
use slab::Slab;

/// Something that has a room's name.
pub(crate) trait Named {
    fn name(&self) -> &RoomName;
}

/// Rooms by number and by name. Room names come from outside, so the hash is keyed by the core's seed.
#[derive(Debug)]
pub(crate) struct Names<R> {
    slab: Slab<R>,
    index: HashTable<u32>,
    hasher: FixedState,
}

impl<R: Named> Names<R> {
    pub(crate) fn new(hasher: FixedState) -> Self {
        Self { slab: Slab::new(), index: HashTable::new(), hasher }
    }

    pub(crate) fn len(&self) -> usize {
        self.slab.len()
    }

    /// One past the highest number that there can be without another allocation: a room that is gone may have had it.
    pub(crate) fn numbers(&self) -> u32 {
        self.slab.capacity() as u32
    }

    pub(crate) fn find(&self, name: &RoomName) -> Option<u32> {
        let hash = self.hasher.hash_one(name);
        self.index.find(hash, |&number| self.slab[number as usize].name() == name).copied()
    }

    pub(crate) fn get(&self, number: u32) -> Option<&R> {
        self.slab.get(number as usize)
    }

    pub(crate) fn get_mut(&mut self, number: u32) -> Option<&mut R> {
        self.slab.get_mut(number as usize)
    }

    /// Adds what has no namesake here.
    pub(crate) fn insert(&mut self, room: R) -> u32 {
        debug_assert!(self.find(room.name()).is_none());
        let hash = self.hasher.hash_one(room.name());
        let number = self.slab.insert(room) as u32;
        let (slab, hasher) = (&self.slab, &self.hasher);
        self.index.insert_unique(hash, number, |&other| hasher.hash_one(slab[other as usize].name()));
        number
    }

    pub(crate) fn remove(&mut self, number: u32) -> R {
        let hash = self.hasher.hash_one(self.slab[number as usize].name());
        let entry = self.index.find_entry(hash, |&other| other == number);
        entry.expect("invariant: every room is in the index").remove();
        self.slab.remove(number as usize)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &R> {
        self.slab.iter().map(|(_, room)| room)
    }
}
