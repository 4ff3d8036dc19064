//! The MessagePack encoding: binary messages of `fanfare.v1.msgpack`, the same objects as in JSON.
//!
//! `data` passes through byte for byte: it is checked to be one value of bounded depth and never serialised
//! again. Extension types and numbers that are not finite may stand inside it, and keys that are not text, but no
//! array or map as a key: JSON would need room for it that doubles with every level.

mod object;
pub(crate) mod source;
mod transcode;

use object::MsgpackObject;
use source::MsgpackSource;

use crate::codec::{decode as codec, reply};
use crate::wire::{CommandId, Message, Refusal, Reply, Request};

pub use transcode::from_json;

/// Reads one message, a command or an array of up to [`COMMANDS_MAX`](crate::limits::COMMANDS_MAX) of them,
/// and calls `sink` with each in order, or with why it is refused. A message that is malformed anywhere is one
/// refusal and no command.
pub fn decode(bytes: &[u8], sink: &mut dyn FnMut(Result<Request, Refusal>)) {
    codec::requests(MsgpackSource::new(bytes), sink);
}

/// Appends a reply to the command with this `id`.
pub fn encode_reply(reply: &Reply<'_>, id: Option<&CommandId>, out: &mut Vec<u8>) {
    reply::write_reply(reply, id, MsgpackObject::new(out));
}

/// Appends a message. A body in JSON is transcoded ([`from_json`]).
pub fn encode_message(message: &Message<'_>, out: &mut Vec<u8>) {
    out.reserve(message.body.len() + message.room.len() + message.event.len() + 160);
    reply::write_message(message, MsgpackObject::new(out));
}
