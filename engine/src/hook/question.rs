//! A question as a backend reads it.

use fanfare_core::{About, Inquiry};
use fanfare_protocol::timestamp::rfc3339_text;
use fanfare_protocol::{Publish, Target};
use serde::Serialize;
use serde_json::{Value, json, value::RawValue};

use crate::webhook::as_json;

#[derive(Serialize)]
struct Question<'a> {
    /// No other question's.
    id: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    time: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    user_id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    client_id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    role: &'a str,
    /// Of a connect: whether it was welcomed before and brings a newer token.
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh: Option<bool>,
    /// Of a join, and of a publish to a room.
    #[serde(skip_serializing_if = "Option::is_none")]
    room: Option<&'a str>,
    /// Of a publish to anything else.
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Box<RawValue>>,
}

/// The body of a request.
pub(super) fn encode(id: &str, unix_ms: u64, inquiry: &Inquiry) -> Vec<u8> {
    let Inquiry { client_id, user_id, role, about, .. } = inquiry;
    let mut question = Question {
        id,
        kind: kind(about),
        time: rfc3339_text(unix_ms),
        user_id,
        client_id,
        role,
        refresh: None,
        room: None,
        target: None,
        event: None,
        data: None,
    };
    match about {
        About::Connect { is_refresh } => question.refresh = Some(*is_refresh),
        About::Join(room) => question.room = Some(room.as_str()),
        About::Publish(publish) => {
            question.room = room(publish);
            question.target = target(publish);
            question.event = Some(publish.event.as_str());
            question.data = Some(as_json(&publish.body));
        }
    }
    serde_json::to_vec(&question).expect("invariant: names and checked values are always JSON")
}

/// What the question is called, on the wire and in metrics.
pub(super) const fn kind(about: &About) -> &'static str {
    match about {
        About::Connect { .. } => "connect",
        About::Join(_) => "join",
        About::Publish(_) => "publish",
    }
}

fn room(publish: &Publish) -> Option<&str> {
    if let Target::Room(room) = &publish.target { Some(room.as_str()) } else { None }
}

fn target(publish: &Publish) -> Option<Value> {
    Some(match &publish.target {
        Target::Room(_) => return None,
        Target::User(user_id) => json!({ "user": user_id }),
        Target::Users(users) => json!({ "users": users }),
        Target::Role(role) => json!({ "role": role }),
        Target::Client(client_id) => json!({ "client": client_id }),
        Target::All => json!({ "all": true }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use fanfare_core::Inquirer;
    use fanfare_protocol::{Body, RoomName, json};

    fn asked(about: About) -> Value {
        let inquiry = Inquiry {
            inquirer: Inquirer::Connection(1),
            client_id: "c".into(),
            user_id: "ada".into(),
            role: String::new(),
            about,
        };
        serde_json::from_slice(&encode("q-1", 0, &inquiry)).unwrap()
    }

    fn publish(text: &str) -> Publish {
        let mut publish = None;
        json::decode_publishes(text.as_bytes(), &mut |item| publish = Some(item.unwrap()));
        publish.unwrap()
    }

    #[test]
    fn it_says_what_is_asked_about_and_nothing_else() {
        let common = |kind| json!({ "id": "q-1", "type": kind, "time": "1970-01-01T00:00:00.000Z", "user_id": "ada", "client_id": "c" });
        let with = |kind, more: Value| {
            let mut value = common(kind);
            value.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            value
        };
        let joined = asked(About::Join(RoomName::parse("chat:1").unwrap()));
        assert_eq!(joined, with("join", json!({ "room": "chat:1" })));
        let connected = asked(About::Connect { is_refresh: true });
        assert_eq!(connected, with("connect", json!({ "refresh": true })));
        let said = publish(r#"{"room":"chat:1","event":"say","data":{"a":1}}"#);
        let expected = json!({ "room": "chat:1", "event": "say", "data": { "a": 1 } });
        assert_eq!(asked(About::Publish(said.into())), with("publish", expected));
        let mut said = publish(r#"{"users":["a","b"],"event":"say"}"#);
        said.body = Body::MessagePack(b"\x92\x01\xc3"[..].into());
        let expected = json!({ "target": { "users": ["a", "b"] }, "event": "say", "data": [1, true] });
        assert_eq!(asked(About::Publish(said.into())), with("publish", expected));
    }
}
