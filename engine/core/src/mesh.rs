//! What shards say to each other. Each pair's queue keeps its order, and that is all the ordering there is:
//! a join's answer and the deliveries after it travel in one queue, so none is missed and none comes twice.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use fanfare_protocol::wire::{CommandId, History, Position};
use fanfare_protocol::{Body, Encoding, EventName, Refusal, RoomName};

use crate::class::Class;
use crate::durable::{DeadLetter, Subscriber};
use crate::ending::Ending;
use crate::hook::{Inquirer, Verdict};
use crate::id::{Address, ConnectionId, Epoch, RequestId, ShardId};
use crate::options::Options;
use crate::prepared::Prepared;
use crate::publication::{Placed, Publication};
use crate::rejoin::{Rejoin, Rejoined};
use crate::service::{Args, Caller, Expelled, Member, Spec};
use crate::view::{HomeQuestion, Question, Rows};

/// One message between two shards.
#[derive(Debug)]
pub enum Mesh {
    /// To the shard that orders a room.
    Home(ToHome),
    /// To a shard that holds connections.
    Local(ToLocal),
    /// To a shard, from the store.
    Store(Report),
    /// To a shard, from the backend that it asked.
    Verdict(Inquirer, Verdict),
}

/// What the store tells each shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// This shard's first so many writes are on disk.
    Stored(u64),
    /// Writes that were not reported as stored are lost, and more are not taken until [`Report::Healed`].
    Failed,
    /// Writes are taken again.
    Healed,
}

impl Mesh {
    /// About how many bytes it keeps alive; 0 for the small ones.
    pub fn weight(&self) -> usize {
        match self {
            Self::Home(ToHome::Publish(publication) | ToHome::Signal(publication)) => publication.body.len(),
            Self::Home(ToHome::Call(called)) => called.args.bytes(),
            Self::Local(ToLocal::Whisper(_, whisper)) => whisper.body.len(),
            Self::Local(ToLocal::Deliver(prepared)) => prepared.len(),
            Self::Local(ToLocal::Joined { replay: Some(replay), .. } | ToLocal::Again(_, _, replay)) => {
                replay.frames.iter().map(|(frame, _)| frame.len()).sum()
            }
            Self::Local(ToLocal::Answered(_, Ok(body))) => body.len(),
            Self::Home(ToHome::Bury(letter)) => letter.entry.body.len(),
            Self::Verdict(_, Verdict::Allow(changes)) => changes.body.as_ref().map_or(0, Body::len),
            Self::Local(ToLocal::Reply(_, bytes) | ToLocal::Kept(_, bytes)) => bytes.len(),
            _ => 0,
        }
    }
}

/// Why a connection joins a room, and so who is told.
#[derive(Clone, Debug, PartialEq)]
pub enum JoinKind {
    /// One of the engine's own rooms, before the welcome.
    Admission,
    /// A command or a room of the upgrade's query; the answer carries the id.
    Command(Option<CommandId>),
}

/// To the shard that orders a room.
#[derive(Debug)]
pub enum ToHome {
    /// A connection wants to be a member.
    Join {
        /// The room.
        room: RoomName,
        /// Who wants in.
        from: Address,
        /// What it reads.
        class: Class,
        /// For rooms of one user: a keyed hash of that user, else 0.
        owner: u64,
        /// What it wants to be sent of the past.
        catch_up: Option<Box<CatchUp>>,
        /// Why.
        kind: JoinKind,
    },
    /// A member asks again where the room stands.
    Rejoin(Box<Rejoin>),
    /// A connection is no member any more.
    Leave {
        /// The room.
        room: RoomName,
        /// Who was in.
        from: Address,
        /// What it read.
        class: Class,
        /// Whether it asked to leave, and so wants nothing more.
        for_good: bool,
    },
    /// A message wants its place.
    Publish(Box<Publication>),
    /// Something for whoever is in a room now, kept nowhere.
    Signal(Box<Publication>),
    /// Somebody wants kept messages.
    History(Box<Lookup>),
    /// A member has got everything up to a place.
    Ack(Box<Acknowledgement>),
    /// The connection of this client's own room ends and may come back for these rooms.
    Park(RoomName, Vec<RoomName>),
    /// Whether all of a shard's members of a room who could follow its shared context do.
    InStep(RoomName, ShardId, bool),
    /// A shard has counted a user's command by these rules (bit `n`: the rule `n`).
    Spent {
        /// The user's own room.
        room: RoomName,
        /// Where it was counted.
        from: ShardId,
        /// The rules.
        rules: u32,
    },
    /// A user's message was given up.
    Bury(Box<DeadLetter>),
    /// Somebody wants to know what only this room's home knows.
    Ask(ShardId, RequestId, Box<HomeQuestion>),
    /// A command of a service.
    Call(Box<Called>),
    /// A shard's members of a room, because its home has asked.
    Present(Box<Roll>),
}

/// Who is in a room, on one shard.
#[derive(Debug)]
pub struct Roll {
    /// The room.
    pub room: RoomName,
    /// Every member there.
    pub members: Vec<Member>,
}

/// A command of a service on its way to the home of its room. Its arguments were checked.
#[derive(Debug)]
pub struct Called {
    /// The room it is about.
    pub room: RoomName,
    /// The rooms that it is about after that.
    pub rooms: VecDeque<RoomName>,
    /// The service, as a place in the list of all.
    pub service: usize,
    /// The command.
    pub spec: &'static Spec,
    /// What it says.
    pub args: Args,
    /// Who asks.
    pub caller: Caller,
    /// Who is answered.
    pub origin: Origin,
}

/// Something that a service has to say to one connection.
#[derive(Debug)]
pub struct Whisper {
    /// The service's room.
    pub room: RoomName,
    /// The message's type.
    pub event: EventName,
    /// What it says.
    pub body: Body,
    /// On behalf of whom.
    pub user: Option<RoomName>,
}

/// What a join wants to be sent of the past.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CatchUp {
    /// Everything after this place.
    pub recover: Option<Position>,
    /// Otherwise so many of the latest.
    pub last: Option<u32>,
    /// Who joins, where the room remembers its readers.
    pub reader: Option<Reader>,
    /// In a client's own room: it has come back, and whoever is there under its name makes way.
    pub resumes: bool,
    /// Who joins, where services want to know.
    pub member: Option<Member>,
    /// In a user's own room: what services have told in the rooms of its role and of all.
    pub brought: Vec<Body>,
    /// As what it joins, where roles do not get everything.
    pub role: Option<Box<str>>,
}

impl CatchUp {
    /// Whether it asks for anything of the past, or is known to the room by what it has read.
    pub(crate) fn wants_past(&self) -> bool {
        self.recover.is_some() || self.last.is_some() || self.reader.is_some() || self.resumes
    }
}

/// Who reads a room, and as what.
#[derive(Clone, Debug, PartialEq)]
pub struct Reader {
    /// Who.
    pub subscriber: Subscriber,
    /// Its role: some messages are for some roles only.
    pub role: Box<str>,
}

/// `ack`: everything up to a place was received.
#[derive(Clone, Debug, PartialEq)]
pub struct Acknowledgement {
    /// The room.
    pub room: RoomName,
    /// The connection that says so.
    pub from: Address,
    /// The place.
    pub offset: u64,
    /// Its epoch, if told.
    pub epoch: Option<Box<str>>,
    /// How the answer is written, and to which command, if one is wanted.
    pub answer: Option<(Encoding, CommandId)>,
}

/// What a publisher is told when a reader acknowledged its message.
#[derive(Clone, Debug, PartialEq)]
pub struct Receipt {
    /// The room.
    pub room: RoomName,
    /// The message's place.
    pub epoch: Epoch,
    /// The message's place.
    pub offset: u64,
    /// The message's id.
    pub message_id: Box<str>,
    /// Who acknowledged it.
    pub reader: Subscriber,
}

/// Missed messages, on their way to the one who joins.
#[derive(Debug, Default)]
pub struct Replay {
    /// Whether these are all since the place that was asked for.
    pub recovered: bool,
    /// A finished frame each, oldest first, with the roles it is for (none: everybody).
    pub frames: Vec<(Bytes, Vec<Box<str>>)>,
    /// In a client's own room: the rooms of the session that goes on, if it was found.
    pub session: Option<Vec<RoomName>>,
    /// What the room's services have to tell: a JSON object.
    pub state: Option<Body>,
}

/// A question for kept messages.
#[derive(Debug)]
pub struct Lookup {
    /// What is asked.
    pub history: History,
    /// Messages for other roles only are left out; none: nothing is left out.
    pub role: Option<Box<str>>,
    /// Who asks, where that matters to a service of the room.
    pub caller: Option<Box<Caller>>,
    /// Who asks.
    pub asker: Asker,
}

/// Who asks for kept messages.
#[derive(Clone, Debug, PartialEq)]
pub enum Asker {
    /// A connection's command.
    Connection(Address, Encoding, Option<CommandId>),
    /// An HTTP request.
    Http(ShardId, RequestId),
}

/// Who is told of a publish's place.
#[derive(Clone, Debug, PartialEq)]
pub enum Origin {
    /// Nobody asked.
    Silent,
    /// A connection's command.
    Connection(Address, CommandId),
    /// An item of an HTTP request.
    Http(ShardId, RequestId, u32),
    /// A connection's `presence`, which has an answer of its own.
    Roster(Address, Option<CommandId>),
    /// A dead letter of the room's user that is sent again: it is one no more when the message has its place.
    Letter(u64),
}

/// To a shard that holds connections.
#[derive(Debug)]
pub enum ToLocal {
    /// A join was decided.
    Joined {
        /// Who asked.
        connection: ConnectionId,
        /// The room.
        room: RoomName,
        /// What it reads.
        class: Class,
        /// Why it asked.
        kind: JoinKind,
        /// Where the stream stands and how many members there are, or why not.
        outcome: Result<(Epoch, u64, u32), Box<Refusal>>,
        /// What it asked for of the past.
        replay: Option<Box<Replay>>,
    },
    /// Where a room stands, for one of its members.
    Rejoined(ConnectionId, Box<Rejoined>),
    /// A finished answer for one connection: the payload of its frame.
    Reply(ConnectionId, Bytes),
    /// Messages of a room that one of its members has not acknowledged.
    Again(ConnectionId, RoomName, Box<Replay>),
    /// A client has come back: its former connections end.
    MakeWay(RoomName),
    /// A reader acknowledged a message of this connection's.
    Receipt(ConnectionId, Box<Receipt>),
    /// Kept messages for an HTTP request, as a JSON object.
    Kept(RequestId, Bytes),
    /// Another shard has counted a user's command by these rules.
    Spent(RoomName, u32),
    /// A room's shared context has ended without a message.
    ContextEnded(RoomName),
    /// A message for the members on this shard.
    Deliver(Arc<Prepared>),
    /// A connection's command was refused at a room's home.
    Refused(ConnectionId, Option<CommandId>, Box<Refusal>),
    /// A room's home wants to know who is in it.
    CallRoll(RoomName),
    /// Members of a room go. Why, for them.
    Expel(RoomName, Expelled, Box<str>),
    /// Something for one connection.
    Whisper(ConnectionId, Box<Whisper>),
    /// A service has answered, or refused: a JSON object.
    Answered(Origin, Result<Body, Box<Refusal>>),
    /// A publish got its place or was refused.
    Published(Origin, Result<Box<Placed>, Box<Refusal>>),
    /// Connections are to be ended.
    End(Arc<Ending>),
    /// Other options count from now on.
    Options(Arc<Options>),
    /// A question to every shard.
    Ask(ShardId, RequestId, Question),
    /// One shard's answer.
    Answer(RequestId, Rows),
}

const _: () = assert!(size_of::<Mesh>() <= 88, "the mesh's queues are sized for small messages");
