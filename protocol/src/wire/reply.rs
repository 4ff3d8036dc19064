//! What the server answers. Replies carry the command's id; `welcome` has none.

use crate::Code;
use crate::wire::{Body, Position};

/// Every answer of protocol version 1. The field names are those on the wire.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply<'a> {
    /// The connection is set up (`welcome`).
    Welcome {
        /// The connection's client id.
        client_id: &'a str,
        /// The token's `sub`.
        user_id: &'a str,
        /// The token's `role`.
        role: &'a str,
        /// Milliseconds since 1970, on the wire as RFC 3339 text.
        server_time_unix_ms: u64,
        /// Milliseconds between heartbeats.
        heartbeat_interval_ms: u64,
        /// Bytes of the largest message the server reads.
        max_message_size: usize,
        /// Whether an earlier session's rooms come back.
        resumed: bool,
        /// What the next connection may bring to get this one's rooms back.
        resume: &'a str,
    },
    /// A join was done (`joined`).
    Joined {
        /// The room.
        room: &'a str,
        /// Where the stream stands; live messages follow it.
        position: &'a Position,
        /// Whether everything since the asked position follows.
        recovered: bool,
        /// How many members the room has, when known.
        members: Option<u64>,
        /// What the room's services have to tell, by service.
        state: Option<&'a Body>,
    },
    /// A leave was done (`left`).
    Left {
        /// The room.
        room: &'a str,
        /// Whether the connection was in it.
        member: bool,
    },
    /// Messages that this connection read too slowly to get (`gap`): from one offset to another, both included.
    Gap {
        /// The room.
        room: &'a str,
        /// The epoch of both offsets.
        epoch: &'a str,
        /// The first message that is missing.
        from: u64,
        /// The last message that is missing.
        to: u64,
    },
    /// A reader acknowledged a message whose publisher asked for receipts (`receipt`).
    Receipt {
        /// The room.
        room: &'a str,
        /// The message's place.
        position: &'a Position,
        /// The message's id.
        message_id: &'a str,
        /// Who acknowledged it.
        user_id: &'a str,
        /// On which device, where each device acknowledges for itself.
        client_id: Option<&'a str>,
    },
    /// A publish got its place (`published`).
    Published {
        /// The room underneath the target.
        room: &'a str,
        /// The message's place.
        position: &'a Position,
        /// The message's id.
        message_id: &'a str,
        /// How many connections were in the room when the message was handed out, when known.
        members: Option<u64>,
    },
    /// Done, nothing more to say (`ok`).
    Ok,
    /// A service has done what it was asked for (`ok` with `data`).
    Done {
        /// Its answer.
        data: &'a Body,
    },
    /// Kept messages (`history`), each already encoded as an object in the connection's own encoding.
    History {
        /// The room.
        room: &'a str,
        /// Where the stream stands.
        position: &'a Position,
        /// The messages, each one encoded object.
        messages: &'a [&'a [u8]],
    },
    /// Who is in a room (`presence`).
    Presence {
        /// The room.
        room: &'a str,
        /// How many members there are.
        count: u64,
        /// Those listed: a list of objects.
        members: &'a Body,
    },
    /// Answer to a heartbeat (`heartbeat_ack`).
    HeartbeatAck {
        /// Milliseconds since 1970, on the wire as RFC 3339 text.
        server_time_unix_ms: u64,
        /// What the client sent along, given back.
        data: Option<&'a Body>,
    },
    /// Asks the client for a sign of life, with a number (`heartbeat_ping`).
    HeartbeatPing {
        /// 1, 2, 3 … of this connection.
        sequence_number: u64,
        /// Milliseconds since 1970, on the wire as RFC 3339 text.
        timestamp_unix_ms: u64,
    },
    /// How good the connection is (`connection_health`).
    Health {
        /// The ping that was answered.
        sequence_number: u64,
        /// From the ping to its answer, by the server's clock, in microseconds; on the wire in milliseconds.
        round_trip_us: u64,
        /// What that means.
        quality: &'a str,
        /// Milliseconds since 1970, on the wire as RFC 3339 text.
        timestamp_unix_ms: u64,
    },
    /// Nothing came for too long; a close follows (`connection_timeout`).
    ConnectionTimeout {
        /// A sentence for people.
        reason: &'a str,
        /// Milliseconds since 1970, on the wire as RFC 3339 text.
        timestamp_unix_ms: u64,
    },
    /// A command came too soon (`error` of [`Code::RateLimitExceeded`]).
    Limited {
        /// A sentence for people.
        message: &'a str,
        /// Milliseconds until it may be tried again; on the wire in `details`.
        retry_after_ms: u64,
    },
    /// A refused command, or the reason of a close that follows (`error`).
    Error {
        /// What kind.
        code: Code,
        /// A sentence for people.
        message: &'a str,
        /// The field at fault; on the wire `details: {"field": …}`, else `details: {}`.
        field: Option<&'a str>,
    },
}
