//! Durable rooms: what was answered survives a kill, and a disk that is full is told and overcome.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::{
    Answer, Client, Folder, Options, Server, deployments, eventually, request, small_disk, token,
};

fn config(folder: &Path) -> String {
    format!(
        r#"
[limits]
commands_per_minute = 0
[[room_type]]
name = "log"
durable = true
history = {{ size = 100000, ttl = "1h" }}
[[room_type]]
name = "task"
durable = true
delivery = "at_least_once"
[inbox]
durable = true
[store]
path = "{}"
"#,
        folder.join("fanfare.redb").display()
    )
}

fn api(server: &Server, method: &str, path: &str, body: &Value) -> Answer {
    let bearer = format!("Bearer {}", token("operator", "admin", json!({})));
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    request(server, method, path, &headers, &body.to_string())
}

fn publish(server: &Server, room: &str, data: Value, message_id: Option<&str>) -> (u16, Value) {
    let body = json!({"room": room, "event": "say", "data": data, "message_id": message_id});
    let answer = api(server, "POST", "/v1/publish", &body);
    (answer.status, serde_json::from_str(&answer.body).unwrap())
}

#[test]
fn what_was_answered_survives_a_kill() {
    for options in deployments() {
        let folder = Folder::new();
        let options = Options { config: config(&folder.0), ..options };
        let server = Server::start(options.clone());
        let mut ben = Client::join_server(&server, "ben", "user");
        ben.join("task:1");
        let mut epoch = Value::Null;
        for number in 1..=20 {
            let (status, placed) = publish(&server, "log:1", json!(number), Some(&format!("id-{number}")));
            assert_eq!((status, &placed["offset"]), (200, &json!(number)), "{placed}");
            epoch = placed["epoch"].clone();
        }
        for number in [1, 2, 3] {
            publish(&server, "task:1", json!(number), None);
            ben.expect("say");
        }
        assert_eq!(ben.ask(json!({"type": "ack", "room": "task:1", "offset": 1}))["type"], "ok");
        drop(ben);
        eventually("ben is gone", || (server.metric("fanfare_connections") == 0.0).then_some(()));
        let letter = json!({"user": "ben", "event": "say", "data": "for ben"});
        assert_eq!(api(&server, "POST", "/v1/publish", &letter).status, 200);
        drop(server);

        // Another number of shards orders the rooms elsewhere.
        let server = Server::start(Options { shards: 5 - options.shards, ..options });
        assert!(server.log().contains("the store is open"), "{}", server.log());
        let (status, placed) = publish(&server, "log:1", json!(7), Some("id-7"));
        assert_eq!((status, &placed["offset"], &placed["epoch"]), (200, &json!(7), &epoch), "a retry");
        let (_, placed) = publish(&server, "log:1", json!(21), None);
        assert_eq!((&placed["offset"], &placed["epoch"]), (&json!(21), &epoch), "the count goes on");
        let mut ben = Client::join_server(&server, "ben", "user");
        assert_eq!(ben.expect("say")["data"], "for ben");
        let joined =
            ben.ask(json!({"type": "join", "room": "log:1", "recover": {"epoch": epoch, "offset": 15}}));
        assert_eq!(joined["recovered"], true, "{joined}");
        for number in 16..=21 {
            let message = ben.expect("say");
            assert_eq!((&message["offset"], &message["data"]), (&json!(number), &json!(number)));
        }
        ben.join("task:1");
        assert_eq!(
            [ben.expect("say")["data"].clone(), ben.expect("say")["data"].clone()],
            [json!(2), json!(3)]
        );
        ben.expect_nothing();
    }
}

#[test]
fn a_server_that_is_told_to_end_keeps_everything_and_ends() {
    for options in deployments() {
        let folder = Folder::new();
        let options = Options { config: config(&folder.0), ..options };
        let mut server = Server::start(options.clone());
        let mut ben = Client::join_server(&server, "ben", "user");
        let offset = ben.publish("log:1", json!(1));
        server.signal("TERM");
        assert_eq!(ben.end().1, crate::support::Ended::Code(1012));
        let status = server.ended();
        assert!(status.success(), "{status}");
        let server = Server::start(options);
        assert_eq!(publish(&server, "log:1", json!(2), None).1["offset"], offset + 1);
    }
}

/// The server in a mount namespace of its own, with a small file system for its store.
fn on_small_disk(folder: &Path) -> Option<Server> {
    let mount = small_disk(folder, "12m")?;
    Some(Server::start(Options { config: config(folder), before: Some(mount), ..Options::default() }))
}

#[test]
fn a_full_disk_refuses_what_it_cannot_keep_and_nothing_else_and_is_overcome() {
    let folder = Folder::new();
    let Some(server) = on_small_disk(&folder.0) else { return };
    let mut ben = Client::join_server(&server, "ben", "user");
    ben.join("log:1");
    let epoch = publish(&server, "log:1", json!(1), None).1["epoch"].clone();
    ben.expect("say");
    // The server's view of the file system, from outside.
    let filler = PathBuf::from(format!("/proc/{}/root{}/filler", server.pid(), folder.0.display()));
    for round in 0..3 {
        let _ = std::io::copy(&mut std::io::repeat(0), &mut std::fs::File::create(&filler).unwrap());
        let mut answered = Vec::new();
        let refused = eventually("a refusal", || {
            let (status, answer) = publish(&server, "log:1", json!("x".repeat(30_000)), None);
            if status == 200 {
                answered.push(answer["offset"].clone());
                return None;
            }
            Some((status, answer))
        });
        let message = refused.1["message"].as_str().unwrap();
        assert_eq!((refused.0, &refused.1["code"]), (503, &json!(4006)), "{message}");
        assert!(message.contains("store"), "{message}");
        for offset in answered {
            assert_eq!(ben.expect("say")["offset"], offset);
        }
        // Everything else goes on.
        assert_eq!(publish(&server, "chat:1", json!(1), None).0, 200);
        assert_eq!(ben.ask(json!({"type": "publish", "room": "log:1", "event": "say"}))["code"], 4006);
        assert!(request(&server, "GET", "/healthz", &[], "").body.contains("failing"));
        assert_eq!(server.metric("fanfare_store_healthy"), 0.0);
        std::fs::remove_file(&filler).unwrap();
        let placed = eventually("it is well again", || {
            let (status, placed) = publish(&server, "log:1", json!("after"), None);
            (status == 200).then_some(placed)
        });
        let message = ben.expect("say");
        assert_eq!((&message["offset"], &message["data"]), (&placed["offset"], &json!("after")), "{round}");
        assert_eq!(placed["epoch"], epoch);
    }
    assert_eq!(server.metric("fanfare_store_failures_total"), 3.0);
}

/// A server with this configuration ends at once, and says why.
fn refuses_to_start(config: &Path, why: &str) {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_fanfare"))
        .args(["serve", "--listen", "127.0.0.1:0", "--config"])
        .arg(config)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && text.contains(why), "{text}");
}

#[test]
fn a_file_that_is_no_store_is_refused_with_a_word() {
    let folder = Folder::new();
    std::fs::write(folder.0.join("fanfare.redb"), "something else entirely, and long enough to be read")
        .unwrap();
    let path = folder.0.join("fanfare.toml");
    std::fs::write(&path, config(&folder.0)).unwrap();
    refuses_to_start(&path, "fanfare.redb");
}

#[test]
fn bans_that_cannot_be_read_let_nobody_in() {
    let folder = Folder::new();
    let room = fanfare_protocol::RoomName::restore("demo:1").unwrap();
    let state = |service, bytes: &[u8]| fanfare_core::Write::State {
        room: room.clone(),
        service,
        bytes: Some(bytes.into()),
    };
    let write = |what: fanfare_core::Write| {
        let mut store =
            fanfare_store::Store::open(&folder.0.join("fanfare.redb"), fanfare_store::Check::Pages).unwrap();
        store.apply([&what].into_iter()).unwrap();
    };
    let path = folder.0.join("fanfare.toml");
    std::fs::write(&path, config(&folder.0)).unwrap();
    write(state("poll", b"of another version"));
    drop(Server::start(Options { config: config(&folder.0), ..Options::default() }));
    write(state("access", b"of another version"));
    refuses_to_start(&path, "bans and revocations");
}

#[test]
fn an_operator_can_look_into_the_file() {
    let folder = Folder::new();
    let file = folder.0.join("fanfare.redb");
    let tool = |verb: &str| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_fanfare"));
        let output = command.args(["store", verb]).arg(&file).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
    };
    let (code, _, error) = tool("inspect");
    assert!(code == 1 && error.contains("there is no store"), "{error}");
    let server = Server::start(Options { config: config(&folder.0), ..Options::default() });
    (1..=5).for_each(|number| assert_eq!(publish(&server, "log:1", json!(number), None).0, 200));
    for verb in ["inspect", "verify", "compact"] {
        let (code, _, error) = tool(verb);
        assert!(code == 1 && error.contains("in use"), "{verb}: {error}");
    }
    drop(server);
    let (code, text, _) = tool("inspect");
    assert!(code == 0 && text.contains("log:1") && text.contains("messages      5,"), "{text}");
    let (code, text, _) = tool("verify");
    assert!(code == 0 && text.contains("everything is sound"), "{text}");
    assert_eq!(tool("compact").0, 0);
    // One bit of a message.
    let mut bytes = std::fs::read(&file).unwrap();
    let at = bytes.windows(5).position(|window| window == b"log:1").unwrap();
    bytes[at] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let (code, text, error) = tool("verify");
    assert!(code == 1 && (text.contains("damaged") || text.contains("not everything")), "{text}{error}");
}
