//! Members that read a byte a second, or offer no window at all, and say that they live. What waits for them is
//! bounded, whatever they do instead of reading.
//!
//! That a member which takes nothing for half a minute is ended takes half a minute to see:
//! `cargo test -p fanfare --test faults -- --ignored`.

use std::io::Read;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::fleet::{Fleet, publish};
use crate::support::{Client, Ended, Options, Raw, Server, eventually};
use crate::world::{closes, connections, narrow, paced, paced_while};

const BACKLOG: u64 = 256 * 1_024;
const MEMBERS: usize = 10;

fn server(driver: &'static str, grace: &str) -> Server {
    let config = format!(
        "[limits]\ncommands_per_minute = 0\nreplay = \"64KiB\"\nbacklog = {BACKLOG}\nsend_buffer = \"16KiB\"\n\
         [heartbeat]\ninterval = \"1s\"\ngrace = \"{grace}\"\n"
    );
    Server::start(Options { driver, config, ..Options::default() })
}

/// A pong that nobody asked for: whoever sends it now and then is alive.
fn alive(raw: &mut Raw) {
    raw.send_frame(0x8a, b"");
}

fn bytes_waiting(server: &Server) -> u64 {
    server.metric("fanfare_backlog_bytes") as u64
}

#[test]
fn who_hardly_reads_stays_within_its_bound_and_goes_beyond_it_with_io_uring() {
    hardly_reading("uring");
}

#[test]
fn who_hardly_reads_stays_within_its_bound_and_goes_beyond_it_with_epoll() {
    hardly_reading("epoll");
}

fn hardly_reading(driver: &'static str) {
    let server = server(driver, "10s");
    let mut fleet = Fleet::join(&server, "room:1", MEMBERS);
    let mut publisher = Client::join_server(&server, "p", "user");
    let (mut trickle, mut shut) = (narrow(&server, "room:1"), narrow(&server, "room:1"));
    let mut read = 0;
    fleet.while_working(|| {
        let mut last = 0;
        // Less than may wait: for three seconds they are within their rights.
        paced(75, Duration::from_millis(40), |number, due_us| {
            last = publish(&mut publisher, "room:1", due_us, 2_700);
            if number % 25 == 0 {
                read += trickle.stream.read(&mut [0]).unwrap();
                alive(&mut trickle);
                alive(&mut shut);
            }
        });
        eventually("what waits is seen", || (server.metric("fanfare_backlogs") == 2.0).then_some(()));
        let waiting = bytes_waiting(&server);
        assert!(waiting > 2 * 64 * 1_024, "only {waiting} bytes wait: they are not stalled");
        assert_eq!(server.metric("fanfare_connections"), (MEMBERS + 3) as f64);
        last
    });
    assert_eq!(read, 3);
    let (calm, waiting) = (fleet.p99(), bytes_waiting(&server));
    // Beyond it they are ended. Reading another byte does not save anybody.
    fleet.while_working(|| {
        let mut last = 0;
        let both = |_| closes(&server, 4_008) < 2;
        paced_while(both, Duration::from_millis(10), |_, due_us| {
            last = publish(&mut publisher, "room:1", due_us, 4_000);
            assert!(bytes_waiting(&server) <= 2 * (BACKLOG + 8_192));
        });
        // One that wakes up in time finds out why.
        assert_eq!(shut.end(), Ended::Code(4_008));
        last
    });
    fleet.assert_alive();
    eprintln!("{driver}: {waiting} bytes waited for two; p99 of the others {calm:?}, then {:?}", fleet.p99());
    // The other holds on to its end, and is cut all the same.
    connections(&server, MEMBERS + 1);
    assert_eq!((bytes_waiting(&server), closes(&server, 4_007)), (0, 0));
}

#[test]
fn who_reads_nothing_and_says_nothing_is_found_by_the_heartbeat() {
    let server = server("auto", "1s");
    let mut publisher = Client::join_server(&server, "p", "user");
    let since = Instant::now();
    let shut = narrow(&server, "room:1");
    for _ in 0..20 {
        publisher.publish("room:1", json!("x".repeat(4_000)));
    }
    eventually("it is stalled", || (server.metric("fanfare_backlogs") == 1.0).then_some(()));
    eventually("it is ended", || {
        publisher.publish("room:2", json!(1));
        (closes(&server, 4_007) == 1).then_some(())
    });
    assert!(since.elapsed() >= Duration::from_secs(2), "{:?}", since.elapsed());
    assert!(since.elapsed() <= Duration::from_secs(5), "{:?}", since.elapsed());
    // The ping and the goodbye still wait behind what it did not read: it is cut.
    connections(&server, 1);
    assert_eq!(server.metric("fanfare_backlogs"), 0.0);
    drop(shut);
}

#[test]
fn who_asks_and_never_reads_the_answers_is_ended_too() {
    let server = server("auto", "10s");
    let mut asking = narrow(&server, "room:1");
    let question = json!({"type": "heartbeat", "id": 1, "data": "x".repeat(4_000)}).to_string();
    let mut most = 0;
    eventually("it is told to go", || {
        // Once it is ended this goes nowhere.
        asking.send_frame(0x81, question.as_bytes());
        most = most.max(bytes_waiting(&server));
        (closes(&server, 4_008) == 1).then_some(())
    });
    eprintln!("{most} bytes of answers waited at most");
    assert!(most > BACKLOG / 4 && most <= BACKLOG + 8_192, "{most} bytes waited");
    connections(&server, 0);
}

/// Members of a quiet room have less waiting than they may, and still must not keep it for ever.
#[test]
#[ignore = "takes forty seconds: the rule is that nothing was taken for thirty"]
fn who_takes_nothing_for_half_a_minute_is_ended() {
    let server = server("auto", "10s");
    let mut publisher = Client::join_server(&server, "p", "user");
    let (mut trickle, mut shut) = (narrow(&server, "room:1"), narrow(&server, "room:1"));
    for _ in 0..30 {
        publisher.publish("room:1", json!("x".repeat(4_000)));
    }
    eventually("both are stalled", || (server.metric("fanfare_backlogs") == 2.0).then_some(()));
    let since = Instant::now();
    let mut ended = None;
    paced(80, Duration::from_millis(500), |number, _| {
        if number % 2 == 0 {
            // At the end of the connection there is nothing to read.
            let _ = trickle.stream.read(&mut [0]);
        }
        [&mut trickle, &mut shut].into_iter().for_each(alive);
        publisher.publish("room:2", json!(1));
        if closes(&server, 4_008) == 2 {
            ended.get_or_insert_with(|| since.elapsed());
        }
    });
    eprintln!("ended after {ended:?}");
    let ended = ended.expect("both are ended");
    assert!(ended >= Duration::from_secs(29) && ended <= Duration::from_secs(33), "{ended:?}");
    connections(&server, 1);
    assert_eq!(shut.end(), Ended::Cut);
}
