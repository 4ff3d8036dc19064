//! Connections that are made and then say nothing, or half of something: each goes in its time, nobody waits for it.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::fleet::{Fleet, publish};
use crate::support::{Client, Ended, Raw, Server, eventually, token, upgrade};
use crate::world::{connections, paced};

const HANDSHAKE: Duration = Duration::from_millis(1_000);
const AUTH: Duration = Duration::from_millis(1_500);
/// How much later than its time something may happen: timers are looked at four times a second, and the
/// machine is not ours alone.
const SLACK: Duration = Duration::from_millis(1_500);
const EACH: usize = 100;

fn server() -> Server {
    Server::with("[limits]\ncommands_per_minute = 0\n[timeouts]\nhandshake = \"1s\"\nauth = \"1500ms\"\n")
}

/// How long it took until the server ended each of them, and how.
fn ends(connections: &mut [(Instant, Raw)], how: impl Fn(&mut Raw)) -> Vec<Duration> {
    let mut end = |(since, raw): &mut (Instant, Raw)| {
        how(raw);
        since.elapsed()
    };
    connections.iter_mut().map(&mut end).collect()
}

fn assert_in_time(what: &str, after: &[Duration], due: Duration) {
    let (first, last) = (after.iter().min().unwrap(), after.iter().max().unwrap());
    eprintln!("{what}: ended after {first:?} to {last:?}");
    assert!(*first >= due.mul_f64(0.95), "{what}: one ended after {first:?}, before its time");
    assert!(*last <= due + SLACK, "{what}: one ended after {last:?}");
}

#[test]
fn silence_and_halves_end_in_their_time_and_nobody_else_notices() {
    const MEMBERS: usize = 20;
    let server = server();
    let mut fleet = Fleet::join(&server, "room:1", MEMBERS);
    let mut publisher = Client::join_server(&server, "p", "user");
    let (descriptors, tokenless) =
        (server.descriptors(), upgrade("", "").replace("Authorization: Bearer \r\n", ""));
    fleet.while_working(|| {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let open = |_| (Instant::now(), Raw::connect(&server));
                let mut silent: Vec<_> = (0..EACH).map(open).collect();
                let after = ends(&mut silent, |raw| assert_eq!(raw.rest(), ""));
                assert_in_time("silent", &after, HANDSHAKE);
            });
            scope.spawn(|| {
                let open = |number: usize| {
                    let (since, mut raw) = (Instant::now(), Raw::connect(&server));
                    raw.send(&tokenless.as_bytes()[..1 + number % (tokenless.len() - 1)]);
                    (since, raw)
                };
                let mut halves: Vec<_> = (0..EACH).map(open).collect();
                let after = ends(&mut halves, |raw| assert!(raw.rest().starts_with("HTTP/1.1 408 ")));
                assert_in_time("half a handshake", &after, HANDSHAKE);
            });
            scope.spawn(|| {
                let open = |_| {
                    let (since, mut raw) = (Instant::now(), Raw::connect(&server));
                    raw.send(tokenless.as_bytes());
                    assert_eq!(raw.head().status, 101);
                    (since, raw)
                };
                let mut strangers: Vec<_> = (0..EACH).map(open).collect();
                let after = ends(&mut strangers, |raw| assert_eq!(raw.end(), Ended::Code(4_001)));
                assert_in_time("without a token", &after, AUTH);
            });
            let mut last = 0;
            paced(150, Duration::from_millis(20), |_, due_us| {
                last = publish(&mut publisher, "room:1", due_us, 100);
            });
            last
        })
    });
    eprintln!("p99 {:?} beside {} of them", fleet.p99(), 3 * EACH);
    fleet.assert_alive();
    connections(&server, MEMBERS + 1);
    eventually("no descriptor is lost", || (server.descriptors() <= descriptors).then_some(()));
    eventually("no handshake is left", || (server.metric("fanfare_http_connections") == 1.0).then_some(()));
}

#[test]
fn a_handshake_that_dribbles_in_has_no_more_time_than_one_that_does_not() {
    let server = server();
    let request = upgrade(&token("slow", "user", json!({})), "");
    let (since, mut raw) = (Instant::now(), Raw::connect(&server));
    raw.stream.set_nonblocking(true).unwrap();
    let mut ended = None;
    // So slow that it would not be complete for a long time.
    let every = Duration::from_millis(50);
    paced(((HANDSHAKE + SLACK).as_millis() / every.as_millis()) as u64, every, |number, _| {
        raw.send(&request.as_bytes()[number as usize..][..1]);
        if !raw.take_in() {
            ended.get_or_insert_with(|| since.elapsed());
        }
    });
    assert_in_time("a byte at a time", &[ended.expect("an end")], HANDSHAKE);
}
