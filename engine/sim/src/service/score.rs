//! Scores: reached and lost take turns, and the group is who has reported of late and is there.

use serde_json::{Value, json};

use crate::service::{Part, Stage};

const ROOMS: [&str; 2] = ["breath:1", "breath:2"];

/// What scores must come to.
#[derive(Debug, Default)]
pub(crate) struct Scores;

fn define(room: &str) -> Value {
    let data = json!({"score_id": "sync", "threshold": 0.8, "hysteresis": 0.1, "window_seconds": 10});
    json!({"type": "score.define", "room": room, "data": data})
}

fn report(room: &str, value: f64) -> Value {
    json!({"type": "score.report", "room": room, "data": {"score_id": "sync", "value": value}})
}

/// What a room was told last, and that it was told in turns.
fn told(stage: &mut Stage, room: &str) -> Option<String> {
    let history = stage.answer(0, json!({"type": "history", "room": room, "limit": 1_000}));
    let mut last: Option<String> = None;
    for message in history["messages"].as_array().unwrap() {
        let event = message["type"].as_str().unwrap();
        assert_ne!(last.as_deref(), Some(event), "{room} was told twice: {history}");
        last = Some(event.to_owned());
    }
    last
}

impl Part for Scores {
    fn act(&mut self, stage: &mut Stage, who: usize) {
        let room = ROOMS[stage.world.random.below(ROOMS.len())];
        let command = match stage.world.random.below(12) {
            0 => define(room),
            1 => json!({"type": "join", "room": room}),
            2 => json!({"type": "leave", "room": room}),
            3 => json!({"type": "score.list", "room": room}),
            4 if stage.world.random.chance(10) => {
                json!({"type": "score.remove", "room": room, "data": {"score_id": "sync"}})
            }
            _ => report(room, 0.6 + stage.world.random.below(40) as f64 / 100.0),
        };
        stage.ask(who, command);
    }

    fn hear(&mut self, _stage: &mut Stage, _who: usize, message: &Value, _asked: Option<&Value>) {
        if message["type"] == "$score" {
            assert!(message["data"]["users"].as_u64().unwrap() <= 4, "more than there are: {message}");
            assert!(message.get("offset").is_none(), "a value has no place: {message}");
            let value = message["data"]["value"].as_f64();
            assert!(value.is_none_or(|value| (0.6..1.0).contains(&value)), "no mean of these: {message}");
        }
    }

    fn rest(&mut self, stage: &mut Stage) {
        for room in ROOMS {
            assert_eq!(stage.answer(0, define(room))["type"], "ok");
            // Whoever has reported is silent for long enough.
            stage.wait(11_000);
            stage.wait(11_000);
            let list = stage.answer(0, json!({"type": "score.list", "room": room}))["data"]["scores"].clone();
            assert_eq!((&list[0]["users"], &list[0]["reached"]), (&json!(0), &json!(false)), "{list}");
            assert_ne!(told(stage, room).as_deref(), Some("$score_reached"));
            for who in [0, 1] {
                assert_eq!(stage.answer(who, json!({"type": "join", "room": room}))["type"], "joined");
                assert_eq!(stage.answer(who, report(room, 0.9))["type"], "ok");
            }
            stage.world.pass(200);
            assert_eq!(told(stage, room).as_deref(), Some("$score_reached"));
            stage.answer(1, json!({"type": "leave", "room": room}));
            stage.world.pass(200);
            let list = stage.answer(0, json!({"type": "score.list", "room": room}))["data"]["scores"].clone();
            assert_eq!(list[0]["users"], 1, "who left takes no part: {list}");
        }
    }
}
