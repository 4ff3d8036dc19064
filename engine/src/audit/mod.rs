//! Who did what, and when: never what a message said, never a token, a key, a cookie, a query or metadata.
//!
//! ```text
//! shards, HTTP tasks ── try_send ──► bounded queue ──► the writer's thread ──► chain (hash of each line in the next) ──► files
//! ```
//! Nobody waits for the disk. What finds the queue full is counted, and a `log_gap` line tells how much is missing as soon as lines can
//! be written again. Without `audit.path` the lines go to the log, under the target `audit`.

mod chain;
mod denied;
mod facts;
mod journal;
mod log;
mod record;
mod requests;
mod status;
mod tally;
mod token;
mod verify;
mod writer;

#[cfg(test)]
mod testing;

use std::net::IpAddr;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fanfare_core::{ConnectionId, Fact, FactKind, Identity, Now, ShardId};

use crate::auth::Rejection;
use crate::config::{self, OnFull};
use chain::Chain;
pub(crate) use chain::Key;
use journal::Journal;
pub(crate) use record::{Outcome, Record};
pub(crate) use requests::Visitor;
pub(crate) use status::Status;
use tally::Tally;
pub(crate) use verify::{Failure, Finding, Verified, files_of, verify};
pub(crate) use writer::Running;
use writer::Shared;

/// Where everybody leaves what an auditor should read.
#[derive(Debug)]
pub(crate) struct Audit {
    /// Nothing: the log.
    file: Option<File>,
    /// What is told by its number. The file's thread looks at it; for the log, whoever is denied next.
    tally: Arc<Mutex<Tally>>,
}

#[derive(Debug)]
struct File {
    shared: Arc<Shared>,
    publishes: bool,
    refuses: bool,
}

/// A key that checkpoints are signed with.
///
/// # Errors
/// It is too short.
pub(crate) fn key(bytes: &[u8]) -> Result<Key, String> {
    Key::new(bytes)
}

/// Whether a file of this name would be taken for one that is full.
pub(crate) fn has_number(path: &Path) -> bool {
    journal::number_in(path).is_some()
}

/// Opens the files and starts the thread; without a path, there is neither.
///
/// # Errors
/// The last line cannot be read or written, or another process writes there.
pub(crate) fn start(config: &config::Audit) -> Result<(Audit, Option<Running>), String> {
    let Some(path) = &config.path else {
        return Ok((Audit { file: None, tally: Arc::default() }, None));
    };
    let told = |error: String| format!("the audit log {}: {error}", path.display());
    let (journal, last) = Journal::open(path, config.keep).map_err(told)?;
    let key = config.key.as_ref().map(|secret| Key::new(&secret.0)).transpose().map_err(told)?;
    let chain = Chain::new(node(), last.seq, last.hash.clone(), key);
    let (shared, running) = writer::start(journal, chain, config, &last).map_err(told)?;
    let file =
        File { shared, publishes: config.publishes, refuses: config.on_full == OnFull::RefuseSessions };
    Ok((Audit { tally: Arc::clone(&file.shared.tally), file: Some(file) }, Some(running)))
}

/// The machine's name, as it knows itself.
fn node() -> Box<str> {
    std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().into()
}

impl Audit {
    /// Something happened in the core.
    pub(crate) fn note(&self, shard: ShardId, now: Now, fact: &Fact) {
        let Some(file) = &self.file else {
            let is_quiet = matches!(
                fact.kind,
                FactKind::Published | FactKind::Signalled | FactKind::Refused | FactKind::HistoryRead
            );
            if !is_quiet {
                self.write(|| facts::record(shard, now, fact));
            }
            return;
        };
        match fact.kind {
            FactKind::Signalled => {}
            FactKind::Published if !file.publishes => {}
            FactKind::Refused => self.tally().count(&fact.user_id, fact.code),
            _ => {
                if facts::is_violation(fact) {
                    file.shared.send(facts::violation(shard, now, fact));
                }
                file.shared.send(facts::record(shard, now, fact));
            }
        }
    }

    /// A connection was taken over: the one line that tells where it comes from. The others have its id.
    pub(crate) fn handshake(&self, shard: ShardId, id: ConnectionId, visitor: &Visitor) {
        if let Some(file) = &self.file {
            file.shared.send(visitor.record("handshake", Outcome::Ok).on(shard, id));
        }
    }

    /// A good token came by command.
    pub(crate) fn token(
        &self,
        shard: ShardId,
        id: ConnectionId,
        token: &str,
        checked: &Result<Identity, Rejection>,
    ) {
        let (Some(file), Ok(identity)) = (&self.file, checked) else { return };
        let (kid, jti_sha256) = token::shown(token);
        let (user_id, role) = (record::text(&identity.user_id), record::text(&identity.role));
        let record = Record::new("auth", Outcome::Ok).on(shard, id);
        file.shared.send(Record { user_id, role, kid, jti_sha256, ..record });
    }

    /// What does not come from the core.
    pub(crate) fn write(&self, record: impl FnOnce() -> Record) {
        match &self.file {
            Some(file) => file.shared.send(record()),
            None if log::is_on() => log::line(&record()),
            None => {}
        }
    }

    /// Somebody was not let in, which they can try as often as they like: the first of a minute is a line, the others a number.
    fn deny(&self, from: IpAddr, record: Record) {
        let mut tally = self.tally();
        let earlier =
            if self.file.is_none() && tally.denied.is_due() { tally.denied.take() } else { Vec::new() };
        let is_first = tally.denied.is_first(&record, from);
        drop(tally);
        earlier.into_iter().chain(is_first.then_some(record)).for_each(|record| self.write(|| record));
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether lines go to a file, so that it is worth to gather what only a file is told.
    pub(crate) fn is_kept(&self) -> bool {
        self.file.is_some()
    }

    /// Whether a line tells of each message that got its place.
    fn tells_publishes(&self) -> bool {
        self.file.as_ref().is_some_and(|file| file.publishes)
    }

    /// Whether nobody new may come in, because what they do could not be written down.
    pub(crate) fn refuses(&self) -> bool {
        let refusing = self.file.as_ref().filter(|file| file.refuses);
        refusing.is_some_and(|file| {
            let status = &file.shared.status;
            status.failing.load(Ordering::Relaxed) || status.full.load(Ordering::Relaxed)
        })
    }

    /// Counts, if there is a file.
    pub(crate) fn status(&self) -> Option<&Status> {
        self.file.as_ref().map(|file| &file.shared.status)
    }
}
