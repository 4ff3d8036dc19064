//! How the audit log fares, for metrics and for who decides whether somebody may come in.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Counts.
#[derive(Debug, Default)]
pub(crate) struct Status {
    /// Lines on disk.
    pub(crate) written: AtomicU64,
    /// Lines in the queue.
    pub(crate) waiting: AtomicU64,
    /// Lines that found the queue full.
    pub(crate) dropped: AtomicU64,
    /// Writes that failed.
    pub(crate) failures: AtomicU64,
    /// The disk takes nothing now.
    pub(crate) failing: AtomicBool,
    /// Lines were dropped that no `log_gap` has told of yet.
    pub(crate) full: AtomicBool,
    last_error: Mutex<String>,
}

impl Status {
    /// What went wrong last; empty if nothing ever did.
    pub(crate) fn last_error(&self) -> String {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn failed(&self, error: &str) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        let mut last = self.last_error.lock().unwrap_or_else(PoisonError::into_inner);
        error.clone_into(&mut last);
        if !self.failing.swap(true, Ordering::Relaxed) {
            tracing::error!("the audit log cannot be written, lines wait: {error}");
        }
    }
}
