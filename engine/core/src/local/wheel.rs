//! When to look at a connection again: a wheel of buckets, linked through arrays, eight bytes a connection
//! and no timer of the runtime.

/// Milliseconds of one bucket: nothing here is more exact than this.
pub(crate) const BUCKET_MS: u64 = 250;
const BUCKETS: usize = 256;
const NONE: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Link {
    next: u32,
    previous: u32,
}

/// Every slot is in one bucket at most. A deadline beyond the wheel's turn (64 s) fires early, and whoever
/// looks puts the slot in again.
#[derive(Debug)]
pub(crate) struct Wheel {
    heads: [u32; BUCKETS],
    links: Vec<Link>,
    /// The bucket, counted from the clock's zero, that fires next.
    turn: u64,
}

impl Wheel {
    pub(crate) fn new(now_ms: u64) -> Self {
        Self { heads: [NONE; BUCKETS], links: Vec::new(), turn: now_ms / BUCKET_MS }
    }

    /// Fires `slot` at `at_ms` or up to one bucket later. It must not be in already.
    pub(crate) fn insert(&mut self, slot: u32, at_ms: u64) {
        if self.links.len() <= slot as usize {
            self.links.resize(slot as usize + 1, Link { next: NONE, previous: NONE });
        }
        let turn = at_ms.div_ceil(BUCKET_MS).clamp(self.turn, self.turn + BUCKETS as u64 - 1);
        let bucket = (turn % BUCKETS as u64) as usize;
        let head = self.heads[bucket];
        // The head's `previous` names its bucket, from the top of the range.
        self.links[slot as usize] = Link { next: head, previous: NONE - 1 - bucket as u32 };
        if head != NONE {
            self.links[head as usize].previous = slot;
        }
        self.heads[bucket] = slot;
    }

    /// Takes a slot out.
    pub(crate) fn remove(&mut self, slot: u32) {
        let Link { next, previous } = self.links[slot as usize];
        if let Some(bucket) = (NONE - 1).checked_sub(previous).filter(|bucket| (*bucket as usize) < BUCKETS) {
            assert_eq!(self.heads[bucket as usize], slot, "the wheel's links are broken");
            self.heads[bucket as usize] = next;
        } else {
            self.links[previous as usize].next = next;
        }
        if next != NONE {
            self.links[next as usize].previous = previous;
        }
    }

    /// Takes out one slot whose time has come.
    pub(crate) fn expired(&mut self, now_ms: u64) -> Option<u32> {
        while self.turn * BUCKET_MS <= now_ms {
            let head = self.heads[(self.turn % BUCKETS as u64) as usize];
            if head != NONE {
                self.remove(head);
                return Some(head);
            }
            self.turn += 1;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fired(wheel: &mut Wheel, now_ms: u64) -> Vec<u32> {
        let mut slots: Vec<_> = std::iter::from_fn(|| wheel.expired(now_ms)).collect();
        slots.sort_unstable();
        slots
    }

    #[test]
    fn slots_fire_in_time_never_early_and_once() {
        let mut wheel = Wheel::new(10_000);
        wheel.insert(0, 10_600);
        wheel.insert(1, 10_700);
        wheel.insert(2, 10_700);
        wheel.insert(3, 12_000);
        assert!(fired(&mut wheel, 10_599).is_empty());
        wheel.remove(1);
        assert_eq!(fired(&mut wheel, 10_750), [0, 2]);
        assert!(fired(&mut wheel, 11_999).is_empty());
        assert_eq!(fired(&mut wheel, 12_000), [3]);
        assert!(fired(&mut wheel, 1_000_000).is_empty());
    }

    #[test]
    fn far_deadlines_fire_within_one_turn_and_removal_works_at_every_place() {
        let mut wheel = Wheel::new(0);
        for slot in 0..5 {
            wheel.insert(slot, 10_000_000);
        }
        wheel.remove(4);
        wheel.remove(0);
        wheel.remove(2);
        assert!(fired(&mut wheel, 60_000).is_empty());
        assert_eq!(fired(&mut wheel, 64_000), [1, 3]);
    }
}
