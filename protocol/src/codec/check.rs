//! The rules that single members must follow.

use crate::codec::fields::{Place, Texts};
use crate::codec::source::Value;
use crate::limits::{COMMAND_ID_BYTES_MAX, EPOCH_BYTES_MAX};
use crate::name::{NameError, RoomName, check_id};
use crate::wire::{CommandId, Position, Refusal};

/// A rule that a member breaks.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) field: &'static str,
    pub(crate) message: String,
}

impl Fault {
    pub(crate) fn new(field: &'static str, message: impl Into<String>) -> Self {
        Self { field, message: message.into() }
    }

    pub(crate) fn missing(field: &'static str) -> Self {
        Self::new(field, format!("`{field}` is required"))
    }

    pub(crate) fn refusal(self, id: Option<CommandId>) -> Refusal {
        Refusal::invalid(id, Some(self.field), self.message)
    }

    fn name(field: &'static str, error: &NameError) -> Self {
        Self::new(field, error.to_string())
    }
}

/// Reads an `id`.
pub(crate) fn command_id(value: &Value<'_>) -> Result<Option<CommandId>, Fault> {
    match value {
        Value::Absent | Value::Null => return Ok(None),
        Value::Unsigned(number) => {
            if let Ok(number) = i64::try_from(*number) {
                return Ok(Some(CommandId::Number(number)));
            }
        }
        Value::Negative(number) => return Ok(Some(CommandId::Number(*number))),
        Value::Text(text) if text.len() <= COMMAND_ID_BYTES_MAX => {
            return Ok(Some(CommandId::Text(text.as_ref().into())));
        }
        _ => {}
    }
    let message =
        format!("`id` must be a whole number of 64 bits or text of at most {COMMAND_ID_BYTES_MAX} bytes");
    Err(Fault::new("id", message))
}

/// Text of 1 to `max` characters, if given.
pub(crate) fn text<'v>(
    field: &'static str,
    value: &'v Value<'_>,
    max: usize,
) -> Result<Option<&'v str>, Fault> {
    let text = match value {
        Value::Absent | Value::Null => return Ok(None),
        Value::Text(text) => text.as_ref(),
        _ => return Err(Fault::new(field, format!("`{field}` must be text"))),
    };
    // Of bytes there are at least as many: most texts need no count.
    let length = if text.len() <= max { text.len() } else { text.chars().count() };
    if !(1..=max).contains(&length) {
        let message = format!("`{field}` must be 1 to {max} characters long, it is {length}");
        return Err(Fault::new(field, message));
    }
    Ok(Some(text))
}

/// Text whose length its own type checks.
pub(crate) fn name<'v>(field: &'static str, value: &'v Value<'_>) -> Result<&'v str, Fault> {
    match value {
        Value::Text(text) => Ok(text),
        Value::Absent | Value::Null => Err(Fault::missing(field)),
        _ => Err(Fault::new(field, format!("`{field}` must be text"))),
    }
}

/// A user id, client id or role.
pub(crate) fn id(field: &'static str, value: &Value<'_>) -> Result<Box<str>, Fault> {
    let text = name(field, value)?;
    check_id(field, text).map_err(|error| Fault::name(field, &error))?;
    Ok(text.into())
}

/// A user id or client id, if given.
pub(crate) fn optional_id(field: &'static str, value: &Value<'_>) -> Result<Option<Box<str>>, Fault> {
    if matches!(value, Value::Absent | Value::Null) { Ok(None) } else { id(field, value).map(Some) }
}

/// User ids or roles, `min` to `max` of them.
pub(crate) fn ids(
    field: &'static str,
    texts: &Texts<'_>,
    (min, max): (usize, usize),
) -> Result<Vec<Box<str>>, Fault> {
    let items = match texts {
        Texts::Absent | Texts::Null => return Ok(Vec::new()),
        Texts::Wrong => return Err(Fault::new(field, format!("`{field}` must be a list of texts"))),
        Texts::List(items) => items,
    };
    if items.len() < min || items.len() > max {
        return Err(Fault::new(field, format!("`{field}` must hold {min} to {max} entries")));
    }
    let mut ids = Vec::with_capacity(items.len());
    for item in items {
        check_id(field, item).map_err(|error| Fault::name(field, &error))?;
        ids.push(item.as_ref().into());
    }
    Ok(ids)
}

/// A whole number from `min` to `max`, if given.
pub(crate) fn number(
    field: &'static str,
    value: &Value<'_>,
    (min, max): (u64, u64),
) -> Result<Option<u64>, Fault> {
    match value {
        Value::Absent | Value::Null => Ok(None),
        Value::Unsigned(number) if (min..=max).contains(number) => Ok(Some(*number)),
        _ => Err(Fault::new(field, format!("`{field}` must be a whole number from {min} to {max}"))),
    }
}

/// A number of messages, if given.
pub(crate) fn count(field: &'static str, value: &Value<'_>) -> Result<Option<u32>, Fault> {
    // Within u32, as just checked.
    Ok(number(field, value, (0, u64::from(u32::MAX)))?.map(|number| number as u32))
}

/// True or false; false when not given.
pub(crate) fn flag(field: &'static str, value: &Value<'_>) -> Result<bool, Fault> {
    match value {
        Value::Absent | Value::Null => Ok(false),
        Value::Bool(flag) => Ok(*flag),
        _ => Err(Fault::new(field, format!("`{field}` must be true or false"))),
    }
}

/// The member `room`.
pub(crate) fn room(value: &Value<'_>) -> Result<RoomName, Fault> {
    RoomName::parse(name("room", value)?).map_err(|error| Fault::name("room", &error))
}

/// The same; or the room of one user.
pub(crate) fn room_or_inbox(value: &Value<'_>) -> Result<RoomName, Fault> {
    match value {
        Value::Text(text) if text.starts_with("@user:") => {
            let user_id = &text["@user:".len()..];
            check_id("room", user_id).map_err(|error| Fault::name("room", &error))?;
            Ok(RoomName::of_user(user_id))
        }
        _ => room(value),
    }
}

/// A position, if given.
pub(crate) fn position(field: &'static str, place: &Place<'_>) -> Result<Option<Position>, Fault> {
    let (epoch, offset) = match place {
        Place::Absent | Place::Null => return Ok(None),
        Place::Wrong => {
            return Err(Fault::new(field, format!("`{field}` must be an object of epoch and offset")));
        }
        Place::At { twice: true, .. } => {
            return Err(Fault::new(field, format!("`{field}` holds a member twice")));
        }
        Place::At { epoch, offset, .. } => (epoch, offset),
    };
    // The names in the texts are those inside the object; the field at fault is the object.
    let inside = |fault: Fault| Fault::new(field, format!("{} (in `{field}`)", fault.message));
    let epoch = text("epoch", epoch, EPOCH_BYTES_MAX).map_err(inside)?;
    let epoch = epoch.ok_or_else(|| inside(Fault::missing("epoch")))?;
    let offset = number("offset", offset, (0, u64::MAX)).map_err(inside)?;
    let offset = offset.ok_or_else(|| inside(Fault::missing("offset")))?;
    Ok(Some(Position { epoch: epoch.into(), offset }))
}
