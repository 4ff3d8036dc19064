//! Writing messages and replies in both encodings, and that other people's JSON and MessagePack libraries agree.

use bytes::Bytes;
use fanfare_protocol::wire::{CommandId, Position};
use fanfare_protocol::{Body, Command, Encoding, Message, Reply, json, msgpack};
use proptest::prelude::*;
use serde_json::{Value, json};

fn message(body: &Body) -> Message<'_> {
    Message {
        event: "say",
        room: "chat:1",
        offset: 17,
        epoch: "k3f9",
        message_id: "01J",
        timestamp_unix_ms: 1_763_634_600_123,
        user_id: Some("u1"),
        priority: 0,
        body,
    }
}

fn both(encode: impl Fn(Encoding, &mut Vec<u8>)) -> Value {
    let (mut text, mut packed) = (Vec::new(), Vec::new());
    encode(Encoding::Json, &mut text);
    encode(Encoding::MessagePack, &mut packed);
    let text: Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(rmp_serde::from_slice::<Value>(&packed).unwrap(), text);
    text
}

#[test]
fn a_message_on_the_wire() {
    let body = Body::Json(Bytes::from_static(br#"{"a" : [1,2.50]}"#));
    let mut out = Vec::new();
    json::encode_message(&message(&body), &mut out);
    let expected = r#"{"type":"say","room":"chat:1","offset":17,"epoch":"k3f9","message_id":"01J","timestamp":"2025-11-20T10:30:00.123Z","user_id":"u1","data":{"a" : [1,2.50]}}"#;
    assert_eq!(str::from_utf8(&out).unwrap(), expected);
    both(|encoding, out| encoding.encode_message(&message(&body), out));
}

#[test]
fn a_message_tells_its_priority_unless_it_is_the_lowest() {
    let body = Body::Json(Bytes::from_static(b"1"));
    let written = |priority| {
        let message = Message { priority, ..message(&body) };
        both(|encoding, out| encoding.encode_message(&message, out))
    };
    assert_eq!(written(0).get("priority"), None);
    assert_eq!(written(9)["priority"], 9);
    let mut out = Vec::new();
    json::encode_message(&Message { priority: 3, ..message(&body) }, &mut out);
    assert!(str::from_utf8(&out).unwrap().ends_with(r#""user_id":"u1","priority":3,"data":1}"#));
}

#[test]
fn a_signal_has_no_place() {
    let body = Body::Json(Bytes::from_static(b"1"));
    let written = both(|encoding, out| {
        let signal = Message { offset: 0, epoch: "", message_id: "", ..message(&body) };
        encoding.encode_message(&signal, out);
    });
    let expected = json!({
        "type": "say", "room": "chat:1", "timestamp": "2025-11-20T10:30:00.123Z", "user_id": "u1", "data": 1,
    });
    assert_eq!(written, expected);
}

#[test]
fn replies_on_the_wire() {
    let position = Position { epoch: "e".into(), offset: 3 };
    let id = CommandId::Text("a\"b".into());
    let written = |reply: Reply<'_>| both(|encoding, out| encoding.encode_reply(&reply, Some(&id), out));
    assert_eq!(
        written(Reply::Joined {
            room: "r",
            position: &position,
            recovered: true,
            members: Some(2),
            state: None
        }),
        json!({"type": "joined", "id": "a\"b", "room": "r", "epoch": "e", "offset": 3, "recovered": true, "members": 2})
    );
    assert_eq!(
        written(Reply::Error {
            code: fanfare_protocol::Code::InvalidMessage,
            message: "no\n",
            field: Some("room")
        }),
        json!({"type": "error", "id": "a\"b", "code": 4005, "name": "INVALID_MESSAGE", "message": "no\n", "details": {"field": "room"}})
    );
    let published =
        |members| written(Reply::Published { room: "r", position: &position, message_id: "m", members });
    let mut expected =
        json!({"type": "published", "id": "a\"b", "room": "r", "epoch": "e", "offset": 3, "message_id": "m"});
    assert_eq!(published(None), expected);
    expected["members"] = json!(70_000);
    assert_eq!(published(Some(70_000)), expected);
    assert_eq!(
        written(Reply::Limited { message: "no", retry_after_ms: 840 }),
        json!({"type": "error", "id": "a\"b", "code": 4004, "name": "RATE_LIMIT_EXCEEDED", "message": "no", "details": {"retry_after_ms": 840}})
    );
    assert_eq!(
        written(Reply::HeartbeatPing { sequence_number: 4, timestamp_unix_ms: 0 }),
        json!({"type": "heartbeat_ping", "id": "a\"b", "sequence_number": 4, "timestamp": "1970-01-01T00:00:00.000Z"})
    );
    assert_eq!(
        written(Reply::Health {
            sequence_number: 4,
            round_trip_us: 41_207,
            quality: "excellent",
            timestamp_unix_ms: 0
        }),
        json!({"type": "connection_health", "id": "a\"b", "sequence_number": 4, "rtt_ms": 41.207, "quality": "excellent", "timestamp": "1970-01-01T00:00:00.000Z"})
    );
    assert_eq!(
        written(Reply::ConnectionTimeout { reason: "gone", timestamp_unix_ms: 0 }),
        json!({"type": "connection_timeout", "id": "a\"b", "reason": "gone", "timestamp": "1970-01-01T00:00:00.000Z"})
    );
    let welcome = written(Reply::Welcome {
        client_id: "c",
        user_id: "ü",
        role: "r",
        server_time_unix_ms: 0,
        heartbeat_interval_ms: 30_000,
        max_message_size: 65_536,
        resumed: false,
        resume: "c.w",
    });
    assert_eq!(welcome["resume"], "c.w");
    assert_eq!(welcome["protocol_version"], "1.0");
    assert_eq!(welcome["server_time"], "1970-01-01T00:00:00.000Z");
    let state = Body::Json(Bytes::from_static(b"{\"poll\":{}}"));
    let joined = Reply::Joined {
        room: "r",
        position: &position,
        recovered: false,
        members: None,
        state: Some(&state),
    };
    assert_eq!(written(joined)["state"], json!({"poll": {}}));
    assert_eq!(written(Reply::Done { data: &state })["data"], json!({"poll": {}}));
    let body = Body::MessagePack(Bytes::from_static(b"\x07"));
    assert_eq!(written(Reply::HeartbeatAck { server_time_unix_ms: 0, data: Some(&body) })["data"], 7);
}

#[test]
fn what_one_encoding_cannot_hold_is_said_in_the_other() {
    let to_json = |bytes: &[u8]| {
        let mut out = Vec::new();
        json::from_msgpack(bytes, &mut out);
        String::from_utf8(out).unwrap()
    };
    assert_eq!(to_json(b"\xc4\x03abc"), r#""YWJj""#);
    assert_eq!(to_json(b"\xd4\x05a"), r#"{"ext":5,"data":"YQ=="}"#);
    assert_eq!(to_json(b"\xcb\x7f\xf8\0\0\0\0\0\0"), "null");
    assert_eq!(to_json(b"\x82\x01\xc3\xd4\x05a\xc2"), r#"{"1":true,"{\"ext\":5,\"data\":\"YQ==\"}":false}"#);
    // What no check would have let through says nothing, and is no reason to panic.
    for wrong in [&b""[..], b"\xc1", b"\x92\x01", b"\x01\x02", b"\x81\x90\xc0", &[0x91; 100_000]] {
        assert_eq!(to_json(wrong), "null", "{:x?}", &wrong[..wrong.len().min(9)]);
    }
    let to_msgpack = |text: &str| {
        let mut out = Vec::new();
        msgpack::from_json(text.as_bytes(), &mut out);
        rmp_serde::from_slice::<Value>(&out).unwrap()
    };
    assert_eq!(to_msgpack("[1e999]"), json!("[1e999]"));
    assert_eq!(to_msgpack(r#"{"b":18446744073709551615,"a":-0.5}"#), json!({"b": u64::MAX, "a": -0.5}));
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_filter("finite", |number| number.is_finite()).prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((".{0,8}", inner), 0..6).prop_map(|members| members.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn data_passes_through_byte_for_byte(value in any_json(), pretty: bool) {
        let text = if pretty { serde_json::to_string_pretty(&value).unwrap() } else { value.to_string() };
        let command = format!("{{ \"type\" : \"heartbeat\" , \"data\" :\t{text}\n }}");
        let mut outcomes = Vec::new();
        json::decode(command.as_bytes(), &mut |outcome| outcomes.push(outcome));
        let Command::Heartbeat { data: Some(Body::Json(bytes)) } = &outcomes[0].as_ref().unwrap().command else {
            panic!("{outcomes:?}")
        };
        prop_assert_eq!(&bytes[..], text.as_bytes());
        let packed_value = rmp_serde::to_vec_named(&value).unwrap();
        let command = rmp_serde::to_vec_named(&json!({"type": "heartbeat", "data": value})).unwrap();
        let mut outcomes = Vec::new();
        msgpack::decode(&command, &mut |outcome| outcomes.push(outcome));
        let Command::Heartbeat { data: Some(Body::MessagePack(bytes)) } = &outcomes[0].as_ref().unwrap().command else {
            panic!("{outcomes:?}")
        };
        prop_assert_eq!(&bytes[..], &packed_value);
    }

    #[test]
    fn transcoding_there_and_back_keeps_the_value(value in any_json()) {
        let (mut there, mut back) = (Vec::new(), Vec::new());
        msgpack::from_json(value.to_string().as_bytes(), &mut there);
        json::from_msgpack(&there, &mut back);
        prop_assert_eq!(serde_json::from_slice::<Value>(&back).unwrap(), value);
    }

    #[test]
    fn any_text_survives_the_wire(text in "\\PC{0,30}|[\\x00-\\x7f]{0,30}") {
        let written = both(|encoding, out| {
            let reply = Reply::Error { code: fanfare_protocol::Code::Forbidden, message: &text, field: None };
            encoding.encode_reply(&reply, None, out);
        });
        prop_assert_eq!(&written["message"], &Value::from(text));
    }

    #[test]
    fn a_leave_is_answered_alike_in_both_encodings(
        room in "\\PC{1,30}",
        member: bool,
        id in prop::option::of(any::<i64>()),
    ) {
        let number = id.map(CommandId::Number);
        let reply = Reply::Left { room: &room, member };
        let written = both(|encoding, out| encoding.encode_reply(&reply, number.as_ref(), out));
        let mut expected = json!({"type": "left", "room": room, "member": member});
        if let Some(id) = id {
            expected["id"] = json!(id);
        }
        prop_assert_eq!(written, expected);
    }
}
