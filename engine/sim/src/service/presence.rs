//! Presence: what people were told of who comes and goes adds up to who is there, on every shard.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::service::{Part, Stage};

const ROOM: &str = "seen:1";

/// What everybody believes, and who is in the room.
#[derive(Debug, Default)]
pub(crate) struct Presence {
    /// By person: whom it believes to be there; nothing while it is not in.
    believed: BTreeMap<usize, BTreeSet<String>>,
    /// Who was let in on the connection that it has now.
    inside: BTreeMap<usize, usize>,
}

fn ids(list: &Value) -> Vec<String> {
    let of = |member: &Value| member["user_id"].as_str().expect("a user").to_owned();
    list.as_array().into_iter().flatten().map(of).collect()
}

impl Part for Presence {
    fn act(&mut self, stage: &mut Stage, who: usize) {
        let command = match stage.world.random.below(6) {
            0 => json!({"type": "leave", "room": ROOM}),
            1 => json!({"type": "presence", "room": ROOM}),
            2 => json!({"type": "heartbeat", "data": {"page": format!("p{}", stage.world.random.below(3))}}),
            _ => json!({"type": "join", "room": ROOM}),
        };
        stage.ask(who, command);
    }

    fn hear(&mut self, stage: &mut Stage, who: usize, message: &Value, _asked: Option<&Value>) {
        match message["type"].as_str() {
            Some("joined") => {
                self.inside.insert(who, stage.people[who].client.expect("it hears"));
                // Joining twice is answered without a state.
                if let Some(state) = message["state"].get("presence") {
                    self.believed.insert(who, ids(&state["members"]).into_iter().collect());
                }
            }
            Some("left") => {
                self.inside.remove(&who);
                self.believed.remove(&who);
            }
            Some("$presence") => {
                let Some(believed) = self.believed.get_mut(&who) else { return };
                let data = &message["data"];
                believed.extend(ids(&data["joined"]));
                believed.retain(|user| !ids(&data["left"]).contains(user));
                for user in ids(&data["changed"]) {
                    assert!(believed.contains(&user), "{user} changed and was never there: {message}");
                }
            }
            Some("presence") => {
                let members = ids(&message["members"]);
                assert_eq!(message["count"], members.len() as u64, "{message}");
            }
            _ => {}
        }
    }

    fn restarted(&mut self, _stage: &mut Stage) {
        self.believed.clear();
        self.inside.clear();
    }

    fn rest(&mut self, stage: &mut Stage) {
        // Whoever has left is not told of for a while, and changes are gathered. Meanwhile connections that nobody answers
        // for may end.
        let mut calm = 0;
        while calm < 2 {
            let before: Vec<_> = stage.people.iter().map(|actor| actor.client).collect();
            stage.pass(self, 3_000);
            let is_calm = stage.people.iter().map(|actor| actor.client).eq(before);
            calm = if is_calm { calm + 1 } else { 0 };
        }
        self.inside.retain(|who, client| stage.people[*who].client == Some(*client));
        let there: BTreeSet<String> = self.inside.keys().map(|who| stage.people[*who].user.clone()).collect();
        let list = stage.answer(0, json!({"type": "presence", "room": ROOM}));
        assert_eq!(ids(&list["members"]).into_iter().collect::<BTreeSet<_>>(), there, "{list}");
        for who in self.inside.keys() {
            if let Some(believed) = self.believed.get(who) {
                assert_eq!(*believed, there, "what {who} believes");
            }
        }
    }
}
