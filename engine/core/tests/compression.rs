//! One context for all members of a room: who is in step, who falls out, and which room a window follows. Every client here
//! reads with an inflater of its own, so whatever it understands was sent in step.

use fanfare_core::{Compression, CompressionMode, Options, RoomType, Slow, Window, Wire};
use fanfare_protocol::Encoding;
use fanfare_sim::World;
use serde_json::{Value, json};

const RESET_EVERY: u32 = 16;
/// Messages until a room has a context.
const WARM_UP: u32 = 9;

/// Of the types `open`, `drop` (the oldest) and `alone`.
fn world() -> World {
    let mut types = ["open", "drop", "alone"].map(RoomType::open);
    types.iter_mut().for_each(|of| of.compression.reset_every = RESET_EVERY);
    types[1].slow = Slow::DropOldest;
    types[2].compression.mode = CompressionMode::Alone;
    World::new(2, 1, Options { room_types: types.into(), ..Options::default() })
}

fn with_window(world: &mut World, user: &str, bits: u8, takeover: bool) -> usize {
    let shard = world.clients.len() % 2;
    world.open_with(shard, user, "user", |opening| opening.window = Some(Window { bits, takeover }))
}

/// A member of these rooms that could follow.
fn member(world: &mut World, user: &str, rooms: &[&str]) -> usize {
    let client = with_window(world, user, 15, true);
    world.settle();
    rooms.iter().for_each(|room| world.command(client, &json!({ "type": "join", "room": room })));
    world.settle();
    client
}

/// Somebody who only publishes.
fn publisher(world: &mut World) -> usize {
    let client = world.open(0, "publisher", "user", Encoding::Json);
    world.settle();
    client
}

/// Progress of about 300 bytes, of which little changes.
fn progress(number: u32) -> Value {
    json!({ "operation_id": "op-2291", "step": "validate", "percentage": number % 100, "rate": number * 37 % 991,
        "note": "records are compared with the reference data set of this week; differences are listed at the end",
        "status": "running", "worker": "pipeline-7" })
}

fn say(world: &mut World, by: usize, room: &str, number: u32, more: Value) {
    let mut command =
        json!({ "type": "publish", "room": room, "event": "progress", "data": progress(number) });
    command.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    world.command(by, &command);
    world.settle();
}

fn say_many(world: &mut World, by: usize, room: &str, count: u32) {
    (0..count).for_each(|number| say(world, by, room, number, json!({})));
}

/// What went over the wire, of a kind of room.
fn wire(world: &World, kind: usize) -> Wire {
    let mut all = Wire::default();
    for wire in world.cores.iter().map(|core| core.stats().wire[kind]) {
        all.plain_bytes += wire.plain_bytes;
        all.sent_bytes += wire.sent_bytes;
        all.shared += wire.shared;
        all.alone += wire.alone;
        all.plain += wire.plain;
    }
    all
}

/// What `act` sends in the rooms of the type `open`: in step, alone and as it is.
fn forms(world: &mut World, act: impl FnOnce(&mut World)) -> (u64, u64, u64) {
    let before = wire(world, 2);
    act(world);
    let after = wire(world, 2);
    (after.shared - before.shared, after.alone - before.alone, after.plain - before.plain)
}

/// The offsets of the messages of a room that a client has read, all as they were published.
fn read(world: &World, client: usize, room: &str) -> Vec<u64> {
    let of_room =
        world.messages(client).into_iter().filter(|of| of["room"] == room && of["type"] == "progress");
    of_room.map(|of| of["offset"].as_u64().unwrap()).collect()
}

#[test]
fn members_share_a_context_that_saves_most_of_the_bytes() {
    let mut world = world();
    let members: Vec<usize> =
        (0..10).map(|number| member(&mut world, &format!("user-{number}"), &["open:1"])).collect();
    let by = publisher(&mut world);
    say_many(&mut world, by, "open:1", WARM_UP);
    let before = wire(&world, 2);
    say_many(&mut world, by, "open:1", 10 * RESET_EVERY);
    let after = wire(&world, 2);
    assert_eq!(after.shared - before.shared, u64::from(10 * RESET_EVERY) * 10);
    let (plain, sent) = (after.plain_bytes - before.plain_bytes, after.sent_bytes - before.sent_bytes);
    assert!(sent * 4 < plain, "{sent} of {plain}");
    let all: Vec<u64> = (1..=u64::from(WARM_UP + 10 * RESET_EVERY)).collect();
    members.iter().for_each(|client| assert_eq!(read(&world, *client, "open:1"), all));
    // Once for all ten, and not once more for those compressed alone.
    let compressed: u64 = world.cores.iter().map(|core| core.stats().compressed).sum();
    assert_eq!(compressed, u64::from(10 * RESET_EVERY) + 1);
}

#[test]
fn who_comes_later_is_in_step_from_where_the_context_begins_anew() {
    let mut world = world();
    member(&mut world, "ada", &["open:1"]);
    let by = publisher(&mut world);
    say_many(&mut world, by, "open:1", WARM_UP + 5);
    let late = member(&mut world, "bob", &["open:1"]);
    let rest = RESET_EVERY - 6;
    let (shared, _, plain) = forms(&mut world, |world| say_many(world, by, "open:1", rest));
    assert_eq!(
        (shared, plain),
        (u64::from(rest), u64::from(rest)),
        "short ones are not worth compressing alone"
    );
    let (shared, alone, plain) = forms(&mut world, |world| say_many(world, by, "open:1", 5));
    assert_eq!((shared, alone, plain), (10, 0, 0));
    let from = u64::from(WARM_UP + 6);
    assert_eq!(read(&world, late, "open:1"), (from..from + u64::from(rest) + 5).collect::<Vec<_>>());
}

#[test]
fn who_cannot_follow_gets_each_message_alone() {
    let mut world = world();
    member(&mut world, "ada", &["open:1"]);
    for (user, bits, takeover) in [("bob", 15, false), ("eve", 14, true), ("kim", 9, true)] {
        let client = with_window(&mut world, user, bits, takeover);
        world.settle();
        world.command(client, &json!({ "type": "join", "room": "open:1" }));
        world.settle();
    }
    let by = publisher(&mut world);
    say_many(&mut world, by, "open:1", WARM_UP);
    let long = json!({ "data": { "text": "all that is long repeats itself. ".repeat(50) } });
    let (shared, alone, plain) = forms(&mut world, |world| say(world, by, "open:1", 0, long));
    assert_eq!((shared, alone, plain), (1, 3, 0));
    assert_eq!(forms(&mut world, |world| say(world, by, "open:1", 0, json!({}))), (1, 0, 3));
}

#[test]
fn a_publisher_without_its_own_copy_falls_out_where_the_others_are_many() {
    let mut world = world();
    let first = member(&mut world, "user-0", &["open:1"]);
    for number in 1..20 {
        member(&mut world, &format!("user-{number}"), &["open:1"]);
    }
    let by = publisher(&mut world);
    say_many(&mut world, by, "open:1", WARM_UP);
    let without = json!({ "exclude_self": true });
    assert_eq!(forms(&mut world, |world| say(world, first, "open:1", 0, without.clone())), (19, 0, 0));
    assert_eq!(forms(&mut world, |world| say(world, by, "open:1", 1, json!({}))), (19, 0, 1), "out of step");
    say_many(&mut world, by, "open:1", RESET_EVERY - 3);
    assert_eq!(
        forms(&mut world, |world| say(world, by, "open:1", 1, json!({}))),
        (20, 0, 0),
        "in step again"
    );
    // Among few it costs more than it saves: the message goes as it is, and nobody falls out.
    let lone = member(&mut world, "ada", &["open:2"]);
    member(&mut world, "bob", &["open:2"]);
    say_many(&mut world, by, "open:2", WARM_UP);
    assert_eq!(forms(&mut world, |world| say(world, lone, "open:2", 0, without)), (0, 0, 1));
    assert_eq!(forms(&mut world, |world| say(world, by, "open:2", 1, json!({}))), (2, 0, 0));
    assert_eq!(read(&world, lone, "open:2").len() as u32, WARM_UP + 1);
}

#[test]
fn what_is_for_some_or_may_overtake_goes_as_it_is() {
    let mut world = world();
    let client = member(&mut world, "ada", &["open:1"]);
    let by = publisher(&mut world);
    say_many(&mut world, by, "open:1", WARM_UP);
    for more in [json!({ "roles": ["user"] }), json!({ "priority": 5 })] {
        assert_eq!(forms(&mut world, |world| say(world, by, "open:1", 0, more.clone())), (0, 0, 1), "{more}");
    }
    assert_eq!(forms(&mut world, |world| say(world, by, "open:1", 0, json!({}))), (1, 0, 0));
    assert_eq!(read(&world, client, "open:1").len() as u32, WARM_UP + 3);
}

#[test]
fn an_urgent_message_is_never_compressed_for_who_may_follow() {
    let mut world = world();
    world.window = 3_000;
    let client = member(&mut world, "ada", &["open:1", "open:2"]);
    // Somebody for whom it is compressed alone.
    let other = with_window(&mut world, "bob", 15, false);
    world.settle();
    world.command(other, &json!({ "type": "join", "room": "open:2" }));
    world.reads(other, usize::MAX);
    let by = publisher(&mut world);
    say_many(&mut world, by, "open:1", WARM_UP);
    world.reads(client, usize::MAX);
    world.reads(client, 1_000);
    // What is in step waits behind a full socket, and the urgent message goes ahead of it.
    let noise: String = (0..4_000).map(|_| (b'a' + world.random.below(26) as u8) as char).collect();
    say(&mut world, by, "open:1", 0, json!({ "data": noise }));
    say_many(&mut world, by, "open:1", 3);
    let text = "all that is long repeats itself. ".repeat(300);
    say(&mut world, by, "open:2", 0, json!({ "data": { "text": text }, "priority": 5 }));
    world.reads(client, usize::MAX);
    world.settle();
    assert_eq!(read(&world, client, "open:1").len() as u32, WARM_UP + 4);
    assert_eq!(read(&world, client, "open:2"), [1]);
}

#[test]
fn a_context_that_nothing_goes_through_ends() {
    let mut world = world();
    let client = member(&mut world, "ada", &["open:1"]);
    member(&mut world, "bob", &["open:1"]);
    let by = publisher(&mut world);
    say_many(&mut world, by, "open:1", WARM_UP);
    assert_eq!(world.cores.iter().map(|core| core.stats().contexts).sum::<u64>(), 1);
    for number in 0..RESET_EVERY {
        say(&mut world, by, "open:1", number, json!({ "roles": ["user"] }));
    }
    assert_eq!(world.cores.iter().map(|core| core.stats().contexts).sum::<u64>(), 0);
    // Among few who publish without a copy for themselves it goes on, towards the end of each turn of the context.
    say_many(&mut world, by, "open:1", RESET_EVERY * 17);
    let without = json!({ "exclude_self": true });
    let (shared, _, plain) = forms(&mut world, |world| {
        (0..4 * RESET_EVERY).for_each(|number| say(world, client, "open:1", number, without.clone()));
    });
    assert!(shared > 0 && plain > shared, "{shared} {plain}");
}

#[test]
fn a_context_ends_when_nobody_follows_it_or_nothing_comes() {
    let mut world = world();
    let client = member(&mut world, "ada", &["open:1", "open:2"]);
    let by = publisher(&mut world);
    let contexts = |world: &World| world.cores.iter().map(|core| core.stats().contexts).sum::<u64>();
    say_many(&mut world, by, "open:1", WARM_UP + 3 * RESET_EVERY);
    // Silent for a while, it lets go of its members without another message: they are free for the other room.
    (0..12).for_each(|_| world.pass(1_000));
    world.settle();
    assert_eq!(contexts(&world), 0);
    (0..2 * RESET_EVERY).for_each(|number| {
        say(&mut world, by, "open:2", number, json!({}));
        world.pass(500);
    });
    assert_eq!(forms(&mut world, |world| say(world, by, "open:2", 0, json!({}))), (1, 0, 0));
    world.command(client, &json!({ "type": "leave", "room": "open:2" }));
    world.settle();
    assert_eq!(contexts(&world), 0, "a compressor for nobody");
}

#[test]
fn a_window_follows_the_room_that_saves_most() {
    let mut world = world();
    let client = member(&mut world, "ada", &["open:1", "open:2"]);
    let by = publisher(&mut world);
    say_many(&mut world, by, "open:1", WARM_UP);
    // Ten times as much comes by the other room.
    let round = |world: &mut World| {
        say_many(world, by, "open:1", 1);
        say_many(world, by, "open:2", 10);
        world.pass(1_000);
    };
    assert_eq!(forms(&mut world, round), (1, 0, 10), "as it is, while another room is followed");
    for _ in 0..2 * RESET_EVERY {
        round(&mut world);
    }
    assert_eq!(forms(&mut world, round), (10, 0, 1), "now it follows the other one");
    world.command(client, &json!({ "type": "leave", "room": "open:2" }));
    world.settle();
    say_many(&mut world, by, "open:1", RESET_EVERY);
    assert_eq!(forms(&mut world, |world| say(world, by, "open:1", 0, json!({}))), (1, 0, 0), "back again");
    let rounds = WARM_UP as usize + 2 * RESET_EVERY as usize + 2 + RESET_EVERY as usize + 1;
    assert_eq!(read(&world, client, "open:1").len(), rounds);
}

#[test]
fn a_big_message_of_another_room_is_worth_falling_out_for() {
    let mut world = world();
    let client = member(&mut world, "ada", &["open:1", "alone:1"]);
    let by = publisher(&mut world);
    say_many(&mut world, by, "open:1", WARM_UP);
    let text = |times| json!({ "data": { "text": "all that is long repeats itself. ".repeat(times) } });
    say(&mut world, by, "alone:1", 0, text(60));
    let sent = wire(&world, 4);
    assert_eq!((sent.alone, sent.plain), (0, 1), "two kilobytes are not");
    say(&mut world, by, "alone:1", 0, text(300));
    assert_eq!(wire(&world, 4).alone, 1);
    assert_eq!(forms(&mut world, |world| say(world, by, "open:1", 0, json!({}))), (0, 0, 1));
    say_many(&mut world, by, "open:1", RESET_EVERY);
    assert_eq!(forms(&mut world, |world| say(world, by, "open:1", 0, json!({}))), (1, 0, 0));
    assert_eq!(read(&world, client, "alone:1"), [1, 2]);
}

#[test]
fn recovered_messages_of_another_room_make_it_fall_out() {
    let mut world = world();
    let client = member(&mut world, "ada", &["open:1"]);
    let by = publisher(&mut world);
    let long = json!({ "data": { "text": "all that is long repeats itself. ".repeat(50) } });
    (0..3).for_each(|number| say(&mut world, by, "open:2", number, long.clone()));
    say_many(&mut world, by, "open:1", WARM_UP);
    world.command(client, &json!({ "type": "join", "room": "open:2", "last": 3 }));
    world.settle();
    assert_eq!(read(&world, client, "open:2"), [1, 2, 3]);
    assert_eq!(forms(&mut world, |world| say(world, by, "open:1", 0, json!({}))), (0, 0, 1));
}

#[test]
fn a_slow_reader_stays_in_step_only_where_nothing_is_dropped() {
    let mut world = world();
    world.window = 3_000;
    let by = publisher(&mut world);
    for (room, kind, in_step) in [("open:1", 2, true), ("drop:1", 3, false)] {
        let client = member(&mut world, room, &[room]);
        say_many(&mut world, by, room, WARM_UP);
        let before = wire(&world, kind).plain;
        // Random bytes fill its socket.
        let noise: String = (0..4_000).map(|_| (b'a' + world.random.below(26) as u8) as char).collect();
        say(&mut world, by, room, 0, json!({ "data": noise }));
        say_many(&mut world, by, room, 3);
        assert_eq!(wire(&world, kind).plain > before, !in_step, "{room}");
        world.reads(client, usize::MAX);
        world.settle();
        assert_eq!(read(&world, client, room), (1..=u64::from(WARM_UP) + 4).collect::<Vec<_>>());
    }
}

#[test]
fn what_does_not_shrink_is_not_compressed_for_long() {
    let mut world = world();
    let client = member(&mut world, "ada", &["open:1"]);
    let by = publisher(&mut world);
    for _ in 0..3 * RESET_EVERY {
        let noise: String = (0..8_000).map(|_| (33 + world.random.below(94) as u8) as char).collect();
        say(&mut world, by, "open:1", 0, json!({ "data": noise }));
    }
    assert_eq!(wire(&world, 2).shared, u64::from(RESET_EVERY), "until it was seen not to pay");
    assert_eq!(read(&world, client, "open:1").len() as u32, 3 * RESET_EVERY);
}

#[test]
fn rooms_beyond_the_compressors_wait_until_one_is_silent() {
    let mut options = Options::default();
    options.limits.compressors = 1;
    options.default_type.compression = Compression { reset_every: RESET_EVERY, ..Compression::default() };
    let mut world = World::new(1, 1, options);
    let open = |world: &mut World, user: &str, room: &str| {
        let client =
            world.open_with(0, user, "user", |of| of.window = Some(Window { bits: 15, takeover: true }));
        world.settle();
        world.command(client, &json!({ "type": "join", "room": room }));
        world.settle();
        client
    };
    let (first, second) = (open(&mut world, "ada", "a:1"), open(&mut world, "bob", "a:2"));
    let by = publisher(&mut world);
    say_many(&mut world, by, "a:1", WARM_UP + 1);
    say_many(&mut world, by, "a:2", 3 * WARM_UP);
    assert_eq!(wire(&world, 0).shared, 2, "the first room's");
    assert_eq!(world.cores[0].stats().contexts, 1);
    world.pass(3_000);
    say_many(&mut world, by, "a:2", 2 * WARM_UP);
    assert!(wire(&world, 0).shared > 2, "the first room gave it up");
    assert_eq!(world.cores[0].stats().contexts, 1);
    say_many(&mut world, by, "a:1", 2);
    assert_eq!(read(&world, first, "a:1").len() as u32, WARM_UP + 3);
    assert_eq!(read(&world, second, "a:2").len() as u32, 5 * WARM_UP);
    world.pass(11_000);
    assert_eq!(world.cores[0].stats().contexts, 0);
}
