//! Whatever clients and backends of the built-in applications say is commands or a refusal, and whatever the engine says to them
//! is made into something that is whole.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use fanfare_profile::{BUILT_IN, Profile, Profiles};
use fanfare_protocol::ws::OpCode;
use fanfare_protocol::{Dialects, Listener};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

static ALL: LazyLock<(Profiles, Dialects)> = LazyLock::new(|| {
    let parse = |(_, text)| Profile::parse(text, &BTreeMap::new(), &|_| None).unwrap();
    let profiles = Profiles::new(BUILT_IN.into_iter().map(parse).collect()).unwrap();
    let dialects = profiles.dialects();
    (profiles, dialects)
});

/// Types and members that the tables know, and others.
const WORDS: [&str; 24] = [
    "heartbeat",
    "auth",
    "subscribe",
    "join_room",
    "create_room",
    "subscribe_operation",
    "technique_vote",
    "chat_message",
    "progress_update",
    "upload_progress",
    "schedule_update",
    "processing_progress",
    "notification_ack",
    "user_id",
    "room_id",
    "operation_id",
    "session_id",
    "data",
    "type",
    "room",
    "document_id",
    "x",
    "welcome",
    "$presence",
];

fn value() -> impl Strategy<Value = Value> {
    let word = proptest::sample::select(&WORDS[..]).prop_map(Value::from);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|n| json!(n)),
        ".{0,12}".prop_map(Value::from),
        word
    ];
    leaf.prop_recursive(4, 48, 6, |inner| {
        let name = prop_oneof![proptest::sample::select(&WORDS[..]).prop_map(str::to_owned), "[a-z]{1,6}"];
        let object = proptest::collection::btree_map(name, inner.clone(), 0..6);
        prop_oneof![
            proptest::collection::vec(inner, 0..6).prop_map(Value::from),
            object.prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

fn message() -> impl Strategy<Value = Value> {
    (
        proptest::sample::select(&WORDS[..]),
        proptest::collection::btree_map(proptest::sample::select(&WORDS[..]), value(), 0..8),
    )
        .prop_map(|(kind, members)| {
            let mut message: Map<String, Value> =
                members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            message.insert("type".to_owned(), kind.into());
            message.into()
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn what_clients_say_is_commands_or_a_refusal(message in message(), which in any::<usize>()) {
        let (profiles, dialects) = &*ALL;
        let given = json!({"query": {"session_id": "s"}, "path": {}, "claims": {"session_id": "s"}});
        let listener = Listener { client_id: "c", user_id: "u", role: "admin", given: &given, now_unix_ms: 1, own_id: "" };
        let mut outcomes = 0;
        let number = u8::try_from(which % dialects.len() + 1).unwrap();
        profiles.hear(number, &listener, OpCode::Text, message.to_string().as_bytes(), 65_536, &mut |outcome| {
            outcomes += 1;
            match outcome {
                Ok(requests) => assert!(!requests.is_empty()),
                Err(refusal) => assert!(!refusal.message.is_empty()),
            }
        });
        prop_assert!(outcomes >= 1, "{message} is answered");
    }

    #[test]
    fn what_they_are_sent_is_whole(message in message(), which in any::<usize>()) {
        let (_, dialects) = &*ALL;
        let given = json!({"query": {}, "path": {}, "claims": {}});
        let listener = Listener { client_id: "c", user_id: "u", role: "user", given: &given, now_unix_ms: 1, own_id: "01m7" };
        let dialect = &dialects[which % dialects.len()];
        let mut check = |opcode, bytes: &[u8]| if opcode == OpCode::Text {
            let said: Value = serde_json::from_slice(bytes).expect("a text is JSON");
            assert!(said.is_object(), "{said}");
        };
        dialect.message(message.to_string().as_bytes(), "01m8", &mut check);
        dialect.answer(&listener, message.to_string().as_bytes(), &mut check);
    }

    #[test]
    fn what_backends_say_is_understood_or_refused(message in message(), which in any::<usize>()) {
        let (profiles, _) = &*ALL;
        let profile = which % profiles.iter().count();
        match profiles.understand(profile, message, 1) {
            Ok(understood) => {
                let done = vec![Value::Null; understood.commands.len()];
                profiles.reply(profile, understood, &done);
            }
            Err(refusal) => prop_assert!(!refusal.message.is_empty()),
        }
    }
}
