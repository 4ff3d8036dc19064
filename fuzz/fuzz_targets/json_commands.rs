//! Any bytes are commands or refusals that say something and repeat nothing long; what is accepted can be
//! encoded both ways.
#![no_main]

use fanfare_core::RoomPattern;
use fanfare_protocol::{Body, Command, Message, json, msgpack};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    json::decode(bytes, &mut |outcome| match outcome {
        Ok(request) => {
            if let Command::Publish(publish) = request.command {
                encode(&publish.body);
            }
        }
        Err(refusal) => assert!(!refusal.message.is_empty() && refusal.message.len() < 512),
    });
    json::decode_publishes(bytes, &mut |_| ());
    if let Ok(text) = str::from_utf8(bytes)
        && let Some(pattern) = RoomPattern::new(&text[..text.floor_char_boundary(128)])
    {
        assert!(pattern.matches(pattern.as_str()) || pattern.as_str().contains('*'));
    }
});

fn encode(body: &Body) {
    let message = Message {
        event: "say",
        room: "a",
        offset: 1,
        epoch: "e",
        message_id: "m",
        timestamp_unix_ms: 0,
        user_id: None,
        body,
    };
    let mut out = Vec::new();
    json::encode_message(&message, &mut out);
    assert!(str::from_utf8(&out).is_ok());
    out.clear();
    msgpack::encode_message(&message, &mut out);
}
