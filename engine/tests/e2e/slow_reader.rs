//! A member that never reads holds up nobody, costs a bounded amount and is let go.

use serde_json::{Value, json};

use crate::support::{Client, Options, Raw, Server, eventually};

#[test]
fn a_member_that_never_reads_is_let_go_and_the_others_miss_nothing() {
    const MESSAGES: u64 = 400;
    for (driver, shards) in [("uring", 1), ("epoll", 1), ("uring", 2)] {
        let config = "[limits]\ncommands_per_minute = 0\n".to_owned();
        let server = Server::start(Options { driver, shards, config, ..Options::default() });
        let mut slow = Raw::welcomed(&server, "");
        slow.send_frame(0x81, br#"{"type":"join","id":1,"room":"room:1"}"#);
        assert!(slow.frame().is_some());
        let mut reader = Client::join_server(&server, "r", "user");
        reader.join("room:1");
        let mut publisher = Client::join_server(&server, "p", "user");
        let data = "x".repeat(16_000);
        for n in 1..=MESSAGES {
            assert_eq!(publisher.publish("room:1", json!(data)), n);
            assert_eq!(reader.expect("say")["offset"], n);
        }
        eventually("the slow one is let go", || {
            (server.metric("fanfare_slow_disconnects_total") == 1.0).then_some(())
        });
        eventually("its backlog is gone", || (server.metric("fanfare_backlog_bytes") == 0.0).then_some(()));
        reader.expect_nothing();
    }
}

#[test]
fn a_member_that_reads_late_gets_all_of_it() {
    let config = "[limits]\ncommands_per_minute = 0\nbacklog = \"4MiB\"\n".to_owned();
    let server = Server::start(Options { config, ..Options::default() });
    let mut late = Client::join_server(&server, "l", "user");
    late.join("room:1");
    let mut publisher = Client::join_server(&server, "p", "user");
    let data = "x".repeat(16_000);
    for _ in 0..200 {
        publisher.publish("room:1", json!(data));
    }
    for n in 1..=200_u64 {
        assert_eq!(late.expect("say")["offset"], n);
    }
    assert_eq!(server.metric("fanfare_slow_disconnects_total"), 0.0);
    eventually("its backlog is gone", || (server.metric("fanfare_backlog_bytes") == 0.0).then_some(()));
}

/// Publishes far more than a member that does not read may have waiting, then lets it read; gives what it got.
fn flooded(slow: &str, packed: bool, key: impl Fn(u64) -> Option<&'static str>) -> (Server, Vec<Value>) {
    const MESSAGES: u64 = 400;
    let config = format!(
        "[limits]\ncommands_per_minute = 0\n[[room_type]]\nname = \"live\"\nslow = \"{slow}\"\nhistory = {{ size = 0 }}\n"
    );
    let server = Server::start(Options { config, ..Options::default() });
    let mut late =
        if packed { Client::packed(&server, "l", "user") } else { Client::join_server(&server, "l", "user") };
    late.join("live:1");
    let mut publisher = Client::join_server(&server, "p", "user");
    let data = "x".repeat(16_000);
    for number in 1..=MESSAGES {
        let mut publish = json!({"type": "publish", "room": "live:1", "event": "say", "data": data});
        if let Some(key) = key(number) {
            publish["key"] = json!(key);
        }
        assert_eq!(publisher.ask(publish)["offset"], number);
    }
    let mut got = Vec::new();
    while got.last().is_none_or(|last: &Value| last["offset"] != MESSAGES && last["to"] != MESSAGES) {
        got.push(late.receive().unwrap());
    }
    late.expect_nothing();
    (server, got)
}

#[test]
fn where_the_oldest_are_dropped_a_slow_reader_stays_and_is_told_which() {
    for packed in [false, true] {
        let (server, got) = flooded("drop_oldest", packed, |_| None);
        let (mut next, mut missing) = (1, 0);
        for message in &got {
            let (from, to) = match message["type"].as_str() {
                Some("gap") => (message["from"].as_u64().unwrap(), message["to"].as_u64().unwrap()),
                _ => (message["offset"].as_u64().unwrap(), message["offset"].as_u64().unwrap()),
            };
            assert_eq!(from, next, "{message}");
            missing += if message["type"] == "gap" { to - from + 1 } else { 0 };
            next = to + 1;
        }
        assert!(missing > 100, "{missing}");
        assert_eq!(server.metric("fanfare_slow_disconnects_total"), 0.0);
        eventually("the count", || (server.metric("fanfare_shed_total") == missing as f64).then_some(()));
        eventually("its backlog is gone", || (server.metric("fanfare_backlog_bytes") == 0.0).then_some(()));
    }
}

#[test]
fn where_keys_are_conflated_a_slow_reader_gets_the_newest_of_each() {
    // The first message alone has its own key: it must survive all the others.
    let (server, got) =
        flooded("conflate", false, |number| if number == 100 { Some("rare") } else { Some("often") });
    let offsets: Vec<u64> = got.iter().map(|message| message["offset"].as_u64().unwrap()).collect();
    assert!(offsets.is_sorted() && offsets.len() < 300, "{} came", offsets.len());
    assert!(offsets.contains(&100) && offsets.ends_with(&[400]), "{offsets:?}");
    assert_eq!(server.metric("fanfare_slow_disconnects_total"), 0.0);
}

#[test]
fn garbage_from_many_does_not_hold_up_one() {
    let server = Server::start(Default::default());
    let mut client = Client::join_server(&server, "ada", "user");
    client.join("room:1");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for n in 0..50_u8 {
                    let mut raw = Raw::connect(&server);
                    raw.send(&[n; 2_000]);
                    drop(raw);
                    let mut raw = Raw::welcomed(&server, "");
                    raw.send(&[n; 500]);
                }
            });
        }
        for n in 1..=50_u64 {
            assert_eq!(client.publish("room:1", json!(n)), n);
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    });
    assert_eq!(server.metric("fanfare_panics_total"), 0.0);
}
