//! What would be one line for each command of a client gone wrong, as one line for each user and minute.

use std::collections::BTreeMap;

use fanfare_protocol::Code;

use super::denied::Denied;
use super::record::{Outcome, Record, text};

/// Users and codes counted apart within one minute; who comes later is counted together with the others.
const COUNTS_MAX: usize = 1_024;

/// Refused commands since the last lines about them.
#[derive(Debug, Default)]
pub(super) struct Tally {
    counts: BTreeMap<(Box<str>, u16), u64>,
    others: u64,
    /// The same of who was not let in.
    pub(super) denied: Denied,
}

impl Tally {
    /// One more command was refused. Codes that have a line of their own are left out.
    pub(super) fn count(&mut self, user_id: &str, code: Option<u16>) {
        let Some(code) = code.filter(|code| event(*code).is_some()) else { return };
        if user_id.is_empty() {
            // Not welcomed yet: its end tells.
            return;
        }
        let key = (Box::from(user_id), code);
        if let Some(count) = self.counts.get_mut(&key) {
            *count += 1;
        } else if self.counts.len() < COUNTS_MAX {
            self.counts.insert(key, 1);
        } else {
            self.others += 1;
        }
    }

    /// The lines of this minute; the next one begins.
    pub(super) fn take(&mut self) -> Vec<Record> {
        let counts = std::mem::take(&mut self.counts).into_iter();
        let mut records: Vec<Record> = counts
            .filter_map(|((user_id, code), count)| {
                let record = Record::new(event(code)?, Outcome::Denied).code(code).with("count", count);
                Some(Record { user_id: text(&user_id), ..record })
            })
            .collect();
        let others = std::mem::take(&mut self.others);
        if others > 0 {
            let reason = "of further users, not told apart";
            records.push(Record::new("refused", Outcome::Denied).because(reason).with("count", others));
        }
        records.extend(self.denied.take());
        records
    }
}

const fn event(code: u16) -> Option<&'static str> {
    const REFRESH: u16 = Code::AuthenticationFailed.number();
    const RATE: u16 = Code::RateLimitExceeded.number();
    const MALFORMED: u16 = Code::InvalidMessage.number();
    match code {
        REFRESH => Some("refresh_denied"),
        RATE => Some("rate_limited"),
        MALFORMED => Some("malformed"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_one_line_for_each_kind() {
        let mut tally = Tally::default();
        for (user, code) in [("ada", 4_004), ("ada", 4_004), ("ada", 4_005), ("ben", 4_004), ("", 4_001)] {
            tally.count(user, Some(code));
        }
        // Told by `join_denied` and the like.
        tally.count("ada", Some(4_013));
        tally.count("ada", None);
        let lines: Vec<String> =
            tally.take().iter().map(|record| serde_json::to_string(record).unwrap()).collect();
        assert_eq!(
            lines,
            [
                r#"{"event":"rate_limited","outcome":"denied","code":4004,"user_id":"ada","count":2}"#,
                r#"{"event":"malformed","outcome":"denied","code":4005,"user_id":"ada","count":1}"#,
                r#"{"event":"rate_limited","outcome":"denied","code":4004,"user_id":"ben","count":1}"#,
            ]
        );
        assert!(tally.take().is_empty());
    }

    #[test]
    fn many_users_take_no_more_than_their_place() {
        let mut tally = Tally::default();
        (0..COUNTS_MAX + 10).for_each(|user| tally.count(&user.to_string(), Some(4_004)));
        let records = tally.take();
        assert_eq!(records.len(), COUNTS_MAX + 1);
        assert_eq!(records[COUNTS_MAX].more["count"], 10);
    }
}
