//! What happened, for whoever watches: the audit, the inspector, webhooks. The core tells; the shell decides who hears.

use std::borrow::Cow;
use std::sync::Arc;

use fanfare_protocol::RoomName;

use crate::entry::Entry;
use crate::id::{ConnectionId, Epoch};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Fact {
    /// What.
    pub kind: FactKind,
    /// The connection it happened to, when it was one.
    pub connection: Option<ConnectionId>,
    /// The client id, when there is one.
    pub client_id: Label,
    /// The user, when known.
    pub user_id: Label,
    /// The user's role, when known.
    pub role: Label,
    /// The room or the target, where one belongs.
    pub subject: Label,
    /// The code of a close, a refusal or a denial.
    pub code: Option<u16>,
    /// Why, where something was refused or ended; never a peer's own words.
    pub reason: Cow<'static, str>,
    /// When its connection was opened, in milliseconds since 1970.
    pub opened_unix_ms: Option<u64>,
    /// How long it took, in milliseconds, where that is told.
    pub duration_ms: Option<u64>,
    /// The message that it is about.
    pub message: Option<Box<Told>>,
}

/// A name in a fact. Most are shared with what bears them: telling a fact copies no text.
#[derive(Clone, Debug, Default)]
pub enum Label {
    /// Nothing is known, or nothing belongs there.
    #[default]
    Nothing,
    /// A room.
    Room(RoomName),
    /// A user or a client, by the name of its own room.
    Owner(RoomName),
    /// Any other text.
    Text(Arc<str>),
}

impl std::ops::Deref for Label {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Nothing => "",
            Self::Room(room) => room.as_str(),
            Self::Owner(room) => room.as_str().split_once(':').map_or("", |(_, id)| id),
            Self::Text(text) => text,
        }
    }
}

impl PartialEq for Label {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl From<&str> for Label {
    fn from(text: &str) -> Self {
        if text.is_empty() { Self::Nothing } else { Self::Text(text.into()) }
    }
}

impl From<String> for Label {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

impl From<RoomName> for Label {
    fn from(room: RoomName) -> Self {
        Self::Room(room)
    }
}

/// A message that was handed out.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// Where.
    pub room: RoomName,
    /// The epoch of its place.
    pub epoch: Epoch,
    /// The message itself. Its body is for those only who were switched on to see bodies.
    pub entry: Entry,
    /// Members of the room when it was handed out.
    pub members: u32,
}

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FactKind {
    /// A connection was welcomed.
    Connected,
    /// A connection ended.
    Closed,
    /// A connection's token was not accepted.
    AuthFailed,
    /// A connection's token was replaced by a newer one.
    Refreshed,
    /// A member came.
    Joined,
    /// Somebody was not let in.
    JoinDenied,
    /// A member left.
    Left,
    /// A member was sent away.
    Expelled,
    /// A message was not taken.
    PublishDenied,
    /// Kept messages were asked for by somebody who may read them. Only where [`Watch::history`].
    HistoryRead,
    /// Kept messages were not shown.
    HistoryDenied,
    /// A service's command was not allowed.
    CallDenied,
    /// An operator's command was taken: what a service offers to those only who have the permission for it.
    Commanded,
    /// A command was refused for another reason.
    Refused,
    /// A round trip of a connection took too long, for the first time or again.
    Slow,
    /// A message got its place and was handed out. Only where [`Watch::messages`].
    Published,
    /// A service said something that has no place. Only where [`Watch::messages`].
    Signalled,
}

impl FactKind {
    /// The name in logs and on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connected => "connect",
            Self::Closed => "close",
            Self::AuthFailed => "auth_failed",
            Self::Refreshed => "refresh",
            Self::Joined => "join",
            Self::JoinDenied => "join_denied",
            Self::Left => "leave",
            Self::Expelled => "expel",
            Self::PublishDenied => "publish_denied",
            Self::HistoryRead => "history",
            Self::HistoryDenied => "history_denied",
            Self::CallDenied => "call_denied",
            Self::Commanded => "command",
            Self::Refused => "refused",
            Self::Slow => "slow",
            Self::Published => "publish",
            Self::Signalled => "signal",
        }
    }
}

/// Of which things somebody wants to hear that nobody usually does; the others are always told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Watch {
    /// [`FactKind::Published`].
    pub messages: bool,
    /// [`FactKind::Refused`].
    pub refusals: bool,
    /// [`FactKind::HistoryRead`].
    pub history: bool,
}
