//! The audit log of the real binary: every event with its fields, files that follow one another, a disk that is full, and the two commands.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::support::{
    Client, Ended, Folder, Options, Raw, Server, eventually, request, signed, small_disk, token,
};

const SECRET: &str = "an audit secret of more than 32 bytes";

fn config(folder: &Path, more: &str) -> String {
    std::fs::write(folder.join("audit.key"), "a key for checkpoints, of more than 32 bytes\n").unwrap();
    format!(
        r#"
[audit]
path = "{}"
key_file = "{}"
{more}
[auth]
allowed_origins = ["https://app.example"]
[[auth.key]]
algorithm = "HS256"
secret = "{SECRET}"
[[room_type]]
name = "staff"
join = ["admin"]
publish = ["admin"]
"#,
        folder.join("audit.jsonl").display(),
        folder.join("audit.key").display()
    )
}

/// All lines so far.
fn lines(folder: &Path) -> Vec<Value> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    files.sort_by_key(|path| {
        let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
        stem.rsplit_once('.').map_or(u64::MAX, |(_, number)| number.parse().unwrap())
    });
    let text: String = files.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn tool(args: &[&str], folder: &Path) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fanfare"));
    let output = command.args(args).arg(folder.join("audit.jsonl")).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

fn verify(folder: &Path, more: &[&str]) -> (i32, String) {
    let key = folder.join("audit.key");
    let args = [&["verify-audit", "--key-file", key.to_str().unwrap()], more].concat();
    let (code, text, error) = tool(&args, folder);
    (code, text + &error)
}

fn api(server: &Server, method: &str, path: &str, user: &str, role: &str, body: &str) -> u16 {
    let bearer = format!("Bearer {}", signed(SECRET, user, role, json!({})));
    let headers =
        [("authorization", &*bearer), ("content-type", "application/json"), ("user-agent", "ops/1")];
    request(server, method, path, &headers, body).status
}

fn connect(server: &Server, user: &str, role: &str) -> Client {
    let token = signed(SECRET, user, role, json!({"jti": "abc"}));
    let bearer = format!("Bearer {token}");
    let agent = format!("app/1 \"quoted\" {}", "x".repeat(300));
    let headers = [("authorization", &*bearer), ("origin", "https://app.example"), ("user-agent", &*agent)];
    Client::welcomed(server, &format!("/v1/ws?client_id={user}-phone&metadata=%7B%7D"), &headers)
}

/// The one line of this event that also has these fields.
fn one<'l>(lines: &'l [Value], event: &str, with: &Value) -> &'l Value {
    let fits = |line: &&Value| {
        line["event"] == event && with.as_object().unwrap().iter().all(|(name, value)| line[name] == *value)
    };
    let found: Vec<&Value> = lines.iter().filter(fits).collect();
    assert_eq!(found.len(), 1, "{event} {with}: {found:#?} of {lines:#?}");
    found[0]
}

/// Does everything that is told of, and ends the server.
fn live(server: &mut Server) {
    let mut ada = connect(server, "ada", "user");
    ada.join("chat:1");
    assert_eq!(ada.ask(json!({"type": "join", "room": "staff:1"}))["code"], 4013);
    let publish = json!({"type": "publish", "room": "staff:1", "event": "say", "data": 1});
    assert_eq!(ada.ask(publish)["code"], 4013);
    ada.publish("chat:1", json!("twelve"));
    assert_eq!(ada.ask(json!({"type": "history", "room": "chat:1"}))["type"], "history");
    assert_eq!(ada.ask(json!({"type": "history", "room": "staff:1"}))["code"], 4013);
    let newer = signed(SECRET, "ada", "user", json!({}));
    assert_eq!(ada.ask(json!({"type": "refresh", "token": newer}))["type"], "ok");
    assert_eq!(ada.ask(json!({"type": "refresh", "token": "bad"}))["code"], 4001);
    (0..3).for_each(|_| assert_eq!(ada.ask(json!({"type": "dance"}))["code"], 4005));
    assert_eq!(ada.ask(json!({"type": "leave", "room": "chat:1"}))["type"], "left");
    assert_eq!(api(server, "DELETE", "/v1/connections/ada-phone?x=1", "root", "admin", ""), 200);
    ada.end();

    let mut ben = Client::connect(server, "/v1/ws", &[]).unwrap();
    ben.send(&json!({"type": "auth", "token": signed(SECRET, "ben", "user", json!({}))}));
    ben.expect("welcome");
    let limited = eventually("too much", || {
        let answer = ben.ask(json!({"type": "heartbeat"}));
        (answer["code"] == 4004).then_some(answer)
    });
    assert_eq!(limited["type"], "error");
    let mut bad = Client::connect(server, "/v1/ws", &[]).unwrap();
    bad.send(&json!({"type": "auth", "token": "bad"}));
    assert_eq!(bad.end().1, Ended::Code(4001));
    assert_eq!(Client::connect(server, "/v1/ws?token=bad", &[]).unwrap().end().1, Ended::Code(4001));
    assert_eq!(Client::connect(server, "/v1/ws", &[("origin", "https://evil.example")]).err(), Some(403));
    let mut raw = Raw::connect(server).upgraded(&signed(SECRET, "raw", "user", json!({})), "");
    raw.send_frame(0x83, b"an opcode that nobody knows");
    assert_eq!(raw.end(), Ended::Code(1002));

    assert_eq!(api(server, "GET", "/v1/rooms", "eve", "user", ""), 403);
    assert_eq!(request(server, "GET", "/v1/rooms", &[], "").status, 401);
    assert_eq!(api(server, "GET", "/v1/rooms/chat:1/history?limit=1", "root", "admin", ""), 200);
    assert_eq!(api(server, "DELETE", "/v1/users/ada/dead_letters", "root", "admin", ""), 200);
    let narrow = signed(SECRET, "svc", "service", json!({"rooms": ["chat:*"]}));
    let bearer = format!("Bearer {narrow}");
    let body = r#"{"room":"staff:9","event":"say","data":1}"#;
    let headers = [("authorization", &*bearer), ("content-type", "application/json")];
    assert_eq!(request(server, "POST", "/v1/publish", &headers, body).status, 403);
    let poll = "/v1/rooms/staff:9/polls/p";
    assert_eq!(request(server, "DELETE", poll, &headers[..1], "").status, 403);
    server.signal("TERM");
    assert_eq!(ben.end().1, Ended::Code(1012));
    assert!(server.ended().success());
}

#[test]
fn every_event_has_its_line() {
    for (shards, driver) in [(1, "epoll"), (4, "uring")] {
        let folder = Folder::new();
        let config = config(&folder.0, "publishes = true");
        let mut server = Server::start(Options { config, shards, driver, ..Options::default() });
        live(&mut server);
        let (code, text) = verify(&folder.0, &[]);
        assert!(code == 0 && text.contains("the log is whole"), "{text}");
        let lines = lines(&folder.0);
        let handshake = one(&lines, "handshake", &json!({"origin": "https://app.example"}));
        assert_eq!(handshake["remote_ip"], "127.0.0.1");
        assert_eq!((&handshake["path"], &handshake["outcome"]), (&json!("/v1/ws"), &json!("ok")));
        assert_eq!(handshake["user_agent"].as_str().unwrap().len(), 128);
        assert!(handshake["user_agent"].as_str().unwrap().starts_with("app/1 \"quoted\" xx"));
        let jti = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(handshake["jti_sha256"], jti);
        // All that happened to this connection has its id, and who it was.
        let connection = handshake["connection"].clone();
        let who =
            json!({"connection": connection, "user_id": "ada", "role": "user", "client_id": "ada-phone"});
        let with = |more: Value| {
            let mut all = who.clone();
            all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            all
        };
        one(&lines, "connect", &with(json!({"outcome": "ok"})));
        one(&lines, "join", &with(json!({"room": "chat:1"})));
        let denied = json!({"room": "staff:1", "outcome": "denied", "code": 4013});
        for event in ["join_denied", "publish_denied", "history_denied"] {
            let line = one(&lines, event, &with(denied.clone()));
            assert!(line["reason"].as_str().unwrap().contains("the token does not allow"), "{line}");
        }
        one(&lines, "history", &with(json!({"room": "chat:1"})));
        one(&lines, "leave", &with(json!({"room": "chat:1"})));
        one(&lines, "refresh", &with(json!({})));
        one(&lines, "auth", &json!({"connection": connection, "user_id": "ada"}));
        let close = one(&lines, "close", &with(json!({"reason": "an operator ended this connection"})));
        assert!(close["duration_ms"].as_u64().unwrap() < 60_000, "{close}");
        let publish =
            one(&lines, "publish", &json!({"user_id": "ada", "room": "chat:1", "offset": 1, "bytes": 8}));
        assert!(publish["epoch"].is_string() && publish["message_id"].is_string(), "{publish}");
        one(&lines, "malformed", &json!({"user_id": "ada", "code": 4005, "count": 3}));
        one(&lines, "refresh_denied", &json!({"user_id": "ada", "code": 4001, "count": 1}));
        one(&lines, "rate_limited", &json!({"user_id": "ben", "code": 4004, "count": 1}));
        one(&lines, "auth", &json!({"user_id": "ben"}));
        one(&lines, "auth_failed", &json!({"code": 4001, "outcome": "denied"}));
        let refused = one(&lines, "connect_denied", &json!({"code": 4001, "path": "/v1/ws"}));
        assert!(refused["reason"].as_str().unwrap().contains("JWT"), "{refused}");
        one(&lines, "origin_denied", &json!({"origin": "https://evil.example", "remote_ip": "127.0.0.1"}));
        one(&lines, "protocol_violation", &json!({"user_id": "raw", "code": 1002}));
        one(&lines, "close", &json!({"user_id": "raw", "code": 1002, "outcome": "failed"}));
        let root = json!({"actor": "root", "user_agent": "ops/1", "outcome": "ok", "code": 200});
        let disconnect = one(&lines, "disconnect", &root);
        assert_eq!(
            (&disconnect["path"], &disconnect["client_id"]),
            (&json!("/v1/connections/ada-phone"), &json!("ada-phone"))
        );
        let letters = one(&lines, "admin", &root);
        assert_eq!((&letters["method"], &letters["user_id"]), (&json!("DELETE"), &json!("ada")));
        one(&lines, "history", &json!({"actor": "root", "room": "chat:1", "method": "GET"}));
        one(&lines, "api_denied", &json!({"actor": "eve", "code": 403, "path": "/v1/rooms"}));
        one(&lines, "api_denied", &json!({"actor": null, "code": 401}));
        one(&lines, "publish_denied", &json!({"actor": "svc", "room": "staff:9", "count": 1}));
        one(
            &lines,
            "call_denied",
            &json!({"actor": "svc", "code": 403, "path": "/v1/rooms/staff:9/polls/p"}),
        );
        let start = one(&lines, "start", &json!({"version": env!("CARGO_PKG_VERSION")}));
        assert_eq!(start["config_sha256"].as_str().unwrap().len(), 64);
        one(&lines, "drain", &json!({"reason": "SIGTERM"}));
        one(&lines, "stop", &json!({}));
        assert_eq!(lines.last().unwrap()["event"], "checkpoint");
        for (at, line) in (1..).zip(&lines) {
            assert_eq!(line["seq"], at);
            assert!(line["ts"].as_str().unwrap().ends_with('Z') && line["node"].is_string(), "{line}");
        }
        let whole = server.log() + &std::fs::read_to_string(folder.0.join("audit.jsonl")).unwrap();
        for never in ["twelve", "dance", SECRET, "limit=1", "x=1", "metadata"] {
            assert!(!whole.contains(never), "{never}");
        }
        let (code, text, _) = tool(&["audit", "--user", "ada", "--room", "chat:1"], &folder.0);
        let events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let events: Vec<&str> = events.iter().map(|line| line["event"].as_str().unwrap()).collect();
        let mut counts = BTreeMap::new();
        events.iter().for_each(|event| *counts.entry(*event).or_insert(0) += 1);
        assert_eq!((code, counts), (0, [("history", 1), ("join", 1), ("leave", 1), ("publish", 1)].into()));
    }
}

#[test]
fn files_follow_one_another_over_restarts_and_a_kill() {
    let folder = Folder::new();
    let config = config(&folder.0, "rotate_size = \"64KiB\"");
    let options = Options { config, ..Options::default() };
    let mut server = Server::start(options.clone());
    let paths = || std::fs::read_dir(&folder.0).unwrap().count();
    eventually("three full files", || {
        assert_eq!(api(&server, "GET", "/v1/connections", "root", "admin", ""), 200);
        (paths() == 5).then_some(())
    });
    assert_eq!(verify(&folder.0, &["--running"]).0, 0);
    let (code, text) = verify(&folder.0, &[]);
    assert!(code == 1 && text.contains("ends without a stop"), "{text}");
    server.signal("KILL");
    server.ended();
    // Died in the middle of a line.
    let file = folder.0.join("audit.jsonl");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes.extend_from_slice(b"{\"ts\":\"2026");
    std::fs::write(&file, bytes).unwrap();
    let mut server = Server::start(options);
    server.signal("TERM");
    server.ended();
    let (code, text) = verify(&folder.0, &[]);
    assert!(code == 3 && text.contains("ended without a stop") && text.contains("whole"), "{text}");
    one(&lines(&folder.0), "start", &json!({"cut_bytes": 11}));
    for entry in std::fs::read_dir(&folder.0).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "jsonl") {
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{}", path.display());
        }
    }
    let second = folder.0.join("audit.2.jsonl");
    let text = std::fs::read_to_string(&second).unwrap();
    std::fs::write(&second, text.replacen("\"root\"", "\"ruth\"", 1)).unwrap();
    let (code, found) = verify(&folder.0, &[]);
    assert!(code == 1 && found.contains("audit.2.jsonl, line 2: this line was edited"), "{found}");
    std::fs::write(&second, text).unwrap();
    let other = folder.0.join("other.key");
    std::fs::write(&other, "another key for checkpoints, of more than 32 bytes").unwrap();
    let (code, _, found) = tool(&["verify-audit", "--key-file", other.to_str().unwrap()], &folder.0);
    assert!(code == 1 && found.contains("was not signed with the key"), "{found}");
}

/// Lines until the disk takes no more, whatever was on it.
fn fill(server: &Server, folder: &Path) -> PathBuf {
    // The server's view of the file system, from outside.
    let filler = PathBuf::from(format!("/proc/{}/root{}/filler", server.pid(), folder.display()));
    let _ = std::io::copy(&mut std::io::repeat(0), &mut std::fs::File::create(&filler).unwrap());
    eventually("the disk takes no lines", || {
        api(server, "GET", "/v1/connections", "root", "admin", "");
        (server.metric("fanfare_audit_healthy") == 0.0).then_some(())
    });
    filler
}

/// The log, copied out of the server's file system.
fn copy(server: &Server, folder: &Path) -> Folder {
    let own = Folder::new();
    let seen = format!("/proc/{}/root{}/audit.jsonl", server.pid(), folder.display());
    std::fs::copy(seen, own.0.join("audit.jsonl")).unwrap();
    own
}

fn on_small_disk(folder: &Path, keys: &Path, more: &str) -> Option<Server> {
    let before = small_disk(folder, "1m")?;
    let config = config(keys, more).replacen(
        &*keys.join("audit.jsonl").to_string_lossy(),
        &folder.join("audit.jsonl").to_string_lossy(),
        1,
    );
    Some(Server::start(Options { config, before: Some(before), ..Options::default() }))
}

#[test]
fn while_the_disk_is_full_lines_are_counted_and_all_goes_on() {
    let (folder, keys) = (Folder::new(), Folder::new());
    let Some(server) = on_small_disk(&folder.0, &keys.0, "queue = 16") else { return };
    let mut ada = connect(&server, "ada", "user");
    let filler = fill(&server, &folder.0);
    eventually("lines are missing", || {
        assert_eq!(api(&server, "GET", "/v1/connections", "root", "admin", ""), 200);
        (server.metric("fanfare_audit_dropped_total") > 20.0).then_some(())
    });
    assert!(
        server.log().contains("the audit log cannot be written") && server.log().contains("queue is full")
    );
    assert!(request(&server, "GET", "/healthz", &[], "").body.contains("\"audit\":\"failing"));
    assert!(
        server.metric("fanfare_audit_last_error") == 1.0 && server.metric("fanfare_audit_waiting") == 16.0
    );
    connect(&server, "ben", "user").publish("chat:1", json!(1));
    ada.publish("chat:1", json!(1));
    std::fs::remove_file(&filler).unwrap();
    eventually("it is well again", || (server.metric("fanfare_audit_healthy") == 1.0).then_some(()));
    let gap = eventually("the gap is told", || {
        let lines = lines(&copy(&server, &folder.0).0);
        lines.into_iter().find(|line| line["event"] == "log_gap")
    });
    assert_eq!(gap["missing"].as_f64().unwrap(), server.metric("fanfare_audit_dropped_total"));
    let own = copy(&server, &folder.0);
    std::fs::copy(keys.0.join("audit.key"), own.0.join("audit.key")).unwrap();
    let (code, text) = verify(&own.0, &["--running"]);
    assert!(code == 0, "{text}");
}

#[test]
fn while_the_disk_is_full_nobody_new_may_come_in_if_so_wished() {
    let (folder, keys) = (Folder::new(), Folder::new());
    let Some(server) = on_small_disk(&folder.0, &keys.0, "on_full = \"refuse\"") else { return };
    let mut ada = connect(&server, "ada", "user");
    for _ in 0..2 {
        let filler = fill(&server, &folder.0);
        let path = format!("/v1/ws?token={}", signed(SECRET, "ben", "user", json!({})));
        assert_eq!(Client::connect(&server, &path, &[]).unwrap().end().1, Ended::Code(4006));
        assert_eq!(api(&server, "GET", "/v1/connections", "root", "admin", ""), 503);
        // Who has to help may.
        assert_eq!(api(&server, "PUT", "/v1/admin/bans/users/eve", "root", "admin", ""), 200);
        eventually("it is told elsewhere", || server.log().contains("access.ban").then_some(()));
        // Who is here stays, and is served.
        ada.publish("chat:1", json!(1));
        std::fs::remove_file(&filler).unwrap();
        eventually("it is well again", || (server.metric("fanfare_audit_healthy") == 1.0).then_some(()));
        connect(&server, "ben", "user").publish("chat:1", json!(1));
    }
    assert_eq!(server.metric("fanfare_audit_dropped_total"), 0.0);
    eventually("the first denial", || {
        let lines = lines(&copy(&server, &folder.0).0);
        let denied = |line: &&Value| line["event"] == "connect_denied" && line["code"] == 4006;
        // The second one of the same minute is only counted.
        (lines.iter().filter(denied).count() == 1).then_some(())
    });
}

#[test]
fn a_log_that_cannot_be_continued_or_is_in_use_stops_the_start() {
    let folder = Folder::new();
    let config = config(&folder.0, "");
    let path = folder.0.join("fanfare.toml");
    std::fs::write(&path, &config).unwrap();
    let server = Server::start(Options { config, ..Options::default() });
    let start = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fanfare"));
        let output =
            command.args(["serve", "--listen", "127.0.0.1:0", "--config"]).arg(&path).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, text) = start();
    assert!(code == 2 && text.contains("another process writes it"), "{text}");
    drop(server);
    std::fs::write(folder.0.join("audit.jsonl"), "something else\n").unwrap();
    let (code, text) = start();
    assert!(code == 2 && text.contains("audit.jsonl: its last line cannot be read"), "{text}");
    // Without the file all goes to the log, as ever.
    let server = Server::start(Options::default());
    Client::join_server(&server, "ada", "user");
    let line = eventually("a line", || {
        server.log().lines().find(|line| line.contains("action=\"connect\"")).map(str::to_owned)
    });
    assert!(line.contains("audit") && line.contains("ada"), "{line}");
    let bearer = format!("Bearer {}", token("root", "admin", json!({})));
    request(&server, "DELETE", "/v1/connections/nobody", &[("authorization", &bearer)], "");
    eventually("who called", || server.log().contains("by=\"root\"").then_some(()));
}
