//! The three commands the baselines understand, and what they answer: JSON text of one WebSocket message.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::Deserialize;
use serde_json::value::RawValue;

/// The one epoch of a baseline's rooms; as long as the engine's.
const EPOCH: &str = "k3f9a1b2";

/// A command as a client sent it, borrowed from its text.
#[derive(Debug, Deserialize)]
pub struct Command<'a> {
    /// `join`, `publish` or another word.
    #[serde(rename = "type")]
    pub kind: &'a str,
    /// The client's own number or text, given back as it is.
    #[serde(borrow, default)]
    pub id: Option<&'a RawValue>,
    /// The room.
    #[serde(default)]
    pub room: &'a str,
    /// The message's `type`.
    #[serde(default)]
    pub event: &'a str,
    /// The message's data, byte for byte.
    #[serde(borrow, default)]
    pub data: Option<&'a RawValue>,
}

impl<'a> Command<'a> {
    /// Reads one command.
    ///
    /// # Errors
    /// No JSON object with a `type`, or a member of another kind than the protocol's.
    pub fn read(text: &'a [u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(text)
    }

    fn id(&self) -> &str {
        self.id.map_or("null", RawValue::get)
    }
}

/// What a server says first.
pub fn welcome() -> String {
    format!(
        r#"{{"type":"welcome","client_id":"baseline","user_id":"load","role":"admin","protocol_version":"1.0","server_time":"{}","heartbeat_interval":30000,"max_message_size":65536,"resumed":false}}"#,
        now()
    )
}

/// The answer to a `join` of a room whose latest message has this offset.
pub fn joined(command: &Command<'_>, offset: u64) -> String {
    format!(
        r#"{{"type":"joined","id":{},"room":"{}","epoch":"{EPOCH}","offset":{offset},"recovered":false}}"#,
        command.id(),
        command.room
    )
}

/// The answer to a `publish` that got this offset.
pub fn published(command: &Command<'_>, offset: u64) -> String {
    format!(
        r#"{{"type":"published","id":{},"room":"{}","epoch":"{EPOCH}","offset":{offset},"message_id":"{}"}}"#,
        command.id(),
        command.room,
        message_id(offset)
    )
}

/// The answer to anything else.
pub fn refused(command: &Command<'_>) -> String {
    format!(
        r#"{{"type":"error","id":{},"code":4005,"name":"INVALID_MESSAGE","message":"this baseline knows join and publish","details":{{}}}}"#,
        command.id()
    )
}

/// The message that members get, of the same length as the engine's.
pub fn message(command: &Command<'_>, offset: u64) -> String {
    format!(
        r#"{{"type":"{}","room":"{}","offset":{offset},"epoch":"{EPOCH}","message_id":"{}","timestamp":"{}","user_id":"load-1000","data":{}}}"#,
        command.event,
        command.room,
        message_id(offset),
        now(),
        command.data.map_or("null", RawValue::get)
    )
}

/// 26 characters, as a ULID has.
fn message_id(offset: u64) -> String {
    format!("01K{offset:023}")
}

/// This moment as RFC 3339 text in UTC.
pub fn now() -> String {
    timestamp(unix_ms())
}

fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// RFC 3339 with milliseconds, years 1970 to 9999 (Howard Hinnant's days-to-civil arithmetic).
fn timestamp(unix_ms: u64) -> String {
    let (days, ms) = (unix_ms / 86_400_000, unix_ms % 86_400_000);
    // Count from 0000-03-01, so that a leap day is the last of its year.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
        ms / 3_600_000,
        ms / 60_000 % 60,
        ms / 1_000 % 60,
        ms % 1_000
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn known_moments_are_written_right() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_762_000_496_789, "2025-11-01T12:34:56.789Z"),
            (4_107_542_399_999, "2100-02-28T23:59:59.999Z"),
        ] {
            assert_eq!(timestamp(ms), text);
        }
    }

    #[test]
    fn answers_are_json_and_pass_id_and_data_through() {
        let text =
            br#"{"type":"publish","id":"0000002a","room":"load:1","event":"load","data":{"t":"x", "p":1}}"#;
        let command = Command::read(text).unwrap();
        let parse = |text: String| serde_json::from_str::<Value>(&text).unwrap();
        assert_eq!(parse(published(&command, 7))["id"], "0000002a");
        assert_eq!(parse(joined(&command, 7))["offset"], 7);
        assert_eq!(parse(refused(&command))["name"], "INVALID_MESSAGE");
        assert_eq!(parse(welcome())["type"], "welcome");
        let message = message(&command, 7);
        assert!(message.ends_with(r#""data":{"t":"x", "p":1}}"#));
        assert_eq!(parse(message)["message_id"].as_str().unwrap().len(), 26);
    }

    #[test]
    fn what_is_no_command_is_an_error() {
        for bad in [&b"[]"[..], b"{}", b"{\"type\":1}", b"\xff"] {
            assert!(Command::read(bad).is_err());
        }
    }
}
