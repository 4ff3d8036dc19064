//! The thread that writes. It alone knows the chain; everybody else leaves records in its queue and goes on.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use super::chain::Chain;
use super::denied::MINUTE;
use super::journal::{Journal, Last};
use super::record::{Outcome, Record};
use super::status::Status;
use super::tally::Tally;
use crate::config;

/// Lines that are written in one go.
const BATCH: usize = 1_024;
/// How long lines gather before they are written: fewer wake-ups for whoever sends, fewer writes.
const GATHER: Duration = Duration::from_millis(5);
/// How often the disk is asked to keep what was written, the clock is looked at, and a failing disk is tried again.
const LOOK_EVERY: Duration = Duration::from_millis(250);
const SYNC_EVERY: Duration = Duration::from_secs(1);
/// How often what was written is signed: what a process that dies leaves unsigned is no more than what it leaves unsynced.
const SIGN_EVERY: Duration = SYNC_EVERY;
/// How often tallies are told.
const TELL_EVERY: Duration = MINUTE;
/// A wall clock that moves so far against the steady one was set by somebody.
const STEP_MS: i64 = 1_000;

/// What everybody shares with the thread.
#[derive(Debug)]
pub(super) struct Shared {
    sender: SyncSender<Box<Record>>,
    pub(super) status: Status,
    pub(super) tally: Arc<Mutex<Tally>>,
    ending: AtomicBool,
}

impl Shared {
    /// Leaves a line. Never waits: with a full queue it is counted.
    pub(super) fn send(&self, record: Record) {
        let status = &self.status;
        status.waiting.fetch_add(1, Ordering::Relaxed);
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) =
            self.sender.try_send(Box::new(record))
        {
            status.waiting.fetch_sub(1, Ordering::Relaxed);
            status.dropped.fetch_add(1, Ordering::Relaxed);
            // After the count, so that whoever sees this sees the count too.
            if !status.full.swap(true, Ordering::AcqRel) {
                tracing::warn!("the audit log's queue is full: lines are missing from now on");
            }
        }
    }
}

/// The running thread.
#[derive(Debug)]
pub(crate) struct Running {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    /// Writes what waits, says that this is the end, and waits for the disk. All shards must have ended.
    pub(crate) fn finish(self) {
        drop(self);
    }
}

/// Also where a start failed later on: what began has its end.
impl Drop for Running {
    fn drop(&mut self) {
        self.shared.ending.store(true, Ordering::Relaxed);
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the audit log's thread panicked");
        }
    }
}

/// Starts the thread, which has written its first lines when this returns.
pub(super) fn start(
    journal: Journal,
    chain: Chain,
    config: &config::Audit,
    last: &Last,
) -> Result<(Arc<Shared>, Running), String> {
    let (sender, receiver) = sync_channel(config.queue);
    let shared = Arc::new(Shared {
        sender,
        status: Status::default(),
        tally: Arc::default(),
        ending: AtomicBool::new(false),
    });
    let mut writer = Writer::new(journal, chain, receiver, Arc::clone(&shared), config.rotate_bytes);
    let went_on = (writer.chain.seq(), writer.chain.hash().to_owned());
    let mut start = Record::new("start", Outcome::Ok).with("version", env!("CARGO_PKG_VERSION"));
    start = start.with("config_sha256", config.config_sha256.clone());
    let Last { seq: last_seq, unsigned, cut_bytes, .. } = *last;
    if cut_bytes > 0 {
        tracing::warn!(cut_bytes, "the audit log ended in the middle of a line, which was cut off");
        start = start.with("cut_bytes", cut_bytes);
    }
    writer.seal(&start);
    if unsigned > 0 {
        // From here on they are signed with all that follows, whoever wrote them.
        let first_seq = last_seq - (unsigned - 1);
        tracing::warn!(first_seq, last_seq, "the audit log ended with lines that nobody had signed");
        let recovered = Record::new("recovered_unsigned", Outcome::Failed).with("count", unsigned);
        writer.seal(&recovered.with("first_seq", first_seq).with("last_seq", last_seq));
        writer.sign();
    }
    writer.flush().and_then(|()| writer.journal.sync()).map_err(|error| error.to_string())?;
    tracing::info!(after_seq = went_on.0, after_hash = went_on.1, "the audit log goes on");
    let thread = std::thread::Builder::new().name("audit".to_owned());
    let thread = thread.spawn(move || writer.run()).map_err(|error| error.to_string())?;
    Ok((Arc::clone(&shared), Running { shared, thread: Some(thread) }))
}

/// The thread's own.
struct Writer {
    journal: Journal,
    chain: Chain,
    receiver: Receiver<Box<Record>>,
    shared: Arc<Shared>,
    rotate_bytes: u64,
    /// Lines that have their place in the chain and are not written yet.
    pending: Vec<u8>,
    pending_lines: u64,
    /// Dropped lines that a `log_gap` has told of.
    dropped_told: u64,
    unsynced: bool,
    /// Something was written since the last checkpoint.
    unsigned: bool,
    synced: Instant,
    signed: Instant,
    told: Instant,
    clock: WallClock,
}

impl Writer {
    fn new(
        journal: Journal,
        chain: Chain,
        receiver: Receiver<Box<Record>>,
        shared: Arc<Shared>,
        rotate_bytes: u64,
    ) -> Self {
        let now = Instant::now();
        Self {
            journal,
            chain,
            receiver,
            shared,
            rotate_bytes,
            pending: Vec::new(),
            pending_lines: 0,
            dropped_told: 0,
            unsynced: false,
            unsigned: false,
            synced: now,
            signed: now,
            told: now,
            clock: WallClock::new(),
        }
    }

    fn run(mut self) {
        loop {
            let ending = self.shared.ending.load(Ordering::Relaxed);
            if self.is_well() {
                match self.receiver.recv_timeout(if ending { Duration::ZERO } else { LOOK_EVERY }) {
                    Ok(record) => self.take(record, ending),
                    Err(RecvTimeoutError::Timeout) if ending => return self.end(),
                    Err(RecvTimeoutError::Disconnected) => return self.end(),
                    Err(RecvTimeoutError::Timeout) => {}
                }
            } else if ending {
                return self.end();
            } else {
                std::thread::sleep(LOOK_EVERY);
            }
            self.look();
        }
    }

    /// Nothing is left over from a write that failed.
    fn is_well(&self) -> bool {
        self.pending.is_empty()
    }

    fn take(&mut self, first: Box<Record>, ending: bool) {
        let gathered = self.shared.status.waiting.load(Ordering::Relaxed) >= BATCH as u64;
        if !ending && !gathered {
            std::thread::sleep(GATHER);
        }
        self.rotate_if_full();
        let mut taken = 1;
        self.seal(&first);
        while taken < BATCH
            && let Ok(record) = self.receiver.try_recv()
        {
            self.seal(&record);
            taken += 1;
        }
        self.shared.status.waiting.fetch_sub(taken as u64, Ordering::Relaxed);
        self.write();
    }

    /// What has to be done now and then.
    fn look(&mut self) {
        if !self.is_well() {
            self.write();
            if !self.is_well() {
                return;
            }
        }
        self.tell_gap();
        if let Some(step_ms) = self.clock.step_ms() {
            self.add(&Record::new("clock_step", Outcome::Ok).with("step_ms", step_ms));
        }
        if self.told.elapsed() >= TELL_EVERY {
            self.told = Instant::now();
            self.tell();
        }
        if self.signed.elapsed() >= SIGN_EVERY {
            self.signed = Instant::now();
            self.checkpoint();
        }
        if self.unsynced && self.synced.elapsed() >= SYNC_EVERY {
            self.synced = Instant::now();
            match self.journal.sync() {
                Ok(()) => {
                    self.unsynced = false;
                    self.well_again();
                }
                Err(error) => self.shared.status.failed(&error.to_string()),
            }
        }
    }

    /// Lines that found the queue full have no other trace than this.
    fn tell_gap(&mut self) {
        let status = &self.shared.status;
        // First: whoever drops one after this says so again.
        if !status.full.swap(false, Ordering::AcqRel) {
            return;
        }
        let dropped = status.dropped.load(Ordering::Relaxed);
        let missing = dropped - self.dropped_told;
        self.dropped_told = dropped;
        if missing > 0 {
            tracing::warn!(missing, "the audit log goes on; lines are missing");
            self.add(&Record::new("log_gap", Outcome::Failed).with("missing", missing));
        }
    }

    fn checkpoint(&mut self) {
        let lost = self.journal.is_lost();
        if lost {
            self.shared.status.failed("the file was moved or removed by somebody else; another one begins");
            self.journal.abandon();
        }
        if self.unsigned || lost || !self.is_well() {
            self.begin_if_empty();
            self.sign();
            self.write();
            self.unsigned = !self.is_well();
        }
    }

    /// What was only counted.
    fn tell(&mut self) {
        let tally = self.shared.tally.lock().unwrap_or_else(PoisonError::into_inner).take();
        if !tally.is_empty() {
            tally.iter().for_each(|record| self.seal(record));
            self.write();
        }
    }

    /// A line by itself.
    fn add(&mut self, record: &Record) {
        self.seal(record);
        self.write();
    }

    /// Gives a line its place.
    fn seal(&mut self, record: &Record) {
        self.begin_if_empty();
        self.chain.append(record, &mut self.pending);
        self.pending_lines += 1;
    }

    /// A file's first line, so that nobody can take away what was the first.
    fn begin_if_empty(&mut self) {
        if self.journal.len() == 0 && self.pending.is_empty() {
            let begin = Record::new("begin", Outcome::Ok).with("file", self.journal.number());
            self.chain.append(&begin, &mut self.pending);
            self.pending_lines += 1;
        }
    }

    fn sign(&mut self) {
        self.chain.checkpoint(&mut self.pending);
        self.pending_lines += 1;
    }

    /// Writes what is pending; what could not be written is tried again later.
    fn write(&mut self) {
        match self.flush() {
            Ok(()) => self.well_again(),
            Err(error) => self.shared.status.failed(&error.to_string()),
        }
    }

    fn well_again(&self) {
        if self.shared.status.failing.swap(false, Ordering::Relaxed) {
            tracing::info!("the audit log can be written again");
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.journal.append(&self.pending)?;
        self.shared.status.written.fetch_add(std::mem::take(&mut self.pending_lines), Ordering::Relaxed);
        self.pending.clear();
        (self.unsynced, self.unsigned) = (true, true);
        Ok(())
    }

    fn rotate_if_full(&mut self) {
        if self.journal.len() < self.rotate_bytes {
            return;
        }
        self.sign();
        self.write();
        if !self.is_well() {
            return;
        }
        let rotated = self.journal.sync().and_then(|()| self.journal.rotate());
        if let Err(error) = rotated {
            // The file grows on; the next batch tries again.
            self.shared.status.failed(&error.to_string());
        }
    }

    fn end(&mut self) {
        let mut left = 0_u64;
        while let Ok(record) = self.receiver.try_recv() {
            self.seal(&record);
            left += 1;
        }
        self.shared.status.waiting.fetch_sub(left, Ordering::Relaxed);
        self.tell_gap();
        let tally = self.shared.tally.lock().unwrap_or_else(PoisonError::into_inner).take();
        tally.iter().for_each(|record| self.seal(record));
        self.seal(&Record::new("stop", Outcome::Ok));
        self.sign();
        if let Err(error) = self.flush().and_then(|()| self.journal.sync()) {
            let lines = self.pending_lines;
            tracing::error!("the audit log could not be written to its end, {lines} lines are lost: {error}");
        } else {
            // Somewhere else than in the file itself, so that a missing end can be told from none.
            tracing::info!(seq = self.chain.seq(), hash = self.chain.hash(), "the audit log ends");
        }
    }
}

/// Finds out that the wall clock was set.
struct WallClock {
    steady: Instant,
    wall: SystemTime,
}

impl WallClock {
    fn new() -> Self {
        Self { steady: Instant::now(), wall: SystemTime::now() }
    }

    /// How far it was moved since the last look, if far enough.
    fn step_ms(&mut self) -> Option<i64> {
        let now = Self::new();
        let steady_ms = (now.steady - self.steady).as_millis() as i64;
        let wall_ms = match now.wall.duration_since(self.wall) {
            Ok(after) => after.as_millis() as i64,
            Err(before) => -(before.duration().as_millis() as i64),
        };
        *self = now;
        let step_ms = wall_ms - steady_ms;
        (step_ms.abs() >= STEP_MS).then_some(step_ms)
    }
}

#[cfg(test)]
mod tests;
