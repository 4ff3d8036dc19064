//! A webhook's thread: takes what waits, posts it, and tries again until it is taken or given up. Then the next, so
//! that order is kept.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use super::backoff;
use super::batch;
use super::client::{Client, Reply};
use super::ending::Ending;
use super::status::Status;
use super::teller::Notice;
use crate::config::Webhook;

/// Bytes of messages from which on a batch takes no more events.
const BATCH_BYTES: usize = 1 << 20;
/// Nothing of a backend's answer is needed but its status.
const ANSWER_BYTES_MAX: u64 = 64 * 1_024;

pub(super) struct Lane {
    webhook: Webhook,
    receiver: Receiver<Arc<Notice>>,
    client: Arc<Client>,
    status: Arc<Status>,
    ending: Arc<Ending>,
    run: String,
    /// What this lane's ids begin with: the run, the webhook, the lane.
    name: String,
    /// Events so far.
    sequence: u64,
    random: RandomState,
}

/// What becomes of a batch after an attempt.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Taken,
    /// It will never be taken.
    Refused(String),
    /// It may be taken another time, not before this if told.
    Failed(String, Option<Duration>),
}

impl Lane {
    pub(super) fn new(
        webhook: &Webhook,
        receiver: Receiver<Arc<Notice>>,
        client: &Arc<Client>,
        status: &Arc<Status>,
        ending: &Arc<Ending>,
        (run, number): (&str, usize),
    ) -> Self {
        Self {
            name: format!("{run}-{}-{number}", webhook.name),
            run: run.to_owned(),
            webhook: webhook.clone(),
            receiver,
            client: Arc::clone(client),
            status: Arc::clone(status),
            ending: Arc::clone(ending),
            sequence: 0,
            random: RandomState::new(),
        }
    }

    /// Until all shards have ended and nothing waits.
    pub(super) fn run(mut self) {
        while let Ok(first) = self.receiver.recv() {
            let mut bytes = first.bytes();
            let mut notices = vec![first];
            while notices.len() < self.webhook.batch
                && bytes < BATCH_BYTES
                && let Ok(next) = self.receiver.try_recv()
            {
                bytes += next.bytes();
                notices.push(next);
            }
            self.deliver(&notices);
            self.status.queued.fetch_sub(notices.len() as u64, Ordering::Relaxed);
            let bytes: usize = notices.iter().map(|notice| notice.bytes()).sum();
            self.status.queued_bytes.fetch_sub(bytes as u64, Ordering::Relaxed);
        }
    }

    fn deliver(&mut self, notices: &[Arc<Notice>]) {
        let first = self.sequence;
        self.sequence += notices.len() as u64;
        let dropped = self.status.untold.swap(0, Ordering::Relaxed);
        let Webhook { name, payload, attempts, backoff_min, backoff_max, .. } = &self.webhook;
        let body = batch::encode(name, (&self.run, &self.name), first, dropped, *payload, notices);
        let id = format!("{}-batch-{first}", self.name);
        for attempt in 1..=*attempts {
            let Some(timeout) = self.time_left() else { break };
            let asked_for = match self.attempt(&id, &body, timeout) {
                Outcome::Taken => return self.status.taken(notices.len()),
                Outcome::Refused(why) => {
                    self.status.failure(why);
                    break;
                }
                Outcome::Failed(why, asked_for) => {
                    self.status.failure(why);
                    asked_for
                }
            };
            if attempt < *attempts {
                let random = self.random.hash_one((first, attempt));
                let pause = backoff::wait((*backoff_min, *backoff_max), attempt, asked_for, random);
                self.status.backing_off.fetch_add(1, Ordering::Relaxed);
                self.ending.sleep(pause);
                self.status.backing_off.fetch_sub(1, Ordering::Relaxed);
            }
        }
        self.status.lost(notices.len());
        self.status.untold.fetch_add(dropped + notices.len() as u64, Ordering::Relaxed);
    }

    /// How long an attempt may take; nothing when the process has no more time.
    fn time_left(&self) -> Option<Duration> {
        let left = self.ending.left().unwrap_or(Duration::MAX);
        (!left.is_zero()).then(|| self.webhook.timeout.min(left))
    }

    fn attempt(&self, id: &str, body: &[u8], timeout: Duration) -> Outcome {
        let began = Instant::now();
        let reply = self.client.post(id, body, timeout, ANSWER_BYTES_MAX);
        self.status.attempted(began.elapsed());
        outcome(reply)
    }
}

fn outcome(reply: Result<Reply, String>) -> Outcome {
    match reply {
        Err(why) => Outcome::Failed(why, None),
        Ok(Reply { status: 200..=299, .. }) => Outcome::Taken,
        Ok(Reply { status: status @ (408 | 429), retry_after, .. }) => {
            Outcome::Failed(format!("HTTP {status}"), retry_after)
        }
        Ok(Reply { status: status @ 400..=499, .. }) => Outcome::Refused(format!("HTTP {status}")),
        Ok(Reply { status, retry_after, .. }) => Outcome::Failed(format!("HTTP {status}"), retry_after),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_status_means() {
        let of = |status| {
            let reply = Reply { status, retry_after: Some(Duration::from_secs(3)), body: Vec::new() };
            outcome(Ok(reply))
        };
        for status in [200, 202, 204] {
            assert_eq!(of(status), Outcome::Taken);
        }
        for status in [400, 401, 404, 410, 413] {
            assert_eq!(of(status), Outcome::Refused(format!("HTTP {status}")), "it would be the same again");
        }
        for status in [302, 408, 429, 500, 503] {
            assert_eq!(of(status), Outcome::Failed(format!("HTTP {status}"), Some(Duration::from_secs(3))));
        }
        assert_eq!(outcome(Err("gone".into())), Outcome::Failed("gone".into(), None));
    }
}
