//! What another system's wire costs: once for each message and form, whoever many read it, and once for each message of a client.

use std::collections::BTreeMap;
use std::hint::black_box;

use fanfare_profile::{BUILT_IN, Profile, Profiles};
use fanfare_protocol::ws::OpCode;
use fanfare_protocol::{Body, Listener, Message, json};
use serde_json::{Value, json as object};

use super::{Make, Part};

pub(super) const PARTS: &[Make] = &[message_in_another_shape, message_by_an_entry, heard_from_a_client];

fn profiles(name: &str) -> Profiles {
    let (_, text) = BUILT_IN.into_iter().find(|(of, _)| *of == name).expect("it is built in");
    let profile = Profile::parse(text, &BTreeMap::new(), &|_| None).expect("it is whole");
    Profiles::new(vec![profile]).expect("it is alone")
}

/// A message as the engine encodes it, which a dialect begins with.
fn native(event: &str, room: &str, data: &Value) -> Vec<u8> {
    let body = Body::Json(data.to_string().into());
    let message = Message {
        event,
        room,
        offset: 17,
        epoch: "k3f9zz1",
        message_id: "01hf0000000000000000000000",
        timestamp_unix_ms: 1_800_000_000_000,
        user_id: Some("ada"),
        priority: 0,
        body: &body,
    };
    let mut bytes = Vec::new();
    json::encode_message(&message, &mut bytes);
    bytes
}

fn spoken(name: &'static str, profile: &str, native: Vec<u8>) -> Part {
    let dialects = profiles(profile).dialects();
    Part::new(name, Some(native.len()), move || {
        let mut bytes = 0;
        dialects[0].message(black_box(&native), "", &mut |_, said| bytes += said.len());
        assert!(bytes > 0);
    })
}

/// No entry is about it: what was published passes as it was written.
fn message_in_another_shape() -> Part {
    let data = object!({ "title": "Box Breathing", "instruction": "In, hold, out, hold", "duration": 240 });
    spoken("profile/message_in_another_shape", "sessions", native("technique_changed", "session:1", &data))
}

/// An entry makes it anew, member by member.
fn message_by_an_entry() -> Part {
    let data = object!({ "operation_id": "job-7", "kind": "pipeline", "status": "running", "progress_percentage": 27.5,
        "steps_completed": 1, "total_steps": 4, "errors": [], "warnings": [], "started_at": "2026-11-20T10:30:00.000Z",
        "updated_at": "2026-11-20T10:30:02.031Z", "metadata": {} });
    spoken("profile/message_by_an_entry", "pipeline", native("progress_update", "operation:job-7", &data))
}

/// A message of a client, up to the engine's command.
fn heard_from_a_client() -> Part {
    let profiles = profiles("sessions");
    let given = object!({ "query": { "session_id": "1" }, "path": {}, "claims": { "session_id": "1" } });
    let said = br#"{"type":"technique_feedback","data":{"technique":"Box Breathing","rating":5}}"#;
    Part::new("profile/heard_from_a_client", Some(said.len()), move || {
        let now_unix_ms = 1_800_000_000_000;
        let listener = Listener {
            client_id: "c",
            user_id: "ada",
            role: "participant",
            given: &given,
            now_unix_ms,
            own_id: "",
        };
        profiles.hear(1, &listener, OpCode::Text, black_box(said), 65_536, &mut |outcome| {
            assert!(outcome.is_ok());
        });
    })
}
