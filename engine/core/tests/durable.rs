//! Rooms that outlive the process: nobody hears of a message before the store has it, and what the store has comes back.

use fanfare_core::{Delivery, HistoryRule, Options, QueueRule, RoomType};
use fanfare_protocol::Encoding;
use fanfare_sim::World;
use serde_json::{Value, json};

fn options() -> Options {
    let queue = QueueRule { size: 100, ttl_ms: 3_600_000 };
    let log = RoomType {
        durable: true,
        history: HistoryRule { size: 100, ttl_ms: 3_600_000 },
        ..RoomType::open("log")
    };
    let task = RoomType { delivery: Delivery::ACKNOWLEDGED, queue, name: "task".into(), ..log.clone() };
    let small =
        RoomType { history: HistoryRule { size: 3, ttl_ms: 60_000 }, name: "small".into(), ..log.clone() };
    let mut options = Options { room_types: vec![log, task, small], store: true, ..Options::default() };
    options.inbox.durable = true;
    options.heartbeat.interval_ms = 1 << 40;
    options
}

fn open(world: &mut World, user: &str) -> usize {
    let client = world.open(user.len() % world.cores.len(), user, "admin", Encoding::Json);
    world.settle();
    client
}

fn say(world: &mut World, client: usize, target: (&str, &str), number: u64, message_id: Option<&str>) {
    let command = json!({
        "type": "publish", "id": number, target.0: target.1, "event": "said", "data": number, "message_id": message_id,
    });
    world.command(client, &command);
    world.settle();
}

fn join(world: &mut World, client: usize, room: &str, recover: Value) -> Value {
    world.take_messages(client);
    world.command(client, &json!({ "type": "join", "id": "join", "room": room, "recover": recover }));
    world.settle();
    world.messages(client).into_iter().find(|of| of["type"] == "joined").expect("the join is answered")
}

/// What came: the types of answers, the numbers that were said.
fn heard(world: &mut World, client: usize) -> Vec<Value> {
    let line = |of: Value| if of["type"] == "said" { of["data"].clone() } else { of["type"].clone() };
    world.take_messages(client).into_iter().map(line).collect()
}

#[test]
fn nobody_hears_of_a_message_before_it_is_stored() {
    let mut world = World::new(2, 1, options());
    let (ada, ben) = (open(&mut world, "ada"), open(&mut world, "ben"));
    join(&mut world, ben, "log:1", Value::Null);
    heard(&mut world, ada);
    heard(&mut world, ben);
    say(&mut world, ada, ("room", "log:1"), 1, Some("one"));
    say(&mut world, ada, ("room", "log:1"), 2, None);
    say(&mut world, ada, ("room", "log:1"), 1, Some("one"));
    assert!(heard(&mut world, ada).is_empty() && heard(&mut world, ben).is_empty());
    let cleo = open(&mut world, "cleo");
    assert_eq!(join(&mut world, cleo, "log:1", Value::Null)["offset"], 0, "nor who comes now");
    heard(&mut world, cleo);
    world.store();
    world.settle();
    for client in [ben, cleo] {
        assert_eq!(heard(&mut world, client), [json!(1), json!(2)]);
    }
    let answers = world.take_messages(ada);
    let offsets: Vec<_> = answers.iter().map(|of| (of["id"].clone(), of["offset"].clone())).collect();
    assert_eq!(offsets, [(json!(1), json!(1)), (json!(1), json!(1)), (json!(2), json!(2))]);
}

#[test]
fn a_room_comes_back_with_its_count_its_messages_and_the_ids_of_its_publishers() {
    let mut world = World::new(3, 1, options());
    let ada = open(&mut world, "ada");
    (1..=5).for_each(|number| say(&mut world, ada, ("room", "log:1"), number, Some(&format!("id-{number}"))));
    world.store();
    world.settle();
    let epoch = join(&mut world, ada, "log:1", Value::Null)["epoch"].clone();
    world.restart(99);
    let (ada, ben) = (open(&mut world, "ada"), open(&mut world, "ben"));
    let joined = join(&mut world, ben, "log:1", json!({ "epoch": epoch, "offset": 2 }));
    assert_eq!((&joined["recovered"], &joined["offset"]), (&json!(true), &json!(5)));
    assert_eq!(heard(&mut world, ben), [json!("joined"), json!(3), json!(4), json!(5)]);
    say(&mut world, ada, ("room", "log:1"), 4, Some("id-4"));
    say(&mut world, ada, ("room", "log:1"), 6, Some("id-6"));
    world.store();
    world.settle();
    let answers = world.take_messages(ada);
    let offsets: Vec<_> =
        answers.iter().filter(|of| of["type"] == "published").map(|of| of["offset"].clone()).collect();
    assert_eq!(offsets, [json!(4), json!(6)], "a retry is answered, the count goes on");
    assert_eq!(heard(&mut world, ben), [json!(6)]);
}

#[test]
fn cursors_inboxes_and_dead_letters_come_back() {
    let mut world = World::new(2, 1, options());
    let (ada, ben) = (open(&mut world, "ada"), open(&mut world, "ben"));
    join(&mut world, ben, "task:1", Value::Null);
    (1..=3).for_each(|number| say(&mut world, ada, ("room", "task:1"), number, None));
    world.store();
    world.settle();
    world.command(ben, &json!({ "type": "ack", "room": "task:1", "offset": 1 }));
    world.lose(ben);
    say(&mut world, ada, ("user", "ben"), 10, None);
    world.store();
    world.settle();
    world.restart(7);
    let (ada, ben) = (open(&mut world, "ada"), open(&mut world, "ben"));
    assert_eq!(heard(&mut world, ben), [json!("welcome"), json!(10)]);
    join(&mut world, ben, "task:1", Value::Null);
    assert_eq!(heard(&mut world, ben), [json!("joined"), json!(2), json!(3)]);
    for _ in 0..4 {
        world.pass(30_000);
        world.settle();
    }
    world.store();
    let letters = |world: &World| world.cores.iter().map(|core| core.stats().dead_letters).sum::<u64>();
    assert_eq!(letters(&world), 2);
    world.restart(8);
    assert_eq!(letters(&world), 2);
    let _ = ada;
}

#[test]
fn what_is_not_stored_is_refused_and_its_place_is_given_again() {
    let mut world = World::new(2, 1, options());
    let (ada, ben) = (open(&mut world, "ada"), open(&mut world, "ben"));
    join(&mut world, ben, "log:1", Value::Null);
    say(&mut world, ada, ("room", "log:1"), 1, None);
    world.store();
    world.settle();
    heard(&mut world, ada);
    heard(&mut world, ben);
    for seed in 0..10 {
        world.random = fanfare_sim::Random::new(seed);
        say(&mut world, ada, ("room", "log:1"), 2, Some("two"));
        world.fail_store();
        say(&mut world, ada, ("room", "log:1"), 3, None);
        say(&mut world, ada, ("room", "plain:1"), 4, None);
        let answers = world.take_messages(ada);
        let codes: Vec<_> = answers.iter().map(|of| (of["id"].clone(), of["code"].clone())).collect();
        assert_eq!(codes, [(json!(2), json!(4006)), (json!(3), json!(4006)), (json!(4), Value::Null)]);
        assert!(heard(&mut world, ben).is_empty());
        world.heal_store();
        say(&mut world, ada, ("room", "log:1"), 5, Some("two"));
        world.store();
        world.settle();
        assert_eq!(world.take_messages(ada)[0]["offset"], 2 + seed, "the same id is no retry of what failed");
        assert_eq!(heard(&mut world, ben), [json!(5)]);
        world.pass(310_000);
    }
    let epoch = join(&mut world, ada, "log:1", Value::Null)["epoch"].clone();
    world.restart(5);
    let cleo = open(&mut world, "cleo");
    join(&mut world, cleo, "log:1", json!({ "epoch": epoch, "offset": 1 }));
    assert_eq!(heard(&mut world, cleo)[1..], vec![json!(5); 10]);
}

#[test]
fn the_store_forgets_what_rooms_do() {
    let mut world = World::new(1, 1, options());
    let ada = open(&mut world, "ada");
    (1..=8).for_each(|number| say(&mut world, ada, ("room", "small:1"), number, None));
    world.store();
    world.settle();
    let kept = |world: &World| {
        world.disk.rooms().flat_map(|room| room.entries).map(|of| of.offset).collect::<Vec<_>>()
    };
    world.store();
    assert_eq!(kept(&world), [6, 7, 8]);
    for _ in 0..4 {
        world.pass(310_000);
        world.store();
    }
    assert_eq!(world.disk.rooms().count(), 0);
}

/// The store kept every message of such a room for as long as the room was used.
#[test]
fn a_room_without_history_leaves_only_its_count_in_the_store() {
    let mut options = options();
    options.room_types[0].history = HistoryRule { size: 0, ttl_ms: 0 };
    let mut world = World::new(1, 1, options);
    let ada = open(&mut world, "ada");
    (1..=5).for_each(|number| say(&mut world, ada, ("room", "log:1"), number, None));
    world.store();
    world.settle();
    world.store();
    let stored =
        |world: &World| world.disk.rooms().map(|room| (room.offset, room.entries.len())).collect::<Vec<_>>();
    assert_eq!(stored(&world), [(5, 0)]);
    world.restart(2);
    let ada = open(&mut world, "ada");
    assert_eq!(join(&mut world, ada, "log:1", Value::Null)["offset"], 5);
}

/// Its time ran from when it had joined, so that it was forgotten with all that it had not acknowledged.
#[test]
fn who_was_there_when_the_process_died_is_remembered() {
    let mut options = options();
    options.room_types[1].queue.ttl_ms = 60_000;
    let mut world = World::new(2, 1, options);
    let (ada, ben) = (open(&mut world, "ada"), open(&mut world, "ben"));
    join(&mut world, ben, "task:1", Value::Null);
    world.lose(ben);
    world.settle();
    let ben = open(&mut world, "ben");
    join(&mut world, ben, "task:1", Value::Null);
    world.store();
    world.pass(100_000);
    say(&mut world, ada, ("room", "task:1"), 1, None);
    world.store();
    world.settle();
    world.restart(2);
    let ben = open(&mut world, "ben");
    join(&mut world, ben, "task:1", Value::Null);
    assert_eq!(heard(&mut world, ben), [json!("joined"), json!(1)]);
}

/// The store fails, and what is not acknowledged meanwhile is sent as often as it may be.
fn give_up_while_the_store_fails(world: &mut World) {
    world.fail_store();
    for _ in 0..4 {
        world.pass(30_000);
        world.settle();
    }
}

/// Only those of users whose own rooms are durable were.
#[test]
fn what_was_given_up_while_the_store_failed_is_written_when_it_is_well_again() {
    let mut options = options();
    options.inbox.durable = false;
    let mut world = World::new(1, 1, options);
    let (ada, ben) = (open(&mut world, "ada"), open(&mut world, "ben"));
    join(&mut world, ben, "task:1", Value::Null);
    say(&mut world, ada, ("room", "task:1"), 1, None);
    world.store();
    world.settle();
    give_up_while_the_store_fails(&mut world);
    assert_eq!(world.cores[0].stats().dead_letters, 1);
    world.heal_store();
    world.store();
    world.restart(2);
    assert_eq!(world.cores[0].stats().dead_letters, 1);
}

/// The room was forgotten, which the store never heard, and came again without a message: the store set the old count
/// back to nothing, and after a restart its places were given once more.
#[test]
fn a_count_that_has_ended_does_not_begin_again() {
    for seed in 0..10 {
        let mut world = World::new(1, seed, options());
        let ada = open(&mut world, "ada");
        (1..=2).for_each(|number| say(&mut world, ada, ("room", "small:1"), number, None));
        world.store();
        world.settle();
        let former = world.disk.rooms().next().expect("it is stored").epoch.to_string();
        for _ in 0..2 {
            world.pass(310_000);
        }
        assert_eq!(world.cores[0].stats().home_rooms, 0);
        world.fail_store();
        let ada = if world.is_open(ada) { ada } else { open(&mut world, "ada") };
        join(&mut world, ada, "small:1", Value::Null);
        world.heal_store();
        world.store();
        world.restart(seed + 100);
        let ada = open(&mut world, "ada");
        let joined = join(&mut world, ada, "small:1", Value::Null);
        assert!(joined["epoch"] != *former || joined["offset"] == 2, "{joined}");
    }
}

/// The shard that orders the user's own room wrote it, apart from the reader's place.
#[test]
fn a_dead_letter_is_never_written_after_the_place_that_has_gone_past_it() {
    let pairs =
        ["ben", "bo", "bert", "bill"].map(|user| ["task:1", "task:2", "task:3"].map(|room| (user, room)));
    for (user, room) in pairs.into_iter().flatten() {
        let mut world = World::new(2, 1, options());
        let (ada, ben) = (open(&mut world, "ada"), open(&mut world, user));
        join(&mut world, ben, room, Value::Null);
        say(&mut world, ada, ("room", room), 1, None);
        world.store();
        world.settle();
        give_up_while_the_store_fails(&mut world);
        world.heal_store();
        world.store_one();
        world.restart(2);
        let letters: u64 = world.cores.iter().map(|core| core.stats().dead_letters).sum();
        let ben = open(&mut world, user);
        join(&mut world, ben, room, Value::Null);
        let again = heard(&mut world, ben).contains(&json!(1));
        assert!(letters == 1 || again, "{user} {room}: neither given up nor sent");
    }
}

/// The store was asked for it after it had failed, as if it had been decided after that.
#[test]
fn what_was_decided_in_the_turn_of_a_failure_is_not_asked_for_afterwards() {
    let mut world = World::new(1, 1, options());
    let ben = open(&mut world, "ben");
    join(&mut world, ben, "task:1", Value::Null);
    world.store();
    let core = &mut world.cores[0];
    let mut effects = fanfare_core::Effects::new(fanfare_core::ShardId(0));
    core.handle(world.now, fanfare_core::Input::Lost(world.clients[ben].id), &mut effects);
    assert!(!effects.writes.is_empty(), "how far the reader has come");
    let failed = fanfare_core::Mesh::Store(fanfare_core::Report::Failed);
    core.handle(world.now, fanfare_core::Input::Mesh(failed), &mut effects);
    assert!(effects.writes.is_empty());
}

#[test]
fn what_changes_while_a_state_is_written_is_written_once_and_answered_after_that() {
    let mut world = World::new(1, 3, options());
    let ada = open(&mut world, "ada");
    let poll = json!({ "poll_id": "p", "question": "Tea?", "options": ["yes", "no"] });
    world.command(ada, &json!({ "type": "poll.open", "id": 0, "room": "demo:1", "data": poll }));
    world.settle();
    world.store();
    let voters: Vec<usize> = (0..20).map(|number| open(&mut world, &format!("voter{number}"))).collect();
    let before = world.cores[0].written();
    for client in &voters {
        world.take_messages(*client);
        let vote = json!({ "poll_id": "p", "option": "yes" });
        world.command(*client, &json!({ "type": "poll.vote", "id": 1, "room": "demo:1", "data": vote }));
        world.settle();
        assert!(world.take_messages(*client).is_empty(), "not before it is kept");
    }
    assert_eq!((world.cores[0].written() - before, world.cores[0].awaits_no_store()), (1, false));
    let again = json!({ "poll_id": "p", "option": "yes" });
    world.command(voters[7], &json!({ "type": "poll.vote", "id": 2, "room": "demo:1", "data": again }));
    world.settle();
    world.store_one();
    world.settle();
    let answered =
        |world: &mut World, client: &usize| world.take_messages(*client).iter().any(|of| of["type"] == "ok");
    assert_eq!(
        voters.iter().filter(|client| answered(&mut world, client)).count(),
        1,
        "the first vote, and none that repeats another"
    );
    assert_eq!(world.cores[0].written() - before, 2);
    world.store();
    world.settle();
    assert_eq!(voters.iter().filter(|client| answered(&mut world, client)).count(), 19);
    assert!(world.cores[0].awaits_no_store());
    world.restart(4);
    let ada = open(&mut world, "ada");
    world.take_messages(ada);
    world.command(ada, &json!({ "type": "poll.list", "id": 1, "room": "demo:1" }));
    world.settle();
    assert_eq!(world.take_messages(ada)[0]["data"]["polls"][0]["total_votes"], 20);
}
