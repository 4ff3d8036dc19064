//! Another configuration, without a restart.

use serde_json::{Value, json};

use super::{done, ended_soon, turned_away};
use crate::support::{Client, Ended, Options, Server, api, deployments, eventually, request, signed};

const PATH: &str = "/v1/admin/reload";
const OLD: &str = "old-old-old-old-old-old-old-old-old";
const NEW: &str = "new-new-new-new-new-new-new-new-new";

fn key(id: &str, secret: &str) -> String {
    format!("[[auth.key]]\nalgorithm = \"HS256\"\nid = \"{id}\"\nsecret = \"{secret}\"\n")
}

/// As an operator whose token is signed with this secret.
fn call(server: &Server, secret: &str, body: Value) -> (u16, Value) {
    let bearer = format!("Bearer {}", signed(secret, "operator", "admin", json!({})));
    let headers = [("authorization", &*bearer), ("content-type", "application/json")];
    let answer = request(server, "POST", PATH, &headers, &body.to_string());
    (answer.status, answer.json())
}

fn connect(server: &Server, secret: &str) -> Client {
    let bearer = format!("Bearer {}", signed(secret, "ada", "user", json!({})));
    Client::welcomed(server, "/v1/ws", &[("authorization", &bearer)])
}

#[test]
fn keys_are_rotated_without_a_restart_and_a_removed_key_ends_its_connections() {
    for options in deployments() {
        let server = Server::start(Options { config: key("a", OLD), ..options });
        let mut by_old: Vec<Client> = (0..4).map(|_| connect(&server, OLD)).collect();
        assert_eq!(
            turned_away(&server, "/v1/ws", &signed(NEW, "ada", "user", json!({}))).0,
            Ended::Code(4001)
        );
        server.reconfigure(&format!("{}{}", key("a", OLD), key("b", NEW)));
        let (status, answer) = call(&server, OLD, json!({}));
        assert_eq!(status, 200, "{answer}");
        assert!(
            answer.to_string().contains("auth.key.b.secret") && !answer.to_string().contains(NEW),
            "{answer}"
        );
        let mut by_new: Vec<Client> = (0..4).map(|_| connect(&server, NEW)).collect();
        by_old.push(connect(&server, OLD));
        server.reconfigure(&key("b", NEW));
        assert_eq!(call(&server, OLD, json!({"dry_run": true})).0, 200);
        by_old.iter_mut().for_each(Client::expect_nothing);
        assert_eq!(call(&server, OLD, json!({})).0, 200);
        for client in &mut by_old {
            let (ended, error) = ended_soon(client);
            assert_eq!(ended, Ended::Code(4012), "{error}");
        }
        by_new.iter_mut().for_each(Client::expect_nothing);
        assert_eq!(
            turned_away(&server, "/v1/ws", &signed(OLD, "ada", "user", json!({}))).0,
            Ended::Code(4001)
        );
        assert_eq!(call(&server, OLD, json!({})).0, 401);
        assert_eq!(call(&server, NEW, json!({})), (200, json!({"changes": []})));
    }
}

#[test]
fn a_revoked_key_ends_its_connections_too() {
    let config = format!("{}{}", key("a", OLD), key("b", NEW));
    let server = Server::start(Options { shards: 4, config, ..Options::default() });
    let mut by_old: Vec<Client> = (0..4).map(|_| connect(&server, OLD)).collect();
    let mut by_new = connect(&server, NEW);
    let bearer = format!("Bearer {}", signed(NEW, "operator", "admin", json!({})));
    let put = |path: &str, body: &str| {
        let headers = [("authorization", &*bearer), ("content-type", "application/json")];
        request(&server, "POST", path, &headers, body)
    };
    let count = put("/v1/admin/disconnect", r#"{"key_id":"a","dry_run":true}"#).json();
    assert_eq!(count, json!({"connections": 4}));
    let revoke = |body: &str| {
        let headers = [("authorization", &*bearer), ("content-type", "application/json")];
        let revoked = request(&server, "PUT", "/v1/admin/revocations/keys/a", &headers, body);
        (revoked.status, revoked.json())
    };
    assert_eq!(revoke(r#"{"dry_run":true}"#), (200, json!({"connections": 4})));
    by_old.iter_mut().for_each(Client::expect_nothing);
    assert_eq!(revoke(""), (200, json!({"connections": 4})));
    for client in &mut by_old {
        assert_eq!(ended_soon(client).0, Ended::Code(4012));
    }
    assert_eq!(turned_away(&server, "/v1/ws", &signed(OLD, "ada", "user", json!({}))).0, Ended::Code(4001));
    by_new.expect_nothing();
}

#[test]
fn what_changed_is_told_what_can_takes_effect_and_the_rest_is_named() {
    let server = Server::start(Options {
        shards: 2,
        config: "[limits]\nburst = 50\n[[room_type]]\nname = \"chat\"\n".to_owned(),
        ..Options::default()
    });
    let mut client = Client::join_server(&server, "ada", "user");
    client.join("chat:1");
    server.reconfigure(
        "[limits]\nburst = 60\nmessage_size = \"32KiB\"\n[heartbeat]\ninterval = \"7s\"\n\
         [[room_type]]\nname = \"chat\"\njoin = [\"nurse\"]\npublish = [\"nurse\"]\nhistory = { size = 5 }\n",
    );
    let changes = json!([
        {"setting": "heartbeat.interval", "old": null, "new": "7s", "takes_effect": "at_once"},
        {"setting": "limits.burst", "old": "50", "new": "60", "takes_effect": "at_once"},
        {"setting": "limits.message_size", "old": null, "new": "32KiB", "takes_effect": "restart"},
        {"setting": "room_type.chat.history.size", "old": null, "new": "5", "takes_effect": "restart"},
        {"setting": "room_type.chat.join", "old": null, "new": "[nurse]", "takes_effect": "at_once"},
        {"setting": "room_type.chat.publish", "old": null, "new": "[nurse]", "takes_effect": "at_once"},
    ]);
    assert_eq!(done(&server, "POST", PATH, json!({"dry_run": true}))["changes"], changes);
    client.publish("chat:1", json!(1));
    assert_eq!(done(&server, "POST", PATH, json!({}))["changes"], changes);
    eventually("it takes effect", || {
        let answer = client.ask(json!({"type": "publish", "room": "chat:1", "event": "say"}));
        (answer["code"] == 4013).then_some(())
    });
    let mut late = Client::connect(
        &server,
        "/v1/ws",
        &[("authorization", &format!("Bearer {}", crate::support::token("bob", "user", json!({}))))],
    )
    .unwrap();
    let welcome = late.expect("welcome");
    assert_eq!(welcome["heartbeat_interval"], 7_000, "{welcome}");
    assert_eq!(welcome["max_message_size"], 65_536, "not without a restart");
    assert_eq!(late.ask(json!({"type": "join", "room": "chat:1"}))["code"], 4013);
    let again = done(&server, "POST", PATH, json!({}));
    let left: Vec<&str> = again["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| change["takes_effect"].as_str().unwrap())
        .collect();
    assert_eq!(left, ["restart", "restart"], "{again}");
}

#[test]
fn a_bad_file_changes_nothing_and_all_that_is_wrong_is_told() {
    let server = Server::with("[limits]\nburst = 50\n");
    server.reconfigure("echo = 7\n[limits]\nburst = 60\nbacklog = 1\n[auth]\nleewey = \"5s\"\n");
    let (status, answer) = api(&server, "POST", PATH, None);
    assert_eq!((status, &answer["code"]), (400, &json!(4005)), "{answer}");
    let places: Vec<&str> = answer["details"]["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|of| of["place"].as_str().unwrap())
        .collect();
    for setting in ["echo (line 1)", "limits.backlog (line 4)", "auth.leewey (line 6)"] {
        assert!(places.contains(&setting), "{places:?}");
    }
    server.reconfigure("[limits]\nburst = 50\n");
    assert_eq!(done(&server, "POST", PATH, json!({})), json!({"changes": []}), "nothing had been taken");
}

#[test]
fn the_signal_reloads_too_and_never_ends_the_server() {
    let server = Server::with("[limits]\nburst = 50\n");
    server.reconfigure("[limits]\nburst = 51\n");
    server.signal("HUP");
    eventually("it is told", || server.log().contains("limits.burst").then_some(()));
    server.reconfigure("[limits]\nburst = \"many\"\n");
    server.signal("HUP");
    eventually("what is wrong is told", || server.log().contains("stays as it is").then_some(()));
    Client::join_server(&server, "ada", "user").expect_nothing();
    server.reconfigure(&key("a", OLD));
    server.signal("HUP");
    eventually("it leaves development mode", || server.log().contains("auth.key.a").then_some(()));
    server.reconfigure("# nothing\n");
    server.signal("HUP");
    eventually("and never comes back to it", || {
        server.log().contains("not put into development mode").then_some(())
    });
}
