//! Presence: what people were told of who comes and goes adds up to who is there, on every shard.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::service::{Part, Stage};

/// What everybody believes, and who is in the room.
#[derive(Debug)]
pub(crate) struct Presence {
    room: &'static str,
    /// What tells those who are there apart.
    id: &'static str,
    /// By person: whom it believes to be there; nothing while it is not in.
    believed: BTreeMap<usize, BTreeSet<String>>,
    /// Who was let in on the connection that it has now.
    inside: BTreeMap<usize, usize>,
    /// The client id that somebody was told last.
    clients: BTreeMap<usize, String>,
}

impl Presence {
    /// In a room that tells of users.
    pub(crate) fn of_users() -> Self {
        let (believed, inside, clients) = Default::default();
        Self { room: "seen:1", id: "user_id", believed, inside, clients }
    }

    /// In a room that tells of connections.
    pub(crate) fn of_connections() -> Self {
        Self { room: "met:1", id: "client_id", ..Self::of_users() }
    }

    fn ids(&self, list: &Value) -> Vec<String> {
        let of = |member: &Value| member[self.id].as_str().expect("an id").to_owned();
        list.as_array().into_iter().flatten().map(of).collect()
    }
}

impl Part for Presence {
    fn act(&mut self, stage: &mut Stage, who: usize) {
        let command = match stage.world.random.below(6) {
            0 => json!({"type": "leave", "room": self.room}),
            1 => json!({"type": "presence", "room": self.room}),
            2 => json!({"type": "heartbeat", "data": {"page": format!("p{}", stage.world.random.below(3))}}),
            _ => json!({"type": "join", "room": self.room}),
        };
        stage.ask(who, command);
    }

    fn hear(&mut self, stage: &mut Stage, who: usize, message: &Value, _asked: Option<&Value>) {
        match message["type"].as_str() {
            Some("welcome") => {
                let client = message["client_id"].as_str().expect("a client id").to_owned();
                self.clients.insert(who, client);
            }
            Some("joined") => {
                self.inside.insert(who, stage.people[who].client.expect("it hears"));
                // Joining twice is answered without a state.
                if let Some(state) = message["state"].get("presence") {
                    let members = self.ids(&state["members"]).into_iter().collect();
                    self.believed.insert(who, members);
                }
            }
            Some("left") => {
                self.inside.remove(&who);
                self.believed.remove(&who);
            }
            Some("$presence") => {
                let [joined, left, changed] =
                    ["joined", "left", "changed"].map(|kind| self.ids(&message["data"][kind]));
                let Some(believed) = self.believed.get_mut(&who) else { return };
                believed.extend(joined);
                believed.retain(|id| !left.contains(id));
                for id in changed {
                    assert!(believed.contains(&id), "{id} changed and was never there: {message}");
                }
            }
            Some("presence") => {
                let members = self.ids(&message["members"]);
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
        let id = |who: &usize| match self.id {
            "user_id" => stage.people[*who].user.clone(),
            _ => self.clients[who].clone(),
        };
        let there: BTreeSet<String> = self.inside.keys().map(id).collect();
        let list = stage.answer(0, json!({"type": "presence", "room": self.room}));
        assert_eq!(self.ids(&list["members"]).into_iter().collect::<BTreeSet<_>>(), there, "{list}");
        for who in self.inside.keys() {
            if let Some(believed) = self.believed.get(who) {
                assert_eq!(*believed, there, "what {who} believes");
            }
        }
    }
}
