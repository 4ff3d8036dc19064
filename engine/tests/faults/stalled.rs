//! One member in ten never reads. The others feel nothing of it, and it costs a bounded amount.
//!
//! What a CI machine can tell is a ratio within one run, with a margin. For figures, on a machine that does nothing
//! else: `fanfare-loadgen slow --dev --members 5000 --slow 500 --size 1024 --rate 100 --duration 30s --pid PID`.

use std::time::Duration;

use serde_json::json;

use crate::fleet::{Fleet, publish};
use crate::support::{Client, Raw, Server, eventually};
use crate::world::{alone, closes, connections, members_of, narrow, paced};

const BACKLOG: u64 = 64 * 1_024;

/// Small bounds, so that they are reached soon.
fn server(more: &str) -> Server {
    Server::with(&format!(
        "[limits]\ncommands_per_minute = 0\nmessage_size = \"32KiB\"\nreplay = \"64KiB\"\nbacklog = {BACKLOG}\n\
         send_buffer = \"16KiB\"\n[[room_type]]\nname = \"live\"\nhistory = {{ size = 0 }}\n{more}"
    ))
}

#[test]
fn one_in_ten_that_never_reads_is_not_felt_by_the_others() {
    const MEMBERS: usize = 450;
    const STALLED: usize = 50;
    const MESSAGES: u64 = 150;
    // A neighbour on the machine may spoil one comparison; what the stalled members do, they do each time.
    const ROUNDS: u64 = 3;
    let _alone = alone();
    let server = server("");
    let mut fleet = Fleet::join(&server, "live:1", MEMBERS);
    let mut publisher = Client::join_server(&server, "p", "user");
    // Gives the latency, and the most memory that was seen meanwhile.
    let mut load = |fleet: &mut Fleet| {
        let mut most = 0;
        fleet.while_working(|| {
            let mut last = 0;
            paced(MESSAGES, Duration::from_millis(20), |_, due_us| {
                last = publish(&mut publisher, "live:1", due_us, 1_024);
                most = most.max(server.resident());
            });
            last
        });
        (fleet.p99(), most)
    };
    for round in 1..=ROUNDS {
        let (without, before) = load(&mut fleet);
        let stalled: Vec<Raw> = (0..STALLED).map(|_| narrow(&server, "live:1")).collect();
        let (with, most) = load(&mut fleet);
        let grown = most.saturating_sub(before);
        eprintln!(
            "p99 without stalled members {without:?}, with them {with:?}; memory grew by {} KiB",
            grown / 1_024
        );
        fleet.assert_alive();
        // Each may have its bound waiting and one message over it; the rest is the allocator's.
        let bound = STALLED as u64 * (BACKLOG + 4_096) + (4 << 20);
        assert!(grown <= bound, "memory grew by {grown} bytes, {bound} are allowed");
        let let_go = round * STALLED as u64;
        eventually("all stalled ones are told to go", || (closes(&server, 4_008) == let_go).then_some(()));
        eventually("they are counted", || {
            (server.metric("fanfare_slow_disconnects_total") == let_go as f64).then_some(())
        });
        assert_eq!(members_of(&server, "live:1"), MEMBERS as u64);
        eventually("nothing waits for them", || {
            (server.metric("fanfare_backlog_bytes") == 0.0).then_some(())
        });
        // They are cut, although they still hold their ends.
        connections(&server, MEMBERS + 1);
        drop(stalled);
        if with <= 2 * without + Duration::from_millis(10) {
            return;
        }
    }
    panic!("the others waited longer each time");
}

#[test]
fn one_that_stays_and_never_reads_costs_no_more_for_what_is_sent_to_it() {
    const STALLED: usize = 20;
    const MESSAGES: u64 = 1_000;
    const BYTES: usize = 16_000;
    let _alone = alone();
    let server = server("slow = \"drop_oldest\"\n");
    let stalled: Vec<Raw> = (0..STALLED).map(|_| narrow(&server, "live:1")).collect();
    let mut publisher = Client::join_server(&server, "p", "user");
    let resident = server.resident();
    let (mut waiting, mut grown) = (0.0_f64, 0);
    for number in 1..=MESSAGES {
        assert_eq!(publisher.publish("live:1", json!("x".repeat(BYTES))), number);
        if number % 50 == 0 {
            waiting = waiting.max(server.metric("fanfare_backlog_bytes"));
            grown = grown.max(server.resident().saturating_sub(resident));
        }
    }
    eprintln!("{waiting} bytes waited for {STALLED} at most; memory grew by {} KiB", grown / 1_024);
    let bound = STALLED as u64 * (BACKLOG + 2 * BYTES as u64);
    assert!(waiting > 0.0 && waiting <= bound as f64, "{waiting} bytes wait, {bound} may");
    assert!(grown <= bound + (8 << 20), "memory grew by {grown} bytes");
    assert!(server.metric("fanfare_shed_total") > 0.0);
    // They are still members: their room lets them stay.
    assert_eq!(members_of(&server, "live:1"), STALLED as u64);
    drop(stalled);
}
