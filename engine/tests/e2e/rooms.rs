//! Rooms that are created, private, bounded, frozen, purged and closed, through the real binary.

use serde_json::json;

use crate::support::{Client, Options, Server, api, deployments};

const CONFIG: &str = r#"
[limits]
commands_per_minute = 0
[[room_type]]
name = "club"
create = ["user"]
private = true
"#;

#[test]
fn a_private_room_is_for_its_creator_and_who_was_invited() {
    for options in deployments() {
        let server = Server::start(Options { config: CONFIG.to_owned(), ..options });
        let mut ada = Client::join_server(&server, "ada", "user");
        let mut ben = Client::join_server(&server, "ben", "user");
        let join = json!({"type": "join", "room": "club:1"});
        assert_eq!(ada.ask(join.clone())["name"], "SESSION_NOT_FOUND", "it was not created");
        let create = json!({
            "type": "room.create", "room": "club:1",
            "data": {"title": "Chess", "max_members": 2, "metadata": {"level": 3}},
        });
        let created = ada.ask(create.clone());
        assert_eq!((&created["data"]["creator"], &created["data"]["private"]), (&json!("ada"), &json!(true)));
        assert_eq!(ben.ask(create)["details"]["field"], "room", "it is there already");
        let state = ada.join("club:1")["state"]["room"].clone();
        assert_eq!((&state["title"], &state["metadata"]["level"]), (&json!("Chess"), &json!(3)), "{state}");
        for command in [
            join.clone(),
            json!({"type": "publish", "room": "club:1", "event": "say", "data": 1}),
            json!({"type": "history", "room": "club:1"}),
            json!({"type": "room.info", "room": "club:1"}),
            json!({"type": "room.invite", "room": "club:1", "data": {"user_id": "ben"}}),
            json!({"type": "poll.list", "room": "club:1"}),
        ] {
            let refused = ben.ask(command.clone());
            assert_eq!(refused["name"], "FORBIDDEN", "{command}: {refused}");
        }
        let invite = json!({"type": "room.invite", "room": "club:1", "data": {"user_id": "ben"}});
        assert_eq!(ada.ask(invite)["type"], "ok");
        ben.join("club:1");
        ben.publish("club:1", json!("hello"));
        assert_eq!(ada.expect("say")["data"], "hello");
        assert_eq!(ben.expect("say")["data"], "hello");
        let mut second = Client::join_server(&server, "ada", "user");
        assert_eq!(second.ask(join.clone())["name"], "SESSION_FULL");
        let kick = json!({
            "type": "room.kick", "room": "club:1",
            "data": {"user_id": "ben", "reason": "too loud", "seconds": 60},
        });
        assert_eq!(ada.ask(kick)["type"], "ok");
        assert_eq!(ben.expect("$removed")["data"]["reason"], "too loud");
        ben.expect("left");
        assert_eq!(ben.ask(join.clone())["name"], "FORBIDDEN");
        let (status, closed) = api(&server, "DELETE", "/v1/rooms/club:1", None);
        assert_eq!((status, &closed["members"]), (200, &json!(1)), "{closed}");
        assert_eq!(ada.expect("$room_closed")["data"]["reason"], "the room was closed");
        ada.expect("$removed");
        ada.expect("left");
        assert_eq!(ada.ask(join)["name"], "SESSION_NOT_FOUND");
    }
}

#[test]
fn an_operator_freezes_purges_and_closes_any_room() {
    let server = Server::start(Options { shards: 4, config: CONFIG.to_owned(), ..Options::default() });
    assert_eq!(api(&server, "GET", "/v1/rooms/chat:1", None).0, 404);
    let mut ada = Client::join_server(&server, "ada", "user");
    let before = ada.join("chat:1")["epoch"].clone();
    ada.publish("chat:1", json!(1));
    ada.expect("say");
    let (status, info) = api(&server, "GET", "/v1/rooms/chat:1", None);
    assert_eq!((status, &info["members"], &info["offset"]), (200, &json!(1), &json!(1)), "{info}");
    assert_eq!(info["room_type"], "default");
    assert_eq!(api(&server, "PUT", "/v1/rooms/chat:1", None).0, 409, "needs no creation");
    let (status, frozen) = api(&server, "PUT", "/v1/rooms/chat:1/frozen", Some(&json!({"frozen": true})));
    assert_eq!((status, &frozen["frozen"]), (200, &json!(true)), "{frozen}");
    assert_eq!(ada.expect("$room_updated")["data"]["frozen"], true);
    let publish = json!({"type": "publish", "room": "chat:1", "event": "say", "data": 2});
    assert_eq!(ada.ask(publish)["name"], "FORBIDDEN");
    assert_eq!(api(&server, "PUT", "/v1/rooms/chat:1/frozen", Some(&json!({"frozen": "x"}))).0, 400);
    assert_eq!(api(&server, "PUT", "/v1/rooms/chat:1/frozen", Some(&json!({"frozen": false}))).0, 200);
    assert_eq!(api(&server, "DELETE", "/v1/rooms/chat:1/history", None).0, 200);
    let history = ada.ask(json!({"type": "history", "room": "chat:1"}));
    assert_eq!(history["messages"], json!([]), "{history}");
    assert_eq!(ada.publish("chat:1", json!(3)), 1, "the count began anew");
    let mut ben = Client::join_server(&server, "ben", "user");
    let recover = json!({"type": "join", "room": "chat:1", "recover": {"epoch": before, "offset": 1}});
    let joined = ben.ask(recover);
    assert_eq!(joined["recovered"], false, "{joined}");
    let refused = ben.ask(json!({"type": "room.freeze", "room": "chat:1"}));
    assert_eq!(refused["name"], "FORBIDDEN", "{refused}");
    assert_eq!(ben.ask(json!({"type": "room.freeze"}))["details"]["field"], "room");
}

#[test]
fn what_was_created_and_frozen_outlives_the_process() {
    let folder = std::env::temp_dir().join(format!("fanfare-rooms-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let config = format!("{CONFIG}\n[store]\npath = \"{}\"\n", folder.join("store.redb").display());
    {
        let server = Server::with(&config);
        let mut ada = Client::join_server(&server, "ada", "user");
        let created = ada.ask(json!({"type": "room.create", "room": "club:1", "data": {"title": "Go"}}));
        assert_eq!(created["type"], "ok", "{created}");
        assert_eq!(api(&server, "PUT", "/v1/rooms/chat:9/frozen", None).0, 200);
        // Killed: an answer says that it is on disk.
    }
    let server = Server::with(&config);
    let (status, info) = api(&server, "GET", "/v1/rooms/club:1", None);
    assert_eq!((status, &info["title"], &info["creator"]), (200, &json!("Go"), &json!("ada")), "{info}");
    let mut ada = Client::join_server(&server, "ada", "user");
    ada.join("club:1");
    let publish = json!({"type": "publish", "room": "chat:9", "event": "say", "data": 2});
    assert_eq!(ada.ask(publish)["name"], "FORBIDDEN");
    drop(server);
    let _ = std::fs::remove_dir_all(&folder);
}
