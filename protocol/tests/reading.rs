//! Reading commands in both encodings: what is read, and what is refused and how.

use fanfare_protocol::wire::{Ack, CommandId, Position};
use fanfare_protocol::{Body, Command, Refusal, Request, Target, json, msgpack};
use proptest::prelude::*;
use serde_json::{Value, json};

type Outcomes = Vec<Result<Request, Refusal>>;

fn read_json(text: &str) -> Outcomes {
    let mut outcomes = Vec::new();
    json::decode(text.as_bytes(), &mut |outcome| outcomes.push(outcome));
    outcomes
}

fn read_msgpack(bytes: &[u8]) -> Outcomes {
    let mut outcomes = Vec::new();
    msgpack::decode(bytes, &mut |outcome| outcomes.push(outcome));
    outcomes
}

fn packed(value: &Value) -> Vec<u8> {
    rmp_serde::to_vec_named(value).unwrap()
}

/// The one outcome, the same in both encodings.
fn read(value: &Value) -> Result<Request, Refusal> {
    let text = read_json(&value.to_string());
    let packed = read_msgpack(&packed(value));
    assert_eq!((text.len(), packed.len()), (1, 1), "{value}");
    match (&text[0], &packed[0]) {
        (Err(text), Err(packed)) => {
            // Only the place of the byte at fault may differ.
            let rule = |refusal: &Refusal| refusal.message.split(" (at byte").next().map(str::to_owned);
            assert_eq!((&text.id, text.field, rule(text)), (&packed.id, packed.field, rule(packed)));
        }
        (Ok(text), Ok(packed)) => assert_eq!(text.id, packed.id),
        _ => panic!("the encodings disagree: {text:?} {packed:?}"),
    }
    text.into_iter().next().unwrap()
}

fn refused(value: Value) -> (Option<&'static str>, String) {
    let refusal = read(&value).expect_err("the command is wrong");
    assert_eq!(refusal.id, Some(CommandId::Number(7)), "{}", refusal.message);
    assert_eq!(refusal.code.number(), 4005);
    (refusal.field, refusal.message)
}

fn publish(members: Value) -> Value {
    let mut command = json!({"type": "publish", "id": 7, "room": "chat:1", "event": "say", "data": 1});
    command.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    command
}

#[test]
fn every_command_is_read() {
    let room = || fanfare_protocol::RoomName::parse("chat:1").unwrap();
    let command = |value| read(&value).unwrap().command;
    assert_eq!(command(json!({"type": "leave", "room": "chat:1"})), Command::Leave { room: room() });
    assert_eq!(command(json!({"type": "presence", "room": "chat:1"})), Command::Presence { room: room() });
    assert_eq!(command(json!({"type": "auth", "token": "t"})), Command::Auth { token: "t".into() });
    assert_eq!(command(json!({"type": "refresh", "token": "t"})), Command::Refresh { token: "t".into() });
    assert_eq!(
        command(json!({"type": "ack", "room": "chat:1", "offset": 9})),
        Command::Ack(Ack { room: room(), offset: 9, epoch: None })
    );
    let Command::Join(join) = command(
        json!({"type": "join", "room": "chat:1", "recover": {"epoch": "e", "offset": u64::MAX}, "last": 5}),
    ) else {
        panic!("not a join")
    };
    assert_eq!(join.recover, Some(Position { epoch: "e".into(), offset: u64::MAX }));
    assert_eq!(join.last, Some(5));
    let Command::History(history) =
        command(json!({"type": "history", "room": "chat:1", "limit": 3, "reverse": true}))
    else {
        panic!("not a history")
    };
    assert_eq!((history.limit, history.reverse, history.since), (Some(3), true, None));
    let Command::Publish(publish) = command(publish(json!({
        "exclude_self": true, "roles": ["a", "b"], "key": "k", "ttl": 60, "priority": 9, "message_id": "m", "unknown": [{}],
    }))) else {
        panic!("not a publish")
    };
    assert!(publish.exclude_self);
    assert_eq!(publish.roles, ["a".into(), "b".into()]);
    assert_eq!((publish.ttl, publish.priority), (Some(60), Some(9)));
    assert_eq!((publish.key.as_deref(), publish.message_id.as_deref()), (Some("k"), Some("m")));
    assert_eq!(publish.target, Target::Room(room()));
}

#[test]
fn targets() {
    let target = |members: Value| {
        let mut command = json!({"type": "publish", "id": 7, "event": "say"});
        command.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        read(&command).map(|request| match request.command {
            Command::Publish(publish) => publish.target,
            other => panic!("{other:?}"),
        })
    };
    assert_eq!(target(json!({"user": "u"})), Ok(Target::User("u".into())));
    assert_eq!(target(json!({"users": ["u", "v"]})), Ok(Target::Users(vec!["u".into(), "v".into()])));
    assert_eq!(target(json!({"role": "nurse"})), Ok(Target::Role("nurse".into())));
    assert_eq!(target(json!({"client": "c"})), Ok(Target::Client("c".into())));
    assert_eq!(target(json!({"all": true})), Ok(Target::All));
    for wrong in [
        json!({}),
        json!({"all": false}),
        json!({"room": "a", "user": "u"}),
        json!({"users": []}),
        json!({"users": "u"}),
        json!({"users": [1]}),
        json!({"users": vec!["u"; 257]}),
        json!({"user": ""}),
        json!({"role": 5}),
    ] {
        assert!(target(wrong.clone()).is_err(), "{wrong}");
    }
}

#[test]
fn refusals_name_the_field_and_the_rule() {
    for (members, field, rule) in [
        (json!({"room": "a b"}), "room", "A-Z"),
        (json!({"room": "@all"}), "room", "@"),
        (json!({"room": "x".repeat(129)}), "room", "128"),
        (json!({"room": 5}), "room", "text"),
        (json!({"event": "ack"}), "event", "engine"),
        (json!({"event": "$x"}), "event", "$"),
        (json!({"event": "x".repeat(65)}), "event", "64"),
        (json!({"event": null}), "event", "required"),
        (json!({"exclude_self": 1}), "exclude_self", "true or false"),
        (json!({"roles": vec!["r"; 17]}), "roles", "16"),
        (json!({"ttl": 0}), "ttl", "2592000"),
        (json!({"ttl": 2_592_001}), "ttl", "2592000"),
        (json!({"priority": 10}), "priority", "9"),
        (json!({"priority": 1.5}), "priority", "whole"),
        (json!({"key": "k".repeat(129)}), "key", "128"),
        (json!({"message_id": "m".repeat(65)}), "message_id", "64"),
    ] {
        let (at, message) = refused(publish(members.clone()));
        assert_eq!(at, Some(field), "{members}: {message}");
        assert!(message.contains(field) && message.contains(rule), "{members}: {message}");
    }
    let join = |recover: Value| refused(json!({"type": "join", "id": 7, "room": "a", "recover": recover}));
    assert_eq!(join(json!({"epoch": "e", "offset": -1})).0, Some("recover"));
    assert_eq!(join(json!({"offset": 1})).0, Some("recover"));
    assert_eq!(join(json!({"epoch": "e".repeat(33), "offset": 1})).0, Some("recover"));
    for token in [json!("t".repeat(8_193)), json!(""), json!(null), json!(["t"])] {
        assert_eq!(refused(json!({"type": "auth", "id": 7, "token": token})).0, Some("token"));
    }
    for offset in [json!(-1), json!(0.5), json!(1e17), json!("1"), json!(null)] {
        assert_eq!(refused(json!({"type": "ack", "id": 7, "room": "a", "offset": offset})).0, Some("offset"));
    }
    let (field, message) = refused(json!({"type": "brodcast", "id": 7}));
    assert_eq!(field, Some("type"));
    assert!(message.contains("`publish`") && !message.contains("brodcast"), "{message}");
    assert_eq!(refused(json!({"id": 7})).0, Some("type"));
    for id in [json!("x".repeat(65)), json!(1.5), json!([]), json!(u64::MAX)] {
        let refusal = read(&json!({"type": "leave", "room": "a", "id": id})).unwrap_err();
        assert_eq!((refusal.id, refusal.field), (None, Some("id")));
    }
}

#[test]
fn a_batch_is_read_in_order_up_to_its_bound() {
    let batch =
        json!([{"type": "leave", "room": "a", "id": "1"}, 5, {"type": "leave", "id": "2"}]).to_string();
    let outcomes = read_json(&batch);
    assert_eq!(outcomes.len(), 3);
    assert_eq!(outcomes[0].as_ref().unwrap().id, Some(CommandId::Text("1".into())));
    assert!(outcomes[1].is_err());
    assert_eq!(outcomes[2].as_ref().unwrap_err().id, Some(CommandId::Text("2".into())));
    let long = Value::Array(vec![json!({"type": "leave", "room": "a"}); 300]);
    for outcomes in [read_json(&long.to_string()), read_msgpack(&packed(&long))] {
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 256);
        assert_eq!(outcomes.len(), 257);
        assert!(outcomes[256].as_ref().unwrap_err().message.contains("256"));
    }
    assert!(read_json("[]").is_empty());
}

#[test]
fn broken_json_is_one_refusal_and_no_command() {
    let deep = "[".repeat(100_000);
    let deep_data = format!(r#"{{"type":"heartbeat","id":7,"data":{deep}{}}}"#, "]".repeat(100_000));
    for wrong in [
        "",
        " ",
        "x",
        "7",
        "\"publish\"",
        "{",
        "{]",
        "[{\"type\":\"leave\",\"room\":\"a\"}",
        "{\"type\":\"leave\",\"room\":\"a\"} x",
        "{\"type\":\"leave\",\"room\":\"a\",}",
        "{\"type\":\"leave\" \"room\":\"a\"}",
        "{\"type\":\"leave\",\"room\":\"\\ud800\"}",
        "{\"type\":\"auth\",\"token\":\"a\nb\"}",
        "{\"type\":\"heartbeat\",\"a\0\":1}",
        "{\"type\":\"heartbeat\",\"data\":NaN}",
        "{\"type\":\"heartbeat\",\"data\":01}",
        "{\"type\":\"heartbeat\",\"data\":{\"a\":}}",
        "\u{feff}{\"type\":\"heartbeat\"}",
        "{\"type\":\"leave\",\"type\":\"leave\",\"room\":\"a\"}",
        &deep,
        &deep_data,
    ] {
        let outcomes = read_json(wrong);
        assert_eq!(outcomes.len(), 1, "{wrong:.60}");
        let refusal = outcomes[0].as_ref().expect_err(&format!("{wrong:.60}"));
        assert!(!refusal.message.is_empty() && refusal.message.len() < 300);
    }
    // What was read before the fault still tells whose answer this is.
    assert_eq!(read_json(&deep_data)[0].as_ref().unwrap_err().id, Some(CommandId::Number(7)));
    let mut outcomes = Vec::new();
    json::decode(b"{\"type\":\"\xff\"}", &mut |outcome| outcomes.push(outcome));
    assert!(outcomes[0].is_err());
}

#[test]
fn nesting_is_bounded_the_same_in_both_encodings() {
    let nested = |depth: usize| (0..depth).fold(json!(1), |inner, _| json!([inner]));
    for (depth, fits) in [(1, true), (64, true), (65, false)] {
        let command = json!({"type": "heartbeat", "id": 7, "data": nested(depth)});
        assert_eq!(read(&command).is_ok(), fits, "{depth}");
    }
    // Brackets inside text do not count.
    assert!(read(&json!({"type": "heartbeat", "data": "[{\"".repeat(100)})).is_ok());
}

#[test]
fn lying_msgpack_is_refused_without_allocating_for_it() {
    for wrong in [
        &b""[..],
        b"\xc1",
        b"\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\xdb\xff\xff\xff\xff",
        b"\xdd\xff\xff\xff\xff\xc0",
        b"\x81\xa4type",
        b"\x81\xa4type\xa7publis",
        b"\x81\x01\x02",
        b"\x81\xa4data\xd9\x02\xff\xff",
        b"\x81\xa4type\xa9heartbeat\xc0",
    ] {
        let outcomes = read_msgpack(wrong);
        assert_eq!(outcomes.len(), 1, "{wrong:x?}");
        assert!(outcomes[0].is_err(), "{wrong:x?}");
    }
    let deep = [&b"\x82\xa4type\xa9heartbeat\xa4data"[..], &[0x91; 100_000], b"\xc0"].concat();
    assert!(read_msgpack(&deep)[0].as_ref().unwrap_err().message.contains("64"));
}

/// Maps as keys of maps would double the text of their JSON with every level: 33 MB for 70 bytes.
#[test]
fn no_array_or_map_is_a_key() {
    let as_data = |value: &[u8]| {
        let command = [&b"\x83\xa4type\xa9heartbeat\xa2id\x07\xa4data"[..], value].concat();
        read_msgpack(&command).pop().unwrap()
    };
    let bomb = (0..24).fold(vec![0x01], |inner, _| [&[0x81][..], &inner, &[0xc0]].concat());
    for wrong in [&b"\x81\x90\xc0"[..], b"\x81\x80\xc0", b"\x91\x82\x01\x91\xc0\x91\xc0\x01", &bomb] {
        let refusal = as_data(wrong).unwrap_err();
        assert_eq!((refusal.id, refusal.field), (Some(CommandId::Number(7)), Some("data")));
        assert!(refusal.message.contains("key"), "{}", refusal.message);
    }
    // Arrays and maps everywhere else, beside and below maps that went before.
    for right in [
        &b"\x81\x01\x90"[..],
        b"\x82\xa1a\x81\xa1b\x91\x80\xa1c\x92\x80\x90",
        b"\x92\x81\x01\x02\x92\x90\x90",
    ] {
        assert!(as_data(right).is_ok(), "{right:x?}");
    }
}

#[test]
fn the_byte_at_fault_is_told() {
    for (text, at) in [
        (r#"{"id":7,"data":x}"#.to_owned(), 15),
        (r#"{"id":7,"data" :  {"a":]}}"#.to_owned(), 23),
        ("{\"id\":7,\n\"data\":\n\n  nul}".to_owned(), 23),
        (format!("{{\"data\":\n {}", "[".repeat(70) + &"]".repeat(70) + "}"), 10 + 64),
    ] {
        let message = read_json(&text).pop().unwrap().unwrap_err().message;
        assert!(message.ends_with(&format!("(at byte {at})")), "{text}: {message}");
    }
}

#[test]
fn a_member_given_twice_is_refused_in_both_encodings() {
    let text = read_json(r#"{"type":"leave","id":7,"room":"a","room":"b"}"#);
    let packed = read_msgpack(b"\x84\xa4type\xa5leave\xa2id\x07\xa4room\xa1a\xa4room\xa1b");
    assert_eq!(text, packed);
    let refusal = text[0].as_ref().unwrap_err();
    assert_eq!((&refusal.id, refusal.field), (&Some(CommandId::Number(7)), Some("room")));
}

#[test]
fn commands_of_services_are_read_whole_and_left_to_them() {
    let call = json!({"type": "poll.vote", "id": 7, "room": "chat:1", "data": {"option": "a"}});
    let Command::Call(call) = read(&call).unwrap().command else { panic!("no call") };
    assert_eq!((&*call.name, call.room.as_ref().map(|room| room.as_str())), ("poll.vote", Some("chat:1")));
    assert!(matches!(&call.body, Some(Body::Json(data)) if &data[..] == br#"{"option":"a"}"#));
    let Command::Call(call) = read(&json!({"type": "a.b"})).unwrap().command else { panic!("no call") };
    assert_eq!((call.room, call.body), (None, None));
    assert_eq!(refused(json!({"type": "a.b", "id": 7, "room": "a b"})).0, Some("room"));
    assert_eq!(refused(json!({"type": format!("a.{}", "b".repeat(63)), "id": 7})).0, Some("type"));
}

#[test]
fn http_bodies_need_no_type() {
    let read = |body: &str| {
        let mut outcomes = Vec::new();
        json::decode_publishes(body.as_bytes(), &mut |outcome| outcomes.push(outcome));
        outcomes
    };
    assert!(read(r#"{"room":"a","event":"e","data":{}}"#)[0].is_ok());
    assert!(read(r#"{"type":"publish","room":"a","event":"e"}"#)[0].is_ok());
    assert_eq!(
        read(r#"{"type":"join","room":"a","event":"e"}"#)[0].as_ref().unwrap_err().field,
        Some("type")
    );
    assert_eq!(read(r#"[{"room":"a","event":"e"},{"room":"a"}]"#).len(), 2);
}

proptest! {
    #[test]
    fn any_bytes_get_an_answer(bytes: Vec<u8>, text in "[\\[\\]{}:,\"a-z0-9 ]{0,40}") {
        prop_assert!(read_msgpack(&bytes).iter().all(|outcome| outcome.as_ref().err().is_none_or(|r| !r.message.is_empty())));
        let _ = read_json(&text);
        json::decode(&bytes, &mut |_| ());
    }
}
