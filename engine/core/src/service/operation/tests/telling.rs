//! What is said of an operation, to whom, and how often.

use fanfare_protocol::RoomName;
use serde_json::json;

use super::{Stage, field};
use crate::permission::Permissions;
use crate::service::operation::bounds;
use crate::service::{Caller, Saying, To};

#[test]
fn progress_is_said_ten_times_a_second_at_most_and_the_newest_is_never_lost() {
    let mut stage = Stage::started(json!({}));
    stage.pass(1_000);
    for count in 1..=1_000_u32 {
        stage.ask("update", json!({"progress": f64::from(count) / 20.0})).unwrap();
        stage.pass(1);
    }
    stage.pass(99);
    let said = stage.said();
    assert!((10..=12).contains(&said.len()), "{}", said.len());
    assert!(said.is_sorted_by(|a, b| a.1 < b.1) && said.last().unwrap().1 == 50.0, "{said:?}");
    stage.pass(60_000);
    assert_eq!(stage.said(), [], "nothing is said twice");
    stage.ask("update", json!({"progress": 51})).unwrap();
    assert_eq!(stage.said().len(), 1, "who was silent is heard at once");
    stage.ask("update", json!({"progress": 52})).unwrap();
    assert_eq!(stage.said().len(), 0);
    stage.ask("fail", json!({"error": {"code": "E", "message": "no"}})).unwrap();
    assert_eq!(stage.said(), [("operation_error".to_owned(), 52.0)], "an end is said at once");
    stage.pass(1_000);
    assert_eq!(stage.said(), [], "and nothing comes after it");
}

#[test]
fn only_progress_can_be_passed_over() {
    let mut stage = Stage::new();
    stage.ask("start", json!({"steps": [{"name": "one"}, {"name": "two"}]})).unwrap();
    stage.pass(1_000);
    stage.ask("update", json!({"message": "hello"})).unwrap();
    stage.ask("update", json!({"status": "paused"})).unwrap();
    stage.ask("update", json!({"status": "running"})).unwrap();
    stage.pass(1_000);
    stage.ask("update", json!({"message": "again"})).unwrap();
    stage.ask("update_step", json!({"step_id": "step-2", "status": "completed"})).unwrap();
    stage.ask("cancel", json!({"reason": "enough"})).unwrap();
    let said: Vec<(&str, Option<&str>)> =
        stage.says.iter().map(|saying| (&*saying.event, saying.key.as_deref())).collect();
    assert_eq!(
        said,
        [
            ("operation_started", None),
            ("progress_update", None),
            ("progress_update", None),
            ("progress_update", None),
            ("progress_update", Some("job")),
            ("step_update", Some("job/step-2")),
            ("operation_cancelled", None),
        ]
    );
}

#[test]
fn a_thousand_steps_at_once_are_told_in_turns() {
    let mut stage = Stage::started(json!({}));
    for _ in 0..bounds::STEPS_MAX {
        stage.ask("add_step", json!({"name": "n"})).unwrap();
    }
    assert_eq!(field(stage.ask("add_step", json!({"name": "n"}))), (4004, "step_id"));
    stage.pass(100);
    let count = stage.said().len();
    assert!(count <= 3 + bounds::STEPS_TOLD, "{count}");
    stage.pass(10_000);
    let steps = stage.said().iter().filter(|(event, _)| event == "step_update").count();
    assert!(steps + count > bounds::STEPS_MAX, "{steps} and {count}");
}

#[test]
fn the_owner_hears_of_start_and_end_and_nobody_writes_to_others_who_may_not() {
    let mut stage = Stage::new();
    let user =
        |name: &str| Caller { user: Some(RoomName::of_user(name)), role: "worker".into(), ..Caller::key() };
    stage.caller = Caller { permissions: Permissions::USUAL, ..user("ada") };
    assert_eq!(field(stage.ask("start", json!({"user_id": "ben"}))), (4013, "user_id"));
    stage.ask("start", json!({"user_id": "ada"})).unwrap();
    stage.ask("update", json!({"progress": 50})).unwrap();
    stage.ask("cancel", json!({})).unwrap();
    let to_owner = |saying: &&Saying| saying.to == To::Other(RoomName::of_user("ada"));
    let said: Vec<&str> = stage.says.iter().filter(to_owner).map(|saying| &*saying.event).collect();
    assert_eq!(said, ["$operation_started", "$operation_cancelled"]);
    for (role, data) in
        [("worker", json!({"user_id": "ben", "notify_user": false})), ("service", json!({"user_id": "ben"}))]
    {
        let mut stage = Stage::new();
        stage.caller = Caller { permissions: Permissions::USUAL, role: role.into(), ..user("ada") };
        assert_eq!(stage.ask("start", data).unwrap()["user_id"], "ben");
    }
}

#[test]
fn an_owner_who_wants_all_hears_of_progress_and_steps_in_its_own_room_too() {
    let mut stage = Stage::new();
    let data = json!({"user_id": "ada", "notify_user": "all", "kind": "document", "steps": [{"name": "a"}]});
    stage.ask("start", data).unwrap();
    stage.ask("update_step", json!({"step_id": "step-1", "status": "running"})).unwrap();
    stage.ask("update_step", json!({"step_id": "step-1", "status": "completed"})).unwrap();
    stage.pass(1_000);
    stage.ask("complete", json!({})).unwrap();
    let told = |to: To| -> Vec<(&str, Option<&str>)> {
        let says = stage.says.iter().filter(|saying| saying.to == to);
        says.map(|saying| (saying.event.trim_start_matches('$'), saying.key.as_deref())).collect()
    };
    let owner = RoomName::of_user("ada");
    let (room, signals, kept) = (told(To::Room), told(To::There(owner.clone())), told(To::Other(owner)));
    assert_eq!(kept, [("processing_started", None), ("processing_completed", None)]);
    let between = &room[1..room.len() - 1];
    assert_eq!(signals, between, "the same in the same order and with the same keys");
    for event in ["processing_progress", "zone_processing", "zone_completed"] {
        assert!(signals.iter().any(|(of, _)| *of == event), "{event} of {signals:?}");
    }
    for wrong in [json!("some"), json!(1), json!("true")] {
        let refused = Stage::new().ask("start", json!({ "notify_user": wrong }));
        assert_eq!(field(refused), (4005, "notify_user"));
    }
    // Who may not write to others may not with `all` either.
    let mut stage = Stage::new();
    let user = Some(RoomName::of_user("eve"));
    stage.caller = Caller { permissions: Permissions::USUAL, user, role: "worker".into(), ..Caller::key() };
    let refused = stage.ask("start", json!({"user_id": "ben", "notify_user": "all"}));
    assert_eq!(field(refused), (4013, "user_id"));
}
