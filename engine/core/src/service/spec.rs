//! What a command of a service takes, declared once: arguments are checked by it, HTTP is routed by it, and the descriptions of
//! the API are made from it.

use fanfare_protocol::{Refusal, RoomName};
use serde_json::Value;

use super::{Args, Caller};

/// A command of a service.
#[derive(Debug)]
pub struct Spec {
    /// Its whole name: `poll.vote`.
    pub name: &'static str,
    /// What it does, in one sentence.
    pub about: &'static str,
    /// How it is asked for over HTTP.
    pub method: Method,
    /// Where it is asked for over HTTP: `/v1/rooms/{room}/polls/{poll_id}`. What is in braces is an argument, or the room.
    pub path: &'static str,
    /// Who may.
    pub access: Access,
    /// Which room it is about.
    pub place: Place,
    /// What it takes.
    pub fields: &'static [Field],
    /// What it answers.
    pub answer: &'static [Field],
}

/// How a command is asked for over HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// It changes nothing.
    Get,
    /// It makes something or does something.
    Post,
    /// It sets something; doing it twice is doing it once.
    Put,
    /// It changes a part of something.
    Patch,
    /// It takes something away.
    Delete,
}

impl Method {
    /// As it is written in a request.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// Who may do a command. API keys may everything that needs no user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Who may join the room.
    Read,
    /// Who may publish to the room.
    Write,
    /// Who may join the room and see who is there.
    Presence,
    /// Who may steer what others see, in rooms that its token covers.
    Control,
    /// An operator.
    Admin,
}

/// Which room a command is about.
#[derive(Clone, Copy, Debug)]
pub enum Place {
    /// The command's `room`.
    Room,
    /// The room of a type whose id is an argument: of `("operation", "operation_id")` it is `operation:<operation_id>`.
    Of(&'static str, &'static str),
    /// The caller's own room; over HTTP, with a key, that of the user who is named in the argument `user_id`.
    Own,
    /// Rooms one after the other, in this order: what one answers the next finds as `Args::so_far`, and the last one's answer
    /// is the caller's. The first that refuses is the last.
    InTurn(Rooms),
    /// The same, in whichever order is the quickest. Exactly one of these arguments says which rooms.
    Each(Rooms, &'static [&'static str]),
    /// The own room of the user who is named in an argument.
    User(&'static str),
    /// The own room of the client that is named in an argument.
    Client(&'static str),
    /// The room of all: what is about the whole server.
    All,
}

/// The rooms that a command is about, one at least, by its arguments and who asks.
pub type Rooms = fn(&Args, &Caller) -> Result<Vec<RoomName>, Refusal>;

/// One argument, or one part of an answer.
#[derive(Debug)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// What it is, in a few words.
    pub about: &'static str,
    /// Whether it must be given, or is always there.
    pub required: bool,
    /// What it may be.
    pub rule: Rule,
    /// What must not be given with it.
    pub instead_of: Option<&'static str>,
}

impl Field {
    /// One that must be there.
    pub const fn required(name: &'static str, rule: Rule, about: &'static str) -> Self {
        Self { name, about, required: true, rule, instead_of: None }
    }

    /// One that may be left out.
    pub const fn optional(name: &'static str, rule: Rule, about: &'static str) -> Self {
        Self { name, about, required: false, rule, instead_of: None }
    }

    /// That it is not given together with another one, which the service looks at.
    pub const fn instead_of(self, other: &'static str) -> Self {
        Self { instead_of: Some(other), ..self }
    }
}

/// What a value may be.
#[derive(Debug)]
pub enum Rule {
    /// Text of one to so many characters, without what may hide text ([`fanfare_protocol::sanitize`]).
    Text(usize),
    /// An emoji or the like: one to so many bytes, without spaces and characters that cannot be seen.
    Sign(usize),
    /// A name: 1 to 64 of `A-Z a-z 0-9 . _ - : = ~ +`.
    Name,
    /// The id of a user, a client or a role.
    Id,
    /// A whole number within bounds.
    Whole(u64, u64),
    /// A finite number within bounds.
    Number(f64, f64),
    /// A whole number within bounds, which may be below zero.
    Integer(i64, i64),
    /// True or false.
    Flag,
    /// True, false or one of these words.
    FlagOr(&'static [&'static str]),
    /// One of these words.
    Choice(&'static [&'static str]),
    /// At most so many texts of one to so many characters.
    Texts(usize, usize),
    /// From so many to so many different texts of one to so many characters.
    Distinct(usize, usize, usize),
    /// From so many to so many ids of users, clients or roles.
    Ids(usize, usize),
    /// Where something leads: at most so many characters that begin with `https://`, `http://` or a single `/`.
    Link(usize),
    /// A time of day: `22:00`.
    Clock,
    /// An object with these members.
    Part(&'static [Field]),
    /// Any value that takes at most so many bytes as JSON.
    Any(usize),
    /// An object of any members that takes at most so many bytes as JSON.
    Object(usize),
    /// An object that takes at most so many bytes as JSON. These of its members keep their rules; others may be anything.
    Members(usize, &'static [Field]),
    /// At most so many objects, each with these members.
    Objects(usize, &'static [Field]),
    /// An object of one to so many numbers under names, each from minus this to this.
    Numbers(usize, f64),
    /// A time, as RFC 3339 text in UTC.
    Time,
    /// An address or a range of addresses: 203.0.113.7, 10.0.0.0/8, 2001:db8::/32.
    Network,
}

/// A message that a service says.
#[derive(Debug)]
pub struct Said {
    /// Its type: `$poll_opened`.
    pub name: &'static str,
    /// When it is said, in one sentence.
    pub about: &'static str,
    /// Whether it has a place in its room, and so an offset, an epoch and an id. Otherwise it is for who is there now.
    pub kept: bool,
    /// What its data has.
    pub fields: &'static [Field],
}

impl Said {
    /// One with a place in its room.
    pub(crate) const fn kept(name: &'static str, about: &'static str, fields: &'static [Field]) -> Self {
        Self { name, about, kept: true, fields }
    }

    /// One for who is there now.
    pub(crate) const fn signal(name: &'static str, about: &'static str, fields: &'static [Field]) -> Self {
        Self { name, about, kept: false, fields }
    }

    /// The first thing about some data that is not as it is declared. Only names are looked at: what a service says has its
    /// values from arguments that keep their rules.
    pub(crate) fn fault(&self, data: &Value) -> Option<String> {
        let Some(data) = data.as_object() else { return Some("it is no object".to_owned()) };
        let is_declared = |name: &str| self.fields.iter().any(|field| field.name == name);
        if let Some(name) = data.keys().find(|name| !is_declared(name)) {
            return Some(format!("`{name}` is not declared"));
        }
        let is_missing = |field: &&Field| field.required && data.get(field.name).is_none_or(Value::is_null);
        self.fields.iter().find(is_missing).map(|field| format!("`{}` is missing", field.name))
    }
}

impl Spec {
    /// The names in braces of the path.
    pub fn path_names(&self) -> impl Iterator<Item = &'static str> {
        self.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
    }

    /// Whether it is one that an auditor wants to hear of: it changes what others may or have.
    pub fn steers(&self) -> bool {
        let is_of_room = self.name.starts_with("room.");
        self.method != Method::Get && (is_of_room || self.access == Access::Admin)
    }

    /// The argument of a name.
    pub fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// Asserts that the parts fit together.
    #[cfg(test)]
    pub(crate) fn check(&self) {
        let name = self.name;
        for in_path in self.path_names() {
            let known = in_path == "room" || self.field(in_path).is_some();
            assert!(known, "{name}: {{{in_path}}} is no argument");
        }
        match self.place {
            Place::Room => assert!(self.path.contains("/{room}"), "{name}: the path names no room"),
            Place::All => {}
            Place::Of(_, field) | Place::User(field) | Place::Client(field) => {
                assert!(self.field(field).is_some_and(|field| field.required), "{name}");
            }
            Place::InTurn(_) => {}
            Place::Each(_, one_of) => {
                let is_optional = |name: &&str| self.field(name).is_some_and(|field| !field.required);
                assert!(one_of.iter().all(is_optional), "{name}");
            }
            Place::Own => assert!(self.field("user_id").is_none_or(|field| !field.required), "{name}"),
        }
        assert!(self.about.ends_with('.') && self.path.starts_with("/v1/"), "{name}");
        assert!(self.method != Method::Get || self.access != Access::Write, "{name}: reading is no writing");
    }
}
