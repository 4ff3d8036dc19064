//! Acknowledgements, redelivery, dead letters and what waits for who is away, through the real binary.

use serde_json::{Value, json};

use crate::support::{Client, Options, Server, deployments, eventually, request, token};

const CONFIG: &str = r#"
[limits]
commands_per_minute = 0
[[room_type]]
name = "task"
delivery = "at_least_once"
ack_wait = "300ms"
max_deliver = 2

[inbox]
queue = { size = 3, ttl = "1h" }
"#;

fn api(server: &Server, method: &str, path: &str) -> (u16, Value) {
    let bearer = format!("Bearer {}", token("operator", "admin", json!({})));
    let answer = request(server, method, path, &[("authorization", &bearer)], "");
    (answer.status, serde_json::from_str(&answer.body).unwrap())
}

fn tell(client: &mut Client, user: &str, data: Value, priority: u8) {
    let answer = client
        .ask(json!({"type": "publish", "user": user, "event": "say", "data": data, "priority": priority}));
    assert_eq!(answer["type"], "published", "{answer}");
}

#[test]
fn what_is_not_acknowledged_comes_again_and_ends_as_a_dead_letter_that_can_be_sent_once_more() {
    for options in deployments() {
        let server = Server::start(Options { config: CONFIG.to_owned(), ..options });
        let mut ada = Client::join_server(&server, "ada", "admin");
        let mut ben = Client::join_server(&server, "ben", "user");
        ben.join("task:1");
        for number in [1, 2] {
            let command = json!({
                "type": "publish", "room": "task:1", "event": "say", "data": number, "receipts": true,
            });
            assert_eq!(ada.ask(command)["type"], "published");
            assert_eq!(ben.expect("say")["data"], number);
        }
        assert_eq!(ben.ask(json!({"type": "ack", "room": "task:1", "offset": 1}))["type"], "ok");
        let receipt = ada.expect("receipt");
        let told = (&receipt["room"], &receipt["offset"], &receipt["user_id"]);
        assert_eq!(told, (&json!("task:1"), &json!(1), &json!("ben")));
        let (status, readers) = api(&server, "GET", "/v1/rooms/task:1/receipts");
        assert_eq!((status, &readers["readers"][0]["offset"]), (200, &json!(1)), "{readers}");
        assert_eq!(ben.expect("say")["data"], 2, "again");
        let path = "/v1/users/ben/dead_letters";
        let letters = eventually("a dead letter", || {
            let (_, letters) = api(&server, "GET", path);
            (letters["dead_letters"].as_array()?.len() == 1).then_some(letters)
        });
        let letter = &letters["dead_letters"][0];
        assert_eq!((&letter["message"]["data"], &letter["deliveries"]), (&json!(2), &json!(2)));
        let id = letter["id"].as_str().unwrap();
        assert_eq!(api(&server, "POST", &format!("{path}/{id}/requeue")), (200, json!({"dead_letters": 1})));
        let again = ben.expect("say");
        assert_eq!((&again["data"], &again["room"]), (&json!(2), &json!("@user:ben")));
        assert_eq!(again["message_id"], letter["message"]["message_id"]);
        assert_eq!(api(&server, "POST", &format!("{path}/{id}/requeue")).0, 404);
        assert_eq!(api(&server, "DELETE", path), (200, json!({"dead_letters": 0})));
        eventually("the counts", || (server.metric("fanfare_buried_total") == 1.0).then_some(()));
    }
}

#[test]
fn what_waits_comes_after_the_welcome_in_order_and_what_did_not_fit_is_told() {
    for options in deployments() {
        let server = Server::start(Options { config: CONFIG.to_owned(), ..options });
        let mut ada = Client::join_server(&server, "ada", "admin");
        for (number, priority) in [(1, 0), (2, 9), (3, 0), (4, 1)] {
            tell(&mut ada, "ben", json!(number), priority);
        }
        for packed in [false, true] {
            let mut ben = if packed {
                Client::packed(&server, "ben", "user")
            } else {
                Client::join_server(&server, "ben", "user")
            };
            if !packed {
                let gap = ben.expect("gap");
                assert_eq!(
                    (&gap["room"], &gap["from"], &gap["to"]),
                    (&json!("@user:ben"), &json!(1), &json!(1))
                );
                assert_eq!(
                    [2, 3, 4].map(|_| ben.expect("say")["data"].clone()),
                    [json!(2), json!(3), json!(4)]
                );
            }
            ben.expect_nothing();
        }
    }
}

#[test]
fn messages_to_a_user_are_in_one_order_whoever_sends_them_from_wherever() {
    const EACH: u64 = 150;
    for options in deployments() {
        let server = Server::start(Options { config: CONFIG.to_owned(), ..options });
        let mut devices = [(); 3].map(|()| Client::join_server(&server, "ben", "user"));
        let orders: Vec<Vec<Value>> = std::thread::scope(|scope| {
            for name in 0..4 {
                let server = &server;
                scope.spawn(move || {
                    let mut sender = Client::join_server(server, &format!("sender-{name}"), "admin");
                    (0..EACH).for_each(|number| tell(&mut sender, "ben", json!([name, number]), 0));
                });
            }
            let reading = devices.iter_mut().map(|device| {
                scope.spawn(move || (0..4 * EACH).map(|_| device.expect("say")).collect::<Vec<_>>())
            });
            reading.collect::<Vec<_>>().into_iter().map(|each| each.join().unwrap()).collect()
        });
        for (message, offset) in orders[0].iter().zip(1_u64..) {
            assert_eq!(message["offset"], offset);
        }
        assert!(orders.iter().all(|order| *order == orders[0]), "every device sees the same");
        for name in 0..4 {
            let own = orders[0].iter().filter(|of| of["data"][0] == name).map(|of| of["data"][1].clone());
            assert!(own.eq((0..EACH).map(|number| json!(number))), "each sender's own order");
        }
    }
}

#[test]
fn bad_acknowledgements_and_bad_requests_are_refused_by_name() {
    let server = Server::with(CONFIG);
    let mut ben = Client::join_server(&server, "ben", "user");
    ben.join("task:1");
    ben.join("plain:1");
    for (command, field) in [
        (json!({"type": "ack", "room": "task:1"}), "offset"),
        (json!({"type": "ack", "room": "task:1", "offset": -1}), "offset"),
        (json!({"type": "ack", "room": "task:1", "offset": 1}), "offset"),
        (json!({"type": "ack", "room": "task:1", "offset": 0, "epoch": "x"}), "epoch"),
        (json!({"type": "ack", "room": "task:1", "offset": 0, "epoch": 7}), "epoch"),
        (json!({"type": "ack", "room": "task:2", "offset": 0}), "room"),
        (json!({"type": "ack", "room": "plain:1", "offset": 0}), "room"),
        (json!({"type": "ack", "room": "@user:eve", "offset": 0}), "room"),
        (json!({"type": "ack", "room": "@all", "offset": 0}), "room"),
        (json!({"type": "publish", "room": "task:1", "event": "e", "receipts": "yes"}), "receipts"),
    ] {
        let answer = ben.ask(command.clone());
        let told = (&answer["code"], &answer["details"]["field"]);
        assert_eq!(told, (&json!(4005), &json!(field)), "{command}: {answer}");
    }
    for (method, path, status) in [
        ("GET", "/v1/rooms/none:1/receipts", 404),
        ("GET", "/v1/rooms/a%20b/receipts", 400),
        ("DELETE", "/v1/rooms/task:1/receipts", 405),
        ("GET", "/v1/users/nobody/dead_letters", 200),
        ("POST", "/v1/users/nobody/dead_letters", 405),
        ("POST", "/v1/users/nobody/dead_letters/xyz/requeue", 400),
        ("POST", "/v1/users/nobody/dead_letters/0123456789abcdef/requeue", 404),
        ("GET", "/v1/users/nobody/dead_letters/0123456789abcdef/requeue", 405),
        ("DELETE", "/v1/users/nobody/dead_letters/0123456789abcdef", 404),
        ("POST", "/v1/users/nobody/dead_letters/*/requeue", 200),
    ] {
        let (got, body) = api(&server, method, path);
        assert_eq!(got, status, "{method} {path}: {body}");
    }
}
