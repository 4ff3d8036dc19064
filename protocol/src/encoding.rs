//! The two ways to write the protocol's objects, and one door to both.

use crate::wire::{CommandId, Message, Reply};
use crate::ws::OpCode;
use crate::{json, msgpack};

/// How the objects of the protocol are written; a connection chooses one by its subprotocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Encoding {
    /// Text messages of JSON (RFC 8259): `fanfare.v1.json`.
    #[default]
    Json,
    /// Binary messages of MessagePack: `fanfare.v1.msgpack`.
    MessagePack,
}

impl Encoding {
    /// The WebSocket subprotocol that stands for this encoding.
    pub const fn subprotocol(self) -> &'static str {
        match self {
            Self::Json => "fanfare.v1.json",
            Self::MessagePack => "fanfare.v1.msgpack",
        }
    }

    /// The kind of WebSocket message (RFC 6455, section 5.6) that carries it.
    pub const fn opcode(self) -> OpCode {
        match self {
            Self::Json => OpCode::Text,
            Self::MessagePack => OpCode::Binary,
        }
    }

    /// Appends a reply to the command with this `id`.
    ///
    /// ```
    /// use fanfare_protocol::{Encoding, Reply};
    /// let mut json = Vec::new();
    /// Encoding::Json.encode_reply(&Reply::Ok, None, &mut json);
    /// assert_eq!(json, br#"{"type":"ok"}"#);
    /// ```
    pub fn encode_reply(self, reply: &Reply<'_>, id: Option<&CommandId>, out: &mut Vec<u8>) {
        match self {
            Self::Json => json::encode_reply(reply, id, out),
            Self::MessagePack => msgpack::encode_reply(reply, id, out),
        }
    }

    /// Appends a message; a body in the other encoding is transcoded.
    #[inline]
    pub fn encode_message(self, message: &Message<'_>, out: &mut Vec<u8>) {
        match self {
            Self::Json => json::encode_message(message, out),
            Self::MessagePack => msgpack::encode_message(message, out),
        }
    }
}
