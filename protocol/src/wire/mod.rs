//! Commands, replies and messages as Rust types; [`crate::json`] and [`crate::msgpack`] are their encodings.

mod command;
mod message;
mod reply;

pub use command::{
    Ack, Call, Command, CommandId, History, Join, Position, Publish, Refusal, Request, Target,
};
pub use message::{Body, Message};
pub use reply::Reply;
