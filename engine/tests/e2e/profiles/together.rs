//! Several profiles on one port.

use std::process::Command;

use serde_json::json;

use crate::support::{Client, Folder, Options, Server, request, token};

fn all() -> Server {
    let env = vec![("FANFARE_PROFILES", "all".to_owned())];
    Server::start(Options { env, ..Options::default() })
}

#[test]
fn one_path_is_a_page_and_a_websocket_told_apart_by_the_upgrade() {
    let server = all();
    let health = request(&server, "GET", "/ws/health", &[], "");
    assert_eq!((health.status, &health.json()["status"]), (200, &json!("healthy")), "{health:?}");
    let bearer = format!("Bearer {}", token("ada", "user", json!({})));
    let mut stream = Client::connect(&server, "/ws/health", &[("authorization", &bearer)]).unwrap();
    assert_ne!(stream.receive().unwrap()["type"], "connection", "it is no document's client called `health`");
}

#[test]
fn a_literal_path_comes_before_one_with_a_parameter() {
    let server = all();
    let bearer = format!("Bearer {}", token("ada", "user", json!({})));
    let mut document = Client::connect(&server, "/ws/c-17", &[("authorization", &bearer)]).unwrap();
    let greeting = document.receive().unwrap();
    assert_eq!((&greeting["type"], &greeting["client_id"]), (&json!("connection"), &json!("c-17")));
    let mut chat = Client::connect(&server, "/ws/chat", &[("authorization", &bearer)]).unwrap();
    assert_ne!(chat.receive().unwrap()["type"], "connection");
}

#[test]
fn the_engines_own_wire_stays_where_it_was() {
    let server = all();
    let mut native = Client::join_server(&server, "ada", "user");
    native.join("chat:1");
    assert_eq!(native.publish("chat:1", json!(1)), 1);
}

/// What `fanfare check` says of some tables.
fn check(tables: &[&str]) -> (Option<i32>, String) {
    let folder = Folder::new();
    let files = tables.iter().enumerate().map(|(number, table)| {
        let path = folder.0.join(format!("{number}.toml"));
        std::fs::write(&path, table).unwrap();
        path.display().to_string()
    });
    let files: Vec<String> = files.collect();
    let output =
        Command::new(env!("CARGO_BIN_EXE_fanfare")).args(["check", "--profile", &files.join(",")]).output();
    let output = output.unwrap();
    (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

#[test]
fn what_does_not_go_together_is_told_at_the_start_with_both_names() {
    let table = |name: &str, rest: &str| format!("name = \"{name}\"\n{rest}");
    let path = "[[endpoint]]\npath = \"/live/{id}\"";
    let page = "[[http]]\nmethod = \"GET\"\npath = \"/live\"";
    let size = |burst: u32| format!("[engine.limits]\nburst = {burst}");
    let room = |max: u32| format!("[[engine.room_type]]\nname = \"ride\"\nmax_members = {max}");
    for (one, other, word) in [
        (path.to_owned(), path.replace("{id}", "{name}"), "/live/{id}"),
        (page.to_owned(), page.to_owned(), "/live"),
        (size(5), size(6), "limits.burst"),
        (room(5), room(6), "ride"),
    ] {
        let (code, said) = check(&[&table("bus", &one), &table("tram", &other)]);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains("bus") && said.contains("tram") && said.contains(word), "{said}");
    }
    let (code, said) = check(&[&table("bus", &size(5)), &table("tram", &size(5))]);
    assert_eq!(code, Some(0), "the same is no clash: {said}");
    let (code, said) =
        check(&[&table("bus", "[[endpoint]]\npath = \"/a\"\nclient_id = \"=no_such|filter_at_all\"")]);
    assert_eq!(code, Some(2));
    assert!(said.contains("endpoint[0].client_id") && said.contains("filter_at_all"), "{said}");
}
