//! What the targets share.

use fanfare_protocol::{Body, Message, json, msgpack};

/// Whatever was accepted can be encoded both ways.
pub fn encode(body: &Body) {
    let message = Message {
        event: "say",
        room: "a",
        offset: 1,
        epoch: "e",
        message_id: "m",
        timestamp_unix_ms: 0,
        user_id: None,
        priority: 0,
        body,
    };
    let mut out = Vec::new();
    json::encode_message(&message, &mut out);
    assert!(str::from_utf8(&out).is_ok());
    // No body may grow out of bounds on its way into the other encoding.
    assert!(out.len() <= 16 * body.len() + 512);
    out.clear();
    msgpack::encode_message(&message, &mut out);
    assert!(out.len() <= 16 * body.len() + 512);
}
