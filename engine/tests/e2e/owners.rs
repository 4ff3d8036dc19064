//! Rooms that belong to one user each: what others may not, over every way there is to ask.

use serde_json::{Value, json};

use crate::support::{Client, Options, Server, deployments, request, token};

const CONFIG: &str = r#"
[auth]
api_roles = ["admin", "service", "user"]
[[auth.api_key]]
name = "backend"
sha256 = "ab5dba328c3d0ed56fe91a40392a995f9943b3dbbce49b4d55fcdcca82a3c0ef"
[[room_type]]
name = "desk"
owner = "id"
[[room_type]]
name = "letters"
owner = "id"
publish = ["service"]
[[role]]
name = "lead"
permissions = ["join", "publish", "presence", "control"]
"#;

const KEY: &str = "of-a-backend-0123456789abcdef0123456789";

fn bearing(server: &Server, user: &str, role: &str, rooms: &[&str]) -> Client {
    let bearer = format!("Bearer {}", token(user, role, json!({ "rooms": rooms })));
    Client::welcomed(server, "/v1/ws", &[("authorization", &bearer)])
}

/// Every command that is about a room, and what it is answered with.
fn tried(client: &mut Client, room: &str) -> Vec<(Value, Value)> {
    let commands = [
        json!({"type": "join"}),
        json!({"type": "history"}),
        json!({"type": "presence"}),
        json!({"type": "publish", "event": "say", "data": 1}),
        json!({"type": "chat.send", "data": {"text": "hi"}}),
        json!({"type": "room.info"}),
        json!({"type": "room.freeze", "data": {"frozen": false}}),
    ];
    let ask = |mut command: Value| {
        command["room"] = room.into();
        (command["type"].clone(), client.ask(command)["code"].clone())
    };
    commands.into_iter().map(ask).collect()
}

#[test]
fn a_room_of_one_user_is_closed_to_all_others() {
    for options in deployments() {
        let server = Server::start(Options { config: CONFIG.to_owned(), ..options });
        let mut ada = bearing(&server, "ada", "user", &["chat:*"]);
        ada.join("desk:ada");
        assert_eq!(
            ada.ask(json!({"type": "join", "room": "other:1"}))["code"],
            4013,
            "its token names no other"
        );
        ada.publish("desk:ada", json!("mine"));
        ada.expect("say");
        assert_eq!(ada.ask(json!({"type": "history", "room": "desk:ada"}))["messages"][0]["data"], "mine");
        for mut other in [
            Client::join_server(&server, "ben", "user"),
            Client::join_server(&server, "ada:1", "user"),
            bearing(&server, "cyd", "lead", &["*"]),
            bearing(&server, "root", "admin", &["chat:*"]),
        ] {
            for (command, code) in tried(&mut other, "desk:ada") {
                assert_eq!(code, 4013, "{command}");
            }
            assert_eq!(other.ask(json!({"type": "join", "room": "desk:"}))["code"], 4013, "it is nobody's");
        }
        // An operator goes everywhere that its token covers.
        let mut root = Client::join_server(&server, "root", "admin");
        for (command, code) in tried(&mut root, "desk:ada") {
            assert_eq!(code, Value::Null, "{command}");
        }
        // A room in the upgrade's query is no way around it.
        let bearer = format!("Bearer {}", token("ben", "user", json!({})));
        let mut ben = Client::welcomed(&server, "/v1/ws?room=desk:ada", &[("authorization", &bearer)]);
        assert_eq!(ben.expect("error")["code"], 4013);
        ada.expect("say");
        // Nor is a new token, which leaves the owner where it is.
        let refreshed = token("ada", "user", json!({"rooms": ["news:*"]}));
        assert_eq!(ada.ask(json!({"type": "refresh", "token": refreshed}))["type"], "ok");
        ada.publish("desk:ada", json!("still mine"));
    }
}

#[test]
fn its_type_says_who_publishes_and_users_only_to_themselves() {
    let server = Server::with(CONFIG);
    let mut ada = Client::join_server(&server, "ada", "user");
    ada.join("letters:ada");
    let publish = json!({"type": "publish", "room": "letters:ada", "event": "letter", "data": 1});
    assert_eq!(ada.ask(publish.clone())["code"], 4013, "the type has no user in `publish`");
    let mut service = Client::join_server(&server, "post", "service");
    assert_eq!(service.ask(publish)["type"], "published");
    ada.expect("letter");
    let ask = |bearer: &str, method: &str, path: &str, body: &Value| {
        let bearer = format!("Bearer {bearer}");
        let headers = [("authorization", &*bearer), ("content-type", "application/json")];
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = request(&server, method, path, &headers, &body);
        (answer.status, answer.json()["code"].clone())
    };
    let [ada, ben] = ["ada", "ben"].map(|user| token(user, "user", json!({})));
    let say = json!({"room": "desk:ada", "event": "say", "data": 1});
    for (bearer, status) in [(&*ada, 200), (&*ben, 403), (KEY, 200)] {
        let (publish, history) = ("/v1/publish", "/v1/rooms/desk:ada/history");
        let code = if status == 200 { Value::Null } else { json!(4013) };
        assert_eq!(ask(bearer, "POST", publish, &say), (status, code.clone()));
        assert_eq!(ask(bearer, "GET", history, &Value::Null), (status, code.clone()));
        assert_eq!(ask(bearer, "GET", "/v1/rooms/desk:ada/presence", &Value::Null), (status, code.clone()));
        let body = json!({"text": "hi"});
        // What is said needs somebody who says it.
        if bearer != KEY {
            assert_eq!(ask(bearer, "POST", "/v1/rooms/desk:ada/chat/messages", &body), (status, code));
        }
    }
}
