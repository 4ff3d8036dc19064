//! The few commands a load generator sends besides `publish`, and the answers it reads.

use fanfare_protocol::Encoding;
use serde::{Deserialize, Serialize};

/// An answer or another message that is no delivery, parsed whole. Fields that are not needed are skipped.
#[derive(Debug, Deserialize)]
pub(crate) struct Answer {
    /// What it is (`welcome`, `joined`, `published`, `error` …).
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// The id of the command it answers.
    #[serde(default)]
    pub(crate) id: Option<Id>,
    /// The place in the room.
    #[serde(default)]
    pub(crate) offset: Option<u64>,
    /// Which count the offset belongs to.
    #[serde(default)]
    pub(crate) epoch: Option<String>,
    /// Whether all that was missed follows.
    #[serde(default)]
    pub(crate) recovered: bool,
    /// The name of an error.
    #[serde(default)]
    pub(crate) name: Option<String>,
}

/// A command's id as it comes back.
#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(untagged)]
pub(crate) enum Id {
    /// Of a join: the room's number.
    Number(u64),
    /// Of a publish: the message's number as hexadecimal text.
    Text(String),
}

impl Answer {
    /// Reads one; `None` when it is no object with a `type`.
    pub(crate) fn read(encoding: Encoding, message: &[u8]) -> Option<Self> {
        match encoding {
            Encoding::Json => serde_json::from_slice(message).ok(),
            Encoding::MessagePack => rmp_serde::from_slice(message).ok(),
        }
    }
}

#[derive(Serialize)]
struct MembershipCommand<'a> {
    r#type: &'a str,
    id: u32,
    room: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    recover: Option<Recover<'a>>,
}

/// Where an earlier connection stopped.
#[derive(Clone, Copy, Serialize)]
pub(crate) struct Recover<'a> {
    /// The room's epoch.
    pub(crate) epoch: &'a str,
    /// The last offset that arrived.
    pub(crate) offset: u64,
}

/// The payload of a `join` or `leave` of room `number`; empty only if the encoder refused.
pub(crate) fn membership(
    encoding: Encoding,
    kind: &str,
    number: u32,
    room: &str,
    recover: Option<Recover<'_>>,
) -> Vec<u8> {
    let command = MembershipCommand { r#type: kind, id: number, room, recover };
    match encoding {
        Encoding::Json => serde_json::to_vec(&command).unwrap_or_default(),
        Encoding::MessagePack => rmp_serde::to_vec_named(&command).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_whatever_else_they_carry() {
        let text =
            br#"{"type":"joined","id":7,"room":"load:7","epoch":"k3f9","offset":12,"recovered":false}"#;
        let answer = Answer::read(Encoding::Json, text).unwrap();
        assert_eq!(
            (answer.kind.as_str(), answer.id, answer.offset),
            ("joined", Some(Id::Number(7)), Some(12))
        );
        let text =
            br#"{"type":"error","id":"0000002a","code":4004,"name":"RATE_LIMIT_EXCEEDED","details":{}}"#;
        let answer = Answer::read(Encoding::Json, text).unwrap();
        assert_eq!(answer.id, Some(Id::Text("0000002a".into())));
        assert_eq!(answer.name.as_deref(), Some("RATE_LIMIT_EXCEEDED"));
        assert!(Answer::read(Encoding::Json, b"[1]").is_none());
        assert!(Answer::read(Encoding::MessagePack, b"\xc1").is_none());
    }

    #[test]
    fn a_join_is_the_same_command_in_both_encodings() {
        let join = |encoding| membership(encoding, "join", 3, "load:3", None);
        let json: serde_json::Value = serde_json::from_slice(&join(Encoding::Json)).unwrap();
        let msgpack: serde_json::Value = rmp_serde::from_slice(&join(Encoding::MessagePack)).unwrap();
        assert_eq!(json, msgpack);
        assert_eq!(json, serde_json::json!({"type": "join", "id": 3, "room": "load:3"}));
    }
}
