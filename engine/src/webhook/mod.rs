//! Telling backends what happened: signed POST requests, tried again until they are taken or given up.
//!
//! ```text
//! shard: fact -> teller (wanted? room left?) -> queue -> lane: batch -> post, back off, post again … -> backend
//! ```
//!
//! A shard never waits: it hands over or counts what was dropped. Each lane is a thread of its own, so a backend that is
//! slow holds up nobody but itself.

mod backoff;
mod batch;
mod client;
mod ending;
mod lane;
mod signature;
mod status;
mod teller;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Instant;

use crate::config::Webhook;
use ending::Ending;
use lane::Lane;

pub(crate) use batch::as_json;
pub(crate) use client::{Client, Reply};
pub(crate) use status::Status;
pub(crate) use teller::Teller;

/// All webhooks' threads.
#[derive(Debug)]
pub(crate) struct Running {
    /// Nobody sends here: it ends when the last lane does.
    lanes: Receiver<()>,
    ending: Arc<Ending>,
    /// Kept for shards that are still to be started.
    teller: Teller,
    /// How each webhook fares.
    pub(crate) statuses: Vec<Arc<Status>>,
}

/// A word that no other run of the server has: part of every id.
pub(crate) fn run_word() -> String {
    let hasher = std::collections::hash_map::RandomState::new();
    format!("{:016x}", std::hash::BuildHasher::hash_one(&hasher, std::process::id()))
}

/// Starts the threads.
///
/// # Errors
/// The system has no thread to give.
pub(crate) fn start(webhooks: &[Webhook], run: &str) -> std::io::Result<Running> {
    let ending = Arc::new(Ending::default());
    let (alive, lanes) = channel();
    let (mut statuses, mut teller) = (Vec::new(), Teller::default());
    for webhook in webhooks {
        let status = Arc::new(Status::new(webhook));
        statuses.push(Arc::clone(&status));
        let client = Arc::new(Client::new(&webhook.endpoint));
        let mut senders = Vec::new();
        for number in 0..webhook.concurrency {
            let (sender, receiver) = channel();
            senders.push(sender);
            let lane = Lane::new(webhook, receiver, &client, &status, &ending, (run, number));
            let thread = std::thread::Builder::new().name(format!("webhook-{number}"));
            let alive = alive.clone();
            thread.spawn(move || {
                let _alive = alive;
                lane.run();
            })?;
        }
        teller.add(webhook, senders, status);
    }
    Ok(Running { lanes, ending, teller, statuses })
}

impl Running {
    /// A shard's way to the webhooks.
    pub(crate) fn teller(&self) -> Teller {
        self.teller.clone()
    }

    /// Waits until everything that was handed over is posted or given up, until then at the latest. All shards must have
    /// let go of their tellers.
    pub(crate) fn finish(self, until: Instant) {
        drop(self.teller);
        self.ending.announce(until);
        let left = until.saturating_duration_since(Instant::now());
        if self.lanes.recv_timeout(left) == Err(RecvTimeoutError::Timeout) {
            // In the middle of an attempt: the process does not wait for its answer.
            for status in &self.statuses {
                tracing::warn!(
                    webhook = status.name,
                    lost = status.waiting(),
                    "the server ends before the webhook does"
                );
            }
        }
    }
}
