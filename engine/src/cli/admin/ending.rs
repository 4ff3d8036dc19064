//! How many connections a word ends: looked up before, told after.

use serde_json::{Value, json};

use super::{Common, counted};
use crate::cli::remote::Refused;

/// How many connections a disconnect with this body would end.
pub(super) fn count(common: &Common, mut body: Value) -> Result<u64, Refused> {
    body["dry_run"] = true.into();
    let answer = common.call("POST", "/v1/admin/disconnect", Some(&body))?;
    Ok(answer["connections"].as_u64().unwrap_or_default())
}

/// Tells what a dry run found.
pub(super) fn would_end(common: &Common, connections: u64) {
    let answer = json!({ "connections": connections });
    common.show(&answer, |_| println!("would end {}", counted(connections, "connection")));
}

/// Puts a ban or a revocation in place and tells what that ended.
pub(super) fn put(
    common: &Common,
    path: &str,
    body: &Value,
    connections: u64,
    done: &str,
) -> Result<(), Refused> {
    let mut answer = common.call("PUT", path, Some(body))?;
    if answer["connections"].is_null() {
        // The server tells it of users and clients only, not of networks and keys: then it is what was counted before.
        answer["connections"] = connections.into();
    }
    common.show(&answer, |answer| {
        print!("{done}; ");
        ended(answer);
    });
    Ok(())
}

/// Tells how many connections were ended, where that is known.
pub(super) fn ended(answer: &Value) {
    match answer["connections"].as_u64() {
        Some(count) => println!("ended {}", counted(count, "connection")),
        None => println!("done"),
    }
}
