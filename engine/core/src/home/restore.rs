//! Rooms that outlived the process.

use crate::durable::{DeadLetter, StoredId, StoredRoom, Write};
use crate::home::HomeRooms;
use crate::home::log::{Kept, Log};
use crate::home::recent::Place;
use crate::home::room::HomeRoom;
use crate::home::rooms::seconds;
use crate::home::subscribers::Subscription;
use crate::room_type::Memory;
use crate::time::Now;

impl HomeRooms {
    /// A room as the store has it. Bounds may have become tighter since: what is too much now goes.
    pub(crate) fn restore(&mut self, now: Now, stored: StoredRoom) {
        if !self.is_durable(&stored.room) {
            // Its type no longer says so. Its places must not be given out again after each start.
            self.store.write(Write::Forget { room: stored.room });
            return;
        }
        let StoredRoom { room, epoch, offset, entries, cursors } = stored;
        let rules = self.options.rules(&room);
        let (memory, ttl_ms) = (rules.memory, self.options.by(rules).queue.ttl_ms);
        let epoch = if epoch.0 == 0 { self.random.epoch() } else { epoch };
        let mut found = HomeRoom::new(room, epoch, rules, seconds(now));
        if memory == Memory::Owner && offset > 0 {
            // Of an owner that was never there everything waits.
            found.more().waits_after = Some(0);
        }
        for (subscriber, cursor) in cursors {
            let settled = cursor.offset.min(offset);
            match memory {
                Memory::Nobody => {}
                Memory::Owner if settled == offset => found.more = None,
                Memory::Owner => found.more().waits_after = Some(settled),
                Memory::Readers if cursor.seen_ms.saturating_add(ttl_ms) <= now.mono_ms() => {}
                Memory::Readers => {
                    // Its role is told when it comes; until then nothing is sent.
                    let mut subscription = Subscription::new(settled, "".into(), now);
                    subscription.seen_ms = cursor.seen_ms.min(now.mono_ms());
                    found.more().subscribers.insert(subscriber, subscription);
                    self.readers.subscribers += 1;
                }
            }
        }
        // Messages are put back one by one, as if each had just come, so that every bound holds.
        let first = entries.first().map_or(offset, |entry| entry.offset - 1);
        found.offset = first;
        if !entries.is_empty() {
            found.log = Some(Box::new(Log::after_place(first)));
        }
        let number = self.insert(found);
        for mut entry in entries {
            entry.at_ms = entry.at_ms.min(now.mono_ms());
            entry.priority = entry.priority.min(9);
            let room = self.rooms.get_mut(number).expect("invariant: just put in");
            room.offset = entry.offset;
            if room.rules.keeps {
                self.keep(number, now, Kept::new(entry, None));
            }
        }
        let room = self.rooms.get_mut(number).expect("invariant: just put in");
        room.offset = offset;
        if !rules.keeps {
            self.keep_no_more(number);
        }
        self.expire(number, now);
    }

    /// A publisher's id; to be given in the order of their times.
    pub(crate) fn restore_id(&mut self, now: Now, stored: &StoredId) {
        let StoredId { room, user, message_id, epoch, offset, at_ms } = stored;
        let known = self.rooms.find(room).and_then(|number| self.rooms.get(number));
        if known.is_some_and(|known| known.epoch == *epoch && *offset <= known.offset) {
            let id = self.recent.key(room, user.as_ref(), message_id);
            let place = Place { epoch: *epoch, offset: *offset };
            self.recent.note_of((*at_ms).min(now.mono_ms()), id, place);
        }
    }

    /// A dead letter of a user whose room this shard orders.
    pub(crate) fn restore_letter(&mut self, now: Now, letter: DeadLetter) {
        self.bury(now, letter);
    }
}
