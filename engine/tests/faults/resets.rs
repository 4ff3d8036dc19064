//! Thousands of connections are opened, join and are reset, at every moment of their lives, while a room goes on.

use std::time::Duration;

use serde_json::json;
use socket2::SockRef;

use crate::fleet::{Fleet, publish};
use crate::support::{Client, Options, Raw, Server, eventually, frame, token, upgrade};
use crate::world::{alone, closes, connections, join, members_of, paced};

/// How far a connection goes before it is reset.
const LIVES: usize = 5;

/// One connection from its beginning to its reset.
fn live(server: &Server, token: &str, life: usize) {
    let mut raw = Raw::connect(server);
    // Closing it now resets it: what was not sent or read is thrown away on both sides.
    SockRef::from(&raw.stream).set_linger(Some(Duration::ZERO)).unwrap();
    let request = upgrade(token, "");
    match life {
        // In the middle of its handshake.
        0 => raw.send(&request.as_bytes()[..100]),
        // With the answers to all it asked for on their way.
        1 => {
            raw.send(request.as_bytes());
            raw.send_frame(0x81, join("room:1").as_bytes());
        }
        // A member, in the middle of a frame.
        2 => {
            joined(&mut raw, &request);
            let publish = json!({"type": "publish", "room": "room:2", "event": "say", "data": 1}).to_string();
            raw.send(&frame(0x81, publish.as_bytes())[..20]);
        }
        // A publisher without an answer, where its messages disturb nobody.
        3 => {
            joined(&mut raw, &request);
            let publish = json!({"type": "publish", "room": "room:2", "event": "say", "data": 1}).to_string();
            raw.send_frame(0x81, publish.as_bytes());
        }
        // A member to which messages are on their way.
        _ => joined(&mut raw, &request),
    }
}

fn joined(raw: &mut Raw, request: &str) {
    raw.send(request.as_bytes());
    raw.send_frame(0x81, join("room:1").as_bytes());
    assert_eq!(raw.head().status, 101);
    loop {
        let (_, payload) = raw.frame().expect("an answer");
        if payload.starts_with(b"{\"type\":\"joined\"") {
            return;
        }
    }
}

#[test]
fn members_do_not_notice_thousands_of_resets() {
    const MEMBERS: usize = 50;
    const WAVES: usize = 3;
    const WAVE: usize = 1_000;
    let _alone = alone();
    for driver in ["uring", "epoll"] {
        let config = "[limits]\ncommands_per_minute = 0\n".to_owned();
        let server = Server::start(Options { driver, config, ..Options::default() });
        let mut fleet = Fleet::join(&server, "room:1", MEMBERS);
        let mut publisher = Client::join_server(&server, "p", "user");
        let token = token("storm", "user", json!({}));
        connections(&server, MEMBERS + 1);
        // The lines of those who joined are read by another thread.
        let joins = |log: &String| log.matches("action=\"connect\"").count() == MEMBERS + 1;
        let log = eventually("the log until now", || Some(server.log()).filter(joins));
        let (descriptors, lines) = (server.descriptors(), log.lines().count());
        fleet.while_working(|| {
            std::thread::scope(|scope| {
                for _ in 0..2 {
                    scope.spawn(|| {
                        for _ in 0..WAVES {
                            (0..WAVE / 2).for_each(|number| live(&server, &token, number % LIVES));
                            eventually("the wave is over", || {
                                (server.metric("fanfare_connections") < 2.0 * MEMBERS as f64).then_some(())
                            });
                        }
                    });
                }
                let mut last = 0;
                paced(200, Duration::from_millis(10), |_, due_us| {
                    last = publish(&mut publisher, "room:1", due_us, 200);
                });
                last
            })
        });
        eprintln!("{driver}: p99 {:?} beside {} resets", fleet.p99(), WAVES * WAVE);
        fleet.assert_alive();
        connections(&server, MEMBERS + 1);
        eventually("the room is rid of them", || {
            (members_of(&server, "room:1") == MEMBERS as u64).then_some(())
        });
        eventually("no descriptor is lost", || (server.descriptors() <= descriptors).then_some(()));
        // The one that asks is one.
        eventually("no handshake is left", || {
            (server.metric("fanfare_http_connections") == 1.0).then_some(())
        });
        assert_eq!(server.metric("fanfare_backlogs"), 0.0);
        assert_eq!(server.metric("fanfare_panics_total"), 0.0);
        // Who came, joined and went, each once; nothing more is said of resets.
        let went = closes(&server, 1_006) as usize;
        let log = eventually("the log has an end for each beginning", || {
            let log = server.log();
            let count = |action: &str| log.lines().skip(lines).filter(|line| line.contains(action)).count();
            let (came, gone) = (count("action=\"connect\""), count("action=\"close\""));
            (came == went && gone == went).then_some(log)
        });
        assert!(went >= WAVES * WAVE * 3 / LIVES, "only {went} came as far as a welcome");
        let (audit, other): (Vec<_>, Vec<_>) =
            log.lines().skip(lines).partition(|line| line.contains("audit"));
        eprintln!("{driver}: {} audit lines, {} others", audit.len(), other.len());
        assert!(audit.len() <= 3 * WAVES * WAVE, "{} audit lines", audit.len());
        assert!(other.len() <= 3, "the log is flooded: {:?}", &other[..other.len().min(10)]);
    }
}
