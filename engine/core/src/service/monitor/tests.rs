use fanfare_protocol::{Code, Refusal};
use serde_json::{Map, Value, json};

use super::*;
use crate::service::desk::{Desk, refused};

struct Play {
    desk: Desk,
    monitor: Box<dyn Service>,
}

impl Play {
    fn new() -> Self {
        Self { desk: Desk::new(), monitor: (KIND.new)(&Options::default()) }
    }

    fn ask(&mut self, name: &str, data: Value) -> Result<Value, Refusal> {
        let caller = self.desk.caller("root", "admin", 1);
        self.desk.ask(&mut *self.monitor, &caller, name, data)
    }

    fn set(&mut self, rule: Value) -> Value {
        self.ask("monitor.set_rule", rule).unwrap()
    }

    fn report(&mut self, value: f64) {
        self.ask("monitor.report", json!({"values": {"v": value}})).unwrap();
    }

    fn tick(&mut self) {
        self.desk.tick(&mut *self.monitor);
    }

    /// Alerts and recoveries since this was asked last, by event and value.
    fn news(&mut self) -> Vec<(String, f64)> {
        let of_rules = |(event, data): (String, Value)| Some((event, data["value"].as_f64()?));
        let heard = self.desk.heard().into_iter();
        heard.filter(|(event, _)| event == "$alert" || event == "$recovered").filter_map(of_rules).collect()
    }

    fn status(&mut self) -> String {
        let state = self.ask("monitor.state", json!({})).unwrap();
        state["rules"][0]["status"].as_str().unwrap().to_owned()
    }
}

fn alert(value: f64) -> (String, f64) {
    ("$alert".to_owned(), value)
}

fn recovered(value: f64) -> (String, f64) {
    ("$recovered".to_owned(), value)
}

#[test]
fn a_threshold_is_passed_once_and_recovered_only_well_inside() {
    let mut play = Play::new();
    play.set(json!({"rule_id": "hot", "name": "v", "limit": "above", "threshold": 100.0, "hysteresis": 5, "severity": "critical"}));
    for (value, news) in [
        (100.0, vec![]),
        (101.0, vec![alert(101.0)]),
        (150.0, vec![]),
        (96.0, vec![]),
        (101.0, vec![]),
        (95.0, vec![recovered(95.0)]),
        (96.0, vec![]),
        (100.5, vec![alert(100.5)]),
    ] {
        play.report(value);
        assert_eq!(play.news(), news, "{value}");
    }
    play.set(json!({"rule_id": "hot", "name": "v", "limit": "below", "threshold": 10}));
    assert_eq!(play.news(), [recovered(100.5)], "a rule that becomes another does not alert any more");
    play.report(9.0);
    let said = play.desk.says.iter().find(|saying| saying.event == "$alert").unwrap();
    assert_eq!(
        (said.priority, &said.data["severity"], &said.data["limit"]),
        (5, &json!("warning"), &json!("below"))
    );
    play.desk.heard();
    play.ask("monitor.remove_rule", json!({"rule_id": "hot"})).unwrap();
    assert_eq!(play.news(), [recovered(9.0)]);
}

#[test]
fn what_must_last_alerts_by_itself_when_the_value_stays() {
    let mut play = Play::new();
    play.set(json!({"rule_id": "low", "name": "v", "limit": "below", "threshold": 50, "for_seconds": 10}));
    play.report(40.0);
    assert_eq!((play.status(), play.news()), ("pending".to_owned(), vec![]));
    let began = told_time(play.desk.now.unix_ms);
    play.desk.pass(9_000);
    play.report(60.0);
    assert_eq!((play.status(), play.news()), ("ok".to_owned(), vec![]), "one good value ends it");
    play.report(40.0);
    let began_again = told_time(play.desk.now.unix_ms);
    assert_ne!(began, began_again);
    play.desk.pass(9_999);
    play.desk.with(&mut *play.monitor, None, |monitor, context| monitor.tick(context));
    assert_eq!(play.news(), []);
    play.tick();
    let (event, data) = play.desk.heard().pop().unwrap();
    assert_eq!((&*event, &data["since"]), ("$alert", &began_again));
    assert!(play.desk.changed);
    play.monitor = (KIND.restore)(&play.monitor.save().unwrap(), &play.desk.options).unwrap();
    assert_eq!(play.status(), "alerting", "it outlives the process");
    play.report(40.0);
    assert_eq!(play.news(), [], "and is not told again");
    play.report(50.0);
    assert_eq!(play.news(), [recovered(50.0)]);
}

#[test]
fn a_rate_is_what_changes_in_a_second_of_the_times_that_were_told() {
    let mut play = Play::new();
    play.set(json!({"rule_id": "rise", "name": "v", "limit": "rate_above", "threshold": 2}));
    let start = play.desk.now.unix_ms;
    for (seconds, value, news) in [
        (0, 10.0, vec![]),
        (10, 30.0, vec![]),
        (20, 51.0, vec![alert(2.1)]),
        (15, 0.0, vec![]),
        (30, 60.0, vec![recovered(0.9)]),
    ] {
        play.desk.now.unix_ms = start + 60_000;
        let at = told_time(start + seconds * 1_000);
        let answer = play.ask("monitor.report", json!({"values": {"v": value}, "at": at})).unwrap();
        assert_eq!(answer["accepted"], u64::from(seconds != 15), "what is too late counts not");
        assert_eq!(play.news(), news, "{seconds}");
    }
}

#[test]
fn two_values_of_the_same_moment_are_measured_from_the_one_before() {
    let mut play = Play::new();
    play.set(json!({"rule_id": "rise", "name": "v", "limit": "rate_above", "threshold": 2}));
    let start = play.desk.now.unix_ms;
    for (ms, value, news) in [
        (0, 10.0, vec![]),
        (0, 500.0, vec![]),
        (10_000, 501.0, vec![]),
        (10_000, 600.0, vec![alert(10.0)]),
        (10_000, 501.0, vec![recovered(0.1)]),
        (10_001, 601.0, vec![alert(100_000.0)]),
    ] {
        play.desk.now.unix_ms = start + 60_000;
        let at = told_time(start + ms);
        play.ask("monitor.report", json!({"values": {"v": value}, "at": at})).unwrap();
        assert_eq!(play.news(), news, "{ms} {value}");
    }
}

#[test]
fn members_are_told_ten_times_a_second_at_most_and_the_last_values_in_the_end() {
    let mut play = Play::new();
    for value in 0..50 {
        play.desk.pass(10);
        play.report(f64::from(value));
        if play.monitor.due_ms().is_some_and(|due_ms| due_ms <= play.desk.now.mono_ms()) {
            play.tick();
        }
    }
    play.tick();
    let heard = play.desk.heard();
    assert!((5..=6).contains(&heard.len()), "{}", heard.len());
    assert_eq!(heard.last().unwrap().1["values"]["v"]["value"], 49.0);
    play.desk.members = 0;
    while !play.monitor.is_empty() {
        play.tick();
    }
}

#[test]
fn bad_input_and_too_much_is_refused() {
    let mut play = Play::new();
    let many: Map<String, Value> = (0..65).map(|number| (number.to_string(), json!(1))).collect();
    for data in [
        json!({}),
        json!({"values": {}}),
        json!({"values": {"v": "1"}}),
        json!({"values": {"a b": 1}}),
        json!({"values": {"v": 1e301}}),
        json!({ "values": many }),
    ] {
        let outcome = play.ask("monitor.report", data.clone());
        assert_eq!(refused(outcome), (Code::InvalidMessage, Some("values")), "{data}");
    }
    let rule = json!({"rule_id": "r", "name": "v", "limit": "above"});
    assert_eq!(refused(play.ask("monitor.set_rule", rule)), (Code::InvalidMessage, Some("threshold")));
    for report in 0..4 {
        let values: Map<String, Value> = (0..64).map(|at| (format!("{report}-{at}"), json!(1))).collect();
        play.ask("monitor.report", json!({ "values": values })).unwrap();
    }
    let more = play.ask("monitor.report", json!({"values": {"more": 1, "0-0": 1}}));
    assert_eq!(refused(more), (Code::RateLimitExceeded, Some("values")));
    for number in 0..RULES_MAX {
        play.set(json!({"rule_id": format!("r{number}"), "name": "v", "limit": "above", "threshold": 1}));
    }
    let more = play
        .ask("monitor.set_rule", json!({"rule_id": "more", "name": "v", "limit": "above", "threshold": 1}));
    assert_eq!(refused(more), (Code::RateLimitExceeded, Some("rule_id")));
    assert_eq!(refused(play.ask("monitor.remove_rule", json!({"rule_id": "x"}))).0, Code::RoomNotFound);
}

#[test]
fn a_clock_that_was_set_back_makes_nothing_too_old() {
    let mut play = Play::new();
    play.set(json!({"rule_id": "hot", "name": "v", "limit": "above", "threshold": 100}));
    play.report(80.0);
    play.desk.now.unix_ms -= 3_600_000;
    let now = fanfare_protocol::timestamp::rfc3339_text(play.desk.now.unix_ms);
    let timed = play.ask("monitor.report", json!({"values": {"v": 190}, "at": now}));
    assert_eq!(timed.unwrap(), json!({"accepted": 1}));
    assert_eq!(play.news(), [alert(190.0)]);
    play.report(50.0);
    assert_eq!(play.news(), [recovered(50.0)]);
}
