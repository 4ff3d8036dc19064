//! Webhooks: what happens is posted to a backend, signed, once, in order, and tried again.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{
    Answer, Backend, Client, Options, SECRET, Said, Server, deployments, eventually, request, token,
};

fn config(backend: &Backend, more: &str) -> String {
    let address = &backend.address;
    format!(
        "[limits]\ncommands_per_minute = 0\n[[webhook]]\nname = \"test\"\nurl = \"http://{address}/in?key=hidden-in-url\"\n\
         secret = \"{SECRET}\"\nbackoff_min = \"10ms\"\nbackoff_max = \"50ms\"\n{more}\n"
    )
}

fn start(backend: &Backend, more: &str) -> Server {
    Server::with(&config(backend, more))
}

fn get(server: &Server, path: &str) -> Answer {
    let bearer = format!("Bearer {}", token("root", "admin", json!({})));
    request(server, "GET", path, &[("authorization", &bearer)], "")
}

/// The parts of an event that a test can foresee.
fn brief(event: &Value) -> String {
    let text = |field: &str| event[field].as_str().unwrap_or("-").to_owned();
    let data = event.get("data").map_or_else(|| "-".to_owned(), Value::to_string);
    format!("{} {} {} {data}", text("type"), text("subject"), text("message_type"))
}

#[test]
fn every_event_arrives_once_and_signed_on_every_deployment() {
    for options in deployments() {
        let backend = Backend::start();
        let more = "events = [\"connect\", \"close\", \"join\", \"leave\", \"publish\"]";
        let server = Server::start(Options { config: config(&backend, more), ..options });
        let mut ben = Client::join_server(&server, "ben", "user");
        ben.join("room:1");
        for number in 0..30 {
            ben.publish("room:1", json!({ "number": number }));
        }
        ben.ask(json!({ "type": "leave", "room": "room:1" }));
        drop(ben);
        let events = backend.expect_events(34);
        let kinds = |kind: &str| events.iter().filter(|event| event["type"] == kind).count();
        assert_eq!(
            ["connect", "join", "publish", "leave", "close"].map(kinds),
            [1, 1, 30, 1, 1],
            "{events:?}"
        );
        let numbers: Vec<u64> = events.iter().filter_map(|event| event["data"]["number"].as_u64()).collect();
        assert_eq!(numbers, (0..30).collect::<Vec<_>>(), "a room's messages in their order");
        let offsets = events.iter().filter_map(|event| event["offset"].as_u64());
        assert!(offsets.eq(1..=30));
        let ids: HashSet<&str> = events.iter().map(|event| event["id"].as_str().unwrap()).collect();
        assert_eq!(ids.len(), 34, "no id twice");
        for event in &events {
            assert_eq!(event["user_id"], "ben", "{event}");
            assert!(event["time"].as_str().unwrap().ends_with('Z') && event["source"].is_string(), "{event}");
        }
        let of_connection = |kind: &str| events.iter().position(|event| event["type"] == kind).unwrap();
        let order = ["connect", "join", "leave", "close"].map(of_connection);
        assert!(order.is_sorted(), "{order:?}");
        for post in backend.posts() {
            assert!(post.is_signed && post.path == "/in?key=hidden-in-url", "{post:?}");
            assert_eq!((&post.body["webhook"], &post.body["dropped"]), (&json!("test"), &json!(0)));
        }
        assert_eq!(server.metric("fanfare_webhook_posted_total"), 34.0);
        assert_eq!(server.metric("fanfare_webhook_queued"), 0.0);
        assert_eq!(server.metric("fanfare_webhook_queue_bytes"), 0.0);
    }
}

#[test]
fn only_what_is_wanted_is_posted_and_data_only_if_so() {
    let backend = Backend::start();
    let server = start(
        &backend,
        "events = [\"publish\", \"join\"]\nrooms = [\"chat:*\"]\nmessage_types = [\"order_*\", \"say\"]\npayload = false",
    );
    let mut ben = Client::join_server(&server, "ben", "user");
    ben.join("other:1");
    ben.join("chat:1");
    for (room, event) in
        [("chat:1", "other"), ("other:1", "say"), ("chat:2", "order_placed"), ("chat:1", "say")]
    {
        ben.ask(json!({ "type": "publish", "room": room, "event": event, "data": "secret-data" }));
    }
    let events: Vec<String> = backend.expect_events(3).iter().map(brief).collect();
    assert_eq!(events, ["join chat:1 - -", "publish chat:2 order_placed -", "publish chat:1 say -"]);
    assert!(backend.posts().iter().all(|post| !post.text.contains("secret-data")));
}

#[test]
fn what_services_say_arrives_like_any_message() {
    let backend = Backend::start();
    let server = start(&backend, "events = [\"publish\"]\nmessage_types = [\"$poll_*\"]");
    let mut ada = Client::join_server(&server, "ada", "admin");
    ada.join("demo:1");
    let data = json!({ "poll_id": "pace", "question": "How fast?", "options": ["slow", "fast"] });
    let opened = ada.ask(json!({ "type": "poll.open", "room": "demo:1", "data": data }));
    assert_eq!(opened["type"], "ok", "{opened}");
    let event = &backend.expect_events(1)[0];
    assert_eq!((&event["message_type"], &event["subject"]), (&json!("$poll_opened"), &json!("demo:1")));
    assert_eq!(event["data"]["question"], "How fast?", "{event}");
}

#[test]
fn the_end_of_an_operation_arrives_and_nothing_else_of_it() {
    let backend = Backend::start();
    let server = start(&backend, "events = [\"publish\"]\nmessage_types = [\"operation_complete\"]");
    let mut worker = Client::join_server(&server, "worker", "admin");
    let mut command = |verb: &str, more: Value| {
        let mut data = json!({ "operation_id": "job-7" });
        data.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let answer = worker.ask(json!({ "type": format!("operation.{verb}"), "data": data }));
        assert_eq!(answer["type"], "ok", "{answer}");
    };
    command("start", json!({ "user_id": "ada", "title": "Export" }));
    command("update", json!({ "progress": 50 }));
    command("complete", json!({ "results": { "url": "/files/7" } }));
    // Twice is once; and this one comes after all that there is of the first.
    command("complete", json!({}));
    command("start", json!({ "operation_id": "job-8" }));
    command("complete", json!({ "operation_id": "job-8" }));
    let events = backend.expect_events(2);
    let first = &events[0];
    assert_eq!(
        (&first["type"], &first["message_type"], &first["subject"]),
        (&json!("publish"), &json!("operation_complete"), &json!("operation:job-7")),
        "{first}"
    );
    assert_eq!(
        (&first["data"]["status"], &first["data"]["results"]["url"]),
        (&json!("completed"), &json!("/files/7"))
    );
    assert_eq!((&events[1]["subject"], events.len()), (&json!("operation:job-8"), 2), "{events:?}");
    assert!(backend.posts().iter().all(|post| post.is_signed));
}

#[test]
fn what_a_user_has_acknowledged_arrives_where_signals_are_wanted() {
    let backend = Backend::start();
    let server = start(&backend, "events = [\"signal\"]\nmessage_types = [\"$notification_acknowledged\"]");
    let mut ada = Client::join_server(&server, "ada", "admin");
    for id in ["lab", "other"] {
        let note = json!({ "notification_id": id, "type": "lab_result", "title": "Ready", "user_id": "ada" });
        let sent = ada.ask(json!({ "type": "notification.send", "data": note }));
        assert_eq!(sent["type"], "ok", "{sent}");
    }
    for (verb, id) in [("acknowledge", "lab"), ("dismiss", "lab"), ("acknowledge", "other")] {
        let data = json!({ "notification_id": id });
        let done = ada.ask(json!({ "type": format!("notification.{verb}"), "data": data }));
        assert_eq!(done["type"], "ok", "{done}");
    }
    let events = backend.expect_events(2);
    assert_eq!(events.len(), 2, "{events:?}");
    for (event, id) in events.iter().zip(["lab", "other"]) {
        assert_eq!(
            (&event["type"], &event["message_type"], &event["subject"]),
            (&json!("signal"), &json!("$notification_acknowledged"), &json!("@user:ada")),
            "{event}"
        );
        assert_eq!(event["data"]["notification_id"], id, "{event}");
    }
}

#[test]
fn with_several_requests_at_a_time_each_rooms_order_is_kept() {
    let backend = Backend::answering(|post| {
        let first = post.body["events"][0]["data"].as_u64().unwrap_or_default();
        std::thread::sleep(Duration::from_millis(first % 5));
        Said::Status(200)
    });
    let server = start(&backend, "events = [\"publish\"]\nbatch = 2\nconcurrency = 3");
    let mut ben = Client::join_server(&server, "ben", "user");
    for number in 0..60 {
        ben.publish(&format!("chat:{}", number % 6), json!(number));
    }
    let events = backend.expect_events(60);
    for room in 0..6 {
        let of_room = events.iter().filter(|event| event["subject"] == format!("chat:{room}"));
        let numbers: Vec<u64> = of_room.map(|event| event["data"].as_u64().unwrap()).collect();
        assert_eq!(numbers, (0..10).map(|round| round * 6 + room).collect::<Vec<_>>());
    }
    let lanes: HashSet<String> =
        backend.posts().iter().map(|post| post.id.split("-batch").next().unwrap().to_owned()).collect();
    assert!(lanes.len() > 1, "{lanes:?}");
}

#[test]
fn messagepack_arrives_as_json() {
    let backend = Backend::start();
    let server = start(&backend, "events = [\"publish\"]");
    Client::packed(&server, "ben", "user").publish("chat:1", json!({ "a": [1, true, "ü"] }));
    assert_eq!(backend.expect_events(1)[0]["data"], json!({ "a": [1, true, "ü"] }));
}

#[test]
fn what_fails_is_posted_again_as_it_was_before_anything_else() {
    let mut failures = 0;
    let backend = Backend::answering(move |_| {
        failures += 1;
        Said::Status(if failures <= 3 { 500 } else { 200 })
    });
    let server = start(&backend, "events = [\"publish\"]\nbatch = 1");
    let mut ben = Client::join_server(&server, "ben", "user");
    for number in 0..5 {
        ben.publish("chat:1", json!(number));
    }
    let posts = backend.expect(8);
    let data: Vec<u64> = posts.iter().map(|post| post.body["events"][0]["data"].as_u64().unwrap()).collect();
    assert_eq!(data, [0, 0, 0, 0, 1, 2, 3, 4]);
    assert!(posts[..4].iter().all(|post| (&post.id, &post.text) == (&posts[0].id, &posts[0].text)));
    assert!(posts.iter().all(|post| post.is_signed));
    let ids: HashSet<&String> = posts.iter().map(|post| &post.id).collect();
    assert_eq!(ids.len(), 5);
    eventually("all are counted", || (server.metric("fanfare_webhook_posted_total") == 5.0).then_some(()));
    assert_eq!(server.metric("fanfare_webhook_failed_total"), 3.0);
    assert!(server.log().contains("the webhook fails") && server.log().contains("well again"));
}

#[test]
fn what_is_refused_or_fails_too_often_is_given_up_and_the_next_request_says_so() {
    let backend = Backend::answering(|post| match post.body["events"][0]["data"].as_u64() {
        Some(0) => Said::Status(410),
        Some(1) => Said::Status(503),
        _ => Said::Status(200),
    });
    let server = start(&backend, "events = [\"publish\"]\nbatch = 1\nattempts = 3");
    let mut ben = Client::join_server(&server, "ben", "user");
    for number in 0..3 {
        ben.publish("chat:1", json!(number));
    }
    let posts = backend.expect(5);
    let data: Vec<u64> = posts.iter().map(|post| post.body["events"][0]["data"].as_u64().unwrap()).collect();
    assert_eq!(data, [0, 1, 1, 1, 2], "what will never be taken is not tried again");
    assert_eq!(posts[1].body["dropped"], 1);
    assert_eq!(posts[4].body["dropped"], 2);
    eventually("it is counted", || (server.metric("fanfare_webhook_posted_total") == 1.0).then_some(()));
    assert_eq!(server.metric("fanfare_webhook_given_up_total"), 2.0);
}

#[test]
fn a_backend_that_asks_for_time_gets_it() {
    let mut first = true;
    let backend =
        Backend::answering(
            move |_| {
                if std::mem::take(&mut first) { Said::Later(429, 1) } else { Said::Status(200) }
            },
        );
    let config = config(&backend, "events = [\"connect\"]").replace("\"50ms\"", "\"5s\"");
    let server = Server::with(&config);
    let began = Instant::now();
    let _ben = Client::join_server(&server, "ben", "user");
    backend.expect(2);
    assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
}

#[test]
fn a_full_queue_drops_the_newest_counts_them_and_holds_up_nobody() {
    let backend = Backend::answering(|_| Said::Nothing);
    let server = start(&backend, "events = [\"publish\"]\nbatch = 1\nqueue = 5\ntimeout = \"600ms\"");
    let mut ben = Client::join_server(&server, "ben", "user");
    let began = Instant::now();
    for number in 0..20 {
        ben.publish("chat:1", json!(number));
    }
    assert!(began.elapsed() < Duration::from_millis(500), "{:?}", began.elapsed());
    assert_eq!(server.metric("fanfare_webhook_dropped_total"), 15.0);
    assert_eq!(server.metric("fanfare_webhook_queued"), 5.0);
    backend.answers(|_| Said::Status(200));
    eventually("all are taken", || (server.metric("fanfare_webhook_posted_total") == 5.0).then_some(()));
    let mut data: Vec<u64> = backend.events().iter().map(|event| event["data"].as_u64().unwrap()).collect();
    data.dedup();
    assert_eq!(data, [0, 1, 2, 3, 4], "a beginning without gaps");
    assert_eq!(server.metric("fanfare_webhook_queued"), 0.0);
    ben.publish("chat:1", json!(20));
    let dropped = |backend: &Backend| {
        let of = |post: &crate::support::Post| post.body["dropped"].as_u64().unwrap();
        let mut seen = HashSet::new();
        let posts = backend.posts();
        posts.iter().filter(|post| seen.insert(post.id.clone())).map(of).sum::<u64>()
    };
    eventually("the loss is told", || (dropped(&backend) == 15).then_some(()));
}

#[test]
fn bytes_that_wait_have_a_bound_too() {
    let backend = Backend::answering(|_| Said::Nothing);
    let server = start(&backend, "events = [\"publish\"]\nbatch = 1\nqueue_bytes = \"64KiB\"");
    let mut ben = Client::join_server(&server, "ben", "user");
    for _ in 0..10 {
        ben.publish("chat:1", json!("x".repeat(30_000)));
    }
    assert_eq!(server.metric("fanfare_webhook_queued"), 3.0);
    assert_eq!(server.metric("fanfare_webhook_dropped_total"), 7.0);
}

#[test]
fn a_server_that_ends_posts_what_waits_first() {
    for options in deployments() {
        let backend = Backend::answering(|_| Said::Status(500));
        let more =
            "events = [\"publish\", \"close\"]\nbatch = 3\nattempts = 1000\n[timeouts]\ndrain = \"10s\"";
        let mut server = Server::start(Options { config: config(&backend, more), ..options });
        let mut ben = Client::join_server(&server, "ben", "user");
        for number in 0..10 {
            ben.publish("chat:1", json!(number));
        }
        backend.expect(1);
        server.signal("TERM");
        ben.end();
        drop(ben);
        backend.answers(|_| Said::Status(200));
        assert!(server.ended().success());
        let mut events: Vec<String> = backend.events().iter().map(brief).collect();
        // Every attempt brought the first ones again.
        let mut seen = HashSet::new();
        events.retain(|event| seen.insert(event.clone()));
        let mut expected: Vec<String> =
            (0..10).map(|number| format!("publish chat:1 say {number}")).collect();
        expected.push("close - - -".to_owned());
        assert_eq!(events, expected);
    }
}

#[test]
fn a_backend_that_never_answers_does_not_keep_the_server_from_ending() {
    let backend = Backend::answering(|_| Said::Nothing);
    let more = "events = [\"connect\"]\ntimeout = \"60s\"\n[timeouts]\ndrain = \"500ms\"";
    let mut server = start(&backend, more);
    let _ben = Client::join_server(&server, "ben", "user");
    backend.expect(1);
    let began = Instant::now();
    server.signal("TERM");
    assert!(server.ended().success());
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    assert!(server.log().contains("the server ends before the webhook does"));
}

#[test]
fn operators_see_how_each_fares_and_nobody_sees_a_secret() {
    let backend = Backend::answering(|_| Said::Status(500));
    let server = start(&backend, "events = [\"connect\"]\nattempts = 1000");
    let _ben = Client::join_server(&server, "ben", "user");
    backend.expect(2);
    let shown = get(&server, "/v1/webhooks");
    assert_eq!(shown.status, 200, "{}", shown.body);
    let row = &shown.json()["webhooks"][0];
    assert_eq!((&row["name"], &row["queued"], &row["posted"]), (&json!("test"), &json!(1), &json!(0)));
    assert_eq!(row["origin"], json!(format!("http://{}", backend.address)));
    assert_eq!(row["last_error"]["message"], "HTTP 500");
    assert_eq!((&row["last_success_at_unix_ms"], &shown.json()["hooks"]), (&Value::Null, &Value::Null));
    backend.answers(|_| Said::Status(200));
    let row = eventually("it is well", || {
        let row = get(&server, "/v1/webhooks").json()["webhooks"][0].clone();
        (row["posted"] == 1).then_some(row)
    });
    assert!(row["last_success_at_unix_ms"].as_u64().unwrap() > 1_700_000_000_000);
    assert_eq!(row["circuit"], "closed");
    assert_eq!(request(&server, "GET", "/v1/webhooks", &[], "").status, 401);
    assert_eq!(request(&server, "GET", "/v1/webhooks", &[("authorization", "Bearer x")], "").status, 401);
    let bearer = format!("Bearer {}", token("root", "admin", json!({})));
    assert_eq!(request(&server, "DELETE", "/v1/webhooks", &[("authorization", &bearer)], "").status, 405);
    let page = request(&server, "GET", "/metrics", &[], "").body;
    for seen in [shown.body, page, server.log()] {
        assert!(!seen.contains(SECRET) && !seen.contains("hidden-in-url"), "{seen}");
    }
}

#[test]
fn without_webhooks_there_is_nothing_to_see() {
    let server = Server::start(Options::default());
    assert_eq!(get(&server, "/v1/webhooks").json(), json!({ "webhooks": [], "hooks": null }));
    assert!(!request(&server, "GET", "/metrics", &[], "").body.contains("fanfare_webhook"));
}
