//! Coming back: with what the welcome gave, a client gets its rooms again, each from where it says it has come to.

use fanfare_core::{Close, ConnectionId, Input, Options};
use fanfare_protocol::wire::{Join, Position};
use fanfare_protocol::{Code, Encoding, RoomName};
use fanfare_sim::World;
use serde_json::{Value, json};

type End = fn(ConnectionId) -> Input;

fn open(world: &mut World, user: &str) -> usize {
    let client = world.open(user.len() % world.cores.len(), user, "admin", Encoding::Json);
    world.settle();
    client
}

/// Somebody in two rooms: the connection, what it can come back with, and the epoch of the first room.
fn member(world: &mut World) -> (usize, String, String) {
    let client = open(world, "ben");
    for room in ["chat:1", "chat:2"] {
        world.command(client, &json!({ "type": "join", "id": 1, "room": room }));
    }
    world.settle();
    let messages = world.take_messages(client);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (client, text(&messages[0]["resume"]), text(&messages[1]["epoch"]))
}

fn come_back(world: &mut World, user: &str, resume: &str, places: &[(&str, &str, u64)]) -> usize {
    let client = world.open_with(1, user, "admin", |opening| {
        opening.resume = Some(resume.into());
        let join = |(room, epoch, offset): &(&str, &str, u64)| Join {
            room: RoomName::parse(room).unwrap(),
            recover: Some(Position { epoch: (*epoch).into(), offset: *offset }),
            last: None,
        };
        opening.rooms = places.iter().map(join).collect();
    });
    world.settle();
    client
}

fn say(world: &mut World, client: usize, target: (&str, &str), number: u64) {
    let command =
        json!({ "type": "publish", "id": number, target.0: target.1, "event": "said", "data": number });
    world.command(client, &command);
    world.settle();
}

/// What came: the types of answers with their room, the numbers that were said.
fn heard(world: &mut World, client: usize) -> Vec<Value> {
    let line = |of: Value| match of["type"].as_str() {
        Some("said") => of["data"].clone(),
        Some("joined") => json!(format!("{} {}", of["room"].as_str().unwrap(), of["recovered"])),
        Some("welcome") => json!(format!("welcome {}", of["resumed"])),
        _ => of,
    };
    world.take_messages(client).into_iter().map(line).collect()
}

#[test]
fn whoever_was_lost_gets_its_rooms_and_what_it_missed() {
    for shards in [1, 3] {
        let mut world = World::new(shards.max(2), 5, Options::default());
        let ada = open(&mut world, "ada");
        let (ben, resume, epoch) = member(&mut world);
        say(&mut world, ada, ("room", "chat:1"), 1);
        world.lose(ben);
        world.settle();
        say(&mut world, ada, ("room", "chat:1"), 2);
        let ben = come_back(&mut world, "ben", &resume, &[("chat:1", &epoch, 1)]);
        say(&mut world, ada, ("room", "chat:2"), 3);
        let all = [json!("welcome true"), json!("chat:1 true"), json!(2), json!("chat:2 false"), json!(3)];
        assert_eq!(heard(&mut world, ben), all);
        // It was gone on with; the next one begins anew unless this one is lost as well.
        let third = come_back(&mut world, "ben", "other.word", &[]);
        assert_eq!(heard(&mut world, third), [json!("welcome false")]);
    }
}

#[test]
fn a_connection_that_is_not_known_to_be_lost_makes_way() {
    for seed in 0..50 {
        let mut world = World::new(3, seed, Options::default());
        let (ben, resume, epoch) = member(&mut world);
        let again = come_back(&mut world, "ben", &resume, &[("chat:1", &epoch, 0)]);
        let rooms = [json!("welcome true"), json!("chat:1 true"), json!("chat:2 false")];
        assert_eq!(heard(&mut world, again), rooms);
        let ended = heard(&mut world, ben);
        assert_eq!(
            (&ended[0]["code"], &ended[1]),
            (&json!(4009), &json!(4009)),
            "and is told not to come back"
        );
        assert_eq!(world.cores.iter().map(|core| core.stats().sessions).sum::<u64>(), 0);
    }
}

#[test]
fn a_session_is_its_users_own_and_has_its_time() {
    let mut world = World::new(2, 5, Options::default());
    let (ben, resume, _) = member(&mut world);
    world.lose(ben);
    world.settle();
    let eve = come_back(&mut world, "eve", &resume, &[]);
    assert_eq!(heard(&mut world, eve), [json!("welcome false")], "another user");
    world.lose(eve);
    let (ben, resume, _) = member(&mut world);
    world.lose(ben);
    world.settle();
    world.pass(300_000);
    world.settle();
    assert_eq!(world.cores.iter().map(|core| core.stats().sessions).sum::<u64>(), 0);
    let ben = come_back(&mut world, "ben", &resume, &[]);
    assert_eq!(heard(&mut world, ben), [json!("welcome false")], "too late");
}

#[test]
fn who_said_goodbye_or_was_sent_away_does_not_come_back() {
    let mut world = World::new(2, 5, Options::default());
    let goodbye = |id, number| Input::PeerClosed(id, Some(number));
    let goodbye_1000: End = |id| Input::PeerClosed(id, Some(1_000));
    let goodbye_1001: End = |id| Input::PeerClosed(id, Some(1_001));
    let sent_away: End = |id| Input::Close(id, Close::code(Code::DisconnectedByAdmin, ""));
    let lost: End = |id| Input::Close(id, Close::code(Code::HeartbeatTimeout, ""));
    let ends = [(goodbye_1000, false), (goodbye_1001, true), (sent_away, false), (lost, true)];
    for (end, resumed) in ends {
        let (ben, resume, _) = member(&mut world);
        let (shard, id) = (world.clients[ben].shard, world.clients[ben].id);
        world.input(shard, end(id));
        world.settle();
        let ben = come_back(&mut world, "ben", &resume, &[]);
        assert_eq!(heard(&mut world, ben)[0], json!(format!("welcome {resumed}")));
        world.input(1, goodbye(world.clients[ben].id, 1_000));
        world.settle();
    }
}

#[test]
fn the_users_own_room_is_recovered_as_well() {
    let mut world = World::new(2, 5, Options::default());
    let ada = open(&mut world, "ada");
    let ben = open(&mut world, "ben");
    say(&mut world, ada, ("user", "ben"), 1);
    let messages = world.take_messages(ben);
    let epoch = messages[1]["epoch"].as_str().unwrap().to_owned();
    say(&mut world, ada, ("user", "ben"), 2);
    say(&mut world, ada, ("user", "ben"), 3);
    world.lose(ben);
    world.settle();
    // Two and three were sent, but the client says that they did not arrive.
    let mut come = |epoch: &str, offset| {
        let ben = world.open_with(0, "ben", "admin", |opening| {
            opening.inbox = Some(Position { epoch: epoch.into(), offset });
        });
        world.settle();
        let heard = heard(&mut world, ben);
        world.lose(ben);
        world.settle();
        heard
    };
    assert_eq!(come(&epoch, 1), [json!("welcome false"), json!(2), json!(3)]);
    // Of this count it has nothing.
    for (epoch, offset) in [("former", 0), ("former", 9), (&*epoch, 9)] {
        assert_eq!(come(epoch, offset), [json!("welcome false"), json!(1), json!(2), json!(3)]);
    }
}
