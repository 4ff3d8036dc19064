//! Names that were checked once and are trusted afterwards: rooms, events, users.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// Longest room name, in bytes.
pub const ROOM_NAME_BYTES_MAX: usize = 128;
/// Longest event name, in bytes.
pub const EVENT_NAME_BYTES_MAX: usize = 64;
/// Longest user id, client id or role, in characters.
pub const ID_CHARS_MAX: usize = 128;

/// Types that the engine itself sends or reads; no publisher may use them as an event.
pub const RESERVED_EVENTS: [&str; 28] = [
    "ack",
    "auth",
    "connection_health",
    "connection_timeout",
    "error",
    "gap",
    "heartbeat",
    "heartbeat_ack",
    "heartbeat_ping",
    "heartbeat_pong",
    "history",
    "join",
    "joined",
    "leave",
    "left",
    "message",
    "ok",
    "ping",
    "pong",
    "presence",
    "publish",
    "published",
    "receipt",
    "refresh",
    "subscribe",
    "unsubscribe",
    "welcome",
    "closed",
];

/// Why a name was refused; the text names the rule and never repeats the name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameError(String);

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NameError {}

/// The name of a room: `<type>:<id>` or a bare id, 1-128 bytes of `A-Z a-z 0-9 . _ - : = ~ + @`.
///
/// Names that begin with `@` belong to the engine (`@user:7`, `@all`) and only the constructors here make
/// them. Cloning shares the text.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RoomName(Arc<str>);

impl RoomName {
    /// Checks a name that a client or an HTTP caller gave.
    ///
    /// # Errors
    /// Length, alphabet, or a leading `@`.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        check_length("room", text, ROOM_NAME_BYTES_MAX)?;
        if text.starts_with('@') {
            return Err(NameError("`room` must not begin with `@`: those rooms belong to the engine".into()));
        }
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-:=~+@".contains(&byte);
        if !text.bytes().all(allowed) {
            return Err(NameError("`room` may hold only A-Z a-z 0-9 . _ - : = ~ + @".into()));
        }
        Ok(Self(text.into()))
    }

    /// A name that a store gives back: one that was checked before it was stored, or the engine's own.
    ///
    /// # Errors
    /// What neither [`RoomName::parse`] nor any other constructor could have made.
    pub fn restore(text: &str) -> Result<Self, NameError> {
        let id = ["@user:", "@role:", "@client:"].iter().find_map(|kind| text.strip_prefix(kind));
        match id {
            Some(id) => check_id("room", id)?,
            None if text == "@all" => {}
            None => return Self::parse(text),
        }
        Ok(Self(text.into()))
    }

    /// The room of everything sent to one user.
    pub fn of_user(user_id: &str) -> Self {
        Self(format!("@user:{user_id}").into())
    }

    /// The room of everything sent to one role.
    pub fn of_role(role: &str) -> Self {
        Self(format!("@role:{role}").into())
    }

    /// The room of everything sent to one client id.
    pub fn of_client(client_id: &str) -> Self {
        Self(format!("@client:{client_id}").into())
    }

    /// The room that every connection is in.
    pub fn of_all() -> Self {
        Self("@all".into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the engine made this room for a target other than a room.
    pub fn is_engine_room(&self) -> bool {
        self.0.starts_with('@')
    }

    /// Whether it is the room of one user.
    pub fn is_inbox(&self) -> bool {
        self.0.starts_with("@user:")
    }

    /// Whether it is the room of one client.
    pub fn is_client(&self) -> bool {
        self.0.starts_with("@client:")
    }

    /// The room type: what stands before the first `:`, or nothing.
    pub fn room_type(&self) -> Option<&str> {
        self.0.split_once(':').map(|(kind, _)| kind)
    }
}

/// A text as a part of a room's name: bytes that names may not hold, and `=`, are `=` and two hex digits. So every user id can stand
/// in a room's name, and comes back by [`read_part`].
pub fn room_part(text: &str) -> Cow<'_, str> {
    let stays = |byte: u8| byte.is_ascii_alphanumeric() || b"._-:~+@".contains(&byte);
    if text.bytes().all(stays) {
        return Cow::Borrowed(text);
    }
    let written = |byte: u8| if stays(byte) { char::from(byte).to_string() } else { format!("={byte:02X}") };
    Cow::Owned(text.bytes().map(written).collect())
}

/// The text that [`room_part`] has written so; nothing where it has not.
pub fn read_part(part: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'=' {
            bytes.push(byte);
            continue;
        }
        let digits = [rest.next()?, rest.next()?];
        let text = std::str::from_utf8(&digits).ok()?;
        bytes.push(u8::from_str_radix(text, 16).ok()?);
    }
    String::from_utf8(bytes).ok()
}

impl fmt::Display for RoomName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name a publisher gives its message, which becomes the message's `type`: 1-64 visible ASCII bytes
/// without `"` and `\`, not one of the engine's own types, not beginning with `$`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EventName(Arc<str>);

impl EventName {
    /// Checks an event name.
    ///
    /// # Errors
    /// Length, alphabet, or a reserved name.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let name = Self::restore(text)?;
        if text.starts_with('$') {
            return Err(NameError(
                "`event` must not begin with `$`: those names are kept for the engine".into(),
            ));
        }
        if RESERVED_EVENTS.contains(&text) {
            return Err(NameError("`event` is a name that the engine itself uses; choose another".into()));
        }
        Ok(name)
    }

    /// A name of the engine's own.
    ///
    /// # Panics
    /// It is no name that a message could have.
    pub fn of_engine(text: &str) -> Self {
        Self::restore(text).expect("invariant: the engine's own names are well made")
    }

    /// A name that a store gives back. It may have been reserved since it was stored.
    ///
    /// # Errors
    /// Length or alphabet.
    pub fn restore(text: &str) -> Result<Self, NameError> {
        check_length("event", text, EVENT_NAME_BYTES_MAX)?;
        if !text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\') {
            return Err(NameError(
                "`event` may hold only visible ASCII without quotes and backslashes".into(),
            ));
        }
        Ok(Self(text.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Checks a user id, client id or role: 1-128 characters, no control characters, no quotes or backslashes.
///
/// # Errors
/// Length or alphabet; `field` is named in the text.
pub fn check_id(field: &str, text: &str) -> Result<(), NameError> {
    // Of bytes there are at least as many: most ids need no count.
    let length = if text.len() <= ID_CHARS_MAX { text.len() } else { text.chars().count() };
    if !(1..=ID_CHARS_MAX).contains(&length) {
        let rule = format!("`{field}` must be 1 to {ID_CHARS_MAX} characters long, it is {length}");
        return Err(NameError(rule));
    }
    if text.chars().any(|c| c.is_control() || c == '"' || c == '\\') {
        return Err(NameError(format!("`{field}` must not hold control characters, quotes or backslashes")));
    }
    Ok(())
}

fn check_length(field: &str, text: &str, bytes_max: usize) -> Result<(), NameError> {
    if text.is_empty() || text.len() > bytes_max {
        return Err(NameError(format!(
            "`{field}` must be 1 to {bytes_max} bytes long, it is {}",
            text.len()
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rooms_follow_the_alphabet() {
        for good in ["chat:42", "lobby", "surgery:1.a_b-c=~+", "user:a@b.c"] {
            assert_eq!(RoomName::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "@all", "a b", "a/b", "a\0", "é", "..\n", &"x".repeat(129)] {
            assert!(RoomName::parse(bad).is_err(), "{bad:?}");
        }
        assert_eq!(RoomName::parse("chat:42").unwrap().room_type(), Some("chat"));
        assert_eq!(RoomName::parse("lobby").unwrap().room_type(), None);
    }

    #[test]
    fn what_was_stored_comes_back_and_nothing_else() {
        let own =
            [RoomName::of_user("7 é"), RoomName::of_role("a"), RoomName::of_client("c"), RoomName::of_all()];
        for name in own.iter().chain([&RoomName::parse("chat:42").unwrap()]) {
            assert_eq!(RoomName::restore(name.as_str()).as_ref(), Ok(name));
        }
        for bad in
            ["@user:", "@role:\0", "@client:\"", "@all2", "@", "a b", &format!("@user:{}", "x".repeat(129))]
        {
            assert!(RoomName::restore(bad).is_err(), "{bad:?}");
        }
        assert!(EventName::restore("ping").is_ok() && EventName::restore("$x").is_ok());
        assert!(EventName::restore("a b").is_err() && EventName::restore("").is_err());
    }

    #[test]
    fn every_user_id_can_stand_in_a_rooms_name_and_comes_back() {
        for id in ["ada", "auth0|7", "a=b", "ü/ä", "a:b", ""] {
            let part = room_part(id);
            assert!(RoomName::parse(&format!("x:{part}")).is_ok());
            assert_eq!(read_part(&part).as_deref(), Some(id));
        }
        assert_eq!((read_part("=4"), read_part("=zz"), read_part("=FF")), (None, None, None));
    }

    #[test]
    fn reserved_events_are_refused_and_the_reserved_list_has_no_twins() {
        for reserved in RESERVED_EVENTS {
            assert!(EventName::parse(reserved).is_err());
            assert_eq!(RESERVED_EVENTS.iter().filter(|other| **other == reserved).count(), 1);
        }
        assert!(EventName::parse("$x").is_err());
        assert!(EventName::parse("schedule_update").is_ok());
    }
}
