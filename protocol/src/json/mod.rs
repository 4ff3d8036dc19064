//! The JSON encoding (RFC 8259): text messages of `fanfare.v1.json` and the bodies of the HTTP API.
//!
//! `data` passes through byte for byte: it is checked to be one JSON value of bounded depth and never
//! serialised again.

mod object;
mod source;
mod transcode;

use object::JsonObject;
use source::JsonSource;

use crate::codec::source::Source;
use crate::codec::{decode as codec, publish, reply};
use crate::wire::{CommandId, Message, Publish, Refusal, Reply, Request};

pub use transcode::{from_msgpack, from_msgpack_exactly};

/// Reads one message, a command or an array of up to [`COMMANDS_MAX`](crate::limits::COMMANDS_MAX) of them,
/// and calls `sink` with each in order, or with why it is refused. A message that is malformed anywhere is one
/// refusal and no command.
///
/// ```
/// let mut commands = Vec::new();
/// fanfare_protocol::json::decode(br#"{"type":"leave","room":"chat:1","id":7}"#, &mut |command| commands.push(command));
/// assert!(commands[0].is_ok());
/// ```
pub fn decode(bytes: &[u8], sink: &mut dyn FnMut(Result<Request, Refusal>)) {
    match JsonSource::new(bytes) {
        Ok(source) => codec::requests(source, sink),
        Err(malformed) => sink(Err(codec::refuse(None, None, malformed))),
    }
}

/// Reads the body of `POST /v1/publish`: like [`decode`], but every object is a `publish` whose `type` may be
/// left out.
pub fn decode_publishes(bytes: &[u8], sink: &mut dyn FnMut(Result<Publish, Refusal>)) {
    match JsonSource::new(bytes) {
        Ok(source) => codec::message(source, |_, fields| publish::item(fields), sink),
        Err(malformed) => sink(Err(codec::refuse(None, None, malformed))),
    }
}

/// Checks that this is one JSON value (RFC 8259) of bounded depth.
///
/// # Errors
/// Where it is not, and why.
pub fn check(bytes: &[u8]) -> Result<(), Refusal> {
    let checked = JsonSource::new(bytes).and_then(|mut source| {
        source.raw()?;
        source.end()
    });
    checked.map_err(|malformed| codec::refuse(None, None, malformed))
}

/// Appends a reply to the command with this `id`.
pub fn encode_reply(reply: &Reply<'_>, id: Option<&CommandId>, out: &mut Vec<u8>) {
    reply::write_reply(reply, id, JsonObject::new(out));
}

/// Appends a message. A body in MessagePack is transcoded ([`from_msgpack`]).
pub fn encode_message(message: &Message<'_>, out: &mut Vec<u8>) {
    out.reserve(message.body.len() + message.room.len() + message.event.len() + 192);
    reply::write_message(message, JsonObject::new(out));
}
