//! Several profiles on one port.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Client, Ended, Folder, Options, Server, api, request, token};

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

/// A user's connection at a path, with the token in the query.
fn at(server: &Server, path: &str, user: &str) -> Client {
    let mut client =
        Client::connect(server, &format!("{path}?token={}", token(user, "user", json!({}))), &[]).unwrap();
    // Who hears its own message at last has been let in.
    client.send(&json!({"type": if path.contains("docs") { "ping" } else { "nonsense" }}));
    client.until(if path.contains("docs") { "pong" } else { "error" });
    client
}

/// The types of what comes until this one, and that.
fn types_until(client: &mut Client, last: &str) -> Vec<String> {
    let mut types = Vec::new();
    while types.last().is_none_or(|of| of != last) {
        let message = client.receive().unwrap();
        types.push(message["type"].as_str().unwrap().to_owned());
    }
    types.retain(|of| !["user_presence", "connection_state", "error"].contains(&&**of));
    types
}

#[test]
fn what_one_application_says_to_a_user_a_role_or_all_reaches_no_client_of_another() {
    let server = all();
    let mut surgery = at(&server, "/api/ws/ws", "2");
    let mut documents = at(&server, "/ws/docs", "2");
    let mut health = at(&server, "/ws/combined", "2");
    let mut readings = at(&server, "/ws/health", "2");
    let said = |path: &str, body: Value| {
        let (status, answer) = api(&server, "POST", path, Some(&body));
        assert_eq!(status, 200, "{answer}");
    };
    let alert = json!({"emergency_id": "e", "emergency_type": "trauma", "priority": "immediate", "description": "d", "patient_name": "John Doe"});
    said("/api/ws/broadcast", json!({"type": "emergency_alert", "target_users": [2], "data": alert}));
    for targets in [json!({"target_user": 2}), json!({"target_roles": ["user"]}), json!({})] {
        let mut body = json!({"title": "the theatre is closed"});
        body.as_object_mut().unwrap().extend(targets.as_object().unwrap().clone());
        said("/api/ws/notify/system", body);
    }
    for target in [json!({"user_id": "2"}), json!({"role": "user"}), json!({"all": true})] {
        let mut data = json!({"type": "medication_reminder", "title": "take your pills"});
        data.as_object_mut().unwrap().extend(target.as_object().unwrap().clone());
        said("/v1/profiles/health/events", json!({"type": "notification", "data": data}));
    }
    let job = json!({"type": "processing_started", "document_id": "d", "job_id": "j", "user_id": "2"});
    said("/v1/profiles/documents/events", job);
    // Of a name that is the application's own to choose.
    said("/api/ws/broadcast", json!({"type": "huddle", "target_users": [2], "data": {}}));
    let heard = types_until(&mut surgery, "huddle");
    let note = "system_notification";
    assert_eq!(heard, ["emergency_alert", note, note, note, "huddle"]);
    documents.send(&json!({"type": "history"}));
    assert_eq!(types_until(&mut documents, "history"), ["processing_started", "history"]);
    documents.send(&json!({"type": "history"}));
    assert_eq!(documents.until("history")["events"].as_array().unwrap().len(), 1, "nobody else's are told");
    for (client, heard) in [(&mut health, 3), (&mut readings, 0)] {
        client.send(&json!({"type": "heartbeat"}));
        let mut types = types_until(client, "heartbeat_ack");
        assert_eq!(types.pop().as_deref(), Some("heartbeat_ack"));
        assert_eq!(types, vec!["notification"; heard]);
    }
    // What waits for somebody who comes later is told apart, too.
    let mut surgery =
        Client::connect(&server, &format!("/api/ws/ws?token={}", token("2", "user", json!({}))), &[])
            .unwrap();
    for _ in 0..3 {
        assert_eq!(surgery.until(note)["data"]["title"], "the theatre is closed");
    }
    let mut health =
        Client::connect(&server, &format!("/ws/notifications?token={}", token("2", "user", json!({}))), &[])
            .unwrap();
    let waiting = health.until("notifications");
    let titles = waiting["data"]["notifications"].as_array().unwrap().iter().map(|of| of["title"].as_str());
    assert_eq!(titles.collect::<Vec<_>>(), [Some("take your pills"); 3]);
}

#[test]
fn one_application_manages_its_own_connections_and_no_others() {
    let server = all();
    let mut documents = at(&server, "/ws/docs", "2");
    let mut health = at(&server, "/ws/chat", "2");
    for (method, path) in [
        ("GET", "/ws/connection/docs"),
        ("GET", "/ws/connection/docs/health"),
        ("DELETE", "/ws/connection/docs"),
    ] {
        assert_eq!(api(&server, method, path, None).0, 404, "{method} {path}");
    }
    let (status, answer) = api(&server, "POST", "/ws/user/2/reconnect", None);
    assert_eq!((status, &answer["connections"]), (200, &json!(1)), "{answer}");
    let ended = loop {
        if let Err(ended) = health.receive() {
            break ended;
        }
    };
    assert_eq!(ended, Ended::Code(1012));
    documents.send(&json!({"type": "ping"}));
    documents.until("pong");
}

#[test]
fn pages_of_one_application_do_not_connect_to_another() {
    let server = all();
    let page = ("origin", "https://app.halcytone.com");
    let token = token("2", "user", json!({}));
    for path in ["/api/ws/ws", "/ws/docs", "/ws/health", "/v1/ws"] {
        let refused = Client::connect(&server, &format!("{path}?token={token}"), &[page]).err();
        assert_eq!(refused, Some(403), "{path}");
    }
    assert!(Client::connect(&server, &format!("/ws/live-updates?token={token}"), &[page]).is_ok());
}

#[test]
fn a_websockets_path_says_so_to_who_asks_for_a_page() {
    let server = all();
    for path in ["/api/ws/ws", "/ws/docs", "/ws/chat", "/v1/ws"] {
        let answer = request(&server, "GET", path, &[], "");
        assert_eq!(answer.status, 426, "{path}: {answer:?}");
        assert!(answer.head.contains("upgrade: websocket"), "{path}: {answer:?}");
    }
    assert_eq!(request(&server, "POST", "/api/ws/ws", &[], "{}").status, 405);
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
