use bytes::Bytes;
use fanfare_core::{Entry, Epoch};
use fanfare_protocol::{EventName, RoomName};
use serde_json::{Value, json};

use super::*;

fn fact(kind: FactKind, subject: &str, code: Option<u16>) -> Fact {
    Fact {
        kind,
        connection: None,
        client_id: "c1".into(),
        user_id: "ada".into(),
        role: "user".into(),
        subject: subject.into(),
        code,
        reason: "because".into(),
        opened_unix_ms: None,
        duration_ms: None,
        message: None,
    }
}

fn observed(fact: &Fact, payloads: bool) -> Vec<Value> {
    let mut records = Vec::new();
    Observer { shard: ShardId(3), payloads }.observe(7, fact, &mut records);
    records.iter().map(|record| serde_json::to_value(record).unwrap()).collect()
}

#[test]
fn a_denial_is_an_error_and_an_event_and_both_name_the_room() {
    let records = observed(&fact(FactKind::JoinDenied, "chat:1", Some(4_013)), false);
    assert_eq!(
        records,
        [
            json!({"kind": "error", "seq": 0, "at_unix_ms": 7, "shard": 3, "type": "FORBIDDEN", "room": "chat:1",
                "user_id": "ada", "client_id": "c1", "role": "user", "code": 4013,
                "meaning": "the token does not allow this", "reason": "because", "during": "join_denied"}),
            json!({"kind": "event", "seq": 0, "at_unix_ms": 7, "shard": 3, "type": "join_denied", "room": "chat:1",
                "user_id": "ada", "client_id": "c1", "role": "user", "code": 4013,
                "meaning": "the token does not allow this", "reason": "because"}),
        ]
    );
}

#[test]
fn what_is_an_error_and_what_is_an_event() {
    for (kind, code, expected) in [
        (FactKind::Connected, None, &["event"][..]),
        (FactKind::Closed, Some(1_000), &["event"]),
        (FactKind::Closed, Some(1_006), &["event"]),
        (FactKind::Closed, Some(4_008), &["error", "event"]),
        (FactKind::Closed, Some(1_009), &["error", "event"]),
        (FactKind::Closed, Some(4_321), &["event"]),
        (FactKind::AuthFailed, Some(4_001), &["event"]),
        (FactKind::Refused, Some(4_005), &["error"]),
    ] {
        let records = observed(&fact(kind, "", code), false);
        let kinds: Vec<_> = records.iter().map(|record| record["kind"].as_str().unwrap()).collect();
        assert_eq!(kinds, expected, "{kind:?} {code:?}");
    }
}

#[test]
fn a_publish_to_users_is_not_taken_for_one_to_a_room() {
    for (subject, room) in [("chat:1", true), ("role admin", false), ("user", false), ("all", false)] {
        let records = observed(&fact(FactKind::PublishDenied, subject, Some(4_013)), false);
        assert!(records.iter().all(|record| record.get("room").is_some() == room), "{subject}");
    }
    let called = observed(&fact(FactKind::CallDenied, "poll_close", Some(4_013)), false);
    assert!(called.len() == 2 && called.iter().all(|record| record.get("room").is_none()));
}

fn message(body: Body) -> Fact {
    let entry = Entry {
        offset: 5,
        at_ms: 0,
        expires_ms: u64::MAX,
        timestamp_unix_ms: 99,
        event: EventName::parse("say").unwrap(),
        user: Some(RoomName::of_user("ada")),
        body,
        message_id: "m1".into(),
        is_publishers_id: false,
        roles: Vec::new(),
        not_for_publisher: false,
        priority: 4,
    };
    let epoch = Epoch(7);
    let told = Told { room: RoomName::parse("chat:1").unwrap(), epoch, entry, members: 8 };
    let mut fact = fact(FactKind::Published, "chat:1", None);
    (fact.client_id, fact.message) = ("".into(), Some(Box::new(told)));
    fact
}

#[test]
fn of_a_message_the_header_is_held_and_its_payload_only_where_asked_for() {
    let fact = message(Body::Json(Bytes::from_static(b"{\"x\": 1.50}")));
    let [header] = &observed(&fact, false)[..] else { panic!() };
    assert_eq!(
        *header,
        json!({"kind": "message", "seq": 0, "at_unix_ms": 99, "shard": 3, "type": "say", "room": "chat:1",
            "user_id": "ada", "epoch": Epoch(7).to_string(), "offset": 5, "message_id": "m1", "priority": 4, "bytes": 11,
            "members": 8})
    );
    assert_eq!(observed(&fact, true)[0]["data"], json!({"x": 1.5}));
    let packed = message(Body::MessagePack(Bytes::from_static(b"\x81\xa1x\x01")));
    assert_eq!(observed(&packed, true)[0]["data"], json!({"x": 1}));
}

#[test]
fn of_a_long_payload_the_beginning_is_held() {
    for body in [format!("\"{}\"", "x".repeat(5_000)), format!("\"{}\"", "ü€".repeat(3_000))] {
        let record = &observed(&message(Body::Json(body.clone().into())), true)[0];
        let start = record["data_start"].as_str().unwrap();
        assert!(body.starts_with(start) && (DATA_BYTES_MAX - 3..=DATA_BYTES_MAX).contains(&start.len()));
        assert!(record.get("data").is_none());
    }
    let exact = format!("\"{}\"", "x".repeat(DATA_BYTES_MAX - 2));
    assert!(observed(&message(Body::Json(exact.into())), true)[0].get("data").is_some());
}
