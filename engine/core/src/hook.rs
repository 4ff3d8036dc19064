//! Questions to a backend before something is done: when it is asked, what about, and what it may answer.

use std::sync::Arc;

use fanfare_protocol::{Body, Code, EventName, Publish, RoomName, Target};

use crate::RoomPattern;
use crate::id::RequestId;

/// When a backend is asked.
#[derive(Clone, Debug)]
pub struct Hooks {
    /// Before a connection is welcomed, and before its token is replaced by a newer one.
    pub connect: bool,
    /// Before a connection becomes a member of one of [`Hooks::rooms`], or reads what one keeps without being in.
    pub join: bool,
    /// Before a message of one of [`Hooks::message_types`] goes to one of [`Hooks::rooms`].
    pub publish: bool,
    /// The rooms that are asked about; users' own and the like by the engine's names for them (`@user:7`).
    pub rooms: Vec<RoomPattern>,
    /// The types of messages that are asked about.
    pub message_types: Vec<RoomPattern>,
    /// Milliseconds after which no answer is waited for.
    pub timeout_ms: u64,
    /// Questions of one shard that may wait for an answer; more are not asked.
    pub waiting_max: usize,
    /// What is done where there is no answer: true, what was asked about; false, nothing.
    pub allow_unanswered: bool,
}

impl Hooks {
    /// Whether somebody is asked about a member.
    pub(crate) fn asks_join(&self, room: &RoomName) -> bool {
        self.join && self.names(room.as_str())
    }

    /// Whether somebody is asked about a message.
    pub fn asks_publish(&self, publish: &Publish) -> bool {
        self.publish
            && self.message_types.iter().any(|pattern| pattern.matches(publish.event.as_str()))
            && match &publish.target {
                Target::Room(room) => self.names(room.as_str()),
                Target::User(user_id) => self.names(RoomName::of_user(user_id).as_str()),
                Target::Users(users) => users.iter().any(|id| self.names(RoomName::of_user(id).as_str())),
                Target::Role(role) => self.names(RoomName::of_role(role).as_str()),
                Target::Client(client_id) => self.names(RoomName::of_client(client_id).as_str()),
                Target::All => self.names(RoomName::of_all().as_str()),
            }
    }

    fn names(&self, room: &str) -> bool {
        self.rooms.iter().any(|pattern| pattern.matches(room))
    }

    /// An answer, or what is done without one.
    ///
    /// # Errors
    /// It must not be: the code, and a text for the client.
    pub fn decide(&self, verdict: Verdict) -> Result<Changes, (Code, String)> {
        match verdict {
            Verdict::Allow(changes) => Ok(*changes),
            Verdict::Deny(reason) => Err((Code::Forbidden, reason)),
            Verdict::Unanswered if self.allow_unanswered => Ok(Changes::default()),
            Verdict::Unanswered => Err((Code::ServerError, UNANSWERED.to_owned())),
        }
    }
}

const UNANSWERED: &str = "the backend that decides this could not be asked; try again";

/// One question.
#[derive(Clone, Debug, PartialEq)]
pub struct Inquiry {
    /// Who wants to know.
    pub inquirer: Inquirer,
    /// The connection's client id, when it is one.
    pub client_id: String,
    /// The user, when known.
    pub user_id: String,
    /// The user's role; of an API key, nothing.
    pub role: String,
    /// What it is about.
    pub about: About,
}

/// Who waits for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inquirer {
    /// A connection, by the number that the core gave the question.
    Connection(u64),
    /// An item of an HTTP request.
    Http(RequestId, u32),
}

/// What a question is about.
#[derive(Clone, Debug, PartialEq)]
pub enum About {
    /// A connection wants to be welcomed, or to go on with a newer token.
    Connect {
        /// Whether it was welcomed before.
        is_refresh: bool,
    },
    /// A connection wants to be a member, or to read what the room keeps.
    Join(RoomName),
    /// Somebody wants to send a message.
    Publish(Box<Publish>),
}

/// What a backend answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// It may be, with these changes.
    Allow(Box<Changes>),
    /// It must not be. The text is for the client: at most 123 bytes, no control characters.
    Deny(String),
    /// Nothing that could be understood, or nothing in time.
    Unanswered,
}

/// What a backend changes of what it allows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes {
    /// Of a connection: its role.
    pub role: Option<Box<str>>,
    /// Of a connection: the rooms it may enter.
    pub rooms: Option<Arc<[RoomPattern]>>,
    /// Of a message: its type.
    pub event: Option<EventName>,
    /// Of a message: what it says.
    pub body: Option<Body>,
}

impl Changes {
    /// Applies what concerns a message.
    pub fn rewrite(self, publish: &mut Publish) {
        if let Some(event) = self.event {
            publish.event = event;
        }
        if let Some(body) = self.body {
            publish.body = body;
        }
    }
}
