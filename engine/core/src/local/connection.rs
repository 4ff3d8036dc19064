//! One WebSocket as the core sees it.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::Arc;

use fanfare_protocol::wire::{Join, Position};
use fanfare_protocol::{Body, Listener, Request, RoomName, Speaker};

use crate::RoomPattern;
use crate::class::Class;
use crate::command::chain::Chain;
use crate::local::backlog::Backlog;
use crate::local::health::Health;
use crate::local::pace::Counters;
use crate::local::roles::RoleId;
use crate::rate::Bucket;
use crate::rights::Bearer;

/// Where a connection is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Upgraded, no token yet.
    AwaitingToken,
    /// The token is good; the engine's own rooms have not all answered.
    Admitting,
    /// Welcomed.
    Open,
    /// A service of its own without rooms (`/echo`).
    Bare,
    /// A close frame was written; what is left is to let it out and to wait for the peer's end.
    Closing,
}

/// A place among the members of a room. `at` is an index into the group's members, or with
/// [`Membership::ASIDE`] into its set-aside members.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Membership {
    pub(crate) room: u32,
    pub(crate) at: u32,
}

impl Membership {
    pub(crate) const ASIDE: u32 = 1 << 31;
}

/// The number of a room on this shard; so small that there may be none at no cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RoomNumber(NonZeroU32);

impl RoomNumber {
    pub(crate) fn new(number: u32) -> Self {
        let next = number.checked_add(1).and_then(NonZeroU32::new);
        Self(next.expect("invariant: there are far fewer rooms"))
    }

    pub(crate) fn get(self) -> u32 {
        self.0.get() - 1
    }
}

/// What waits until an earlier join of the same connection is decided, so that commands take effect in the
/// order they came.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// Rooms of the upgrade's query and of the session that goes on, joined after the welcome.
    pub(crate) rooms: VecDeque<Join>,
    /// Each with those that are one message with it.
    pub(crate) requests: VecDeque<(Request, VecDeque<Request>)>,
    /// How far the client has come in rooms that it may be in again.
    pub(crate) positions: Vec<(RoomName, Position)>,
    /// How far the client has come in its user's own room.
    pub(crate) inbox: Option<Position>,
    /// What it brought to come back with, and whether its session was found.
    pub(crate) resume: Option<Box<str>>,
    pub(crate) resumed: bool,
    /// What services have told in the rooms of its role and of all, for its user's own.
    pub(crate) brought: Vec<Body>,
}

impl Held {
    /// One more room to join: from where the client says that it is, if it says so.
    pub(crate) fn join(&mut self, mut join: Join) {
        if let Some(at) = self.positions.iter().position(|(room, _)| *room == join.room) {
            join.recover = Some(self.positions.swap_remove(at).1);
        }
        self.rooms.push_back(join);
    }
}

/// What only some connections have.
#[derive(Debug, Default)]
pub(crate) struct Extra {
    /// Where the client asked for it.
    pub(crate) health: Option<Box<Health>>,
    /// Where rules for its commands have counted some.
    pub(crate) counters: Counters,
    /// Where it does not speak the engine's own wire.
    pub(crate) speaker: Option<Speaker>,
    /// Whose it is, where it is bare: no user of the server's by it.
    pub(crate) bearer: Option<RoomName>,
    /// Commands of one message that wait for the one before them.
    pub(crate) chain: Option<Box<Chain>>,
    /// The rooms that its upgrade named, where its end is tied to them.
    pub(crate) tied: Vec<RoomName>,
}

/// Kept small: ten thousand idle ones must fit in ten megabytes together with all they own.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) state: State,
    pub(crate) class: Class,
    pub(crate) role: RoleId,
    /// Joins on their way, and commands that a backend was asked about: later commands wait for them.
    pub(crate) joins_pending: u16,
    /// The number of the key that signed its token.
    pub(crate) key: u16,
    /// A ping was sent and nothing has come since.
    pub(crate) pinged: bool,
    /// Whether it was sent everything of the room it follows since that room's context began anew, and nothing else that
    /// entered its window.
    pub(crate) in_step: bool,
    /// The room, of those it is in, whose context its window follows.
    pub(crate) follows: Option<RoomNumber>,
    /// The peer has sent its close frame.
    pub(crate) peer_closed: bool,
    /// `@user:<id>`; the user id is its end.
    pub(crate) user: RoomName,
    /// `@client:<id>`; the client id is its end.
    pub(crate) client: RoomName,
    pub(crate) patterns: Option<Arc<[RoomPattern]>>,
    pub(crate) memberships: Vec<Membership>,
    pub(crate) held: Option<Box<Held>>,
    pub(crate) backlog: Option<Box<Backlog>>,
    pub(crate) extra: Option<Box<Extra>>,
    /// Index of its outgoing buffer in this tick, plus one; 0: none.
    pub(crate) outgoing: u32,
    pub(crate) commands: u32,
    pub(crate) bucket: Bucket,
    pub(crate) opened_unix_ms: u64,
    /// When the token runs out; before there is one, when it is refused without; once it closes, when it is cut. By the
    /// steady clock, so that a wall clock that is set cannot end (or keep) anybody. All in milliseconds.
    pub(crate) until_ms: u64,
    /// When anything came last, and when a command did.
    pub(crate) received_ms: u64,
    pub(crate) command_ms: u64,
}

const CONNECTION_BYTES_MAX: usize = 168;
const _: () = assert!(size_of::<Connection>() <= CONNECTION_BYTES_MAX, "ten thousand fit in ten megabytes");

impl Connection {
    pub(crate) fn user_id(&self) -> &str {
        self.user.as_str().strip_prefix("@user:").unwrap_or_default()
    }

    /// Whether it ends with this user's connections.
    pub(crate) fn is_of(&self, user: &RoomName) -> bool {
        self.user == *user || self.extra.as_ref().is_some_and(|extra| extra.bearer.as_ref() == Some(user))
    }

    /// Who it is by its token, in this role.
    pub(crate) fn bearer<'b>(&'b self, role: &'b str) -> Bearer<'b> {
        Bearer { user_id: self.user_id(), role, rooms: self.patterns.as_deref() }
    }

    pub(crate) fn client_id(&self) -> &str {
        self.client.as_str().strip_prefix("@client:").unwrap_or_default()
    }

    /// Who it is to its dialect, where it speaks one.
    pub(crate) fn listener<'c>(&'c self, role: &'c str, now_unix_ms: u64) -> Option<Listener<'c>> {
        let given = &self.extra.as_ref()?.speaker.as_ref()?.given;
        let (client_id, user_id) = (self.client_id(), self.user_id());
        Some(Listener { client_id, user_id, role, given, now_unix_ms, own_id: "" })
    }

    /// Rooms it joined, the engine's own not counted.
    pub(crate) fn rooms_joined(&self) -> usize {
        self.memberships.len().saturating_sub(ENGINE_ROOMS)
    }

    /// Its place among the members of a room.
    pub(crate) fn place_in(&self, room: u32) -> Option<u32> {
        self.memberships.iter().find(|membership| membership.room == room).map(|membership| membership.at)
    }

    /// The form in which it reads a room.
    pub(crate) fn class_in(&self, room: u32) -> Class {
        match self.follows.map(RoomNumber::get) {
            _ if !self.class.may_follow() => self.class,
            Some(followed) if followed != room => self.class.elsewhere(),
            Some(_) if self.in_step => self.class,
            _ => self.class.waiting(),
        }
    }

    /// Whether commands of one message are being done.
    pub(crate) fn is_chained(&self) -> bool {
        self.extra.as_ref().is_some_and(|extra| extra.chain.is_some())
    }

    /// Whether more bytes may be handed to the socket, or wait behind others.
    pub(crate) fn is_blocked(&self) -> bool {
        self.backlog.is_some()
    }
}

/// `@user`, `@client`, `@role`, `@all`.
pub(crate) const ENGINE_ROOMS: usize = 4;
