//! Notifications: what somebody has acknowledged never comes again, and everything else comes with the next connection, the
//! highest priority first; counts and lists agree.

use std::collections::{BTreeMap, BTreeSet};

use fanfare_protocol::{Encoding, timestamp};
use serde_json::{Value, json};

use crate::service::{Part, Stage};

/// A notification that was sent and confirmed.
#[derive(Debug)]
struct Sent {
    command: Value,
    sent_unix_ms: u64,
    expires_unix_ms: u64,
    is_confirmed: bool,
    is_withdrawn: bool,
}

/// What must come of all that was sent.
#[derive(Debug, Default)]
pub(crate) struct Notifications {
    sent: BTreeMap<String, Sent>,
    /// By the number of a person: what it was told to have acknowledged or dismissed.
    done: BTreeMap<usize, BTreeSet<String>>,
    /// By user: what it may have acknowledged or dismissed.
    tried: BTreeSet<(String, String)>,
    next: u32,
}

impl Notifications {
    fn send(&mut self, stage: &mut Stage, who: usize) {
        let now_ms = stage.world.now.unix_ms;
        let random = &mut stage.world.random;
        let again = self.sent.values().filter(|sent| now_ms - sent.sent_unix_ms < 60_000);
        let again: Vec<Value> = again.map(|sent| sent.command.clone()).collect();
        if !again.is_empty() && random.chance(15) {
            let command = again[random.below(again.len())].clone();
            stage.ask(who, command);
            return;
        }
        self.next += 1;
        let id = format!("n{}", self.next);
        let ttl_s = [1, 30, 100_000][random.below(3)];
        let mut data = json!({
            "notification_id": id, "type": "t", "title": "T", "priority": random.below(10), "ttl_seconds": ttl_s,
            "require_ack": random.chance(30),
        });
        match random.below(10) {
            0 => data["all"] = true.into(),
            1 => data["role"] = ["user", "nurse"][random.below(2)].into(),
            2 | 3 => data["user_ids"] = json!(["ada", "ben", "cyd"]),
            _ => data["user_id"] = ["root", "ada", "ben", "cyd"][random.below(4)].into(),
        }
        let command = json!({"type": "notification.send", "data": data});
        self.sent.insert(
            id,
            Sent {
                command: command.clone(),
                sent_unix_ms: now_ms,
                expires_unix_ms: now_ms + ttl_s * 1_000,
                is_confirmed: false,
                is_withdrawn: false,
            },
        );
        stage.ask(who, command);
    }

    fn concerns(sent: &Sent, user: &str, role: &str) -> bool {
        let data = &sent.command["data"];
        let named = data["user_ids"].as_array().is_some_and(|users| users.iter().any(|of| *of == user));
        data["user_id"] == user || data["role"] == role || data["all"] == true || named
    }

    /// What somebody is told to be unread.
    fn look(&self, who: usize, unread: &Value) {
        let notes = unread.as_array().unwrap();
        let places: Vec<(u64, &str)> = (notes.iter())
            .map(|note| (9 - note["priority"].as_u64().unwrap(), note["timestamp"].as_str().unwrap()))
            .collect();
        assert!(places.is_sorted(), "not in order: {unread}");
        let done = self.done.get(&who);
        for note in notes {
            let id = note["notification_id"].as_str().unwrap();
            assert!(done.is_none_or(|done| !done.contains(id)), "{who} is done with {id}: {note}");
        }
    }
}

fn ids(unread: &Value) -> Vec<String> {
    unread
        .as_array()
        .unwrap()
        .iter()
        .map(|note| note["notification_id"].as_str().unwrap().to_owned())
        .collect()
}

impl Part for Notifications {
    fn act(&mut self, stage: &mut Stage, who: usize) {
        let user = stage.people[who].user.clone();
        let id = match self.next {
            0 => "none".to_owned(),
            last => format!("n{}", 1 + stage.world.random.below(last as usize)),
        };
        let of = json!({"notification_id": id});
        match stage.world.random.below(12) {
            0..5 => self.send(stage, 0),
            5..8 => {
                self.tried.insert((user, id));
                stage.ask(who, json!({"type": "notification.acknowledge", "data": of}));
            }
            8 => {
                self.tried.insert((user, id));
                stage.ask(who, json!({"type": "notification.dismiss", "data": of}));
            }
            9 => {
                if let Some(sent) = self.sent.get_mut(&id).filter(|_| stage.people[0].client.is_some()) {
                    sent.is_withdrawn = true;
                    let mut command = sent.command.clone();
                    command["type"] = "notification.withdraw".into();
                    stage.ask(0, command);
                }
            }
            10 => {
                let minimum = stage.world.random.below(3);
                let data = json!({"minimum_priority": minimum});
                stage.ask(who, json!({"type": "notification.set_preferences", "data": data}));
            }
            _ => stage.ask(who, json!({"type": "notification.list", "data": {"unread_only": true}})),
        }
    }

    fn hear(&mut self, _stage: &mut Stage, who: usize, message: &Value, asked: Option<&Value>) {
        if message["type"] == "$notifications" {
            self.look(who, &message["data"]["unread"]);
        }
        let Some(asked) = asked.filter(|_| message["type"] == "ok") else { return };
        let id = asked["data"]["notification_id"].as_str().unwrap_or_default().to_owned();
        match asked["type"].as_str().unwrap() {
            "notification.send" => {
                assert_eq!(message["data"]["notification_id"], *id);
                self.sent.get_mut(&id).unwrap().is_confirmed = true;
            }
            "notification.acknowledge" | "notification.dismiss" => {
                self.done.entry(who).or_default().insert(id);
            }
            "notification.list" => {
                let data = &message["data"];
                self.look(who, &data["notifications"]);
                let listed = data["notifications"].as_array().unwrap().len() as u64;
                assert!(data["more"] == true || data["count"] == listed, "{data}");
            }
            _ => {}
        }
    }

    fn restarted(&mut self, stage: &mut Stage) {
        if !stage.stores() {
            let next = self.next;
            *self = Self { next, ..Self::default() };
        }
    }

    fn rest(&mut self, stage: &mut Stage) {
        for who in 0..stage.people.len() {
            let (user, role) = (stage.people[who].user.clone(), stage.people[who].role);
            let list = json!({"type": "notification.list", "data": {"unread_only": true, "limit": 100}});
            let list = stage.answer(who, list)["data"].take();
            let count = stage.answer(who, json!({"type": "notification.count"}))["data"].take();
            assert_eq!(count["count"], list["count"], "{user}");
            self.look(who, &list["notifications"]);
            let unread = ids(&list["notifications"]);
            let now_ms = stage.world.now.unix_ms;
            for (id, sent) in &self.sent {
                let may_be_gone = sent.is_withdrawn || self.tried.contains(&(user.clone(), id.clone()));
                let is_there = sent.is_confirmed && sent.expires_unix_ms > now_ms && !may_be_gone;
                if is_there && Self::concerns(sent, &user, role) && list["more"] == false {
                    assert!(unread.contains(id), "{user} has lost {id}: {sent:?}");
                }
            }
            for note in list["notifications"].as_array().unwrap() {
                let expires = timestamp::parse_rfc3339(note["expires_at"].as_str().unwrap());
                assert!(expires.unwrap() > now_ms, "it has expired: {note}");
            }
            let preferences = stage.answer(who, json!({"type": "notification.preferences"}))["data"].take();
            let minimum = preferences["minimum_priority"].as_u64().unwrap();
            let wanted: Vec<String> = (list["notifications"].as_array().unwrap().iter())
                .filter(|note| note["priority"].as_u64().unwrap() >= minimum)
                .map(|note| note["notification_id"].as_str().unwrap().to_owned())
                .collect();
            let shard = stage.world.random.below(stage.world.cores.len());
            let client = stage.world.open(shard, &user, role, Encoding::Json);
            stage.world.reads(client, usize::MAX);
            stage.world.settle();
            stage.world.reads(client, usize::MAX);
            stage.world.settle();
            let messages = stage.world.take_messages(client);
            let welcome = messages.iter().position(|of| of["type"] == "welcome").expect("it is let in");
            let greeting = messages.iter().position(|of| of["type"] == "$notifications");
            assert_eq!(greeting.is_some(), list["count"] != 0, "{user}: {messages:?}");
            if let Some(at) = greeting {
                assert!(at > welcome);
                let told = &messages[at]["data"];
                assert_eq!(told["count"], list["count"]);
                assert!(
                    told["more"] == true || ids(&told["unread"]) == wanted,
                    "{user}: {told} is not {wanted:?}"
                );
            }
            stage.world.lose(client);
        }
    }
}
