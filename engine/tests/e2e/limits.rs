//! Every limit has its clear refusal.

use serde_json::{Value, json};

use crate::support::{Client, Ended, Options, Server, api, eventually};

#[test]
fn too_many_connections_are_told_so() {
    let server = Server::with("[limits]\nconnections = 2\n");
    let one = Client::join_server(&server, "a", "user");
    let _two = Client::join_server(&server, "b", "user");
    let third = || {
        let token = crate::support::token("c", "user", json!({}));
        Client::connect(&server, "/v1/ws", &[("authorization", &format!("Bearer {token}"))]).unwrap()
    };
    let (messages, ended) = third().end();
    assert_eq!(ended, Ended::Code(4009));
    assert_eq!(messages[0]["name"], "CONNECTION_LIMIT");
    drop(one);
    eventually("the place is free again", || (third().receive().ok()?["type"] == "welcome").then_some(()));
}

#[test]
fn one_user_may_have_so_many_connections() {
    let server = Server::with("[limits]\nconnections_per_user = 2\n");
    let one = Client::join_server(&server, "ada", "user");
    let _two = Client::join_server(&server, "ada", "user");
    Client::join_server(&server, "bob", "user");
    let third = || {
        let token = crate::support::token("ada", "user", json!({}));
        Client::connect(&server, "/v1/ws", &[("authorization", &format!("Bearer {token}"))]).unwrap()
    };
    assert_eq!(third().end().1, Ended::Code(4009));
    drop(one);
    eventually("the place is free again", || (third().receive().ok()?["type"] == "welcome").then_some(()));
}

#[test]
fn rooms_members_and_names_are_bounded() {
    let server = Server::with("[limits]\nrooms_per_connection = 3\nmembers_per_room = 1\n");
    let mut client = Client::join_server(&server, "ada", "user");
    for room in ["a", "b", "c"] {
        client.join(room);
    }
    let fourth = client.ask(json!({"type": "join", "room": "d"}));
    assert_eq!(fourth["type"], "error", "{fourth}");
    assert!(fourth["message"].as_str().unwrap().contains('3'), "{fourth}");
    client.join("a");
    assert_eq!(client.ask(json!({"type": "leave", "room": "a"}))["type"], "left");
    client.join("d");
    let mut other = Client::join_server(&server, "bob", "user");
    assert_eq!(other.ask(json!({"type": "join", "room": "b"}))["code"], 4003);
    other.join("a");
    for room in [String::new(), "x".repeat(129), "@all".into(), "a b".into()] {
        let answer = other.ask(json!({"type": "join", "room": room}));
        assert_eq!(
            (&answer["code"], &answer["details"]["field"]),
            (&json!(4005), &json!("room")),
            "{answer}"
        );
    }
}

#[test]
fn who_commands_too_fast_is_told_and_lives() {
    let server = Server::with("[limits]\ncommands_per_minute = 600\nburst = 5\n");
    let mut client = Client::join_server(&server, "ada", "user");
    for id in 0..50 {
        client.send(&json!({"type": "heartbeat", "id": id}));
    }
    let answers: Vec<Value> = (0..50).map(|_| client.receive().unwrap()).collect();
    let refused = answers.iter().filter(|answer| answer["code"] == 4004).count();
    assert!((1..=45).contains(&refused), "{refused}");
    assert_eq!(answers[0]["type"], "heartbeat_ack");
    eventually("the bucket fills again", || {
        client.send(&json!({"type": "heartbeat", "id": 99}));
        (client.receive().unwrap()["type"] == "heartbeat_ack").then_some(())
    });
}

#[test]
fn a_message_may_be_so_long_and_no_longer() {
    let server = Server::with("[limits]\nmessage_size = 2048\n");
    let mut client = Client::join_server(&server, "ada", "user");
    client.join("a");
    client.publish("a", json!("x".repeat(1_900)));
    client.send(&json!({"type": "publish", "room": "a", "event": "say", "data": "x".repeat(2_048)}));
    assert_eq!(client.end().1, Ended::Code(1009));
}

#[test]
fn what_cannot_be_is_refused_in_words() {
    let server = Server::start(Default::default());
    let mut client = Client::join_server(&server, "ada", "user");
    client.join("a");
    let answer = client.ask(json!({"type": "ack", "room": "a", "offset": 1}));
    assert_eq!(answer["type"], "error", "{answer}");
    assert!(!answer["message"].as_str().unwrap().is_empty());
}

#[test]
fn services_keep_so_much_and_what_is_kept_works_on() {
    let server = Server::start(Options {
        shards: 1,
        config: "[limits]\nservices = 1\n".to_owned(),
        ..Options::default()
    });
    let open = json!({"poll_id": "p", "question": "?", "options": ["a", "b"]});
    assert_eq!(api(&server, "POST", "/v1/rooms/one/polls", Some(&open)).0, 200);
    let (status, refused) = api(&server, "POST", "/v1/rooms/two/polls", Some(&open));
    assert_eq!((status, &refused["code"]), (503, &json!(4006)), "{refused}");
    let mut host = Client::join_server(&server, "host", "admin");
    let refused = host.ask(json!({"type": "poll.open", "room": "two", "data": open}));
    assert_eq!((&refused["type"], &refused["code"]), (&json!("error"), &json!(4006)), "{refused}");
    let vote = json!({"type": "poll.vote", "room": "one", "data": {"poll_id": "p", "option": "a"}});
    assert_eq!(host.ask(vote)["data"]["total_votes"], 1, "the first works still");
    assert_eq!(api(&server, "DELETE", "/v1/rooms/one/polls/p", None).0, 200);
    assert_eq!(host.ask(json!({"type": "poll.open", "room": "two", "data": open}))["type"], "ok");
}

#[test]
fn where_services_keep_as_much_as_they_may_operators_go_on_and_everybody_goes_on_reading() {
    let config = "[limits]\nservices = 2\ncommands_per_minute = 0\n";
    let server = Server::start(Options { shards: 1, config: config.to_owned(), ..Options::default() });
    let mut eve = Client::join_server(&server, "eve", "user");
    let report = |room: &str| json!({"type": "monitor.report", "room": room, "data": {"values": {"a": 1}}});
    for room in ["a:1", "a:2"] {
        assert_eq!(eve.ask(report(room))["type"], "ok");
    }
    let refused = eve.ask(report("a:3"));
    assert_eq!(refused["code"], 4006, "{refused}");
    assert_eq!(
        eve.ask(json!({"type": "monitor.state", "room": "a:3"}))["type"],
        "ok",
        "asking keeps nothing"
    );
    eve.join("a:3");
    eve.ask(json!({"type": "publish", "room": "a:3", "event": "say"}));
    assert_eq!(eve.ask(json!({"type": "room.info", "room": "a:3"}))["type"], "ok");
    for (method, path, body) in [
        ("PUT", "/v1/rooms/a:3/frozen", json!({"frozen": true})),
        ("POST", "/v1/rooms/a:3/kick", json!({"user_id": "eve", "seconds": 60})),
        ("DELETE", "/v1/rooms/a:3", json!({})),
        ("PUT", "/v1/admin/bans/users/eve", json!({})),
    ] {
        let (status, answer) = api(&server, method, path, Some(&body));
        assert_eq!(status, 200, "{method} {path}: {answer}");
    }
    let mut ben = Client::join_server(&server, "ben", "user");
    assert_eq!(ben.ask(report("a:1"))["type"], "ok", "where it is kept already");
    let listed = ben.ask(json!({"type": "monitor.state", "room": "a:3"}));
    assert_eq!(
        listed["data"]["metrics"],
        ben.ask(json!({"type": "monitor.state", "room": "a:9"}))["data"]["metrics"]
    );
}
