//! Questions that need every shard, and one shard's rows.

use std::fmt::Write as _;

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

/// One shard's rows.
#[derive(Clone, Debug, PartialEq)]
pub enum Rows {
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
    pub(crate) fn new(room: &str, members: u32, epoch: crate::id::Epoch, offset: u64) -> Self {
        let mut text = String::new();
        let _ = write!(text, "{epoch}");
        Self { room: room.to_owned(), members, epoch: text, offset }
    }
}
