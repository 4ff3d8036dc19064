//! A live tail: what somebody who watches is sent next.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::TAILS_MAX;
use super::query::{Filter, Query};
use super::record::{Kind, Record};
use super::records::Records;

/// Records of each kind that are looked at in one go, so that one tail holds up nobody.
const LOOKS_MAX: usize = 256;

/// One of the places that there are for tails; free again when it is dropped.
#[derive(Debug)]
pub(crate) struct Seat(Arc<AtomicUsize>);

impl Seat {
    pub(super) fn take(taken: &Arc<AtomicUsize>) -> Option<Self> {
        let free = |taken: usize| (taken < TAILS_MAX).then_some(taken + 1);
        taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, free).ok()?;
        Some(Self(Arc::clone(taken)))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How far somebody has got in what they want to see.
#[derive(Debug)]
pub(crate) struct Tail {
    filter: Filter,
    /// The kinds that are wanted, and the number of the last record of each that was looked at.
    taken: Vec<(Kind, u64)>,
    _seat: Seat,
}

/// What is to be sent.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// By time.
    pub(crate) records: Vec<Arc<Record>>,
    /// Records that went by unseen, whether or not they would have fitted.
    pub(crate) skipped: u64,
    /// There is more to look at.
    pub(crate) more: bool,
}

impl Tail {
    /// Begins with what comes from now on.
    pub(crate) fn new(query: Query, records: &Records, seat: Seat) -> Self {
        let Query { filter, kinds, .. } = query;
        let taken = kinds.into_iter().map(|kind| (kind, records.ring(kind).written())).collect();
        Self { filter, taken, _seat: seat }
    }

    /// Takes what came since the last time.
    pub(crate) fn take(&mut self, records: &Records) -> Batch {
        let mut batch = Batch::default();
        for (kind, taken) in &mut self.taken {
            let ring = records.ring(*kind);
            let missed = ring.missed(*taken);
            batch.skipped += missed;
            *taken += missed;
            for record in ring.after(*taken).take(LOOKS_MAX) {
                *taken = record.seq;
                if self.filter.fits(record) {
                    batch.records.push(Arc::clone(record));
                }
            }
            batch.more |= *taken < ring.written();
        }
        // A join comes before the message that was published in the same millisecond, and an error after both.
        let rank = |kind| match kind {
            Kind::Event => 0,
            Kind::Message => 1,
            Kind::Error => 2,
        };
        batch.records.sort_by_key(|record| (record.at_unix_ms, rank(record.kind)));
        batch
    }
}

#[cfg(test)]
mod tests {
    use super::super::query::Asked;
    use super::*;
    use crate::config;

    fn records(max: usize) -> Records {
        Records::new(&config::Inspector {
            enabled: true,
            payloads: false,
            messages: max,
            events: max,
            errors: max,
            rooms: 10,
        })
    }

    fn tail(query: &str, records: &Records) -> Tail {
        let seat = Seat::take(&Arc::default()).unwrap();
        Tail::new(Query::read(query, Asked::Tail).unwrap(), records, seat)
    }

    fn say(records: &mut Records, room: &str, at_unix_ms: u64) {
        records.add(Record::plain(Kind::Message, "say", room, at_unix_ms));
    }

    #[test]
    fn a_tail_gets_what_comes_after_it_once_and_in_the_order_of_time() {
        let mut records = records(10);
        say(&mut records, "a", 1);
        let (mut all, mut of_a) = (tail("", &records), tail("kind=messages&room=a", &records));
        say(&mut records, "b", 5);
        say(&mut records, "a", 5);
        records.add(Record::plain(Kind::Error, "FORBIDDEN", "a", 4));
        records.add(Record::plain(Kind::Event, "join", "a", 5));
        let batch = all.take(&records);
        let seen: Vec<_> = batch.records.iter().map(|record| (&*record.what, record.at_unix_ms)).collect();
        assert_eq!(seen, [("FORBIDDEN", 4), ("join", 5), ("say", 5), ("say", 5)]);
        assert_eq!((batch.skipped, batch.more), (0, false));
        assert!(all.take(&records).records.is_empty());
        let batch = of_a.take(&records);
        assert_eq!(batch.records.iter().map(|record| record.seq).collect::<Vec<_>>(), [3]);
    }

    #[test]
    fn who_was_away_too_long_is_told_how_much_went_by() {
        let mut records = records(3);
        let mut tail = tail("", &records);
        (0..10).for_each(|at| say(&mut records, "a", at));
        let batch = tail.take(&records);
        assert_eq!((batch.skipped, batch.records.len()), (7, 3));
        assert_eq!(tail.take(&records).skipped, 0);
    }

    #[test]
    fn one_look_is_bounded_and_the_next_goes_on() {
        let mut records = records(1_000);
        let mut tail = tail("", &records);
        (0..600).for_each(|at| say(&mut records, "a", at));
        let sizes: Vec<_> =
            (0..3).map(|_| tail.take(&records)).map(|of| (of.records.len(), of.more)).collect();
        assert_eq!(sizes, [(256, true), (256, true), (88, false)]);
    }

    #[test]
    fn seats_are_given_back() {
        let taken = Arc::default();
        let mut seats: Vec<_> = (0..TAILS_MAX).map(|_| Seat::take(&taken).unwrap()).collect();
        assert!(Seat::take(&taken).is_none());
        seats.pop();
        assert!(Seat::take(&taken).is_some());
        drop(seats);
        assert_eq!(taken.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn tails_are_woken_before_half_of_a_ring_is_new() {
        let mut records = records(10);
        (0..5).for_each(|at| say(&mut records, "a", at));
        assert!(!records.is_half_new());
        say(&mut records, "a", 5);
        assert!(records.is_half_new() && !records.is_half_new());
    }
}
