//! The live tail: what it is sent, and what becomes of one that does not read.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{bearer, counted, records, tail};
use crate::support::{Client, Options, Server, eventually};

#[test]
fn a_tail_is_sent_what_comes_on_other_shards_and_nothing_else() {
    for driver in ["uring", "epoll"] {
        let server = Server::start(Options { driver, shards: 4, ..Options::default() });
        let mut early = Client::join_server(&server, "early", "user");
        early.publish("early", json!("before"));
        counted(&server, "messages", 1);
        let mut all = tail(&server, "");
        let mut tails: Vec<Client> =
            (0..4).map(|_| tail(&server, "kind=messages&room=chat:*&type=say&user=u3")).collect();
        let mut errors = tail(&server, "kind=errors");
        let mut clients: Vec<Client> =
            (0..8).map(|n| Client::join_server(&server, &format!("u{n}"), "user")).collect();
        for (n, client) in clients.iter_mut().enumerate() {
            client.publish("other", json!(n));
            client.publish(&format!("chat:{n}"), json!(n));
        }
        for tail in &mut tails {
            let record = tail.receive().unwrap();
            let told = (&record["kind"], &record["room"], &record["user_id"], &record["bytes"]);
            assert_eq!(told, (&json!("message"), &json!("chat:3"), &json!("u3"), &json!(1)), "{record}");
        }
        let (mut connects, mut messages) = (0, 0);
        while (connects, messages) != (8, 16) {
            let record = all.receive().unwrap();
            match (record["kind"].as_str().unwrap(), record["type"].as_str().unwrap()) {
                ("event", "connect") => connects += 1,
                ("message", "say") => messages += 1,
                _ => panic!("{record}"),
            }
            assert_ne!(record["room"], "early", "from before it began");
        }
        clients[0].ask(json!({"type": "nonsense"}));
        assert_eq!(errors.receive().unwrap()["type"], "INVALID_MESSAGE");
        clients[3].publish("chat:9", json!(1));
        for tail in &mut tails {
            assert_eq!(tail.receive().unwrap()["room"], "chat:9", "nothing else came between");
        }
        // What a tail says is of no interest, and does not end it.
        all.send(&json!({"type": "join", "room": "chat:1"}));
        // One says goodbye, the other is lost: neither is of interest.
        errors.socket.close(None).unwrap();
        errors.end();
        drop(tails.pop());
        eventually("their places are free", || {
            (server.metric("fanfare_inspector_tails") == 4.0).then_some(())
        });
        clients[3].publish("chat:9", json!(1));
        while all.receive().unwrap()["room"] != "chat:9" {}
        assert!(records(&server, "events?type=close").is_empty(), "the ends of tails are not shown");
    }
}

#[test]
fn a_tail_follows_also_where_more_passes_between_two_ticks_than_is_held() {
    let config = "[limits]\ncommands_per_minute = 0\n[inspector]\nmessages = 100\n".to_owned();
    let server = Server::start(Options { shards: 4, config, ..Options::default() });
    let tails: Vec<_> = (0..4)
        .map(|_| {
            let mut tail = tail(&server, "kind=messages");
            std::thread::spawn(move || {
                let (mut seen, mut skipped) = (0, 0);
                while seen + skipped < 2_000 {
                    let record = tail.receive().unwrap();
                    match record["kind"].as_str().unwrap() {
                        "skipped" => skipped += record["count"].as_u64().unwrap(),
                        _ => seen += 1,
                    }
                }
                seen
            })
        })
        .collect();
    let mut client = Client::join_server(&server, "ada", "user");
    for n in 0..2_000 {
        client.publish("chat:1", json!(n));
    }
    // With looks at ticks alone it would be 400 for each second that this took.
    let seen: Vec<u64> = tails.into_iter().map(|tail| tail.join().unwrap()).collect();
    assert!(seen.iter().all(|seen| *seen >= 1_400), "{seen:?}");
}

#[test]
fn a_tail_that_does_not_read_skips_and_is_told() {
    let config =
        "[limits]\ncommands_per_minute = 0\n[inspector]\npayloads = true\nmessages = 50\n".to_owned();
    let server = Server::start(Options { config, ..Options::default() });
    let mut lazy = tail(&server, "kind=messages");
    let mut client = Client::join_server(&server, "ada", "user");
    let text = "x".repeat(3_000);
    let mut published = 0;
    eventually("it is behind", || {
        (0..500).for_each(|_| published = client.publish("chat:1", json!(text)));
        // Blocked, and by more than what is held.
        (server.metric("fanfare_backlogs") >= 1.0).then_some(())
    });
    (0..200).for_each(|_| published = client.publish("chat:1", json!(text)));
    let (mut seen, mut skipped, mut last) = (0, 0, 0);
    while last < published {
        let record = lazy.receive().unwrap();
        if record["kind"] == "skipped" {
            skipped += record["count"].as_u64().unwrap();
            continue;
        }
        seen += 1;
        last = record["offset"].as_u64().unwrap();
        assert_eq!(last, seen + skipped, "what is missing was told before");
    }
    assert!(skipped > 0 && seen + skipped == published, "{seen} {skipped} {published}");
    assert_eq!(server.metric("fanfare_inspector_skipped_total"), skipped as f64);
}

#[test]
fn there_are_so_many_tails_and_no_more() {
    let server = Server::start(Options::default());
    let mut tails: Vec<Client> = (0..16).map(|_| tail(&server, "")).collect();
    let one_more = || Client::connect(&server, "/v1/inspector/tail", &[("authorization", &bearer())]);
    assert_eq!(one_more().map(drop), Err(503));
    tails.pop();
    eventually("a place", || one_more().ok());
}

#[test]
fn a_tail_lives_without_saying_anything() {
    let config = "[heartbeat]\ninterval = \"100ms\"\nidle = \"1s\"\n".to_owned();
    let server = Server::start(Options { config, ..Options::default() });
    let mut tail = tail(&server, "kind=errors");
    // Reading answers the pings. Without them the connection would end after `idle`.
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(3) {
        let ping = tail.socket.read().unwrap();
        assert!(matches!(ping, tungstenite::Message::Ping(_)), "{ping:?}");
    }
    Client::connect(&server, "/v1/ws?token=bad", &[]).unwrap().end();
    assert_eq!(tail.receive().unwrap()["type"], "AUTHENTICATION_FAILED");
}
