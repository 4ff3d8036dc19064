//! Keeping messages within every bound: the room's number, age and bytes, and the bytes of all rooms together.

use fanfare_protocol::{Body, EventName};

use crate::durable::Write;
use crate::effect::Effects;
use crate::home::HomeRooms;
use crate::home::ledger::Mark;
use crate::home::log::{Kept, Log};
use crate::home::store::readers_cursors;
use crate::time::Now;

/// Size of a log that is none.
const NOTHING: (usize, usize) = (0, 0);

impl HomeRooms {
    /// Keeps a message of a room whose type keeps some.
    pub(super) fn keep(&mut self, number: u32, now: Now, kept: Kept) {
        let room = self.rooms.get_mut(number).expect("invariant: the caller has just found it");
        let room_type = self.options.by(room.rules);
        let rule = room_type.kept();
        let limits = &self.options.limits;
        let offset = kept.entry.offset;
        let log = room.log.get_or_insert_with(|| Box::new(Log::after_place(offset - 1)));
        let (before, first) = (size(Some(log)), log.first_offset());
        log.expire(now, rule.ttl_ms);
        log.push(kept);
        // The newest always stays, or else a room with large messages would keep nothing at all.
        while log.len() > rule.size as usize || (log.bytes() > limits.room_history_bytes && log.len() > 1) {
            if room_type.queue.size > 0 { log.drop_least() } else { log.drop_oldest() }
        }
        self.ledger.changed(before, size(Some(log)));
        self.ledger.mark(Mark { room: number, epoch: room.epoch, offset: room.offset });
        if log.is_empty() {
            room.log = None;
        }
        self.trimmed(number, first);
        self.evict();
        if self.ledger.is_stale() {
            let rooms = &self.rooms;
            self.ledger.keep(|mark| {
                let room = rooms.get(mark.room).filter(|room| room.epoch == mark.epoch);
                let log = room.and_then(|room| room.log.as_ref());
                log.and_then(|log| log.first_offset()).is_some_and(|first| first <= mark.offset)
            });
        }
    }

    /// All that a room keeps goes, and its count begins anew in another epoch.
    pub(super) fn purge(&mut self, number: u32, out: &mut Effects) {
        self.take_back_drafts(number, out);
        let room = self.rooms.get_mut(number).expect("invariant: the caller has just found it");
        let log = room.log.take();
        self.ledger.changed(size(log.as_deref()), NOTHING);
        room.epoch = self.random.epoch();
        room.offset = 0;
        if let Some(more) = &mut room.more {
            more.subscribers.begin_anew();
        }
        let name = room.name.clone();
        if !self.is_durable(&name) {
            return;
        }
        self.store.write(Write::Forget { room: name });
        // Its readers are readers still: what comes next is for them, also after a restart.
        let room = self.rooms.get(number).expect("invariant: just seen");
        readers_cursors(room).for_each(|cursor| self.store.write(cursor));
    }

    /// Lets a kept message say something else, here and in the store; or one that will be.
    pub(super) fn replace(&mut self, number: u32, offset: u64, event: EventName, body: Body) {
        let room = self.rooms.get_mut(number).expect("invariant: the caller has just found it");
        if offset > room.offset {
            // It waits for the store, which has been told the former.
            let drafts = room.more.iter_mut().flat_map(|more| &mut more.drafts);
            let draft = drafts.map(|draft| &mut draft.entry).find(|entry| entry.offset == offset);
            if let Some(entry) = draft {
                (entry.event, entry.body) = (event, body);
                let (room, entry) = (room.name.clone(), Box::new(entry.clone()));
                self.store.redact(room, entry);
            }
            return;
        }
        let Some(log) = &mut room.log else { return };
        let (before, first) = (size(Some(log)), log.first_offset());
        let Some(entry) = log.replace(offset, event, body) else { return };
        let changed = self.options.store.then(|| (room.name.clone(), Box::new(entry.clone())));
        while log.bytes() > self.options.limits.room_history_bytes && log.len() > 1 {
            log.drop_oldest();
        }
        self.ledger.changed(before, size(Some(log)));
        if let Some((room, entry)) = changed.filter(|(room, _)| self.is_durable(room)) {
            self.store.redact(room, entry);
        }
        self.trimmed(number, first);
        self.evict();
    }

    /// Where nothing is kept, only its place had to outlive the process.
    pub(super) fn keep_no_more(&mut self, number: u32) {
        let room = self.rooms.get(number).expect("invariant: the caller has just found it");
        if self.is_durable(&room.name) {
            let (room, to) = (room.name.clone(), room.offset);
            self.store.write(Write::Trim { room, to });
        }
    }

    /// Lets the store forget what went from the front of a room's log.
    fn trimmed(&mut self, number: u32, first_before: Option<u64>) {
        let (Some(before), Some(room)) = (first_before, self.rooms.get(number)) else { return };
        let to = room.log.as_ref().and_then(|log| log.first_offset()).map_or(room.offset, |first| first - 1);
        if to >= before && self.is_durable(&room.name) {
            let room = room.name.clone();
            self.store.write(Write::Trim { room, to });
        }
    }

    /// The oldest messages of all go while all together take too much.
    fn evict(&mut self) {
        while self.ledger.bytes() > self.options.limits.history_bytes {
            let Some(mark) = self.ledger.oldest() else { return };
            let room = self.rooms.get_mut(mark.room).filter(|room| room.epoch == mark.epoch);
            let Some(room) = room else { continue };
            let Some(log) = &mut room.log else { continue };
            if log.first_offset() != Some(mark.offset) {
                continue;
            }
            let before = size(Some(log));
            log.drop_oldest();
            self.ledger.changed(before, size(Some(log)));
            self.ledger.evicted += 1;
            if log.is_empty() {
                room.log = None;
            }
            self.trimmed(mark.room, Some(mark.offset));
        }
    }

    /// Lets go what a room has kept for long enough.
    pub(super) fn expire(&mut self, number: u32, now: Now) {
        let Some(room) = self.rooms.get_mut(number) else { return };
        let before = size(room.log.as_deref());
        let Some(log) = &mut room.log else { return };
        let first = log.first_offset();
        log.expire(now, self.options.by(room.rules).kept().ttl_ms);
        if log.is_empty() {
            room.log = None;
        }
        self.ledger.changed(before, size(room.log.as_deref()));
        self.trimmed(number, first);
    }

    /// Does something to a room's log and keeps the account right.
    pub(super) fn with_log<T>(
        &mut self,
        number: u32,
        now: Now,
        act: impl FnOnce(&mut Self, &mut Log) -> T,
    ) -> Option<T> {
        self.expire(number, now);
        let mut log = self.rooms.get_mut(number)?.log.take()?;
        let before = size(Some(&log));
        let result = act(self, &mut log);
        self.ledger.changed(before, size(Some(&log)));
        self.rooms.get_mut(number)?.log = Some(log);
        // Frames that were made for a reader count as well.
        self.evict();
        Some(result)
    }
}

fn size(log: Option<&Log>) -> (usize, usize) {
    log.map_or(NOTHING, |log| (log.len(), log.bytes()))
}
