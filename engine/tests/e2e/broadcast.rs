//! A message reaches everyone in the room, once, in order.

use serde_json::{Value, json};

use crate::support::{Client, Server, deployments, request, token};

/// Reads `count` messages and asserts that their offsets rise by one.
fn read_all(client: &mut Client, count: u64) -> Vec<Value> {
    let messages: Vec<Value> = (0..count).map(|_| client.expect("say")).collect();
    for (index, message) in messages.iter().enumerate() {
        assert_eq!(message["offset"], index as u64 + 1, "{message}");
        assert_eq!(message["room"], "room:1");
    }
    messages
}

#[test]
fn everyone_gets_everything_once_and_in_order_however_many_publish_at_once() {
    const PUBLISHERS: usize = 10;
    const EACH: usize = 20;
    for options in deployments() {
        let server = Server::start(options);
        let mut members: Vec<Client> = (0..12)
            .map(|number| match number % 2 {
                0 => Client::join_server(&server, "m", "user"),
                _ => Client::packed(&server, "m", "user"),
            })
            .collect();
        members.iter_mut().for_each(|member| drop(member.join("room:1")));
        std::thread::scope(|scope| {
            for publisher in 0..PUBLISHERS {
                let server = &server;
                scope.spawn(move || {
                    let mut client = Client::join_server(server, &format!("p{publisher}"), "user");
                    let offsets: Vec<u64> =
                        (0..EACH).map(|n| client.publish("room:1", json!([publisher, n]))).collect();
                    assert!(offsets.is_sorted_by(|one, next| one < next), "{offsets:?}");
                });
            }
        });
        let first = read_all(&mut members[0], (PUBLISHERS * EACH) as u64);
        for publisher in 0..PUBLISHERS {
            let order: Vec<_> =
                first.iter().filter(|m| m["data"][0] == publisher).map(|m| &m["data"][1]).collect();
            assert!(order.iter().enumerate().all(|(n, data)| **data == n), "one publisher's order is kept");
        }
        for member in &mut members[1..] {
            let messages = read_all(member, (PUBLISHERS * EACH) as u64);
            assert_eq!(messages, first, "all see the same stream");
            member.expect_nothing();
        }
    }
}

#[test]
fn a_burst_from_one_connection_arrives_whole() {
    let server = Server::with("[limits]\ncommands_per_minute = 0\n");
    let mut member = Client::join_server(&server, "m", "user");
    member.join("room:1");
    let mut publisher = Client::packed(&server, "p", "user");
    let batch: Vec<Value> =
        (0..200).map(|n| json!({"type": "publish", "room": "room:1", "event": "say", "data": n})).collect();
    for _ in 0..10 {
        publisher.send(&Value::from(batch.clone()));
    }
    read_all(&mut member, 2_000);
}

#[test]
fn the_answer_tells_where_the_message_is() {
    let server = Server::start(Default::default());
    let mut client = Client::join_server(&server, "ada", "user");
    let joined = client.join("room:1");
    assert_eq!(joined["offset"], 0);
    client.send(&json!({"type": "publish", "id": 5, "room": "room:1", "event": "say", "data": {"a": [1, null]}, "message_id": "mine"}));
    let (mut published, mut message) = (None, None);
    for _ in 0..2 {
        let received = client.receive().unwrap();
        if received["type"] == "published" { published = Some(received) } else { message = Some(received) }
    }
    let (published, message) = (published.unwrap(), message.unwrap());
    assert_eq!(published["id"], 5);
    assert_eq!(published["offset"], 1);
    for field in ["room", "epoch", "offset", "message_id"] {
        assert_eq!(published[field], message[field], "{field}");
    }
    assert_eq!(message["epoch"], joined["epoch"]);
    assert_eq!(message["message_id"], "mine");
    assert_eq!(message["user_id"], "ada");
    assert_eq!(message["data"], json!({"a": [1, null]}));
}

#[test]
fn publishing_over_http_reaches_members_on_websockets() {
    for options in deployments() {
        let server = Server::start(options);
        let mut members: Vec<Client> = (0..5).map(|_| Client::join_server(&server, "m", "user")).collect();
        members.iter_mut().for_each(|member| drop(member.join("room:1")));
        let bearer = format!("Bearer {}", token("svc", "service", json!({})));
        let headers = [("authorization", &*bearer), ("content-type", "application/json")];
        let body = r#"[{"room":"room:1","event":"say","data":1},{"room":"room:1","event":"say","data":2}]"#;
        let answer = request(&server, "POST", "/v1/publish", &headers, body);
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(answer.json()[1]["offset"], 2, "{}", answer.body);
        for member in &mut members {
            let messages = read_all(member, 2);
            assert_eq!(messages[1]["data"], 2);
        }
    }
}

#[test]
fn a_member_that_leaves_gets_no_more_and_joining_twice_changes_nothing() {
    let server = Server::start(Default::default());
    let mut stays = Client::join_server(&server, "s", "user");
    let mut leaves = Client::join_server(&server, "l", "user");
    stays.join("room:1");
    leaves.join("room:1");
    let again = leaves.join("room:1");
    assert_eq!((&again["members"], &again["offset"]), (&json!(2), &json!(0)), "{again}");
    stays.publish("room:1", json!(1));
    leaves.expect("say");
    leaves.expect_nothing();
    let answer = leaves.ask(json!({"type": "leave", "room": "room:1"}));
    assert_eq!((&answer["type"], &answer["member"]), (&json!("left"), &json!(true)));
    stays.publish("room:1", json!(2));
    leaves.expect_nothing();
    let answer = leaves.ask(json!({"type": "leave", "room": "room:1"}));
    assert_eq!(answer["type"], "left", "leaving a room one is not in is done already: {answer}");
    assert_eq!(answer["member"], false, "{answer}");
    let answer = leaves.ask(json!({"type": "leave", "room": "nobody:was-here"}));
    assert_eq!((&answer["type"], &answer["member"]), (&json!("left"), &json!(false)));
    let joined = leaves.join("room:1");
    assert_eq!(joined["offset"], 2, "the room went on meanwhile");
}

#[test]
fn rooms_of_the_query_are_joined_at_once() {
    let server = Server::start(Default::default());
    let token = token("q", "user", json!({}));
    let path = format!("/v1/ws?token={token}&room=room:1&room=room:2&client_id=mine");
    let mut client = Client::connect(&server, &path, &[]).unwrap();
    assert_eq!(client.expect("welcome")["client_id"], "mine");
    let rooms: Vec<Value> = (0..2).map(|_| client.expect("joined")["room"].clone()).collect();
    assert_eq!(rooms, ["room:1", "room:2"]);
    client.publish("room:2", json!(0));
}

#[test]
fn joining_again_tells_where_the_room_stands_and_what_its_services_have() {
    for options in deployments() {
        let server = Server::start(options);
        let mut ada = Client::join_server(&server, "ada", "admin");
        let mut ben = Client::packed(&server, "ben", "user");
        ada.join("demo:1");
        ben.join("demo:1");
        let before = ada.join("demo:1");
        assert_eq!((&before["members"], before["state"].get("poll")), (&json!(2), None), "{before}");
        let poll = json!({"poll_id": "pace", "question": "How fast?", "options": ["slow", "fast"]});
        let made = ada.ask(json!({"type": "poll.open", "room": "demo:1", "data": poll}));
        assert_eq!(made["type"], "ok", "{made}");
        let said = ada.ask(json!({"type": "publish", "room": "demo:1", "event": "say", "data": 1}));
        // With a place and a wish for the past, which it has: nothing of it comes again.
        let place = json!({"epoch": said["epoch"], "offset": 0});
        ben.send(&json!({"type": "join", "id": 1, "room": "demo:1", "last": 10}));
        ben.send(&json!({"type": "publish", "id": 2, "room": "demo:1", "event": "say", "data": 2}));
        ben.send(&json!({"type": "leave", "id": 3, "room": "demo:1"}));
        ben.send(&json!({"type": "join", "id": 4, "room": "demo:1"}));
        ben.send(&json!({"type": "join", "id": 5, "room": "demo:1", "recover": place}));
        let mut heard = Vec::new();
        let told = loop {
            let message = ben.receive().unwrap();
            if message["id"] == 5 {
                break message;
            }
            heard.push(message);
        };
        let answers: Vec<u64> = heard.iter().filter_map(|message| message["id"].as_u64()).collect();
        let ordered: Vec<u64> = answers.iter().copied().filter(|id| *id != 2).collect();
        assert_eq!(ordered, [1, 3, 4], "{heard:?}");
        let first = heard.iter().find(|message| message["id"] == 1).unwrap();
        for joined in [first, &told] {
            assert_eq!((&joined["members"], &joined["recovered"]), (&json!(2), &json!(false)), "{joined}");
            assert_eq!(joined["state"]["poll"]["polls"][0]["question"], "How fast?", "{joined}");
        }
        let said = heard.iter().filter(|message| message["type"] == "say" && message["data"] == 1);
        assert_eq!(said.count(), 1, "{heard:?}");
        ben.expect_nothing();
    }
}
