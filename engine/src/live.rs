//! What may change while the process runs: keys, rules, limits, the mode. Readers take the whole of it once; who changes it puts a new
//! one in its place, tells the shards, and ends the connections that no key stands for any more.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use fanfare_core::service::access::revoked;
use fanfare_core::{Ending, Mesh, Mode, Options, ShardId, ToLocal, Who};

use crate::auth::{ApiKeys, Verifier};
use crate::config::{Change, Config, StartError};
use crate::process::Process;

/// See the module's own text. None of it ever changes: another takes its place.
#[derive(Clone, Debug)]
pub struct Live {
    /// The configuration as far as it can be changed; what needs a restart is as it was at the start.
    pub config: Config,
    /// What the shards' cores have of it.
    pub options: Arc<Options>,
    /// Reads and checks tokens.
    pub verifier: Arc<Verifier>,
    /// Keys of the HTTP API.
    pub api_keys: Arc<ApiKeys>,
}

impl Live {
    pub(crate) fn new(config: Config, options: Arc<Options>) -> Self {
        let (verifier, api_keys) = (Verifier::new(&config.auth), ApiKeys::new(&config.auth));
        Self { config, options, verifier: verifier.into(), api_keys: api_keys.into() }
    }
}

/// The one that counts, and the right to change it.
#[derive(Debug)]
pub(crate) struct Lives {
    now: RwLock<Arc<Live>>,
    /// One change at a time: each begins with what the one before has made.
    changing: Mutex<()>,
}

impl Lives {
    pub(crate) fn new(live: Live) -> Self {
        Self { now: RwLock::new(Arc::new(live)), changing: Mutex::new(()) }
    }

    pub(crate) fn get(&self) -> Arc<Live> {
        Arc::clone(&self.now.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Process {
    /// Reads the configuration again and lets take effect at once what can; gives all that has changed. Changes nothing when it
    /// is only tried, or when something is wrong. Not for a shard's thread: it reads files and waits for the shards' inboxes.
    ///
    /// # Errors
    /// Everything that is wrong with the new one.
    pub fn reload(&self, dry_run: bool) -> Result<Vec<Change>, StartError> {
        let _changing = self.live.lock();
        let live = self.live();
        let new = live.config.read_again()?;
        let changes = live.config.changes(&new);
        if dry_run || changes.is_empty() {
            return Ok(changes);
        }
        let config = live.config.renewed(&new);
        if config.log.level != live.config.log.level
            && let Err(error) = crate::log::set_level(&config.log.level)
        {
            tracing::warn!(error, "the log's level stays as it is");
        }
        let options = Arc::new(config.renew_options(&live.options));
        let verifier = live.verifier.renewed(&config.auth);
        let gone = verifier.misses(&live.verifier);
        let api_keys = ApiKeys::new(&config.auth).into();
        self.put(Live { config, options, verifier: verifier.into(), api_keys });
        if !gone.is_empty() {
            // Whoever came in by such a key since was let in before it was taken away.
            let ending = Ending { who: Who::Keys(gone.into()), close: revoked(), count_only: false };
            let ending = Arc::new(ending);
            self.tell_shards(|| ToLocal::End(Arc::clone(&ending)));
        }
        Ok(changes)
    }

    /// Sets the mode. Not for a shard's thread: it waits for the shards' inboxes.
    pub fn set_mode(&self, set: impl FnOnce(Mode) -> Mode) -> Mode {
        let _changing = self.live.lock();
        let live = self.live();
        let mode = set(live.options.mode);
        if mode != live.options.mode {
            let options = Arc::new(Options { mode, ..Options::clone(&live.options) });
            self.put(Live { options, ..Live::clone(&live) });
        }
        mode
    }

    fn put(&self, live: Live) {
        let options = Arc::clone(&live.options);
        *self.live.now.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(live);
        self.tell_shards(|| ToLocal::Options(Arc::clone(&options)));
    }

    fn tell_shards(&self, message: impl Fn() -> ToLocal) {
        for shard in 0..self.options.shards {
            self.exchange.deliver(ShardId(shard), Mesh::Local(message()));
        }
    }
}
