//! Both encodings under arbitrary values: commands written by other people's libraries, MessagePack that JSON
//! has no form for, and messages that were damaged on their way.

use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use fanfare_protocol::wire::{CommandId, Position};
use fanfare_protocol::{Body, Command, Message, Refusal, Request, Target, json, msgpack};
use proptest::prelude::*;
use serde_json::{Value, json};

type Decode = fn(&[u8], &mut dyn FnMut(Result<Request, Refusal>));

fn read(bytes: &[u8], decode: Decode) -> Vec<Result<Request, Refusal>> {
    let mut outcomes = Vec::new();
    decode(bytes, &mut |outcome| outcomes.push(outcome));
    outcomes
}

fn packed(value: &Value) -> Vec<u8> {
    rmp_serde::to_vec_named(value).unwrap()
}

/// A value as a publisher of MessagePack may write it.
#[derive(Clone, Debug)]
enum Pack {
    Nil,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    F32(f32),
    F64(f64),
    Text(String),
    Bin(Vec<u8>),
    Ext(i8, Vec<u8>),
    Array(Vec<Self>),
    Map(Vec<(Self, Self)>),
}

impl Pack {
    fn write(&self, out: &mut Vec<u8>) {
        use rmp::encode as to;
        match self {
            Self::Nil => to::write_nil(out).unwrap(),
            Self::Bool(flag) => to::write_bool(out, *flag).unwrap(),
            Self::Unsigned(number) => drop(to::write_uint(out, *number).unwrap()),
            Self::Signed(number) => drop(to::write_sint(out, *number).unwrap()),
            Self::F32(number) => to::write_f32(out, *number).unwrap(),
            Self::F64(number) => to::write_f64(out, *number).unwrap(),
            Self::Text(text) => to::write_str(out, text).unwrap(),
            Self::Bin(bytes) => to::write_bin(out, bytes).unwrap(),
            Self::Ext(kind, bytes) => {
                to::write_ext_meta(out, bytes.len() as u32, *kind).unwrap();
                out.extend_from_slice(bytes);
            }
            Self::Array(items) => {
                to::write_array_len(out, items.len() as u32).unwrap();
                items.iter().for_each(|item| item.write(out));
            }
            Self::Map(members) => {
                to::write_map_len(out, members.len() as u32).unwrap();
                for (key, value) in members {
                    key.write(out);
                    value.write(out);
                }
            }
        }
    }

    /// What the documentation of `json::from_msgpack` promises.
    fn json(&self) -> Value {
        match self {
            Self::Nil => Value::Null,
            Self::Bool(flag) => json!(flag),
            Self::Unsigned(number) => json!(number),
            Self::Signed(number) => json!(number),
            // The shortest text of the 32 bits, read again as 64. Where two are the shortest, libraries differ.
            Self::F32(number) => serde_json::from_str(&serde_json::to_string(number).unwrap()).unwrap(),
            Self::F64(number) => Value::from(*number),
            Self::Text(text) => json!(text),
            Self::Bin(bytes) => json!(STANDARD.encode(bytes)),
            Self::Ext(kind, bytes) => json!({"ext": kind, "data": STANDARD.encode(bytes)}),
            Self::Array(items) => items.iter().map(Self::json).collect(),
            Self::Map(members) => members.iter().map(|(key, value)| (key.key(), value.json())).collect(),
        }
    }

    fn key(&self) -> String {
        match (self, self.json()) {
            (_, Value::String(text)) => text,
            // The members of an object are written in this order, which serde_json's map does not keep.
            (Self::Ext(kind, bytes), _) => format!(r#"{{"ext":{kind},"data":"{}"}}"#, STANDARD.encode(bytes)),
            (_, value) => value.to_string(),
        }
    }
}

fn any_key() -> impl Strategy<Value = Pack> {
    prop_oneof![
        4 => "\\PC{0,8}|[\\x00-\\x7f]{0,8}".prop_map(Pack::Text),
        1 => Just(Pack::Nil),
        1 => any::<bool>().prop_map(Pack::Bool),
        1 => any::<u64>().prop_map(Pack::Unsigned),
        1 => any::<i64>().prop_map(Pack::Signed),
        1 => prop::collection::vec(any::<u8>(), 0..20).prop_map(Pack::Bin),
        1 => (any::<i8>(), prop::collection::vec(any::<u8>(), 0..20)).prop_map(|(kind, bytes)| Pack::Ext(kind, bytes)),
    ]
}

fn any_pack() -> impl Strategy<Value = Pack> {
    let floats = prop_oneof![any::<f32>().prop_map(Pack::F32), any::<f64>().prop_map(Pack::F64)];
    let special =
        prop_oneof![Just(f64::NAN), Just(f64::INFINITY), Just(f64::NEG_INFINITY)].prop_map(Pack::F64);
    prop_oneof![4 => any_key(), 2 => floats, 1 => special].prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Pack::Array),
            prop::collection::vec((any_key(), inner), 0..6).prop_map(Pack::Map),
        ]
    })
}

fn any_id() -> impl Strategy<Value = Option<CommandId>> {
    prop_oneof![
        Just(None),
        any::<i64>().prop_map(|number| Some(CommandId::Number(number))),
        "\\PC{0,16}|[\\x00-\\x7f]{0,64}".prop_map(|text| Some(CommandId::Text(text.into()))),
    ]
}

const ID: &str = "[a-zA-Z0-9é -]{1,20}";

prop_compose! {
    /// A publish as members, and what must be read from it.
    fn any_publish()(
        id in any_id(),
        user in ID,
        roles in prop::collection::vec(ID, 0..17),
        key in prop::option::of("\\PC{1,32}"),
        event in "e[!#-\\[\\]-~]{1,63}",
        message_id in prop::option::of("[a-z]{1,64}"),
        ttl in prop::option::of(1_u32..=2_592_000),
        priority in prop::option::of(0_u8..=9),
        exclude_self: bool,
        clients in (prop::option::of(ID), prop::option::of(ID)),
        unknown in prop::option::of("[a-z]{1,5}"),
    ) -> (Value, Option<CommandId>, fanfare_protocol::Publish) {
        let texts = |texts: &[String]| texts.iter().map(|text| text.as_str().into()).collect();
        let members = json!({
            "type": "publish", "user": user, "roles": roles, "key": key, "event": event, "ttl": ttl,
            "message_id": message_id, "priority": priority, "exclude_self": exclude_self,
            "user_id": clients.0, "exclude_client": clients.1,
            "unknown_field": {"deep": [unknown]},
            "id": match &id {
                None => Value::Null,
                Some(CommandId::Number(number)) => json!(number),
                Some(CommandId::Text(text)) => json!(text),
            },
        });
        let publish = fanfare_protocol::Publish {
            target: Target::User(user.into()),
            event: fanfare_protocol::EventName::parse(&event).unwrap(),
            body: Body::Json(Bytes::from_static(b"null")),
            user_id: clients.0.map(Into::into),
            exclude_self,
            exclude_client: clients.1.map(Into::into),
            roles: texts(&roles),
            key: key.map(Into::into),
            ttl,
            priority,
            message_id: message_id.map(Into::into),
            receipts: false,
        };
        (members, id, publish)
    }
}

proptest! {
    #[test]
    fn a_publish_is_read_as_it_was_meant((members, id, publish) in any_publish()) {
        let request = |body| Request {
            id: id.clone(),
            command: Command::Publish(Box::new(fanfare_protocol::Publish { body, ..publish.clone() })),
        };
        let text = request(Body::Json(Bytes::from_static(b"null")));
        prop_assert_eq!(read(members.to_string().as_bytes(), json::decode), [Ok(text)]);
        let pack = request(Body::MessagePack(Bytes::from_static(&[0xc0])));
        prop_assert_eq!(read(&packed(&members), msgpack::decode), [Ok(pack)]);
    }

    #[test]
    fn positions_are_read_as_they_were_meant(epoch in "\\PC{1,8}", offset: u64, last: u32, recover: bool) {
        let position = json!({"epoch": epoch, "offset": offset, "more": []});
        let command = if recover {
            json!({"type": "join", "room": "a", "recover": position, "last": last})
        } else {
            json!({"type": "history", "room": "a", "since": position, "limit": last})
        };
        let expected = Some(Position { epoch: epoch.into(), offset });
        for outcome in [read(command.to_string().as_bytes(), json::decode), read(&packed(&command), msgpack::decode)] {
            match &outcome[0].as_ref().unwrap().command {
                Command::Join(join) => prop_assert_eq!((&join.recover, join.last), (&expected, Some(last))),
                Command::History(history) => prop_assert_eq!((&history.since, history.limit), (&expected, Some(last))),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn any_msgpack_passes_through_and_is_json_of_bounded_length(value in any_pack()) {
        let mut bytes = Vec::new();
        value.write(&mut bytes);
        let command = [&b"\x82\xa4type\xa9heartbeat\xa4data"[..], &bytes].concat();
        let outcomes = read(&command, msgpack::decode);
        let Command::Heartbeat { data: Some(Body::MessagePack(data)) } = &outcomes[0].as_ref().unwrap().command else {
            panic!("{outcomes:?}")
        };
        prop_assert_eq!(&data[..], &bytes);
        let mut text = Vec::new();
        json::from_msgpack(&bytes, &mut text);
        prop_assert!(text.len() <= 16 * bytes.len(), "{} bytes became {}", bytes.len(), text.len());
        let written: Value = serde_json::from_slice(&text).unwrap();
        prop_assert_eq!(&written, &value.json());
        // From here on both encodings have a form for everything in it.
        let mut back = Vec::new();
        msgpack::from_json(&text, &mut back);
        prop_assert_eq!(rmp_serde::from_slice::<Value>(&back).unwrap(), written);
    }

    #[test]
    fn floats_of_32_bits_are_the_same_when_read_again(number in any::<f32>()) {
        let (mut bytes, mut text) = (Vec::new(), Vec::new());
        rmp::encode::write_f32(&mut bytes, number).unwrap();
        json::from_msgpack(&bytes, &mut text);
        prop_assert_eq!(str::from_utf8(&text).unwrap().parse::<f32>(), Ok(number));
    }

    #[test]
    fn a_message_of_any_texts_is_the_same_to_other_libraries(
        texts in prop::array::uniform5("\\PC{0,30}|[\\x00-\\x7f]{0,30}"),
        offset: u64,
        has_user: bool,
        priority in 0_u8..=9,
        value in any_pack(),
        as_json: bool,
    ) {
        let mut bytes = Vec::new();
        value.write(&mut bytes);
        let body = if as_json {
            Body::Json(value.json().to_string().into())
        } else {
            Body::MessagePack(bytes.into())
        };
        let [event, room, epoch, message_id, user_id] = &texts;
        let message = Message {
            event,
            room,
            offset,
            epoch,
            message_id,
            timestamp_unix_ms: 1_763_634_600_123,
            user_id: has_user.then_some(user_id),
            priority,
            body: &body,
        };
        let mut expected = json!({
            "type": event, "room": room, "offset": offset, "epoch": epoch, "message_id": message_id,
            "timestamp": "2025-11-20T10:30:00.123Z", "data": value.json(),
        });
        if has_user {
            expected["user_id"] = json!(user_id);
        }
        if priority > 0 {
            expected["priority"] = json!(priority);
        }
        let (mut text, mut pack) = (Vec::new(), Vec::new());
        json::encode_message(&message, &mut text);
        prop_assert_eq!(&serde_json::from_slice::<Value>(&text).unwrap(), &expected);
        msgpack::encode_message(&message, &mut pack);
        // rmp-serde reads no extension as a Value, so only what has a form in JSON can be compared.
        if as_json {
            prop_assert_eq!(rmp_serde::from_slice::<Value>(&pack).unwrap(), expected);
        }
    }

    #[test]
    fn damage_is_answered_and_never_repeats_the_token(
        (members, ..) in any_publish(),
        cut: prop::sample::Index,
        at: prop::sample::Index,
        byte: u8,
    ) {
        for (bytes, decode) in [
            (members.to_string().into_bytes(), json::decode as Decode),
            (packed(&members), msgpack::decode),
        ] {
            let cut = cut.index(bytes.len());
            prop_assert!(matches!(&read(&bytes[..cut], decode)[..], [Err(_)]), "cut at {}", cut);
            let mut damaged = bytes;
            let at = at.index(damaged.len());
            damaged[at] = byte;
            prop_assert_eq!(read(&damaged, decode).len(), 1);
        }
        let secret = json!({"type": "auth", "token": ["a secret"], "data": "a secret", "key": "a secret"});
        for outcome in [read(secret.to_string().as_bytes(), json::decode), read(&packed(&secret), msgpack::decode)] {
            prop_assert!(!outcome[0].as_ref().unwrap_err().message.contains("secret"));
        }
    }
}

#[test]
fn deep_nesting_takes_linear_time() {
    let started = Instant::now();
    let heads = (br#"{"type":"heartbeat","id":7,"data":"#, b"\x83\xa4type\xa9heartbeat\xa2id\x07\xa4data");
    for level in [&b"["[..], b"{\"a\":", b"[{\"\\\"[\":", b"[\n"] {
        for head in [&heads.0[..], b"", b"[", br#"{"unknown":"#] {
            let outcomes = read(&[head, &level.repeat(100_000)].concat(), json::decode);
            assert!(matches!(&outcomes[..], [Err(_)]), "{outcomes:?}");
        }
    }
    for level in [&b"\x91"[..], b"\x81\xa1a", b"\xdd\xff\xff\xff\xff", b"\x81"] {
        for head in [&heads.1[..], b"", b"\x91", b"\x81\xa1u"] {
            let outcomes = read(&[head, &level.repeat(100_000)].concat(), msgpack::decode);
            assert!(matches!(&outcomes[..], [Err(_)]), "{outcomes:?}");
        }
    }
    // Quadratic work on this would be minutes, also where nothing is optimised.
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}
