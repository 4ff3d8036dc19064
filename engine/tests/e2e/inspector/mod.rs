//! The inspector: what it holds of what passes through, what it shows to whom, and the live tail.

mod access;
mod cli;
mod ends;
mod tail;

use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Answer, Client, Options, Raw, Server, eventually, request, token};

fn bearer() -> String {
    format!("Bearer {}", token("root", "admin", json!({})))
}

fn get(server: &Server, path: &str) -> Answer {
    request(server, "GET", path, &[("authorization", &bearer())], "")
}

fn records(server: &Server, path: &str) -> Vec<Value> {
    let answer = get(server, &format!("/v1/inspector/{path}"));
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    answer.json()["records"].as_array().unwrap().clone()
}

/// The records, once there are as many as wanted.
fn counted(server: &Server, path: &str, count: usize) -> Vec<Value> {
    let found = eventually(path, || Some(records(server, path)).filter(|found| found.len() >= count));
    assert_eq!(found.len(), count, "{found:#?}");
    found
}

fn tail(server: &Server, query: &str) -> Client {
    let path = format!("/v1/inspector/tail?{query}");
    Client::connect(server, &path, &[("authorization", &bearer())])
        .unwrap_or_else(|status| panic!("HTTP {status}"))
}

fn with(config: &str) -> Server {
    Server::start(Options { shards: 4, config: format!("[inspector]\n{config}"), ..Options::default() })
}

#[test]
fn headers_are_held_and_payloads_only_where_asked_for() {
    let marker = "MARKER-1234";
    for payloads in [false, true] {
        let server = with(&format!("payloads = {payloads}\n"));
        let mut clients: Vec<Client> =
            (0..6).map(|n| Client::join_server(&server, &format!("u{n}"), "user")).collect();
        clients.iter_mut().for_each(|client| drop(client.join("chat:1")));
        clients[0].publish("chat:1", json!({"text": marker}));
        let mut packed = Client::packed(&server, "p", "user");
        packed.publish("chat:2", json!({"text": marker}));
        let found = counted(&server, "messages", 2);
        let [one, two] = &found[..] else { panic!() };
        assert_eq!(
            (&one["room"], &one["type"], &one["user_id"]),
            (&json!("chat:1"), &json!("say"), &json!("u0"))
        );
        assert_eq!((&one["members"], &one["offset"], &one["seq"]), (&json!(6), &json!(1), &json!(1)));
        assert_eq!(one["bytes"], json!({"text": marker}).to_string().len());
        assert!(one["message_id"].is_string() && one["epoch"].is_string() && one["at_unix_ms"].is_u64());
        let told = get(&server, "/v1/inspector/export").body;
        assert_eq!(told.contains(marker), payloads, "{told}");
        let data = if payloads { json!({"text": marker}) } else { Value::Null };
        assert_eq!((&one["data"], &two["data"]), (&data, &data));
        assert!(!server.log().contains(marker));
    }
}

#[test]
fn events_and_errors_are_told_with_their_codes_and_filtered() {
    let server = Server::start(Options {
        shards: 4,
        config: "[[room_type]]\nname = \"staff\"\njoin = [\"admin\"]\npublish = [\"admin\"]\n".into(),
        ..Options::default()
    });
    let mut ada = Client::join_server(&server, "ada", "user");
    let mut bob = Client::join_server(&server, "bob", "user");
    ada.join("chat:1");
    bob.join("chat:1");
    assert_eq!(ada.ask(json!({"type": "join", "room": "staff:1"}))["code"], 4013);
    assert_eq!(ada.ask(json!({"type": "publish", "room": "staff:1", "event": "x"}))["code"], 4013);
    assert_eq!(bob.ask(json!({"type": "nonsense"}))["code"], 4005);
    bob.ask(json!({"type": "leave", "room": "chat:1"}));
    drop(bob);
    Client::connect(&server, "/v1/ws?token=bad", &[]).unwrap().end();
    let mut raw = Raw::welcomed(&server, "");
    raw.send_frame(0x83, b"no such opcode");
    raw.end();

    let closes = counted(&server, "events?type=close&user=bob", 1);
    assert_eq!(closes[0]["code"], 1006);
    assert!(closes[0]["meaning"].as_str().unwrap().contains("lost"), "{closes:?}");
    let joins = counted(&server, "events?type=join&room=chat:*", 2);
    assert_eq!(joins.iter().filter(|join| join["user_id"] == "ada").count(), 1);
    assert_eq!(counted(&server, "events?type=leave", 1)[0]["user_id"], "bob");
    let client_id =
        joins.iter().find(|join| join["user_id"] == "ada").unwrap()["client_id"].as_str().unwrap();
    let of_client = counted(&server, &format!("events?client={client_id}"), 4);
    let types: Vec<_> = of_client.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["connect", "join", "join_denied", "publish_denied"]);

    let forbidden = counted(&server, "errors?code=4013", 2);
    for (error, during) in forbidden.iter().zip(["join_denied", "publish_denied"]) {
        let told = (&error["type"], &error["room"], &error["user_id"], &error["during"]);
        assert_eq!(told, (&json!("FORBIDDEN"), &json!("staff:1"), &json!("ada"), &json!(during)), "{error}");
    }
    assert_eq!(counted(&server, "errors?type=INVALID_MESSAGE", 1)[0]["user_id"], "bob");
    assert_eq!(counted(&server, "errors?code=1002", 1)[0]["during"], "close");
    let refused = counted(&server, "errors?code=4001", 1);
    assert_eq!((&refused[0]["during"], &refused[0]["peer"]), (&json!("connect_denied"), &json!("127.0.0.1")));
    assert_eq!(records(&server, "errors").len(), 5);

    // Pages follow each other.
    let first = get(&server, "/v1/inspector/errors?since=0&limit=2").json();
    assert_eq!(first["records"].as_array().unwrap().len(), 2);
    let second = get(&server, &format!("/v1/inspector/errors?since={}", first["next"])).json();
    let seqs: Vec<_> =
        second["records"].as_array().unwrap().iter().map(|error| error["seq"].clone()).collect();
    assert_eq!((seqs, &second["missed"]), (vec![json!(3), json!(4), json!(5)], &json!(0)));
}

#[test]
fn rooms_are_counted_and_the_bounds_hold() {
    let server = with("messages = 5\nevents = 4\nrooms = 2\n");
    let mut ada = Client::join_server(&server, "ada", "user");
    let mut bob = Client::join_server(&server, "bob", "user");
    for client in [&mut ada, &mut bob] {
        client.join("a");
    }
    (0..10).for_each(|n| assert_eq!(ada.publish("a", json!(n)), n + 1));
    let room = eventually("all are counted", || {
        let room = get(&server, "/v1/inspector/rooms/a").json();
        (room["messages_incoming"] == 10).then_some(room)
    });
    assert_eq!((&room["messages_outgoing"], &room["messages_total"]), (&json!(20), &json!(30)), "{room}");
    assert_eq!((&room["unique_users"], &room["unique_users_at_least"]), (&json!(2), &json!(false)));
    assert_eq!(
        (&room["connection_events"], &room["errors"], &room["bytes"]),
        (&json!(2), &json!(0), &json!(10))
    );
    assert!(room["first_at_unix_ms"].as_u64() <= room["last_at_unix_ms"].as_u64());
    let held = records(&server, "messages");
    let offsets: Vec<_> = held.iter().map(|message| message["offset"].as_u64().unwrap()).collect();
    assert_eq!(offsets, [6, 7, 8, 9, 10]);
    assert_eq!(get(&server, "/v1/inspector/messages?since=0").json()["missed"], 5);
    // The room that was used longest ago makes room.
    ada.publish("b", json!(1));
    ada.publish("c", json!(1));
    let names = eventually("two rooms", || {
        let rooms = get(&server, "/v1/inspector/rooms").json();
        let names: Vec<String> =
            rooms["rooms"].as_array()?.iter().map(|room| room["room"].as_str().unwrap().to_owned()).collect();
        (names == ["c", "b"]).then_some(names)
    });
    assert_eq!(names.len(), 2);
    assert_eq!(get(&server, "/v1/inspector/rooms/a").status, 404);
    assert_eq!(server.metric("fanfare_inspector_rooms_evicted_total"), 1.0);
    assert_eq!(server.metric("fanfare_inspector_records{kind=\"messages\"}"), 5.0);
    assert_eq!(server.metric("fanfare_inspector_records_dropped_total{kind=\"messages\"}"), 7.0);
}

#[test]
fn a_file_holds_a_summary_and_the_latest() {
    let config = "[limits]\ncommands_per_minute = 0\n".to_owned();
    let server = Server::start(Options { shards: 4, config, ..Options::default() });
    let mut clients: Vec<Client> =
        (0..4).map(|n| Client::join_server(&server, &format!("u{n}"), "user")).collect();
    for (n, client) in clients.iter_mut().enumerate() {
        for turn in 0..150 {
            client.publish(&format!("chat:{n}"), json!(turn));
            client.join(&format!("chat:{}", turn % 4));
            client.ask(json!({"type": "leave", "room": format!("chat:{}", turn % 4)}));
            client.ask(json!({"type": "nonsense"}));
        }
    }
    counted(&server, "errors?since=0&limit=1000", 600);
    let answer = get(&server, "/v1/inspector/export");
    assert!(
        answer.head.contains("content-disposition: attachment; filename=\"fanfare-inspector-"),
        "{}",
        answer.head
    );
    let file = std::env::temp_dir().join(format!("fanfare-export-{}.json", std::process::id()));
    let _ = std::fs::remove_file(&file);
    let url = format!("http://{}", server.address);
    let export = |file: &std::path::Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fanfare"));
        command.args(["inspect", "export", "--url", &url, "--out"]).arg(file).output().unwrap()
    };
    assert!(export(&file).status.success());
    assert_eq!(export(&file).status.code(), Some(1), "what is there already is not touched");
    let by_command: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    std::fs::remove_file(&file).unwrap();
    for export in [answer.json(), by_command] {
        let len = |name: &str| export[name].as_array().unwrap().len();
        assert_eq!((len("messages"), len("events"), len("errors"), len("rooms")), (500, 500, 100, 4));
        let summary = &export["summary"];
        assert_eq!((&summary["messages"]["seen"], &summary["messages"]["held"]), (&json!(600), &json!(600)));
        assert_eq!((&summary["events"]["seen"], &summary["events"]["held"]), (&json!(1_204), &json!(1_000)));
        assert_eq!(summary["errors"]["by_type"], json!({"INVALID_MESSAGE": 600}));
        assert_eq!(summary["events"]["by_type"], json!({"connect": 4, "join": 600, "leave": 600}));
        assert_eq!((&summary["connections"], &summary["payloads"]), (&json!(4), &json!(false)));
        let incoming = export["rooms"]
            .as_array()
            .unwrap()
            .iter()
            .map(|room| room["messages_incoming"].as_u64().unwrap());
        assert_eq!(incoming.sum::<u64>(), 600);
    }
}
