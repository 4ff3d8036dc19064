//! Operations: whatever happens to connections, shards and the store, progress never goes back, an end is the end, and who
//! watches sees in the end what there is.

use std::collections::{BTreeMap, BTreeSet};

use fanfare_core::{Options, service};
use serde_json::{Value, json};

use crate::service::{Part, Stage};

const IDS: [&str; 3] = ["a", "b", "c"];
const STEPS: [&str; 2] = ["one", "two"];

/// What operations must come to. Each that was ever started has a title of its own.
#[derive(Debug, Default)]
pub(crate) struct Operations {
    titles: u64,
    /// How far each may be at most, by what was said of it.
    said: BTreeMap<String, f64>,
    /// What was confirmed: that it is there, by id; that it is over, and which of its steps are, by title.
    alive: BTreeMap<&'static str, String>,
    over: BTreeMap<String, String>,
    steps: BTreeSet<(String, String)>,
    /// Removals on their way, by id.
    removals: BTreeMap<&'static str, u32>,
    /// What each connection has seen last of each operation it watches.
    views: BTreeMap<(usize, &'static str), Value>,
}

fn id_of(text: &Value) -> &'static str {
    IDS.into_iter().find(|id| *id == text).expect("it is one of ours")
}

impl Operations {
    fn command(&mut self, stage: &mut Stage) -> Value {
        let id = IDS[stage.world.random.below(IDS.len())];
        let step = STEPS[stage.world.random.below(STEPS.len())];
        let percent = stage.world.random.below(100);
        let (verb, mut data) = match stage.world.random.below(20) {
            0..5 => {
                self.titles += 1;
                let title = format!("t{}", self.titles);
                let steps: Vec<Value> =
                    STEPS.iter().map(|step| json!({"step_id": step, "name": step})).collect();
                let steps = if self.titles.is_multiple_of(2) { steps } else { Vec::new() };
                ("start", json!({"title": title, "steps": steps, "user_id": "ada"}))
            }
            5..13 => ("update", json!({"progress": percent})),
            13..15 => ("update_step", json!({"step_id": step, "progress": percent})),
            15 => ("update_step", json!({"step_id": step, "status": "completed"})),
            16 => {
                let status = ["paused", "running"][percent % 2];
                ("update", json!({"status": status}))
            }
            17 => ("complete", json!({})),
            18 => [("cancel", json!({})), ("fail", json!({}))][percent % 2].clone(),
            _ => ("remove", json!({})),
        };
        data["operation_id"] = json!(id);
        json!({"type": format!("operation.{verb}"), "data": data})
    }

    /// Somebody is told of an operation.
    fn check(&self, told: &Value) {
        let title = told["title"].as_str().unwrap_or_else(|| panic!("no title: {told}"));
        let percent = told["progress_percentage"].as_f64().unwrap();
        let most = self.said.get(title).unwrap_or_else(|| panic!("never started: {told}"));
        assert!(told["status"] == "completed" || percent <= *most, "nobody said so much ({most}): {told}");
    }

    /// An answer tells how it is now; messages may be late.
    fn check_now(&self, told: &Value) {
        self.check(told);
        if let Some(status) = told["title"].as_str().and_then(|title| self.over.get(title)) {
            assert_eq!(told["status"], **status, "it was over: {told}");
        }
    }

    fn answered(&mut self, message: &Value, asked: &Value) {
        let verb = asked["type"].as_str().unwrap().trim_start_matches("operation.");
        let id = id_of(&asked["data"]["operation_id"]);
        if verb == "remove" {
            *self.removals.entry(id).or_default() -= 1;
        }
        let data = &message["data"];
        if message["type"] != "ok" || verb == "remove" {
            return;
        }
        self.check_now(data);
        let title = data["title"].as_str().unwrap().to_owned();
        match verb {
            "start" => {
                assert_eq!(self.alive.get(id), None, "{id} was started twice");
                if self.removals.get(id).is_none_or(|count| *count == 0) {
                    self.alive.insert(id, title);
                }
            }
            "complete" | "fail" | "cancel" => {
                self.over.insert(title, data["status"].as_str().unwrap().to_owned());
            }
            "update_step" if data["step"]["status"] == "completed" => {
                self.steps.insert((title, data["step"]["step_id"].as_str().unwrap().to_owned()));
            }
            _ => {}
        }
    }

    fn watched(&mut self, client: usize, message: &Value) {
        let kind = message["type"].as_str().unwrap_or_default();
        let Some(id) = message["room"].as_str().and_then(|room| room.strip_prefix("operation:")) else {
            return;
        };
        let (id, data) = (id_of(&json!(id)), &message["data"]);
        match kind {
            // Who is a member already is told nothing new.
            "joined" if message.get("members").is_none() => {}
            "joined" => drop(self.views.insert((client, id), message["state"]["operation"].clone())),
            "operation_removed" => drop(self.views.insert((client, id), Value::Null)),
            "operation_started"
            | "progress_update"
            | "step_update"
            | "operation_complete"
            | "operation_error"
            | "operation_cancelled" => {
                self.check(data);
                let before = self.views.insert((client, id), data.clone()).unwrap_or_default();
                if before["title"] == data["title"] {
                    let percent = |of: &Value| of["progress_percentage"].as_f64().unwrap();
                    assert!(percent(&before) <= percent(data), "it went back from {before} to {data}");
                    let was_over =
                        ["completed", "failed", "cancelled"].iter().any(|end| before["status"] == **end);
                    assert!(!was_over, "after the end {before} there came {message}");
                }
            }
            _ => {}
        }
    }
}

impl Part for Operations {
    fn options(&self, options: &mut Options) {
        options.room_types.extend(service::room_types());
    }

    fn act(&mut self, stage: &mut Stage, who: usize) {
        let room = format!("operation:{}", IDS[stage.world.random.below(IDS.len())]);
        // The first one works, the others watch, and try what they may not.
        let command = match stage.world.random.below(10) {
            _ if who == 0 => self.command(stage),
            0 => json!({"type": "operation.update", "data": {"operation_id": "a", "progress": 99}}),
            1 => json!({"type": "leave", "room": room}),
            _ => json!({"type": "join", "room": room}),
        };
        if who == 0 {
            let (data, id) = (&command["data"], id_of(&command["data"]["operation_id"]));
            if let Some(title) = data["title"].as_str() {
                // What was said of one before it may come to this one.
                let late = stage.unanswered().map(|of| &of["data"]).filter(|of| of["operation_id"] == id);
                let most = late.filter_map(|of| of["progress"].as_f64()).fold(0.0, f64::max);
                self.said.insert(title.to_owned(), most);
            }
            // It may be about any that is, or will be, under this id.
            let percent = data["progress"].as_f64().unwrap_or(0.0);
            let percent = if data["status"] == "completed" { 100.0 } else { percent };
            self.said.values_mut().for_each(|most| *most = most.max(percent));
            if command["type"] == "operation.remove" {
                *self.removals.entry(id).or_default() += 1;
                self.alive.remove(id);
            }
        }
        stage.ask(who, command);
    }

    fn hear(&mut self, stage: &mut Stage, who: usize, message: &Value, asked: Option<&Value>) {
        let is_ours = asked.is_some_and(|asked| asked["type"].as_str().unwrap().starts_with("operation."));
        if is_ours && who != 0 {
            assert_eq!(message["name"], "FORBIDDEN", "{message}");
        } else if let Some(asked) = asked.filter(|_| is_ours) {
            self.answered(message, asked);
        } else if let Some(client) = stage.people[who].client {
            if asked.is_some_and(|asked| asked["type"] == "leave") {
                let id = asked.and_then(|asked| asked["room"].as_str()?.strip_prefix("operation:"));
                self.views.remove(&(client, id_of(&json!(id))));
            } else {
                self.watched(client, message);
            }
        }
    }

    fn restarted(&mut self, stage: &mut Stage) {
        self.views.clear();
        self.removals.clear();
        if !stage.stores() {
            self.alive.clear();
        }
    }

    fn rest(&mut self, stage: &mut Stage) {
        // What waits for its time is said; that time may have been up for somebody who was silent.
        stage.world.pass(1_000);
        stage.settle(self);
        if stage.people[0].client.is_none() {
            stage.come(0);
            stage.settle(self);
        }
        for id in IDS {
            let get = json!({"type": "operation.get", "data": {"operation_id": id}});
            let answer = stage.answer(0, get);
            let there = &answer["data"];
            if let Some(title) = self.alive.get(id) {
                assert_eq!(there["title"], **title, "{id} was lost: {answer}");
            }
            if answer["type"] == "ok" {
                self.check_now(there);
            }
            for step in there["steps"].as_array().into_iter().flatten() {
                let key = (
                    there["title"].as_str().unwrap().to_owned(),
                    step["step_id"].as_str().unwrap().to_owned(),
                );
                assert!(
                    !self.steps.contains(&key) || step["status"] == "completed",
                    "a step was lost: {there}"
                );
            }
            for client in stage.people[1..].iter().filter_map(|actor| actor.client) {
                let Some(view) = self.views.get(&(client, id)) else { continue };
                for member in ["title", "status", "progress_percentage", "steps_completed"] {
                    assert_eq!(view[member], there[member], "{member} of {id}: seen {view}, there {there}");
                }
            }
        }
    }
}
