//! How many writes become few: what one transaction has to do, gathered per room before a page is touched.
//!
//! For each room what is stored goes first and what is new comes after, so it is enough to know which of the stored
//! messages go: all, those up to a place, those after one.

use std::collections::{BTreeMap, HashMap};

use fanfare_core::{Cursor, DeadLetter, Entry, Epoch, Subscriber, Write};

/// What one transaction has to do.
#[derive(Debug, Default)]
pub(crate) struct Plan<'w> {
    /// By name, so that neighbours in the file are written one after the other.
    pub(crate) rooms: BTreeMap<&'w str, RoomPlan<'w>>,
    /// New ids by time, room and offset, with the epoch of the place.
    pub(crate) ids: BTreeMap<(u64, &'w str, u64), (Epoch, &'w Entry)>,
    /// Rooms whose stored ids of later places go.
    pub(crate) undone_ids: HashMap<&'w str, u64>,
    /// Dead letters by user and number: buried, or dug out.
    pub(crate) dead: BTreeMap<(&'w str, u64), Option<&'w DeadLetter>>,
    /// What services have of rooms, by room and service.
    pub(crate) states: BTreeMap<(&'w str, &'static str), Option<&'w [u8]>>,
}

/// What one transaction has to do with one room.
#[derive(Debug, Default)]
pub(crate) struct RoomPlan<'w> {
    /// All that is stored goes, its row and its cursors as well.
    pub(crate) forgotten: bool,
    /// All stored messages go.
    pub(crate) emptied: bool,
    /// Stored messages up to here go.
    pub(crate) trimmed_to: Option<u64>,
    /// Stored messages after this go.
    pub(crate) undone_after: Option<u64>,
    /// The first epoch that was named while that of the stored row was still the room's.
    pub(crate) first_epoch: Option<Epoch>,
    /// The last epoch that was named.
    pub(crate) epoch: Option<Epoch>,
    /// The last offset, if it changed.
    pub(crate) offset: Option<u64>,
    /// New messages.
    pub(crate) entries: BTreeMap<u64, &'w Entry>,
    /// Stored messages that say something else now.
    pub(crate) redacted: BTreeMap<u64, &'w Entry>,
    /// Stored cursors go: they are of an earlier count.
    pub(crate) cursors_gone: bool,
    /// Subscribers who came, came further, or left before the first message. They count unless that begins a new count.
    pub(crate) early_cursors: BTreeMap<&'w Subscriber, Option<Cursor>>,
    /// Subscribers who did after it.
    pub(crate) cursors: BTreeMap<&'w Subscriber, Option<Cursor>>,
}

impl<'w> Plan<'w> {
    /// One more write, after all before it.
    pub(crate) fn add(&mut self, write: &'w Write) {
        match write {
            Write::Append { room, epoch, entry } => {
                self.room(room.as_str()).append(*epoch, entry);
                if entry.is_publishers_id {
                    self.ids.insert((entry.at_ms, room.as_str(), entry.offset), (*epoch, entry));
                }
            }
            Write::Trim { room, to } => self.room(room.as_str()).trim(*to),
            Write::Undo { room, after } => {
                let name = room.as_str();
                self.room(name).undo(*after);
                self.ids.retain(|(_, of, offset), _| *of != name || offset <= after);
                let kept = self.undone_ids.entry(name).or_insert(*after);
                *kept = (*kept).min(*after);
            }
            Write::Cursor { room, subscriber, cursor } => {
                self.room(room.as_str()).cursors.insert(subscriber, Some(*cursor));
            }
            Write::Unsubscribe { room, subscriber } => {
                self.room(room.as_str()).cursors.insert(subscriber, None);
            }
            Write::Bury(letter) => {
                self.dead.insert((letter.user.as_str(), letter.id), Some(letter));
            }
            Write::Exhume { user, id } => {
                self.dead.insert((user.as_str(), *id), None);
            }
            Write::Redact { room, entry } => self.room(room.as_str()).redact(entry),
            Write::State { room, service, bytes } => {
                self.states.insert((room.as_str(), service), bytes.as_deref());
            }
            Write::Forget { room } => {
                *self.room(room.as_str()) =
                    RoomPlan { forgotten: true, emptied: true, ..RoomPlan::default() };
            }
        }
    }

    /// Whether there is nothing to do.
    pub(crate) fn is_empty(&self) -> bool {
        self.rooms.is_empty() && self.dead.is_empty() && self.states.is_empty()
    }

    fn room(&mut self, name: &'w str) -> &mut RoomPlan<'w> {
        self.rooms.entry(name).or_default()
    }
}

impl<'w> RoomPlan<'w> {
    fn append(&mut self, epoch: Epoch, entry: &'w Entry) {
        if self.epoch.is_some_and(|before| before != epoch) {
            self.entries.clear();
            self.redacted.clear();
            self.emptied = true;
            self.early_cursors.clear();
            self.cursors.clear();
            self.cursors_gone = true;
        }
        if self.epoch.is_none() && !self.emptied {
            self.first_epoch = Some(epoch);
            self.early_cursors = std::mem::take(&mut self.cursors);
        }
        self.epoch = Some(epoch);
        self.offset = Some(entry.offset);
        self.entries.insert(entry.offset, entry);
    }

    fn redact(&mut self, entry: &'w Entry) {
        match self.entries.get_mut(&entry.offset) {
            Some(new) => *new = entry,
            None => drop(self.redacted.insert(entry.offset, entry)),
        }
    }

    fn trim(&mut self, to: u64) {
        self.trimmed_to = self.trimmed_to.max(Some(to));
        self.entries = match to.checked_add(1) {
            Some(next) => self.entries.split_off(&next),
            None => BTreeMap::new(),
        };
    }

    fn undo(&mut self, after: u64) {
        if self.forgotten && self.epoch.is_none() {
            return;
        }
        self.undone_after = Some(self.undone_after.map_or(after, |before| before.min(after)));
        if let Some(next) = after.checked_add(1) {
            self.entries.split_off(&next);
        }
        self.offset = Some(after);
    }

    /// Whether its row or its messages are concerned, and not only its cursors.
    pub(crate) fn touches_messages(&self) -> bool {
        self.forgotten
            || self.emptied
            || self.trimmed_to.is_some()
            || self.undone_after.is_some()
            || !self.redacted.is_empty()
            || self.epoch.is_some()
    }
}
