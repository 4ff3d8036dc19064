//! What one line says. A field that has nothing to say is left out.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::SystemTime;

use fanfare_core::{ConnectionId, ShardId};
use serde::Serialize;
use serde_json::Value;

/// Bytes of what a peer chose freely: its origin, its program's name.
pub(super) const CHOSEN_BYTES_MAX: usize = 128;
/// Bytes of a path.
pub(super) const PATH_BYTES_MAX: usize = 256;

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Outcome {
    /// Done.
    Ok,
    /// Not allowed.
    Denied,
    /// Allowed, and went wrong.
    Failed,
}

/// One line before it has its number and its place in the chain.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Record {
    #[serde(skip)]
    pub(super) at: SystemTime,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) shard: Option<u8>,
    pub(super) event: &'static str,
    pub(super) outcome: Outcome,
    /// A code of the protocol, or a status of HTTP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) code: Option<u16>,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) reason: Cow<'static, str>,
    /// Who called the HTTP API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) actor: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) user_id: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) role: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) client_id: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) connection: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) remote_ip: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) origin: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) user_agent: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) kid: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) jti_sha256: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) method: Option<Box<str>>,
    /// Without its query.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) path: Option<Box<str>>,
    /// A room, or another target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) room: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) message_id: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) duration_ms: Option<u64>,
    /// What only a few events have.
    #[serde(flatten)]
    pub(super) more: BTreeMap<&'static str, Value>,
}

impl Record {
    /// Now.
    pub(crate) fn new(event: &'static str, outcome: Outcome) -> Self {
        Self {
            at: SystemTime::now(),
            shard: None,
            event,
            outcome,
            code: None,
            reason: "".into(),
            actor: None,
            user_id: None,
            role: None,
            client_id: None,
            connection: None,
            remote_ip: None,
            origin: None,
            user_agent: None,
            kid: None,
            jti_sha256: None,
            method: None,
            path: None,
            room: None,
            message_id: None,
            duration_ms: None,
            more: BTreeMap::new(),
        }
    }

    /// Why.
    pub(crate) fn because(mut self, reason: impl Into<Cow<'static, str>>) -> Self {
        self.reason = reason.into();
        self
    }

    /// A code of the protocol, or a status of HTTP.
    pub(crate) fn code(mut self, code: u16) -> Self {
        self.code = Some(code);
        self
    }

    /// What only this event has.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.more.insert(name, value.into());
        self
    }

    /// The connection it is about. Its id is unlike all others between two `start` lines.
    pub(super) fn on(mut self, shard: ShardId, id: ConnectionId) -> Self {
        self.shard = Some(shard.0);
        self.connection = Some(format!("{}.{}.{}", shard.0, id.slot, id.generation).into());
        self
    }
}

/// Nothing where there is nothing to say.
pub(super) fn text(text: &str) -> Option<Box<str>> {
    (!text.is_empty()).then(|| text.into())
}

/// The first bytes of a text, whole characters only.
pub(super) fn clip(text: &str, bytes_max: usize) -> Box<str> {
    text[..text.floor_char_boundary(bytes_max)].into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_holds_only_what_there_is_to_say() {
        let record = Record::new("join", Outcome::Denied).code(4_003).with("count", 2);
        let line = serde_json::to_string(&record).unwrap();
        assert_eq!(line, r#"{"event":"join","outcome":"denied","code":4003,"count":2}"#);
    }

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(&*clip("aéé", 4), "aé");
        assert_eq!(&*clip("a", 4), "a");
        assert_eq!((text(""), text("a").as_deref()), (None, Some("a")));
    }
}
