//! What a user wants to be sent, and when.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::note::Note;
use crate::service::Args;
use crate::service::rules::minutes;

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;
/// What passes all rules where the user has not said otherwise.
const URGENT: u8 = 8;

/// See the module's own text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Preferences {
    types_muted: Vec<Box<str>>,
    types_allowed: Vec<Box<str>>,
    minimum_priority: u8,
    /// 10: nothing passes.
    urgent_priority: u8,
    quiet_hours: Option<QuietHours>,
}

/// Hours of each day, by the user's own clock.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct QuietHours {
    /// Minutes since midnight.
    from: u16,
    to: u16,
    utc_offset_minutes: i16,
}

/// What becomes of a notification at a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Verdict {
    /// It is sent.
    Send,
    /// It is kept in the list.
    Keep,
    /// It is sent after so many milliseconds.
    Later(u64),
}

impl Default for Preferences {
    fn default() -> Self {
        Self {
            types_muted: Vec::new(),
            types_allowed: Vec::new(),
            minimum_priority: 0,
            urgent_priority: URGENT,
            quiet_hours: None,
        }
    }
}

impl Preferences {
    pub(super) fn read(args: &Args) -> Self {
        let types = |name| args.texts(name).map(Into::into).collect();
        let whole = |name, usual: u8| args.whole(name).map_or(usual, |whole| whole as u8);
        Self {
            types_muted: types("types_muted"),
            types_allowed: types("types_allowed"),
            minimum_priority: whole("minimum_priority", 0),
            urgent_priority: whole("urgent_priority", URGENT),
            quiet_hours: args.value("quiet_hours").map(QuietHours::read),
        }
    }

    /// Whether something is sent at all, now or later.
    pub(super) fn wants(&self, note: &Note) -> bool {
        let names = |types: &[Box<str>]| types.contains(&note.kind);
        let is_allowed = self.types_allowed.is_empty() || names(&self.types_allowed);
        note.priority >= self.urgent_priority
            || (is_allowed && !names(&self.types_muted) && note.priority >= self.minimum_priority)
    }

    pub(super) fn judge(&self, note: &Note, unix_ms: u64) -> Verdict {
        if !self.wants(note) {
            return Verdict::Keep;
        }
        let quiet = self.quiet_hours.filter(|_| note.priority < self.urgent_priority);
        quiet.and_then(|quiet| quiet.left_ms(unix_ms)).map_or(Verdict::Send, Verdict::Later)
    }

    pub(super) fn told(&self) -> Value {
        let clock = |minutes: u16| format!("{:02}:{:02}", minutes / 60, minutes % 60);
        let quiet = self.quiet_hours.map(|QuietHours { from, to, utc_offset_minutes }| {
            json!({ "from": clock(from), "to": clock(to), "utc_offset_minutes": utc_offset_minutes })
        });
        json!({
            "types_muted": self.types_muted,
            "types_allowed": self.types_allowed,
            "minimum_priority": self.minimum_priority,
            "urgent_priority": self.urgent_priority,
            "quiet_hours": quiet,
        })
    }
}

impl QuietHours {
    /// What keeps its rules.
    fn read(value: &Value) -> Self {
        let clock = |name: &str| value[name].as_str().and_then(minutes).unwrap_or(0);
        let utc_offset_minutes = value["utc_offset_minutes"].as_i64().unwrap_or(0) as i16;
        Self { from: clock("from"), to: clock("to"), utc_offset_minutes }
    }

    /// For how long it is still quiet, in milliseconds; nothing where it is not.
    fn left_ms(self, unix_ms: u64) -> Option<u64> {
        let at = |minutes: u16| i64::from(minutes) * MINUTE_MS;
        let here = unix_ms as i64 + i64::from(self.utc_offset_minutes) * MINUTE_MS;
        let since = (here - at(self.from)).rem_euclid(DAY_MS);
        let length = (at(self.to) - at(self.from)).rem_euclid(DAY_MS);
        (since < length).then_some((length - since) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: u64 = 3_600_000;
    /// 2026-11-20T00:00:00Z.
    const MIDNIGHT_MS: u64 = 1_795_132_800_000;

    fn quiet(from: &str, to: &str, utc_offset_minutes: i32) -> QuietHours {
        QuietHours::read(&json!({ "from": from, "to": to, "utc_offset_minutes": utc_offset_minutes }))
    }

    #[test]
    fn quiet_hours_follow_the_users_clock_over_midnight() {
        let night = quiet("22:00", "07:00", 0);
        for (hour, left) in
            [(21, None), (22, Some(9)), (23, Some(8)), (24, Some(7)), (30, Some(1)), (31, None)]
        {
            let left = left.map(|hours: u64| hours * HOUR_MS);
            assert_eq!(night.left_ms(MIDNIGHT_MS + hour * HOUR_MS), left, "at {hour}:00");
        }
        assert_eq!(night.left_ms(MIDNIGHT_MS + 31 * HOUR_MS - 1), Some(1));
        // Two hours east of Greenwich it is midnight already.
        assert_eq!(quiet("00:00", "01:00", 120).left_ms(MIDNIGHT_MS + 22 * HOUR_MS), Some(HOUR_MS));
        assert_eq!(quiet("19:00", "20:00", -300).left_ms(MIDNIGHT_MS), Some(HOUR_MS));
        let noon = quiet("12:00", "13:30", 0);
        assert_eq!(noon.left_ms(MIDNIGHT_MS + 13 * HOUR_MS), Some(HOUR_MS / 2));
        assert_eq!(noon.left_ms(MIDNIGHT_MS), None);
        assert_eq!(quiet("12:00", "12:00", 0).left_ms(MIDNIGHT_MS + 12 * HOUR_MS), None);
        // Before 1970 there is a midnight, too.
        assert_eq!(quiet("13:00", "11:00", -660).left_ms(0), Some(22 * HOUR_MS));
    }

    fn note(kind: &str, priority: u8) -> Note {
        super::super::tests::note("n", kind, priority)
    }

    #[test]
    fn what_is_urgent_passes_every_rule() {
        let preferences = Preferences {
            types_muted: vec!["chat".into()],
            minimum_priority: 3,
            quiet_hours: Some(quiet("22:00", "07:00", 0)),
            ..Preferences::default()
        };
        let (day, night) = (MIDNIGHT_MS + 12 * HOUR_MS, MIDNIGHT_MS);
        assert_eq!(preferences.judge(&note("lab", 3), day), Verdict::Send);
        assert_eq!(preferences.judge(&note("lab", 3), night), Verdict::Later(7 * HOUR_MS));
        assert_eq!(preferences.judge(&note("lab", 2), night), Verdict::Keep);
        assert_eq!(preferences.judge(&note("chat", 7), day), Verdict::Keep);
        assert_eq!(preferences.judge(&note("chat", 8), night), Verdict::Send);
        let nothing_passes = Preferences { urgent_priority: 10, ..preferences };
        assert_eq!(nothing_passes.judge(&note("chat", 9), day), Verdict::Keep);
        let only = Preferences { types_allowed: vec!["lab".into()], ..Preferences::default() };
        assert!(only.wants(&note("lab", 0)) && !only.wants(&note("chat", 7)) && only.wants(&note("chat", 8)));
    }
}
