//! Configuration: flags over environment (`FANFARE_…`) over the file (TOML) over defaults.
//!
//! Each setting is declared once, in `settings.rs` or `security.rs`, with its name, default and bounds. All that is wrong is found in one
//! go, with the line it is on and, for an unknown key, the nearest right one.

mod audit;
mod environment;
mod file;
mod given;
mod inspector;
mod notification;
mod operations;
mod problem;
mod profiles;
mod rates;
mod reload;
mod roles;
mod room_types;
mod section;
mod security;
mod settings;
mod unit;
mod wants;
mod webhooks;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fanfare_core::service::ServiceOptions;
use fanfare_core::{Application, FactKind, Options, RateRule, RoleRule, RoomType};
use fanfare_profile::Profiles;
use sha2::{Digest, Sha256};

use crate::cli::ServeArgs;
pub use audit::{Audit, OnFull};
pub use given::{Change, Given};
pub use inspector::Inspector;
pub use problem::{Problem, StartError};
pub use security::{ApiKey, Auth, Key, Material, Scrapers, Secret};
pub(crate) use unit::duration;
pub use webhooks::{Endpoint, Hooks, Webhook};

/// Everything that can be set, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Shards, 1 to 64; 0: one for each core that the process may use.
    pub shards: usize,
    /// What waits for sockets.
    pub driver: Driver,
    /// Whether `GET /echo` is there, for conformance suites.
    pub echo: bool,
    /// No key is configured: tokens are signed with a secret that everybody knows, on loopback only.
    pub development: bool,
    /// Bounds.
    pub limits: Limits,
    /// Liveness of connections.
    pub heartbeat: Heartbeat,
    /// Patience with peers.
    pub timeouts: Timeouts,
    /// Outgoing permessage-deflate.
    pub compression: Compression,
    /// Who may come in.
    pub auth: Auth,
    /// Who did what.
    pub audit: Audit,
    /// What is remembered for who wants to look.
    pub inspector: Inspector,
    /// Logs.
    pub log: Log,
    /// Room types other than the default one.
    pub room_types: Vec<RoomType>,
    /// The type that every other room follows.
    pub default_room_type: RoomType,
    /// What users' own rooms follow.
    pub inbox: RoomType,
    /// What roles may.
    pub roles: Vec<RoleRule>,
    /// What can be set about services.
    pub services: ServiceOptions,
    /// How fast commands of some types may come.
    pub rates: Vec<RateRule>,
    /// Where durable rooms are kept, if anywhere.
    pub store: Option<PathBuf>,
    /// Who is told of what happens.
    pub webhooks: Vec<Webhook>,
    /// Who is asked before it does, if anybody.
    pub hooks: Option<Hooks>,
    /// Other systems' wires.
    pub profiles: Arc<Profiles>,
    /// Where it was read from, to be read again.
    pub source: ServeArgs,
    /// What was given for each setting.
    pub given: Given,
}

/// Which driver waits for sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// io_uring, and epoll where the kernel refuses it.
    Auto,
    /// io_uring, or not at all.
    Uring,
    /// epoll.
    Epoll,
}

/// How logs look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

/// Bounds. Where 0 means "no limit", the field says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// WebSocket connections in all.
    pub connections: usize,
    /// Connections of one user; 0: no limit.
    pub connections_per_user: u32,
    /// WebSocket connections from one address; 0: no limit.
    pub connections_per_address: u32,
    /// WebSockets that one address may open in a minute; 0: no limit.
    pub upgrades_per_minute: u32,
    /// Members of one room; 0: no limit.
    pub members_per_room: u32,
    /// Rooms that one connection may be in.
    pub rooms_per_connection: u32,
    /// Rooms that one shard orders.
    pub rooms_per_shard: u32,
    /// Bytes of the largest message from a client.
    pub message_size: usize,
    /// Fragments of one message.
    pub fragments: usize,
    /// Rooms that have something of a service, counted once for each.
    pub services: usize,
    /// Commands a minute and connection; 0: no limit.
    pub commands_per_minute: u32,
    /// Commands that may come at once.
    pub burst: u32,
    /// Bytes that may wait for a connection that reads too slowly.
    pub backlog: usize,
    /// Bytes that all rooms together may keep of their messages.
    pub history: usize,
    /// Bytes that one room may keep of its messages.
    pub room_history: usize,
    /// Bytes of missed messages that one join may bring.
    pub replay: usize,
    /// Publishers' own message ids that are remembered.
    pub message_ids: usize,
    /// Readers that rooms remember, over all rooms of one shard.
    pub subscribers: usize,
    /// Dead letters of one user.
    pub dead_letters: usize,
    /// Publishes of one shard that may wait for the store.
    pub store_queue: usize,
    /// Ended connections that can be resumed.
    pub sessions: usize,
    /// Shared compressors of one shard.
    pub compressors: usize,
    /// Different roles connected to one shard at a time.
    pub roles: u16,
    /// A connection is closed when so many times a rule's burst of its commands were refused within a minute; 0: never.
    pub rate_violations: u32,
    /// Users whose use of the rates is remembered.
    pub rate_users: usize,
    /// Connections that ended and are remembered, with why.
    pub ended_connections: usize,
    /// Bytes of the largest HTTP body.
    pub http_body: usize,
    /// Bytes of the largest HTTP head.
    pub http_head: usize,
    /// HTTP connections open at a time, upgraded ones not counted.
    pub http_connections: usize,
    /// Bytes that the kernel may buffer for one connection.
    pub send_buffer: usize,
}

/// Liveness of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// A connection that was silent for so long is pinged.
    pub interval: Duration,
    /// It has so long to answer.
    pub grace: Duration,
    /// A connection that sent no command for so long is closed.
    pub idle: Duration,
    /// Who is sent numbered pings that the program behind the connection answers.
    pub application: Application,
    /// A round trip that takes so long is logged.
    pub slow: Duration,
}

/// Patience with peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For the first request's head.
    pub handshake: Duration,
    /// For the token, where the upgrade had none.
    pub auth: Duration,
    /// Between two requests on one connection.
    pub http_keep_alive: Duration,
    /// For one request's body and its answer.
    pub http_request: Duration,
    /// From the first signal to the end.
    pub drain: Duration,
    /// For how long a publisher's own message id is remembered.
    pub message_ids: Duration,
    /// For how long an ended connection can be resumed.
    pub reconnection_window: Duration,
}

/// Outgoing permessage-deflate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compression {
    /// Whether to agree to it at all.
    pub enabled: bool,
    /// How, in rooms whose type says nothing else.
    pub rooms: fanfare_core::Compression,
}

/// Logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// How they look.
    pub format: LogFormat,
    /// A level or a filter: `info`, `fanfare=debug,audit=off`.
    pub level: String,
}

impl Config {
    /// The configuration of `fanfare serve` with these flags.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn load(args: &ServeArgs) -> Result<Self, StartError> {
        let flag = |name: &str| match name {
            "listen" => args.listen.map(|address| address.to_string()),
            "shards" => args.shards.map(|count| count.to_string()),
            "driver" => args.driver.map(|driver| driver.to_string()),
            "echo" => args.echo.then(|| "true".to_owned()),
            "profiles" => (!args.profile.is_empty()).then(|| args.profile.join(",")),
            "log.format" => args.log_format.map(|format| format.to_string()),
            _ => None,
        };
        let config = Self::read(args.config.as_deref(), &flag)?;
        Ok(Self { source: args.clone(), ..config })
    }

    /// The configuration in a file (or the defaults), under the environment and flags by their full names.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read(path: Option<&Path>, flag: &dyn Fn(&str) -> Option<String>) -> Result<Self, StartError> {
        let text = match path {
            Some(path) => std::fs::read_to_string(path)
                .map_err(|error| StartError::of(&path.display().to_string(), error.to_string()))?,
            None => String::new(),
        };
        let config = Self::parse(&text, flag, &|name| std::env::var(name).ok());
        let given = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
        let unknown = environment::unknown(given);
        if unknown.is_empty() {
            return config;
        }
        let of_file = config.map_or_else(|error| error.problems, |_| Vec::new());
        Err(StartError { problems: [of_file, unknown].concat() })
    }

    /// [`Self::read`] without a file system and an environment, but for the files that settings name.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(
        text: &str,
        flag: &dyn Fn(&str) -> Option<String>,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, StartError> {
        let digest = Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
        settings::read(file::parse(text, flag, env)?, digest)
    }

    /// What the core needs of it, for `shards` shards.
    pub fn core_options(&self, shards: u8, seeds: fanfare_core::Seeds) -> Options {
        let ms = |duration: Duration| duration.as_millis() as u64;
        Options {
            dialects: self.profiles.dialects(),
            shards,
            seeds,
            limits: fanfare_core::Limits {
                connections_per_user: self.limits.connections_per_user,
                members_per_room: self.limits.members_per_room,
                rooms_per_connection: self.limits.rooms_per_connection,
                rooms_per_shard: self.limits.rooms_per_shard,
                services: self.limits.services.div_ceil(usize::from(shards)),
                commands_per_minute: self.limits.commands_per_minute,
                burst: self.limits.burst,
                rate_violations: self.limits.rate_violations,
                rate_users: self.limits.rate_users.div_ceil(usize::from(shards)),
                message_bytes: self.limits.message_size,
                backlog_bytes: self.limits.backlog,
                history_bytes: self.limits.history.div_ceil(usize::from(shards)),
                room_history_bytes: self.limits.room_history,
                replay_bytes: self.limits.replay,
                message_ids: self.limits.message_ids.div_ceil(usize::from(shards)),
                message_id_window_ms: ms(self.timeouts.message_ids),
                subscribers: self.limits.subscribers,
                dead_letters: self.limits.dead_letters,
                store_queue: self.limits.store_queue,
                sessions: self.limits.sessions.div_ceil(usize::from(shards)),
                reconnection_window_ms: ms(self.timeouts.reconnection_window),
                compressors: self.limits.compressors,
                roles: self.limits.roles,
            },
            heartbeat: fanfare_core::Heartbeat {
                interval_ms: ms(self.heartbeat.interval),
                grace_ms: ms(self.heartbeat.grace),
                idle_ms: ms(self.heartbeat.idle),
                auth_ms: ms(self.timeouts.auth),
                application: self.heartbeat.application,
                slow_ms: ms(self.heartbeat.slow),
            },
            room_types: self.room_types.clone(),
            default_type: self.default_room_type.clone(),
            inbox: self.inbox.clone(),
            store: self.store.is_some(),
            broadcast_roles: self.auth.broadcast_roles.clone(),
            roles: self.roles.clone(),
            services: self.services.clone(),
            rates: self.rates.clone(),
            watch: fanfare_core::Watch {
                messages: self.audit.publishes
                    || self.inspector.enabled
                    || self.webhooks.iter().any(|webhook| {
                        let wanted = |kind| webhook.events.contains(&kind);
                        wanted(FactKind::Published) || wanted(FactKind::Signalled)
                    }),
                refusals: self.audit.path.is_some() || self.inspector.enabled,
                history: self.audit.path.is_some(),
            },
            hooks: self.hooks.as_ref().map(|hooks| fanfare_core::Hooks {
                connect: hooks.connect,
                join: hooks.join,
                publish: hooks.publish,
                rooms: hooks.rooms.clone(),
                message_types: hooks.message_types.clone(),
                timeout_ms: ms(hooks.timeout),
                waiting_max: (hooks.queue / usize::from(shards)).max(1),
                allow_unanswered: hooks.allow_unanswered,
            }),
            mode: fanfare_core::Mode::default(),
        }
    }
}

#[cfg(test)]
mod tests;
