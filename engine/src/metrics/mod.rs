//! What is counted, and how it is shown: `/metrics` for Prometheus, `/v1/statistics` for people and the page.

mod compression;
mod inspector;
mod limits;
mod openmetrics;
mod recent;
mod services;
mod statistics;
mod webhooks;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use fanfare_core::{Latency, ShardId, Stats};

pub(crate) use openmetrics::render;
pub(crate) use statistics::statistics;

use recent::{Pace, Recent, Sample};

/// One shard's latest counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Snapshot {
    pub(crate) stats: Stats,
    pub(crate) latency: Latency,
    pub(crate) inbox_depth: u64,
    pub(crate) outbox_depth: u64,
}

/// Counts of the whole process. Shards publish theirs a few times a second; a message touches nothing here.
#[derive(Debug)]
pub struct Metrics {
    shards: Vec<Mutex<Snapshot>>,
    handshakes_failed: Mutex<BTreeMap<&'static str, u64>>,
    auth_failed: Mutex<BTreeMap<&'static str, u64>>,
    accepts_failed: AtomicU64,
    connections_peak: AtomicUsize,
    start: Instant,
    /// Taken by the first shard.
    recent: Mutex<Recent>,
    pub(crate) panics: AtomicU64,
}

impl Metrics {
    pub(crate) fn new(shards: u8) -> Self {
        Self {
            shards: (0..shards).map(|_| Mutex::default()).collect(),
            handshakes_failed: Mutex::default(),
            auth_failed: Mutex::default(),
            accepts_failed: AtomicU64::new(0),
            connections_peak: AtomicUsize::new(0),
            start: Instant::now(),
            recent: Mutex::new(Recent::new(Sample { cpu: cpu_time(), ..Sample::default() })),
            panics: AtomicU64::new(0),
        }
    }

    pub(crate) fn publish(
        &self,
        shard: ShardId,
        stats: Stats,
        latency: &Latency,
        inbox_depth: u64,
        outbox_depth: u64,
    ) {
        let snapshot = Snapshot { stats, latency: latency.clone(), inbox_depth, outbox_depth };
        *lock(&self.shards[shard.index()]) = snapshot;
        if shard.index() == 0 && lock(&self.recent).is_due(self.start.elapsed()) {
            let sample = self.sample();
            lock(&self.recent).note(sample);
        }
    }

    fn sample(&self) -> Sample {
        let mut sample = Sample { at: self.start.elapsed(), cpu: cpu_time(), ..Sample::default() };
        for shard in &self.shards {
            let stats = &lock(shard).stats;
            sample.published += stats.published;
            sample.delivered += stats.delivered;
        }
        sample
    }

    /// What was done in the last few seconds.
    fn pace(&self) -> Pace {
        let now = self.sample();
        lock(&self.recent).until(now)
    }

    /// There are so many WebSockets now.
    pub(crate) fn connected(&self, count: usize) {
        self.connections_peak.fetch_max(count, Ordering::Relaxed);
    }

    /// Counts a handshake that was refused. `reason` is one of a fixed set, never a client's text.
    pub(crate) fn handshake_failed(&self, reason: &'static str) {
        *lock(&self.handshakes_failed).entry(reason).or_default() += 1;
    }

    /// Counts a token that was refused.
    pub(crate) fn auth_failed(&self, reason: &'static str) {
        *lock(&self.auth_failed).entry(reason).or_default() += 1;
    }

    /// Counts an accept that failed (no descriptors, mostly).
    pub(crate) fn accept_failed(&self) {
        self.accepts_failed.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn snapshots(&self) -> Vec<Snapshot> {
        self.shards.iter().map(|shard| lock(shard).clone()).collect()
    }

    fn reasons(counts: &Mutex<BTreeMap<&'static str, u64>>) -> Vec<(&'static str, u64)> {
        lock(counts).iter().map(|(reason, count)| (*reason, *count)).collect()
    }
}

/// Of all threads, in user mode and in the kernel.
fn cpu_time() -> std::time::Duration {
    let (user, system) = fanfare_sys::process::cpu_time();
    user + system
}

/// Counts stay true when a thread that held the lock has panicked.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
