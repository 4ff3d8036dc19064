//! Readers that are remembered: what waits for them, what they acknowledge, what is sent again and what is given up.

use fanfare_core::{
    Answer, Delivery, Devices, HomeQuestion, Input, Options, QueueRule, RequestId, RoomType, Rows,
};
use fanfare_protocol::{Encoding, RoomName};
use fanfare_sim::World;
use serde_json::{Value, json};

const WAIT_MS: u64 = 10_000;

/// Rooms `task:…` are acknowledged, by whole users; `each:…` by each device; `note:…` queue only.
fn options() -> Options {
    let delivery = Delivery::AtLeastOnce { ack_wait_ms: WAIT_MS, max_deliver: 3 };
    let queue = QueueRule { size: 5, ttl_ms: 3_600_000 };
    let task = RoomType { delivery, queue, ..RoomType::open("task") };
    let each = RoomType { devices: Devices::Each, ..RoomType { name: "each".into(), ..task.clone() } };
    let note = RoomType { queue, ..RoomType::open("note") };
    let mut options = Options { room_types: vec![task, each, note], ..Options::default() };
    options.inbox.queue.size = 5;
    options.heartbeat.interval_ms = 1 << 40;
    options.heartbeat.idle_ms = 1 << 40;
    options
}

fn open(world: &mut World, user: &str) -> usize {
    let client = world.open(user.len() % world.cores.len(), user, "admin", Encoding::Json);
    world.settle();
    client
}

fn say(world: &mut World, client: usize, target: (&str, &str), number: u64, more: Value) {
    let mut command =
        json!({ "type": "publish", "id": number, target.0: target.1, "event": "said", "data": number });
    command.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    world.command(client, &command);
    world.settle();
}

fn join(world: &mut World, client: usize, room: &str) {
    world.command(client, &json!({ "type": "join", "id": "join", "room": room }));
    world.settle();
}

fn ack(world: &mut World, client: usize, room: &str, offset: u64) -> Value {
    world.take_messages(client);
    world.command(client, &json!({ "type": "ack", "id": "ack", "room": room, "offset": offset }));
    world.settle();
    world.take_messages(client).pop().expect("an ack with an id is answered")
}

/// What came: the numbers that were said, the first and last of a gap as text, the types of other messages.
fn heard(world: &mut World, client: usize) -> Vec<Value> {
    let line = |message: Value| match message["type"].as_str() {
        Some("said") => message["data"].clone(),
        Some("gap") => json!(format!("{}-{}", message["from"], message["to"])),
        _ => message["type"].clone(),
    };
    world.take_messages(client).into_iter().map(line).collect()
}

fn pass(world: &mut World, ms: u64) {
    world.pass(ms);
    world.settle();
}

fn ask(world: &mut World, question: HomeQuestion) -> Rows {
    world.answers.clear();
    world.input(0, Input::AskHome(RequestId(1), question));
    world.settle();
    match world.answers.pop() {
        Some((_, Answer::Rows(rows))) => rows,
        other => panic!("{other:?}"),
    }
}

fn dead(world: &mut World, user: &str) -> Vec<Value> {
    let question = HomeQuestion::DeadLetters { user: RoomName::of_user(user), limit: 100 };
    let Rows::DeadLetters(letters) = ask(world, question) else { panic!() };
    let body = |body: &fanfare_protocol::Body| match body {
        fanfare_protocol::Body::Json(bytes) => serde_json::from_slice(bytes).unwrap(),
        fanfare_protocol::Body::MessagePack(_) => panic!(),
    };
    letters.iter().map(|letter| body(&letter.entry.body)).collect()
}

#[test]
fn what_is_sent_to_a_user_who_is_away_comes_first_after_the_welcome_and_once() {
    let mut world = World::new(3, 1, options());
    let ada = open(&mut world, "ada");
    (1..=3).for_each(|number| say(&mut world, ada, ("user", "benjamin"), number, json!({})));
    let ben = open(&mut world, "benjamin");
    say(&mut world, ada, ("user", "benjamin"), 4, json!({}));
    assert_eq!(heard(&mut world, ben), [json!("welcome"), json!(1), json!(2), json!(3), json!(4)]);
    let again = open(&mut world, "benjamin");
    world.lose(ben);
    world.lose(again);
    world.settle();
    say(&mut world, ada, ("user", "benjamin"), 5, json!({}));
    let ben = open(&mut world, "benjamin");
    assert_eq!(heard(&mut world, again), [json!("welcome")]);
    assert_eq!(heard(&mut world, ben), [json!("welcome"), json!(5)]);
}

#[test]
fn of_too_much_the_oldest_of_the_lowest_priority_goes_and_is_told() {
    let mut world = World::new(2, 1, options());
    let ada = open(&mut world, "ada");
    for (number, priority) in (1..=8).zip([0, 9, 0, 1, 0, 1, 1, 1]) {
        say(&mut world, ada, ("user", "ben"), number, json!({ "priority": priority }));
    }
    let ben = open(&mut world, "ben");
    let said = [json!("welcome"), json!("1-1"), json!(2), json!("3-3"), json!(4), json!("5-5")];
    assert_eq!(heard(&mut world, ben)[..6], said);
    world.lose(ben);
    pass(&mut world, 3_600_000);
    let ada = open(&mut world, "ada");
    say(&mut world, ada, ("user", "ben"), 20, json!({}));
    let ben = open(&mut world, "ben");
    assert_eq!(heard(&mut world, ben), [json!("welcome"), json!(20)]);
    world.lose(ben);
    world.settle();
    say(&mut world, ada, ("user", "ben"), 21, json!({}));
    say(&mut world, ada, ("user", "ben"), 22, json!({ "ttl": 1 }));
    pass(&mut world, 1_800_000);
    say(&mut world, ada, ("user", "ben"), 23, json!({}));
    pass(&mut world, 1_800_000);
    let ben = open(&mut world, "ben");
    assert_eq!(heard(&mut world, ben), [json!("welcome"), json!("10-11"), json!(23)], "an hour is too long");
}

#[test]
fn what_is_not_acknowledged_is_sent_again_and_given_up_in_the_end() {
    let mut world = World::new(2, 1, options());
    let (ada, ben) = (open(&mut world, "ada"), open(&mut world, "ben"));
    join(&mut world, ben, "task:1");
    say(&mut world, ada, ("room", "task:1"), 1, json!({}));
    say(&mut world, ada, ("room", "task:1"), 2, json!({}));
    assert_eq!(heard(&mut world, ben)[2..], [json!(1), json!(2)]);
    pass(&mut world, WAIT_MS - 1);
    assert!(heard(&mut world, ben).is_empty(), "not yet");
    pass(&mut world, 1);
    assert_eq!(heard(&mut world, ben), [json!(1), json!(2)]);
    assert_eq!(ack(&mut world, ben, "task:1", 1)["type"], "ok");
    say(&mut world, ada, ("room", "task:1"), 3, json!({}));
    heard(&mut world, ben);
    pass(&mut world, WAIT_MS);
    assert_eq!(heard(&mut world, ben), [json!(2), json!(3)], "what was acknowledged is not");
    pass(&mut world, WAIT_MS);
    assert_eq!(heard(&mut world, ben), [json!(3)], "three times is enough");
    pass(&mut world, WAIT_MS);
    pass(&mut world, WAIT_MS);
    assert!(heard(&mut world, ben).is_empty());
    assert_eq!(dead(&mut world, "ben"), [json!(2), json!(3)]);
    let (first, user) = (1, RoomName::of_user("ben"));
    let Rows::DeadLetters(letters) =
        ask(&mut world, HomeQuestion::DeadLetters { user: user.clone(), limit: first })
    else {
        panic!()
    };
    let one = Some(letters[0].id);
    let rows = ask(&mut world, HomeQuestion::Requeue { user: user.clone(), letter: one });
    assert_eq!(rows, Rows::Exhumed(1));
    assert_eq!(heard(&mut world, ben), [json!(2)], "to the user's own room");
    assert_eq!(ask(&mut world, HomeQuestion::Requeue { user: user.clone(), letter: one }), Rows::Exhumed(0));
    assert_eq!(ask(&mut world, HomeQuestion::Drop { user, letter: None }), Rows::Exhumed(1));
    assert!(dead(&mut world, "ben").is_empty());
}

#[test]
fn what_was_given_up_is_kept_for_a_week() {
    let mut world = World::new(2, 1, options());
    let (ada, ben) = (open(&mut world, "ada"), open(&mut world, "ben"));
    join(&mut world, ben, "task:1");
    say(&mut world, ada, ("room", "task:1"), 1, json!({}));
    (0..3).for_each(|_| pass(&mut world, WAIT_MS));
    assert_eq!(dead(&mut world, "ben"), [json!(1)]);
    const DAY_MS: u64 = 24 * 3_600_000;
    pass(&mut world, 6 * DAY_MS);
    assert_eq!(dead(&mut world, "ben"), [json!(1)]);
    (0..4).for_each(|_| pass(&mut world, DAY_MS / 2));
    assert!(dead(&mut world, "ben").is_empty(), "whether or not another one has come");
}

#[test]
fn who_was_away_gets_what_it_has_not_acknowledged_when_it_joins_again() {
    let mut world = World::new(2, 1, options());
    let (ada, ben) = (open(&mut world, "ada"), open(&mut world, "ben"));
    join(&mut world, ben, "task:1");
    (1..=3).for_each(|number| say(&mut world, ada, ("room", "task:1"), number, json!({})));
    ack(&mut world, ben, "task:1", 2);
    world.lose(ben);
    world.settle();
    (4..=5).for_each(|number| say(&mut world, ada, ("room", "task:1"), number, json!({})));
    pass(&mut world, 5 * WAIT_MS);
    let ben = open(&mut world, "ben");
    join(&mut world, ben, "task:1");
    assert_eq!(heard(&mut world, ben), [json!("welcome"), json!("joined"), json!(3), json!(4), json!(5)]);
    assert!(dead(&mut world, "ben").is_empty(), "who is away cannot acknowledge");
    // Leaving ends it.
    world.command(ben, &json!({ "type": "leave", "id": 1, "room": "task:1" }));
    world.settle();
    say(&mut world, ada, ("room", "task:1"), 6, json!({}));
    join(&mut world, ben, "task:1");
    assert_eq!(heard(&mut world, ben), [json!("left"), json!("joined")]);
}

#[test]
fn one_device_answers_for_all_or_each_for_itself() {
    let mut world = World::new(2, 1, options());
    let ada = open(&mut world, "ada");
    let (phone, laptop) = (open(&mut world, "ben"), open(&mut world, "ben"));
    for room in ["task:1", "each:1"] {
        join(&mut world, phone, room);
        join(&mut world, laptop, room);
        heard(&mut world, laptop);
        say(&mut world, ada, ("room", room), 1, json!({}));
        assert_eq!(heard(&mut world, laptop), [json!(1)], "live messages go to all");
        ack(&mut world, phone, room, 1);
    }
    pass(&mut world, WAIT_MS);
    assert!(heard(&mut world, phone).is_empty());
    assert_eq!(world.messages(laptop).iter().map(|of| of["room"].clone()).collect::<Vec<_>>(), ["each:1"]);
}

#[test]
fn a_publisher_sees_who_has_acknowledged() {
    let mut world = World::new(2, 1, options());
    let (ada, ben, cleo) = (open(&mut world, "ada"), open(&mut world, "ben"), open(&mut world, "cleo"));
    for client in [ada, ben, cleo] {
        join(&mut world, client, "task:1");
    }
    say(&mut world, ada, ("room", "task:1"), 1, json!({ "receipts": true, "exclude_self": true }));
    say(&mut world, ada, ("room", "task:1"), 2, json!({ "message_id": "two" }));
    say(&mut world, ada, ("room", "task:1"), 3, json!({ "receipts": true, "message_id": "three" }));
    heard(&mut world, ada);
    ack(&mut world, ben, "task:1", 3);
    let receipts = world.take_messages(ada);
    let told: Vec<_> = receipts.iter().map(|of| (of["offset"].clone(), of["user_id"].clone())).collect();
    assert_eq!(told, [(json!(1), json!("ben")), (json!(3), json!("ben"))]);
    assert_eq!((&receipts[1]["type"], &receipts[1]["message_id"]), (&json!("receipt"), &json!("three")));
    ack(&mut world, ben, "task:1", 3);
    ack(&mut world, ada, "task:1", 2);
    assert!(world.take_messages(ada).is_empty(), "told once, and of one's own message never");
    let room = RoomName::parse("task:1").unwrap();
    let Rows::Readers(Some((_, 3)), rows) =
        ask(&mut world, HomeQuestion::Readers { room, limit: 10, caller: None })
    else {
        panic!()
    };
    let rows: Vec<_> =
        rows.iter().map(|row| (row.reader.user.as_str(), row.offset, row.connections)).collect();
    assert_eq!(rows, [("@user:ada", 2, 1), ("@user:ben", 3, 1), ("@user:cleo", 0, 1)]);
}

#[test]
fn what_a_publisher_wants_no_copy_of_it_owes_no_acknowledgement_for() {
    let mut world = World::new(1, 1, options());
    let ada = open(&mut world, "ada");
    join(&mut world, ada, "task:1");
    say(&mut world, ada, ("room", "task:1"), 1, json!({ "exclude_self": true }));
    heard(&mut world, ada);
    pass(&mut world, 5 * WAIT_MS);
    assert!(heard(&mut world, ada).is_empty());
    assert!(dead(&mut world, "ada").is_empty());
}

#[test]
fn an_acknowledgement_that_cannot_be_is_refused_and_changes_nothing() {
    let mut world = World::new(2, 1, options());
    let (ada, ben) = (open(&mut world, "ada"), open(&mut world, "ben"));
    join(&mut world, ben, "task:1");
    join(&mut world, ben, "plain:1");
    say(&mut world, ada, ("room", "task:1"), 1, json!({}));
    for (room, offset, field) in
        [("task:1", 2, "offset"), ("task:2", 1, "room"), ("plain:1", 0, "room"), ("@user:ada", 0, "room")]
    {
        let answer = ack(&mut world, ben, room, offset);
        assert_eq!((&answer["code"], &answer["details"]["field"]), (&json!(4005), &json!(field)), "{answer}");
    }
    let command = json!({ "type": "ack", "id": 1, "room": "task:1", "offset": 1, "epoch": "other" });
    world.command(ben, &command);
    world.settle();
    assert_eq!(world.take_messages(ben)[0]["details"]["field"], "epoch");
    pass(&mut world, WAIT_MS);
    assert_eq!(heard(&mut world, ben), [json!(1)], "nothing was settled");
}

#[test]
fn where_nothing_is_acknowledged_only_what_came_meanwhile_waits() {
    let mut world = World::new(2, 1, options());
    let (ada, ben) = (open(&mut world, "ada"), open(&mut world, "ben"));
    join(&mut world, ben, "note:1");
    say(&mut world, ada, ("room", "note:1"), 1, json!({}));
    world.lose(ben);
    world.settle();
    say(&mut world, ada, ("room", "note:1"), 2, json!({}));
    let ben = open(&mut world, "ben");
    join(&mut world, ben, "note:1");
    pass(&mut world, 5 * WAIT_MS);
    assert_eq!(heard(&mut world, ben), [json!("welcome"), json!("joined"), json!(2)]);
    let cleo = open(&mut world, "cleo");
    join(&mut world, cleo, "note:1");
    assert_eq!(heard(&mut world, cleo), [json!("welcome"), json!("joined")], "nothing waits for a stranger");
}

#[test]
fn who_stays_away_too_long_is_forgotten() {
    let mut world = World::new(1, 1, options());
    let ben = open(&mut world, "ben");
    join(&mut world, ben, "task:1");
    world.lose(ben);
    pass(&mut world, 3_599_000);
    assert_eq!(world.cores[0].stats().subscribers, 1);
    for _ in 0..8 {
        pass(&mut world, 310_000);
    }
    let stats = world.cores[0].stats();
    assert_eq!((stats.subscribers, stats.expired_subscribers, stats.home_rooms), (0, 1, 0));
}

/// A second connection was sent everything since the first one came.
#[test]
fn where_nothing_is_acknowledged_a_second_connection_goes_on_where_the_first_one_is() {
    let mut world = World::new(2, 1, options());
    let (ada, phone) = (open(&mut world, "ada"), open(&mut world, "ben"));
    join(&mut world, phone, "note:1");
    (1..=7).for_each(|number| say(&mut world, ada, ("room", "note:1"), number, json!({})));
    let laptop = open(&mut world, "ben");
    join(&mut world, laptop, "note:1");
    say(&mut world, ada, ("room", "note:1"), 8, json!({}));
    assert_eq!(heard(&mut world, laptop), [json!("welcome"), json!("joined"), json!(8)]);
}

/// The shard still had the room of those who had just left, and took what was published since for not yet delivered.
#[test]
fn who_joins_while_the_last_one_leaves_can_acknowledge_where_the_room_stands() {
    let mut world = World::new(1, 1, options());
    let (ada, ben, cleo) = (open(&mut world, "ada"), open(&mut world, "ben"), open(&mut world, "cleo"));
    join(&mut world, ben, "task:1");
    say(&mut world, ada, ("room", "task:1"), 1, json!({}));
    world.command(ada, &json!({ "type": "publish", "room": "task:1", "event": "said", "data": 2 }));
    world.flush(0, |world| {
        world.lose(ben);
        world.command(ada, &json!({ "type": "publish", "room": "task:1", "event": "said", "data": 3 }));
        world.command(cleo, &json!({ "type": "join", "room": "task:1" }));
    });
    world.settle();
    assert_eq!(heard(&mut world, cleo), [json!("welcome"), json!("joined")]);
    assert_eq!(ack(&mut world, cleo, "task:1", 3)["type"], "ok");
}

#[test]
fn a_client_that_is_left_out_is_one_of_its_readers_connections() {
    let mut world = World::new(2, 5, options());
    let ada = open(&mut world, "ada");
    let named =
        |name: &'static str| move |opening: &mut fanfare_core::Opening| opening.client_id = Some(name.into());
    let tab = world.open_with(0, "ben", "admin", named("tab"));
    let phone = world.open_with(1, "ben", "admin", named("phone"));
    world.settle();
    for client in [tab, phone] {
        join(&mut world, client, "task:1");
        world.take_messages(client);
    }
    say(&mut world, ada, ("room", "task:1"), 1, json!({ "exclude_client": "tab" }));
    assert_eq!((heard(&mut world, tab), heard(&mut world, phone)), (vec![], vec![json!(1)]));
    // Nobody has acknowledged it for the user: what was lost on one connection comes on all.
    pass(&mut world, WAIT_MS);
    assert_eq!((heard(&mut world, tab), heard(&mut world, phone)), (vec![json!(1)], vec![json!(1)]));
    say(&mut world, ada, ("room", "task:1"), 2, json!({ "exclude_client": "tab" }));
    assert_eq!(ack(&mut world, phone, "task:1", 2)["type"], "ok");
    pass(&mut world, 2 * WAIT_MS);
    assert_eq!((heard(&mut world, tab), heard(&mut world, phone)), (vec![], vec![]));
}
