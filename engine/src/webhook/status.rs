//! How a webhook fares: counts for metrics, and a row of `GET /v1/webhooks`.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::config::Webhook;

/// Counts since the start, and gauges of now.
#[derive(Debug)]
pub(crate) struct Status {
    pub(crate) name: String,
    /// Scheme, host and port.
    origin: String,
    /// Events that wait, and their bytes.
    pub(crate) queued: AtomicU64,
    pub(crate) queued_bytes: AtomicU64,
    /// Events that were taken.
    pub(crate) posted: AtomicU64,
    /// Attempts that failed.
    pub(crate) failed: AtomicU64,
    /// Events that were given up.
    pub(crate) given_up: AtomicU64,
    /// Events that found the queue full.
    pub(crate) dropped: AtomicU64,
    /// Lost events that the backend was not told of yet.
    pub(super) untold: AtomicU64,
    /// Attempts, and the microseconds that they took all together.
    pub(crate) requests: AtomicU64,
    pub(crate) request_us: AtomicU64,
    /// Lanes that wait for their next attempt.
    pub(crate) backing_off: AtomicU64,
    /// When something was taken last, in milliseconds since 1970; 0: never.
    taken_unix_ms: AtomicU64,
    failing: AtomicBool,
    last_error: Mutex<Option<(u64, String)>>,
}

impl Status {
    pub(super) fn new(webhook: &Webhook) -> Self {
        Self {
            name: webhook.name.clone(),
            origin: webhook.endpoint.origin(),
            queued: AtomicU64::new(0),
            queued_bytes: AtomicU64::new(0),
            posted: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            given_up: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            untold: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            request_us: AtomicU64::new(0),
            backing_off: AtomicU64::new(0),
            taken_unix_ms: AtomicU64::new(0),
            failing: AtomicBool::new(false),
            last_error: Mutex::default(),
        }
    }

    /// Events that wait.
    pub(super) fn waiting(&self) -> u64 {
        self.queued.load(Ordering::Relaxed)
    }

    /// An attempt is over, however it ended.
    pub(super) fn attempted(&self, took: Duration) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.request_us.fetch_add(took.as_micros() as u64, Ordering::Relaxed);
    }

    /// So many events were taken.
    pub(super) fn taken(&self, events: usize) {
        self.posted.fetch_add(events as u64, Ordering::Relaxed);
        self.taken_unix_ms.store(unix_ms(), Ordering::Relaxed);
        if self.failing.swap(false, Ordering::Relaxed) {
            tracing::info!(webhook = self.name, "the webhook is well again");
        }
    }

    /// An attempt failed. Only the first of several is logged.
    pub(super) fn failure(&self, why: String) {
        self.failed.fetch_add(1, Ordering::Relaxed);
        if !self.failing.swap(true, Ordering::Relaxed) {
            tracing::warn!(webhook = self.name, "the webhook fails: {why}");
        }
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some((unix_ms(), why));
    }

    /// So many events are given up.
    pub(super) fn lost(&self, events: usize) {
        self.given_up.fetch_add(events as u64, Ordering::Relaxed);
        tracing::warn!(webhook = self.name, events, "events of the webhook are given up");
    }

    /// As operators are told. The circuit is open while an attempt has failed and the next is waited for.
    pub(crate) fn row(&self) -> Value {
        let count = |of: &AtomicU64| of.load(Ordering::Relaxed);
        let error = self.last_error.lock().unwrap_or_else(PoisonError::into_inner);
        let taken_unix_ms = Some(count(&self.taken_unix_ms)).filter(|at| *at > 0);
        json!({
            "name": self.name,
            "origin": self.origin,
            "circuit": if count(&self.backing_off) > 0 { "open" } else { "closed" },
            "queued": count(&self.queued),
            "queued_bytes": count(&self.queued_bytes),
            "posted": count(&self.posted),
            "failed": count(&self.failed),
            "given_up": count(&self.given_up),
            "dropped": count(&self.dropped),
            "last_success_at_unix_ms": taken_unix_ms,
            "last_error": error.as_ref().map(|(at, why)| json!({ "at_unix_ms": at, "message": why })),
        })
    }
}

fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64
}
