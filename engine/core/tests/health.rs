//! Numbered pings: what a client that asks for them is told, and what becomes of one that does not answer.

use fanfare_core::{
    Answer, Application, ConnectionRow, ConnectionState, Input, Options, Question, RequestId, Rows,
};
use fanfare_protocol::Encoding;
use fanfare_sim::World;
use serde_json::{Value, json};

const INTERVAL_MS: u64 = 1_000;
const GRACE_MS: u64 = 3_000;

fn options() -> Options {
    let mut options = Options::default();
    options.heartbeat.interval_ms = INTERVAL_MS;
    options.heartbeat.grace_ms = GRACE_MS;
    options
}

fn measured(world: &mut World, user: &str) -> usize {
    let client = world.open_with(0, user, "user", |opening| opening.health = true);
    world.settle();
    client
}

/// Time passes a little at a time, as it does for a shard.
fn pass(world: &mut World, ms: u64) {
    for _ in 0..ms / 250 {
        world.pass(250);
        world.settle();
    }
}

/// The types of what came; for frames without a message what the frame is.
fn kinds(world: &mut World, client: usize) -> Vec<String> {
    let kind = |message: &Value| message["type"].as_str().map_or(message.to_string(), str::to_owned);
    world.take_messages(client).iter().map(kind).collect()
}

fn pong(world: &mut World, client: usize, number: u64) -> Vec<Value> {
    world.command(client, &json!({ "type": "heartbeat_pong", "id": 7, "sequence_number": number }));
    world.settle();
    world.take_messages(client)
}

fn rows(world: &mut World, state: Option<ConnectionState>) -> Vec<ConnectionRow> {
    world.answers.clear();
    let question = Question::Connections { user_id: None, client_id: None, state, limit: 100 };
    world.input(0, Input::Ask(RequestId(1), question));
    world.settle();
    let rows = world.answers.drain(..).flat_map(|(_, answer)| match answer {
        Answer::Rows(Rows::Connections(rows)) => rows,
        other => panic!("{other:?}"),
    });
    rows.collect()
}

#[test]
fn a_round_trip_is_measured_by_the_servers_clock_and_told() {
    let mut world = World::new(2, 1, options());
    let client = measured(&mut world, "ada");
    let welcome = world.take_messages(client);
    assert_eq!((&welcome[0]["type"], &welcome[1]["type"]), (&json!("welcome"), &json!("heartbeat_ping")));
    assert_eq!(welcome[1]["sequence_number"], 1);
    assert_eq!(rows(&mut world, None)[0].health.unwrap().last_us, None);
    for (number, (ms, quality)) in (1..).zip([
        (99, "excellent"),
        (100, "good"),
        (299, "good"),
        (300, "fair"),
        (999, "fair"),
        (1_000, "poor"),
    ]) {
        world.pass(ms);
        let told = pong(&mut world, client, number);
        let health = told.iter().find(|of| of["type"] == "connection_health").expect("it is told");
        assert_eq!((&health["quality"], &health["rtt_ms"]), (&json!(quality), &json!(ms as f64)));
        assert_eq!((&health["sequence_number"], &health["id"]), (&json!(number), &json!(7)));
        // The next ping comes when an interval is over.
        if !told.iter().any(|of| of["type"] == "heartbeat_ping") {
            let mut waited = 0;
            while !kinds(&mut world, client).contains(&"heartbeat_ping".to_owned()) {
                world.pass(1);
                world.settle();
                waited += 1;
                assert!(waited <= INTERVAL_MS + 250, "no ping {}", number + 1);
            }
        }
    }
    let health = rows(&mut world, None)[0].health.unwrap();
    assert_eq!((health.min_us, health.max_us), (Some(99_000), Some(1_000_000)));
    assert_eq!((health.last_us, health.mean_us), (Some(1_000_000), Some(466_166)));
    assert_eq!(health.sequence_number, 7);
}

#[test]
fn nobody_else_is_pinged_so() {
    let mut world = World::new(1, 1, options());
    let client = world.open(0, "ada", "user", Encoding::Json);
    world.settle();
    pass(&mut world, 2_000);
    assert_eq!(kinds(&mut world, client), ["welcome", "\"ping\""]);
    assert!(rows(&mut world, None)[0].health.is_none());
    let told = pong(&mut world, client, 1);
    assert_eq!((&told[0]["code"], &told[0]["details"]["field"]), (&json!(4005), &json!("sequence_number")));
    for (application, pinged) in [(Application::Off, false), (Application::All, true)] {
        let mut options = options();
        options.heartbeat.application = application;
        let mut world = World::new(1, 1, options);
        for asks in [false, true] {
            let client = world.open_with(0, "ada", "user", |opening| opening.health = asks);
            world.settle();
            let is_pinged = kinds(&mut world, client).contains(&"heartbeat_ping".to_owned());
            assert_eq!(is_pinged, pinged, "{application:?}, asks: {asks}");
        }
    }
}

#[test]
fn an_answer_counts_once_and_only_to_a_ping() {
    let mut world = World::new(1, 1, options());
    let client = measured(&mut world, "ada");
    world.take_messages(client);
    for number in [0, 2, u64::MAX] {
        let told = pong(&mut world, client, number);
        assert_eq!((&told[0]["type"], &told[0]["code"]), (&json!("error"), &json!(4005)), "{number}");
    }
    assert_eq!(pong(&mut world, client, 1)[0]["type"], "connection_health");
    assert_eq!(pong(&mut world, client, 1)[0]["code"], 4005);
    // An answer to a later ping settles the earlier ones.
    pass(&mut world, 2_250);
    assert_eq!(kinds(&mut world, client), ["heartbeat_ping", "heartbeat_ping"]);
    assert_eq!(pong(&mut world, client, 3)[0]["type"], "connection_health");
    assert_eq!(pong(&mut world, client, 2)[0]["code"], 4005);
    world.command(client, &json!({ "type": "heartbeat_pong" }));
    world.settle();
    assert_eq!(world.take_messages(client)[0]["details"]["field"], "sequence_number");
}

#[test]
fn who_sends_nothing_within_the_grace_is_told_and_closed_and_who_sends_anything_lives() {
    let mut world = World::new(1, 1, options());
    let (silent, busy) = (measured(&mut world, "ada"), measured(&mut world, "ben"));
    for _ in 0..10 {
        pass(&mut world, 1_000);
        world.input(0, Input::Heard(world.clients[busy].id));
    }
    assert!(world.clients[silent].closed || !world.is_open(silent));
    // One ping at once, and one each second until the grace after the first is over. No WebSocket's ping.
    let told = kinds(&mut world, silent);
    assert_eq!(told[..2], ["welcome", "heartbeat_ping"]);
    let end = told.iter().position(|kind| kind != "heartbeat_ping" && kind != "welcome").unwrap();
    assert_eq!(told[end..], ["connection_timeout", "error", "4007"]);
    assert!((3..=4).contains(&(end - 1)), "{told:?}");
    assert!(world.is_open(busy), "its answers are missing, but it is alive");
}

#[test]
fn an_answer_from_the_dead_end_of_a_join_is_no_delay() {
    // A pong is answered at once even where other commands wait for a join.
    let mut world = World::new(2, 3, options());
    let client = measured(&mut world, "ada");
    world.take_messages(client);
    for room in 0..4 {
        world.command(client, &json!({ "type": "join", "room": format!("a:{room}") }));
    }
    world.command(client, &json!({ "type": "heartbeat_pong", "sequence_number": 1 }));
    world.flush(0, |_| {});
    assert!(kinds(&mut world, client).contains(&"connection_health".to_owned()));
}

#[test]
fn rows_tell_the_state() {
    let mut world = World::new(1, 1, options());
    let client = world.open(0, "ada", "user", Encoding::Json);
    let waits = world.open_with(0, "x", "user", |opening| opening.identity = None);
    assert_eq!(rows(&mut world, Some(ConnectionState::Connecting)).len(), 1);
    world.settle();
    world.pass(700);
    world.command(client, &json!({ "type": "heartbeat" }));
    world.pass(400);
    let row = rows(&mut world, Some(ConnectionState::Connected)).pop().unwrap();
    assert_eq!((row.state, row.idle_ms, &*row.user_id), (ConnectionState::Connected, 400, "ada"));
    assert_eq!(row.last_activity_unix_ms, world.now.unix_ms - 1_100, "the test feeds commands without bytes");
    world.clients[client].room = 10;
    world.command(client, &json!({ "type": "heartbeat", "data": "more than the socket takes" }));
    world.settle();
    assert_eq!(rows(&mut world, Some(ConnectionState::Slow)).len(), 1);
    assert_eq!(rows(&mut world, None)[0].state.name(), "slow");
    world.command(waits, &json!({ "type": "heartbeat" }));
    world.settle();
    assert_eq!(rows(&mut world, Some(ConnectionState::Closing)).len(), 1);
    assert!(rows(&mut world, Some(ConnectionState::Connecting)).is_empty());
}
