//! What does not pass: characters that hide text, and messages that a role may not receive.

use serde_json::{Value, json};

use crate::support::{Client, Options, Server, api, deployments};

const SANITIZE: &str = r#"
[[room_type]]
name = "clean"
sanitize = "strip"

[[room_type]]
name = "strict"
sanitize = "refuse"

[inbox]
sanitize = "strip"
"#;

const BAD: &str = "a\u{0}b\u{1b}[31m\u{202e}c\u{7f}\u{85}\td\ne";
const GOOD: &str = "ab[31mc\td\ne";

#[test]
fn characters_that_hide_text_are_taken_out_or_refused_where_the_room_says_so() {
    for options in deployments() {
        let server = Server::start(Options { config: SANITIZE.to_owned(), ..options });
        for packed in [false, true] {
            let open = |user| {
                if packed {
                    Client::packed(&server, user, "admin")
                } else {
                    Client::join_server(&server, user, "admin")
                }
            };
            let (mut publisher, mut member) = (open("ada"), Client::join_server(&server, "ben", "user"));
            for room in ["clean:1", "strict:1", "open:1"] {
                member.join(room);
            }
            let bad = json!({"text": BAD, "list": [BAD, 1.5, null], "é“”": "é“”"});
            let good = json!({"text": GOOD, "list": [GOOD, 1.5, null], "é“”": "é“”"});
            publisher.publish("clean:1", bad.clone());
            assert_eq!(member.expect("say")["data"], good);
            publisher.publish("open:1", bad.clone());
            assert_eq!(member.expect("say")["data"], bad, "off: it passes");
            let refused =
                publisher.ask(json!({"type": "publish", "room": "strict:1", "event": "say", "data": bad}));
            assert_eq!((&refused["code"], &refused["details"]["field"]), (&json!(4005), &json!("data")));
            assert!(!refused.to_string().contains("[31m"), "{refused}");
            publisher.publish("strict:1", good.clone());
            assert_eq!(member.expect("say")["data"], good);
            publisher.send(&json!({"type": "publish", "user": "ben", "event": "say", "data": bad}));
            assert_eq!(member.expect("say")["data"], good, "the inbox says so too");
        }
        let body = json!({"room": "strict:1", "event": "say", "data": BAD});
        let refused = api(&server, "POST", "/v1/publish", Some(&body));
        assert_eq!((refused.0, &refused.1["code"]), (400, &json!(4005)), "{}", refused.1);
    }
}

#[test]
fn a_clean_message_passes_byte_for_byte() {
    let server = Server::with(SANITIZE);
    let (mut ada, mut ben) =
        (Client::join_server(&server, "ada", "user"), Client::join_server(&server, "ben", "user"));
    ben.join("clean:1");
    let data = r#"{ "b" : 1.50 , "a":"\u00e9 \n © “" }"#;
    let command = format!(r#"{{"type":"publish","room":"clean:1","event":"say","data":{data}}}"#);
    ada.socket.send(tungstenite::Message::text(command)).unwrap();
    let text = ben.socket.read().unwrap().into_text().unwrap();
    assert!(text.contains(data), "{text}");
}

const ROLES: &str = r#"
[[role]]
name = "display"
not_receive = ["emergency_*"]

[[role]]
name = "reader"
receive = ["say"]
"#;

#[test]
fn a_role_gets_only_what_it_may() {
    for shards in [1, 2, 4] {
        let server = Server::start(Options { shards, config: ROLES.to_owned(), ..Options::default() });
        let mut admin = Client::join_server(&server, "root", "admin");
        let mut members: Vec<(Client, &[&str])> = vec![
            (Client::join_server(&server, "d", "display"), &["say", "clock"]),
            (Client::packed(&server, "r", "reader"), &["say"]),
            (Client::join_server(&server, "n", "nurse"), &["say", "emergency_stop", "clock"]),
            (Client::packed(&server, "e", "display"), &["say", "clock"]),
        ];
        let mut epoch = Value::Null;
        for (member, _) in &mut members {
            epoch = member.join("ward:1")["epoch"].take();
        }
        for event in ["say", "emergency_stop", "clock"] {
            let answer = admin.ask(json!({"type": "publish", "room": "ward:1", "event": event, "data": 1}));
            assert_eq!(answer["type"], "published");
            admin.ask(json!({"type": "publish", "all": true, "event": event, "data": 2}));
        }
        for (member, events) in &mut members {
            // Of two rooms neither comes before the other.
            let came: Vec<Value> = (0..2 * events.len()).map(|_| member.receive().unwrap()).collect();
            for room in [1, 2] {
                let of_room = came.iter().filter(|message| message["data"] == room);
                let types: Vec<&str> = of_room.map(|message| message["type"].as_str().unwrap()).collect();
                assert_eq!(types, **events);
            }
            member.expect_nothing();
            let history = member.ask(json!({"type": "history", "room": "ward:1"}));
            let listed: Vec<&str> = history["messages"]
                .as_array()
                .unwrap()
                .iter()
                .map(|message| message["type"].as_str().unwrap())
                .collect();
            assert_eq!(listed, **events);
        }
        let mut display = Client::join_server(&server, "f", "display");
        let joined =
            display.ask(json!({"type": "join", "room": "ward:1", "recover": {"epoch": epoch, "offset": 0}}));
        assert_eq!(joined["recovered"], true, "{joined}");
        assert_eq!(
            (display.expect("say")["offset"].as_u64(), display.expect("clock")["offset"].as_u64()),
            (Some(1), Some(3))
        );
        // A rule about what a role gets does not take away what it may.
        display.publish("ward:1", json!(3));
    }
}
