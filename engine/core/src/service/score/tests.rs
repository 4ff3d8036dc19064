use fanfare_protocol::{Code, Refusal, RoomName};
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
        // Nobody is there yet.
        play.desk.members = 0;
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

    /// A connection of a user's enters the room.
    fn enter(&mut self, user: &str, connection: u32) -> Address {
        let who = self.desk.caller(user, "user", connection);
        let (address, member) = (who.address.unwrap(), Member { who, client_id: "c".into() });
        self.desk.with(&mut *self.scores, None, |scores, context| scores.joined(&member, context));
        address
    }

    fn leave(&mut self, from: Address) {
        self.desk.with(&mut *self.scores, None, |scores, context| scores.left(from, context));
    }

    /// What a user reports over HTTP.
    fn report_for(&mut self, user: &str, value: f64) -> Result<Value, Refusal> {
        let caller = Caller { address: None, ..self.desk.caller(user, "user", 0) };
        self.desk.ask(&mut *self.scores, &caller, "score.report", json!({"score_id": "sync", "value": value}))
    }

    fn report(&mut self, user: &str, value: f64) -> Vec<String> {
        let connection = user.bytes().map(u32::from).sum();
        self.enter(user, connection);
        let caller = self.desk.caller(user, "user", connection);
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
    play.report_for("ben", 0.7).unwrap();
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
    let ada = play.enter("ada", "ada".bytes().map(u32::from).sum());
    play.leave(ada);
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
        let user = format!("u{number}");
        play.enter(&user, number);
        play.report_for(&user, 0.1).unwrap();
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
        ("score.report", json!({"score_id": "sync", "value": -1e300}), (Code::Forbidden, Some("room"))),
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
        play.enter(&number.to_string(), number);
        play.report_for(&number.to_string(), 0.0).unwrap();
    }
    let key = Caller::key();
    let data = json!({"score_id": "sync", "value": 0});
    assert_eq!(refused(play.desk.ask(&mut *play.scores, &key, "score.report", data)).0, Code::Forbidden);
    play.enter("more", 1 << 20);
    assert_eq!(refused(play.report_for("more", 0.0)).0, Code::RateLimitExceeded);
    play.root("score.remove", json!({"score_id": "sync"})).unwrap();
}

#[test]
fn a_user_takes_part_while_one_of_its_connections_is_there() {
    let mut play = Play::new(json!({}));
    assert_eq!(refused(play.report_for("ada", 1.0)), (Code::Forbidden, Some("room")), "before it comes");
    let (phone, laptop) = (play.enter("ada", 1), play.enter("ada", 2));
    play.enter("ada", 2);
    play.report_for("ada", 1.0).unwrap();
    play.heard();
    play.leave(laptop);
    assert_eq!((play.value(), play.heard()), ((json!(1.0), json!(1), json!(true)), vec![]));
    play.desk.pass(group::PAUSE_MS);
    play.leave(phone);
    assert_eq!(play.heard(), ["$score", "$score_lost"]);
    assert_eq!(refused(play.report_for("ada", 1.0)), (Code::Forbidden, Some("room")), "after it went");
}

#[test]
fn who_was_there_before_the_score_takes_part_and_nobody_else() {
    let mut play = Play::new(json!({}));
    play.root("score.remove", json!({"score_id": "sync"})).unwrap();
    play.desk.members = 1;
    play.root("score.define", json!({"score_id": "sync", "threshold": 0.8})).unwrap();
    for user in ["ada", "eve"] {
        play.report_for(user, 1.0).unwrap();
    }
    let who = play.desk.caller("ada", "user", 1);
    let member = Member { who, client_id: "c".into() };
    play.desk.with(&mut *play.scores, None, |scores, context| scores.present(&member, context));
    while play.scores.due_ms().is_some_and(|due_ms| due_ms <= 1_000_000 + ROLL_MS) {
        play.tick();
    }
    assert_eq!(play.value().1, 1, "all shards have told who is there");
    let backend = Caller { user: Some(RoomName::of_user("cyd")), ..Caller::key() };
    let data = json!({"score_id": "sync", "value": 1});
    play.desk.ask(&mut *play.scores, &backend, "score.report", data).unwrap();
    assert_eq!(play.value().1, 1, "the pause is not over");
    play.tick();
    assert_eq!(play.value().1, 2, "a backend says who takes part");
    assert!(play.report_for("ada", 1.0).is_ok() && play.report_for("eve", 1.0).is_err());
}
