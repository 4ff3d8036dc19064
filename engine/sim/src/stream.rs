//! What a member has seen of one room, and the rule by which a client knows where to go on.
//!
//! A message with a priority may come before earlier ones. So it does not move the place from which the client
//! recovers: only a message without one does, since everything before that has come by then. What comes again after a
//! recovery is known by its offset.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// See the module's own text.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stream {
    /// The count that the places belong to; empty before the first join.
    pub(crate) epoch: String,
    /// Everything up to here has come, or never will.
    pub(crate) place: u64,
    /// Whether that is a guess, until a message without a priority or a notice comes.
    pub(crate) unsure: bool,
    /// Messages beyond the place that have come since the join, with their priorities.
    ahead: BTreeMap<u64, u8>,
    /// The same from before the join: these may come again.
    before: BTreeMap<u64, u8>,
    /// Messages that came after others with later places.
    pub(crate) overtaken: u64,
    /// Messages that came again after a recovery.
    pub(crate) repeated: u64,
}

impl Stream {
    /// A join was answered: everything after the place will come.
    pub(crate) fn recovered(&mut self, stands: u64) -> Result<(), String> {
        self.before.append(&mut self.ahead);
        self.knows_no_more_than(stands)
    }

    /// A join was answered, and the stream begins anew.
    pub(crate) fn begin(&mut self, epoch: &str, stands: u64) -> Result<(), String> {
        let known = if self.epoch == epoch { self.knows_no_more_than(stands) } else { Ok(()) };
        self.ahead.clear();
        self.before.clear();
        epoch.clone_into(&mut self.epoch);
        (self.place, self.unsure) = (stands, false);
        known
    }

    /// It goes on somewhere, and only the server knows where: behind what has come, unless the server `forgot` that.
    pub(crate) fn begin_somewhere(&mut self, epoch: &str, forgot: bool) {
        self.place = if self.epoch == epoch && !forgot { self.last() } else { 0 };
        self.ahead.clear();
        self.before.clear();
        epoch.clone_into(&mut self.epoch);
        self.unsure = true;
    }

    /// The place to go on from after a loss.
    pub(crate) fn named(&self) -> Option<(&str, u64)> {
        (!self.epoch.is_empty() && !self.unsure).then_some((&self.epoch, self.place))
    }

    fn last(&self) -> u64 {
        let last = [&self.ahead, &self.before].into_iter().filter_map(|of| of.keys().last()).max();
        last.copied().unwrap_or(0).max(self.place)
    }

    fn knows_no_more_than(&self, stands: u64) -> Result<(), String> {
        let last = self.last();
        if last <= stands { Ok(()) } else { Err(format!("the room stands before {last}, which has come")) }
    }

    /// A message came; gives the places that it leaves empty.
    pub(crate) fn message(&mut self, at: u64, priority: u8) -> Result<Vec<u64>, String> {
        if at <= self.place {
            return Err(format!("again, or out of order after {}", self.place));
        }
        if self.ahead.contains_key(&at) {
            return Err("it came twice".to_owned());
        }
        let mut later = self.ahead.range(at..);
        if let Some((other, as_urgent)) = later.find(|(_, other)| **other <= priority) {
            return Err(format!("{other} came before it with priority {as_urgent}"));
        }
        self.overtaken += u64::from(self.ahead.range(at..).next().is_some());
        self.repeated += u64::from(self.before.remove(&at).is_some());
        if priority > 0 {
            self.ahead.insert(at, priority);
            return Ok(Vec::new());
        }
        Ok(self.go_to(at..=at))
    }

    /// These places stay empty; gives those before them that do as well, of which nobody said so.
    pub(crate) fn gap(&mut self, places: RangeInclusive<u64>) -> Result<Vec<u64>, String> {
        if *places.start() <= self.place {
            return Err(format!("again, or out of order after {}", self.place));
        }
        if let Some((at, _)) = self.ahead.range(places.clone()).next() {
            return Err(format!("{at} has come"));
        }
        Ok(self.go_to(places))
    }

    fn go_to(&mut self, places: RangeInclusive<u64>) -> Vec<u64> {
        let guessed = std::mem::take(&mut self.unsure);
        let holes = if guessed { Vec::new() } else { self.missing(places.start() - 1).collect() };
        self.place = *places.end();
        self.ahead = self.ahead.split_off(&(self.place + 1));
        self.before = self.before.split_off(&(self.place + 1));
        holes
    }

    /// What has not come up to here.
    pub(crate) fn missing(&self, to: u64) -> impl Iterator<Item = u64> {
        (self.place + 1..=to).filter(|at| !self.ahead.contains_key(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(stands: u64) -> Stream {
        let mut stream = Stream::default();
        stream.begin("e", stands).unwrap();
        stream
    }

    #[test]
    fn only_ordinary_messages_and_notices_move_the_place() {
        let mut stream = stream(3);
        assert_eq!(stream.message(6, 5), Ok(vec![]));
        assert_eq!((stream.place, stream.message(5, 0)), (3, Ok(vec![4])));
        assert_eq!((stream.place, stream.overtaken), (5, 1));
        assert_eq!(stream.message(9, 0), Ok(vec![7, 8]));
        assert_eq!(stream.message(13, 1), Ok(vec![]));
        assert_eq!((stream.gap(11..=12), stream.place), (Ok(vec![10]), 12));
        assert_eq!(stream.missing(15).collect::<Vec<_>>(), [14, 15]);
    }

    #[test]
    fn what_must_not_come_is_seen() {
        let mut stream = stream(3);
        stream.message(8, 5).unwrap();
        assert!(stream.message(8, 5).is_err(), "twice");
        assert!(stream.message(7, 5).is_err(), "out of order within a priority");
        assert!(stream.message(7, 6).is_err(), "more urgent, but behind");
        assert!(stream.gap(7..=9).is_err(), "one of them has come");
        stream.message(7, 4).unwrap();
        stream.message(6, 0).unwrap();
        assert!(stream.message(5, 9).is_err(), "everything earlier had come");
        assert!(stream.gap(5..=5).is_err());
    }

    #[test]
    fn after_a_recovery_what_was_ahead_may_come_again() {
        let mut stream = stream(3);
        stream.message(5, 7).unwrap();
        stream.recovered(6).unwrap();
        assert_eq!(stream.message(4, 0), Ok(vec![]));
        assert_eq!((stream.message(6, 0), stream.repeated), (Ok(vec![5]), 0), "it has to come again");
        stream.message(8, 7).unwrap();
        stream.recovered(9).unwrap();
        stream.message(8, 7).unwrap();
        assert_eq!(stream.repeated, 1);
        assert!(stream.recovered(7).is_err(), "the room had come further");
    }
}
