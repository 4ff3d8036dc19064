//! What the audit log is worth where somebody wants to spoil it: filled by who has no token, and changed while no process runs.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Client, Folder, Options, Raw, Server, eventually, request, token};

fn config(folder: &Path) -> String {
    std::fs::write(folder.join("audit.key"), "a key for checkpoints, of more than 32 bytes\n").unwrap();
    let (path, key) = (folder.join("audit.jsonl"), folder.join("audit.key"));
    format!("[audit]\npath = \"{}\"\nkey_file = \"{}\"\n", path.display(), key.display())
}

fn start(folder: &Path) -> Server {
    Server::start(Options { config: config(folder), ..Options::default() })
}

fn text(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("audit.jsonl")).unwrap()
}

fn of(folder: &Path, event: &str) -> Vec<Value> {
    let lines = text(folder);
    let lines = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["event"] == event).collect()
}

fn verify(folder: &Path) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fanfare"));
    command.args(["verify-audit", "--key-file"]).arg(folder.join("audit.key"));
    let output = command.arg(folder.join("audit.jsonl")).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(text).unwrap())
}

fn list_rooms(server: &Server) {
    let bearer = format!("Bearer {}", token("root", "admin", json!({})));
    assert_eq!(request(server, "GET", "/v1/rooms", &[("authorization", &bearer)], "").status, 200);
}

/// The log as it is once its latest line is signed.
fn signed(folder: &Path) -> String {
    eventually("the last line is signed", || {
        let text = text(folder);
        text.lines().last()?.contains("\"hmac_sha256\"").then_some(text)
    })
}

#[test]
fn who_has_no_token_causes_a_few_lines_however_often_they_ask() {
    let folder = Folder::new();
    let mut server = start(&folder.0);
    let mut raw = Raw::connect(&server);
    for _ in 0..500 {
        let path = "p".repeat(200);
        raw.send(format!("HEAD /v1/{path} HTTP/1.1\r\nHost: {}\r\n\r\n", server.address).as_bytes());
        assert_eq!(raw.head().status, 401);
    }
    for _ in 0..20 {
        assert_eq!(Client::connect(&server, "/echo", &[]).err(), Some(404));
        Client::connect(&server, "/v1/ws?token=bad", &[]).unwrap().end();
    }
    server.signal("TERM");
    assert!(server.ended().success());
    for (event, further) in [("api_denied", 499), ("connect_denied", 38)] {
        let lines = of(&folder.0, event);
        let firsts = lines.iter().filter(|line| line.get("count").is_none()).count();
        let counted: u64 = lines.iter().filter_map(|line| line["count"].as_u64()).sum();
        assert_eq!((firsts, counted), (if further == 499 { 1 } else { 2 }, further), "{lines:#?}");
        assert!(lines.iter().all(|line| line["remote_ip"] == "127.0.0.1" && line["reason"].is_string()));
    }
    assert_eq!(verify(&folder.0).0, 0);
}

#[test]
fn what_nobody_had_signed_when_a_process_died_is_told_for_ever() {
    let folder = Folder::new();
    let file = folder.0.join("audit.jsonl");
    let mut server = start(&folder.0);
    list_rooms(&server);
    let before = signed(&folder.0);
    server.signal("KILL");
    server.ended();
    // Somebody adds what never happened, as well as it can be done without the key.
    let last = before.lines().last().unwrap();
    let seq = serde_json::from_str::<Value>(last).unwrap()["seq"].as_u64().unwrap() + 1;
    let hash = {
        let mut sum = Command::new("sh");
        sum.arg("-c").arg(format!("tail -n 1 {} | tr -d '\\n' | sha256sum | cut -c 1-64", file.display()));
        String::from_utf8(sum.output().unwrap().stdout).unwrap().trim().to_owned()
    };
    let forged = json!({"ts": "2026-11-21T17:20:16.045765Z", "seq": seq, "prev_hash": hash, "event": "read", "outcome": "ok"});
    std::fs::write(&file, format!("{before}{forged}\n")).unwrap();
    let mut server = start(&folder.0);
    let told = of(&folder.0, "recovered_unsigned");
    assert_eq!((&told[0]["first_seq"], &told[0]["last_seq"]), (&json!(seq), &json!(seq)), "{told:#?}");
    assert!(server.log().contains("nobody had signed"));
    server.signal("TERM");
    server.ended();
    let (code, text) = verify(&folder.0);
    assert_eq!(code, 3, "{text}");
    assert!(text.contains(&format!("seq {seq} to {seq}")) && text.contains("warning: "), "{text}");
    assert!(!text.contains("the log is whole\n"), "{text}");
}

#[test]
fn what_is_written_is_signed_within_seconds() {
    let folder = Folder::new();
    let mut server = start(&folder.0);
    let first = signed(&folder.0);
    list_rooms(&server);
    eventually("a line more", || (text(&folder.0).len() > first.len()).then_some(()));
    signed(&folder.0);
    server.signal("KILL");
    server.ended();
    // All that was there is signed: nothing to tell of but that the process died.
    let mut server = start(&folder.0);
    assert!(of(&folder.0, "recovered_unsigned").is_empty());
    server.signal("TERM");
    server.ended();
    let (code, text) = verify(&folder.0);
    assert!(code == 3 && text.contains("lines before it may be missing"), "{text}");
}
