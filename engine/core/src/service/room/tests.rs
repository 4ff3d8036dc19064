use serde_json::json;

use super::*;
use crate::service::desk::Desk;

fn restored(cleanup: bool, was_used: bool) -> Box<dyn Service> {
    let created = json!({
        "creator": "ada", "at_unix_ms": 0, "title": null, "metadata": null, "is_private": false, "members_max": null,
        "invited": [], "cleanup": cleanup, "was_used": was_used,
    });
    let saved = json!({ "created": created, "is_frozen": false, "banned": {} }).to_string();
    (KIND.restore)(saved.as_bytes(), &Options::default()).unwrap()
}

#[test]
fn a_room_that_goes_with_its_last_member_goes_after_a_restart_that_nobody_comes_back_from() {
    let mut desk = Desk::new();
    desk.members = 0;
    let mut room = restored(true, true);
    desk.tick(&mut *room);
    assert!(!room.is_empty(), "members have time to come back");
    let since_ms = desk.now.mono_ms();
    desk.tick(&mut *room);
    assert_eq!(desk.now.mono_ms() - since_ms, BACK_MS);
    assert!(room.is_empty());
    assert_eq!(room.due_ms(), None);
}

#[test]
fn a_room_that_somebody_comes_back_to_stays_and_so_does_one_that_is_to_stay() {
    let mut desk = Desk::new();
    let mut room = restored(true, true);
    desk.tick(&mut *room);
    let member = Member { who: desk.caller("ada", "user", 1), client_id: "c1".into() };
    desk.with(&mut *room, None, |room, context| room.joined(&member, context));
    assert_eq!(room.due_ms(), None);
    assert!(!room.is_empty());
    assert_eq!(restored(false, true).due_ms(), None);
}

#[test]
fn a_room_that_waits_for_its_first_member_waits_over_a_restart() {
    let mut desk = Desk::new();
    let mut room = restored(true, false);
    assert_eq!(room.due_ms(), None);
    let member = Member { who: desk.caller("ada", "user", 1), client_id: "c1".into() };
    desk.with(&mut *room, None, |room, context| room.joined(&member, context));
    let mut room = (KIND.restore)(&room.save().unwrap(), &Options::default()).unwrap();
    desk.members = 0;
    desk.tick(&mut *room);
    desk.tick(&mut *room);
    assert!(room.is_empty(), "who came first is not waited for again");
}
