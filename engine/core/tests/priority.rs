//! Priorities: what is urgent reaches a slow reader first, everybody else in order, and recovery loses nothing.

use fanfare_core::{Options, Slow};
use fanfare_protocol::Encoding;
use fanfare_sim::World;
use serde_json::{Value, json};

const ROOM: &str = "chat:1";
const OTHER: &str = "alarm:1";

/// A publisher and two readers of both rooms on two shards, all welcomed.
fn world(slow: Slow, backlog_bytes: usize) -> (World, usize, [usize; 2]) {
    let mut options = Options::default();
    options.default_type.slow = slow;
    options.limits.backlog_bytes = backlog_bytes;
    let mut world = World::new(2, 11, options);
    let publisher = world.open(0, "ada", "user", Encoding::Json);
    let readers =
        [(0, "ben"), (1, "eve")].map(|(shard, name)| world.open(shard, name, "user", Encoding::Json));
    world.settle();
    for reader in readers {
        join(&mut world, reader, ROOM, json!({}));
        join(&mut world, reader, OTHER, json!({}));
    }
    world.settle();
    readers.iter().for_each(|reader| drop(world.take_messages(*reader)));
    (world, publisher, readers)
}

fn join(world: &mut World, client: usize, room: &str, members: Value) {
    let mut join = json!({ "type": "join", "id": "j", "room": room });
    join.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    world.command(client, &join);
}

/// Publishes messages with these priorities and brings each to everybody.
fn say(world: &mut World, publisher: usize, room: &str, priorities: &[u8]) {
    for priority in priorities {
        let command =
            json!({ "type": "publish", "room": room, "event": "said", "data": 1, "priority": priority });
        world.command(publisher, &command);
        world.settle();
    }
}

/// What came, in short: the first letter of the room, the offset, and the priority if there is one.
fn told(world: &mut World, client: usize) -> Vec<String> {
    let short = |message: &Value| {
        let room = &message["room"].as_str().unwrap_or("?")[..1];
        match message["type"].as_str() {
            Some("said") => match message.get("priority") {
                Some(priority) => format!("{room}{} p{priority}", message["offset"]),
                None => format!("{room}{}", message["offset"]),
            },
            Some("gap") => format!("{room}{}-{} gap", message["from"], message["to"]),
            other => format!("{room} {}", other.unwrap_or("close")),
        }
    };
    world.take_messages(client).iter().map(short).collect()
}

/// Two messages are read, and not a byte more.
fn reads_two(world: &mut World, client: usize) -> Vec<String> {
    let mut messages = Vec::new();
    while messages.len() < 2 {
        world.reads(client, 1);
        messages.append(&mut told(world, client));
    }
    messages
}

#[test]
fn who_reads_in_time_gets_everything_in_order_and_who_does_not_the_urgent_first() {
    let (mut world, publisher, [slow, fast]) = world(Slow::Disconnect, 1 << 20);
    world.clients[slow].room = 20;
    say(&mut world, publisher, ROOM, &[0, 0, 0, 5]);
    say(&mut world, publisher, OTHER, &[0, 9, 5]);
    say(&mut world, publisher, ROOM, &[9, 0, 1]);
    let all = ["c1", "c2", "c3", "c4 p5", "a1", "a2 p9", "a3 p5", "c5 p9", "c6", "c7 p1"];
    assert_eq!(told(&mut world, fast), all);
    assert!(told(&mut world, slow).is_empty());
    world.reads(slow, usize::MAX);
    // The first one had begun. As urgent as each other: in the order in which they came, of whatever room.
    let expected = ["c1", "a2 p9", "c5 p9", "c4 p5", "a3 p5", "c7 p1", "c2", "c3", "a1", "c6"];
    assert_eq!(told(&mut world, slow), expected);
}

#[test]
fn of_one_ticks_messages_the_urgent_go_ahead_as_well() {
    let (mut world, publisher, [slow, _]) = world(Slow::Disconnect, 1 << 20);
    world.clients[slow].room = 20;
    say(&mut world, publisher, ROOM, &[0]);
    for priority in [0, 3, 0, 3, 3, 7] {
        let command =
            json!({ "type": "publish", "room": ROOM, "event": "said", "data": 1, "priority": priority });
        world.command(publisher, &command);
    }
    world.settle();
    world.reads(slow, usize::MAX);
    assert_eq!(told(&mut world, slow), ["c1", "c7 p7", "c3 p3", "c5 p3", "c6 p3", "c2", "c4"]);
}

#[test]
fn an_answer_is_never_overtaken() {
    let (mut world, publisher, [slow, _]) = world(Slow::Disconnect, 1 << 20);
    world.clients[slow].room = 20;
    say(&mut world, publisher, ROOM, &[0, 0]);
    world.command(slow, &json!({ "type": "leave", "id": "l", "room": ROOM }));
    world.settle();
    say(&mut world, publisher, OTHER, &[0, 9]);
    join(&mut world, slow, ROOM, json!({ "last": 1 }));
    world.settle();
    say(&mut world, publisher, OTHER, &[0]);
    say(&mut world, publisher, ROOM, &[0, 9]);
    world.reads(slow, usize::MAX);
    let expected = ["c1", "c2", "c left", "a2 p9", "a1", "c joined", "c2", "c4 p9", "a3", "c3"];
    assert_eq!(told(&mut world, slow), expected);
}

#[test]
fn nothing_urgent_is_dropped_and_no_notice_says_so() {
    let (mut world, publisher, [slow, _]) = world(Slow::DropOldest, 1_500);
    world.clients[slow].room = 20;
    say(&mut world, publisher, ROOM, &[0, 0, 0, 0, 4, 0, 0]);
    // There is room for what is urgent: it goes out long before the rest.
    assert_eq!(reads_two(&mut world, slow), ["c1", "c5 p4"]);
    say(&mut world, publisher, ROOM, &[0; 6]);
    world.reads(slow, usize::MAX);
    let told = told(&mut world, slow);
    assert_eq!(told[..2], ["c2-4 gap", "c6-8 gap"], "{told:?}");
    assert_eq!(told.last().unwrap(), "c13");
}

#[test]
fn a_client_that_goes_on_after_its_last_ordinary_message_misses_nothing() {
    let (mut world, publisher, [slow, fast]) = world(Slow::Disconnect, 1 << 20);
    world.clients[slow].room = 20;
    say(&mut world, publisher, ROOM, &[0, 0, 6, 0]);
    assert_eq!(reads_two(&mut world, slow), ["c1", "c3 p6"]);
    let epoch = world.messages(fast).pop().unwrap()["epoch"].clone();
    world.lose(slow);
    let again = world.open(1, "ben", "user", Encoding::Json);
    world.settle();
    world.take_messages(again);
    join(&mut world, again, ROOM, json!({ "recover": { "epoch": epoch, "offset": 1 } }));
    world.settle();
    assert_eq!(told(&mut world, again), ["c joined", "c2", "c3 p6", "c4"]);
    world.command(again, &json!({ "type": "history", "id": "h", "room": ROOM }));
    world.settle();
    let history = world.take_messages(again).pop().unwrap();
    let priorities: Vec<Value> =
        history["messages"].as_array().unwrap().iter().map(|of| of["priority"].clone()).collect();
    assert_eq!(priorities, [json!(null), json!(null), json!(6), json!(null)]);
}
