//! What all shards of one process share. Nothing here is touched for a message.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use fanfare_core::{Identity, Options, RoomPattern};

use crate::addresses::Addresses;
use crate::audit::{Audit, Outcome, Record};
use crate::auth::{Denials, Rejection, VerifiedCache};
use crate::clock::Clock;
use crate::config::Config;
use crate::drain::Drain;
use crate::ended::EndedConnections;
use crate::http::Crowd;
use crate::inspector::Inspector;
use crate::live::{Live, Lives};
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
    /// The configuration as it was at the start; of what can be changed since, see [`Process::live`].
    pub config: Config,
    /// What the core was started with; the same holds.
    pub options: Arc<Options>,
    /// What may change while the process runs.
    pub(crate) live: Lives,
    /// Who is kept out.
    pub denials: Denials,
    /// Connections by address, where that is limited.
    pub(crate) addresses: Addresses,
    /// Counts of all shards.
    pub metrics: Metrics,
    /// io_uring or epoll.
    pub driver: DriverChoice,
    /// The clocks.
    pub clock: Clock,
    /// WebSocket connections, over all shards.
    pub connections: AtomicUsize,
    /// The same of each profile.
    pub(crate) profile_connections: Vec<AtomicUsize>,
    /// HTTP connections that are no WebSockets (yet), over all shards.
    pub(crate) crowd: Arc<Crowd>,
    /// Whether new connections are wanted.
    pub(crate) drain: Drain,
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
    /// Whether the process takes no more connections and tells those that it has to go.
    pub fn is_draining(&self) -> bool {
        self.drain.is_on()
    }

    /// What counts now of all that may change. To be asked for once a request or a connection, and not for a message.
    pub fn live(&self) -> Arc<Live> {
        self.live.get()
    }

    /// Checks a token. The text of the error is for the client and holds nothing of the token.
    ///
    /// # Errors
    /// It is not accepted, or its user is banned.
    pub fn identify(&self, token: &str, unix_ms: u64) -> Result<Identity, Rejection> {
        thread_local! {
            static VERIFIED: std::cell::RefCell<VerifiedCache> = std::cell::RefCell::new(VerifiedCache::default());
        }
        let live = self.live();
        let checked = VERIFIED.with_borrow_mut(|cache| cache.verify(&live.verifier, token, unix_ms / 1_000));
        let checked = checked.map_err(|error| (error.reason, error.into())).and_then(|claims| {
            let key_id = live.verifier.key_id(claims.key);
            self.denials.check(&claims, key_id, self.clock.now().mono_ms()).map(|()| claims)
        });
        match checked {
            Ok(claims) => {
                let of_profile = || crate::http::profile::claims(token);
                let named = claims.rooms.or_else(|| {
                    let rooms = live.config.profiles.rooms_of_token(of_profile)?;
                    Some(rooms.iter().filter_map(|room| RoomPattern::new(room)).collect())
                });
                let leeway_ms = live.config.auth.leeway.as_millis() as u64;
                Ok(Identity {
                    user_id: claims.user_id,
                    role: claims.role,
                    rooms: named.map(Into::into),
                    key: claims.key,
                    expires_at_unix_ms: claims
                        .expires_at_unix_s
                        .saturating_mul(1_000)
                        .saturating_add(leeway_ms),
                })
            }
            Err((reason, rejection)) => {
                self.metrics.auth_failed(reason.label());
                Err(rejection)
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
        if recent[0].is_some_and(|first_ms| now_ms - first_ms <= PANICS_MS) && !self.drain.ends() {
            tracing::error!("{PANICS_MAX} panics within a minute: draining");
            self.audit.write(|| Record::new("drain", Outcome::Failed).because("too many panics"));
            self.begin_drain(true, None);
        }
    }

    /// Counts one more WebSocket, of this profile if any, unless there are as many as may be.
    pub fn take_connection(&self, profile: Option<usize>) -> bool {
        let taken = |count: &AtomicUsize, max: usize| {
            let before = count.fetch_add(1, Ordering::Relaxed);
            if before >= max {
                count.fetch_sub(1, Ordering::Relaxed);
            }
            before < max
        };
        if !taken(&self.connections, self.live().config.limits.connections) {
            return false;
        }
        if let Some(number) = profile {
            let max = match self.config.profiles.get(number).connections_max() {
                0 => usize::MAX,
                max => max,
            };
            if !taken(&self.profile_connections[number], max) {
                self.connections.fetch_sub(1, Ordering::Relaxed);
                return false;
            }
        }
        self.metrics.connected(self.connections.load(Ordering::Relaxed));
        true
    }

    /// A WebSocket has ended.
    pub(crate) fn leave_connection(&self, profile: Option<usize>) {
        self.connections.fetch_sub(1, Ordering::Relaxed);
        if let Some(number) = profile {
            self.profile_connections[number].fetch_sub(1, Ordering::Relaxed);
        }
    }
}
