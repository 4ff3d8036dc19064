//! What a reader of an acknowledged room has got. Messages may come again there, but not once they are acknowledged, not
//! too early and not too often; and when one comes, everything before it that is for this reader has come or was told.

use std::collections::{BTreeSet, HashMap};
use std::ops::RangeInclusive;

/// See the module's own text.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reader {
    /// The count that the places belong to; empty before the first join.
    pub(crate) epoch: String,
    /// Everything after here is for it.
    pub(crate) start: u64,
    /// The furthest place that has come or was told: so far it may acknowledge.
    pub(crate) top: u64,
    /// Nothing up to here may come any more.
    floor: u64,
    got: BTreeSet<u64>,
    told: BTreeSet<u64>,
    /// Places that were left out by what came after them.
    pub(crate) holes: BTreeSet<u64>,
    /// How often each message came since the join.
    times: HashMap<u64, u32>,
    joined_ms: u64,
    /// Messages that came again.
    pub(crate) again: u64,
}

/// How a room sends again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    pub(crate) ack_wait_ms: u64,
    pub(crate) max_deliver: u32,
}

impl Reader {
    /// A join was answered, asked for at that time. With `anew` the server may have forgotten the reader: what came before
    /// it asks for no more. Up to `floor` everything was acknowledged before the join was asked for.
    pub(crate) fn joined(&mut self, epoch: &str, stands: u64, asked_ms: u64, anew: bool, floor: u64) {
        // Of another count nothing was acknowledged.
        let floor = if self.epoch == epoch { floor } else { 0 };
        if self.epoch != epoch {
            *self = Self { epoch: epoch.to_owned(), start: stands, top: stands, ..Self::default() };
        } else if anew {
            self.start = stands;
            self.top = stands.max(self.top);
        }
        self.times.clear();
        (self.joined_ms, self.floor) = (asked_ms, floor);
    }

    /// An acknowledgement was answered.
    pub(crate) fn acknowledged(&mut self, offset: u64) {
        self.floor = self.floor.max(offset);
    }

    /// A message came that was published at that time at the earliest.
    pub(crate) fn message(
        &mut self,
        at: u64,
        published_ms: u64,
        now_ms: u64,
        rule: Rule,
    ) -> Result<(), String> {
        if at <= self.floor {
            return Err(format!("everything up to {} was acknowledged", self.floor));
        }
        let times = self.times.entry(at).or_default();
        *times += 1;
        let waited_ms = now_ms - published_ms.max(self.joined_ms);
        if u64::from(*times) > 1 + waited_ms / rule.ack_wait_ms {
            return Err(format!("{times} times within {waited_ms} ms"));
        }
        if *times > rule.max_deliver {
            return Err(format!("{times} times"));
        }
        self.go_to(at..=at);
        self.again += u64::from(!self.got.insert(at));
        Ok(())
    }

    /// These places stay empty for now.
    pub(crate) fn gap(&mut self, places: RangeInclusive<u64>) -> Result<(), String> {
        if *places.start() <= self.floor {
            return Err(format!("everything up to {} was acknowledged", self.floor));
        }
        self.go_to(places.clone());
        self.told.extend(places);
        Ok(())
    }

    fn go_to(&mut self, places: RangeInclusive<u64>) {
        let left_out = self.top + 1..*places.start();
        self.holes.extend(left_out.filter(|at| !self.told.contains(at)));
        self.top = self.top.max(*places.end());
    }

    /// What has neither come nor been told up to here.
    pub(crate) fn missing(&self, to: u64) -> impl Iterator<Item = u64> {
        (self.start + 1..=to).filter(|at| !self.got.contains(at) && !self.told.contains(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: Rule = Rule { ack_wait_ms: 10, max_deliver: 3 };

    fn reader(stands: u64) -> Reader {
        let mut reader = Reader::default();
        reader.joined("e", stands, 100, true, 0);
        reader
    }

    #[test]
    fn a_message_comes_again_in_time_and_not_too_often() {
        let mut reader = reader(0);
        reader.message(1, 120, 125, RULE).unwrap();
        assert!(reader.clone().message(1, 120, 129, RULE).is_err(), "too early");
        reader.message(1, 120, 130, RULE).unwrap();
        assert!(reader.clone().message(1, 120, 139, RULE).is_err(), "too early once more");
        reader.message(1, 120, 140, RULE).unwrap();
        assert!(reader.message(1, 120, 190, RULE).is_err(), "three times is enough");
        reader.joined("e", 1, 200, false, 0);
        reader.message(1, 120, 200, RULE).unwrap();
        assert_eq!(reader.again, 3);
    }

    #[test]
    fn what_was_acknowledged_comes_no_more() {
        let mut reader = reader(0);
        reader.message(2, 100, 100, RULE).unwrap();
        reader.acknowledged(2);
        assert!(reader.message(1, 100, 200, RULE).is_err());
        assert!(reader.gap(2..=3).is_err());
        reader.joined("e", 4, 200, false, 3);
        assert!(reader.message(3, 100, 200, RULE).is_err());
        reader.message(4, 100, 200, RULE).unwrap();
    }

    #[test]
    fn what_is_left_out_is_seen() {
        let mut reader = reader(3);
        reader.message(5, 100, 100, RULE).unwrap();
        reader.gap(7..=8).unwrap();
        reader.message(9, 100, 100, RULE).unwrap();
        reader.message(4, 100, 120, RULE).unwrap();
        assert_eq!(reader.holes.iter().copied().collect::<Vec<_>>(), [4, 6], "even if it comes later");
        assert_eq!(reader.missing(10).collect::<Vec<_>>(), [6, 10]);
        reader.joined("e", 12, 200, true, 0);
        assert_eq!((reader.missing(12).count(), reader.top), (0, 12));
        reader.joined("f", 0, 200, true, 12);
        reader.message(1, 100, 200, RULE).unwrap();
    }
}
