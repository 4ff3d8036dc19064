//! Polls: votes are counted once for each user, whatever happens to connections and shards.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::service::{Part, Stage};

const ROOMS: [&str; 2] = ["demo:1", "demo:2"];
const OPTIONS: [&str; 3] = ["red", "green", "blue"];

/// What polls must come to: the last confirmed vote of each user, unless a later one was not confirmed.
#[derive(Debug, Default)]
pub(crate) struct Polls {
    /// By room and user: what may be its vote.
    votes: BTreeMap<(String, String), Vec<String>>,
    /// Rooms of which it is known whether they have a poll.
    open: BTreeMap<String, bool>,
}

impl Part for Polls {
    fn act(&mut self, stage: &mut Stage, who: usize) {
        let room = ROOMS[stage.world.random.below(ROOMS.len())];
        let command = match stage.world.random.below(10) {
            0 => json!({
                "type": "poll.open", "room": room,
                "data": {"poll_id": "p", "question": "Which?", "options": OPTIONS},
            }),
            1 => json!({"type": "join", "room": room}),
            2 => json!({"type": "poll.list", "room": room}),
            _ => {
                let option = OPTIONS[stage.world.random.below(OPTIONS.len())];
                let user = stage.people[who].user.clone();
                self.votes.entry((room.to_owned(), user)).or_default().push(option.to_owned());
                json!({"type": "poll.vote", "room": room, "data": {"poll_id": "p", "option": option}})
            }
        };
        stage.ask(who, command);
    }

    fn hear(&mut self, _stage: &mut Stage, _who: usize, message: &Value, asked: Option<&Value>) {
        if let Some(asked) = asked
            && asked["type"] == "poll.open"
            && message["type"] == "ok"
        {
            self.open.insert(asked["room"].as_str().unwrap().to_owned(), true);
        }
        let tallies = match message["type"].as_str() {
            Some("$poll_tally" | "$poll_opened") => vec![&message["data"]],
            Some("joined") => message["state"]["poll"]["polls"].as_array().into_iter().flatten().collect(),
            Some("ok") if message["data"].get("options").is_some() => vec![&message["data"]],
            _ => return,
        };
        for tally in tallies {
            let votes = tally["options"].as_array().unwrap().iter().map(|of| of["votes"].as_u64().unwrap());
            assert_eq!(votes.sum::<u64>(), tally["total_votes"].as_u64().unwrap(), "{tally}");
            assert!(tally["total_votes"].as_u64().unwrap() <= 4, "more votes than users: {tally}");
        }
    }

    fn restarted(&mut self, stage: &mut Stage) {
        if !stage.stores() {
            self.open.clear();
            self.votes.clear();
        }
    }

    fn rest(&mut self, stage: &mut Stage) {
        for room in ROOMS {
            let list = stage.answer(0, json!({"type": "poll.list", "room": room}));
            let polls = &list["data"]["polls"];
            let is_open = self.open.contains_key(room);
            assert!(!is_open || polls.as_array().unwrap().len() == 1, "a poll of {room} was lost: {polls}");
            for option in polls[0]["options"].as_array().into_iter().flatten() {
                let count = option["votes"].as_u64().unwrap();
                let may_be = |tried: &&Vec<String>| tried.iter().any(|of| option["option"] == **of);
                let tried = self.votes.iter().filter(|((of, _), _)| of == room);
                let at_most = tried.filter(|(_, tried)| may_be(tried)).count() as u64;
                assert!(count <= at_most, "{count} votes for {option}, and only {at_most} tried");
            }
        }
    }
}
