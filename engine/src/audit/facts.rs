//! What the core tells, as lines.

use fanfare_core::{Fact, FactKind, Now, ShardId};
use fanfare_protocol::Code;

use super::record::{Outcome, Record, text};

/// Codes of closes of who was not let in, or not any longer.
const NOT_LET_IN: [Code; 5] = [
    Code::AuthenticationFailed,
    Code::ConnectionLimit,
    Code::DisconnectedByAdmin,
    Code::TokenExpired,
    Code::Forbidden,
];

/// One line for one fact.
pub(super) fn record(shard: ShardId, now: Now, fact: &Fact) -> Record {
    let mut record = Record::new(fact.kind.name(), outcome(fact));
    record.shard = Some(shard.0);
    if let Some(id) = fact.connection {
        record = record.on(shard, id);
    }
    record.code = fact.code;
    record.reason = fact.reason.clone();
    record.client_id = text(&fact.client_id);
    record.user_id = text(&fact.user_id);
    record.role = text(&fact.role);
    if matches!(fact.kind, FactKind::CallDenied | FactKind::Commanded) {
        record = record.with("command", &*fact.subject);
    } else {
        record.room = text(&fact.subject);
    }
    record.duration_ms = fact.duration_ms;
    if fact.kind == FactKind::Closed {
        record.duration_ms = fact.opened_unix_ms.map(|opened| now.unix_ms.saturating_sub(opened));
    }
    if let Some(told) = &fact.message {
        record.message_id = Some(told.entry.message_id.clone());
        record = record
            .with("epoch", told.epoch.to_string())
            .with("offset", told.entry.offset)
            .with("bytes", told.entry.body.len());
    }
    record
}

/// The server closed because a peer broke the rules of WebSocket. A peer that closes gives no reason that is kept.
pub(super) fn is_violation(fact: &Fact) -> bool {
    fact.kind == FactKind::Closed
        && matches!(fact.code, Some(1_002 | 1_003 | 1_007 | 1_008 | 1_009))
        && !fact.reason.is_empty()
}

/// The line for it, before the one for the end.
pub(super) fn violation(shard: ShardId, now: Now, fact: &Fact) -> Record {
    Record { event: "protocol_violation", duration_ms: None, ..record(shard, now, fact) }
}

fn outcome(fact: &Fact) -> Outcome {
    match fact.kind {
        FactKind::AuthFailed
        | FactKind::JoinDenied
        | FactKind::PublishDenied
        | FactKind::HistoryDenied
        | FactKind::CallDenied
        | FactKind::Refused => Outcome::Denied,
        FactKind::Closed => match fact.code {
            Some(1_000 | 1_001 | 1_005 | 1_012) => Outcome::Ok,
            code if NOT_LET_IN.iter().any(|of| code == Some(of.number())) => Outcome::Denied,
            _ => Outcome::Failed,
        },
        _ => Outcome::Ok,
    }
}
