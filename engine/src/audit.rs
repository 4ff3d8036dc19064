//! One line for who did what; never what a message said, never a token.

use fanfare_core::{Fact, FactKind, Now, ShardId};

/// Writes an audit line through the log, under the target `audit`. Names were checked to hold no control
/// characters and no quotes, so none can forge a line.
pub fn log(shard: ShardId, now: Now, fact: &Fact) {
    if matches!(fact.kind, FactKind::Published | FactKind::Refused) {
        return;
    }
    tracing::info!(
        target: "audit",
        at_unix_ms = now.unix_ms,
        shard = shard.0,
        action = fact.kind.name(),
        client_id = %fact.client_id,
        user_id = %fact.user_id,
        role = %fact.role,
        subject = %fact.subject,
        code = fact.code,
    );
}
