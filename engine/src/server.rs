//! Starting and ending the process: driver, listeners, shard threads, signals.

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicUsize;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use fanfare_core::service::{DenialChange, access};
use fanfare_core::{Options, Seeds, ShardId};
use fanfare_sys::socket::{ListenOptions, check_free, listen};
use fanfare_sys::{Flusher, cpu, process as sys};
use monoio::{FusionDriver, LegacyDriver, RuntimeBuilder};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::addresses::Addresses;
use crate::audit::{self, Outcome, Record};
use crate::auth::Denials;
use crate::clock::Clock;
use crate::config::{Change, Config, Driver};
use crate::drain::Drain;
use crate::ended::EndedConnections;
use crate::http::profile::guarded;
use crate::inspector::Inspector;
use crate::live::{Live, Lives};
use crate::metrics::Metrics;
use crate::process::{DriverChoice, Process};
use crate::shard;
use crate::shard::exchange::Exchange;
use crate::store;
use crate::{hook, webhook};

/// Entries of each shard's send ring: sends that one system call can carry.
const SEND_RING_ENTRIES: u32 = 1_024;
/// Entries of the runtime's own ring.
const RUNTIME_ENTRIES: u32 = 1_024;
/// Connections that may wait to be accepted; the system's own bound (`net.core.somaxconn`) counts as well.
const LISTEN_BACKLOG: i32 = 16_384;

/// A server that runs.
#[derive(Debug)]
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    /// What its shards share.
    pub process: Arc<Process>,
    shards: Vec<JoinHandle<()>>,
    store: Option<store::Running>,
    audit: Option<audit::Running>,
    webhooks: webhook::Running,
    /// Caught from before anybody can know that the server listens.
    signals: Signals,
}

/// Descriptors beside those of connections: listeners, rings, logs.
const OTHER_DESCRIPTORS: u64 = 1_024;
/// What is reserved at most: the kernel's table takes eight bytes for each.
const RESERVED_DESCRIPTORS_MAX: u64 = 1 << 20;

/// What webhooks have for their last posts, even when the shards took all of the grace.
const LAST_POSTS: Duration = Duration::from_secs(1);

/// Starts all shards. They listen when this returns.
///
/// # Errors
/// The address cannot be listened on, the driver asked for is refused, or a thread cannot be started.
pub fn start(config: Config) -> Result<Running, String> {
    // Descriptors are what connections are made of; a refusal shows in `doctor`.
    let descriptors = sys::raise_descriptor_limit().unwrap_or(0);
    let wanted = config.limits.connections as u64 + config.limits.http_connections as u64 + OTHER_DESCRIPTORS;
    // A table that is not reserved grows later: slower, not wrong.
    let _ = sys::reserve_descriptors(wanted.min(descriptors).min(RESERVED_DESCRIPTORS_MAX));
    let cores = cpu::allowed();
    let count = if config.shards == 0 { cores.len().min(64) } else { config.shards };
    let shards = u8::try_from(count).map_err(|_| "`shards` must be 64 at most".to_owned())?;
    let driver = choose_driver(config.driver)?;
    let options = Arc::new(options(&config, shards));
    let exchange = Exchange::new(shards).map_err(|error| format!("the shards' inboxes: {error}"))?;
    let exchange = Arc::new(exchange);
    let clock = Clock::start();
    let mut store = match &config.store {
        Some(path) => Some(store::open(path, &options)?),
        None => None,
    };
    let restored = store.as_mut().map(|opened| std::mem::take(&mut opened.restored));
    let store = store.map(|opened| store::start(opened, Arc::clone(&exchange), clock, &options));
    let store = store.transpose().map_err(|error| format!("the store's thread: {error}"))?;
    let (store, store_status) = store.unzip();
    let denials = Denials::default();
    for state in restored.iter().flatten().flat_map(|of| &of.states).filter(|of| *of.service == *access::NAME)
    {
        // Without them everybody who is kept out would be let in.
        let kept_out = access::denials(&state.bytes).ok_or(
            "the store has bans and revocations that this version cannot read; start the version that wrote them, \
             or begin without them: another `store.path`",
        )?;
        kept_out.into_iter().for_each(|denial| denials.apply(DenialChange::Deny(denial)));
    }
    let mut restored = restored.into_iter().flatten();
    let (audit, audit_running) = audit::start(&config.audit)?;
    let run = webhook::run_word();
    let webhooks =
        webhook::start(&config.webhooks, &run).map_err(|error| format!("a webhook's thread: {error}"))?;
    let hooks = config.hooks.as_ref();
    let hooks =
        hooks.map(|hooks| hook::start(hooks, config.limits.message_size, &exchange, clock, &run)).transpose();
    let hooks = hooks.map_err(|error| format!("a hook's thread: {error}"))?;
    let process = Arc::new(Process {
        audit,
        live: Lives::new(Live::new(config.clone(), Arc::clone(&options))),
        denials,
        addresses: Addresses::default(),
        drain: Drain::default(),
        metrics: Metrics::new(shards),
        driver,
        clock,
        store: store_status,
        webhooks: webhooks.statuses.clone(),
        hooks,
        connections: AtomicUsize::new(0),
        profile_connections: config.profiles.iter().map(|_| AtomicUsize::new(0)).collect(),
        crowd: Arc::default(),
        recent_panics: Mutex::default(),
        ended: EndedConnections::new(config.limits.ended_connections),
        exchange,
        inspector: config.inspector.enabled.then(|| Arc::new(Inspector::new(config.inspector))),
        options,
        config,
    });
    let signals = Signals::new([SIGTERM, SIGINT, SIGHUP]).map_err(|error| format!("signals: {error}"))?;
    let mut address = process.config.listen;
    let send_buffer_bytes = process.config.limits.send_buffer;
    let listen_options = ListenOptions { backlog: LISTEN_BACKLOG, send_buffer_bytes };
    let cannot_listen = move |error| format!("cannot listen on {address}: {error}");
    check_free(address).map_err(cannot_listen)?;
    let mut threads = Vec::new();
    for number in 0..shards {
        let listener = listen(address, listen_options).map_err(cannot_listen)?;
        // With port 0 the first shard finds one, and the others share it.
        address = listener.local_addr().map_err(|error| error.to_string())?;
        let (shard, core) = (ShardId(number), cores[usize::from(number) % cores.len()]);
        let process = Arc::clone(&process);
        let store = store.as_ref().map(store::Running::sender).zip(restored.next());
        let teller = webhooks.teller();
        let run = move || run_shard(shard, core, &process, listener, store, teller);
        let thread = std::thread::Builder::new().name(format!("shard-{number}")).spawn(run);
        threads.push(thread.map_err(|error| format!("a shard's thread: {error}"))?);
    }
    let audit = audit_running;
    Ok(Running { address, process, shards: threads, store, audit, webhooks, signals })
}

impl Running {
    /// Waits for a signal and ends in order: says goodbye to every connection, then returns. A second signal
    /// ends the process at once.
    ///
    /// # Errors
    /// The thread that waits for signals cannot be started.
    pub fn wait(self) -> std::io::Result<()> {
        let mut signals = self.signals;
        let process = Arc::clone(&self.process);
        let signalled_ms = Arc::new(OnceLock::new());
        let signalled = Arc::clone(&signalled_ms);
        std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
            let mut ends = false;
            for signal in signals.forever() {
                if signal == SIGHUP {
                    reload(&process);
                    continue;
                }
                if std::mem::replace(&mut ends, true) {
                    tracing::warn!(signal, "second signal: ending at once");
                    std::process::exit(130);
                }
                let name = if signal == SIGTERM { "SIGTERM" } else { "SIGINT" };
                process.audit.write(|| Record::new("drain", Outcome::Ok).because(name));
                let _ = signalled.set(process.clock.now().mono_ms());
                process.begin_drain(true, None);
                let grace = process.live().config.timeouts.drain;
                tracing::info!(signal, ?grace, "draining; once more ends at once");
            }
        })?;
        for shard in self.shards {
            // A shard that panicked has aborted the process.
            let _ = shard.join();
        }
        if let Some(store) = self.store {
            store.finish();
        }
        let (grace, now_ms) = (self.process.live().config.timeouts.drain, self.process.clock.now().mono_ms());
        let spent_ms = signalled_ms.get().map_or(0, |signalled_ms| now_ms.saturating_sub(*signalled_ms));
        let left = grace.saturating_sub(Duration::from_millis(spent_ms)).max(LAST_POSTS);
        self.webhooks.finish(Instant::now() + left);
        if let Some(audit) = self.audit {
            audit.finish();
        }
        tracing::info!("drained");
        Ok(())
    }
}

/// Reads the configuration again upon a signal, and tells the log what came of it.
fn reload(process: &Process) {
    match process.reload(false) {
        Ok(changes) => {
            let names: Vec<&str> = changes.iter().map(|change| change.setting.as_str()).collect();
            let names = names.join(" ");
            process
                .audit
                .write(|| Record::new("reload", Outcome::Ok).because("SIGHUP").with("changes", names));
            for Change { setting, old, new, at_once } in changes {
                tracing::info!(setting, old, new, at_once, "a setting has changed");
            }
        }
        Err(error) => {
            process.audit.write(|| Record::new("reload", Outcome::Failed).because("SIGHUP"));
            tracing::error!("the configuration stays as it is: {error}");
        }
    }
}

/// A shard's whole life. Its state is one with its connections: if it panics, nothing of it can be trusted, so
/// the process ends and is started anew by its supervisor; clients recover.
fn run_shard(
    shard: ShardId,
    core: usize,
    process: &Arc<Process>,
    listener: std::net::TcpListener,
    store: Option<(Sender<store::Batch>, store::Restored)>,
    teller: webhook::Teller,
) {
    let run = AssertUnwindSafe(|| {
        if let Err(error) = cpu::pin(core) {
            tracing::warn!(shard = shard.0, core, %error, "the shard is not pinned");
        }
        let future = move |flusher| shard::run(shard, Arc::clone(process), listener, flusher, store, teller);
        if process.driver.name == "io_uring" {
            let flusher = Flusher::ring(SEND_RING_ENTRIES).map_err(|error| error.to_string())?;
            let mut runtime = RuntimeBuilder::<FusionDriver>::new()
                .with_entries(RUNTIME_ENTRIES)
                .enable_timer()
                .build()
                .map_err(|error| error.to_string())?;
            runtime.block_on(future(flusher)).map_err(|error| error.to_string())
        } else {
            let mut runtime = RuntimeBuilder::<LegacyDriver>::new()
                .enable_timer()
                .build()
                .map_err(|error| error.to_string())?;
            runtime.block_on(future(Flusher::Loop)).map_err(|error| error.to_string())
        }
        // The runtime is not taken apart here: the kernel may still hold its buffers until the process ends.
    });
    match catch_unwind(run) {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::error!(shard = shard.0, error, "a shard could not run");
            std::process::exit(1);
        }
        Err(_) => {
            tracing::error!(shard = shard.0, "a shard panicked; the process ends");
            std::process::abort();
        }
    }
}

fn choose_driver(wanted: Driver) -> Result<DriverChoice, String> {
    let epoll = |reason: &str| DriverChoice { name: "epoll", reason: reason.to_owned() };
    if wanted == Driver::Epoll {
        return Ok(epoll("asked for"));
    }
    match (probe_io_uring().err(), wanted) {
        (None, Driver::Uring) => Ok(DriverChoice { name: "io_uring", reason: "asked for".to_owned() }),
        (None, _) => {
            Ok(DriverChoice { name: "io_uring", reason: "the kernel offers all it needs".to_owned() })
        }
        (Some(reason), Driver::Uring) => {
            Err(format!("{reason}; `fanfare doctor` tells what to set, `--driver epoll` does without"))
        }
        (Some(reason), _) => Ok(epoll(&reason)),
    }
}

/// Whether io_uring may be used here.
///
/// # Errors
/// Why not.
pub(crate) fn probe_io_uring() -> Result<(), String> {
    if std::env::var_os("MONOIO_FORCE_LEGACY_DRIVER").is_some_and(|value| value == "1") {
        return Err("MONOIO_FORCE_LEGACY_DRIVER is set".to_owned());
    }
    Flusher::ring(8).map(drop).map_err(|error| format!("io_uring is refused: {error}"))
}

/// What the core needs of the configuration.
fn options(config: &Config, shards: u8) -> Options {
    // Of the standard library's keyed hash, whose keys are the system's random numbers.
    let random = || std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), std::process::id());
    let options = config.core_options(shards, Seeds { hashes: random(), ids: random() });
    Options { dialects: guarded(&options.dialects), ..options }
}
