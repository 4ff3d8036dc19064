//! The members of one command, gathered but not yet checked.
//!
//! A member given twice is refused, because two readers could each believe another one; null counts as not
//! given; members that no command knows are skipped.

use std::borrow::Cow;

use crate::Encoding;
use crate::codec::source::{Shape, Source, Value};
use crate::limits::USERS_MAX;
use crate::malformed::Malformed;

/// A list of texts.
#[derive(Debug, Default)]
pub(crate) enum Texts<'a> {
    #[default]
    Absent,
    Null,
    /// Not a list, or not of texts only.
    Wrong,
    /// The first [`USERS_MAX`] + 1 of them (no list may be longer).
    List(Vec<Cow<'a, str>>),
}

/// A position in a room.
#[derive(Debug, Default)]
pub(crate) enum Place<'a> {
    #[default]
    Absent,
    Null,
    /// Not an object.
    Wrong,
    At {
        epoch: Value<'a>,
        offset: Value<'a>,
        twice: bool,
    },
}

/// Every member that some command knows.
#[derive(Debug, Default)]
pub(crate) struct Fields<'a> {
    pub(crate) all: Value<'a>,
    pub(crate) client: Value<'a>,
    /// One checked value of the message's encoding.
    pub(crate) data: Option<&'a [u8]>,
    pub(crate) encoding: Encoding,
    pub(crate) epoch: Value<'a>,
    pub(crate) event: Value<'a>,
    pub(crate) exclude_client: Value<'a>,
    pub(crate) exclude_self: Value<'a>,
    pub(crate) id: Value<'a>,
    pub(crate) key: Value<'a>,
    /// The member `type`.
    pub(crate) kind: Value<'a>,
    pub(crate) last: Value<'a>,
    pub(crate) limit: Value<'a>,
    pub(crate) message_id: Value<'a>,
    pub(crate) offset: Value<'a>,
    pub(crate) priority: Value<'a>,
    pub(crate) receipts: Value<'a>,
    pub(crate) recover: Place<'a>,
    pub(crate) reverse: Value<'a>,
    pub(crate) role: Value<'a>,
    pub(crate) roles: Texts<'a>,
    pub(crate) room: Value<'a>,
    pub(crate) sequence_number: Value<'a>,
    pub(crate) since: Place<'a>,
    pub(crate) token: Value<'a>,
    pub(crate) ttl: Value<'a>,
    pub(crate) user: Value<'a>,
    pub(crate) user_id: Value<'a>,
    pub(crate) users: Texts<'a>,
    /// The first member that was given twice.
    pub(crate) twice: Option<&'static str>,
}

enum Slot<'s, 'a> {
    One(&'s mut Value<'a>),
    Many(&'s mut Texts<'a>),
    Place(&'s mut Place<'a>),
    Raw(&'s mut Option<&'a [u8]>),
}

impl Slot<'_, '_> {
    fn is_taken(&self) -> bool {
        match self {
            Self::One(value) => !matches!(value, Value::Absent),
            Self::Many(texts) => !matches!(texts, Texts::Absent),
            Self::Place(place) => !matches!(place, Place::Absent),
            Self::Raw(bytes) => bytes.is_some(),
        }
    }
}

impl<'a> Fields<'a> {
    /// Reads one object, which [`Source::shape`] found here. What was read before an error stays.
    ///
    /// # Errors
    /// The bytes are malformed; with the member in which they are, if it is a known one.
    pub(crate) fn read<S: Source<'a>>(
        &mut self,
        source: &mut S,
    ) -> Result<(), (Option<&'static str>, Malformed)> {
        self.encoding = S::ENCODING;
        let mut inside = source.open().map_err(|malformed| (None, malformed))?;
        while source.next(&mut inside).map_err(|malformed| (None, malformed))? {
            let key = source.key().map_err(|malformed| (None, malformed))?;
            let Some((name, slot)) = self.slot(&key) else {
                source.raw().map_err(|malformed| (None, malformed))?;
                continue;
            };
            let twice = slot.is_taken();
            fill(source, slot).map_err(|malformed| (Some(name), malformed))?;
            if twice && self.twice.is_none() {
                self.twice = Some(name);
            }
        }
        Ok(())
    }

    fn slot(&mut self, key: &str) -> Option<(&'static str, Slot<'_, 'a>)> {
        Some(match key {
            "all" => ("all", Slot::One(&mut self.all)),
            "client" => ("client", Slot::One(&mut self.client)),
            "data" => ("data", Slot::Raw(&mut self.data)),
            "epoch" => ("epoch", Slot::One(&mut self.epoch)),
            "event" => ("event", Slot::One(&mut self.event)),
            "exclude_client" => ("exclude_client", Slot::One(&mut self.exclude_client)),
            "exclude_self" => ("exclude_self", Slot::One(&mut self.exclude_self)),
            "id" => ("id", Slot::One(&mut self.id)),
            "key" => ("key", Slot::One(&mut self.key)),
            "last" => ("last", Slot::One(&mut self.last)),
            "limit" => ("limit", Slot::One(&mut self.limit)),
            "message_id" => ("message_id", Slot::One(&mut self.message_id)),
            "offset" => ("offset", Slot::One(&mut self.offset)),
            "priority" => ("priority", Slot::One(&mut self.priority)),
            "receipts" => ("receipts", Slot::One(&mut self.receipts)),
            "recover" => ("recover", Slot::Place(&mut self.recover)),
            "reverse" => ("reverse", Slot::One(&mut self.reverse)),
            "role" => ("role", Slot::One(&mut self.role)),
            "roles" => ("roles", Slot::Many(&mut self.roles)),
            "room" => ("room", Slot::One(&mut self.room)),
            "sequence_number" => ("sequence_number", Slot::One(&mut self.sequence_number)),
            "since" => ("since", Slot::Place(&mut self.since)),
            "token" => ("token", Slot::One(&mut self.token)),
            "ttl" => ("ttl", Slot::One(&mut self.ttl)),
            "type" => ("type", Slot::One(&mut self.kind)),
            "user" => ("user", Slot::One(&mut self.user)),
            "user_id" => ("user_id", Slot::One(&mut self.user_id)),
            "users" => ("users", Slot::Many(&mut self.users)),
            _ => return None,
        })
    }
}

fn fill<'a, S: Source<'a>>(source: &mut S, slot: Slot<'_, 'a>) -> Result<(), Malformed> {
    match slot {
        Slot::One(value) => *value = source.scalar()?,
        Slot::Many(texts) => *texts = read_texts(source)?,
        Slot::Place(place) => *place = read_place(source)?,
        Slot::Raw(bytes) => *bytes = Some(source.raw()?),
    }
    Ok(())
}

fn read_texts<'a, S: Source<'a>>(source: &mut S) -> Result<Texts<'a>, Malformed> {
    if source.shape()? != Shape::Array {
        let value = source.scalar()?;
        return Ok(if value == Value::Null { Texts::Null } else { Texts::Wrong });
    }
    let mut inside = source.open()?;
    let mut items = Vec::new();
    let mut wrong = false;
    while source.next(&mut inside)? {
        match source.scalar()? {
            // One too many is enough to refuse it.
            Value::Text(text) if items.len() <= USERS_MAX => items.push(text),
            Value::Text(_) => {}
            _ => wrong = true,
        }
    }
    Ok(if wrong { Texts::Wrong } else { Texts::List(items) })
}

fn read_place<'a, S: Source<'a>>(source: &mut S) -> Result<Place<'a>, Malformed> {
    if source.shape()? != Shape::Object {
        let value = source.scalar()?;
        return Ok(if value == Value::Null { Place::Null } else { Place::Wrong });
    }
    let (mut epoch, mut offset, mut twice) = (Value::Absent, Value::Absent, false);
    let mut inside = source.open()?;
    while source.next(&mut inside)? {
        let slot = match &*source.key()? {
            "epoch" => &mut epoch,
            "offset" => &mut offset,
            _ => {
                source.raw()?;
                continue;
            }
        };
        twice |= *slot != Value::Absent;
        *slot = source.scalar()?;
    }
    Ok(Place::At { epoch, offset, twice })
}
