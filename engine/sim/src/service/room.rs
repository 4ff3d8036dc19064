//! Rooms that are created: who was not invited is never in, and what is frozen takes no message.

use std::collections::BTreeSet;

use fanfare_core::{Options, RoomType};
use serde_json::{Value, json};

use crate::service::{Part, Stage};

const ROOM: &str = "club:1";

/// What is known for sure of the one room.
#[derive(Debug, Default)]
pub(crate) struct Rooms {
    /// Users who were ever invited, or created it.
    named: BTreeSet<String>,
    /// Whether somebody was ever sent away, so that a leave may come unasked.
    kicks: bool,
}

impl Part for Rooms {
    fn options(&self, options: &mut Options) {
        options.room_types.push(RoomType {
            create: vec!["user".into()],
            private: true,
            durable: options.store,
            ..RoomType::open("club")
        });
    }

    fn act(&mut self, stage: &mut Stage, who: usize) {
        let guest = ["ada", "ben", "cyd"][stage.world.random.below(3)];
        let command = match stage.world.random.below(12) {
            0 => json!({"type": "room.create", "room": ROOM}),
            1 => json!({"type": "room.invite", "room": ROOM, "data": {"user_id": guest}}),
            2 => json!({"type": "room.kick", "room": ROOM, "data": {"user_id": guest}}),
            3 if stage.world.random.chance(20) => json!({"type": "room.close", "room": ROOM}),
            4 => json!({"type": "room.purge", "room": ROOM}),
            5 => {
                let frozen = stage.world.random.chance(50);
                json!({"type": "room.freeze", "room": ROOM, "data": {"frozen": frozen}})
            }
            6..9 => json!({"type": "publish", "room": ROOM, "event": "say", "data": 1}),
            9 => json!({"type": "history", "room": ROOM}),
            _ => json!({"type": "join", "room": ROOM}),
        };
        // Before it is done, somebody may hear of it.
        if let Some(user) = command["data"]["user_id"].as_str().filter(|_| command["type"] == "room.invite") {
            self.named.insert(user.to_owned());
        }
        if command["type"] == "room.create" {
            self.named.insert(stage.people[who].user.clone());
        }
        self.kicks |= command["type"] == "room.kick" || command["type"] == "room.close";
        stage.ask(who, command);
    }

    fn hear(&mut self, stage: &mut Stage, who: usize, message: &Value, asked: Option<&Value>) {
        let (user, role) = (&stage.people[who].user, stage.people[who].role);
        let in_room = message["room"] == ROOM;
        let may = role == "admin" || self.named.contains(user);
        match message["type"].as_str() {
            Some("joined" | "say" | "history") if in_room => {
                assert!(may, "{user} was never let in, and hears {message}");
            }
            Some("published") => assert!(self.named.contains(user), "{user} was never let in: {message}"),
            Some("left") if asked.is_none() => assert!(self.kicks, "nobody was sent away: {message}"),
            _ => {}
        }
    }

    fn rest(&mut self, stage: &mut Stage) {
        // An operator gets every room into a state that is known.
        stage.answer(0, json!({"type": "room.freeze", "room": ROOM, "data": {"frozen": true}}));
        let guest = stage.people.iter().position(|actor| self.named.contains(&actor.user));
        if let Some(guest) = guest {
            let publish = json!({"type": "publish", "room": ROOM, "event": "say", "data": 1});
            let refused = stage.answer(guest, publish);
            assert_eq!(refused["type"], "error", "a frozen room took a message");
        }
        stage.answer(0, json!({"type": "room.close", "room": ROOM}));
        // Only an operator learns that it is not there.
        for (who, name) in [(0, "SESSION_NOT_FOUND"), (1, "FORBIDDEN")] {
            let refused = stage.answer(who, json!({"type": "join", "room": ROOM}));
            assert_eq!(refused["name"], name, "{refused}");
        }
    }
}
