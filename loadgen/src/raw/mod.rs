//! Other servers, described by a table: what to send them and what their answers look like.
//!
//! Such a server numbers no messages for us. So each message carries a mark and its own number, numbers are
//! dealt to the rooms in turn, and from both follow room and place: loss, repetition and order are checked
//! as with offsets.

mod table;

use memchr::memmem::Finder;

use crate::scan::Delivery;
use crate::stamp::{STAMP_LEN, Stamp};

#[cfg(test)]
use table::preset;
pub(crate) use table::{Table, own_path, preset_names, preset_text};

/// What stands before a stamp. Letters only, so that no encoding of text changes it.
pub(crate) const MARK: &str = "fanfareload";

/// A server's way of talking, ready to use.
#[derive(Debug)]
pub(crate) struct Raw {
    name: String,
    table: Table,
    rooms: u32,
    mark: Finder<'static>,
}

impl Raw {
    /// With this table, found under that name, and so many rooms.
    pub(crate) fn new(name: &str, table: Table, rooms: u32) -> Self {
        Self { name: name.to_owned(), table, rooms: rooms.max(1), mark: Finder::new(MARK.as_bytes()) }
    }

    /// Where its table came from.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What is sent and awaited.
    pub(crate) fn table(&self) -> &Table {
        &self.table
    }

    /// The messages of ours that these bytes hold, in their order.
    pub(crate) fn deliveries(&self, message: &[u8]) -> impl Iterator<Item = Delivery> {
        let marks = self.mark.find_iter(message);
        marks.filter_map(|at| {
            let stamp = Stamp::read(message.get(at + MARK.len()..at + MARK.len() + STAMP_LEN)?)?;
            Some(self.delivery(stamp))
        })
    }

    /// The message of ours that these bytes hold, if it is exactly one.
    pub(crate) fn only_delivery(&self, message: &[u8]) -> Option<Delivery> {
        let mut deliveries = self.deliveries(message);
        deliveries.next().filter(|_| deliveries.next().is_none())
    }

    fn delivery(&self, stamp: Stamp) -> Delivery {
        Delivery { room: stamp.number % self.rooms, offset: self.offset(stamp.number), stamp: Some(stamp) }
    }

    /// The place of message `number` in its room, from 1 on.
    pub(crate) fn offset(&self, number: u32) -> u64 {
        u64::from(number / self.rooms) + 1
    }
}

/// Whether a text from the table stands in the message.
pub(crate) fn holds(message: &[u8], text: &str) -> bool {
    memchr::memmem::find(message, text.as_bytes()).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_and_place_follow_from_the_number() {
        let raw = Raw::new("ws", preset("ws").unwrap(), 3);
        let text = |number| {
            let mut stamp = [0; STAMP_LEN];
            Stamp { intended: 9, number }.write(&mut stamp);
            format!("{{\"t\":\"{MARK}{}\"}}\n", std::str::from_utf8(&stamp).unwrap())
        };
        let message = [text(0), text(4), MARK.to_owned(), text(8)].concat();
        let found: Vec<(u32, u64)> =
            raw.deliveries(message.as_bytes()).map(|delivery| (delivery.room, delivery.offset)).collect();
        assert_eq!(found, [(0, 1), (1, 2), (2, 3)]);
        for end in 0..message.len() {
            assert!(raw.deliveries(&message.as_bytes()[..end]).count() <= 3);
        }
    }
}
