//! The inspector: what it holds of what passes through, what it shows to whom, and the live tail.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Answer, Client, Options, Raw, Server, eventually, request, signed, token};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

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
fn a_tail_is_sent_what_comes_on_other_shards_and_nothing_else() {
    for driver in ["uring", "epoll"] {
        let server = Server::start(Options { driver, shards: 4, ..Options::default() });
        let mut early = Client::join_server(&server, "early", "user");
        early.publish("early", json!("before"));
        counted(&server, "messages", 1);
        let mut all = tail(&server, "");
        let mut tails: Vec<Client> =
            (0..4).map(|_| tail(&server, "kind=messages&room=chat:*&type=say&user=u3")).collect();
        let mut errors = tail(&server, "kind=errors");
        let mut clients: Vec<Client> =
            (0..8).map(|n| Client::join_server(&server, &format!("u{n}"), "user")).collect();
        for (n, client) in clients.iter_mut().enumerate() {
            client.publish("other", json!(n));
            client.publish(&format!("chat:{n}"), json!(n));
        }
        for tail in &mut tails {
            let record = tail.receive().unwrap();
            let told = (&record["kind"], &record["room"], &record["user_id"], &record["bytes"]);
            assert_eq!(told, (&json!("message"), &json!("chat:3"), &json!("u3"), &json!(1)), "{record}");
        }
        let (mut connects, mut messages) = (0, 0);
        while (connects, messages) != (8, 16) {
            let record = all.receive().unwrap();
            match (record["kind"].as_str().unwrap(), record["type"].as_str().unwrap()) {
                ("event", "connect") => connects += 1,
                ("message", "say") => messages += 1,
                _ => panic!("{record}"),
            }
            assert_ne!(record["room"], "early", "from before it began");
        }
        clients[0].ask(json!({"type": "nonsense"}));
        assert_eq!(errors.receive().unwrap()["type"], "INVALID_MESSAGE");
        clients[3].publish("chat:9", json!(1));
        for tail in &mut tails {
            assert_eq!(tail.receive().unwrap()["room"], "chat:9", "nothing else came between");
        }
        // What a tail says is of no interest, and does not end it.
        all.send(&json!({"type": "join", "room": "chat:1"}));
        // One says goodbye, the other is lost: neither is of interest.
        errors.socket.close(None).unwrap();
        errors.end();
        drop(tails.pop());
        eventually("their places are free", || {
            (server.metric("fanfare_inspector_tails") == 4.0).then_some(())
        });
        clients[3].publish("chat:9", json!(1));
        while all.receive().unwrap()["room"] != "chat:9" {}
        assert!(records(&server, "events?type=close").is_empty(), "the ends of tails are not shown");
    }
}

#[test]
fn a_tail_follows_also_where_more_passes_between_two_ticks_than_is_held() {
    let config = "[limits]\ncommands_per_minute = 0\n[inspector]\nmessages = 100\n".to_owned();
    let server = Server::start(Options { shards: 4, config, ..Options::default() });
    let tails: Vec<_> = (0..4)
        .map(|_| {
            let mut tail = tail(&server, "kind=messages");
            std::thread::spawn(move || {
                let (mut seen, mut skipped) = (0, 0);
                while seen + skipped < 2_000 {
                    let record = tail.receive().unwrap();
                    match record["kind"].as_str().unwrap() {
                        "skipped" => skipped += record["count"].as_u64().unwrap(),
                        _ => seen += 1,
                    }
                }
                seen
            })
        })
        .collect();
    let mut client = Client::join_server(&server, "ada", "user");
    for n in 0..2_000 {
        client.publish("chat:1", json!(n));
    }
    // With looks at ticks alone it would be 400 for each second that this took.
    let seen: Vec<u64> = tails.into_iter().map(|tail| tail.join().unwrap()).collect();
    assert!(seen.iter().all(|seen| *seen >= 1_400), "{seen:?}");
}

#[test]
fn a_tail_that_does_not_read_skips_and_is_told() {
    let config =
        "[limits]\ncommands_per_minute = 0\n[inspector]\npayloads = true\nmessages = 50\n".to_owned();
    let server = Server::start(Options { config, ..Options::default() });
    let mut lazy = tail(&server, "kind=messages");
    let mut client = Client::join_server(&server, "ada", "user");
    let text = "x".repeat(3_000);
    let mut published = 0;
    eventually("it is behind", || {
        (0..500).for_each(|_| published = client.publish("chat:1", json!(text)));
        // Blocked, and by more than what is held.
        (server.metric("fanfare_backlogs") >= 1.0).then_some(())
    });
    (0..200).for_each(|_| published = client.publish("chat:1", json!(text)));
    let (mut seen, mut skipped, mut last) = (0, 0, 0);
    while last < published {
        let record = lazy.receive().unwrap();
        if record["kind"] == "skipped" {
            skipped += record["count"].as_u64().unwrap();
            continue;
        }
        seen += 1;
        last = record["offset"].as_u64().unwrap();
        assert_eq!(last, seen + skipped, "what is missing was told before");
    }
    assert!(skipped > 0 && seen + skipped == published, "{seen} {skipped} {published}");
    assert_eq!(server.metric("fanfare_inspector_skipped_total"), skipped as f64);
}

#[test]
fn only_who_may_use_the_api_sees_anything() {
    let server = Server::with(&format!(
        "[inspector]\nenabled = true\n[[auth.key]]\nalgorithm = \"HS256\"\nsecret = \"{SECRET}\"\n"
    ));
    let status = |path: &str, token: &str| {
        let bearer = format!("Bearer {token}");
        let http =
            request(&server, "GET", &format!("/v1/inspector{path}"), &[("authorization", &bearer)], "")
                .status;
        let path = format!("/v1/inspector/tail?token={token}");
        (http, Client::connect(&server, &path, &[]).map(drop))
    };
    let (user, admin) = (signed(SECRET, "ada", "user", json!({})), signed(SECRET, "ada", "admin", json!({})));
    let foreign = token("root", "admin", json!({}));
    for path in ["", "/messages", "/events", "/errors", "/rooms", "/rooms/a", "/export"] {
        assert_eq!(status(path, &foreign), (401, Err(401)), "{path}");
        assert_eq!(status(path, &user), (403, Err(403)), "{path}");
    }
    assert_eq!(status("/messages", &admin), (200, Ok(())));
    assert_eq!(request(&server, "GET", "/v1/inspector", &[], "").status, 401);
    assert_eq!(Client::connect(&server, "/v1/inspector/tail", &[]).map(drop), Err(401));
    let path = format!("/v1/inspector/tail?token={admin}");
    let origin = Client::connect(&server, &path, &[("origin", "https://evil.example")]).map(drop);
    assert_eq!(origin, Err(403));
    let posted = request(
        &server,
        "POST",
        "/v1/inspector/export",
        &[("authorization", &format!("Bearer {admin}"))],
        "",
    );
    assert_eq!((posted.status, posted.head.contains("allow: get")), (405, true));
}

#[test]
fn bad_filters_are_named() {
    let server = Server::start(Options::default());
    for (path, field) in [
        ("messages?rom=MARKER", "rom"),
        ("messages?client=MARKER", "client"),
        ("messages?limit=0", "limit"),
        ("events?code=MARKER", "code"),
        ("events?since=MARKER", "since"),
        ("errors?user=", "user"),
        ("errors?room=a&room=MARKER", "room"),
        ("rooms?room=MARKER", "room"),
        ("export?limit=5", "limit"),
    ] {
        let answer = get(&server, &format!("/v1/inspector/{path}"));
        let error = answer.json();
        assert_eq!((answer.status, &error["code"]), (400, &json!(4005)), "{path}: {error}");
        assert_eq!(error["details"]["field"], field, "{error}");
        assert!(
            error["message"].as_str().unwrap().contains(field) && !answer.body.contains("MARKER"),
            "{error}"
        );
    }
    for query in ["kind=colours", "since=1", "room="] {
        let path = format!("/v1/inspector/tail?{query}");
        assert_eq!(
            Client::connect(&server, &path, &[("authorization", &bearer())]).map(drop),
            Err(400),
            "{query}"
        );
    }
    assert_eq!(get(&server, "/v1/inspector/colours").status, 404);
    assert_eq!(get(&server, "/v1/inspector/messages/1").status, 404);
    assert_eq!(get(&server, "/v1/inspector/tail").status, 400, "no upgrade was asked for");
}

#[test]
fn there_are_so_many_tails_and_no_more() {
    let server = Server::start(Options::default());
    let mut tails: Vec<Client> = (0..16).map(|_| tail(&server, "")).collect();
    let one_more = || Client::connect(&server, "/v1/inspector/tail", &[("authorization", &bearer())]);
    assert_eq!(one_more().map(drop), Err(503));
    tails.pop();
    eventually("a place", || one_more().ok());
}

#[test]
fn a_tail_lives_without_saying_anything() {
    let config = "[heartbeat]\ninterval = \"100ms\"\nidle = \"1s\"\n".to_owned();
    let server = Server::start(Options { config, ..Options::default() });
    let mut tail = tail(&server, "kind=errors");
    // Reading answers the pings. Without them the connection would end after `idle`.
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(3) {
        let ping = tail.socket.read().unwrap();
        assert!(matches!(ping, tungstenite::Message::Ping(_)), "{ping:?}");
    }
    Client::connect(&server, "/v1/ws?token=bad", &[]).unwrap().end();
    assert_eq!(tail.receive().unwrap()["type"], "AUTHENTICATION_FAILED");
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

#[test]
fn the_command_prints_one_line_for_each_record() {
    let server = with("payloads = true\n");
    let url = format!("http://{}", server.address);
    let fanfare = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fanfare"));
        command.args(["tail", "--url", &url]).args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    };
    let mut people =
        fanfare(&["--room", "chat:*", "--type", "say", "--kind", "messages,errors"]).spawn().unwrap();
    let mut machines = fanfare(&["--json", "--kind", "messages"]).spawn().unwrap();
    eventually("both watch", || (server.metric("fanfare_inspector_tails") == 2.0).then_some(()));
    let mut client = Client::join_server(&server, "ada", "user");
    client.publish("other:1", json!(0));
    client.publish("chat:1", json!({"x": 1}));
    let lines = |child: &mut std::process::Child| {
        std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap())).map(Result::unwrap)
    };
    let line = lines(&mut people).next().unwrap();
    assert!(
        line.contains("message say              chat:1 #1") && line.contains("user=ada 7 bytes to 0"),
        "{line}"
    );
    assert!(line.ends_with("{\"x\":1}") && !line.contains('\u{1b}'), "{line}");
    let records: Vec<Value> =
        lines(&mut machines).take(2).map(|line| serde_json::from_str(&line).unwrap()).collect();
    assert_eq!((&records[0]["room"], &records[1]["data"]), (&json!("other:1"), &json!({"x": 1})));
    for mut child in [people, machines] {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let refused = fanfare(&["--token", "nonsense"]).output().unwrap();
    assert_eq!((refused.status.code(), refused.stdout.len()), (Some(1), 0));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("JWT"), "{refused:?}");
    let nowhere =
        Command::new(env!("CARGO_BIN_EXE_fanfare")).args(["tail", "--url", "https://x"]).output().unwrap();
    assert!(String::from_utf8_lossy(&nowhere.stderr).contains("no TLS"), "{nowhere:?}");
}

#[test]
fn where_it_is_off_there_is_nothing_but_a_hint() {
    let off = with("enabled = false\n");
    let keyed = Server::with(&format!("[[auth.key]]\nalgorithm = \"HS256\"\nsecret = \"{SECRET}\"\n"));
    let admin = signed(SECRET, "root", "admin", json!({}));
    for (server, bearer) in [(&off, bearer()), (&keyed, format!("Bearer {admin}"))] {
        for path in ["", "/messages", "/rooms", "/export"] {
            let answer =
                request(server, "GET", &format!("/v1/inspector{path}"), &[("authorization", &bearer)], "");
            assert_eq!(answer.status, 404);
            assert!(answer.body.contains("FANFARE_INSPECTOR_ENABLED=true"), "{}", answer.body);
        }
        let tail = Client::connect(server, "/v1/inspector/tail", &[("authorization", &bearer)]).map(drop);
        assert_eq!(tail, Err(404));
        assert!(!request(server, "GET", "/metrics", &[], "").body.contains("inspector"));
    }
}
