//! From what the core tells to what is remembered.

use fanfare_core::{Fact, FactKind, ShardId, Told};
use fanfare_protocol::{Body, Code, json};
use serde_json::value::RawValue;

use super::code;
use super::record::{Header, Kind, Record};

/// Bytes of what a message says that are held at most.
const DATA_BYTES_MAX: usize = 4_096;

/// What one shard tells is seen through this.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Observer {
    pub(crate) shard: ShardId,
    pub(crate) payloads: bool,
}

impl Observer {
    /// Appends what is to be remembered of a fact.
    pub(crate) fn observe(self, at_unix_ms: u64, fact: &Fact, out: &mut Vec<Record>) {
        if let Some(told) = &fact.message {
            out.push(self.message(fact, told));
            return;
        }
        let event = self.event(at_unix_ms, fact);
        let error = fact.code.filter(|code| match fact.kind {
            // Its connection is closed with the same code in the same moment.
            FactKind::AuthFailed => false,
            FactKind::Closed => code::is_error(*code),
            _ => true,
        });
        if let Some(number) = error {
            let (name, meaning) = code::explain(number);
            let (room, user_id, client_id, role) =
                (event.room.clone(), event.user_id.clone(), event.client_id.clone(), event.role.clone());
            out.push(Record {
                kind: Kind::Error,
                what: name.into(),
                meaning: Some(meaning),
                reason: event.reason.clone(),
                during: Some(fact.kind.name()),
                ..Record { room, user_id, client_id, role, ..self.empty(at_unix_ms, Some(number)) }
            });
        }
        if fact.kind != FactKind::Refused {
            out.push(event);
        }
    }

    fn empty(self, at_unix_ms: u64, code: Option<u16>) -> Record {
        Record {
            kind: Kind::Event,
            seq: 0,
            at_unix_ms,
            shard: self.shard.0,
            what: "".into(),
            room: None,
            user_id: None,
            client_id: None,
            role: None,
            peer: None,
            code,
            meaning: None,
            reason: None,
            during: None,
            header: None,
        }
    }

    fn event(self, at_unix_ms: u64, fact: &Fact) -> Record {
        Record {
            what: fact.kind.name().into(),
            room: room(fact),
            user_id: given(&fact.user_id),
            client_id: given(&fact.client_id),
            role: given(&fact.role),
            meaning: fact.code.map(|code| code::explain(code).1),
            reason: given(&fact.reason),
            ..self.empty(at_unix_ms, fact.code)
        }
    }

    fn message(self, fact: &Fact, told: &Told) -> Record {
        let Told { room, epoch, entry, members } = told;
        let (data, data_start) = if self.payloads { data(&entry.body) } else { (None, None) };
        Record {
            kind: Kind::Message,
            what: entry.event.as_str().to_owned().into(),
            room: Some(room.as_str().into()),
            user_id: given(&fact.user_id),
            header: Some(Header {
                epoch: epoch.to_string().into(),
                offset: entry.offset,
                message_id: entry.message_id.clone(),
                priority: entry.priority,
                bytes: entry.body.len(),
                members: *members,
                data,
                data_start,
            }),
            ..self.empty(entry.timestamp_unix_ms, None)
        }
    }
}

/// A connection that was refused before the core heard of it: an event and an error.
pub(crate) fn denied(shard: ShardId, at_unix_ms: u64, code: Code, peer: &str) -> [Record; 2] {
    let (name, meaning) = code::explain(code.number());
    let observer = Observer { shard, payloads: false };
    let (what, peer, meaning) = ("connect_denied", Some(peer.into()), Some(meaning));
    let event =
        Record { what: what.into(), peer, meaning, ..observer.empty(at_unix_ms, Some(code.number())) };
    let error = Record {
        kind: Kind::Error,
        what: name.into(),
        during: Some(what),
        peer: event.peer.clone(),
        meaning,
        ..observer.empty(at_unix_ms, Some(code.number()))
    };
    [error, event]
}

fn given(text: &str) -> Option<Box<str>> {
    (!text.is_empty()).then(|| text.into())
}

/// The room that a fact is about. A publish that was denied may have been for users or roles instead, and a call names a
/// command.
fn room(fact: &Fact) -> Option<Box<str>> {
    let is_target = fact.subject.contains(' ') || matches!(&*fact.subject, "user" | "client" | "all");
    let is_room = match fact.kind {
        FactKind::PublishDenied => !is_target,
        FactKind::CallDenied => false,
        _ => true,
    };
    given(&fact.subject).filter(|_| is_room)
}

/// What a message says: all of it as JSON, or the beginning as text.
fn data(body: &Body) -> (Option<Box<RawValue>>, Option<Box<str>>) {
    // Longer ones are not even transcoded.
    if body.len() <= DATA_BYTES_MAX {
        let text = match body {
            Body::Json(bytes) => bytes.to_vec(),
            Body::MessagePack(bytes) => {
                let mut text = Vec::new();
                json::from_msgpack(bytes, &mut text);
                text
            }
        };
        let text = String::from_utf8(text).unwrap_or_default();
        if text.len() <= DATA_BYTES_MAX {
            return (RawValue::from_string(text).ok(), None);
        }
        return (None, Some(text[..text.floor_char_boundary(DATA_BYTES_MAX)].into()));
    }
    match body {
        Body::Json(bytes) => {
            let start = String::from_utf8_lossy(&bytes[..DATA_BYTES_MAX]);
            (None, Some(start.trim_end_matches('\u{fffd}').into()))
        }
        Body::MessagePack(_) => (None, Some("(MessagePack)".into())),
    }
}

#[cfg(test)]
mod tests;
