//! One message in a room's log.

use fanfare_protocol::{Body, EventName, Message, RoomName};

use crate::options::Options;

/// A message with its place, as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its place in its room.
    pub offset: u64,
    /// When it was published, in milliseconds of the steady clock.
    pub at_ms: u64,
    /// From when on it is of no use, in milliseconds of the steady clock; [`u64::MAX`]: it always is.
    pub expires_ms: u64,
    /// When it was published, in milliseconds since 1970, as readers are told.
    pub timestamp_unix_ms: u64,
    /// Its type.
    pub event: EventName,
    /// The publisher, if it is a user, by the name of its own room.
    pub user: Option<RoomName>,
    /// What it says.
    pub body: Body,
    /// Its id.
    pub message_id: Box<str>,
    /// Whether the publisher chose the id, so that a retry is known by it.
    pub is_publishers_id: bool,
    /// Only for these roles, when not empty.
    pub roles: Vec<Box<str>>,
    /// Whether the publisher wanted no copy, and so owes no acknowledgement.
    pub not_for_publisher: bool,
    /// 0 (low) to 9 (urgent).
    pub priority: u8,
}

impl Entry {
    /// As it is written, for a room of this name and epoch.
    pub fn message<'e>(&'e self, room: &'e RoomName, epoch: &'e str) -> Message<'e> {
        Message {
            event: self.event.as_str(),
            room: room.as_str(),
            offset: self.offset,
            epoch,
            message_id: &self.message_id,
            timestamp_unix_ms: self.timestamp_unix_ms,
            user_id: self.user.as_ref().and_then(|user| user.as_str().strip_prefix("@user:")),
            priority: self.priority,
            body: &self.body,
        }
    }

    /// Whether a reader must get it.
    pub fn is_owed_to(&self, user: &RoomName, role: &str, options: &Options) -> bool {
        self.is_for(role, options) && !(self.not_for_publisher && self.user.as_ref() == Some(user))
    }

    /// Whether those with this role may read it.
    pub fn is_for(&self, role: &str, options: &Options) -> bool {
        (self.roles.is_empty() || self.roles.iter().any(|of| **of == *role))
            && options.may_receive(role, &self.event)
    }
}
