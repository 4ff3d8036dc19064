//! Errors and warnings: the newest are kept, all are counted.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// See the module's own text.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Texts {
    kept: VecDeque<String>,
    total: u64,
    bytes: usize,
}

impl Texts {
    /// Takes one more; of more than `max` the oldest goes.
    pub(super) fn push(&mut self, text: &str, max: usize) {
        self.bytes += text.len();
        self.kept.push_back(text.to_owned());
        self.total += 1;
        while self.kept.len() > max {
            self.bytes -= self.kept.pop_front().map_or(0, |oldest| oldest.len());
        }
    }

    /// Whether this one is among those that are kept.
    pub(super) fn has(&self, text: &str) -> bool {
        self.kept.iter().any(|kept| kept == text)
    }

    /// How many there ever were.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// Bytes of all that is kept.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The newest of them, the eldest first.
    pub(super) fn newest(&self, count: usize) -> Value {
        let skip = self.kept.len().saturating_sub(count);
        self.kept.iter().skip(skip).map(String::as_str).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_makes_room_and_is_counted() {
        let mut texts = Texts::default();
        ["a", "bb", "ccc", "dddd"].into_iter().for_each(|text| texts.push(text, 3));
        assert_eq!(texts.newest(9), serde_json::json!(["bb", "ccc", "dddd"]));
        assert_eq!(texts.newest(1), serde_json::json!(["dddd"]));
        assert_eq!((texts.total(), texts.bytes()), (4, 9));
    }
}
