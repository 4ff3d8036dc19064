//! How a record is written: a version byte, the body, a CRC-32 over the key and both.
//!
//! redb checks its pages when asked to, not when it reads them. With the key under the checksum, a record that a
//! damaged page shows in another's place is found out like one whose own bytes changed.

use bytes::Bytes;
use fanfare_core::{Cursor, DeadLetter, Entry, Epoch, StoredId, StoredState, Subscriber};
use fanfare_protocol::{Body, EventName, RoomName};
use serde::{Deserialize, Serialize, Serializer};

/// The version of every kind of record.
const VERSION: u8 = 1;
const CHECKSUM_BYTES: usize = 4;

/// Where a record stands, for its checksum.
#[derive(Clone, Copy)]
pub(crate) enum Key<'k> {
    Room(&'k str),
    Message(&'k str, u64),
    Cursor(&'k str, &'k str, Option<&'k str>),
    Dead(&'k str, u64),
    Id(u64, &'k str, u64),
    State(&'k str, &'k str),
}

/// What a room's row says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) epoch: Epoch,
    /// The last offset given out.
    pub(crate) offset: u64,
    /// How many messages are kept.
    pub(crate) kept: u64,
}

/// An entry without its offset, which is in its key.
#[derive(Deserialize, Serialize)]
struct EntryBody<'b> {
    at_ms: u64,
    expires_ms: u64,
    timestamp_unix_ms: u64,
    #[serde(borrow)]
    event: &'b str,
    user: Option<&'b str>,
    is_json: bool,
    #[serde(serialize_with = "as_bytes")]
    body: &'b [u8],
    message_id: &'b str,
    is_publishers_id: bool,
    roles: Vec<&'b str>,
    not_for_publisher: bool,
    priority: u8,
}

#[derive(Deserialize, Serialize)]
struct DeadBody<'b> {
    #[serde(borrow)]
    room: &'b str,
    epoch: u32,
    offset: u64,
    died_ms: u64,
    deliveries: u32,
    #[serde(borrow)]
    entry: EntryBody<'b>,
}

#[derive(Deserialize, Serialize)]
struct StateBody<'b> {
    #[serde(serialize_with = "as_bytes")]
    bytes: &'b [u8],
}

#[derive(Deserialize, Serialize)]
struct IdBody<'b> {
    #[serde(borrow)]
    user: Option<&'b str>,
    message_id: &'b str,
    epoch: u32,
}

fn as_bytes<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(bytes)
}

/// Writes records into one buffer, one after the other.
#[derive(Debug, Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn row(&mut self, room: &str, row: Row) -> &[u8] {
        self.seal(Key::Room(room), &(row.epoch.0, row.offset, row.kept))
    }

    pub(crate) fn entry(&mut self, room: &str, entry: &Entry) -> &[u8] {
        self.seal(Key::Message(room, entry.offset), &EntryBody::of(entry))
    }

    pub(crate) fn cursor(&mut self, room: &str, subscriber: &Subscriber, cursor: Cursor) -> &[u8] {
        let key = Key::Cursor(room, subscriber.user.as_str(), subscriber.device.as_deref());
        self.seal(key, &(cursor.offset, cursor.seen_ms))
    }

    pub(crate) fn dead(&mut self, letter: &DeadLetter) -> &[u8] {
        let body = DeadBody {
            room: letter.room.as_str(),
            epoch: letter.epoch.0,
            offset: letter.entry.offset,
            died_ms: letter.died_ms,
            deliveries: letter.deliveries,
            entry: EntryBody::of(&letter.entry),
        };
        self.seal(Key::Dead(letter.user.as_str(), letter.id), &body)
    }

    pub(crate) fn id(&mut self, room: &str, epoch: Epoch, entry: &Entry) -> &[u8] {
        let user = entry.user.as_ref().map(RoomName::as_str);
        let body = IdBody { user, message_id: &entry.message_id, epoch: epoch.0 };
        self.seal(Key::Id(entry.at_ms, room, entry.offset), &body)
    }

    pub(crate) fn stored_id(&mut self, id: &StoredId) -> &[u8] {
        let user = id.user.as_ref().map(RoomName::as_str);
        let body = IdBody { user, message_id: &id.message_id, epoch: id.epoch.0 };
        self.seal(Key::Id(id.at_ms, id.room.as_str(), id.offset), &body)
    }

    pub(crate) fn state(&mut self, room: &str, service: &str, bytes: &[u8]) -> &[u8] {
        self.seal(Key::State(room, service), &StateBody { bytes })
    }

    fn seal(&mut self, key: Key<'_>, body: &impl Serialize) -> &[u8] {
        self.0.clear();
        self.0.push(VERSION);
        rmp_serde::encode::write(&mut self.0, body).expect("invariant: writing to memory does not fail");
        let checksum = checksum(key, &self.0);
        self.0.extend_from_slice(&checksum.to_le_bytes());
        &self.0
    }
}

impl<'b> EntryBody<'b> {
    fn of(entry: &'b Entry) -> Self {
        let (is_json, body) = match &entry.body {
            Body::Json(bytes) => (true, bytes),
            Body::MessagePack(bytes) => (false, bytes),
        };
        Self {
            at_ms: entry.at_ms,
            expires_ms: entry.expires_ms,
            timestamp_unix_ms: entry.timestamp_unix_ms,
            event: entry.event.as_str(),
            user: entry.user.as_ref().map(RoomName::as_str),
            is_json,
            body,
            message_id: &entry.message_id,
            is_publishers_id: entry.is_publishers_id,
            roles: entry.roles.iter().map(|role| &**role).collect(),
            not_for_publisher: entry.not_for_publisher,
            priority: entry.priority,
        }
    }

    fn entry(self, offset: u64) -> Result<Entry, String> {
        let bytes = Bytes::copy_from_slice(self.body);
        Ok(Entry {
            offset,
            at_ms: self.at_ms,
            expires_ms: self.expires_ms,
            timestamp_unix_ms: self.timestamp_unix_ms,
            event: EventName::restore(self.event).map_err(|error| error.to_string())?,
            user: self.user.map(name).transpose()?,
            body: if self.is_json { Body::Json(bytes) } else { Body::MessagePack(bytes) },
            message_id: self.message_id.into(),
            is_publishers_id: self.is_publishers_id,
            roles: self.roles.into_iter().map(Box::from).collect(),
            not_for_publisher: self.not_for_publisher,
            priority: self.priority,
        })
    }
}

pub(crate) fn row(room: &str, record: &[u8]) -> Result<Row, String> {
    let (epoch, offset, kept) = open(Key::Room(room), record)?;
    Ok(Row { epoch: Epoch(epoch), offset, kept })
}

pub(crate) fn entry(room: &str, offset: u64, record: &[u8]) -> Result<Entry, String> {
    open::<EntryBody<'_>>(Key::Message(room, offset), record)?.entry(offset)
}

pub(crate) fn cursor(
    (room, user, device): (&str, &str, Option<&str>),
    record: &[u8],
) -> Result<(Subscriber, Cursor), String> {
    let (offset, seen_ms) = open(Key::Cursor(room, user, device), record)?;
    let subscriber = Subscriber { user: name(user)?, device: device.map(Box::from) };
    Ok((subscriber, Cursor { offset, seen_ms }))
}

pub(crate) fn dead(user: &str, id: u64, record: &[u8]) -> Result<DeadLetter, String> {
    let body: DeadBody<'_> = open(Key::Dead(user, id), record)?;
    Ok(DeadLetter {
        id,
        user: name(user)?,
        room: name(body.room)?,
        epoch: Epoch(body.epoch),
        entry: body.entry.entry(body.offset)?,
        died_ms: body.died_ms,
        deliveries: body.deliveries,
    })
}

pub(crate) fn id(at_ms: u64, room: &str, offset: u64, record: &[u8]) -> Result<StoredId, String> {
    let body: IdBody<'_> = open(Key::Id(at_ms, room, offset), record)?;
    Ok(StoredId {
        room: name(room)?,
        user: body.user.map(name).transpose()?,
        message_id: body.message_id.into(),
        epoch: Epoch(body.epoch),
        offset,
        at_ms,
    })
}

pub(crate) fn state(room: &str, service: &str, record: &[u8]) -> Result<StoredState, String> {
    let body: StateBody<'_> = open(Key::State(room, service), record)?;
    Ok(StoredState { room: name(room)?, service: service.into(), bytes: body.bytes.into() })
}

/// A name that was stored.
pub(crate) fn name(text: &str) -> Result<RoomName, String> {
    RoomName::restore(text).map_err(|error| error.to_string())
}

fn open<'r, T: Deserialize<'r>>(key: Key<'_>, record: &'r [u8]) -> Result<T, String> {
    let Some((sealed, stored)) = record.split_last_chunk::<CHECKSUM_BYTES>() else {
        return Err(format!("its record has {} bytes", record.len()));
    };
    if checksum(key, sealed) != u32::from_le_bytes(*stored) {
        return Err("its checksum does not fit".into());
    }
    match sealed.split_first() {
        Some((&VERSION, body)) => {
            rmp_serde::from_slice(body).map_err(|error| format!("its record cannot be read: {error}"))
        }
        Some((version, _)) => Err(format!("its record is of version {version}, {VERSION} is known")),
        None => Err("its record is empty".into()),
    }
}

/// Parts are told apart by a byte that is in no text.
fn checksum(key: Key<'_>, sealed: &[u8]) -> u32 {
    const END: &[u8] = &[0xFF];
    let mut hasher = crc32fast::Hasher::new();
    let (kind, texts, numbers) = match key {
        Key::Room(room) => (1, [Some(room), None, None], [0, 0]),
        Key::Message(room, offset) => (2, [Some(room), None, None], [offset, 0]),
        Key::Cursor(room, user, device) => (3, [Some(room), Some(user), device], [0, 0]),
        Key::Dead(user, id) => (4, [Some(user), None, None], [id, 0]),
        Key::State(room, service) => (6, [Some(room), Some(service), None], [0, 0]),
        Key::Id(at_ms, room, offset) => (5, [Some(room), None, None], [at_ms, offset]),
    };
    hasher.update(&[kind]);
    for text in texts.into_iter().flatten() {
        hasher.update(text.as_bytes());
        hasher.update(END);
    }
    numbers.iter().for_each(|number| hasher.update(&number.to_le_bytes()));
    hasher.update(sealed);
    hasher.finalize()
}
