//! What the shell tells the core.

use std::sync::Arc;

use fanfare_protocol::wire::{CommandId, History, Join, Position};
use fanfare_protocol::{Encoding, Publish, Refusal, Request, RoomName, Speaker};

use crate::close::Close;
use crate::ending::{Ending, Search};
use crate::id::{ConnectionId, RequestId};
use crate::identity::Identity;
use crate::mesh::Mesh;
use crate::pattern::RoomPattern;
use crate::service::{Args, Caller, Spec};
use crate::view::{HomeQuestion, Question};

/// How messages to a connection may be compressed (RFC 7692 §7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Logarithm of the bytes they may refer back: 9 to 15.
    pub bits: u8,
    /// Whether one may refer to those before it.
    pub takeover: bool,
}

/// A connection that was just upgraded.
#[derive(Debug)]
pub struct Opening {
    /// What goes out before the first frame: the HTTP answer, which so shares a packet with the welcome.
    pub head: Vec<u8>,
    /// By its subprotocol.
    pub encoding: Encoding,
    /// When permessage-deflate was agreed upon.
    pub window: Option<Window>,
    /// As the client wished; else one is made.
    pub client_id: Option<Box<str>>,
    /// To be joined after the welcome, in this order.
    pub rooms: Vec<Join>,
    /// How far the client has come in rooms that it may be in again for another reason. Opens none of them.
    pub positions: Vec<(RoomName, Position)>,
    /// How far the client has come in its user's own room, if it was there before.
    pub inbox: Option<Position>,
    /// What a `welcome` gave for coming back; wins over the client id.
    pub resume: Option<Box<str>>,
    /// When the upgrade brought a good token. Of a bare connection it says only whose end is its end too.
    pub identity: Option<Identity>,
    /// Without rooms, token and welcome: only [`Input::Answer`] writes to it.
    pub bare: bool,
    /// It wants to be told how good the connection is, and answers numbered pings.
    pub health: bool,
    /// To be done after the rooms are joined.
    pub requests: Vec<Request>,
    /// Where it does not speak the engine's own wire; its encoding is JSON then.
    pub speaker: Option<Speaker>,
}

impl Opening {
    /// One that asks for nothing and brings no token.
    #[must_use]
    pub const fn new(encoding: Encoding) -> Self {
        Self {
            head: Vec::new(),
            encoding,
            window: None,
            client_id: None,
            rooms: Vec::new(),
            positions: Vec::new(),
            inbox: None,
            resume: None,
            identity: None,
            bare: false,
            health: false,
            requests: Vec::new(),
            speaker: None,
        }
    }
}

/// One thing that happened.
#[derive(Debug)]
pub enum Input {
    /// A command was read. `auth` and `refresh` come as [`Input::Token`].
    Command(ConnectionId, Request),
    /// A message was read that is several commands: each is done when the one before it is, and none after one that was refused. Their ids
    /// tell them apart.
    Commands(ConnectionId, Vec<Request>),
    /// A command could not be read.
    Malformed(ConnectionId, Refusal),
    /// A token came by command and was checked. The text is for the client.
    Token(ConnectionId, Option<CommandId>, Result<Identity, String>),
    /// A ping came, with this payload.
    Ping(ConnectionId, Vec<u8>),
    /// Anything at all came.
    Heard(ConnectionId),
    /// A whole frame for a bare connection.
    Answer(ConnectionId, Vec<u8>),
    /// The peer closes, with this code if it gave one.
    PeerClosed(ConnectionId, Option<u16>),
    /// The shell or the protocol ends a connection.
    Close(ConnectionId, Close),
    /// The socket is dead.
    Lost(ConnectionId),
    /// From another shard.
    Mesh(Mesh),
    /// One item of an HTTP publish.
    Publish {
        /// The waiting request.
        request: RequestId,
        /// The item's number.
        index: u32,
        /// What to publish.
        publish: Box<Publish>,
        /// The user and its role, when a JWT was shown and not an API key.
        user: Option<(RoomName, Box<str>)>,
    },
    /// A question of HTTP to all shards.
    Ask(RequestId, Question),
    /// A question of HTTP to the home of one room.
    AskHome(RequestId, HomeQuestion),
    /// A question of HTTP for the kept messages of one room, and who asks, where that is a user who may read in the room.
    History(RequestId, History, Option<Box<Caller>>),
    /// A command of a service that came by HTTP.
    Call {
        /// The waiting request.
        request: RequestId,
        /// The command.
        spec: &'static Spec,
        /// The room, where one is named.
        room: Option<RoomName>,
        /// What it says. It keeps the command's rules.
        args: Args,
        /// Who asks.
        caller: Caller,
        /// The rooms that its token covers; nothing: as the room types say.
        patterns: Option<Arc<[RoomPattern]>>,
    },
    /// Connections on all shards are to be ended.
    End(Ending),
    /// The connections that a [`Search`] of this shard was about.
    Found(Search, Vec<ConnectionId>),
    /// Time has passed.
    Tick,
    /// Tells some more connections that the server restarts.
    Drain {
        /// At most so many.
        connections: u32,
    },
    /// The server does not restart after all.
    Undrain,
}
