//! What a client asks for.

use crate::Code;
use crate::name::{EventName, RoomName};
use crate::wire::Body;

/// A client's own number or text for a command, given back in the answer. At most 64 bytes as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandId {
    /// A whole number.
    Number(i64),
    /// Any text of up to 64 bytes.
    Text(Box<str>),
}

/// One command together with the id under which its answer is wanted.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Present when the client wants an answer.
    pub id: Option<CommandId>,
    /// What it asks for.
    pub command: Command,
}

/// Every command of protocol version 1.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Gives the token in the first message.
    Auth {
        /// A JWT.
        token: Box<str>,
    },
    /// Becomes a member of a room.
    Join(Join),
    /// Stops being a member of a room.
    Leave {
        /// The room to leave.
        room: RoomName,
    },
    /// Sends a message to a target.
    Publish(Box<Publish>),
    /// Acknowledges everything up to an offset.
    Ack(Ack),
    /// Asks for kept messages.
    History(History),
    /// Asks who is in a room.
    Presence {
        /// The room.
        room: RoomName,
    },
    /// Shows that the client is alive.
    Heartbeat {
        /// What the client says about itself.
        data: Option<Body>,
    },
    /// Answers a `heartbeat_ping`.
    HeartbeatPong {
        /// The ping's number.
        sequence_number: u64,
    },
    /// Asks a service for something.
    Call(Box<Call>),
    /// Replaces the token before it runs out.
    Refresh {
        /// A JWT of the same user.
        token: Box<str>,
    },
}

impl Command {
    /// Its `type` on the wire.
    pub fn name(&self) -> &str {
        match self {
            Self::Auth { .. } => "auth",
            Self::Join(_) => "join",
            Self::Leave { .. } => "leave",
            Self::Publish(_) => "publish",
            Self::Ack(_) => "ack",
            Self::History(_) => "history",
            Self::Presence { .. } => "presence",
            Self::Heartbeat { .. } => "heartbeat",
            Self::HeartbeatPong { .. } => "heartbeat_pong",
            Self::Call(call) => &call.name,
            Self::Refresh { .. } => "refresh",
        }
    }
}

/// A place in a room's stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// Changes only when the count had to begin again. At most 32 bytes.
    pub epoch: Box<str>,
    /// 1, 2, 3 … without gaps; 0 is the place before the first message.
    pub offset: u64,
}

/// The `join` command.
#[derive(Clone, Debug, PartialEq)]
pub struct Join {
    /// The room to join.
    pub room: RoomName,
    /// Where an earlier connection stopped.
    pub recover: Option<Position>,
    /// How many of the latest messages to send first.
    pub last: Option<u32>,
}

/// The `ack` command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ack {
    /// The room whose messages arrived.
    pub room: RoomName,
    /// The last offset that arrived (cumulative).
    pub offset: u64,
    /// The epoch it belongs to, if the client wants that checked. At most 32 bytes.
    pub epoch: Option<Box<str>>,
}

/// A command of a service, `<service>.<verb>`. What it may hold is the service's to say.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The command's whole name.
    pub name: Box<str>,
    /// The room it is about, where one is named.
    pub room: Option<RoomName>,
    /// What it says: an object.
    pub body: Option<Body>,
}

/// The `history` command.
#[derive(Clone, Debug, PartialEq)]
pub struct History {
    /// The room.
    pub room: RoomName,
    /// Only what came after this place.
    pub since: Option<Position>,
    /// At most so many messages.
    pub limit: Option<u32>,
    /// The newest first.
    pub reverse: bool,
}

/// Who should get a message. Each target is a room underneath.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The members of a room.
    Room(RoomName),
    /// Every connection of one user.
    User(Box<str>),
    /// Every connection of each of these users (1 to 256).
    Users(Vec<Box<str>>),
    /// Every connection with this role.
    Role(Box<str>),
    /// Every connection with this client id.
    Client(Box<str>),
    /// Every connection.
    All,
}

/// The `publish` command.
#[derive(Clone, Debug, PartialEq)]
pub struct Publish {
    /// Who should get it.
    pub target: Target,
    /// The message's `type`.
    pub event: EventName,
    /// The message's `data`, passed through as it is.
    pub body: Body,
    /// On whose behalf it is: the message's `user_id`. For users only their own.
    pub user_id: Option<Box<str>>,
    /// The publishing connection itself gets no copy.
    pub exclude_self: bool,
    /// Connections with this client id get no copy.
    pub exclude_client: Option<Box<str>>,
    /// When not empty: only connections with one of these roles get it (at most 16).
    pub roles: Vec<Box<str>>,
    /// What a conflating room type keeps the newest of. At most 128 bytes.
    pub key: Option<Box<str>>,
    /// Seconds after which the message is of no use.
    pub ttl: Option<u32>,
    /// 0 (low) to 9 (urgent).
    pub priority: Option<u8>,
    /// The publisher's own id, which makes a retry safe. At most 64 bytes.
    pub message_id: Option<Box<str>>,
    /// The publisher is told of each reader that acknowledges the message.
    pub receipts: bool,
}

/// A command that was not done, and why; the connection lives on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The command's id, as far as it could be read.
    pub id: Option<CommandId>,
    /// What kind of refusal.
    pub code: Code,
    /// A sentence that names the field and the rule, without the value.
    pub message: String,
    /// The field at fault, if it is one.
    pub field: Option<&'static str>,
}

impl Refusal {
    /// A refusal that names neither a command nor a field.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { id: None, code, message: message.into(), field: None }
    }

    /// The same of the command with this id.
    #[must_use]
    pub fn of(self, id: Option<CommandId>) -> Self {
        Self { id, ..self }
    }

    /// The same with the field at fault.
    #[must_use]
    pub fn at(self, field: &'static str) -> Self {
        Self { field: Some(field), ..self }
    }

    /// A refusal of a message that could not be understood ([`Code::InvalidMessage`]).
    pub fn invalid(id: Option<CommandId>, field: Option<&'static str>, message: impl Into<String>) -> Self {
        Self { id, code: Code::InvalidMessage, message: message.into(), field }
    }
}
