//! Who is where.

use std::collections::HashMap;
use std::os::fd::RawFd;

/// A room and who is in it.
#[derive(Debug, Default)]
pub struct Room {
    /// The latest message's offset.
    pub offset: u64,
    /// The members' descriptors, each once.
    pub members: Vec<RawFd>,
    /// Frames that wait for the end of the turn; a server that sends at once keeps none.
    pub waiting: Vec<u8>,
}

/// All rooms, by number; they are never forgotten.
#[derive(Debug, Default)]
pub struct Rooms {
    numbers: HashMap<String, usize>,
    rooms: Vec<Room>,
}

impl Rooms {
    /// The number of the room of this name, made if need be.
    pub(super) fn number(&mut self, name: &str) -> usize {
        if let Some(&number) = self.numbers.get(name) {
            return number;
        }
        self.rooms.push(Room::default());
        self.numbers.insert(name.to_owned(), self.rooms.len() - 1);
        self.rooms.len() - 1
    }

    /// The room of a number that [`Fanout::publish`](super::Fanout::publish) was given.
    ///
    /// # Panics
    /// There is no such room.
    pub fn room(&mut self, number: usize) -> &mut Room {
        &mut self.rooms[number]
    }

    /// A connection has ended.
    pub(super) fn leave_all(&mut self, fd: RawFd) {
        for room in &mut self.rooms {
            room.members.retain(|member| *member != fd);
        }
    }
}
