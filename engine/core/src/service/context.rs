//! What a service sees of its room while it decides, and what it wants said.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;

use fanfare_protocol::RoomName;
use fanfare_protocol::timestamp::rfc3339_text;
use serde_json::Value;

use super::access::DenialChange;
use super::caller::Caller;
use crate::entry::Entry;
use crate::home::{Draft, Log};
use crate::id::{Address, Epoch, Random};
use crate::options::Options;
use crate::time::Now;

/// See the module's own text.
#[derive(Debug)]
pub(crate) struct Context<'c> {
    pub(crate) now: Now,
    /// The room that the instance belongs to.
    pub(crate) room: &'c RoomName,
    /// Its epoch, its last offset, and the one that its next message gets.
    pub(crate) epoch: Epoch,
    pub(crate) offset: u64,
    pub(crate) next_offset: u64,
    /// Its members on all shards.
    pub(crate) members: u32,
    /// What it keeps.
    pub(crate) log: Option<&'c Log>,
    /// What waits for the store before anybody hears of it.
    pub(crate) drafts: Option<&'c VecDeque<Draft>>,
    /// Who asks; who joins or has joined; nothing when time passes or somebody leaves.
    pub(crate) caller: Option<&'c Caller>,
    pub(crate) options: &'c Options,
    pub(crate) random: &'c mut Random,
    /// When the room was used last, in seconds of the steady clock.
    pub(crate) used_s: u32,
    /// What is to be said, in order.
    pub(crate) says: &'c mut Vec<Saying>,
    /// What is to be done to the room after that.
    pub(crate) deeds: &'c mut Vec<Deed>,
    /// Whether what [`super::Service::save`] gives has changed.
    pub(crate) changed: bool,
    /// What was let go of because a bound was reached, to be counted.
    pub(crate) dropped: u64,
}

impl Context<'_> {
    /// Something for whoever is there, kept nowhere.
    pub(crate) fn signal(&mut self, event: impl Into<Cow<'static, str>>, data: Value) {
        self.says.push(Saying::new(To::Here, event, data));
    }

    /// A message of the room, with a place in it, kept as the room keeps messages.
    pub(crate) fn message(&mut self, event: impl Into<Cow<'static, str>>, data: Value) {
        self.says.push(Saying::new(To::Room, event, data));
    }

    /// Lets a message that the room keeps say something else from now on, to whoever asks for it. Those who are there are
    /// told nothing of it.
    pub(crate) fn replace(&mut self, offset: u64, event: impl Into<Cow<'static, str>>, data: Value) {
        self.says.push(Saying::new(To::Kept(offset), event, data));
    }

    /// A message that the room keeps, or will as soon as the store has it.
    pub(crate) fn kept(&self, offset: u64) -> Option<&Entry> {
        if offset > self.offset {
            return self.drafts?.iter().map(|draft| &draft.entry).find(|entry| entry.offset == offset);
        }
        let kept = self.log?.after(offset.checked_sub(1)?).next()?;
        (kept.entry.offset == offset).then_some(&kept.entry)
    }

    /// The user who asks; empty where it is a backend.
    pub(crate) fn user_id(&self) -> &str {
        self.caller.map_or("", Caller::user_id)
    }
}

/// Something that is done to a room.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Deed {
    /// Somebody is kept out of the server from now on, or no longer.
    Deny(DenialChange),
    /// Its kept messages go, and its count begins anew.
    Purge,
    /// What the services have of it goes, but for who is there.
    Clear,
    /// Every member is told of to the services, soon: see [`super::Service::present`].
    CallRoll,
    /// Members go.
    Expel {
        /// Whose.
        whom: Expelled,
        /// What they are told.
        reason: String,
    },
}

/// Who is made to leave a room. Users by the names of their own rooms.
#[derive(Clone, Debug, PartialEq)]
pub enum Expelled {
    /// Everybody.
    All,
    /// One user.
    User(RoomName),
    /// Everybody but these users and operators.
    AllBut(Arc<[RoomName]>),
}

/// A time as it is told: RFC 3339 in UTC.
pub(crate) fn told_time(unix_ms: u64) -> Value {
    rfc3339_text(unix_ms).into()
}

/// To whom something is said.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum To {
    /// The room, as a message with a place.
    Room,
    /// Whoever is in the room now.
    Here,
    /// One connection.
    One(Address),
    /// Another room, as a message with a place there: a user's, a role's.
    Other(RoomName),
    /// Whoever is in another room now.
    There(RoomName),
    /// Nobody: it takes the place of what the kept message at this offset says. Who spoke, when, and its id stay.
    Kept(u64),
}

/// Something to be said.
#[derive(Clone, Debug)]
pub(crate) struct Saying {
    pub(crate) to: To,
    /// The message's type. Names of the engine's own begin with `$` where publishers may write, too.
    pub(crate) event: Cow<'static, str>,
    pub(crate) data: Value,
    /// On whose behalf.
    pub(crate) user: Option<RoomName>,
    /// What slow readers get the newest of: in conflating rooms, and in any where it is no message with a place.
    pub(crate) key: Option<Box<str>>,
    pub(crate) priority: u8,
    /// Seconds after which it is of no use.
    pub(crate) ttl_s: Option<u32>,
    /// A connection that gets no copy.
    pub(crate) exclude: Option<Address>,
    /// Only for these roles, when not empty.
    pub(crate) roles: Vec<Box<str>>,
}

impl Saying {
    pub(crate) fn new(to: To, event: impl Into<Cow<'static, str>>, data: Value) -> Self {
        Self {
            to,
            event: event.into(),
            data,
            user: None,
            key: None,
            priority: 0,
            ttl_s: None,
            exclude: None,
            roles: Vec::new(),
        }
    }
}
