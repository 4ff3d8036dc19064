//! One line for who did what; never what a message said, never a token.

use fanfare_core::{Audit, Now, ShardId};

/// Writes an audit line through the log, under the target `audit`. Names were checked to hold no control
/// characters and no quotes, so none can forge a line.
pub fn log(shard: ShardId, now: Now, audit: &Audit) {
    tracing::info!(
        target: "audit",
        at_unix_ms = now.unix_ms,
        shard = shard.0,
        action = audit.action,
        client_id = %audit.client_id,
        user_id = %audit.user_id,
        subject = %audit.subject,
    );
}
