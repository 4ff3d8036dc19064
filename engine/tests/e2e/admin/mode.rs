//! Emergencies.

use serde_json::{Value, json};

use super::done;
use crate::support::{Client, Options, Raw, Server, api, deployments, eventually, token};

const PATH: &str = "/v1/admin/mode";

fn publish(server: &Server, priority: u8) -> u16 {
    let body = json!({"room": "room:1", "event": "say", "data": 1, "priority": priority});
    api(server, "POST", "/v1/publish", Some(&body)).0
}

/// Over a WebSocket, on each shard in turn.
fn say(clients: &mut [Client], priority: u8) -> Vec<Value> {
    let command =
        json!({"type": "publish", "room": "room:1", "event": "say", "data": 1, "priority": priority});
    clients.iter_mut().map(|client| client.ask(command.clone())["type"].clone()).collect()
}

#[test]
fn a_read_only_server_takes_what_is_urgent_and_tells_the_others() {
    for options in deployments() {
        let server = Server::start(options);
        let mut clients: Vec<Client> = (0..4).map(|_| Client::join_server(&server, "m", "admin")).collect();
        let mode = done(&server, "PUT", PATH, json!({"read_only": true}));
        assert_eq!((&mode["read_only"], &mode["priority_min"]), (&json!(true), &json!(9)), "{mode}");
        eventually("every shard knows", || {
            say(&mut clients, 0).iter().all(|answer| answer == "error").then_some(())
        });
        let refused = clients[0].ask(json!({"type": "publish", "room": "a", "event": "say"}));
        assert_eq!(refused["code"], 4006, "{refused}");
        let poll = json!({"type": "poll.open", "room": "a", "data": {"poll_id": "p", "question": "?", "options": ["a", "b"]}});
        assert_eq!(clients[0].ask(poll.clone())["code"], 4006);
        assert_eq!(clients[0].ask(json!({"type": "poll.list", "room": "a"}))["type"], "ok");
        assert_eq!((publish(&server, 0), publish(&server, 9)), (503, 200));
        assert!(say(&mut clients, 9).iter().all(|answer| answer == "published"));
        // Who may not steer cannot say of itself that it is as urgent as that.
        let mut users: Vec<Client> = (0..4).map(|_| Client::join_server(&server, "u", "user")).collect();
        assert!(say(&mut users, 9).iter().all(|answer| answer == "error"));
        done(&server, "PUT", PATH, json!({"priority_min": 3}));
        eventually("every shard knows", || {
            say(&mut users, 9).iter().all(|answer| answer == "published").then_some(())
        });
        done(&server, "PUT", PATH, json!({"priority_min": 9}));
        // An operator is not held up, and neither is reading.
        done(&server, "PUT", "/v1/admin/bans/users/eve", json!({}));
        clients[0].join("room:1");
        done(&server, "PUT", PATH, json!({"read_only": false}));
        eventually("every shard knows", || {
            say(&mut clients, 0).iter().all(|answer| answer == "published").then_some(())
        });
        assert_eq!(publish(&server, 0), 200);
    }
}

#[test]
fn load_is_shed_level_by_level() {
    let config =
        "[limits]\ncommands_per_minute = 0\nmessage_size = 1024\nbacklog = \"16MiB\"\nsend_buffer = 4096\n"
            .to_owned();
    let server = Server::start(Options { shards: 2, config, ..Options::default() });
    let mut stalled = Raw::welcomed(&server, "");
    stalled.send_frame(0x81, br#"{"type":"join","id":1,"room":"room:1"}"#);
    assert!(stalled.frame().is_some());
    let mut client = Client::join_server(&server, "m", "user");
    let backlog = || server.metric("fanfare_backlog_bytes");
    eventually("much waits for who does not read", || {
        client.ask(json!({"type": "publish", "room": "room:1", "event": "say", "data": "x".repeat(900)}));
        (backlog() > 100_000.0).then_some(())
    });
    let bearer = format!("Bearer {}", token("n", "user", json!({})));
    let connect = || Client::connect(&server, "/v1/ws", &[("authorization", &bearer)]).err();
    done(&server, "PUT", PATH, json!({"shed": 1}));
    assert_eq!(connect(), Some(503));
    assert_eq!((publish(&server, 0), publish(&server, 1)), (200, 200));
    done(&server, "PUT", PATH, json!({"shed": 2}));
    assert_eq!((connect(), publish(&server, 0), publish(&server, 1)), (Some(503), 503, 200));
    let chat = |data: Value| json!({"type": "chat.send", "room": "room:1", "data": data});
    assert_eq!(client.ask(chat(json!({"text": "x"})))["code"], 4006, "a command that changes something");
    assert_eq!(api(&server, "POST", "/v1/rooms/room:1/chat/messages", Some(&json!({"text": "x"}))).0, 503);
    done(&server, "PUT", "/v1/rooms/room:2/frozen", json!({}));
    assert!(backlog() > 100_000.0, "still there");
    done(&server, "PUT", PATH, json!({"shed": 3}));
    eventually("who owes most goes", || (backlog() == 0.0).then_some(()));
    client.expect_nothing();
    assert_eq!(server.metric("fanfare_mode{mode=\"shed\"}"), 3.0);
    done(&server, "PUT", PATH, json!({"shed": 0}));
    assert_eq!((connect(), publish(&server, 0)), (None, 200));
}

#[test]
fn compression_is_switched_off_for_those_who_have_it_and_on_again() {
    let server = Server::start(Options { shards: 2, ..Options::default() });
    let deflate = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
    let mut member = Raw::welcomed(&server, deflate);
    member.send_frame(0x81, br#"{"type":"join","id":1,"room":"room:1"}"#);
    assert!(member.frame().is_some());
    let data = "abcdefgh".repeat(400);
    let mut is_compressed = || {
        let body = json!({"room": "room:1", "event": "say", "data": data});
        assert_eq!(api(&server, "POST", "/v1/publish", Some(&body)).0, 200);
        let (first, payload) = member.frame().unwrap();
        assert!(first & 0x40 != 0 || String::from_utf8(payload).unwrap().contains(&data));
        first & 0x40 != 0
    };
    assert!((0..20).all(|_| is_compressed()), "long enough that they share a context");
    done(&server, "PUT", PATH, json!({"compression": false}));
    eventually("every shard knows", || (!is_compressed()).then_some(()));
    assert!((0..20).all(|_| !is_compressed()));
    let mut late = Raw::connect(&server);
    late.send(crate::support::upgrade(&token("l", "user", json!({})), deflate).as_bytes());
    assert!(!late.head().head.contains("permessage-deflate"));
    done(&server, "PUT", PATH, json!({"compression": true}));
    eventually("every shard knows", || is_compressed().then_some(()));
    assert!((0..20).all(|_| is_compressed()));
}

#[test]
fn the_logs_level_changes_while_it_runs() {
    let server = Server::with("[log]\nlevel = \"info,audit=off\"\n");
    assert_eq!(done(&server, "GET", PATH, Value::Null)["log_level"], "info,audit=off");
    assert!(!server.log().contains("admin.mode"));
    done(&server, "PUT", PATH, json!({"log_level": "info"}));
    done(&server, "GET", PATH, Value::Null);
    eventually("it is logged", || server.log().contains("admin.mode").then_some(()));
    // What tells on operators they cannot switch off, and what says nothing is refused.
    for level in ["audit=off", "info,audit=off", "bogus!!", "fanfare=loud"] {
        let (status, answer) = api(&server, "PUT", PATH, Some(&json!({"log_level": level})));
        assert_eq!((status, &answer["details"]["field"]), (400, &json!("log_level")), "{level}: {answer}");
    }
    assert_eq!(done(&server, "PUT", PATH, json!({"log_level": "off"}))["log_level"], "off");
    done(&server, "PUT", "/v1/admin/bans/users/eve", json!({}));
    eventually("it is logged", || server.log().contains("access.ban_user").then_some(()));
}
