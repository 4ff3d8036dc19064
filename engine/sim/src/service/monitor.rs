//! Monitors: each alert is followed by its recovery before the next one, and what stays too far is told in the end.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::service::{Part, Stage};

const ROOMS: [&str; 2] = ["vitals:1", "vitals:2"];
const RULES: [&str; 2] = ["high", "long"];

/// What monitors must come to.
#[derive(Debug, Default)]
pub(crate) struct Monitors {
    /// Rooms whose rules were set for certain, and none was removed since that was asked for.
    set: BTreeMap<(String, String), bool>,
}

fn rule(id: &str) -> Value {
    let for_seconds = if id == "long" { 5.0 } else { 0.0 };
    json!({"rule_id": id, "name": "heart_rate", "limit": "above", "threshold": 100, "hysteresis": 10, "for_seconds": for_seconds})
}

fn report(room: &str, value: u64) -> Value {
    json!({"type": "monitor.report", "room": room, "data": {"values": {"heart_rate": value, "other": 1}}})
}

/// How each rule stands, by the messages that a room keeps.
fn told(stage: &mut Stage, room: &str) -> BTreeMap<String, String> {
    let history = stage.answer(0, json!({"type": "history", "room": room, "limit": 1_000}));
    let mut last = BTreeMap::new();
    for message in history["messages"].as_array().unwrap() {
        let (event, id) = (message["type"].as_str().unwrap(), message["data"]["rule_id"].as_str().unwrap());
        let before = last.insert(id.to_owned(), event.to_owned());
        assert_ne!(before.as_deref(), Some(event), "{id} of {room} was told twice: {history}");
    }
    last
}

impl Part for Monitors {
    fn act(&mut self, stage: &mut Stage, who: usize) {
        let room = ROOMS[stage.world.random.below(ROOMS.len())];
        let id = RULES[stage.world.random.below(RULES.len())];
        let command = match stage.world.random.below(10) {
            0 => json!({"type": "join", "room": room}),
            1 => json!({"type": "monitor.state", "room": room}),
            2 => json!({"type": "monitor.set_rule", "room": room, "data": rule(id)}),
            3 if stage.world.random.chance(20) => {
                self.set.insert((room.to_owned(), id.to_owned()), false);
                json!({"type": "monitor.remove_rule", "room": room, "data": {"rule_id": id}})
            }
            _ => report(room, 80 + stage.world.random.below(40) as u64),
        };
        stage.ask(who, command);
    }

    fn hear(&mut self, _stage: &mut Stage, _who: usize, message: &Value, asked: Option<&Value>) {
        if message["type"] == "$values" {
            assert!(message.get("offset").is_none(), "values have no place: {message}");
        }
        let Some(asked) =
            asked.filter(|asked| asked["type"] == "monitor.set_rule" && message["type"] == "ok")
        else {
            return;
        };
        let id = asked["data"]["rule_id"].as_str().unwrap();
        self.set.entry((asked["room"].as_str().unwrap().to_owned(), id.to_owned())).or_insert(true);
    }

    fn restarted(&mut self, stage: &mut Stage) {
        if !stage.stores() {
            self.set.clear();
        }
    }

    fn rest(&mut self, stage: &mut Stage) {
        for room in ROOMS {
            let state = stage.answer(0, json!({"type": "monitor.state", "room": room}))["data"].clone();
            let ids: Vec<&str> =
                state["rules"].as_array().unwrap().iter().filter_map(|of| of["rule_id"].as_str()).collect();
            for ((of, id), _) in self.set.iter().filter(|(_, is_sure)| **is_sure) {
                assert!(of != room || ids.contains(&&**id), "the rule {id} of {room} was lost: {state}");
            }
            told(stage, room);
            for id in RULES {
                let set = json!({"type": "monitor.set_rule", "room": room, "data": rule(id)});
                assert_eq!(stage.answer(0, set)["type"], "ok");
            }
            assert_eq!(stage.answer(0, report(room, 50))["type"], "ok");
            let inside = told(stage, room);
            assert!(inside.values().all(|event| event == "$recovered"), "{room} alerts for ever: {inside:?}");
            assert_eq!(stage.answer(0, report(room, 150))["type"], "ok");
            stage.wait(6_000);
            let outside = told(stage, room);
            assert!(
                outside.len() == 2 && outside.values().all(|event| event == "$alert"),
                "{room} does not alert: {outside:?}"
            );
        }
    }
}
