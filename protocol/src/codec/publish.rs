//! From the members of a `publish` to a checked [`Publish`].

use bytes::Bytes;

use crate::Encoding;
use crate::codec::check::{self, Fault};
use crate::codec::fields::{Fields, Texts};
use crate::codec::source::Value;
use crate::limits::{
    KEY_CHARS_MAX, MESSAGE_ID_CHARS_MAX, PRIORITY_MAX, ROLES_MAX, TTL_SECONDS_MAX, USERS_MAX,
};
use crate::name::{EventName, check_id};
use crate::wire::{Body, Publish, Target};

/// Checks a publish.
///
/// # Errors
/// The first rule that a member breaks.
pub(crate) fn publish(fields: &Fields<'_>) -> Result<Publish, Fault> {
    let target = target(fields)?;
    let event = EventName::parse(check::name("event", &fields.event)?)
        .map_err(|error| Fault::new("event", error.to_string()))?;
    let ttl = check::number("ttl", &fields.ttl, (1, u64::from(TTL_SECONDS_MAX)))?;
    let priority = check::number("priority", &fields.priority, (0, u64::from(PRIORITY_MAX)))?;
    let key = check::text("key", &fields.key, KEY_CHARS_MAX)?;
    let message_id = check::text("message_id", &fields.message_id, MESSAGE_ID_CHARS_MAX)?;
    if let Some(message_id) = message_id {
        check_id("message_id", message_id).map_err(|error| Fault::new("message_id", error.to_string()))?;
    }
    Ok(Publish {
        target,
        event,
        user_id: check::optional_id("user_id", &fields.user_id)?,
        exclude_self: check::flag("exclude_self", &fields.exclude_self)?,
        exclude_client: check::optional_id("exclude_client", &fields.exclude_client)?,
        roles: check::ids("roles", &fields.roles, (0, ROLES_MAX))?,
        key: key.map(Into::into),
        // Both within their types, as just checked.
        ttl: ttl.map(|seconds| seconds as u32),
        priority: priority.map(|priority| priority as u8),
        message_id: message_id.map(Into::into),
        receipts: check::flag("receipts", &fields.receipts)?,
        // Last: what is refused is not copied.
        body: body(fields).unwrap_or_else(|| null(fields.encoding)),
    })
}

/// A copy of `data`, if given.
pub(crate) fn body(fields: &Fields<'_>) -> Option<Body> {
    let bytes = Bytes::copy_from_slice(fields.data?);
    Some(match fields.encoding {
        Encoding::Json => Body::Json(bytes),
        Encoding::MessagePack => Body::MessagePack(bytes),
    })
}

/// What a missing `data` means.
fn null(encoding: Encoding) -> Body {
    match encoding {
        Encoding::Json => Body::Json(Bytes::from_static(b"null")),
        Encoding::MessagePack => Body::MessagePack(Bytes::from_static(&[0xc0])),
    }
}

/// The one target. Null and `"all": false` count as not given.
fn target(fields: &Fields<'_>) -> Result<Target, Fault> {
    let all = check::flag("all", &fields.all)?;
    let given = [
        ("room", fields.room.is_given()),
        ("user", fields.user.is_given()),
        ("users", !matches!(fields.users, Texts::Absent | Texts::Null)),
        ("role", fields.role.is_given()),
        ("client", fields.client.is_given()),
        ("all", all),
    ];
    let mut names = given.iter().filter(|(_, given)| *given).map(|(name, _)| *name);
    let rule = "exactly one of `room`, `user`, `users`, `role`, `client`, `all` is required";
    let Some(name) = names.next() else { return Err(Fault::new("room", format!("{rule}, none is given"))) };
    if let Some(second) = names.next() {
        return Err(Fault::new(second, format!("{rule}, both `{name}` and `{second}` are given")));
    }
    Ok(match name {
        "room" => Target::Room(check::room(&fields.room)?),
        "user" => Target::User(check::id("user", &fields.user)?),
        "users" => Target::Users(check::ids("users", &fields.users, (1, USERS_MAX))?),
        "role" => Target::Role(check::id("role", &fields.role)?),
        "client" => Target::Client(check::id("client", &fields.client)?),
        _ => Target::All,
    })
}

/// Checks an item of `POST /v1/publish`, where `type` may be left out.
///
/// # Errors
/// As [`publish`], or another `type`.
pub(crate) fn item(fields: &Fields<'_>) -> Result<Publish, Fault> {
    match &fields.kind {
        Value::Absent | Value::Null => {}
        Value::Text(text) if text == "publish" => {}
        _ => {
            let message = "`type` must be `publish` or left out; a message's name goes into `event`";
            return Err(Fault::new("type", message));
        }
    }
    publish(fields)
}
