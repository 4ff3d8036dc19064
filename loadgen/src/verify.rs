//! Whether every member got every message of its rooms, once and in order, judged by offsets alone.
//!
//! Each membership (one connection in one room) costs 16 bytes and a few instructions per delivery: the next
//! offset it should see, and which of the 64 offsets before that it has seen.

/// What went wrong, over all members.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Faults {
    /// Offsets that were skipped and never came.
    pub(crate) lost: u64,
    /// Offsets that came again.
    pub(crate) duplicates: u64,
    /// Offsets that came after a later one.
    pub(crate) out_of_order: u64,
    /// Messages for a room that the connection is not (yet) a member of.
    pub(crate) stray: u64,
}

impl Faults {
    /// Whether nothing went wrong.
    pub(crate) fn is_clean(&self) -> bool {
        *self == Self::default()
    }
}

/// One membership.
#[derive(Clone, Copy, Debug)]
struct Member {
    /// The next offset; 0: not a member (offsets begin at 1).
    expected: u64,
    /// Bit `n`: offset `expected - 1 - n` was seen, or lies before the join.
    seen: u64,
}

const ABSENT: Member = Member { expected: 0, seen: 0 };

/// The memberships of all connections.
#[derive(Debug)]
pub(crate) struct Verifier {
    members: Vec<Member>,
    faults: Faults,
}

impl Verifier {
    /// Nobody has joined yet.
    pub(crate) fn new(memberships: usize) -> Self {
        Self { members: vec![ABSENT; memberships], faults: Faults::default() }
    }

    /// A join was answered: the next message has offset `position + 1`.
    pub(crate) fn joined(&mut self, member: usize, position: u64) {
        self.members[member] = Member { expected: position.saturating_add(1), seen: u64::MAX };
    }

    /// The connection is gone; nothing is expected any more.
    pub(crate) fn left(&mut self, member: usize) {
        self.members[member] = ABSENT;
    }

    /// A message arrived where no membership exists at all.
    pub(crate) fn stray(&mut self) {
        self.faults.stray += 1;
    }

    /// Whether the membership exists.
    pub(crate) fn is_member(&self, member: usize) -> bool {
        self.members[member].expected != 0
    }

    /// The last offset that the member has got, or its join told; `None` when it is no member.
    pub(crate) fn place(&self, member: usize) -> Option<u64> {
        self.members[member].expected.checked_sub(1)
    }

    /// A message arrived.
    #[inline]
    pub(crate) fn delivered(&mut self, member: usize, offset: u64) {
        let state = &mut self.members[member];
        if offset == state.expected && offset != 0 {
            state.expected = offset.wrapping_add(1);
            state.seen = state.seen << 1 | 1;
        } else {
            self.unexpected(member, offset);
        }
    }

    #[cold]
    fn unexpected(&mut self, member: usize, offset: u64) {
        let state = &mut self.members[member];
        if state.expected == 0 || offset == u64::MAX {
            self.faults.stray += 1;
        } else if offset > state.expected {
            let skipped = offset - state.expected;
            self.faults.lost = self.faults.lost.saturating_add(skipped);
            state.seen = if skipped < 63 { state.seen << (skipped + 1) } else { 0 } | 1;
            state.expected = offset + 1;
        } else {
            let back = state.expected - 1 - offset;
            // Further back than the window nothing is remembered: a repetition is the likelier story.
            if back < 64 && state.seen >> back & 1 == 0 {
                state.seen |= 1 << back;
                self.faults.out_of_order += 1;
                self.faults.lost = self.faults.lost.saturating_sub(1);
            } else {
                self.faults.duplicates += 1;
            }
        }
    }

    /// How many messages up to offset `last` this member still misses (0 when it is no member).
    pub(crate) fn behind(&self, member: usize, last: u64) -> u64 {
        let expected = self.members[member].expected;
        if expected == 0 { 0 } else { last.saturating_add(1).saturating_sub(expected) }
    }

    /// Counts what never came at the end of a run as lost.
    pub(crate) fn give_up(&mut self, missing: u64) {
        self.faults.lost = self.faults.lost.saturating_add(missing);
    }

    /// Adds what another verifier found.
    pub(crate) fn add(&mut self, other: Faults) {
        let Faults { lost, duplicates, out_of_order, stray } = &mut self.faults;
        *lost = lost.saturating_add(other.lost);
        *duplicates += other.duplicates;
        *out_of_order += other.out_of_order;
        *stray += other.stray;
    }

    /// What went wrong so far.
    pub(crate) fn faults(&self) -> Faults {
        self.faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(offsets: &[u64]) -> Faults {
        let mut verifier = Verifier::new(1);
        verifier.joined(0, 10);
        for &offset in offsets {
            verifier.delivered(0, offset);
        }
        verifier.faults()
    }

    #[test]
    fn the_expected_order_is_clean() {
        assert!(after(&[11, 12, 13]).is_clean());
    }

    #[test]
    fn every_fault_is_told_apart() {
        let clean = Faults::default();
        assert_eq!(after(&[12]), Faults { lost: 1, ..clean });
        assert_eq!(after(&[11, 15, 16]), Faults { lost: 3, ..clean });
        assert_eq!(after(&[11, 200]), Faults { lost: 188, ..clean });
        assert_eq!(after(&[11, 11]), Faults { duplicates: 1, ..clean });
        assert_eq!(after(&[12, 11]), Faults { out_of_order: 1, ..clean });
        assert_eq!(after(&[12, 11, 11]), Faults { out_of_order: 1, duplicates: 1, ..clean });
        assert_eq!(after(&[10]), Faults { duplicates: 1, ..clean });
        assert_eq!(after(&[0]), Faults { duplicates: 1, ..clean });
    }

    #[test]
    fn hostile_offsets_do_not_overflow() {
        assert_eq!(after(&[u64::MAX, 11]), Faults { stray: 1, ..Faults::default() });
        let mut verifier = Verifier::new(1);
        verifier.joined(0, u64::MAX);
        verifier.delivered(0, 1);
        assert_eq!(verifier.behind(0, u64::MAX), 0);
    }

    #[test]
    fn a_message_before_the_join_or_after_the_leave_is_stray() {
        let mut verifier = Verifier::new(2);
        verifier.delivered(1, 5);
        verifier.joined(1, 5);
        verifier.left(1);
        verifier.delivered(1, 6);
        verifier.delivered(1, 0);
        assert_eq!(verifier.faults().stray, 3);
    }

    #[test]
    fn what_never_came_is_counted_at_the_end() {
        let mut verifier = Verifier::new(2);
        verifier.joined(0, 10);
        verifier.delivered(0, 11);
        assert_eq!(verifier.behind(0, 14), 3);
        assert_eq!(verifier.behind(1, 14), 0);
        verifier.give_up(3);
        assert_eq!(verifier.faults().lost, 3);
    }
}
