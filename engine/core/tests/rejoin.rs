//! Joining a room that one is in already: the answer tells what any other does, in its place among messages and commands.

use std::sync::Arc;

use fanfare_core::{Identity, Input, Options, RoomPattern};
use fanfare_protocol::Encoding;
use fanfare_sim::World;
use serde_json::{Value, json};

fn ids(messages: &[Value]) -> Vec<&Value> {
    messages.iter().map(|message| &message["id"]).filter(|id| !id.is_null()).collect()
}

#[test]
fn later_commands_wait_and_messages_before_it_come_before() {
    for shards in 1..5 {
        for reader in [Encoding::Json, Encoding::MessagePack] {
            let mut world = World::new(shards, 7, Options::default());
            let ada = world.open(0, "ada", "user", Encoding::Json);
            let ben = world.open(usize::from(shards) - 1, "ben", "user", reader);
            for client in [ada, ben] {
                world.command(client, &json!({ "type": "join", "room": "a:1" }));
            }
            world.settle();
            world.take_messages(ben);
            for number in 0..3 {
                let publish = json!({ "type": "publish", "room": "a:1", "event": "said", "data": number });
                world.command(ada, &publish);
            }
            world.command(ben, &json!({ "type": "join", "id": 1, "room": "a:1", "last": 10 }));
            world.command(ben, &json!({ "type": "leave", "id": 2, "room": "a:1" }));
            world.settle();
            let heard = world.take_messages(ben);
            assert_eq!(ids(&heard), [1, 2], "{heard:?}");
            let joined = heard.iter().find(|message| message["id"] == 1).unwrap();
            assert_eq!((&joined["members"], &joined["recovered"]), (&json!(2), &json!(false)), "{joined}");
            let at = heard.iter().position(|message| message["id"] == 1).unwrap();
            let before = heard[..at].iter().filter(|message| message["type"] == "said").count();
            assert_eq!(joined["offset"], before, "{heard:?}");
            let said = heard.iter().filter(|message| message["type"] == "said").count();
            assert!(said <= 3, "nothing comes twice: {heard:?}");
        }
    }
}

#[test]
fn who_was_sent_away_meanwhile_joins_anew_or_is_refused() {
    for (covered, answer) in [("b:*", "error"), ("a:*", "joined")] {
        let mut world = World::new(2, 7, Options::default());
        // The room is at home on the other shard.
        let ben = world.open(1, "ben", "user", Encoding::Json);
        world.command(ben, &json!({ "type": "join", "room": "a:1" }));
        world.settle();
        world.take_messages(ben);
        world.command(ben, &json!({ "type": "join", "id": 1, "room": "a:1" }));
        let identity = |rooms: &str| Identity {
            user_id: "ben".into(),
            role: "user".into(),
            rooms: Some(Arc::from([RoomPattern::new(rooms).unwrap()])),
            key: 0,
            expires_at_unix_ms: world.now.unix_ms + 3_600_000,
        };
        let id = world.clients[ben].id;
        // The first takes the room away, the second may give it back.
        let tokens = [identity("c:*"), identity(covered)];
        for token in tokens {
            world.input(1, Input::Token(id, None, Ok(token)));
        }
        world.command(ben, &json!({ "type": "heartbeat", "id": 2 }));
        world.settle();
        let heard = world.take_messages(ben);
        assert_eq!(heard[0]["type"], "left", "{heard:?}");
        let told = heard.iter().find(|message| message["id"] == 1).unwrap();
        assert_eq!(told["type"], answer, "{heard:?}");
        assert_eq!(ids(&heard), [1, 2], "{heard:?}");
        world.command(ben, &json!({ "type": "leave", "id": 3, "room": "a:1" }));
        world.settle();
        assert_eq!(world.take_messages(ben)[0]["member"], answer == "joined");
    }
}

#[test]
fn a_connection_that_is_gone_needs_no_answer() {
    let mut world = World::new(2, 7, Options::default());
    let ben = world.open(1, "ben", "user", Encoding::Json);
    world.command(ben, &json!({ "type": "join", "room": "a:1" }));
    world.settle();
    world.command(ben, &json!({ "type": "join", "id": 1, "room": "a:1" }));
    world.lose(ben);
    world.settle();
    let members: u64 = world.cores.iter().map(|core| core.stats().member_rooms).sum();
    assert_eq!(members, 0);
}
