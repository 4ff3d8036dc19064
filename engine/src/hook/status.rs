//! How the asking goes: counts for metrics, and a row of `GET /v1/webhooks`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

/// Counts since the start, and gauges of now.
#[derive(Debug, Default)]
pub(crate) struct Status {
    /// Questions that wait for an answer, here or at the backend.
    pub(crate) waiting: AtomicU64,
    pub(crate) asked: AtomicU64,
    pub(crate) allowed: AtomicU64,
    pub(crate) denied: AtomicU64,
    /// Questions without an answer, by why.
    failed: Mutex<BTreeMap<&'static str, u64>>,
    /// Microseconds that requests took, all together.
    pub(crate) request_us: AtomicU64,
    answered_unix_ms: AtomicU64,
    last_error: Mutex<Option<(u64, String)>>,
}

impl Status {
    /// An answer came.
    pub(super) fn answered(&self, allowed: bool) {
        let count = if allowed { &self.allowed } else { &self.denied };
        count.fetch_add(1, Ordering::Relaxed);
        self.answered_unix_ms.store(unix_ms(), Ordering::Relaxed);
    }

    /// A request was made.
    pub(super) fn took(&self, time: Duration) {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.request_us.fetch_add(time.as_micros() as u64, Ordering::Relaxed);
    }

    /// There is no answer: one of a few reasons, and what exactly.
    pub(super) fn failure(&self, reason: &'static str, why: &str) {
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner).entry(reason).or_default() += 1;
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some((unix_ms(), why.to_owned()));
    }

    /// Questions without an answer, by why.
    pub(crate) fn failures(&self) -> Vec<(String, u64)> {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.iter().map(|(reason, count)| ((*reason).to_owned(), *count)).collect()
    }

    pub(super) fn row(&self, origin: &str, is_open: bool) -> Value {
        let count = |of: &AtomicU64| of.load(Ordering::Relaxed);
        let error = self.last_error.lock().unwrap_or_else(PoisonError::into_inner);
        json!({
            "origin": origin,
            "circuit": if is_open { "open" } else { "closed" },
            "waiting": count(&self.waiting),
            "asked": count(&self.asked),
            "allowed": count(&self.allowed),
            "denied": count(&self.denied),
            "failed": self.failures().iter().map(|(_, count)| count).sum::<u64>(),
            "last_success_at_unix_ms": Some(count(&self.answered_unix_ms)).filter(|at| *at > 0),
            "last_error": error.as_ref().map(|(at, why)| json!({ "at_unix_ms": at, "message": why })),
        })
    }
}

fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64
}
