//! A backend is asked before something is done: what it allows is done in its turn, what it denies is not, and nobody
//! waits for ever.

use fanfare_core::{About, Changes, Hooks, Inquiry, Options, RoomPattern, Verdict};
use fanfare_protocol::{Body, Encoding, EventName};
use fanfare_sim::World;
use serde_json::{Value, json};

fn patterns(texts: &[&str]) -> Vec<RoomPattern> {
    texts.iter().map(|text| RoomPattern::new(text).unwrap()).collect()
}

fn hooks() -> Hooks {
    Hooks {
        connect: false,
        join: true,
        publish: true,
        rooms: patterns(&["asked:*", "@user:*"]),
        message_types: patterns(&["said", "order_*"]),
        timeout_ms: 1_000,
        waiting_max: 8,
        allow_unanswered: false,
    }
}

fn world(hooks: Hooks) -> World {
    World::new(3, 7, Options { hooks: Some(hooks), ..Options::default() })
}

fn open(world: &mut World, user: &str) -> usize {
    let client = world.open(user.len() % 3, user, "admin", Encoding::Json);
    world.settle();
    client
}

fn join(world: &mut World, client: usize, room: &str) {
    world.command(client, &json!({ "type": "join", "id": format!("join {room}"), "room": room }));
    world.settle();
}

fn say(world: &mut World, client: usize, room: &str, data: u64) {
    let said = json!({ "type": "publish", "id": data, "room": room, "event": "said", "data": data });
    world.command(client, &said);
    world.settle();
}

fn answer(world: &mut World, verdict: Verdict) -> Inquiry {
    let (shard, inquiry) = world.inquiries.remove(0);
    world.answer(shard, &inquiry, verdict);
    world.settle();
    inquiry
}

fn allow() -> Verdict {
    Verdict::Allow(Box::default())
}

fn deny() -> Verdict {
    Verdict::Deny("not today".to_owned())
}

/// What came, in short.
fn heard(world: &mut World, client: usize) -> Vec<String> {
    let line = |of: Value| match of["type"].as_str() {
        Some("error") => format!("error {} {}", of["code"], of["message"].as_str().unwrap()),
        Some(kind) => format!("{kind} {} {}", of["room"].as_str().unwrap_or_default(), of["data"]),
        None => of.to_string(),
    };
    world.take_messages(client).into_iter().map(line).collect()
}

#[test]
fn a_join_and_a_publish_wait_for_the_answer_and_what_comes_after_waits_behind_them() {
    let mut world = world(hooks());
    let ben = open(&mut world, "ben");
    heard(&mut world, ben);
    join(&mut world, ben, "asked:1");
    say(&mut world, ben, "asked:1", 1);
    say(&mut world, ben, "free:1", 2);
    join(&mut world, ben, "free:1");
    assert_eq!(heard(&mut world, ben), Vec::<String>::new());
    assert_eq!(world.inquiries.len(), 1, "one at a time, so that all take effect in order");
    let asked = answer(&mut world, allow());
    assert_eq!((&*asked.user_id, &*asked.role), ("ben", "admin"));
    assert!(matches!(asked.about, About::Join(room) if room.as_str() == "asked:1"));
    assert_eq!(heard(&mut world, ben), ["joined asked:1 null"]);
    let asked = answer(&mut world, allow());
    assert!(matches!(asked.about, About::Publish(publish) if publish.event.as_str() == "said"));
    let rest = heard(&mut world, ben);
    assert_eq!(rest.len(), 4, "{rest:?}");
    for of in ["published asked:1 null", "said asked:1 1", "published free:1 null", "joined free:1 null"] {
        assert!(rest.iter().any(|line| line == of), "{of}: {rest:?}");
    }
    assert!(world.inquiries.is_empty(), "of rooms that no pattern names nobody is asked");
}

#[test]
fn what_is_denied_is_not_done_and_what_is_rewritten_is_done_so() {
    let mut world = world(hooks());
    let ben = open(&mut world, "ben");
    heard(&mut world, ben);
    join(&mut world, ben, "asked:1");
    answer(&mut world, deny());
    assert_eq!(heard(&mut world, ben), ["error 4013 not today"]);
    join(&mut world, ben, "asked:1");
    answer(&mut world, allow());
    say(&mut world, ben, "asked:1", 1);
    answer(&mut world, deny());
    say(&mut world, ben, "asked:1", 2);
    let changes = Changes {
        event: Some(EventName::parse("told").unwrap()),
        body: Some(Body::Json("\"other\"".into())),
        ..Changes::default()
    };
    answer(&mut world, Verdict::Allow(Box::new(changes)));
    let mut rest = heard(&mut world, ben);
    rest.sort();
    let expected =
        ["error 4013 not today", "joined asked:1 null", "published asked:1 null", "told asked:1 \"other\""];
    assert_eq!(rest, expected);
    let denied: u64 = world.cores.iter().map(|core| core.stats().inquiries_denied).sum();
    assert_eq!(denied, 2);
}

#[test]
fn without_an_answer_in_time_the_default_holds_and_a_late_one_changes_nothing() {
    for allow_unanswered in [false, true] {
        let mut world = world(Hooks { allow_unanswered, ..hooks() });
        let ben = open(&mut world, "ben");
        heard(&mut world, ben);
        join(&mut world, ben, "asked:1");
        say(&mut world, ben, "free:1", 1);
        world.pass(999);
        world.settle();
        assert_eq!(heard(&mut world, ben), Vec::<String>::new(), "its time is not over");
        world.pass(1);
        world.settle();
        let lines = heard(&mut world, ben);
        let first = if allow_unanswered { "joined asked:1 null" } else { "error 4006 the backend" };
        assert!(lines[0].starts_with(first), "{lines:?}");
        assert_eq!(lines[1], "published free:1 null");
        answer(&mut world, if allow_unanswered { deny() } else { allow() });
        assert_eq!(heard(&mut world, ben), Vec::<String>::new());
        let stats: Vec<_> = world.cores.iter().map(|core| core.stats()).collect();
        assert_eq!(stats.iter().map(|of| of.inquiries_unanswered).sum::<u64>(), 1);
        assert_eq!(stats.iter().map(|of| of.inquiries_waiting).sum::<u64>(), 0);
    }
}

#[test]
fn only_so_many_questions_wait_and_the_others_are_decided_at_once() {
    let mut world = world(hooks());
    let clients: Vec<usize> = (0..10).map(|_| open(&mut world, "abc")).collect();
    for client in &clients {
        heard(&mut world, *client);
        join(&mut world, *client, "asked:1");
    }
    assert_eq!(world.inquiries.len(), 8);
    let lines: Vec<String> = clients.iter().flat_map(|client| heard(&mut world, *client)).collect();
    assert_eq!(lines.len(), 2);
    assert!(lines.iter().all(|line| line.starts_with("error 4006")), "{lines:?}");
    // Who has gone leaves nothing behind that would ever be done.
    for client in &clients {
        world.lose(*client);
    }
    while !world.inquiries.is_empty() {
        answer(&mut world, allow());
    }
    let stats: Vec<_> = world.cores.iter().map(|core| core.stats()).collect();
    assert!(stats.iter().all(|of| (of.inquiries_waiting, of.member_rooms) == (0, 0)));
}

#[test]
fn a_connection_is_welcomed_once_it_is_allowed_as_whom_the_backend_says() {
    let mut world = world(Hooks { connect: true, join: false, publish: false, ..hooks() });
    let ben = open(&mut world, "ben");
    join(&mut world, ben, "team:1");
    assert_eq!(heard(&mut world, ben), Vec::<String>::new());
    let changes = Changes {
        role: Some("guest".into()),
        rooms: Some(patterns(&["team:*"]).into()),
        ..Changes::default()
    };
    answer(&mut world, Verdict::Allow(Box::new(changes)));
    let messages = world.take_messages(ben);
    assert_eq!((&messages[0]["type"], &messages[0]["role"]), (&json!("welcome"), &json!("guest")));
    assert_eq!(messages[1]["type"], "joined");
    join(&mut world, ben, "other:1");
    assert!(heard(&mut world, ben)[0].starts_with("error 4013"), "the backend's patterns count");
    let eve = open(&mut world, "eve");
    answer(&mut world, deny());
    assert_eq!(heard(&mut world, eve), ["error 4013 not today", "4013"]);
    let tom = open(&mut world, "tom");
    world.pass(1_000);
    world.settle();
    let lines = heard(&mut world, tom);
    assert!(lines[0].starts_with("error 4006") && lines[1] == "4006", "{lines:?}");
}

#[test]
fn a_newer_token_is_asked_about_as_well_so_that_it_brings_no_more_than_the_first() {
    use fanfare_core::{Identity, Input};
    let mut world = world(Hooks { connect: true, join: false, publish: false, ..hooks() });
    let ben = open(&mut world, "ben");
    let as_guest = || {
        let rooms = Some(patterns(&["team:*"]).into());
        Verdict::Allow(Box::new(Changes { role: Some("guest".into()), rooms, ..Changes::default() }))
    };
    answer(&mut world, as_guest());
    heard(&mut world, ben);
    let (shard, id) = (world.clients[ben].shard, world.clients[ben].id);
    let identity = Identity {
        user_id: "ben".into(),
        role: "admin".into(),
        rooms: None,
        key: 0,
        expires_at_unix_ms: world.now.unix_ms + 7_200_000,
    };
    let command = Some(fanfare_protocol::wire::CommandId::Number(9));
    let refresh = || Input::Token(id, command.clone(), Ok(identity.clone()));
    world.input(shard, refresh());
    let asked = answer(&mut world, as_guest());
    assert_eq!(asked.about, About::Connect { is_refresh: true });
    assert_eq!(heard(&mut world, ben), ["ok  null"]);
    join(&mut world, ben, "other:1");
    assert!(heard(&mut world, ben)[0].starts_with("error 4013"));
    world.input(shard, refresh());
    answer(&mut world, allow());
    assert!(heard(&mut world, ben)[0].starts_with("error 4013"), "another role than it has");
    world.input(shard, refresh());
    answer(&mut world, deny());
    assert_eq!(heard(&mut world, ben), ["error 4013 not today"], "it stays as it is");
    assert!(world.is_open(ben));
}

#[test]
fn who_must_not_join_does_not_read_what_the_room_keeps_either() {
    let mut world = world(hooks());
    let (ben, eve) = (open(&mut world, "ben"), open(&mut world, "eve"));
    join(&mut world, ben, "asked:1");
    answer(&mut world, allow());
    say(&mut world, ben, "asked:1", 1);
    answer(&mut world, allow());
    let read = json!({ "type": "history", "id": 1, "room": "asked:1" });
    heard(&mut world, ben);
    world.command(ben, &read);
    world.settle();
    assert!(heard(&mut world, ben)[0].starts_with("history"), "a member was asked about before");
    heard(&mut world, eve);
    world.command(eve, &read);
    world.settle();
    answer(&mut world, deny());
    assert_eq!(heard(&mut world, eve), ["error 4013 not today"]);
    world.command(eve, &read);
    world.settle();
    answer(&mut world, allow());
    assert!(heard(&mut world, eve)[0].starts_with("history"));
    world.command(eve, &json!({ "type": "presence", "id": 4, "room": "asked:1" }));
    world.settle();
    answer(&mut world, deny());
    assert_eq!(heard(&mut world, eve), ["error 4013 not today"]);
    // Nor does it use what services do there.
    let vote = json!({ "poll_id": "pace", "option": "fast" });
    world.command(eve, &json!({ "type": "poll.vote", "id": 2, "room": "asked:1", "data": vote }));
    world.settle();
    answer(&mut world, deny());
    assert_eq!(heard(&mut world, eve), ["error 4013 not today"]);
    world.command(eve, &json!({ "type": "poll.vote", "id": 3, "room": "asked:1", "data": vote }));
    world.settle();
    answer(&mut world, allow());
    assert!(heard(&mut world, eve)[0].starts_with("error 4002"), "there is no such poll");
}

#[test]
fn a_query_with_rooms_is_asked_about_each_of_them_in_turn() {
    use fanfare_protocol::{RoomName, wire::Join};
    let mut world = world(hooks());
    let ben = world.open_with(0, "ben", "admin", |opening| {
        let join = |room| Join { room: RoomName::parse(room).unwrap(), recover: None, last: None };
        opening.rooms = vec![join("asked:1"), join("free:1"), join("asked:2")];
    });
    world.settle();
    answer(&mut world, deny());
    answer(&mut world, allow());
    let lines = heard(&mut world, ben);
    assert!(lines[0].starts_with("welcome"), "{lines:?}");
    assert_eq!(lines[1..], ["error 4013 not today", "joined free:1 null", "joined asked:2 null"]);
}

#[test]
fn how_long_a_backend_takes_is_not_counted_against_a_token() {
    let mut world = world(Hooks { connect: true, timeout_ms: 20_000, ..hooks() });
    let ben = open(&mut world, "ben");
    world.pass(10_000);
    world.settle();
    assert!(world.is_open(ben), "{:?}", heard(&mut world, ben));
    answer(&mut world, allow());
    assert!(heard(&mut world, ben)[0].starts_with("welcome"));
}
