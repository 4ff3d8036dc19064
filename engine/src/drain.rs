//! Taking no more connections and telling those that are there to go: before the process ends, or while an operator wants it so.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::process::Process;

/// Whether the process drains, and what for.
#[derive(Debug, Default)]
pub(crate) struct Drain {
    is_on: AtomicBool,
    /// The process ends with it.
    ends: AtomicBool,
    /// Rises with each change: shards begin anew then.
    round: AtomicU32,
    /// Over how many milliseconds connections are told; 0: as usual.
    spread_ms: AtomicU64,
    /// Shards whose connections have all gone, while the process ends.
    pub(crate) drained: AtomicUsize,
    began: Mutex<Option<Began>>,
}

/// How it was when draining began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Began {
    /// By the steady clock.
    pub(crate) at_ms: u64,
    pub(crate) connections: usize,
}

impl Drain {
    pub(crate) fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Relaxed)
    }

    /// Whether the process is about to end.
    pub(crate) fn ends(&self) -> bool {
        self.ends.load(Ordering::Relaxed)
    }

    pub(crate) fn round(&self) -> u32 {
        self.round.load(Ordering::Relaxed)
    }

    /// Over how many milliseconds connections are told, if that was said.
    pub(crate) fn spread_ms(&self) -> Option<u64> {
        Some(self.spread_ms.load(Ordering::Relaxed)).filter(|spread_ms| *spread_ms > 0)
    }

    pub(crate) fn began(&self) -> Option<Began> {
        *self.began.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Process {
    /// Takes no more connections, and tells those that are there to go, within a time if one is said. If `ends`, the process ends when
    /// they have gone. What has begun is not begun again, but for its end. False: the process ends already.
    pub(crate) fn begin_drain(&self, ends: bool, spread_ms: Option<u64>) -> bool {
        let drain = &self.drain;
        let mut began = drain.began.lock().unwrap_or_else(PoisonError::into_inner);
        if drain.ends() {
            return false;
        }
        if began.is_none() || ends || spread_ms.is_some() {
            drain.spread_ms.store(spread_ms.unwrap_or(0), Ordering::Relaxed);
            drain.ends.store(ends, Ordering::Relaxed);
            drain.round.fetch_add(1, Ordering::Relaxed);
        }
        began.get_or_insert_with(|| Began {
            at_ms: self.clock.now().mono_ms(),
            connections: self.connections.load(Ordering::Relaxed),
        });
        // Shards look here first.
        drain.is_on.store(true, Ordering::Release);
        drop(began);
        self.exchange.signal_all();
        true
    }

    /// Takes connections again. False: the process ends, and nothing holds it.
    pub(crate) fn end_drain(&self) -> bool {
        let drain = &self.drain;
        let mut began = drain.began.lock().unwrap_or_else(PoisonError::into_inner);
        if drain.ends() {
            return false;
        }
        *began = None;
        drain.is_on.store(false, Ordering::Release);
        drain.round.fetch_add(1, Ordering::Relaxed);
        drop(began);
        self.exchange.signal_all();
        true
    }
}
