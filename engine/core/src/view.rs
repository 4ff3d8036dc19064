//! Questions that need every shard, and one shard's rows.

use std::fmt::Write as _;

use fanfare_protocol::RoomName;

use crate::durable::{DeadLetter, Subscriber};
use crate::id::Epoch;

/// What is asked.
#[derive(Clone, Debug, PartialEq)]
pub enum Question {
    /// The connections: of one user or client id, or all.
    Connections {
        /// Only of this user.
        user_id: Option<Box<str>>,
        /// Only with this client id.
        client_id: Option<Box<str>>,
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
    /// Ends the connections with this client id.
    Disconnect {
        /// The client id.
        client_id: Box<str>,
    },
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
    /// The rooms it is in, the engine's own left out.
    pub rooms: Vec<String>,
    /// Commands it has sent.
    pub commands: u64,
    /// Bytes that wait for it.
    pub backlog_bytes: usize,
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
}

impl RoomRow {
    pub(crate) fn new(room: &str, members: u32, epoch: Epoch, offset: u64) -> Self {
        let mut text = String::new();
        let _ = write!(text, "{epoch}");
        Self { room: room.to_owned(), members, epoch: text, offset }
    }
}
