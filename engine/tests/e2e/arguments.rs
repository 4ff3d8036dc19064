//! What commands of services say, read through the real binary: characters that hide text, numbers that are none, members given
//! twice, and refusals that tell where.

use serde_json::{Value, json};

use crate::support::{Client, Options, Raw, Server, api, request, token};

fn ask(client: &mut Client, name: &str, room: &str, data: Value) -> Value {
    client.ask(json!({"type": name, "room": room, "data": data}))
}

/// The status of a body that is sent as it is, and what is answered.
fn sent(server: &Server, path: &str, body: &str) -> (u16, Value) {
    let bearer = format!("Bearer {}", token("operator", "admin", json!({})));
    let headers = [("authorization", &*bearer), ("content-type", "application/json")];
    let answer = request(server, "POST", path, &headers, body);
    (answer.status, serde_json::from_str(&answer.body).unwrap())
}

#[test]
fn what_a_rooms_type_says_of_characters_that_hide_text_holds_for_services() {
    let config = r#"
        [[room_type]]
        name = "strip"
        sanitize = "strip"
        presence = true
        [[room_type]]
        name = "refuse"
        sanitize = "refuse"
        presence = true
        [[room_type]]
        name = "operation"
        publish = []
        sanitize = "refuse"
    "#;
    let server = Server::start(Options { shards: 4, config: config.into(), ..Options::default() });
    let mut ada = Client::join_server(&server, "ada", "user");
    let mut ben = Client::packed(&server, "ben", "admin");
    let turned = json!({"text": "pay \u{202e}eno"});
    let info = json!({"status": "here", "info": {"note": ["a\u{1b}[2Jb", {"c\u{0}": "d\u{202e}"}]}});
    for client in [&mut ada, &mut ben] {
        client.join("strip:1");
        client.join("refuse:1");
        client.join("open:1");
        for room in ["refuse:1", "open:1"] {
            let refused = ask(client, "chat.send", room, turned.clone());
            assert_eq!(
                (&refused["code"], &refused["details"]["field"]),
                (&json!(4005), &json!("text")),
                "{room}"
            );
        }
        let refused = ask(client, "presence.set", "refuse:1", info.clone());
        assert_eq!(
            (&refused["code"], &refused["details"]["field"]),
            (&json!(4005), &json!("info")),
            "{refused}"
        );
    }
    assert_eq!(ask(&mut ada, "chat.send", "strip:1", turned)["type"], "ok");
    assert_eq!(ben.until("$chat_message")["data"]["text"], "pay eno");
    let nothing = ask(&mut ada, "chat.send", "strip:1", json!({"text": "\u{202e}"}));
    assert_eq!(nothing["details"]["field"], "text", "nothing is left of it: {nothing}");
    assert_eq!(ask(&mut ada, "presence.set", "strip:1", info)["type"], "ok");
    let (_, present) = api(&server, "GET", "/v1/rooms/strip:1/presence", None);
    let text = present.to_string();
    assert!(text.contains(r#""note":["a[2Jb",{"c":"d"}]"#), "{text}");
    let start = json!({"operation_id": "o", "metadata": {"name": "a\u{7}"}});
    let (status, refused) = api(&server, "POST", "/v1/operations", Some(&start));
    assert_eq!((status, &refused["details"]["field"]), (400, &json!("metadata")), "{refused}");
    let start = json!({"operation_id": "o", "steps": [{"name": "a"}, {"name": "b\u{2066}"}]});
    let (status, refused) = api(&server, "POST", "/v1/operations", Some(&start));
    let message = refused["message"].as_str().unwrap();
    assert!(status == 400 && message.starts_with("`steps[1].name` must hold no"), "{refused}");
}

#[test]
fn what_cannot_be_told_is_refused_and_names_its_field() {
    let server = Server::with("[limits]\ncommands_per_minute = 0\n");
    let values = "/v1/rooms/a:1/monitor/values";
    let (polls, chat) = ("/v1/rooms/a:1/polls", "/v1/rooms/a:1/chat/messages");
    for (path, body, field, message) in [
        (values, r#"{"values":{"a":1e999}}"#, "values", "`values` must hold only numbers that are finite"),
        (values, r#"{"values":{"a":1e301}}"#, "values", "`values.a` must be a number from -1e300 to 1e300"),
        (values, r#"{"values":{"a":1},"values":{"a":2}}"#, "values", "`values` must be given once"),
        (
            values,
            r#"{"values":{"a":1,"a":2}}"#,
            "values",
            "`values` must be given once, and so must each of its members",
        ),
        (values, "[]", "body", "the body must be an object"),
        (values, "null", "body", "the body must be an object"),
        (chat, r#"{"text":"\ud800"}"#, "text", "`text` must hold only text that is Unicode"),
        (chat, r#"{"text":"a","mentions":["a\"b"]}"#, "mentions", "`mentions` must not hold"),
        (
            polls,
            r#"{"poll_id":"p","question":"q","options":["a","b\u0007"]}"#,
            "options",
            "`options` must hold no control",
        ),
    ] {
        let (status, refused) = sent(&server, path, body);
        let told = refused["message"].as_str().unwrap();
        assert!(
            status == 400 && refused["details"]["field"] == field && told.starts_with(message),
            "{body}: {refused}"
        );
    }
    let preferences = json!({"quiet_hours": {"from": "22:00", "to": "7:00", "utc_offset_minutes": 60}});
    let put = |data: &Value| api(&server, "PUT", "/v1/users/ada/notification_preferences", Some(data)).1;
    let told = put(&preferences)["message"].as_str().unwrap().to_owned();
    assert!(told.starts_with("`quiet_hours.to` must be a time of day"), "{told}");
    let refused = put(&json!({"quiet_hours": {"from": "22:00", "to": "07:00", "utc_offset_minutes": 1.7}}));
    assert_eq!(refused["details"]["field"], "utc_offset_minutes", "{refused}");
    let mut ada = Client::join_server(&server, "ada", "user");
    let refused = ask(&mut ada, "chat.send", "a:1", json!([]));
    assert_eq!((&refused["details"]["field"], &refused["code"]), (&json!("data"), &json!(4005)));
}

#[test]
fn a_number_of_message_pack_that_is_none_is_not_taken_for_nothing() {
    let server = Server::start(Options::default());
    let mut raw = Raw::welcomed(&server, "Sec-WebSocket-Protocol: fanfare.v1.msgpack\r\n");
    let mut command =
        rmp_serde::to_vec_named(&json!({"type": "score.report", "id": 1, "room": "a:1"})).unwrap();
    command[0] += 1;
    for number in [f64::NAN, f64::INFINITY] {
        let mut command = command.clone();
        command.extend_from_slice(b"\xa4data\x82\xa8score_id\xa1s\xa5value\xcb");
        command.extend_from_slice(&number.to_be_bytes());
        raw.send_frame(0x82, &command);
        let answer: Value = rmp_serde::from_slice(&raw.frame().unwrap().1).unwrap();
        assert_eq!(
            (&answer["code"], &answer["details"]["field"]),
            (&json!(4005), &json!("value")),
            "{answer}"
        );
        let message = answer["message"].as_str().unwrap();
        assert!(message.contains("finite"), "{message}");
    }
}

#[test]
fn queries_and_headers_that_are_refused_are_named_too() {
    let server = Server::with("[[room_type]]\nname = \"small\"\nmax_members = 1\n");
    for (path, field) in [
        ("/v1/rooms/a:1/history?limit=0", "limit"),
        ("/v1/rooms/a:1/history?since=x", "since"),
        ("/v1/rooms?limit=abc", "limit"),
        ("/v1/connections?state=closed", "state"),
        ("/v1/connections/ended?code=1", "code"),
    ] {
        let (status, refused) = api(&server, "GET", path, None);
        assert_eq!((status, &refused["details"]["field"]), (400, &json!(field)), "{path}: {refused}");
    }
    let bearer = format!("Bearer {}", token("operator", "admin", json!({})));
    let headers = [("authorization", &*bearer), ("content-type", "text/plain")];
    let answer = request(&server, "POST", "/v1/publish", &headers, "{}");
    assert_eq!((answer.status, &answer.json()["details"]["field"]), (415, &json!("content-type")));
    let mut ada = Client::join_server(&server, "ada", "user");
    ada.join("small:1");
    let full = Client::join_server(&server, "ben", "user").ask(json!({"type": "join", "room": "small:1"}));
    assert_eq!((&full["code"], &full["details"]["field"]), (&json!(4003), &json!("room")), "{full}");
}

#[test]
fn what_is_only_in_answers_is_not_described_as_taken() {
    let server = Server::start(Options::default());
    let (_, described) = api(&server, "GET", "/v1/openapi.json", None);
    for (path, only_answered) in [
        ("/v1/rooms/{room}/monitor/rules", ["status", "since"].as_slice()),
        ("/v1/rooms/{room}/scores", &["value", "users", "reached"]),
    ] {
        let post = &described["paths"][path]["post"];
        let taken = post["requestBody"].to_string();
        let answered = post["responses"]["200"].to_string();
        for name in only_answered {
            let member = format!("\"{name}\":{{");
            assert!(!taken.contains(&member) && answered.contains(&member), "{path} {name}: {post}");
        }
    }
}
