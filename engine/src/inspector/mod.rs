//! The inspector: the latest messages' headers, what happened to connections, errors, and counts for each room.
//!
//! ```text
//! core: facts of a turn -> observe.rs: records -> records.rs, behind one lock, once a turn and shard
//!                                                     |-> http/api/inspector.rs: pages, counts, a file
//!                                                     `-> tail.rs: what a live tail is sent next
//! ```
//!
//! Nothing here is made, and no shard asks for facts of messages, unless `[inspector] enabled` says so. What is held is
//! bounded by count; what messages say is held only with `payloads`.

mod code;
mod observe;
mod query;
mod record;
mod records;
mod ring;
mod rooms;
mod tail;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::config;

pub(crate) use observe::{Observer, denied};
pub(crate) use query::{Asked, Filter, Query, Wrong};
pub(crate) use record::{Kind, Record};
pub(crate) use records::Records;
pub(crate) use rooms::Room;
pub(crate) use tail::{Batch, Seat, Tail};

/// Live tails at a time: each costs its shard a look at every new record.
pub(crate) const TAILS_MAX: usize = 16;

/// Shared by all shards.
pub(crate) struct Inspector {
    pub(crate) config: config::Inspector,
    records: Mutex<Records>,
    /// Records taken in since the start, so that a shard sees without the lock that there are new ones.
    written: AtomicU64,
    tails: Arc<AtomicUsize>,
    /// Records that tails could not be sent because they read too slowly.
    skipped: AtomicU64,
}

impl std::fmt::Debug for Inspector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inspector").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Inspector {
    pub(crate) fn new(config: config::Inspector) -> Self {
        Self {
            config,
            records: Mutex::new(Records::new(&config)),
            written: AtomicU64::new(0),
            tails: Arc::default(),
            skipped: AtomicU64::new(0),
        }
    }

    /// What is held. Records stay whole when a thread that held the lock has panicked.
    pub(crate) fn records(&self) -> MutexGuard<'_, Records> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes records in; true when tails should be woken, because half of what can be held is new to them.
    pub(crate) fn add(&self, records: &mut Records, new: impl Iterator<Item = Record>) -> bool {
        new.for_each(|record| records.add(record));
        self.written.store(records.written(), Ordering::Relaxed);
        self.tails() > 0 && records.is_half_new()
    }

    /// Records taken in since the start.
    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// A place among the tails, if one is free.
    pub(crate) fn seat(&self) -> Option<Seat> {
        Seat::take(&self.tails)
    }

    /// Tails that are open.
    pub(crate) fn tails(&self) -> usize {
        self.tails.load(Ordering::Relaxed)
    }

    pub(crate) fn count_skipped(&self, records: u64) {
        self.skipped.fetch_add(records, Ordering::Relaxed);
    }

    /// Records that tails were not sent because they read too slowly.
    pub(crate) fn skipped(&self) -> u64 {
        self.skipped.load(Ordering::Relaxed)
    }
}
