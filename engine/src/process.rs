//! What all shards of one process share. Nothing here is touched for a message.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use fanfare_core::{Identity, Options};

use crate::audit::{Audit, Outcome, Record};
use crate::auth::{ApiKeys, VerifiedCache, Verifier};
use crate::clock::Clock;
use crate::config::Config;
use crate::ended::EndedConnections;
use crate::inspector::Inspector;
use crate::metrics::Metrics;
use crate::shard::exchange::Exchange;
use crate::store::Status;
use crate::{hook, webhook};

/// Which driver serves, and why.
#[derive(Clone, Debug)]
pub struct DriverChoice {
    /// `io_uring` or `epoll`.
    pub name: &'static str,
    /// A sentence.
    pub reason: String,
}

/// So many caught panics within [`PANICS_MS`] end the process in order.
pub(crate) const PANICS_MAX: usize = 3;
const PANICS_MS: u64 = 60_000;

/// Made once at start.
pub struct Process {
    /// The checked configuration.
    pub config: Config,
    /// What the core needs of it.
    pub options: Arc<Options>,
    /// Reads and checks tokens.
    pub verifier: Verifier,
    /// Keys of the HTTP API.
    pub api_keys: ApiKeys,
    /// Counts of all shards.
    pub metrics: Metrics,
    /// io_uring or epoll.
    pub driver: DriverChoice,
    /// The clocks.
    pub clock: Clock,
    /// WebSocket connections, over all shards.
    pub connections: AtomicUsize,
    /// HTTP connections that are no WebSockets (yet), over all shards.
    pub http_connections: AtomicUsize,
    /// The process is about to end.
    pub draining: AtomicBool,
    /// Shards whose connections have all gone, while draining.
    pub(crate) drained: AtomicUsize,
    /// The latest connections that ended.
    pub(crate) ended: EndedConnections,
    pub(crate) exchange: Arc<Exchange>,
    /// Who did what.
    pub(crate) audit: Audit,
    /// What passed through lately, where it is remembered.
    pub(crate) inspector: Option<Arc<Inspector>>,
    /// Counts of the store, if there is one.
    pub(crate) store: Option<Arc<Status>>,
    /// How each webhook fares.
    pub(crate) webhooks: Vec<Arc<webhook::Status>>,
    /// Who is asked before something is done.
    pub(crate) hooks: Option<hook::Asker>,
    /// When the latest panics were caught, by the steady clock, oldest first.
    pub(crate) recent_panics: Mutex<[Option<u64>; PANICS_MAX]>,
}

impl std::fmt::Debug for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Process").field("driver", &self.driver).finish_non_exhaustive()
    }
}

impl Process {
    /// Whether the process is about to end.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Checks a token. The text of the error is for the client and holds nothing of the token.
    pub fn identify(&self, token: &str, unix_ms: u64) -> Result<Identity, String> {
        thread_local! {
            static VERIFIED: std::cell::RefCell<VerifiedCache> = std::cell::RefCell::new(VerifiedCache::default());
        }
        let checked = VERIFIED.with_borrow_mut(|cache| cache.verify(&self.verifier, token, unix_ms / 1_000));
        match checked {
            Ok(claims) => {
                let leeway_ms = self.config.auth.leeway.as_millis() as u64;
                Ok(Identity {
                    user_id: claims.user_id,
                    role: claims.role,
                    rooms: claims.rooms.map(Into::into),
                    expires_at_unix_ms: claims
                        .expires_at_unix_s
                        .saturating_mul(1_000)
                        .saturating_add(leeway_ms),
                })
            }
            Err(error) => {
                self.metrics.auth_failed(error.reason.label());
                Err(error.to_string())
            }
        }
    }

    /// Counts a panic that was caught, and drains the process when they come so fast that something must be badly wrong:
    /// its supervisor starts a fresh one.
    pub(crate) fn panicked(&self) {
        self.metrics.panics.fetch_add(1, Ordering::Relaxed);
        let now_ms = self.clock.now().mono_ms();
        let mut recent = self.recent_panics.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        recent.rotate_left(1);
        recent[PANICS_MAX - 1] = Some(now_ms);
        if recent[0].is_some_and(|first_ms| now_ms - first_ms <= PANICS_MS)
            && !self.draining.swap(true, Ordering::Relaxed)
        {
            tracing::error!("{PANICS_MAX} panics within a minute: draining");
            self.audit.write(|| Record::new("drain", Outcome::Failed).because("too many panics"));
            self.exchange.signal_all();
        }
    }

    /// Counts one more WebSocket, unless there are as many as may be.
    pub fn take_connection(&self) -> bool {
        let max = self.config.limits.connections;
        let taken = self.connections.fetch_add(1, Ordering::Relaxed);
        if taken >= max {
            self.connections.fetch_sub(1, Ordering::Relaxed);
        }
        taken < max
    }
}
