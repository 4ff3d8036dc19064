//! Another system's wire over the engine's own: what its clients are sent is made of what the engine would send.
//!
//! The engine encodes as ever, and whoever speaks a dialect is sent what the dialect makes of it. So there is one place that knows the other
//! wire, and nothing else changes with it.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use crate::ws::OpCode;

/// Every dialect of a server; a connection knows its own by its number, from 1. At most [`DIALECTS_MAX`].
pub type Dialects = Arc<[Arc<dyn Dialect>]>;

/// Most dialects of a server.
pub const DIALECTS_MAX: usize = 255;

/// Takes one message for the socket, without its frame.
pub type Emit<'e> = dyn FnMut(OpCode, &[u8]) + 'e;

/// A wire that is not the engine's. All of it is pure: the same input gives the same bytes.
pub trait Dialect: fmt::Debug + Send + Sync {
    /// What those who speak this are sent of a room's message: nothing, one message or several. `native` is the message as JSON, and
    /// `own_id` its id, or one that nothing else has where it is a message without.
    fn message(&self, native: &[u8], own_id: &str, emit: &mut Emit<'_>);

    /// What one connection is sent for an answer, or for a message to it alone. `native` is that as JSON.
    fn answer(&self, listener: &Listener<'_>, native: &[u8], emit: &mut Emit<'_>);

    /// The close code and the reason for an end that the engine would tell so. A close frame takes 123 bytes of it.
    fn close(&self, number: u16, reason: &str) -> (u16, Cow<'static, str>);

    /// Whether a connection ends when it is sent away from a room that it joined as it came.
    fn is_tied(&self) -> bool;

    /// Whether a connection ends when a room that it wants to join as it comes refuses it.
    fn needs_rooms(&self) -> bool;

    /// How many connections one user may have that speak a dialect of the same family; 0: no limit.
    fn connections_per_user(&self) -> u32;

    /// Dialects of one profile are a family.
    fn family(&self) -> u8;

    /// How its connections are kept alive and limited, where that is not as the engine does.
    fn pace(&self) -> Pace;
}

/// Who is spoken to.
#[derive(Clone, Copy, Debug)]
pub struct Listener<'l> {
    /// The connection's client id.
    pub client_id: &'l str,
    /// Its user; empty before there is a token.
    pub user_id: &'l str,
    /// Its role; empty before there is a token.
    pub role: &'l str,
    /// What its upgrade gave: an object with `query`, `path` and the like.
    pub given: &'l Value,
    /// What time it is, in milliseconds since 1970.
    pub now_unix_ms: u64,
    /// An id that nothing else has, for what is said to it now; empty while it speaks itself.
    pub own_id: &'l str,
}

/// What is not as the engine's own settings say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// A connection that was silent for so long is pinged; milliseconds.
    pub interval_ms: Option<u64>,
    /// It has so long to answer; milliseconds.
    pub grace_ms: Option<u64>,
    /// One that sent no command for so long is closed; milliseconds, `u64::MAX`: it may be silent for ever.
    pub idle_ms: Option<u64>,
    /// Commands a minute, and at once.
    pub rate: Option<(u32, u32)>,
    /// Bytes of the largest message that is read.
    pub message_bytes: Option<usize>,
}

/// What a connection speaks that does not speak the engine's own wire.
#[derive(Clone, Debug)]
pub struct Speaker {
    /// The number of its dialect.
    pub dialect: u8,
    /// What its upgrade gave: an object.
    pub given: Arc<Value>,
}
