//! One thing that the inspector remembers.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;

/// What a record is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// A message that was handed out.
    Message,
    /// What happened to a connection.
    Event,
    /// A command that was refused, or a connection that ended because something was wrong.
    Error,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Message, Self::Event, Self::Error];

    /// The word for several of them, in paths and queries.
    pub(crate) const fn plural(self) -> &'static str {
        match self {
            Self::Message => "messages",
            Self::Event => "events",
            Self::Error => "errors",
        }
    }

    pub(crate) fn of_plural(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.plural() == text)
    }
}

/// One record, as it is shown; what it does not have is left out.
#[derive(Debug, Serialize)]
pub(crate) struct Record {
    pub(crate) kind: Kind,
    /// Its number among the records of its kind, from 1 on; given when it is taken in.
    pub(crate) seq: u64,
    pub(crate) at_unix_ms: u64,
    /// The shard that told it: of a message, its room's home; otherwise the connection's.
    pub(crate) shard: u8,
    /// Of a message its type, of an event what happened, of an error the name of its code.
    #[serde(rename = "type")]
    pub(crate) what: Cow<'static, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) room: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user_id: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) client_id: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) role: Option<Box<str>>,
    /// Where a connection came from that was not let in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) peer: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) code: Option<u16>,
    /// What the code means.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) meaning: Option<&'static str>,
    /// Why, where the server says more than the code does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<Box<str>>,
    /// Of an error: the event it came with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) during: Option<&'static str>,
    #[serde(flatten)]
    pub(crate) header: Option<Header>,
}

/// What only messages have.
#[derive(Debug, Serialize)]
pub(crate) struct Header {
    pub(crate) epoch: Box<str>,
    pub(crate) offset: u64,
    pub(crate) message_id: Box<str>,
    pub(crate) priority: u8,
    /// Of its `data`, as it was published.
    pub(crate) bytes: usize,
    /// Members of the room when it was handed out.
    pub(crate) members: u32,
    /// What it says, where that is held and short enough to be held whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) data: Option<Box<RawValue>>,
    /// The beginning of what it says, where it is longer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) data_start: Option<Box<str>>,
}

#[cfg(test)]
impl Record {
    /// A record with no more than this.
    pub(crate) fn plain(kind: Kind, what: &'static str, room: &str, at_unix_ms: u64) -> Self {
        Self {
            kind,
            seq: 0,
            at_unix_ms,
            shard: 0,
            what: what.into(),
            room: (!room.is_empty()).then(|| room.into()),
            user_id: None,
            client_id: None,
            role: None,
            peer: None,
            code: None,
            meaning: None,
            reason: None,
            during: None,
            header: None,
        }
    }
}
