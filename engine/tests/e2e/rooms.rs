//! Rooms that are created, private, bounded, frozen, purged and closed, through the real binary.

use serde_json::json;

use crate::support::{Client, Options, Server, api, deployments, eventually};

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
        let of = |room: &str| {
            [
                json!({"type": "join", "room": room}),
                json!({"type": "publish", "room": room, "event": "say", "data": 1}),
                json!({"type": "history", "room": room}),
                json!({"type": "room.info", "room": room}),
                json!({"type": "room.update", "room": room, "data": {"title": "x"}}),
                json!({"type": "room.invite", "room": room, "data": {"user_id": "ben"}}),
                json!({"type": "room.uninvite", "room": room, "data": {"user_id": "ben"}}),
                json!({"type": "room.kick", "room": room, "data": {"user_id": "ben"}}),
                json!({"type": "room.close", "room": room}),
                json!({"type": "poll.list", "room": room}),
                json!({"type": "poll.open", "room": room, "data": {"poll_id": "p", "question": "?", "options": ["a", "b"]}}),
                json!({"type": "presence.list", "room": room}),
                json!({"type": "presence", "room": room}),
            ]
        };
        let told = |client: &mut Client, room: &str| {
            let answers = of(room).map(|command| client.ask(command));
            let answers = answers
                .map(|answer| [answer["name"].clone(), answer["message"].clone(), answer["details"].clone()]);
            assert!(answers.iter().all(|[name, ..]| name == "FORBIDDEN"), "{answers:?}");
            answers
        };
        let absent = told(&mut ben, "club:1");
        let create = json!({
            "type": "room.create", "room": "club:1",
            "data": {"title": "Chess", "max_members": 2, "metadata": {"level": 3}},
        });
        let created = ada.ask(create.clone());
        assert_eq!((&created["data"]["creator"], &created["data"]["private"]), (&json!("ada"), &json!(true)));
        assert_eq!(ben.ask(create)["details"]["field"], "room", "it is there already");
        let state = ada.join("club:1")["state"]["room"].clone();
        assert_eq!((&state["title"], &state["metadata"]["level"]), (&json!("Chess"), &json!(3)), "{state}");
        assert_eq!(told(&mut ben, "club:1"), absent, "whether there is such a room is nobody's business");
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
        assert_eq!(ben.expect("left")["member"], true);
        assert_eq!(ben.ask(join.clone())["name"], "FORBIDDEN");
        let (status, closed) = api(&server, "DELETE", "/v1/rooms/club:1", None);
        assert_eq!((status, &closed["members"]), (200, &json!(1)), "{closed}");
        assert_eq!(ada.expect("$room_closed")["data"]["reason"], "the room was closed");
        ada.expect("$removed");
        ada.expect("left");
        assert_eq!(ada.ask(join)["name"], "FORBIDDEN");
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

#[test]
fn a_created_room_goes_with_its_last_member_where_its_type_says_so() {
    let config = format!("{CONFIG}cleanup = true\n");
    let server = Server::start(Options { shards: 4, config, ..Options::default() });
    let mut ada = Client::join_server(&server, "ada", "user");
    let mut ben = Client::join_server(&server, "ben", "user");
    for (room, cleanup) in [("club:1", json!(null)), ("club:2", json!(false))] {
        let mut data = json!({"invited": ["ben"]});
        if !cleanup.is_null() {
            data["cleanup"] = cleanup;
        }
        assert_eq!(ada.ask(json!({"type": "room.create", "room": room, "data": data}))["type"], "ok");
        ada.join(room);
        ben.join(room);
        ada.publish(room, json!("soon forgotten"));
        ada.ask(json!({"type": "leave", "room": room}));
        assert_eq!(api(&server, "GET", &format!("/v1/rooms/{room}"), None).0, 200, "one is there still");
    }
    // The last one does not even say good-bye.
    drop(ben);
    eventually("the room has gone", || {
        (api(&server, "GET", "/v1/rooms/club:1", None).0 == 404).then_some(())
    });
    let gone = ada.ask(json!({"type": "join", "room": "club:1"}));
    assert_eq!((&gone["code"], &gone["name"]), (&json!(4013), &json!("FORBIDDEN")), "{gone}");
    assert_eq!(api(&server, "GET", "/v1/rooms/club:2", None).0, 200, "its creator wanted it to stay");
    assert_eq!(ada.ask(json!({"type": "room.create", "room": "club:1"}))["type"], "ok");
    assert_eq!(ada.ask(json!({"type": "history", "room": "club:1"}))["messages"], json!([]));
    assert_eq!(
        ada.ask(json!({"type": "history", "room": "club:2"}))["messages"][0]["data"],
        "soon forgotten"
    );
}

#[test]
fn where_rooms_must_be_created_nothing_works_before_and_everybody_may_come_then() {
    let config = CONFIG.replace("private = true", "created_only = true");
    let server = Server::start(Options { shards: 4, config, ..Options::default() });
    let mut ada = Client::join_server(&server, "ada", "user");
    let mut ben = Client::join_server(&server, "ben", "user");
    for command in [
        json!({"type": "join", "room": "club:1"}),
        json!({"type": "publish", "room": "club:1", "event": "say", "data": 1}),
        json!({"type": "history", "room": "club:1"}),
        json!({"type": "room.info", "room": "club:1"}),
        json!({"type": "poll.list", "room": "club:1"}),
    ] {
        let refused = ada.ask(command.clone());
        assert_eq!(refused["code"], 4002, "{command}: {refused}");
    }
    assert_eq!(ada.ask(json!({"type": "room.create", "room": "club:1"}))["data"]["private"], false);
    ben.join("club:1");
    assert_eq!(ben.publish("club:1", json!(1)), 1);
}

#[test]
fn http_changes_a_room_takes_invitations_back_and_keeps_out_for_a_while() {
    let config = CONFIG.replace("[\"user\"]", "[\"user\", \"admin\"]");
    let server = Server::start(Options { shards: 4, config, ..Options::default() });
    let path = "/v1/rooms/club:1";
    let create = json!({"title": "Chess", "invited": ["ada", "ben"], "metadata": {"level": 3}});
    let (status, created) = api(&server, "PUT", path, Some(&create));
    assert_eq!((status, &created["title"]), (200, &json!("Chess")), "{created}");
    let mut ada = Client::join_server(&server, "ada", "user");
    let mut ben = Client::join_server(&server, "ben", "user");
    let join = json!({"type": "join", "room": "club:1"});
    ada.join("club:1");
    let (status, updated) = api(&server, "PATCH", path, Some(&json!({"title": "Go", "max_members": 1})));
    assert_eq!((status, &updated["title"]), (200, &json!("Go")), "{updated}");
    assert_eq!((&updated["metadata"]["level"], &updated["max_members"]), (&json!(3), &json!(1)));
    assert_eq!(ada.expect("$room_updated")["data"]["title"], "Go");
    assert_eq!(ben.ask(join.clone())["name"], "SESSION_FULL");
    assert_eq!(api(&server, "PATCH", path, Some(&json!({"max_members": 5}))).0, 200);
    assert_eq!(api(&server, "DELETE", &format!("{path}/invited/ben"), None).0, 200);
    assert_eq!(ben.ask(join.clone())["name"], "FORBIDDEN", "the invitation was taken back");
    assert_eq!(api(&server, "PATCH", path, Some(&json!({"private": false}))).0, 200);
    ben.join("club:1");
    let kick = json!({"user_id": "ben", "reason": "too loud", "seconds": 1});
    let (status, kicked) = api(&server, "POST", &format!("{path}/kick"), Some(&kick));
    assert_eq!((status, &kicked), (200, &json!({"user_id": "ben"})));
    assert_eq!(ben.expect("$removed")["data"]["reason"], "too loud");
    ben.expect("left");
    assert_eq!(ben.ask(join.clone())["name"], "FORBIDDEN");
    eventually("the second is over", || (ben.ask(join.clone())["type"] == "joined").then_some(()));
    let update = json!({"title": "Go"});
    assert_eq!(api(&server, "PATCH", "/v1/rooms/chat:1", Some(&update)).0, 404, "nobody created it");
    assert_eq!(
        api(&server, "PATCH", "/v1/rooms/chat:1", Some(&create)).0,
        400,
        "`invited` is not changed so"
    );
}

#[test]
fn bad_input_over_http_names_its_field() {
    let config = CONFIG.replace("[\"user\"]", "[\"user\", \"admin\"]");
    let server = Server::start(Options { shards: 4, config, ..Options::default() });
    let path = "/v1/rooms/club:1";
    assert_eq!(api(&server, "PUT", path, None).0, 200);
    let (kick, frozen) = (&*format!("{path}/kick"), &*format!("{path}/frozen"));
    let unnamed = "/v1/rooms/a%20b";
    for (method, path, body, status, field) in [
        ("PUT", path, json!({}), 409, "room"),
        ("PUT", path, json!({"title": 7}), 400, "title"),
        ("PUT", path, json!({"title": "x".repeat(257)}), 400, "title"),
        ("PUT", path, json!({"metadata": []}), 400, "metadata"),
        ("PUT", path, json!({"metadata": {"a": "x".repeat(4_097)}}), 400, "metadata"),
        ("PUT", path, json!({"private": "yes"}), 400, "private"),
        ("PUT", path, json!({"max_members": 0}), 400, "max_members"),
        ("PUT", path, json!({"max_members": 1.5}), 400, "max_members"),
        ("PUT", path, json!({"invited": "ada"}), 400, "invited"),
        ("PUT", path, json!({"invited": [1]}), 400, "invited"),
        ("PUT", path, json!({"cleanup": 1}), 400, "cleanup"),
        ("PUT", path, json!([]), 400, "body"),
        ("PUT", unnamed, json!({}), 400, "room"),
        ("PATCH", path, json!({"title": null, "max_members": "5"}), 400, "max_members"),
        ("PATCH", path, json!({"private": 0}), 400, "private"),
        ("PATCH", unnamed, json!({}), 400, "room"),
        ("POST", kick, json!({}), 400, "user_id"),
        ("POST", kick, json!({"user_id": 7}), 400, "user_id"),
        ("POST", kick, json!({"user_id": "ben", "seconds": 0}), 400, "seconds"),
        ("POST", kick, json!({"user_id": "ben", "seconds": "1"}), 400, "seconds"),
        ("POST", kick, json!({"user_id": "ben", "reason": "x".repeat(121)}), 400, "reason"),
        ("PUT", frozen, json!({"frozen": 1}), 400, "frozen"),
        ("DELETE", path, json!({"reason": 1}), 400, "reason"),
    ] {
        let (got, refused) = api(&server, method, path, Some(&body));
        assert_eq!(
            (got, &refused["details"]["field"]),
            (status, &json!(field)),
            "{method} {path} {body} {refused}"
        );
    }
    let (_, info) = api(&server, "GET", path, None);
    assert_eq!(
        (&info["title"], &info["frozen"]),
        (&json!(null), &json!(false)),
        "nothing has changed: {info}"
    );
}

#[test]
fn what_services_have_goes_with_a_room_that_is_closed_or_cleaned_up() {
    let server = Server::start(Options { shards: 4, config: CONFIG.to_owned(), ..Options::default() });
    let mut ada = Client::join_server(&server, "ada", "admin");
    let mut ben = Client::join_server(&server, "ben", "user");
    for (room, is_closed) in [("club:1", true), ("club:2", false)] {
        let create =
            json!({"type": "room.create", "room": room, "data": {"cleanup": true, "invited": ["ada"]}});
        assert_eq!(ben.ask(create.clone())["type"], "ok");
        ben.join(room);
        let open = json!({"poll_id": "p", "question": "?", "options": ["a", "b"]});
        let score = json!({"score_id": "s", "threshold": 1});
        assert_eq!(ada.ask(json!({"type": "poll.open", "room": room, "data": open}))["type"], "ok");
        assert_eq!(ada.ask(json!({"type": "score.define", "room": room, "data": score}))["type"], "ok");
        if is_closed {
            assert_eq!(api(&server, "DELETE", &format!("/v1/rooms/{room}"), None).0, 200);
        } else {
            ben.ask(json!({"type": "leave", "room": room}));
        }
        assert_eq!(ben.ask(create)["type"], "ok");
        for (command, list) in [("poll.list", "polls"), ("score.list", "scores")] {
            let found = ben.ask(json!({"type": command, "room": room}));
            assert_eq!(found["data"][list], json!([]), "{room} {command}: {found}");
        }
    }
}

#[test]
fn who_is_kicked_stays_out_and_a_frozen_room_takes_nothing_whatever_its_type() {
    for options in deployments() {
        let server = Server::start(Options { config: CONFIG.to_owned(), ..options });
        let mut operator = Client::join_server(&server, "ada", "admin");
        let mut eve = Client::join_server(&server, "eve", "user");
        let mut ben = Client::join_server(&server, "ben", "user");
        eve.join("open:1");
        ben.join("open:1");
        let kick = json!({"type": "room.kick", "room": "open:1", "data": {"user_id": "eve", "seconds": 60}});
        assert_eq!(operator.ask(kick)["type"], "ok");
        eve.expect("$removed");
        eve.expect("left");
        for command in [
            json!({"type": "join", "room": "open:1"}),
            json!({"type": "join", "room": "open:1", "last": 1}),
            json!({"type": "history", "room": "open:1"}),
            json!({"type": "publish", "room": "open:1", "event": "say", "data": 1}),
        ] {
            let refused = eve.ask(command.clone());
            assert_eq!(refused["name"], "FORBIDDEN", "{command}: {refused}");
        }
        let send = json!({"type": "chat.send", "room": "open:1", "data": {"text": "hi"}});
        assert_eq!(ben.ask(send.clone())["type"], "ok");
        for (frozen, expected) in [(true, "FORBIDDEN"), (false, "")] {
            let freeze = json!({"type": "room.freeze", "room": "open:1", "data": {"frozen": frozen}});
            assert_eq!(operator.ask(freeze)["type"], "ok");
            assert_eq!(ben.ask(send.clone())["name"].as_str().unwrap_or_default(), expected);
        }
    }
}
