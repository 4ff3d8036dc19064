//! Whatever happens in whatever order: a member gets every message after its join, once, in order.

use std::collections::{BTreeMap, BTreeSet};

use fanfare_core::{Options, Slow, Window};
use fanfare_sim::World;
use serde_json::{Value, json};

const ROOMS: [&str; 3] = ["a:1", "b:2", "c:3"];

/// What the test knows of one published message.
struct Published {
    by: usize,
    exclude_self: bool,
    exclude_client: Option<String>,
    roles: Vec<String>,
}

/// The last two are one client's.
fn name(client: usize) -> String {
    format!("client-{}", client.min(7))
}

struct Play {
    world: World,
    /// By the number in its data.
    published: BTreeMap<u64, Published>,
}

impl Play {
    fn publish(&mut self) {
        let world = &mut self.world;
        let by = world.random.below(world.clients.len());
        let number = self.published.len() as u64;
        let exclude_self = world.random.chance(30);
        let exclude_client =
            world.random.chance(30).then(|| name(world.random.below(world.clients.len() + 1)));
        let roles: Vec<String> =
            if world.random.chance(20) { vec![world.clients[by].role.clone()] } else { Vec::new() };
        let room = ROOMS[world.random.below(ROOMS.len())];
        let filler = "x".repeat(world.random.below(300));
        world.command(
            by,
            &json!({ "type": "publish", "id": number, "room": room, "event": "said",
                "data": { "number": number, "filler": filler },
                "exclude_self": exclude_self, "exclude_client": exclude_client, "roles": roles }),
        );
        if !world.clients[by].closed {
            self.published.insert(number, Published { by, exclude_self, exclude_client, roles });
        }
    }

    fn step(&mut self) {
        let clients = self.world.clients.len();
        let client = self.world.random.below(clients);
        let room = ROOMS[self.world.random.below(ROOMS.len())];
        match self.world.random.below(16) {
            0 | 1 => self.world.command(client, &json!({ "type": "join", "id": "j", "room": room })),
            2 => self.world.command(client, &json!({ "type": "leave", "id": "l", "room": room })),
            3..=7 => self.publish(),
            8..=10 => {
                self.world.deliver_one();
            }
            11 if self.world.random.chance(10) => self.world.lose(client),
            12 | 13 => {
                let room = self.world.random.below(2_000);
                self.world.reads(client, room);
            }
            _ => {
                let shard = self.world.random.below(self.world.cores.len());
                let mut quota = 4;
                // Inputs between the slices of a flush, of every kind.
                let mut inner = std::mem::take(&mut self.published);
                let mut next = inner.len() as u64;
                self.world.flush(shard, |world| {
                    if quota == 0 {
                        return;
                    }
                    quota -= 1;
                    let client = world.random.below(world.clients.len());
                    let room = ROOMS[world.random.below(ROOMS.len())];
                    match world.random.below(5) {
                        0 => world.command(client, &json!({ "type": "join", "id": "j", "room": room })),
                        1 => world.command(client, &json!({ "type": "leave", "id": "l", "room": room })),
                        2 => {
                            world.deliver_one();
                        }
                        3 => world.reads(client, 700),
                        _ => {
                            let exclude_self = world.random.chance(50);
                            let exclude_client = world.random.chance(30).then(|| name(7));
                            world.command(
                                client,
                                &json!({ "type": "publish", "id": next, "room": room, "event": "said",
                                    "data": { "number": next },
                                    "exclude_self": exclude_self, "exclude_client": exclude_client }),
                            );
                            if !world.clients[client].closed {
                                let (by, roles) = (client, Vec::new());
                                inner.insert(next, Published { by, exclude_self, exclude_client, roles });
                                next += 1;
                            }
                        }
                    }
                });
                self.published = inner;
            }
        }
    }

    /// Every client's log, checked against what was published.
    fn check(&self, seed: u64) {
        // Where each message went is told to its publisher.
        let mut places: BTreeMap<(String, u64), u64> = BTreeMap::new();
        for client in 0..self.world.clients.len() {
            for message in self.world.messages(client) {
                if message["type"] == "said" {
                    let place =
                        (message["room"].as_str().unwrap().to_owned(), message["offset"].as_u64().unwrap());
                    let number = message["data"]["number"].as_u64().unwrap();
                    let known = places.insert(place, number);
                    assert!(
                        known.is_none_or(|known| known == number),
                        "seed {seed}: two messages in one place"
                    );
                }
            }
        }
        for client in 0..self.world.clients.len() {
            self.check_client(seed, client, &places);
        }
    }

    fn check_client(&self, seed: u64, client: usize, places: &BTreeMap<(String, u64), u64>) {
        let mut at: BTreeMap<String, u64> = BTreeMap::new();
        let mut members: BTreeSet<String> = BTreeSet::new();
        let for_this_client = |number: u64| {
            let Published { by, exclude_self, exclude_client, roles } = &self.published[&number];
            !(*exclude_self && *by == client)
                && exclude_client.as_ref().is_none_or(|of| *of != name(client))
                && (roles.is_empty() || roles.contains(&self.world.clients[client].role))
        };
        let messages = self.world.messages(client);
        for message in &messages {
            let room = || message["room"].as_str().unwrap().to_owned();
            match message["type"].as_str() {
                Some("joined") if members.insert(room()) => {
                    at.insert(room(), message["offset"].as_u64().unwrap());
                }
                Some("joined") => {
                    let context = format!("seed {seed}, client {client}: {message}");
                    assert!(message["members"].as_u64() > Some(0), "{context}: it is one itself");
                    let stands = message["offset"].as_u64().unwrap();
                    assert!(at[&room()] <= stands, "{context}: a later one came before");
                    for missed in at[&room()] + 1..=stands {
                        let number = places.get(&(room(), missed));
                        let meant = number.is_some_and(|number| for_this_client(*number));
                        assert!(!meant, "{context}: offset {missed} is missing before it");
                    }
                }
                Some("left") => {
                    members.remove(&room());
                }
                Some("said") => {
                    let context = format!("seed {seed}, client {client}: {message}");
                    assert!(members.contains(&room()), "{context}: not a member");
                    let offset = message["offset"].as_u64().unwrap();
                    let last = at.insert(room(), offset).unwrap();
                    assert!(offset > last, "{context}: again or out of order after {last}");
                    assert!(
                        for_this_client(message["data"]["number"].as_u64().unwrap()),
                        "{context}: not for it"
                    );
                    for missed in last + 1..offset {
                        let number = places.get(&(room(), missed));
                        let meant = number.is_some_and(|number| for_this_client(*number));
                        assert!(!meant, "{context}: offset {missed} is missing");
                    }
                }
                Some("gap") => {
                    let context = format!("seed {seed}, client {client}: {message}");
                    assert!(members.contains(&room()), "{context}: not a member");
                    let (from, to) = (message["from"].as_u64().unwrap(), message["to"].as_u64().unwrap());
                    let last = at.insert(room(), to).unwrap();
                    assert!(last < from && from <= to, "{context}: after {last}");
                    for missed in last + 1..from {
                        let number = places.get(&(room(), missed));
                        let meant = number.is_some_and(|number| for_this_client(*number));
                        assert!(!meant, "{context}: offset {missed} is missing before it");
                    }
                }
                _ => {}
            }
        }
        if self.world.clients[client].closed || messages.iter().any(Value::is_number) {
            return;
        }
        // Everything has come to rest: nothing may be missing at the end either.
        for room in members {
            for ((_, offset), number) in places.iter().filter(|((name, _), _)| *name == room) {
                let due = *offset > at[&room] && for_this_client(*number);
                assert!(!due, "seed {seed}, client {client}, {room}: offset {offset} never came");
            }
        }
    }
}

fn play(seed: u64, shards: u8, window: usize, backlog_bytes: usize) -> Play {
    play_with(seed, shards, window, backlog_bytes, Slow::Disconnect)
}

fn play_with(seed: u64, shards: u8, window: usize, backlog_bytes: usize, slow: Slow) -> Play {
    let mut options = Options::default();
    options.default_type.slow = slow;
    options.limits.backlog_bytes = backlog_bytes;
    let mut world = World::new(shards, seed, options);
    world.window = window;
    for client in 0..9 {
        let shard = client % usize::from(shards);
        let role = if client % 3 == 0 { "left" } else { "right" };
        world.open_with(shard, &format!("user of {}", name(client)), role, |opening| {
            opening.client_id = Some(name(client).into());
            opening.window = (client % 2 == 1).then_some(Window { bits: 15, takeover: true });
        });
    }
    Play { world, published: BTreeMap::new() }
}

#[test]
fn whoever_reads_too_slowly_is_told_what_it_does_not_get_and_stays() {
    let (mut gaps, mut shed) = (0, 0);
    for seed in 1..150 {
        let mut play = play_with(seed, 1 + (seed % 3) as u8, 300, 2_000, Slow::DropOldest);
        for _ in 0..600 {
            play.step();
        }
        for _ in 0..2_000 {
            play.world.settle();
            for client in 0..play.world.clients.len() {
                play.world.reads(client, 10_000);
            }
        }
        play.world.settle();
        play.check(seed);
        let clients = 0..play.world.clients.len();
        gaps += clients.flat_map(|client| play.world.messages(client)).filter(|m| m["type"] == "gap").count();
        shed += play.world.cores.iter().map(|core| core.stats().shed).sum::<u64>();
    }
    assert!(gaps > 50 && shed > 200, "{gaps} gaps, {shed} dropped: nothing was tried");
}

#[test]
fn every_member_gets_every_message_once_and_in_order() {
    for seed in 1..150 {
        let mut play = play(seed, 1 + (seed % 4) as u8, usize::MAX, 1 << 20);
        for _ in 0..400 {
            play.step();
        }
        play.world.settle();
        play.check(seed);
    }
}

#[test]
fn slow_readers_get_all_of_it_later_and_hold_up_nobody() {
    for seed in 1..150 {
        let mut play = play(seed, 1 + (seed % 3) as u8, 500, 1 << 20);
        for _ in 0..400 {
            play.step();
        }
        for client in 0..play.world.clients.len() {
            play.world.reads(client, usize::MAX);
        }
        play.world.settle();
        play.check(seed);
    }
}

#[test]
fn a_backlog_over_its_bound_ends_that_connection_with_4008_and_no_other() {
    for seed in 1..60 {
        let mut play = play(seed, 2, usize::MAX, 2_000);
        for client in 0..9 {
            play.world.command(client, &json!({ "type": "join", "room": "a:1" }));
        }
        play.world.settle();
        play.world.clients[4].room = 37;
        for number in 0..200 {
            let data = json!({ "number": number, "filler": "x".repeat(100) });
            play.world.command(
                0,
                &json!({ "type": "publish", "id": number, "room": "a:1", "event": "said", "data": data }),
            );
            let (exclude_self, exclude_client, roles) = (false, None, Vec::new());
            play.published.insert(number, Published { by: 0, exclude_self, exclude_client, roles });
            play.world.settle();
        }
        assert!(
            play.world.cores.iter().all(|core| core.stats().backlog_bytes < 4_000),
            "the rest was dropped"
        );
        play.world.reads(4, usize::MAX);
        play.world.settle();
        play.check(seed);
        let last = play.world.messages(4).pop();
        assert_eq!(last, Some(4_008.into()), "seed {seed}");
        for client in (0..9).filter(|client| *client != 4) {
            assert_eq!(play.world.messages(client).iter().filter(|m| m["type"] == "said").count(), 200);
        }
        let stats: Vec<_> = play.world.cores.iter().map(|core| core.stats()).collect();
        assert_eq!(stats.iter().map(|stats| stats.slow_disconnects).sum::<u64>(), 1);
    }
}

#[test]
fn when_everybody_has_gone_nothing_is_left() {
    for seed in 1..40 {
        let mut play = play(seed, 3, 5_000, 1 << 20);
        for _ in 0..300 {
            play.step();
        }
        for client in 0..play.world.clients.len() {
            play.world.lose(client);
        }
        play.world.settle();
        for core in &play.world.cores {
            let stats = core.stats();
            assert_eq!((stats.connections, stats.local_rooms, stats.member_rooms), (0, 0, 0), "seed {seed}");
            assert_eq!((stats.backlogs, stats.backlog_bytes), (0, 0), "seed {seed}");
        }
        // Rooms that were never published to are forgotten at once, the others after five minutes.
        play.world.pass(301_000);
        play.world.pass(1_000);
        assert_eq!(
            play.world.cores.iter().map(|core| core.stats().home_rooms).sum::<u64>(),
            0,
            "seed {seed}"
        );
    }
}
