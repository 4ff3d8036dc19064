//! Hooks: a backend is asked before a connection, a join or a publish, and what it says is done.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{
    Answer, Backend, Client, Ended, Options, Post, SECRET, Said, Server, deployments, eventually, request,
    token,
};

fn config(address: &str, more: &str) -> String {
    format!("[hooks]\nurl = \"http://{address}/ask\"\nsecret = \"{SECRET}\"\n{more}\n")
}

fn start(backend: &Backend, more: &str) -> Server {
    Server::with(&config(&backend.address, more))
}

fn allow() -> Said {
    Said::Json(json!({ "allow": true }))
}

fn deny(reason: &str) -> Said {
    Said::Json(json!({ "allow": false, "reason": reason }))
}

/// An address that nobody listens on.
fn nowhere() -> String {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

fn say(room: &str, event: &str, data: &Value) -> Value {
    json!({ "type": "publish", "room": room, "event": event, "data": data })
}

fn post(server: &Server, body: &Value) -> Answer {
    let bearer = format!("Bearer {}", token("root", "admin", json!({})));
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    request(server, "POST", "/v1/publish", &headers, &body.to_string())
}

/// Rules as an application may have them.
fn rules(post: &Post) -> Said {
    assert!(post.is_signed, "{post:?}");
    let of = &post.body;
    match (of["type"].as_str().unwrap(), of["room"].as_str().unwrap_or_default(), of["event"].as_str()) {
        ("join", "chat:closed", _) => deny("this room\nis closed"),
        ("publish", _, Some("rude")) => deny("mind your language"),
        ("publish", _, Some("raw")) => {
            Said::Json(json!({ "allow": true, "event": "cooked", "data": { "was": of["data"] } }))
        }
        _ => allow(),
    }
}

#[test]
fn joins_and_publishes_are_allowed_denied_and_rewritten_on_every_deployment() {
    for options in deployments() {
        let backend = Backend::answering(rules);
        let config = config(&backend.address, "ask = [\"join\", \"publish\"]\nrooms = [\"chat:*\"]");
        let server = Server::start(Options { config, ..options });
        for mut ben in [Client::join_server(&server, "ben", "user"), Client::packed(&server, "ben", "user")] {
            ben.join("chat:1");
            let denied = ben.ask(json!({ "type": "join", "room": "chat:closed" }));
            assert_eq!((&denied["code"], &denied["message"]), (&json!(4013), &json!("this roomis closed")));
            ben.publish("chat:1", json!(1));
            assert_eq!(ben.expect("say")["data"], 1);
            let denied = ben.ask(say("chat:1", "rude", &json!("x")));
            assert_eq!((&denied["code"], &denied["message"]), (&json!(4013), &json!("mind your language")));
            ben.ask(say("chat:1", "raw", &json!([1, "ü"])));
            assert_eq!(ben.expect("cooked")["data"], json!({ "was": [1, "ü"] }));
            ben.expect_nothing();
            let before = backend.posts().len();
            ben.join("free:1");
            ben.publish("free:1", json!(2));
            assert_eq!(backend.posts().len(), before, "only where a pattern says so");
        }
        let asked = &backend.posts()[0].body;
        assert_eq!(
            (&asked["type"], &asked["room"], &asked["user_id"], &asked["role"]),
            (&json!("join"), &json!("chat:1"), &json!("ben"), &json!("user"))
        );
        assert!(asked["client_id"].is_string() && asked.get("data").is_none(), "{asked}");
        assert_eq!(server.metric("fanfare_hook_denied_total"), 4.0);
        assert_eq!(server.metric("fanfare_hook_waiting"), 0.0);
        assert_eq!(server.metric("fanfare_inquiries_waiting"), 0.0);
    }
}

#[test]
fn a_publish_over_http_is_asked_about_as_well() {
    let backend = Backend::answering(rules);
    let server = start(&backend, "ask = [\"publish\"]\nmessage_types = [\"r*\"]");
    let mut ben = Client::join_server(&server, "ben", "user");
    ben.join("chat:1");
    let denied = post(&server, &say("chat:1", "rude", &json!(1)));
    assert_eq!((denied.status, &denied.json()["message"]), (403, &json!("mind your language")), "{denied:?}");
    let batch = json!([
        say("chat:1", "raw", &json!(1)),
        say("chat:1", "rude", &json!(2)),
        say("chat:1", "say", &json!(3)),
        { "users": ["ben", "eve"], "event": "raw", "data": 4 },
    ]);
    let answer = post(&server, &batch);
    assert_eq!(answer.status, 207, "{answer:?}");
    let results = answer.json();
    assert!(results[0]["offset"].is_u64() && results[2]["offset"].is_u64(), "{results}");
    assert_eq!(results[1]["code"], 4013);
    let mut heard: Vec<String> =
        (0..3).map(|_| ben.receive().unwrap()).map(|of| format!("{} {}", of["type"], of["data"])).collect();
    heard.sort();
    assert_eq!(heard, [r#""cooked" {"was":1}"#, r#""cooked" {"was":4}"#, r#""say" 3"#]);
    let asked: Vec<Value> = backend.posts().into_iter().map(|post| post.body).collect();
    assert_eq!(asked.len(), 4, "of other types nobody is asked: {asked:?}");
    assert!(asked.iter().all(|of| of["user_id"] == "root"));
    assert!(asked.iter().any(|of| of["target"] == json!({ "users": ["ben", "eve"] })));
}

#[test]
fn a_connection_is_asked_about_however_its_token_came() {
    for options in deployments() {
        let backend = Backend::answering(|post| match post.body["user_id"].as_str().unwrap() {
            "eve" => deny("not you"),
            "tom" => Said::Json(json!({ "allow": true, "role": "guest", "rooms": ["team:*"] })),
            _ => allow(),
        });
        let config = config(&backend.address, "ask = [\"connect\"]");
        let server = Server::start(Options { config, ..options });
        let mut ben = Client::join_server(&server, "ben", "user");
        ben.join("any:1");
        let by_header = |user: &str| format!("Bearer {}", token(user, "user", json!({})));
        let refused = |mut client: Client| {
            let (messages, ended) = client.end();
            assert_eq!((&messages[0]["code"], &messages[0]["message"]), (&json!(4013), &json!("not you")));
            assert_eq!((messages.len(), ended), (1, Ended::Code(4013)), "{messages:?}");
        };
        refused(
            Client::connect(&server, "/v1/ws?room=any:1", &[("authorization", &by_header("eve"))]).unwrap(),
        );
        let mut by_message = Client::connect(&server, "/v1/ws", &[]).unwrap();
        by_message.send(&json!({ "type": "auth", "token": token("eve", "user", json!({})) }));
        refused(by_message);
        let mut tom = Client::connect(&server, "/v1/ws", &[("authorization", &by_header("tom"))]).unwrap();
        assert_eq!(tom.expect("welcome")["role"], "guest");
        tom.join("team:1");
        assert_eq!(tom.ask(json!({ "type": "join", "room": "any:1" }))["code"], 4013);
        let newer = tom.ask(json!({ "type": "refresh", "token": token("tom", "user", json!({})) }));
        assert_eq!(newer["type"], "ok", "{newer}");
        assert_eq!(tom.ask(json!({ "type": "join", "room": "any:1" }))["code"], 4013, "not by a newer token");
        let kinds: Vec<bool> =
            backend.posts().iter().map(|post| post.body["refresh"].as_bool().unwrap()).collect();
        assert_eq!(kinds, [false, false, false, false, true]);
    }
}

#[test]
fn later_commands_wait_and_take_effect_in_their_order() {
    let backend = Backend::answering(|post| {
        if post.body["data"].as_u64().is_some_and(|number| number % 2 == 0) {
            std::thread::sleep(Duration::from_millis(20));
        }
        allow()
    });
    let server = start(&backend, "ask = [\"join\", \"publish\"]\nmessage_types = [\"say\"]");
    let mut ben = Client::join_server(&server, "ben", "user");
    let mut commands = vec![json!({ "type": "join", "room": "chat:1" })];
    for number in 0..10 {
        commands.push(say("chat:1", if number % 3 == 0 { "free" } else { "say" }, &json!(number)));
    }
    ben.send(&Value::Array(commands));
    ben.expect("joined");
    for number in 0..10 {
        assert_eq!(ben.receive().unwrap()["data"], number);
    }
    ben.expect_nothing();
}

#[test]
fn without_an_answer_in_time_the_default_holds_and_nobody_else_waits() {
    for (default, code) in [("", Some(4006)), ("on_failure = \"allow\"", None)] {
        let backend = Backend::answering(|_| Said::Nothing);
        let server = start(
            &backend,
            &format!("ask = [\"join\", \"publish\"]\ntimeout = \"300ms\"\nrooms = [\"chat:*\"]\n{default}"),
        );
        let mut ben = Client::join_server(&server, "ben", "user");
        let began = Instant::now();
        ben.send(&json!({ "type": "join", "room": "chat:1", "id": "j" }));
        ben.send(&json!({ "type": "heartbeat", "id": "h" }));
        let mut eve = Client::join_server(&server, "eve", "user");
        eve.join("free:1");
        let answer = ben.receive().unwrap();
        let took = began.elapsed();
        assert!(took >= Duration::from_millis(300) && took < Duration::from_secs(5), "{took:?}");
        assert_eq!((answer["id"].as_str(), answer["code"].as_u64()), (Some("j"), code), "{answer}");
        ben.expect("heartbeat_ack");
        let answer = post(&server, &say("chat:1", "say", &json!(1)));
        assert_eq!(answer.status, if code.is_some() { 503 } else { 200 }, "{answer:?}");
        assert!(server.metric("fanfare_hook_failed_total") >= 2.0);
    }
}

#[test]
fn a_backend_that_is_not_there_is_no_permission_unless_so_configured() {
    for (default, may) in [("", false), ("on_failure = \"allow\"", true)] {
        let server = Server::with(&config(&nowhere(), &format!("ask = [\"connect\", \"join\"]\n{default}")));
        let bearer = format!("Bearer {}", token("ben", "user", json!({})));
        let mut ben = Client::connect(&server, "/v1/ws", &[("authorization", &bearer)]).unwrap();
        if may {
            ben.expect("welcome");
            ben.join("chat:1");
            continue;
        }
        let (messages, ended) = ben.end();
        assert_eq!((&messages[0]["code"], ended), (&json!(4006), Ended::Code(4006)));
        for _ in 0..8 {
            Client::connect(&server, "/v1/ws", &[("authorization", &bearer)]).unwrap().end();
        }
        // After some failures it is left alone: nobody is kept waiting in vain.
        assert_eq!(server.metric("fanfare_hook_open"), 1.0);
        assert!(server.metric("fanfare_hook_failed_total{reason=\"circuit\"}") > 0.0);
        let bearer = format!("Bearer {}", token("root", "admin", json!({})));
        let row = request(&server, "GET", "/v1/webhooks", &[("authorization", &bearer)], "").json();
        assert_eq!(row["hooks"]["circuit"], "open", "{row}");
    }
}

#[test]
fn an_answer_that_is_none_is_no_permission() {
    let answers = ["", "yes", "{}", "{\"allow\":\"true\"}", "{\"allow\":true,\"event\":\"$own\"}"];
    let mut said = answers.into_iter();
    let backend = Backend::answering(move |post| match said.next() {
        Some(text) if post.is_signed => Said::Text(text.to_owned()),
        _ => Said::Status(500),
    });
    let server = start(&backend, "ask = [\"publish\"]\non_failure = \"deny\"");
    let mut ben = Client::join_server(&server, "ben", "user");
    for _ in 0..5 {
        assert_eq!(ben.ask(say("chat:1", "say", &json!("secret-data")))["code"], 4006);
    }
    assert_eq!(server.metric("fanfare_hook_failed_total{reason=\"answer\"}"), 5.0);
    assert!(!server.log().contains("secret-data") && !server.log().contains(SECRET));
}

#[test]
fn only_so_many_questions_wait() {
    let backend = Backend::answering(|_| Said::Nothing);
    let server = start(&backend, "ask = [\"join\"]\nqueue = 4\ntimeout = \"2s\"");
    let mut clients: Vec<Client> =
        (0..12).map(|number| Client::join_server(&server, &format!("u{number}"), "user")).collect();
    let began = Instant::now();
    clients.iter_mut().for_each(|client| client.send(&json!({ "type": "join", "room": "chat:1", "id": 1 })));
    eventually("those over the bound are answered", || {
        (server.metric("fanfare_inquiries_unanswered_total") >= 8.0).then_some(())
    });
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    for client in &mut clients {
        assert_eq!(client.expect("error")["code"], 4006);
    }
}
