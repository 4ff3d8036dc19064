//! Questions that need every shard, and one shard's rows.

use std::sync::Arc;

use fanfare_protocol::{Refusal, RoomName};

use crate::durable::{DeadLetter, Subscriber};
use crate::ending::Ending;
use crate::id::Epoch;
use crate::service::Caller;

/// What is asked.
#[derive(Clone, Debug, PartialEq)]
pub enum Question {
    /// The connections: of one user or client id, or all.
    Connections {
        /// Only of this user.
        user_id: Option<Box<str>>,
        /// Only with this client id.
        client_id: Option<Box<str>>,
        /// Only in this state; none: those that are welcomed and not closing.
        state: Option<ConnectionState>,
        /// At most so many rows from each shard.
        limit: u32,
    },
    /// The users that are connected.
    Users {
        /// At most so many rows from each shard.
        limit: u32,
    },
    /// The rooms that each shard orders.
    Rooms {
        /// At most so many rows from each shard.
        limit: u32,
    },
    /// Ends connections, or counts them.
    Disconnect(Arc<Ending>),
}

/// What only the home of a room knows.
#[derive(Clone, Debug, PartialEq)]
pub enum HomeQuestion {
    /// How far the readers of a room have come.
    Readers {
        /// The room.
        room: RoomName,
        /// At most so many rows.
        limit: u32,
        /// Who asks, where that is a user who may read in the room.
        caller: Option<Box<Caller>>,
    },
    /// The dead letters of a user.
    DeadLetters {
        /// The user, by the name of its own room.
        user: RoomName,
        /// At most so many rows.
        limit: u32,
    },
    /// Sends dead letters of a user once more, to the user's own room: one of them, or all.
    Requeue {
        /// The user, by the name of its own room.
        user: RoomName,
        /// Which; none: all.
        letter: Option<u64>,
    },
    /// Drops dead letters of a user: one of them, or all.
    Drop {
        /// The user, by the name of its own room.
        user: RoomName,
        /// Which; none: all.
        letter: Option<u64>,
    },
}

impl HomeQuestion {
    /// The room whose home is asked.
    pub fn room(&self) -> &RoomName {
        match self {
            Self::Readers { room, .. } => room,
            Self::DeadLetters { user, .. } | Self::Requeue { user, .. } | Self::Drop { user, .. } => user,
        }
    }
}

/// How far one reader of a room has come.
#[derive(Clone, Debug, PartialEq)]
pub struct ReaderRow {
    /// Who.
    pub reader: Subscriber,
    /// Everything up to here is settled.
    pub offset: u64,
    /// Its connections.
    pub connections: u32,
}

/// One shard's rows.
#[derive(Clone, Debug, PartialEq)]
pub enum Rows {
    /// Where a room stands, if there is such a room, and its readers.
    Readers(Option<(Epoch, u64)>, Vec<ReaderRow>),
    /// Dead letters.
    DeadLetters(Vec<DeadLetter>),
    /// So many dead letters were sent again or dropped.
    Exhumed(u32),
    /// Who asks may not.
    Refused(Box<Refusal>),
    /// Connections.
    Connections(Vec<ConnectionRow>),
    /// Users.
    Users(Vec<UserRow>),
    /// Rooms.
    Rooms(Vec<RoomRow>),
    /// How many connections were ended.
    Disconnected(u32),
}

/// One connection.
#[derive(Clone, Debug, PartialEq)]
pub struct ConnectionRow {
    /// Its client id.
    pub client_id: String,
    /// Its user.
    pub user_id: String,
    /// Its role.
    pub role: String,
    /// The shard that holds it.
    pub shard: u8,
    /// When it was opened, in milliseconds since 1970.
    pub connected_at_unix_ms: u64,
    /// The number of the dialect that it speaks; 0: the engine's own wire.
    pub dialect: u8,
    /// The rooms it is in, the engine's own left out.
    pub rooms: Vec<String>,
    /// Commands it has sent.
    pub commands: u64,
    /// Bytes that wait for it.
    pub backlog_bytes: usize,
    /// Where it is in its life.
    pub state: ConnectionState,
    /// When anything came last, in milliseconds since 1970.
    pub last_activity_unix_ms: u64,
    /// Milliseconds since its last command.
    pub idle_ms: u64,
    /// What numbered pings have measured, where it asked for them.
    pub health: Option<HealthRow>,
}

/// Where a connection is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionState {
    /// Upgraded, without a token so far.
    Connecting,
    /// Its token is good, and it is about to be welcomed.
    Authenticated,
    /// Welcomed.
    Connected,
    /// Welcomed, and reading too slowly: something waits for it.
    Slow,
    /// It was said goodbye to.
    Closing,
}

impl ConnectionState {
    /// Every state, in order.
    pub const ALL: [Self; 5] =
        [Self::Connecting, Self::Authenticated, Self::Connected, Self::Slow, Self::Closing];

    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Authenticated => "authenticated",
            Self::Connected => "connected",
            Self::Slow => "slow",
            Self::Closing => "closing",
        }
    }
}

/// What numbered pings have measured of a connection. Times in microseconds; none before the first answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HealthRow {
    /// The last ping's number.
    pub sequence_number: u64,
    /// The last round trip.
    pub last_us: Option<u64>,
    /// The shortest.
    pub min_us: Option<u64>,
    /// The mean of all.
    pub mean_us: Option<u64>,
    /// The longest.
    pub max_us: Option<u64>,
    /// When the last answer came, in milliseconds since 1970.
    pub last_pong_unix_ms: Option<u64>,
}

/// How good a connection is, by its last round trip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quality {
    /// Below 100 ms.
    Excellent,
    /// Below 300 ms.
    Good,
    /// Below a second.
    Fair,
    /// A second or more.
    Poor,
}

impl Quality {
    /// By a round trip in microseconds.
    pub const fn of(round_trip_us: u64) -> Self {
        match round_trip_us {
            0..100_000 => Self::Excellent,
            100_000..300_000 => Self::Good,
            300_000..1_000_000 => Self::Fair,
            _ => Self::Poor,
        }
    }

    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Excellent => "excellent",
            Self::Good => "good",
            Self::Fair => "fair",
            Self::Poor => "poor",
        }
    }
}

/// One user.
#[derive(Clone, Debug, PartialEq)]
pub struct UserRow {
    /// The user.
    pub user_id: String,
    /// Connections on this shard.
    pub connections: u32,
}

/// One room.
#[derive(Clone, Debug, PartialEq)]
pub struct RoomRow {
    /// Its name.
    pub room: String,
    /// Its members on all shards.
    pub members: u32,
    /// Its epoch.
    pub epoch: String,
    /// Its last offset.
    pub offset: u64,
    /// Its last join, leave, message or command that does something, in milliseconds since 1970, to the second.
    pub last_activity_unix_ms: u64,
}
