//! What waits for a reader who was away, and is sent when it comes: in order, and with a notice in place of what is
//! missing.

use std::collections::BTreeSet;

use bytes::Bytes;

use crate::class::Class;
use crate::home::HomeRooms;
use crate::local::gap;
use crate::mesh::{CatchUp, Reader, Replay};
use crate::time::Now;

/// One message that waits, with its finished frame.
struct Waits {
    offset: u64,
    priority: u8,
    frame: Bytes,
}

impl HomeRooms {
    /// The owner of an inbox comes: what came while it was away, or since the place it knows itself. Who knows one of an earlier count
    /// has nothing of this one.
    pub(super) fn open_inbox(
        &mut self,
        now: Now,
        number: u32,
        wanted: Option<&CatchUp>,
        class: Class,
    ) -> Option<Replay> {
        let known = wanted.and_then(|wanted| self.place_in(number, wanted));
        let names_another = known.is_none() && wanted.is_some_and(|wanted| wanted.recover.is_some());
        let room = self.rooms.get_mut(number).expect("invariant: just entered");
        let stands = room.offset;
        let from = if names_another { 0 } else { known.unwrap_or(room.settled()) };
        room.settle();
        if from == stands {
            return known.is_some().then(|| Replay { recovered: true, ..Replay::default() });
        }
        self.note_settled(number);
        let role = wanted.and_then(|wanted| wanted.role.as_deref());
        Some(self.waiting(now, number, class, from, None, role))
    }

    /// A message came: the owner of the inbox is there and has been sent it, or else it waits.
    pub(super) fn settle_inbox(&mut self, number: u32) {
        let room = self.rooms.get_mut(number).expect("invariant: just found");
        if room.audience.is_empty() {
            let before = room.offset - 1;
            room.more().waits_after.get_or_insert(before);
        } else {
            self.note_settled(number);
        }
    }

    fn note_settled(&mut self, number: u32) {
        let room = self.rooms.get(number).expect("invariant: just found");
        if self.is_durable(&room.name) {
            let cursor = super::store::owners_cursor(room);
            self.store.write(cursor);
        }
    }

    /// The offset that a join names, if it is one of this room's present count.
    pub(super) fn place_in(&self, number: u32, wanted: &CatchUp) -> Option<u64> {
        let room = self.rooms.get(number).expect("invariant: just entered");
        let place = wanted.recover.as_ref()?;
        (*place.epoch == *room.epoch.to_string() && place.offset <= room.offset).then_some(place.offset)
    }

    /// Everything after `from` that a reader (none: anybody) must get, as far as it may wait: of more than that the oldest of
    /// the lowest priority is left out, and so is what its role may not receive. What is left out, or kept no longer, is told.
    pub(super) fn waiting(
        &mut self,
        now: Now,
        number: u32,
        class: Class,
        from: u64,
        reader: Option<&Reader>,
        role: Option<&str>,
    ) -> Replay {
        let room = self.rooms.get(number).expect("invariant: just entered");
        let (name, epoch, stands) = (room.name.clone(), room.epoch, room.offset);
        let room_type = self.options.by(room.rules);
        let (queue, rule) = (room_type.queue, room_type.compression);
        let text = epoch.to_string();
        // Places of messages that are not for this reader, or of no use any more, are not missed by it.
        let mut missed = Missed::new(from);
        let waits = self.with_log(number, now, |rooms, log| {
            let (mut waits, mut grown) = (Vec::new(), 0);
            for kept in log.after_mut(from) {
                let offset = kept.entry.offset;
                let options = &rooms.options;
                let owed = |of: &Reader| kept.entry.is_owed_to(&of.subscriber.user, &of.role, options);
                let may = role.is_none_or(|role| options.may_receive(role, &kept.entry.event));
                let is_for_it = reader.is_none_or(owed) && may && kept.is_fresh(now);
                if is_for_it {
                    let (frame, added) = kept.frame(&name, &text, class, &mut rooms.encoder, rule);
                    grown += added;
                    waits.push(Waits { offset, priority: kept.entry.priority, frame });
                } else {
                    missed.settled.insert(offset);
                }
            }
            log.grew(grown);
            waits
        });
        let mut waits = waits.unwrap_or_default();
        let size_max = if queue.size == 0 { usize::MAX } else { queue.size as usize };
        self.readers.overflowed += leave_out(&mut waits, size_max, self.options.limits.replay_bytes);
        let mut frames = Vec::with_capacity(waits.len());
        let notice = |from, to| (gap(class, &self.options, &name, epoch, (from, to)), Vec::new());
        for Waits { offset, frame, .. } in waits {
            missed.until(offset, |from, to| frames.push(notice(from, to)));
            frames.push((frame, Vec::new()));
        }
        missed.until(stands + 1, |from, to| frames.push(notice(from, to)));
        Replay { recovered: !missed.some, frames, session: None, state: None }
    }
}

/// Follows a stream and finds what is missing in it.
struct Missed {
    last: u64,
    settled: BTreeSet<u64>,
    some: bool,
}

impl Missed {
    fn new(from: u64) -> Self {
        Self { last: from, settled: BTreeSet::new(), some: false }
    }

    /// The stream goes on with `offset`: tells each stretch that is missing before it.
    fn until(&mut self, offset: u64, mut tell: impl FnMut(u64, u64)) {
        let mut first = self.last + 1;
        let settled: Vec<u64> = self.settled.range(first..offset).copied().collect();
        for end in settled.into_iter().chain([offset]) {
            if first < end {
                self.some = true;
                tell(first, end - 1);
            }
            first = end + 1;
        }
        self.last = offset;
    }
}

/// Leaves out what is too much, the oldest of the lowest priority first; how many that were.
fn leave_out(waits: &mut Vec<Waits>, size_max: usize, bytes_max: usize) -> u64 {
    let mut bytes: usize = waits.iter().map(|waits| waits.frame.len()).sum();
    let mut count = waits.len();
    if count <= size_max && bytes <= bytes_max {
        return 0;
    }
    let mut by_worth: Vec<(u8, u64, usize)> =
        waits.iter().map(|waits| (waits.priority, waits.offset, waits.frame.len())).collect();
    by_worth.sort_unstable();
    let mut out = BTreeSet::new();
    for (_, offset, length) in by_worth {
        if count <= size_max && bytes <= bytes_max {
            break;
        }
        out.insert(offset);
        count -= 1;
        bytes -= length;
    }
    waits.retain(|waits| !out.contains(&waits.offset));
    out.len() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_told_in_its_place() {
        let mut missed = Missed::new(3);
        missed.settled.extend([6, 10]);
        let mut told = Vec::new();
        for offset in [4, 5, 9, 12, 13] {
            missed.until(offset, |from, to| told.push((from, to)));
        }
        assert_eq!(told, [(7, 8), (11, 11)]);
        assert!(missed.some);
    }

    #[test]
    fn the_oldest_of_the_lowest_priority_is_left_out_first() {
        let waits = |offset, priority, bytes| Waits { offset, priority, frame: vec![0; bytes].into() };
        let all = || vec![waits(1, 5, 10), waits(2, 0, 10), waits(3, 9, 30), waits(4, 0, 10)];
        let left = |size, bytes| {
            let mut all = all();
            let out = leave_out(&mut all, size, bytes);
            (all.iter().map(|waits| waits.offset).collect::<Vec<_>>(), out)
        };
        assert_eq!(left(4, 60), (vec![1, 2, 3, 4], 0));
        assert_eq!(left(3, 60), (vec![1, 3, 4], 1));
        assert_eq!(left(9, 40), (vec![1, 3], 2));
        assert_eq!(left(0, 60), (vec![], 4));
    }
}
