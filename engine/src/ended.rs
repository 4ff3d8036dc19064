//! The latest connections that ended, and why: for whoever asks afterwards.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use fanfare_core::{Fact, FactKind, Label, Now, ShardId};

/// Those of the whole process, oldest first. A shard takes the lock once in a turn in which something ended.
pub(crate) struct EndedConnections {
    rows: Mutex<VecDeque<Ended>>,
    max: usize,
}

/// A connection that ended.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    pub(crate) client_id: Label,
    /// Empty where no token came.
    pub(crate) user_id: Label,
    pub(crate) role: Label,
    pub(crate) shard: u8,
    /// The code of the close frame; 1006: there was none.
    pub(crate) code: u16,
    pub(crate) reason: Cow<'static, str>,
    pub(crate) connected_at_unix_ms: u64,
    pub(crate) ended_at_unix_ms: u64,
}

/// Which of them are wanted.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    /// Only of this user.
    pub(crate) user: Option<String>,
    /// Only with this client id.
    pub(crate) client: Option<String>,
    /// Only with this code.
    pub(crate) code: Option<u16>,
}

impl EndedConnections {
    /// At most `max`; the oldest makes room.
    pub(crate) fn new(max: usize) -> Self {
        Self { rows: Mutex::default(), max }
    }

    /// Takes the ends among these.
    pub(crate) fn note(&self, shard: ShardId, now: Now, facts: &[Fact]) {
        let is_end = |fact: &&Fact| fact.kind == FactKind::Closed;
        if self.max == 0 || !facts.iter().any(|fact| is_end(&fact)) {
            return;
        }
        let mut rows = self.rows();
        for fact in facts.iter().filter(is_end) {
            if rows.len() >= self.max {
                rows.pop_front();
            }
            rows.push_back(Ended {
                client_id: fact.client_id.clone(),
                user_id: fact.user_id.clone(),
                role: fact.role.clone(),
                shard: shard.0,
                code: fact.code.unwrap_or_default(),
                reason: fact.reason.clone(),
                connected_at_unix_ms: fact.opened_unix_ms.unwrap_or(now.unix_ms),
                ended_at_unix_ms: now.unix_ms,
            });
        }
    }

    /// The newest `limit` of those that are wanted, newest first.
    pub(crate) fn find(&self, wanted: &Wanted, limit: usize) -> Vec<Ended> {
        let is = |asked: &Option<String>, is: &str| asked.as_deref().is_none_or(|asked| asked == is);
        let fits = |row: &&Ended| {
            let is_code = wanted.code.is_none_or(|code| code == row.code);
            is(&wanted.user, &row.user_id) && is(&wanted.client, &row.client_id) && is_code
        };
        self.rows().iter().rev().filter(fits).take(limit).cloned().collect()
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.rows().len()
    }

    fn rows(&self) -> MutexGuard<'_, VecDeque<Ended>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Now = Now { mono_us: 0, unix_ms: 9 };

    fn fact(kind: FactKind, client: &str, code: u16) -> Fact {
        Fact {
            kind,
            connection: None,
            client_id: client.into(),
            user_id: "ada".into(),
            role: "user".into(),
            subject: Label::Nothing,
            code: Some(code),
            reason: "".into(),
            opened_unix_ms: Some(1),
            duration_ms: None,
            message: None,
        }
    }

    fn ended(client: &str, code: u16) -> Fact {
        fact(FactKind::Closed, client, code)
    }

    fn clients(rows: &[Ended]) -> Vec<&str> {
        rows.iter().map(|row| &*row.client_id).collect()
    }

    #[test]
    fn the_newest_are_kept_and_found() {
        let all = EndedConnections::new(3);
        all.note(
            ShardId(0),
            NOW,
            &[ended("a", 1_000), fact(FactKind::Refused, "x", 4_005), ended("b", 4_007)],
        );
        all.note(ShardId(1), NOW, &[ended("c", 1_000), ended("d", 4_007)]);
        let find = |wanted: &Wanted, limit| all.find(wanted, limit);
        assert_eq!(clients(&find(&Wanted::default(), 10)), ["d", "c", "b"]);
        assert_eq!(clients(&find(&Wanted::default(), 1)), ["d"]);
        let of_code = Wanted { code: Some(4_007), ..Wanted::default() };
        assert_eq!(clients(&find(&of_code, 10)), ["d", "b"]);
        let of_user = Wanted { user: Some("ben".to_owned()), ..Wanted::default() };
        assert!(find(&of_user, 10).is_empty());
        let of_client = Wanted { client: Some("c".to_owned()), ..Wanted::default() };
        assert_eq!(clients(&find(&of_client, 10)), ["c"]);
        all.note(ShardId(0), NOW, &[ended("e", 1), ended("f", 1), ended("g", 1), ended("h", 1)]);
        assert_eq!(clients(&find(&Wanted::default(), 10)), ["h", "g", "f"]);
        let none = EndedConnections::new(0);
        none.note(ShardId(0), NOW, &[ended("a", 1)]);
        assert_eq!(none.len(), 0);
    }
}
