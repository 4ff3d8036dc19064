//! Commands, replies and messages as Rust types; [`crate::json`] and [`crate::msgpack`] are their encodings.

mod command;
mod message;
mod reply;

pub use command::{
    Ack, Call, Command, CommandId, History, Join, Position, Publish, Refusal, Request, Target,
};
pub use message::{Body, Message};
pub use reply::Reply;

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
}
