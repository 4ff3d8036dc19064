//! How good a connection is, where it is in its life, and why it ended.

use serde_json::{Value, json};

use crate::support::{
    Answer, Client, Ended, Folder, Options, Server, deployments, eventually, request, token,
};

const QUICK: &str = "[heartbeat]\ninterval = \"200ms\"\ngrace = \"800ms\"\n";

fn get(server: &Server, path: &str) -> Answer {
    let bearer = format!("Bearer {}", token("root", "admin", json!({})));
    request(server, "GET", path, &[("authorization", &bearer)], "")
}

fn measured(server: &Server, user: &str, more: &str, protocol: &str) -> (Client, String) {
    let bearer = format!("Bearer {}", token(user, "user", json!({})));
    let headers = [("authorization", &*bearer), ("sec-websocket-protocol", protocol)];
    let mut client = Client::connect(server, &format!("/v1/ws?health=1{more}"), &headers).unwrap();
    let id = client.expect("welcome")["client_id"].as_str().unwrap().to_owned();
    (client, id)
}

/// Answers the next ping; gives what the server says to it.
fn pong(client: &mut Client) -> Value {
    let ping = client.expect("heartbeat_ping");
    assert!(ping["timestamp"].is_string(), "{ping}");
    client.send(&json!({"type": "heartbeat_pong", "sequence_number": ping["sequence_number"]}));
    let health = client.expect("connection_health");
    assert_eq!(health["sequence_number"], ping["sequence_number"]);
    health
}

#[test]
fn a_client_that_asks_is_pinged_with_numbers_and_told_its_quality() {
    for options in deployments() {
        let server = Server::start(Options { config: QUICK.to_owned(), ..options });
        for protocol in ["fanfare.v1.json", "fanfare.v1.msgpack"] {
            let (mut client, id) = measured(&server, "ada", "", protocol);
            for _ in 0..3 {
                let health = pong(&mut client);
                assert!(health["rtt_ms"].as_f64().unwrap() > 0.0, "{health}");
                assert_ne!(health["quality"], "poor", "{health}");
            }
            let health = get(&server, &format!("/v1/connections/{id}/health")).json();
            assert_eq!((&health["state"], &health["measured"]), (&json!("connected"), &json!(true)));
            let rtt = &health["rtt_ms"];
            let of = |name: &str| rtt[name].as_f64().unwrap();
            assert!(
                of("min") <= of("mean") && of("mean") <= of("max") && of("last") <= of("max"),
                "{health}"
            );
            assert!(health["sequence_number"].as_u64().unwrap() >= 3 && health["last_pong"].is_string());
            let rows = get(&server, "/v1/connections").json();
            let row = rows["connections"].as_array().unwrap().iter().find(|row| row["client_id"] == id);
            let row = row.unwrap();
            assert!(row["rtt_ms"].is_number() && row["quality"] == health["quality"], "{row}");
            assert_eq!((&row["state"], &row["backlog_bytes"]), (&json!("connected"), &json!(0)));
        }
    }
}

#[test]
fn nobody_else_gets_such_messages_and_wrong_answers_are_told() {
    let server = Server::with(QUICK);
    let mut plain = Client::join_server(&server, "ada", "user");
    let answer = plain.ask(json!({"type": "heartbeat_pong", "sequence_number": 1}));
    assert_eq!((&answer["code"], &answer["details"]["field"]), (&json!(4005), &json!("sequence_number")));
    let (mut client, id) = measured(&server, "ben", "", "fanfare.v1.json");
    for number in [json!(99), json!(-1), json!("one"), json!(null)] {
        let answer = client.ask(json!({"type": "heartbeat_pong", "sequence_number": number}));
        assert_eq!((&answer["code"], &answer["details"]["field"]), (&json!(4005), &json!("sequence_number")));
    }
    pong(&mut client);
    eventually("some pings", || {
        let health = get(&server, &format!("/v1/connections/{id}/health")).json();
        pong(&mut client);
        plain.expect_nothing();
        (health["sequence_number"].as_u64()? >= 5).then_some(())
    });
    for name in ["heartbeat_ping", "heartbeat_pong", "connection_health", "connection_timeout"] {
        let publish = json!({"type": "publish", "room": "a:1", "event": name, "data": 1});
        assert_eq!(plain.ask(publish)["details"]["field"], "event", "{name}");
    }
    assert_eq!(Client::connect(&server, "/v1/ws?health=maybe", &[]).err(), Some(400));
}

#[test]
fn who_does_not_answer_is_told_and_closed_and_remembered() {
    for shards in [1, 4] {
        let server = Server::start(Options { shards, config: QUICK.to_owned(), ..Options::default() });
        let (mut silent, id) = measured(&server, "ada", "&client_id=silent", "fanfare.v1.json");
        assert_eq!(id, "silent");
        let (messages, ended) = silent.end();
        assert_eq!(ended, Ended::Code(4_007));
        let kinds: Vec<&str> = messages.iter().map(|of| of["type"].as_str().unwrap()).collect();
        assert_eq!(kinds[kinds.len() - 2..], ["connection_timeout", "error"]);
        assert!(kinds[..kinds.len() - 2].iter().all(|kind| *kind == "heartbeat_ping"), "{kinds:?}");
        let timeout = &messages[messages.len() - 2];
        assert!(timeout["reason"].is_string() && timeout["timestamp"].is_string(), "{timeout}");
        let health = get(&server, "/v1/connections/silent/health");
        let told = health.json();
        assert_eq!((health.status, &told["state"], &told["code"]), (200, &json!("closed"), &json!(4_007)));
        assert_eq!((&told["name"], &told["user_id"]), (&json!("HEARTBEAT_TIMEOUT"), &json!("ada")));
        assert!(told["duration_ms"].as_u64().unwrap() >= 800, "{told}");
    }
}

#[test]
fn ended_connections_are_listed_newest_first_and_bounded() {
    let config = "[limits]\nended_connections = 3\n";
    let server = Server::start(Options { shards: 4, config: config.to_owned(), ..Options::default() });
    let listed = |query: &str| {
        let told = get(&server, &format!("/v1/connections/ended{query}"));
        assert_eq!(told.status, 200, "{}", told.body);
        let rows = told.json()["ended"].as_array().unwrap().clone();
        rows.iter().map(|row| row["client_id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    for number in 0..5 {
        let (mut client, id) =
            measured(&server, &format!("u{number}"), &format!("&client_id=c{number}"), "fanfare.v1.json");
        client.socket.close(None).unwrap();
        client.end();
        eventually("it is listed", || (listed("")[..].first() == Some(&id)).then_some(()));
    }
    assert_eq!(listed(""), ["c4", "c3", "c2"]);
    assert_eq!(listed("?limit=1"), ["c4"]);
    assert_eq!(listed("?user=u3"), ["c3"]);
    assert_eq!(listed("?client=c2"), ["c2"]);
    let row = &get(&server, "/v1/connections/ended?client=c2").json()["ended"][0];
    let code = row["code"].as_u64().unwrap();
    assert_eq!(row["reason"], "the client closed it");
    assert_eq!(listed(&format!("?code={code}")).len(), 3);
    assert!(listed("?code=4007").is_empty() && listed("?user=u0").is_empty());
    assert_eq!(get(&server, "/v1/connections/ended?code=7").status, 400);
    assert_eq!(get(&server, "/v1/connections/c0/health").status, 404, "it is forgotten");
    assert_eq!(request(&server, "GET", "/v1/connections/ended", &[], "").status, 401);
    assert_eq!(request(&server, "GET", "/v1/connections/c4/health", &[], "").status, 401);
    assert_eq!(server.metric("fanfare_ended_connections") as u64, 3);
}

#[test]
fn connections_can_be_listed_by_their_state() {
    let server = Server::start(Options { shards: 2, ..Options::default() });
    let _waits = Client::connect(&server, "/v1/ws", &[]).unwrap();
    let mut slow = Client::join_server(&server, "slow", "admin");
    let count = |state: &str| {
        let told = get(&server, &format!("/v1/connections?state={state}")).json();
        told["connections"].as_array().map(Vec::len)
    };
    eventually("one without a token", || (count("connecting") == Some(1)).then_some(()));
    assert_eq!(count("connected"), Some(1));
    // It reads nothing while more is sent to it than the kernel takes.
    let mut sender = Client::join_server(&server, "sender", "admin");
    slow.join("a:1");
    let text = "x".repeat(60_000);
    for _ in 0..40 {
        sender.publish("a:1", json!(text));
    }
    eventually("one that reads too slowly", || {
        sender.publish("a:1", json!(text));
        let gone = get(&server, "/v1/connections/ended?user=slow&code=4008").json();
        (count("slow") == Some(1) || gone["ended"] != json!([])).then_some(())
    });
    assert_eq!(get(&server, "/v1/connections?state=happy").status, 400);
}

#[test]
fn a_slow_connection_is_written_down_once_until_it_is_quick_again() {
    let folder = Folder::new();
    let path = folder.0.join("audit.jsonl");
    let config = format!(
        "[audit]\npath = \"{}\"\n[heartbeat]\ninterval = \"600ms\"\ngrace = \"10s\"\nslow = \"400ms\"\n",
        path.display()
    );
    let server = Server::with(&config);
    let (mut ada, _) = measured(&server, "ada", "", "fanfare.v1.json");
    for is_slow in [true, true, false, true] {
        let ping = ada.until("heartbeat_ping");
        if is_slow {
            std::thread::sleep(std::time::Duration::from_millis(450));
        }
        ada.send(&json!({"type": "heartbeat_pong", "sequence_number": ping["sequence_number"]}));
        ada.until("connection_health");
    }
    drop(ada);
    let lines = || {
        let text = std::fs::read_to_string(&path).unwrap();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect::<Vec<Value>>()
    };
    eventually("the end is written", || lines().iter().any(|line| line["event"] == "close").then_some(()));
    let slow: Vec<Value> = lines().into_iter().filter(|line| line["event"] == "slow").collect();
    assert_eq!(slow.len(), 2, "{slow:?}");
    for line in &slow {
        assert!(line["duration_ms"].as_u64().unwrap() >= 400 && line.get("room").is_none(), "{line}");
    }
}
