//! What users gave messages.

use std::collections::{BTreeMap, BTreeSet};

use fanfare_protocol::{Code, Refusal};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Different ones of one message.
const DIFFERENT_MAX: usize = 20;
/// Messages of one room that have some; those of the oldest make place.
const MESSAGES_MAX: usize = 1_000;
/// All of one room, since each is kept with its user's name; those of the oldest messages make place.
const ALL_MAX: usize = 20_000;
/// Messages of one answer.
const PAGE: usize = 100;

/// By message: by emoji, who gave it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Reactions {
    of: BTreeMap<u64, BTreeMap<String, BTreeSet<String>>>,
    all: usize,
}

impl Reactions {
    pub(super) fn is_empty(&self) -> bool {
        self.of.is_empty()
    }

    /// Gives a message one; whether it is new.
    pub(super) fn add(&mut self, offset: u64, emoji: &str, user: &str) -> Result<bool, Refusal> {
        let given = self.of.get(&offset);
        let users = given.and_then(|given| given.get(emoji));
        if users.is_some_and(|users| users.contains(user)) {
            return Ok(false);
        }
        if users.is_none() && given.is_some_and(|given| given.len() >= DIFFERENT_MAX) {
            return Err(full("emoji", format!("a message has at most {DIFFERENT_MAX} different reactions")));
        }
        if self.all >= ALL_MAX || (given.is_none() && self.of.len() >= MESSAGES_MAX) {
            let oldest = *self.of.keys().next().expect("invariant: there are some");
            if oldest >= offset {
                return Err(full(
                    "offset",
                    "newer messages of this room have all reactions it may".to_owned(),
                ));
            }
            self.remove_all(oldest);
            return self.add(offset, emoji, user);
        }
        let users = self.of.entry(offset).or_default().entry(emoji.to_owned()).or_default();
        users.insert(user.to_owned());
        self.all += 1;
        Ok(true)
    }

    /// Takes one back; whether there was one.
    pub(super) fn remove(&mut self, offset: u64, emoji: &str, user: &str) -> bool {
        let Some(given) = self.of.get_mut(&offset) else { return false };
        let Some(users) = given.get_mut(emoji) else { return false };
        if !users.remove(user) {
            return false;
        }
        self.all -= 1;
        if users.is_empty() {
            given.remove(emoji);
        }
        if given.is_empty() {
            self.of.remove(&offset);
        }
        true
    }

    /// A message has none any more; whether it had some.
    pub(super) fn remove_all(&mut self, offset: u64) -> bool {
        let gone = self.of.remove(&offset);
        self.all -= gone.iter().flat_map(BTreeMap::values).map(BTreeSet::len).sum::<usize>();
        gone.is_some()
    }

    /// Messages before this one are kept no more; whether one of them had some.
    pub(super) fn forget_before(&mut self, offset: u64) -> bool {
        let before = self.of.len();
        while let Some((&oldest, _)) = self.of.first_key_value().filter(|(oldest, _)| **oldest < offset) {
            self.remove_all(oldest);
        }
        self.of.len() < before
    }

    /// All of one message, as everybody is told.
    pub(super) fn of(&self, offset: u64) -> Value {
        let counts = self.of.get(&offset).into_iter().flatten();
        counts.map(|(emoji, users)| json!({ "emoji": emoji, "count": users.len() })).collect()
    }

    /// The latest messages before one, with all they have, as one user is told.
    pub(super) fn page(&self, before: u64, user: &str) -> Value {
        let message = |(offset, given): (&u64, &BTreeMap<String, BTreeSet<String>>)| {
            let counts = given.iter().map(|(emoji, users)| {
                json!({ "emoji": emoji, "count": users.len(), "mine": users.contains(user) })
            });
            json!({ "offset": offset, "reactions": counts.collect::<Vec<_>>() })
        };
        self.of.range(..before).rev().take(PAGE).map(message).collect()
    }
}

fn full(field: &'static str, message: String) -> Refusal {
    Refusal::new(Code::RateLimitExceeded, message).at(field)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_user_gives_each_emoji_once_and_may_take_it_back() {
        let mut reactions = Reactions::default();
        assert!(reactions.add(3, "+", "ada").unwrap() && reactions.add(3, "+", "ben").unwrap());
        assert!(!reactions.add(3, "+", "ada").unwrap() && reactions.add(3, "-", "ada").unwrap());
        assert_eq!(reactions.of(3), json!([{"emoji": "+", "count": 2}, {"emoji": "-", "count": 1}]));
        assert_eq!(reactions.page(4, "ben")[0]["reactions"][0]["mine"], true);
        assert_eq!(reactions.page(3, "ben"), json!([]));
        assert!(reactions.remove(3, "+", "ada") && !reactions.remove(3, "+", "ada"));
        assert!(reactions.remove(3, "+", "ben") && reactions.remove(3, "-", "ada"));
        assert!(reactions.is_empty() && reactions.all == 0);
    }

    #[test]
    fn every_bound_holds_and_the_oldest_make_place() {
        let mut reactions = Reactions::default();
        for number in 0..DIFFERENT_MAX {
            reactions.add(5, &number.to_string(), "ada").unwrap();
        }
        assert_eq!(reactions.add(5, "more", "ada").unwrap_err().field, Some("emoji"));
        assert!(reactions.add(5, "0", "ben").unwrap(), "more users may give what is there");
        for offset in 6..=MESSAGES_MAX as u64 + 5 {
            reactions.add(offset, "+", "ada").unwrap();
        }
        assert_eq!((reactions.of.len(), reactions.all), (MESSAGES_MAX, MESSAGES_MAX));
        assert_eq!(reactions.of(5), json!([]), "those of the oldest went");
        assert_eq!(reactions.add(5, "+", "ada").unwrap_err().field, Some("offset"));
        for user in 0..ALL_MAX {
            reactions.add(2_000, "+", &user.to_string()).unwrap();
        }
        assert_eq!((reactions.of.len(), reactions.all), (1, ALL_MAX));
        assert!(reactions.add(2_000, "+", "one more").is_err());
        assert!(reactions.forget_before(2_001) && reactions.is_empty() && reactions.all == 0);
    }
}
