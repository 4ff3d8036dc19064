//! The threads that ask, and the shards' way to them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use fanfare_core::{Inquirer, Inquiry, Mesh, ShardId, Verdict};
use serde_json::Value;

use super::circuit::Circuit;
use super::status::Status;
use super::{answer, question};
use crate::clock::Clock;
use crate::config::Hooks;
use crate::shard::exchange::Exchange;
use crate::webhook::{Client, Reply};

/// What an answer may hold beside a message's `data`.
const ANSWER_BYTES: usize = 40_960;

/// A question on its way, with who asked and when.
struct Asked {
    shard: ShardId,
    inquiry: Inquiry,
    at: Instant,
}

/// What all threads share.
struct Shared {
    client: Client,
    circuit: Circuit,
    status: Arc<Status>,
    exchange: Arc<Exchange>,
    clock: Clock,
    timeout: Duration,
    data_bytes_max: usize,
    run: String,
    sequence: AtomicU64,
}

/// The shards' way to the threads.
pub(crate) struct Asker {
    sender: Sender<Asked>,
    queue_max: u64,
    pub(crate) timeout: Duration,
    origin: String,
    pub(crate) status: Arc<Status>,
    shared: Arc<Shared>,
}

/// Starts the threads. They end with the process: whoever waits for them has gone by then.
///
/// # Errors
/// The system has no thread to give.
pub(crate) fn start(
    hooks: &Hooks,
    data_bytes_max: usize,
    exchange: &Arc<Exchange>,
    clock: Clock,
    run: &str,
) -> std::io::Result<Asker> {
    let (sender, receiver) = channel();
    let receiver = Arc::new(Mutex::new(receiver));
    let status = Arc::new(Status::default());
    let shared = Arc::new(Shared {
        client: Client::new(&hooks.endpoint),
        circuit: Circuit::default(),
        status: Arc::clone(&status),
        exchange: Arc::clone(exchange),
        clock,
        timeout: hooks.timeout,
        data_bytes_max,
        run: run.to_owned(),
        sequence: AtomicU64::new(0),
    });
    for number in 0..hooks.concurrency {
        let (shared, receiver) = (Arc::clone(&shared), Arc::clone(&receiver));
        let thread = std::thread::Builder::new().name(format!("hook-{number}"));
        thread.spawn(move || shared.run(&receiver))?;
    }
    Ok(Asker {
        sender,
        queue_max: hooks.queue as u64,
        timeout: hooks.timeout,
        origin: hooks.endpoint.origin(),
        status,
        shared,
    })
}

impl Asker {
    /// Asks for a shard, which is told with [`Mesh::Verdict`].
    ///
    /// # Errors
    /// So many wait that nobody is asked.
    pub(crate) fn ask(&self, shard: ShardId, inquiry: Inquiry) -> Result<(), Inquirer> {
        let inquirer = inquiry.inquirer;
        let waiting = self.status.waiting.fetch_add(1, Ordering::Relaxed);
        let asked = Asked { shard, inquiry, at: Instant::now() };
        if waiting < self.queue_max && self.sender.send(asked).is_ok() {
            return Ok(());
        }
        self.status.waiting.fetch_sub(1, Ordering::Relaxed);
        self.status.failure("queue", "more questions wait than may");
        Err(inquirer)
    }

    /// Whether the backend is left alone for a while.
    pub(crate) fn is_open(&self) -> bool {
        self.shared.circuit.is_open()
    }

    /// As operators are told.
    pub(crate) fn row(&self) -> Value {
        self.status.row(&self.origin, self.is_open())
    }
}

impl Shared {
    fn run(&self, receiver: &Mutex<Receiver<Asked>>) {
        loop {
            // Held while it waits: one thread takes the next question, the others stand behind it.
            let next = receiver.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(Asked { shard, inquiry, at }) = next else { return };
            let verdict = self.verdict(&inquiry, at);
            self.status.waiting.fetch_sub(1, Ordering::Relaxed);
            self.exchange.deliver(shard, Mesh::Verdict(inquiry.inquirer, verdict));
        }
    }

    fn verdict(&self, inquiry: &Inquiry, at: Instant) -> Verdict {
        if at.elapsed() >= self.timeout {
            self.status.failure("timeout", "waited too long for a free place");
            return Verdict::Unanswered;
        }
        if !self.circuit.lets_through(Instant::now()) {
            self.status.failure("circuit", "the backend failed too often and is left alone for a while");
            return Verdict::Unanswered;
        }
        let kind = question::kind(&inquiry.about);
        match self.ask(inquiry, at) {
            Ok(verdict) => {
                self.circuit.report(Instant::now(), true);
                self.status.answered(matches!(verdict, Verdict::Allow(_)));
                verdict
            }
            Err((reason, why)) => {
                let was_open = self.circuit.is_open();
                self.circuit.report(Instant::now(), false);
                self.status.failure(reason, &why);
                tracing::debug!(kind, "a question has no answer: {why}");
                if !was_open && self.circuit.is_open() {
                    tracing::warn!(
                        "the backend that is asked fails again and again and is left alone for a while: {why}"
                    );
                }
                Verdict::Unanswered
            }
        }
    }

    fn ask(&self, inquiry: &Inquiry, at: Instant) -> Result<Verdict, (&'static str, String)> {
        let number = self.sequence.fetch_add(1, Ordering::Relaxed);
        let id = format!("{}-question-{number}", self.run);
        let body = question::encode(&id, self.clock.now().unix_ms, inquiry);
        let left = || self.timeout.saturating_sub(at.elapsed()).max(Duration::from_millis(1));
        let bytes_max = (self.data_bytes_max + ANSWER_BYTES) as u64;
        let began = Instant::now();
        let mut reply = self.client.post(&id, &body, left(), bytes_max);
        if reply.is_err() && at.elapsed() < self.timeout {
            // A connection that was kept may have been closed in this moment: once more, on a new one.
            reply = self.client.post(&id, &body, left(), bytes_max);
        }
        self.status.took(began.elapsed());
        let Reply { status, body, .. } = reply.map_err(|why| {
            let reason = if at.elapsed() >= self.timeout { "timeout" } else { "connection" };
            (reason, why)
        })?;
        if !(200..=299).contains(&status) {
            return Err(("status", format!("HTTP {status}")));
        }
        answer::read(&body, &inquiry.about, self.data_bytes_max).map_err(|why| ("answer", why.to_owned()))
    }
}
