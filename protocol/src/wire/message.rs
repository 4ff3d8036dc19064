//! What members receive.

use bytes::Bytes;

/// A value that passes through as its publisher wrote it: one complete, checked value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// One JSON value (RFC 8259), byte for byte.
    Json(Bytes),
    /// One MessagePack value, byte for byte.
    MessagePack(Bytes),
}

impl Body {
    /// Length in bytes.
    pub fn len(&self) -> usize {
        match self {
            Self::Json(bytes) | Self::MessagePack(bytes) => bytes.len(),
        }
    }

    /// Whether there are no bytes at all (no valid value is empty).
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A published message with the place it got in its room, ready to be encoded. One without a place is a signal: it is for who is
/// there now, and is kept nowhere.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// The publisher's event, on the wire as `type`.
    pub event: &'a str,
    /// The room it was published to.
    pub room: &'a str,
    /// Its place in the room, from 1; 0: it has none, and neither epoch nor id are written.
    pub offset: u64,
    /// The epoch that the offset belongs to.
    pub epoch: &'a str,
    /// Unique id: the publisher's own or the engine's.
    pub message_id: &'a str,
    /// Milliseconds since 1970 (UTC), on the wire as RFC 3339 text with milliseconds and `Z`.
    pub timestamp_unix_ms: u64,
    /// The publisher, if it was a user.
    pub user_id: Option<&'a str>,
    /// 0 (low) to 9 (urgent); 0 is not written.
    pub priority: u8,
    /// What it says.
    pub body: &'a Body,
}
