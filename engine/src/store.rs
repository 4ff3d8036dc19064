//! The store's thread: shards hand over what must survive, it commits what has gathered, and tells them.
//!
//! While one commit is on its way to the disk the next one's writes gather, so each commit takes as many as came during
//! the last: a group commit without a timer.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use fanfare_core::{DeadLetter, Mesh, Options, Report, ShardId, StoredId, StoredRoom, StoredState, Write};
use fanfare_store::{Check, Damaged, Problem, Store, Stored, salvage};

use crate::clock::Clock;
use crate::shard::exchange::Exchange;

/// Writes that one commit takes at most.
const WRITES_A_COMMIT: usize = 20_000;
/// How long to wait before a failing store is tried again.
const HEAL_EVERY: Duration = Duration::from_millis(250);

/// Writes of one shard.
pub(crate) struct Batch {
    pub(crate) shard: ShardId,
    /// How often that shard had been told of a failure: what it asked for before one is void.
    pub(crate) failures: u32,
    /// How many writes it had made with these.
    pub(crate) written: u64,
    pub(crate) writes: Vec<Write>,
}

/// What outlived the process, for one shard.
#[derive(Default)]
pub(crate) struct Restored {
    pub(crate) rooms: Vec<StoredRoom>,
    /// In the order of their times.
    pub(crate) ids: Vec<StoredId>,
    pub(crate) letters: Vec<DeadLetter>,
    pub(crate) states: Vec<StoredState>,
}

/// Counts of the store, for metrics.
#[derive(Debug)]
pub(crate) struct Status {
    /// Whether writes are taken.
    pub(crate) healthy: AtomicBool,
    pub(crate) commits: AtomicU64,
    pub(crate) failures: AtomicU64,
    pub(crate) messages: AtomicU64,
    pub(crate) bytes: AtomicU64,
    /// Microseconds that commits took, all together and the longest.
    pub(crate) commit_us: AtomicU64,
    pub(crate) longest_us: AtomicU64,
}

impl Status {
    fn new() -> Self {
        Self {
            healthy: AtomicBool::new(true),
            commits: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            messages: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            commit_us: AtomicU64::new(0),
            longest_us: AtomicU64::new(0),
        }
    }
}

/// An opened store before its thread runs.
pub(crate) struct Opened {
    store: Store,
    /// What each shard puts back before it begins.
    pub(crate) restored: Vec<Restored>,
    /// Rooms that could not be read: whatever is left of them goes.
    forgotten: Vec<Write>,
}

/// Opens a store and reads all of it.
///
/// # Errors
/// It cannot be opened or read.
pub(crate) fn open(path: &Path, options: &Options) -> Result<Opened, String> {
    let began = Instant::now();
    let store = open_or_save(path)?;
    let mut restored: Vec<Restored> = (0..options.shards).map(|_| Restored::default()).collect();
    let mut give = |stored| match stored {
        Stored::Room(room) => restored[options.home_of(&room.room).index()].rooms.push(room),
        Stored::Id(id) => restored[options.home_of(&id.room).index()].ids.push(id),
        Stored::State(state) => restored[options.home_of(&state.room).index()].states.push(state),
        Stored::Dead(letter) => restored[options.home_of(&letter.user).index()].letters.push(letter),
    };
    let loaded = store.load(&mut give).map_err(|error| error.to_string())?;
    let mut forgotten = Vec::new();
    for damage in &loaded.damage {
        tracing::error!(path = %path.display(), "the store is damaged, the rest is served: {damage}");
        if let Damaged::Room(name) = &damage.what
            && let Ok(room) = fanfare_protocol::RoomName::restore(name)
        {
            forgotten.push(Write::Forget { room });
        }
    }
    tracing::info!(
        path = %path.display(),
        rooms = loaded.rooms,
        messages = loaded.messages,
        dead_letters = loaded.dead_letters,
        states = loaded.states,
        milliseconds = began.elapsed().as_millis() as u64,
        "the store is open"
    );
    Ok(Opened { store, restored, forgotten })
}

/// Opens a store; of one that is damaged, what can be saved. The damaged file stays beside it.
fn open_or_save(path: &Path) -> Result<Store, String> {
    let error = match Store::open(path, Check::Pages) {
        Ok(store) => return Ok(store),
        Err(error) if matches!(error.problem, Problem::Corrupted(_)) => error,
        Err(error) => return Err(error.to_string()),
    };
    tracing::error!("{error}; what is whole is being saved");
    let salvaged = salvage(path, &mut |_| {}).map_err(|error| error.to_string())?;
    for damage in &salvaged.records.damage {
        tracing::error!("lost with the damaged store: {damage}");
    }
    let saved_from = salvaged.damaged_path.display();
    tracing::error!(damaged = %saved_from, rooms = salvaged.records.rooms, "the store was saved without what is named above");
    Store::open(path, Check::Pages).map_err(|error| error.to_string())
}

/// The running store.
#[derive(Debug)]
pub(crate) struct Running {
    sender: Sender<Batch>,
    thread: JoinHandle<()>,
}

impl Running {
    /// A shard's way to the store.
    pub(crate) fn sender(&self) -> Sender<Batch> {
        self.sender.clone()
    }

    /// Waits until everything that was handed over is on disk. All shards must have ended.
    pub(crate) fn finish(self) {
        drop(self.sender);
        if self.thread.join().is_err() {
            tracing::error!("the store's thread panicked");
        }
    }
}

/// Starts the thread.
///
/// # Errors
/// The system has no thread to give.
pub(crate) fn start(
    opened: Opened,
    exchange: Arc<Exchange>,
    clock: Clock,
    options: &Options,
) -> std::io::Result<(Running, Arc<Status>)> {
    let (sender, receiver) = channel();
    let status = Arc::new(Status::new());
    let shards = options.shards;
    let mut keeper = Keeper {
        store: opened.store,
        receiver,
        exchange,
        status: Arc::clone(&status),
        clock,
        id_window_ms: options.limits.message_id_window_ms,
        failures: vec![0; usize::from(shards)],
    };
    let forgotten = opened.forgotten;
    let run = move || {
        keeper.begin(&forgotten);
        keeper.run();
    };
    let thread = std::thread::Builder::new().name("store".to_owned()).spawn(run)?;
    Ok((Running { sender, thread }, status))
}

/// The thread's own.
struct Keeper {
    store: Store,
    receiver: Receiver<Batch>,
    exchange: Arc<Exchange>,
    status: Arc<Status>,
    clock: Clock,
    id_window_ms: u64,
    /// How often each shard was told of a failure.
    failures: Vec<u32>,
}

impl Keeper {
    fn begin(&mut self, forgotten: &[Write]) {
        if !forgotten.is_empty() && self.store.apply(forgotten.iter()).is_err() {
            self.fail("damaged rooms could not be cleared away");
            self.heal();
        }
    }

    fn run(&mut self) {
        while let Ok(first) = self.receiver.recv() {
            let mut batches = vec![first];
            let mut writes = batches[0].writes.len();
            while writes < WRITES_A_COMMIT
                && let Ok(more) = self.receiver.try_recv()
            {
                writes += more.writes.len();
                batches.push(more);
            }
            batches.retain(|batch| batch.failures >= self.failures[batch.shard.index()]);
            if !batches.is_empty() && !self.commit(&batches) && !self.heal() {
                return;
            }
        }
    }

    fn commit(&mut self, batches: &[Batch]) -> bool {
        let now_ms = self.clock.now().mono_ms();
        self.store.forget_ids_before(now_ms.saturating_sub(self.id_window_ms));
        let began = Instant::now();
        match self.store.apply(batches.iter().flat_map(|batch| &batch.writes)) {
            Ok(applied) => {
                let took_us = began.elapsed().as_micros() as u64;
                self.status.commits.fetch_add(1, Ordering::Relaxed);
                self.status.messages.fetch_add(applied.messages as u64, Ordering::Relaxed);
                self.status.bytes.fetch_add(applied.bytes, Ordering::Relaxed);
                self.status.commit_us.fetch_add(took_us, Ordering::Relaxed);
                self.status.longest_us.fetch_max(took_us, Ordering::Relaxed);
                for shard in 0..self.failures.len() {
                    let of_shard = batches.iter().rfind(|batch| batch.shard.index() == shard);
                    if let Some(batch) = of_shard {
                        self.tell(batch.shard, Report::Stored(batch.written));
                    }
                }
                true
            }
            Err(error) => {
                self.fail(&error.to_string());
                false
            }
        }
    }

    fn tell(&self, shard: ShardId, report: Report) {
        self.exchange.deliver(shard, Mesh::Store(report));
    }

    fn tell_all(&self, report: Report) {
        (0..self.failures.len()).for_each(|shard| self.tell(ShardId(shard as u8), report));
    }

    fn fail(&mut self, why: &str) {
        tracing::error!("the store failed, durable rooms take no messages until it is well: {why}");
        self.status.healthy.store(false, Ordering::Relaxed);
        self.status.failures.fetch_add(1, Ordering::Relaxed);
        self.failures.iter_mut().for_each(|failures| *failures += 1);
        self.tell_all(Report::Failed);
    }

    /// Tries until the store is well. False when the shards have ended meanwhile.
    fn heal(&mut self) -> bool {
        loop {
            match self.receiver.recv_timeout(HEAL_EVERY) {
                // From before the shard heard of the failure.
                Ok(_) => continue,
                Err(RecvTimeoutError::Disconnected) => return false,
                Err(RecvTimeoutError::Timeout) => {}
            }
            if self.store.heal().is_ok() {
                tracing::info!("the store is well again");
                self.status.healthy.store(true, Ordering::Relaxed);
                self.tell_all(Report::Healed);
                return true;
            }
        }
    }
}
