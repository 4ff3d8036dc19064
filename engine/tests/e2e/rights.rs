//! What a user may over HTTP: no more than over a connection, and of the server as a whole only what its role may.

use serde_json::{Value, json};

use crate::support::{Client, Options, Server, deployments, request, token};

const CONFIG: &str = r#"
[auth]
api_roles = ["admin", "service", "user", "guest", "watcher"]
[[auth.api_key]]
name = "backend"
sha256 = "ab5dba328c3d0ed56fe91a40392a995f9943b3dbbce49b4d55fcdcca82a3c0ef"
[limits]
commands_per_minute = 0
[[room_type]]
name = "club"
create = ["user"]
private = true
[[room_type]]
name = "ward"
join = ["user", "admin"]
delivery = "at_least_once"
[[role]]
name = "guest"
permissions = ["join", "publish"]
not_receive = ["secret_*"]
[[role]]
name = "watcher"
permissions = ["join", "metrics"]
"#;

const KEY: &str = "of-a-backend-0123456789abcdef0123456789";

fn asked(server: &Server, bearer: &str, method: &str, path: &str) -> (u16, Value) {
    let bearer = format!("Bearer {bearer}");
    let answer = request(server, method, path, &[("authorization", &bearer)], "");
    (answer.status, serde_json::from_str(&answer.body).unwrap_or_default())
}

fn by(server: &Server, user: &str, role: &str, method: &str, path: &str) -> (u16, Value) {
    asked(server, &token(user, role, json!({})), method, path)
}

#[test]
fn what_a_room_keeps_is_read_over_http_by_whom_it_lets_in() {
    for options in deployments() {
        let server = Server::start(Options { config: CONFIG.to_owned(), ..options });
        let mut ada = Client::join_server(&server, "ada", "user");
        let create = json!({"type": "room.create", "room": "club:1", "data": {"invited": ["cyd"]}});
        assert_eq!(ada.ask(create)["type"], "ok");
        ada.join("ward:1");
        for room in ["club:1", "open:1", "ward:1"] {
            ada.publish(room, json!("hello"));
        }
        let kick = json!({"type": "room.kick", "room": "open:1", "data": {"user_id": "eve", "seconds": 60}});
        assert_eq!(Client::join_server(&server, "root", "admin").ask(kick)["type"], "ok");
        for (user, role, room, status) in [
            ("ada", "user", "club:1", 200),
            ("cyd", "user", "club:1", 200),
            ("ben", "user", "club:1", 403),
            ("root", "admin", "club:1", 200),
            ("eve", "user", "open:1", 403),
            ("ben", "user", "open:1", 200),
            ("gil", "guest", "ward:1", 403),
            ("ben", "user", "ward:1", 200),
            ("ada", "user", "club:2", 403),
        ] {
            for what in ["history", "receipts"] {
                let (got, body) = by(&server, user, role, "GET", &format!("/v1/rooms/{room}/{what}"));
                assert_eq!(got, status, "{user} {room} {what}: {body}");
                assert!(got == 200 || body["details"]["field"] == "room", "{body}");
            }
        }
        for what in ["history", "receipts"] {
            assert_eq!(asked(&server, KEY, "GET", &format!("/v1/rooms/club:1/{what}")).0, 200, "a key");
        }
        for (user, role, status) in [("ada", "user", 200), ("ben", "user", 403), ("root", "admin", 200)] {
            let (got, body) = by(&server, user, role, "GET", "/v1/rooms/@user:ada/receipts");
            assert_eq!(got, status, "{user}: {body}");
        }
    }
}

#[test]
fn messages_for_other_roles_are_left_out_of_what_is_read_over_http() {
    let server = Server::start(Options { shards: 4, config: CONFIG.to_owned(), ..Options::default() });
    let mut root = Client::join_server(&server, "root", "admin");
    for more in [
        json!({"event": "say"}),
        json!({"event": "secret_plan"}),
        json!({"event": "to_users", "roles": ["user"]}),
    ] {
        let mut publish = json!({"type": "publish", "room": "open:1", "data": 1});
        publish.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        assert_eq!(root.ask(publish)["type"], "published");
    }
    let events = |bearer: &str| {
        let (_, history) = asked(&server, bearer, "GET", "/v1/rooms/open:1/history");
        let messages = history["messages"].as_array().unwrap().iter();
        messages.map(|message| message["type"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(events(&token("gil", "guest", json!({}))), ["say"]);
    assert_eq!(events(&token("ada", "user", json!({}))), ["say", "secret_plan", "to_users"]);
    assert_eq!(events(KEY), ["say", "secret_plan", "to_users"]);
}

#[test]
fn of_others_a_user_sees_and_ends_what_its_role_may() {
    let server = Server::start(Options { shards: 4, config: CONFIG.to_owned(), ..Options::default() });
    let open = |user: &str, role: &str, id: &str| {
        let bearer = format!("Bearer {}", token(user, role, json!({})));
        Client::welcomed(&server, &format!("/v1/ws?client_id={id}"), &[("authorization", &bearer)])
    };
    let (_ada, mut ben) = (open("ada", "user", "tab-of-ada"), open("ben", "user", "tab-of-ben"));
    for (method, path, of_user, of_watcher) in [
        ("GET", "/v1/statistics", 403, 200),
        ("GET", "/v1/connections", 403, 200),
        ("GET", "/v1/connections/ended", 403, 200),
        ("GET", "/v1/rooms", 403, 200),
        ("GET", "/v1/users/active", 403, 200),
        ("GET", "/v1/webhooks", 403, 200),
        ("GET", "/v1/inspector", 403, 403),
        ("GET", "/v1/users/ada/connections", 200, 200),
        ("GET", "/v1/users/ben/connections", 403, 200),
        ("GET", "/v1/connections/tab-of-ada", 200, 200),
        ("GET", "/v1/connections/tab-of-ada/health", 200, 200),
        ("GET", "/v1/connections/tab-of-ben", 403, 200),
        ("GET", "/v1/connections/tab-of-ben/health", 403, 200),
        ("GET", "/v1/connections/nobodys", 403, 404),
        ("DELETE", "/v1/connections/tab-of-ben", 403, 403),
        ("GET", "/v1/users/ada/dead_letters", 200, 403),
        ("GET", "/v1/users/ben/dead_letters", 403, 403),
        ("DELETE", "/v1/users/ben/dead_letters", 403, 403),
        ("POST", "/v1/users/ben/dead_letters/*/requeue", 403, 403),
        ("GET", "/v1/nothing", 404, 404),
    ] {
        for (user, role, status) in [("ada", "user", of_user), ("max", "watcher", of_watcher)] {
            let (got, body) = by(&server, user, role, method, path);
            assert_eq!(got, status, "{role} {method} {path}: {body}");
            assert!(got != 403 || body["code"] == 4013, "{body}");
        }
        let (got, body) = asked(&server, KEY, "GET", path);
        assert!(got != 403, "a key: {path} {body}");
    }
    ben.expect_nothing();
    let own = by(&server, "ada", "user", "DELETE", "/v1/connections/tab-of-ada");
    assert_eq!(own, (200, json!({"disconnected": 1})));
    assert_eq!(by(&server, "root", "admin", "DELETE", "/v1/connections/tab-of-ben").0, 200);
}
