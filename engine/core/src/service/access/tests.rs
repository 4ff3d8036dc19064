use serde_json::{Value, json};

use super::*;
use crate::service::desk::Desk;

/// The denials that there are after some commands of an operator, as they are saved.
fn after(commands: &[(&str, Value)]) -> Value {
    let mut desk = Desk::new();
    let mut denials = (KIND.new)(&Options::default());
    let root = desk.caller("root", "admin", 1);
    for (name, data) in commands {
        desk.ask(&mut *denials, &root, name, data.clone()).unwrap();
    }
    serde_json::from_slice(&denials.save().unwrap()).unwrap()
}

#[test]
fn a_second_revocation_never_makes_the_first_one_milder() {
    let revoke = |data: Value| ("access.revoke_user", data);
    let first = revoke(json!({"user_id": "ada", "issued_before": "2026-11-20T00:00:00Z", "seconds": 9_000}));
    let older = revoke(json!({"user_id": "ada", "issued_before": "2020-01-01T00:00:00Z", "seconds": 60}));
    let newer = revoke(json!({"user_id": "ada", "issued_before": "2026-11-20T01:00:00Z", "seconds": 9_001}));
    let alone = after(std::slice::from_ref(&first));
    let both = after(&[first.clone(), older]);
    assert_eq!(both[0]["subject"], alone[0]["subject"]);
    assert_eq!(both[0]["until_ms"], alone[0]["until_ms"]);
    assert_eq!(after(&[first, newer.clone()]), after(&[newer]));
}

#[test]
fn a_second_ban_says_until_when() {
    let ban = |seconds: u64| ("access.ban_user", json!({"user_id": "ada", "seconds": seconds}));
    assert_eq!(after(&[ban(9_000), ban(60)]), after(&[ban(60)]));
}
