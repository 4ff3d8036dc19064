//! Lines in the log, under the target `audit`: where there is no file for them.

use std::time::UNIX_EPOCH;

use serde_json::Value;

use super::record::Record;

/// Whether anybody reads them.
pub(super) fn is_on() -> bool {
    tracing::enabled!(target: "audit", tracing::Level::INFO)
}

/// One line. Names were checked to hold no control characters and no quotes, and what was not is written as if it were code,
/// so none can forge a line.
pub(super) fn line(record: &Record) {
    let at_unix_ms = record.at.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
    let command = record.more.get("command").and_then(Value::as_str);
    let reason = (!record.reason.is_empty()).then_some(&*record.reason);
    tracing::info!(
        target: "audit",
        at_unix_ms,
        shard = record.shard,
        action = record.event,
        command,
        by = record.actor.as_deref(),
        client_id = record.client_id.as_deref(),
        user_id = record.user_id.as_deref(),
        role = record.role.as_deref(),
        subject = record.room.as_deref(),
        code = record.code,
        reason,
        peer = record.remote_ip.as_deref(),
        method = record.method.as_deref(),
        path = record.path.as_deref(),
    );
}
