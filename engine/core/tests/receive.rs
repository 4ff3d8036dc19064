//! What a role may not receive reaches none of its connections: not live, not from history, and it owes no acknowledgement.

use fanfare_core::{
    Compression, Delivery, Options, Permissions, QueueRule, Receive, RoleRule, RoomPattern, RoomType, Window,
};
use fanfare_protocol::Encoding;
use fanfare_sim::World;
use serde_json::{Value, json};

const WAIT_MS: u64 = 1_000;

/// Displays get no `emergency_…`; readers get `say` only.
fn options() -> Options {
    let patterns = |texts: &[&str]| texts.iter().map(|text| RoomPattern::new(text).unwrap()).collect();
    let rule = |name: &str, receive| RoleRule { name: name.into(), permissions: Permissions::USUAL, receive };
    let roles = vec![
        rule("display", Receive { only: None, never: patterns(&["emergency_*"]) }),
        rule("reader", Receive { only: Some(patterns(&["say"])), never: Vec::new() }),
    ];
    let delivery = Delivery::AtLeastOnce { ack_wait_ms: WAIT_MS, max_deliver: 2 };
    let task = RoomType { delivery, queue: QueueRule::USUAL, ..RoomType::open("task") };
    let mut options = Options { roles, room_types: vec![task], ..Options::default() };
    options.default_type.compression = Compression { reset_every: 8, ..Compression::default() };
    options.heartbeat.interval_ms = 1 << 40;
    options
}

fn open(world: &mut World, user: &str, role: &str) -> usize {
    let encoding = if user.len().is_multiple_of(2) { Encoding::MessagePack } else { Encoding::Json };
    let client = world.open(user.len() % world.cores.len(), user, role, encoding);
    world.settle();
    client
}

fn join(world: &mut World, client: usize, command: Value) {
    let mut join = json!({ "type": "join", "id": 1 });
    join.as_object_mut().unwrap().extend(command.as_object().unwrap().clone());
    world.command(client, &join);
    world.settle();
}

fn say(world: &mut World, client: usize, target: (&str, &str), event: &str) {
    world.command(client, &json!({ "type": "publish", target.0: target.1, "event": event, "data": event }));
    world.settle();
}

/// The events that came.
fn heard(world: &mut World, client: usize) -> Vec<String> {
    let messages = world.take_messages(client).into_iter().filter(|message| !message["data"].is_null());
    messages.map(|message| message["type"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn live_messages_are_kept_from_a_role_in_every_kind_of_room() {
    let mut world = World::new(2, 1, options());
    let by = open(&mut world, "root", "admin");
    let (display, reader, nurse) = (
        open(&mut world, "d", "display"),
        open(&mut world, "re", "reader"),
        open(&mut world, "nur", "nurse"),
    );
    for client in [display, reader, nurse] {
        join(&mut world, client, json!({ "room": "a:1" }));
        heard(&mut world, client);
    }
    for event in ["say", "emergency_stop", "clock"] {
        say(&mut world, by, ("room", "a:1"), event);
        for user in ["d", "re", "nur"] {
            say(&mut world, by, ("user", user), event);
        }
        world.command(by, &json!({ "type": "publish", "all": true, "event": event, "data": 1 }));
        world.settle();
    }
    let times = |events: &[&str]| -> Vec<String> {
        events
            .iter()
            .flat_map(|event| [(*event).to_owned(), (*event).to_owned(), (*event).to_owned()])
            .collect()
    };
    assert_eq!(heard(&mut world, display), times(&["say", "clock"]));
    assert_eq!(heard(&mut world, reader), times(&["say"]));
    assert_eq!(heard(&mut world, nurse), times(&["say", "emergency_stop", "clock"]));
}

#[test]
fn nor_do_they_come_later() {
    let mut world = World::new(2, 1, options());
    let by = open(&mut world, "root", "admin");
    for event in ["say", "emergency_stop", "clock"] {
        say(&mut world, by, ("room", "a:1"), event);
        say(&mut world, by, ("user", "d"), event);
    }
    let display = open(&mut world, "d", "display");
    assert_eq!(heard(&mut world, display), ["say", "clock"], "what waited for the user");
    join(&mut world, display, json!({ "room": "a:1", "last": 10 }));
    assert_eq!(heard(&mut world, display), ["say", "clock"]);
    world.command(display, &json!({ "type": "history", "id": 2, "room": "a:1" }));
    world.settle();
    let answer = world.take_messages(display).pop().unwrap();
    let events: Vec<&str> =
        answer["messages"].as_array().unwrap().iter().map(|of| of["type"].as_str().unwrap()).collect();
    assert_eq!(events, ["say", "clock"]);
    let again = open(&mut world, "ddd", "display");
    let epoch = answer["epoch"].clone();
    join(&mut world, again, json!({ "room": "a:1", "recover": { "epoch": epoch, "offset": 1 } }));
    assert_eq!(heard(&mut world, again), ["clock"]);
}

#[test]
fn and_they_are_not_owed() {
    let mut world = World::new(2, 1, options());
    let by = open(&mut world, "root", "admin");
    let (display, nurse) = (open(&mut world, "d", "display"), open(&mut world, "nur", "nurse"));
    for client in [display, nurse] {
        join(&mut world, client, json!({ "room": "task:1" }));
        heard(&mut world, client);
    }
    say(&mut world, by, ("room", "task:1"), "emergency_stop");
    assert!(heard(&mut world, display).is_empty());
    assert_eq!(heard(&mut world, nurse), ["emergency_stop"]);
    for _ in 0..4 {
        world.pass(WAIT_MS);
        world.settle();
    }
    assert!(heard(&mut world, display).is_empty(), "not sent again either");
    assert_eq!(heard(&mut world, nurse), ["emergency_stop"], "sent once more");
    let buried: u64 = world.cores.iter().map(|core| core.stats().buried).sum();
    assert_eq!(buried, 1, "the nurse's only");
    world.lose(display);
    world.settle();
    say(&mut world, by, ("room", "task:1"), "emergency_stop");
    say(&mut world, by, ("room", "task:1"), "say");
    let display = open(&mut world, "d", "display");
    join(&mut world, display, json!({ "room": "task:1" }));
    assert_eq!(heard(&mut world, display), ["say"]);
}

#[test]
fn a_shared_context_is_not_broken_by_what_some_do_not_get() {
    let mut world = World::new(2, 1, options());
    let by = open(&mut world, "root", "admin");
    let mut clients = Vec::new();
    for (at, role) in ["display", "nurse", "display", "nurse"].into_iter().enumerate() {
        let window = Some(Window { bits: 15, takeover: true });
        let client = world.open_with(at % 2, &format!("u{at}"), role, |of| of.window = window);
        world.settle();
        join(&mut world, client, json!({ "room": "a:1" }));
        clients.push(client);
    }
    let filler = "the very same text again and again ".repeat(20);
    for number in 0..60_u64 {
        let event = if number % 5 == 3 { "emergency_stop" } else { "say" };
        let data = json!({ "number": number, "filler": filler });
        world.command(by, &json!({ "type": "publish", "room": "a:1", "event": event, "data": data }));
        world.settle();
    }
    for (at, client) in clients.into_iter().enumerate() {
        let messages = world.take_messages(client).into_iter().filter(|of| !of["data"].is_null());
        let numbers: Vec<u64> = messages.map(|of| of["data"]["number"].as_u64().unwrap()).collect();
        let expected: Vec<u64> = (0..60).filter(|number| at % 2 == 1 || number % 5 != 3).collect();
        assert_eq!(numbers, expected, "{at}");
    }
    assert!(world.shared() > 0, "the context was used");
}
