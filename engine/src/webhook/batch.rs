//! Events as a backend reads them: the body of one request, made once and the same in every attempt.

use std::sync::Arc;

use fanfare_core::{Fact, FactKind};
use fanfare_protocol::timestamp::rfc3339_text;
use fanfare_protocol::{Body, json};
use serde::Serialize;
use serde_json::value::RawValue;

use super::teller::Notice;

/// A request.
#[derive(Serialize)]
struct Request<'a> {
    /// The webhook's name.
    webhook: &'a str,
    /// Events lost before these, since the last request that was taken.
    dropped: u64,
    events: Vec<Event<'a>>,
}

/// One event. The names are those of CloudEvents where it has one.
#[derive(Serialize)]
struct Event<'a> {
    /// The same in every attempt, and no other event's.
    id: String,
    #[serde(rename = "type")]
    kind: &'a str,
    time: String,
    /// Which shard of which run of the server.
    source: String,
    /// The room.
    #[serde(skip_serializing_if = "str::is_empty")]
    subject: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    user_id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    client_id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    role: &'a str,
    /// Of a close.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<u16>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    message: Option<Message<'a>>,
}

/// What is said of a published message.
#[derive(Serialize)]
struct Message<'a> {
    message_type: &'a str,
    /// Nothing of a signal, which has no place.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    place: Option<Place<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Box<RawValue>>,
}

/// Where a message stands in its room.
#[derive(Serialize)]
struct Place<'a> {
    message_id: &'a str,
    epoch: String,
    offset: u64,
}

/// The body of a request with these events, of which the first has the number `first`.
pub(super) fn encode(
    webhook: &str,
    (run, lane): (&str, &str),
    first: u64,
    dropped: u64,
    payload: bool,
    notices: &[Arc<Notice>],
) -> Vec<u8> {
    let numbered = (first..).zip(notices);
    let events = numbered.map(|(number, of)| event(run, format!("{lane}-{number}"), payload, of)).collect();
    serde_json::to_vec(&Request { webhook, dropped, events })
        .expect("invariant: names and numbers are always JSON")
}

fn event<'n>(run: &str, id: String, payload: bool, notice: &'n Notice) -> Event<'n> {
    let Notice { at_unix_ms, shard, fact } = notice;
    let time = fact.message.as_ref().map_or(*at_unix_ms, |told| told.entry.timestamp_unix_ms);
    Event {
        id,
        kind: fact.kind.name(),
        time: rfc3339_text(time),
        source: format!("fanfare/{run}/{}", shard.0),
        subject: &fact.subject,
        user_id: &fact.user_id,
        client_id: &fact.client_id,
        role: &fact.role,
        code: fact.code.filter(|_| fact.kind == FactKind::Closed),
        message: message(fact, payload),
    }
}

fn message(fact: &Fact, payload: bool) -> Option<Message<'_>> {
    let told = fact.message.as_ref()?;
    let place = (fact.kind != FactKind::Signalled).then(|| Place {
        message_id: &told.entry.message_id,
        epoch: told.epoch.to_string(),
        offset: told.entry.offset,
    });
    Some(Message {
        message_type: told.entry.event.as_str(),
        place,
        data: payload.then(|| as_json(&told.entry.body)),
    })
}

/// A body as JSON: as it is, or what members who read JSON get of one in MessagePack.
pub(crate) fn as_json(body: &Body) -> Box<RawValue> {
    let text = match body {
        Body::Json(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Body::MessagePack(bytes) => {
            let mut text = Vec::with_capacity(bytes.len());
            json::from_msgpack(bytes, &mut text);
            String::from_utf8_lossy(&text).into_owned()
        }
    };
    RawValue::from_string(text).unwrap_or_default()
}
