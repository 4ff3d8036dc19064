//! How far each user has read.

use std::collections::BTreeMap;

use fanfare_protocol::{Code, Refusal};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Users of one room; beyond it new ones are refused.
const READERS_MAX: usize = 10_000;
/// Users of one answer.
const TOLD_MAX: usize = 200;

/// The last message that each user has read.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Reads(BTreeMap<String, u64>);

impl Reads {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How far one has read; 0: nothing.
    pub(super) fn of(&self, user: &str) -> u64 {
        self.0.get(user).copied().unwrap_or(0)
    }

    /// One has read up to here; whether that is news.
    pub(super) fn set(&mut self, user: &str, offset: u64) -> Result<bool, Refusal> {
        if let Some(mark) = self.0.get_mut(user) {
            let is_further = offset > *mark;
            *mark = offset.max(*mark);
            return Ok(is_further);
        }
        if self.0.len() >= READERS_MAX {
            let message = format!("a room has read marks of at most {READERS_MAX} users");
            return Err(Refusal::new(Code::RateLimitExceeded, message));
        }
        self.0.insert(user.to_owned(), offset);
        Ok(true)
    }

    /// Those who have read the furthest, first.
    pub(super) fn furthest(&self) -> Value {
        let mut marks: Vec<(&String, u64)> = self.0.iter().map(|(user, mark)| (user, *mark)).collect();
        let order = |a: &(&String, u64), b: &(&String, u64)| b.1.cmp(&a.1).then(a.0.cmp(b.0));
        if marks.len() > TOLD_MAX {
            marks.select_nth_unstable_by(TOLD_MAX, order);
            marks.truncate(TOLD_MAX);
        }
        marks.sort_unstable_by(order);
        marks.into_iter().map(|(user, mark)| json!({ "user_id": user, "offset": mark })).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_only_go_forward_and_are_bounded() {
        let mut reads = Reads::default();
        assert!(
            reads.set("ada", 5).unwrap() && !reads.set("ada", 3).unwrap() && !reads.set("ada", 5).unwrap()
        );
        assert_eq!((reads.of("ada"), reads.of("ben")), (5, 0));
        for number in 1..READERS_MAX as u64 {
            assert!(reads.set(&number.to_string(), number).unwrap());
        }
        assert_eq!(reads.set("one more", 1).unwrap_err().code, Code::RateLimitExceeded);
        assert!(reads.set("ada", 6).unwrap(), "who has one may move it");
        let furthest = reads.furthest();
        assert_eq!(furthest.as_array().unwrap().len(), TOLD_MAX);
        assert_eq!(furthest[0], json!({"user_id": "9999", "offset": 9_999}));
        assert_eq!(furthest[TOLD_MAX - 1]["offset"], 10_000 - TOLD_MAX as u64);
    }
}
