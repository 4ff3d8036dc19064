use fanfare_protocol::{Code, Refusal};
use serde_json::{Value, json};

use super::*;
use crate::service::Caller;
use crate::service::desk::{Desk, refused};

struct Play {
    desk: Desk,
    scores: Box<dyn Service>,
}

impl Play {
    fn new(more: Value) -> Self {
        let mut play = Self { desk: Desk::new(), scores: (KIND.new)(&Options::default()) };
        let mut terms = json!({"score_id": "sync", "threshold": 0.8});
        terms.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        play.root("score.define", terms).unwrap();
        play.desk.heard();
        play
    }

    fn root(&mut self, name: &str, data: Value) -> Result<Value, Refusal> {
        let root = self.desk.caller("root", "admin", 99);
        self.desk.ask(&mut *self.scores, &root, name, data)
    }

    fn report(&mut self, user: &str, value: f64) -> Vec<String> {
        let caller = self.desk.caller(user, "user", user.bytes().map(u32::from).sum());
        self.desk.pass(group::PAUSE_MS);
        let data = json!({"score_id": "sync", "value": value});
        self.desk.ask(&mut *self.scores, &caller, "score.report", data).unwrap();
        self.heard()
    }

    fn heard(&mut self) -> Vec<String> {
        self.desk.heard().into_iter().map(|(event, _)| event).collect()
    }

    fn value(&mut self) -> (Value, Value, Value) {
        let list = self.root("score.list", json!({})).unwrap();
        let score = &list["scores"][0];
        (score["value"].clone(), score["users"].clone(), score["reached"].clone())
    }

    fn tick(&mut self) {
        self.desk.tick(&mut *self.scores);
    }
}

#[test]
fn a_group_reaches_its_score_together_and_loses_it_with_hysteresis() {
    let mut play = Play::new(json!({"minimum_users": 2, "hysteresis": 0.1, "title": "In time!"}));
    assert_eq!(play.report("ada", 0.9), ["$score"], "one alone is no group");
    assert_eq!(play.report("ben", 0.5), ["$score"]);
    assert_eq!(play.value(), (json!(0.7), json!(2), json!(false)));
    play.desk.pass(200);
    let ben = play.desk.caller("ben", "user", 1);
    let data = json!({"score_id": "sync", "value": 0.7});
    play.desk.ask(&mut *play.scores, &ben, "score.report", data).unwrap();
    let (event, told) = play.desk.heard().pop().unwrap();
    assert_eq!((&*event, &told["title"], &told["users"]), ("$score_reached", &json!("In time!"), &json!(2)));
    assert!(play.desk.changed);
    assert_eq!(play.report("ada", 0.8), ["$score"], "0.75 is within the hysteresis");
    assert_eq!(play.report("ada", 0.5), ["$score", "$score_lost"]);
}

#[test]
fn every_aggregate_is_what_it_says() {
    for (aggregate, expected) in [("mean", 2.0), ("min", 1.0), ("max", 3.0), ("sum", 6.0)] {
        let mut play = Play::new(json!({"aggregate": aggregate, "threshold": 100}));
        for (user, value) in [("ada", 3.0), ("ben", 2.0), ("cyd", 1.0)] {
            play.report(user, value);
        }
        assert_eq!(play.value(), (json!(expected), json!(3), json!(false)), "{aggregate}");
    }
}

#[test]
fn who_leaves_or_is_silent_takes_no_part() {
    let mut play = Play::new(json!({"window_seconds": 10}));
    play.report("ada", 1.0);
    play.report("ben", 0.9);
    assert_eq!(play.value(), (json!(0.95), json!(2), json!(true)));
    play.desk.pass(200);
    let ada = play.desk.caller("ada", "user", "ada".bytes().map(u32::from).sum());
    play.desk.with(&mut *play.scores, None, |scores, context| scores.left(ada.address.unwrap(), context));
    assert_eq!((play.heard(), play.value().1), (vec!["$score".to_owned()], json!(1)));
    play.tick();
    assert_eq!(play.heard(), ["$score", "$score_lost"]);
    assert_eq!(play.value(), (Value::Null, json!(0), json!(false)));
    assert!(play.scores.due_ms().is_none() && !play.scores.is_empty());
}

#[test]
fn many_reports_are_told_five_times_a_second_at_most() {
    let mut play = Play::new(json!({}));
    let mut told = 0;
    for number in 0..200 {
        play.desk.pass(5);
        let caller = play.desk.caller(&format!("u{number}"), "user", number);
        let data = json!({"score_id": "sync", "value": 0.1});
        play.desk.ask(&mut *play.scores, &caller, "score.report", data).unwrap();
        told += play.heard().len();
    }
    play.tick();
    assert!(play.heard().len() == 1 && (4..=5).contains(&told), "{told}");
    assert_eq!(play.value().1, 200);
}

#[test]
fn what_was_reached_outlives_a_restart_by_one_window() {
    let mut play = Play::new(json!({"window_seconds": 10}));
    play.report("ada", 1.0);
    let bytes = play.scores.save().unwrap();
    play.scores = (KIND.restore)(&bytes, &play.desk.options).unwrap();
    play.tick();
    play.desk.pass(5_000);
    assert_eq!(play.report("ada", 0.9), ["$score"], "it is not told again");
    assert_eq!(play.report("ada", 0.1), ["$score"], "the others may come back still");
    play.scores = (KIND.restore)(&bytes, &play.desk.options).unwrap();
    play.tick();
    let began_ms = play.desk.now.mono_ms();
    while play.heard() != ["$score_lost"] {
        play.tick();
    }
    assert_eq!(play.desk.now.mono_ms(), began_ms + 10_000);
}

#[test]
fn bad_input_and_too_much_is_refused() {
    let mut play = Play::new(json!({}));
    for (name, data, expected) in [
        ("score.define", json!({"score_id": "x"}), (Code::InvalidMessage, Some("threshold"))),
        (
            "score.define",
            json!({"score_id": "x", "threshold": 1, "aggregate": "mode"}),
            (Code::InvalidMessage, Some("aggregate")),
        ),
        (
            "score.define",
            json!({"score_id": "x", "threshold": 1, "window_seconds": 0}),
            (Code::InvalidMessage, Some("window_seconds")),
        ),
        ("score.report", json!({"score_id": "sync", "value": "1"}), (Code::InvalidMessage, Some("value"))),
        ("score.report", json!({"score_id": "x", "value": 1}), (Code::RoomNotFound, Some("score_id"))),
        ("score.remove", json!({"score_id": "x"}), (Code::RoomNotFound, Some("score_id"))),
    ] {
        assert_eq!(refused(play.root(name, data.clone())), expected, "{name} {data}");
    }
    for number in 1..SCORES_MAX {
        play.root("score.define", json!({"score_id": number.to_string(), "threshold": 1})).unwrap();
    }
    let more = play.root("score.define", json!({"score_id": "more", "threshold": 1}));
    assert_eq!(refused(more), (Code::RateLimitExceeded, Some("score_id")));
    for number in 0..USERS_MAX as u32 {
        let caller = play.desk.caller(&number.to_string(), "user", number);
        let data = json!({"score_id": "sync", "value": 0});
        play.desk.ask(&mut *play.scores, &caller, "score.report", data).unwrap();
    }
    let key = Caller::key();
    let data = json!({"score_id": "sync", "value": 0});
    assert_eq!(
        refused(play.desk.ask(&mut *play.scores, &key, "score.report", data.clone())).0,
        Code::Forbidden
    );
    let more = play.desk.caller("more", "user", 1 << 20);
    let outcome = play.desk.ask(&mut *play.scores, &more, "score.report", data);
    assert_eq!(refused(outcome).0, Code::RateLimitExceeded);
    play.root("score.remove", json!({"score_id": "sync"})).unwrap();
}
