//! What a backend answered. Whatever is not exactly an answer is none: what a backend did not mean must not be done.

use fanfare_core::{About, Changes, RoomPattern, Verdict};
use fanfare_protocol::name::check_id;
use fanfare_protocol::{Body, EventName, json};
use serde::Deserialize;
use serde_json::value::RawValue;

/// What is said when a backend denies and says no more.
const DENIED: &str = "the backend does not allow this";
/// As long as the reason of a close frame may be.
const REASON_BYTES_MAX: usize = 123;
/// Most patterns of rooms in one answer.
const ROOMS_MAX: usize = 256;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer<'a> {
    allow: bool,
    reason: Option<String>,
    event: Option<String>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    role: Option<String>,
    rooms: Option<Vec<String>>,
}

/// Reads an answer to a question about this. A message's new `data` may have so many bytes.
///
/// # Errors
/// It is none; the text says what is wrong, without any of it.
pub(super) fn read(bytes: &[u8], about: &About, data_bytes_max: usize) -> Result<Verdict, &'static str> {
    let answer: Answer<'_> = serde_json::from_slice(bytes)
        .map_err(|_| "the answer is not an object of known fields with `allow`")?;
    let Answer { allow, reason, event, data, role, rooms } = answer;
    if !matches!(about, About::Connect { .. }) && (role.is_some() || rooms.is_some()) {
        return Err("only the answer to a connect may hold `role` and `rooms`");
    }
    if !matches!(about, About::Publish(_)) && (event.is_some() || data.is_some()) {
        return Err("only the answer to a publish may hold `event` and `data`");
    }
    if !allow {
        return Ok(Verdict::Deny(
            reason.as_deref().map(told).filter(|text| !text.is_empty()).unwrap_or_else(|| DENIED.to_owned()),
        ));
    }
    let changes = Changes {
        role: role.map(checked_role).transpose()?,
        rooms: rooms.map(checked_rooms).transpose()?.map(Into::into),
        event: event.map(|text| EventName::parse(&text)).transpose().map_err(|_| "`event` is not one")?,
        body: data.map(|data| checked_data(data, data_bytes_max)).transpose()?,
    };
    Ok(Verdict::Allow(Box::new(changes)))
}

/// A reason that clients and logs can be shown.
fn told(reason: &str) -> String {
    let clean: String = reason.chars().filter(|c| !c.is_control()).collect();
    clean[..clean.floor_char_boundary(REASON_BYTES_MAX)].trim().to_owned()
}

fn checked_role(role: String) -> Result<Box<str>, &'static str> {
    check_id("role", &role).map_err(|_| "`role` is not one")?;
    Ok(role.into())
}

fn checked_rooms(rooms: Vec<String>) -> Result<Vec<RoomPattern>, &'static str> {
    let rule = "`rooms` must be up to 256 patterns of up to 128 bytes";
    if rooms.len() > ROOMS_MAX {
        return Err(rule);
    }
    rooms.iter().map(|text| RoomPattern::new(text).ok_or(rule)).collect()
}

/// Held to the same rules as what a client publishes, by the same reader.
fn checked_data(data: &RawValue, bytes_max: usize) -> Result<Body, &'static str> {
    let rule = "`data` is too large or too deep";
    if data.get().len() > bytes_max {
        return Err(rule);
    }
    let mut body = None;
    let publish = format!("{{\"all\":true,\"event\":\"x\",\"data\":{}}}", data.get());
    json::decode_publishes(publish.as_bytes(), &mut |item| body = item.ok().map(|publish| publish.body));
    body.ok_or(rule)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fanfare_protocol::RoomName;

    fn publish() -> About {
        let mut publish = None;
        let text = br#"{"room":"chat:1","event":"say","data":1}"#;
        json::decode_publishes(text, &mut |item| publish = item.ok());
        About::Publish(Box::new(publish.unwrap()))
    }

    fn allowed(text: &str, about: &About) -> Changes {
        match read(text.as_bytes(), about, 100) {
            Ok(Verdict::Allow(changes)) => *changes,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn allowed_as_it_is_or_changed() {
        let (connect, join) =
            (About::Connect { is_refresh: false }, About::Join(RoomName::parse("a").unwrap()));
        assert_eq!(allowed(r#"{"allow":true}"#, &join), Changes::default());
        assert_eq!(allowed(r#"{"allow":true,"reason":"x","event":null}"#, &publish()), Changes::default());
        let changes = allowed(r#"{"allow":true,"event":"told","data":{"b": 2}}"#, &publish());
        assert_eq!(changes.event.unwrap().as_str(), "told");
        assert_eq!(changes.body, Some(Body::Json(r#"{"b": 2}"#.into())));
        let changes = allowed(r#"{"allow":true,"role":"guest","rooms":["team:*"]}"#, &connect);
        assert_eq!((changes.role.as_deref(), changes.rooms.map(|of| of.len())), (Some("guest"), Some(1)));
    }

    #[test]
    fn denied_with_a_reason_that_can_be_shown() {
        let reason = |text: &str| match read(text.as_bytes(), &publish(), 100) {
            Ok(Verdict::Deny(reason)) => reason,
            other => panic!("{other:?}"),
        };
        assert_eq!(reason(r#"{"allow":false,"reason":" no\r\n\u0000 way "}"#), "no way");
        assert_eq!(reason(r#"{"allow":false}"#), DENIED);
        assert_eq!(reason(r#"{"allow":false,"reason":"\n"}"#), DENIED);
        assert_eq!(reason(&format!(r#"{{"allow":false,"reason":"{}"}}"#, "ü".repeat(100))), "ü".repeat(61));
    }

    #[test]
    fn anything_else_is_no_answer() {
        let deep = format!(r#"{{"allow":true,"data":{}{}}}"#, "[".repeat(65), "]".repeat(65));
        for wrong in [
            "",
            "true",
            "[]",
            "{}",
            r#"{"allow":"true"}"#,
            r#"{"allow":1}"#,
            r#"{"allow":true,"alow":1}"#,
            r#"{"allow":true} x"#,
            r#"{"allow":true,"allow":false}"#,
            r#"{"allow":true,"event":"$own"}"#,
            r#"{"allow":true,"event":"ping"}"#,
            r#"{"allow":true,"event":7}"#,
            r#"{"allow":true,"role":"admin"}"#,
            r#"{"allow":true,"rooms":["*"]}"#,
            &format!(r#"{{"allow":true,"data":"{}"}}"#, "x".repeat(1_000)),
            &deep,
        ] {
            assert!(read(wrong.as_bytes(), &publish(), 1_000).is_err(), "{wrong}");
        }
        let connect = About::Connect { is_refresh: false };
        for wrong in [
            r#"{"allow":true,"role":""}"#.to_owned(),
            r#"{"allow":true,"rooms":[""]}"#.to_owned(),
            r#"{"allow":true,"data":1}"#.to_owned(),
            format!(r#"{{"allow":true,"rooms":[{}"a"]}}"#, "\"a\",".repeat(256)),
        ] {
            assert!(read(wrong.as_bytes(), &connect, 100).is_err(), "{wrong}");
        }
    }
}
