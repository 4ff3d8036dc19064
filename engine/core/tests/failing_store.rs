//! While the store fails: what is taken away does not come back, what must last is refused, and everything else goes on.

use fanfare_core::{
    Answer, DeadLetter, Delivery, HomeQuestion, Input, Options, QueueRule, RequestId, RoomType, Rows,
};
use fanfare_protocol::{Code, Encoding, RoomName};
use fanfare_sim::World;
use serde_json::{Value, json};

fn world() -> World {
    world_of(true)
}

/// Whether its rooms of tasks and of users are durable.
fn world_of(durable: bool) -> World {
    let queue = QueueRule { size: 100, ttl_ms: 3_600_000 };
    let task = RoomType { durable, delivery: Delivery::ACKNOWLEDGED, queue, ..RoomType::open("task") };
    let mut options =
        Options { room_types: vec![task, RoomType::open("plain")], store: true, ..Options::default() };
    options.inbox.durable = durable;
    options.heartbeat.interval_ms = 1 << 40;
    options.limits.store_queue = 2;
    World::new(1, 1, options)
}

fn open(world: &mut World, user: &str) -> usize {
    let client = world.open(0, user, "admin", Encoding::Json);
    store(world);
    world.take_messages(client);
    client
}

fn store(world: &mut World) {
    world.settle();
    world.store();
    world.settle();
}

/// What somebody is answered without the store's help.
fn ask(world: &mut World, client: usize, command: Value) -> Option<Value> {
    world.take_messages(client);
    world.command(client, &command);
    world.settle();
    world.take_messages(client).into_iter().find(|of| of["id"] == command["id"])
}

fn join(world: &mut World, client: usize) -> Value {
    ask(world, client, json!({"type": "join", "id": "j", "room": "task:1"})).expect("the join is answered")
}

/// A user with so many dead letters, who is away.
fn with_letters(world: &mut World, count: u64) {
    let (ada, ben) = (open(world, "ada"), open(world, "ben"));
    join(world, ben);
    for number in 1..=count {
        let say = json!({"type": "publish", "id": number, "room": "task:1", "event": "said", "data": number});
        world.command(ada, &say);
        store(world);
    }
    for _ in 0..4 {
        world.pass(30_000);
        store(world);
    }
    world.lose(ben);
    store(world);
    assert_eq!(letters(world), count as usize);
}

fn answer(world: &mut World) -> Option<Rows> {
    match world.answers.pop() {
        Some((_, Answer::Rows(rows))) => Some(rows),
        other => {
            assert!(other.is_none(), "{other:?}");
            None
        }
    }
}

fn question(world: &mut World, question: HomeQuestion) -> Option<Rows> {
    world.answers.clear();
    world.input(0, Input::AskHome(RequestId(1), question));
    world.settle();
    answer(world)
}

fn dead(world: &mut World) -> Vec<DeadLetter> {
    let asked = HomeQuestion::DeadLetters { user: RoomName::of_user("ben"), limit: 100 };
    let Some(Rows::DeadLetters(letters)) = question(world, asked) else { panic!() };
    letters
}

fn letters(world: &mut World) -> usize {
    dead(world).len()
}

fn first(world: &mut World) -> u64 {
    dead(world)[0].id
}

fn requeue() -> HomeQuestion {
    HomeQuestion::Requeue { user: RoomName::of_user("ben"), letter: None }
}

fn drop_all() -> HomeQuestion {
    HomeQuestion::Drop { user: RoomName::of_user("ben"), letter: None }
}

fn is_refused(rows: Option<Rows>) -> bool {
    matches!(rows, Some(Rows::Refused(refusal)) if refusal.code == Code::ServerError)
}

#[test]
fn dead_letters_are_neither_sent_nor_dropped_while_the_store_fails() {
    let mut world = world();
    with_letters(&mut world, 3);
    world.fail_store();
    for asked in [requeue(), drop_all()] {
        let rows = question(&mut world, asked);
        assert!(is_refused(rows));
    }
    assert_eq!(letters(&mut world), 3);
    world.heal_store();
    store(&mut world);
    assert_eq!(question(&mut world, drop_all()), None, "not before it is on disk");
    store(&mut world);
    assert_eq!(answer(&mut world), Some(Rows::Exhumed(3)));
    world.restart(2);
    assert_eq!(letters(&mut world), 0);
}

#[test]
fn a_dead_letter_stays_one_until_its_message_has_its_place() {
    let mut world = world();
    with_letters(&mut world, 1);
    assert_eq!(question(&mut world, requeue()), None);
    assert_eq!(letters(&mut world), 1);
    assert_eq!(question(&mut world, requeue()), None, "it is on its way already");
    world.fail_store();
    world.settle();
    assert!(is_refused(answer(&mut world)));
    assert_eq!(letters(&mut world), 1, "the message is lost, the letter is not");
    world.heal_store();
    store(&mut world);
    question(&mut world, requeue());
    store(&mut world);
    assert_eq!((answer(&mut world), letters(&mut world)), (Some(Rows::Exhumed(1)), 0));
    store(&mut world);
    world.restart(2);
    assert_eq!(letters(&mut world), 0);
    let ben = world.open(0, "ben", "admin", Encoding::Json);
    world.settle();
    let said = world.take_messages(ben).into_iter().filter(|of| of["type"] == "said").count();
    assert_eq!(said, 1);
}

#[test]
fn of_many_dead_letters_as_many_are_sent_as_the_store_takes() {
    let mut world = world();
    with_letters(&mut world, 5);
    let mut sent = 0;
    for left in [3, 1, 0] {
        question(&mut world, requeue());
        store(&mut world);
        let Some(Rows::Exhumed(count)) = answer(&mut world) else { panic!() };
        sent += count;
        store(&mut world);
        assert_eq!(letters(&mut world), left);
    }
    assert_eq!(sent, 5);
}

#[test]
fn what_was_dropped_when_the_store_failed_is_told_again() {
    let mut world = world();
    with_letters(&mut world, 2);
    assert_eq!(question(&mut world, drop_all()), None);
    world.fail_store();
    world.settle();
    assert!(is_refused(answer(&mut world)), "it may come back");
    world.heal_store();
    store(&mut world);
    world.restart(2);
    assert_eq!(letters(&mut world), 0, "it did not");
}

#[test]
fn who_leaves_while_the_store_fails_has_left_also_after_a_restart() {
    let mut world = world();
    let (ben, cleo) = (open(&mut world, "ben"), open(&mut world, "cleo"));
    for client in [ben, cleo] {
        join(&mut world, client);
        store(&mut world);
    }
    world.fail_store();
    world.settle();
    for client in [ben, cleo] {
        assert_eq!(
            ask(&mut world, client, json!({"type": "leave", "id": 1, "room": "task:1"})).unwrap()["type"],
            "left"
        );
    }
    join(&mut world, cleo);
    world.heal_store();
    store(&mut world);
    world.restart(2);
    let asked = HomeQuestion::Readers { room: RoomName::parse("task:1").unwrap(), limit: 9, caller: None };
    let Some(Rows::Readers(_, readers)) = question(&mut world, asked) else { panic!() };
    let users: Vec<&str> = readers.iter().map(|row| row.reader.user.as_str()).collect();
    assert_eq!(users, ["@user:cleo"], "who has come back is there");
}

/// The store fails with this very command, as a disk does that is full.
#[test]
fn what_was_on_its_way_when_the_store_failed_is_told_as_what_comes_after() {
    let mut world = world();
    let ada = open(&mut world, "ada");
    ask(&mut world, ada, json!({"type": "join", "id": "j", "room": "plain:1"})).unwrap();
    let rule = json!({"rule_id": "high", "name": "v", "limit": "above", "threshold": 1});
    world.command(ada, &json!({"type": "monitor.set_rule", "id": 0, "room": "plain:1", "data": rule}));
    store(&mut world);
    let ban = json!({"type": "access.ban_user", "id": 1, "data": {"user_id": "eve"}});
    let report = json!({"type": "monitor.report", "id": 2, "room": "plain:1", "data": {"values": {"v": 2}}});
    let freeze = json!({"type": "room.freeze", "id": 3, "room": "plain:2"});
    for command in [&ban, &report, &freeze] {
        assert_eq!(ask(&mut world, ada, command.clone()), None, "not before it is on disk");
    }
    world.fail_store();
    world.settle();
    let told = world.take_messages(ada);
    let answer = |id: u64| told.iter().find(|of| of["id"] == id).expect("nobody waits for ever");
    assert!(answer(1)["message"].as_str().unwrap().starts_with("it is done"), "{}", answer(1));
    assert_eq!(answer(2)["type"], "ok", "what it reports need not last there");
    assert_eq!(answer(3)["code"], 4006);
}

#[test]
fn letters_that_are_in_no_store_do_not_wait_for_one() {
    let mut world = world_of(false);
    with_letters(&mut world, 2);
    world.fail_store();
    let one = HomeQuestion::Drop { user: RoomName::of_user("ben"), letter: Some(first(&mut world)) };
    assert_eq!(question(&mut world, one), Some(Rows::Exhumed(1)));
    assert_eq!(question(&mut world, requeue()), Some(Rows::Exhumed(1)));
    assert_eq!(letters(&mut world), 0);
}

#[test]
fn what_need_not_last_goes_on_and_what_cannot_wait_is_done_and_told() {
    let mut world = world();
    let ada = open(&mut world, "ada");
    for room in ["task:1", "plain:1"] {
        ask(&mut world, ada, json!({"type": "join", "id": "j", "room": room})).unwrap();
    }
    store(&mut world);
    world.fail_store();
    let mut code = |room: &str, name: &str, data: Value| {
        let command = json!({"type": name, "id": 1, "room": room, "data": data});
        ask(&mut world, ada, command).expect("nobody waits for a store that fails")["code"].clone()
    };
    let text = json!({"text": "Hello"});
    let values = json!({"values": {"v": 1}});
    for (name, data, in_plain, in_durable) in [
        ("chat.send", &text, Value::Null, json!(4006)),
        ("chat.typing", &json!({"typing": true}), Value::Null, Value::Null),
        ("monitor.report", &values, Value::Null, json!(4006)),
        ("room.freeze", &json!({}), json!(4006), json!(4006)),
    ] {
        assert_eq!(code("plain:1", name, data.clone()), in_plain, "{name}");
        assert_eq!(code("task:1", name, data.clone()), in_durable, "{name}");
    }
    let ban =
        |dry: bool| json!({"type": "access.ban_user", "id": 2, "data": {"user_id": "eve", "dry_run": dry}});
    assert_eq!(ask(&mut world, ada, ban(true)).unwrap()["type"], "ok");
    let told = ask(&mut world, ada, ban(false)).unwrap();
    assert_eq!(told["code"], 4006);
    assert!(told["message"].as_str().unwrap().starts_with("it is done"), "{told}");
    world.heal_store();
    store(&mut world);
    world.restart(2);
    let ada = open(&mut world, "ada");
    let unban = json!({"type": "access.unban_user", "id": 3, "data": {"user_id": "eve"}});
    world.command(ada, &unban);
    store(&mut world);
    let answers = world.take_messages(ada);
    assert!(answers.iter().any(|of| of["data"]["removed"] == true), "{answers:?}");
}
