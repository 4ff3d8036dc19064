//! What a room keeps, and who gets it: everything missed once and in order, or a clear word that it is gone.

use fanfare_core::{HistoryRule, Options};
use fanfare_protocol::Encoding;
use fanfare_sim::World;
use serde_json::{Value, json};

const ROOM: &str = "chat:1";

fn options(size: u32) -> Options {
    let mut options = Options::default();
    options.default_type.history = HistoryRule { size, ttl_ms: 60_000 };
    options
}

fn say(world: &mut World, client: usize, number: u64) {
    let data = json!({ "number": number });
    world.command(
        client,
        &json!({ "type": "publish", "id": number, "room": ROOM, "event": "said", "data": data }),
    );
}

/// A world of one shard with a publisher that has said `count` things.
fn spoken(options: Options, count: u64) -> (World, usize) {
    let mut world = World::new(2, 7, options);
    let publisher = world.open(0, "ada", "user", Encoding::Json);
    world.settle();
    for number in 1..=count {
        say(&mut world, publisher, number);
    }
    world.settle();
    (world, publisher)
}

/// Joins as somebody new and gives the answer and the offsets that came after it.
fn join(world: &mut World, command: Value) -> (Value, Vec<u64>) {
    let client = world.open(1, "ben", "user", Encoding::Json);
    world.settle();
    let mut join = json!({ "type": "join", "id": 1, "room": ROOM });
    join.as_object_mut().unwrap().extend(command.as_object().unwrap().clone());
    world.command(client, &join);
    world.settle();
    let mut messages = world.messages(client).into_iter().skip_while(|message| message["type"] != "joined");
    let joined = messages.next().expect("the join is answered");
    (joined, messages.map(|message| message["offset"].as_u64().unwrap()).collect())
}

fn epoch_of(world: &mut World) -> String {
    join(world, json!({})).0["epoch"].as_str().unwrap().to_owned()
}

#[test]
fn a_join_brings_what_was_missed_or_says_that_it_cannot() {
    let (mut world, _) = spoken(options(5), 8);
    let epoch = epoch_of(&mut world);
    for (offset, recovered, offsets) in [
        (8, true, vec![]),
        (6, true, vec![7, 8]),
        (3, true, vec![4, 5, 6, 7, 8]),
        // Message 3 is not kept any more.
        (2, false, vec![]),
        (0, false, vec![]),
        // A place that was never given out.
        (9, false, vec![]),
    ] {
        let (joined, got) = join(&mut world, json!({ "recover": { "epoch": epoch, "offset": offset } }));
        assert_eq!((&joined["recovered"], got), (&json!(recovered), offsets), "from {offset}");
        assert_eq!((&joined["offset"], &joined["epoch"]), (&json!(8), &json!(epoch)));
    }
    let (joined, got) = join(&mut world, json!({ "recover": { "epoch": "other", "offset": 6 } }));
    assert_eq!((&joined["recovered"], got.len()), (&json!(false), 0));
    let stats = [world.cores[0].stats(), world.cores[1].stats()];
    assert_eq!(
        stats.iter().map(|of| (of.recovered, of.unrecovered)).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1)),
        (3, 4)
    );
}

#[test]
fn the_place_before_the_first_message_is_one_to_come_back_to() {
    let mut world = World::new(2, 5, options(10));
    let ben = world.open(1, "ben", "user", Encoding::Json);
    world.settle();
    world.command(ben, &json!({ "type": "join", "id": 1, "room": ROOM }));
    world.settle();
    let epoch = world.messages(ben).pop().unwrap()["epoch"].clone();
    world.lose(ben);
    world.settle();
    let ada = world.open(0, "ada", "user", Encoding::Json);
    world.settle();
    say(&mut world, ada, 1);
    world.settle();
    let (joined, got) = join(&mut world, json!({ "recover": { "epoch": epoch, "offset": 0 } }));
    assert_eq!((&joined["recovered"], got), (&json!(true), vec![1]));
}

#[test]
fn the_latest_few_can_be_had_without_a_place() {
    let (mut world, _) = spoken(options(5), 8);
    let epoch = epoch_of(&mut world);
    for (last, offsets) in
        [(0, vec![]), (2, vec![7, 8]), (5, vec![4, 5, 6, 7, 8]), (1_000, vec![4, 5, 6, 7, 8])]
    {
        let (joined, got) = join(&mut world, json!({ "last": last }));
        assert_eq!((&joined["recovered"], got), (&json!(false), offsets), "last {last}");
    }
    // What cannot be recovered is made up for as well as it goes.
    let (joined, got) = join(&mut world, json!({ "last": 2, "recover": { "epoch": epoch, "offset": 1 } }));
    assert_eq!((&joined["recovered"], got), (&json!(false), vec![7, 8]));
    let (joined, got) = join(&mut world, json!({ "last": 2, "recover": { "epoch": epoch, "offset": 4 } }));
    assert_eq!((&joined["recovered"], got), (&json!(true), vec![5, 6, 7, 8]));
}

#[test]
fn a_join_never_brings_more_than_it_may() {
    let mut options = options(1_000);
    options.limits.replay_bytes = 1_000;
    let (mut world, _) = spoken(options, 50);
    let epoch = epoch_of(&mut world);
    let (joined, got) = join(&mut world, json!({ "recover": { "epoch": epoch, "offset": 1 } }));
    assert_eq!((&joined["recovered"], got.len()), (&json!(false), 0));
    let (_, got) = join(&mut world, json!({ "last": 50 }));
    assert!(!got.is_empty() && got.len() < 10 && *got.last().unwrap() == 50, "{got:?}");
}

#[test]
fn messages_for_other_roles_and_messages_out_of_date_are_left_out() {
    let (mut world, ada) = spoken(options(100), 1);
    let publish = |more: Value| {
        let mut command = json!({ "type": "publish", "room": ROOM, "event": "said", "data": 1 });
        command.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        command
    };
    world.command(ada, &publish(json!({ "roles": ["surgeon"] })));
    world.command(ada, &publish(json!({ "roles": ["user"] })));
    world.command(ada, &publish(json!({ "ttl": 5 })));
    world.command(ada, &publish(json!({})));
    world.settle();
    assert_eq!(join(&mut world, json!({ "last": 10 })).1, [1, 3, 4, 5]);
    world.pass(6_000);
    assert_eq!(join(&mut world, json!({ "last": 10 })).1, [1, 3, 5]);
    // By the room's own rule all of them are too old then, and their memory is given back.
    world.pass(60_000);
    assert_eq!(join(&mut world, json!({ "last": 10 })).1, [0; 0]);
    let kept: u64 = world.cores.iter().map(|core| core.stats().kept_messages + core.stats().kept_bytes).sum();
    assert_eq!(kept, 0);
}

fn history(world: &mut World, client: usize, more: Value) -> Value {
    let mut command = json!({ "type": "history", "id": "h", "room": ROOM });
    command.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    world.command(client, &command);
    world.settle();
    world.messages(client).into_iter().rev().find(|message| message["id"] == "h").expect("an answer")
}

#[test]
fn history_is_read_page_by_page_both_ways() {
    let (mut world, ada) = spoken(options(100), 12);
    let offsets = |page: &Value| -> Vec<u64> {
        page["messages"]
            .as_array()
            .unwrap()
            .iter()
            .map(|message| message["offset"].as_u64().unwrap())
            .collect()
    };
    let page = history(&mut world, ada, json!({ "limit": 5 }));
    assert_eq!((offsets(&page), &page["offset"]), (vec![1, 2, 3, 4, 5], &json!(12)));
    assert_eq!(page["messages"][0]["data"]["number"], 1);
    let since = json!({ "epoch": page["epoch"], "offset": 10 });
    assert_eq!(offsets(&history(&mut world, ada, json!({ "since": since }))), [11, 12]);
    let page = history(&mut world, ada, json!({ "limit": 2, "reverse": true }));
    assert_eq!(offsets(&page), [12, 11]);
    // Another epoch's place means nothing here: the page begins with the oldest.
    let page = history(&mut world, ada, json!({ "limit": 1, "since": { "epoch": "other", "offset": 7 } }));
    assert_eq!(offsets(&page), [1]);
    let mut command = json!({ "type": "history", "id": "x", "room": "nobody:1" });
    world.command(ada, &command);
    command["id"] = json!("y");
    world.settle();
    let empty = world.messages(ada).into_iter().find(|message| message["id"] == "x").unwrap();
    assert_eq!((offsets(&empty), &empty["offset"]), (vec![], &json!(0)));
}

#[test]
fn history_is_for_those_who_may_join() {
    let mut options = options(100);
    options.default_type.join = vec!["surgeon".into()];
    let (mut world, ada) = spoken(options, 3);
    assert_eq!(history(&mut world, ada, json!({}))["name"], "FORBIDDEN");
}

#[test]
fn a_publish_that_is_tried_again_gets_its_first_answer() {
    let mut options = options(100);
    options.limits.message_id_window_ms = 5_000;
    let (mut world, ada) = spoken(options, 0);
    let again =
        json!({ "type": "publish", "id": 1, "room": ROOM, "event": "said", "data": 1, "message_id": "once" });
    world.command(ada, &again);
    world.settle();
    world.command(ada, &again);
    world.settle();
    // The same id of somebody else is another message.
    let ben = world.open(1, "ben", "user", Encoding::Json);
    world.settle();
    world.command(ben, &again);
    world.settle();
    let places = |world: &World, client| -> Vec<u64> {
        let answers = world.messages(client).into_iter().filter(|message| message["type"] == "published");
        answers.map(|answer| answer["offset"].as_u64().unwrap()).collect()
    };
    assert_eq!((places(&world, ada), places(&world, ben)), (vec![1, 1], vec![2]));
    // After the window it is a new one.
    world.pass(5_000);
    world.command(ada, &again);
    world.settle();
    assert_eq!(places(&world, ada), [1, 1, 3]);
}

#[test]
fn all_rooms_together_keep_no_more_than_they_may_and_the_oldest_goes_first() {
    let mut options = options(1_000);
    options.limits.history_bytes = 10_000;
    let mut world = World::new(1, 3, options);
    let ada = world.open(0, "ada", "user", Encoding::Json);
    world.settle();
    for number in 0..200 {
        let room = format!("room:{}", number % 7);
        world.command(ada, &json!({ "type": "publish", "room": room, "event": "said", "data": number }));
        world.settle();
        assert!(world.cores[0].stats().kept_bytes <= 10_000);
    }
    let stats = world.cores[0].stats();
    assert_eq!(stats.kept_messages + stats.evicted, 200);
    assert!(stats.kept_messages > 15);
    // What is left are the newest of all rooms.
    for room in 0..7 {
        world.command(ada, &json!({ "type": "history", "id": room, "room": format!("room:{room}") }));
    }
    world.settle();
    let answers = world.messages(ada).into_iter().filter(|message| message["type"] == "history");
    let mut numbers: Vec<u64> = answers
        .flat_map(|answer| answer["messages"].as_array().unwrap().clone())
        .map(|message| message["data"].as_u64().unwrap())
        .collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (200 - stats.kept_messages..200).collect::<Vec<u64>>());
}

/// Somebody who loses the connection now and then and comes back with the last place it has seen.
struct Reader {
    client: usize,
    /// Messages of this connection that were looked at.
    seen: usize,
    place: Option<(Value, u64)>,
    recovered: u32,
    started_anew: u32,
}

impl Reader {
    fn come_back(&mut self, world: &mut World) {
        let shard = world.random.below(world.cores.len());
        self.client = world.open(shard, "ben", "user", Encoding::Json);
        self.seen = 0;
        let mut join = json!({ "type": "join", "id": "j", "room": ROOM });
        if let Some((epoch, offset)) = &self.place {
            join["recover"] = json!({ "epoch": epoch, "offset": offset });
        }
        world.command(self.client, &join);
    }

    /// Takes what has arrived: each message must be the next one.
    fn read(&mut self, world: &World, seed: u64) {
        let messages = world.messages(self.client);
        for message in &messages[self.seen..] {
            match message["type"].as_str() {
                Some("joined") if message["recovered"] == true => {
                    self.recovered += 1;
                    let (epoch, offset) = self.place.as_ref().expect("a place was given");
                    assert_eq!(message["epoch"], *epoch, "seed {seed}");
                    assert!(message["offset"].as_u64().unwrap() >= *offset, "seed {seed}");
                }
                Some("joined") => {
                    self.started_anew += 1;
                    self.place = Some((message["epoch"].clone(), message["offset"].as_u64().unwrap()));
                }
                Some("said") => {
                    let (_, offset) = self.place.as_mut().expect("joined first");
                    assert_eq!(
                        message["offset"].as_u64().unwrap(),
                        *offset + 1,
                        "seed {seed}: a gap, or twice"
                    );
                    *offset += 1;
                }
                _ => {}
            }
        }
        self.seen = messages.len();
    }
}

#[test]
fn whoever_comes_back_misses_nothing_and_gets_nothing_twice_whatever_the_order() {
    let (mut recovered, mut started_anew) = (0, 0);
    for seed in 1..100 {
        let mut world = World::new(3, seed, options(if seed % 3 == 0 { 6 } else { 1_000 }));
        let publishers: Vec<usize> =
            (0..3).map(|shard| world.open(shard, "ada", "user", Encoding::Json)).collect();
        let mut readers: Vec<Reader> = (0..4)
            .map(|_| Reader { client: 0, seen: 0, place: None, recovered: 0, started_anew: 0 })
            .collect();
        readers.iter_mut().for_each(|reader| reader.come_back(&mut world));
        let mut number = 0;
        for _ in 0..1_500 {
            match world.random.below(20) {
                0..=5 => {
                    number += 1;
                    let publisher = publishers[world.random.below(3)];
                    say(&mut world, publisher, number);
                }
                // Enough for the queues not to grow for ever.
                6..=12 => {
                    for _ in 0..world.random.below(12) {
                        world.deliver_one();
                    }
                }
                13 if world.random.chance(40) => {
                    let at = world.random.below(readers.len());
                    let reader = &mut readers[at];
                    reader.read(&world, seed);
                    if !world.clients[reader.client].closed {
                        world.lose(reader.client);
                        reader.come_back(&mut world);
                    }
                }
                _ => {
                    let shard = world.random.below(3);
                    world.flush(shard, |world| {
                        world.deliver_one();
                    });
                }
            }
        }
        world.settle();
        for reader in &mut readers {
            reader.read(&world, seed);
            assert_eq!(
                reader.place.as_ref().unwrap().1,
                number,
                "seed {seed}: something is missing at the end"
            );
            recovered += reader.recovered;
            started_anew += reader.started_anew;
        }
    }
    assert!(
        recovered > 1_000 && started_anew > 500,
        "{recovered} recovered, {started_anew} anew: nothing was tried"
    );
}
