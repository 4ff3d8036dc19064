//! Fanfare's wire protocol: everything two programs must agree on, and nothing that moves bytes.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`wire`] | commands, replies and messages as Rust types |
//! | [`json`], [`msgpack`] | the two encodings of those types |
//! | [`ws`] | RFC 6455: frame headers, masking, reading messages, close codes |
//! | [`deflate`] | RFC 7692: negotiation, compressing once, bounded inflating |
//! | [`code`] | the one table of application close and error codes |
//! | [`name`] | validated names of rooms, events, users |
//! | [`sanitize`] | characters that can hide or forge text |
//! | [`limits`] | every bound on what a command may hold |
//!
//! There is no I/O, no clock and no `unsafe` here, so the server, the load generator, the benchmarks and
//! the fuzz targets share it as it is.
#![forbid(unsafe_code)]

pub mod code;
mod codec;
pub mod deflate;
mod dialect;
mod encoding;
pub mod json;
pub mod limits;
mod malformed;
pub mod msgpack;
pub mod name;
pub mod sanitize;
pub mod timestamp;
pub mod wire;
pub mod ws;

pub use code::Code;
pub use dialect::{DIALECTS_MAX, Dialect, Dialects, Emit, Listener, Pace, Speaker};
pub use encoding::Encoding;
pub use name::{EventName, RoomName};
pub use wire::{Body, Command, Message, Publish, Refusal, Reply, Request, Target};

/// Signs tokens (HS256) in development mode, where the server listens on loopback only. Everybody knows it, on
/// purpose: server, command line and load generator agree without any configuration.
pub const DEVELOPMENT_SECRET: &str = "fanfare-development-secret-that-everybody-knows";
