//! What readers have acknowledged, and who was told of it.

use std::collections::{BTreeMap, BTreeSet};

use fanfare_core::{Cursor, Subscriber};

use crate::World;

/// How far one reader has acknowledged in one epoch of a room.
#[derive(Clone, Copy, Debug, Default)]
struct Acked {
    /// The server may know so much.
    sent: u64,
    /// The server has said that it knows so much.
    confirmed: u64,
}

/// See the module's own text.
#[derive(Debug, Default)]
pub struct Acks {
    /// By reader, room and epoch.
    readers: BTreeMap<(String, String, String), Acked>,
    /// Receipts that publishers got: of which message, in which epoch, from whom.
    receipts: BTreeSet<(usize, String, String)>,
}

/// The name of a reader.
pub(crate) fn reader(user: &str, device: Option<&str>) -> String {
    device.map_or_else(|| user.to_owned(), |device| format!("{user}/{device}"))
}

/// The same, as the server names it.
pub(crate) fn reader_of(subscriber: &Subscriber) -> String {
    let user = subscriber.user.as_str().strip_prefix("@user:").unwrap_or_default();
    reader(user, subscriber.device.as_deref())
}

impl Acks {
    fn entry(&mut self, reader: &str, room: &str, epoch: &str) -> &mut Acked {
        self.readers.entry((reader.to_owned(), room.to_owned(), epoch.to_owned())).or_default()
    }

    fn of(&self, reader: &str, room: &str, epoch: &str) -> Acked {
        let key = (reader.to_owned(), room.to_owned(), epoch.to_owned());
        self.readers.get(&key).copied().unwrap_or_default()
    }

    /// The furthest place that the server may have heard of.
    pub(crate) fn sent(&self, reader: &str, room: &str, epoch: &str) -> u64 {
        self.of(reader, room, epoch).sent
    }

    /// The furthest place that the server has confirmed, and has not forgotten by dying.
    pub(crate) fn confirmed(&self, reader: &str, room: &str, epoch: &str) -> u64 {
        self.of(reader, room, epoch).confirmed
    }

    /// An acknowledgement is on its way.
    pub(crate) fn send(&mut self, reader: &str, room: &str, epoch: &str, offset: u64) {
        let acked = self.entry(reader, room, epoch);
        acked.sent = acked.sent.max(offset);
    }

    /// It was answered.
    pub(crate) fn confirm(&mut self, reader: &str, room: &str, epoch: &str, offset: u64) {
        let acked = self.entry(reader, room, epoch);
        acked.confirmed = acked.confirmed.max(offset);
    }

    /// A publisher is told that somebody acknowledged its message.
    ///
    /// # Panics
    /// Nobody has, or it was told before.
    pub(crate) fn receipt(&mut self, number: usize, reader: &str, room: &str, epoch: &str, offset: u64) {
        let sent = self.sent(reader, room, epoch);
        assert!(offset <= sent, "{room} {epoch} {offset}: a receipt from {reader}, who sent {sent}");
        let is_new = self.receipts.insert((number, epoch.to_owned(), reader.to_owned()));
        assert!(is_new, "{room} {epoch} {offset}: two receipts from {reader}");
    }

    /// Receipts there were.
    pub(crate) fn receipts(&self) -> u64 {
        self.receipts.len() as u64
    }

    /// The process has died: it knows only what the store knew. Gives the readers that it remembers, by room; where the
    /// store `lagged`, it may not have known that somebody had come back.
    pub(crate) fn restarted(&mut self, world: &World, lagged: bool) -> BTreeSet<(String, String)> {
        let mut kept: BTreeMap<(String, String, String), u64> = BTreeMap::new();
        for room in world.disk.rooms().filter(|room| !room.room.is_engine_room()) {
            let (name, epoch) = (room.room.to_string(), room.epoch.to_string());
            for (subscriber, cursor) in &room.cursors {
                if lagged && cursor.seen_ms != Cursor::HERE {
                    continue;
                }
                kept.insert((reader_of(subscriber), name.clone(), epoch.clone()), cursor.offset);
            }
        }
        for (key, acked) in &mut self.readers {
            acked.confirmed = acked.confirmed.min(kept.get(key).copied().unwrap_or(0));
        }
        kept.into_keys().map(|(reader, room, _)| (room, reader)).collect()
    }
}
