//! The latest records of one kind, each with a number.

use std::collections::VecDeque;
use std::sync::Arc;

use super::query::Filter;
use super::record::Record;

/// Holds so many; the oldest makes room. Numbers begin with 1 and rise by one.
#[derive(Debug)]
pub(crate) struct Ring {
    records: VecDeque<Arc<Record>>,
    max: usize,
    written: u64,
}

/// Some records, oldest first.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) records: Vec<Arc<Record>>,
    /// The number to go on after.
    pub(crate) next: u64,
    /// Records after `since` that are held no more.
    pub(crate) missed: u64,
}

impl Ring {
    pub(super) fn new(max: usize) -> Self {
        Self { records: VecDeque::new(), max, written: 0 }
    }

    pub(super) fn push(&mut self, mut record: Record) {
        self.written += 1;
        record.seq = self.written;
        if self.records.len() == self.max {
            self.records.pop_front();
        }
        self.records.push_back(Arc::new(record));
    }

    /// Records since the start: also the newest one's number.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    pub(crate) fn max(&self) -> usize {
        self.max
    }

    /// Records after this number that are held no more.
    pub(super) fn missed(&self, seq: u64) -> u64 {
        (self.written - self.records.len() as u64).saturating_sub(seq)
    }

    /// Those after this number, oldest first.
    pub(super) fn after(&self, seq: u64) -> impl Iterator<Item = &Arc<Record>> {
        let first = self.written - self.records.len() as u64;
        let from = usize::try_from(seq.saturating_sub(first)).unwrap_or(usize::MAX);
        self.records.range(from.min(self.records.len())..)
    }

    /// The first `limit` after `since` that fit; without it, the last ones.
    pub(crate) fn page(&self, filter: &Filter, since: Option<u64>, limit: usize) -> Page {
        let fits = |record: &&Arc<Record>| filter.fits(record);
        let Some(since) = since else {
            let mut records: Vec<_> = self.records.iter().rev().filter(fits).take(limit).cloned().collect();
            records.reverse();
            return Page { records, next: self.written, missed: 0 };
        };
        let records: Vec<_> = self.after(since).filter(fits).take(limit).cloned().collect();
        let full = records.len() == limit;
        let next = records.last().filter(|_| full).map_or(self.written, |last| last.seq);
        Page { records, next, missed: self.missed(since) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::Kind;
    use super::*;

    fn ring(max: usize, count: u64) -> Ring {
        let mut ring = Ring::new(max);
        (0..count)
            .for_each(|n| ring.push(Record::plain(Kind::Message, "say", &format!("room:{}", n % 2), n)));
        ring
    }

    fn seqs(page: &Page) -> Vec<u64> {
        page.records.iter().map(|record| record.seq).collect()
    }

    #[test]
    fn the_oldest_makes_room_and_numbers_go_on() {
        let ring = ring(3, 5);
        assert_eq!((ring.len(), ring.written()), (3, 5));
        let page = ring.page(&Filter::default(), None, 10);
        assert_eq!((seqs(&page), page.next, page.missed), (vec![3, 4, 5], 5, 0));
        assert_eq!(seqs(&ring.page(&Filter::default(), None, 2)), [4, 5]);
    }

    #[test]
    fn pages_follow_each_other_without_a_gap_and_tell_what_is_gone() {
        let ring = ring(4, 10);
        let first = ring.page(&Filter::default(), Some(2), 2);
        assert_eq!((seqs(&first), first.next, first.missed), (vec![7, 8], 8, 4));
        let second = ring.page(&Filter::default(), Some(first.next), 5);
        assert_eq!((seqs(&second), second.next, second.missed), (vec![9, 10], 10, 0));
        let none = ring.page(&Filter::default(), Some(10), 5);
        assert_eq!((seqs(&none), none.next), (vec![], 10));
        assert_eq!(
            ring.page(&Filter::default(), Some(u64::MAX), 5).next,
            10,
            "after a restart numbers begin anew"
        );
    }

    #[test]
    fn what_does_not_fit_is_passed_over() {
        let ring = ring(10, 10);
        let filter = Filter { room: fanfare_core::RoomPattern::new("room:1"), ..Filter::default() };
        let page = ring.page(&filter, Some(0), 2);
        assert_eq!((seqs(&page), page.next), (vec![2, 4], 4));
        let rest = ring.page(&filter, Some(4), 10);
        assert_eq!((seqs(&rest), rest.next), (vec![6, 8, 10], 10));
    }
}
