//! The server is told to end in the middle of the work: what it acknowledged it delivers, everybody is told, and the
//! exit code is 0.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::fleet::Fleet;
use crate::support::{Client, Ended, Options, Server, eventually};
use crate::world::{alone, connections};

const ROOM: &str = "room:1";
const MEMBERS: usize = 300;
const PUBLISHERS: usize = 3;
/// Between an answer and a member's last message stands the way through the mesh, and the moment at which we look. What
/// was answered so long before a member's end, that member must have.
const WAY: Duration = Duration::from_millis(100);

/// A publish that was answered.
struct Acknowledged {
    message_id: String,
    offset: u64,
    at: Instant,
}

/// Publishes until the connection ends; gives what was answered.
fn publish(mut client: Client, name: usize) -> Vec<Acknowledged> {
    let mut acknowledged = Vec::new();
    for number in 0.. {
        let message_id = format!("{name}-{number}");
        client.send(&json!({"type": "publish", "id": number, "room": ROOM, "event": "say", "data": name,
            "message_id": message_id}));
        let answer = loop {
            match client.receive() {
                Ok(answer) if answer["id"] == number => break answer,
                Ok(_) => {}
                Err(ended) => {
                    assert_eq!(ended, Ended::Code(1_012), "a publisher");
                    return acknowledged;
                }
            }
        };
        assert_eq!(answer["type"], "published", "{answer}");
        assert_eq!(answer["message_id"], message_id.as_str());
        acknowledged.push(Acknowledged {
            message_id,
            offset: answer["offset"].as_u64().unwrap(),
            at: Instant::now(),
        });
        std::thread::sleep(Duration::from_millis(25));
    }
    unreachable!("the numbers do not end")
}

/// Everything a member gets until its end.
fn witness(mut client: Client) -> Vec<Value> {
    let (messages, ended) = client.end();
    assert_eq!(ended, Ended::Code(1_012), "the witness");
    messages.into_iter().filter(|message| message["type"] == "say").collect()
}

#[test]
fn what_was_acknowledged_before_the_end_has_been_delivered() {
    let _alone = alone();
    for driver in ["uring", "epoll"] {
        let config = "[limits]\ncommands_per_minute = 0\n".to_owned();
        let mut server = Server::start(Options { driver, config, ..Options::default() });
        let mut fleet = Fleet::join(&server, ROOM, MEMBERS);
        // Goodbyes are said in the order of arrival, so these work on while the members go.
        let clients: Vec<Client> =
            (0..PUBLISHERS).map(|_| Client::join_server(&server, "p", "user")).collect();
        let mut seeing = Client::join_server(&server, "w", "user");
        seeing.join(ROOM);
        connections(&server, MEMBERS + PUBLISHERS + 1);
        let told = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let seen = scope.spawn(|| witness(seeing));
            let publishing: Vec<_> = clients
                .into_iter()
                .enumerate()
                .map(|(name, client)| scope.spawn(move || publish(client, name)))
                .collect();
            let mut signalled = Instant::now();
            fleet.until("everybody's end", |fleet| {
                if fleet.members[0].offset >= 50 && !told.swap(true, Ordering::Relaxed) {
                    server.signal("TERM");
                    signalled = Instant::now();
                }
                fleet.members.iter().all(|member| member.ended.is_some())
            });
            let acknowledged: Vec<Acknowledged> =
                publishing.into_iter().flat_map(|each| each.join().unwrap()).collect();
            let seen = seen.join().unwrap();
            let status = server.ended();
            assert!(status.success(), "{status}");
            let took = signalled.elapsed();
            // Far from the grace, which would cut whoever is left.
            assert!(took < Duration::from_secs(10), "the end took {took:?}");
            check(&fleet, &acknowledged, &seen, signalled);
            eprintln!("{driver}: ended {took:?} after the signal");
        });
        eventually("the last word", || server.log().contains("drained").then_some(()));
    }
}

fn check(fleet: &Fleet, acknowledged: &[Acknowledged], seen: &[Value], signalled: Instant) {
    let (mut owed, mut way) = (0, Duration::ZERO);
    for member in &fleet.members {
        let (ended, at) = member.ended.as_ref().unwrap();
        assert_eq!(*ended, Ended::Code(1_012));
        for message in acknowledged {
            let before = at.saturating_duration_since(message.at);
            if member.offset < message.offset {
                way = way.max(before);
            } else {
                owed += usize::from(message.at > signalled);
            }
        }
    }
    eprintln!(
        "{} acknowledged, {owed} deliveries of what was acknowledged after the signal; at most {way:?} on the way \
         when somebody went",
        acknowledged.len()
    );
    assert!(way <= WAY, "acknowledged {way:?} before somebody's end, and not delivered");
    assert!(owed > 0, "nothing was acknowledged while members went");
    // Every message stands in its place, and no place was given twice.
    assert!(seen.len() >= 50, "the witness saw {} messages", seen.len());
    for (message, offset) in seen.iter().zip(1_u64..) {
        assert_eq!(message["offset"], offset);
    }
    for message in acknowledged {
        if let Some(seen) = seen.get(message.offset as usize - 1) {
            assert_eq!(seen["message_id"], message.message_id.as_str());
        }
    }
    let mut offsets: Vec<u64> = acknowledged.iter().map(|message| message.offset).collect();
    offsets.sort_unstable();
    assert!(offsets.windows(2).all(|pair| pair[0] < pair[1]), "a place was given twice");
}
