//! Every setting with its default and bounds, but for [`super::security`] and [`super::room_types`].

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use fanfare_core::service::ServiceOptions;
use fanfare_core::{Application, CompressionMode, Presence, RoomType};
use fanfare_profile::Profiles;

use super::file::{Input, Table};
use super::given::Given;
use super::problem::{Problems, StartError};
use super::section::Section;
use super::{
    Compression, Config, Driver, Heartbeat, Limits, Log, LogFormat, Timeouts, audit, inspector, notification,
    operations, profiles, rates, roles, room_types, security, webhooks,
};
use crate::cli::ServeArgs;

/// The type of the rooms that the live page shows first: in development mode they keep presence.
const DEMO: &str = "demo";
const DAY_MS: u64 = 86_400_000;
/// How rooms may be compressed.
pub(super) const MODES: [(&str, CompressionMode); 3] =
    [("shared", CompressionMode::Shared), ("alone", CompressionMode::Alone), ("off", CompressionMode::Off)];
/// Who may be sent numbered pings.
const APPLICATIONS: [(&str, Application); 3] =
    [("off", Application::Off), ("asked", Application::Asked), ("all", Application::All)];
/// Messages after which a shared context may begin anew.
pub(super) const RESET_EVERY: RangeInclusive<u64> = 1..=65_536;

/// Checks everything.
///
/// # Errors
/// All that is wrong.
pub(super) fn read(mut input: Input<'_>, digest: String) -> Result<Config, StartError> {
    let problems = Problems::default();
    let profiles = profiles::read(&mut input, &mut problems.given.borrow_mut())?;
    let table = std::mem::take(&mut input.table);
    let config = top(table, &input, digest, profiles, &problems);
    let given = problems.given.take();
    problems.into_result(Config { given, ..config })
}

fn top(
    table: Table,
    input: &Input<'_>,
    digest: String,
    profiles: Arc<Profiles>,
    problems: &Problems,
) -> Config {
    let mut top = Section::new("", table, Some(input), problems);
    let listen = SocketAddr::from(([127, 0, 0, 1], 8080));
    let listen = top.parsed(
        "listen",
        listen,
        "must be an address and a port, like 127.0.0.1:8080 or [::]:8080",
        |text| text.parse().ok(),
    );
    let shards = top.number("shards", 0, 0..=64);
    let drivers = [("auto", Driver::Auto), ("uring", Driver::Uring), ("epoll", Driver::Epoll)];
    let driver = top.choice("driver", Driver::Auto, &drivers);
    let echo = top.flag("echo", false);
    let limits = limits(top.section("limits"));
    let heartbeat = heartbeat(top.section("heartbeat"));
    let timeouts = timeouts(top.section("timeouts"));
    let compression = compression(top.section("compression"), &limits);
    let auth = security::read(top.section("auth"), input.env, problems);
    let audit = audit::read(top.section("audit"), digest);
    let inspector = inspector::read(top.section("inspector"), auth.keys.is_empty());
    let log = log(top.section("log"));
    let types = room_types::read(top.sections("room_type"), compression.rooms, problems);
    let inbox = room_types::inbox(top.section("inbox"), compression.rooms);
    let store = store(top.section("store"));
    let roles = roles::read(top.sections("role"), problems);
    let services = ServiceOptions {
        notification: notification::read(top.section("notification")),
        operation: operations::read(top.section("operations"), top.sections("operation_kind"), problems),
    };
    let rates = rates::read(top.sections("rate"), problems);
    if store.is_none() {
        let (room_types, default) = &types;
        for room_type in room_types.iter().chain([default, &inbox]).filter(|room_type| room_type.durable) {
            let name = &room_type.name;
            problems
                .add("store.path", format!("is required, because rooms of the type `{name}` are durable"));
        }
    }
    let webhooks = webhooks::webhooks(top.sections("webhook"), problems);
    let hooks = webhooks::hooks(top.section("hooks"));
    let development = auth.keys.is_empty();
    let (mut room_types, default_room_type) = types;
    if development && room_types.iter().all(|room_type| *room_type.name != *DEMO) {
        let of =
            RoomType { presence: Presence::Users, compression: compression.rooms, ..RoomType::open(DEMO) };
        room_types.push(of);
    }
    if development && !listen.ip().is_loopback() {
        let message = "without a key there is only the development secret, which everybody knows, so the server listens on \
                       loopback only; configure [[auth.key]] or FANFARE_AUTH_SECRET";
        top.problem("listen", message);
    }
    top.finish();
    Config {
        listen,
        shards,
        driver,
        echo,
        development,
        limits,
        heartbeat,
        timeouts,
        compression,
        auth,
        audit,
        inspector,
        log,
        room_types,
        default_room_type,
        inbox,
        roles,
        services,
        rates,
        store,
        webhooks,
        hooks,
        profiles,
        source: ServeArgs::default(),
        given: Given::default(),
    }
}

fn limits(mut section: Section<'_>) -> Limits {
    let limits = Limits {
        connections: section.number("connections", 100_000, 1..=10_000_000),
        connections_per_user: section.number("connections_per_user", 0, 0..=1_000_000),
        connections_per_address: section.number("connections_per_address", 0, 0..=1_000_000),
        upgrades_per_minute: section.number("upgrades_per_minute", 0, 0..=1_000_000),
        members_per_room: section.number("members_per_room", 0, 0..=10_000_000),
        rooms_per_connection: section.number("rooms_per_connection", 128, 1..=10_000),
        rooms_per_shard: section.number("rooms_per_shard", 1_000_000, 1..=100_000_000),
        services: section.number("services", 100_000, 0..=100_000_000),
        message_size: section.size("message_size", 65_536, 1_024..=16 << 20),
        fragments: section.number("fragments", 1_024, 1..=1 << 20),
        commands_per_minute: section.number("commands_per_minute", 600, 0..=60_000_000),
        burst: section.number("burst", 100, 1..=1_000_000),
        rate_violations: section.number("rate_violations", 10, 0..=1_000_000),
        rate_users: section.number("rate_users", 100_000, 1..=100_000_000),
        ended_connections: section.number("ended_connections", 1_000, 0..=1_000_000),
        backlog: section.size("backlog", 1 << 20, 65_536..=1 << 30),
        history: section.size("history", 256 << 20, 0..=1 << 40),
        room_history: section.size("room_history", 16 << 20, 1_024..=1 << 40),
        replay: section.size("replay", 512 << 10, 1_024..=1 << 30),
        message_ids: section.number("message_ids", 100_000, 0..=100_000_000),
        subscribers: section.number("subscribers", 1_000_000, 0..=100_000_000),
        dead_letters: section.number("dead_letters", 1_000, 0..=1_000_000),
        store_queue: section.number("store_queue", 65_536, 1..=10_000_000),
        sessions: section.number("sessions", 100_000, 0..=10_000_000),
        compressors: section.number("compressors", 64, 0..=65_536),
        roles: section.number("roles", 64, 1..=65_535),
        http_body: section.size("http_body", 1 << 20, 1_024..=64 << 20),
        http_head: section.size("http_head", 16 << 10, 1_024..=1 << 20),
        http_connections: section.number("http_connections", 4_096, 1..=1_000_000),
        send_buffer: section.size("send_buffer", 128 << 10, 4_096..=16 << 20),
    };
    if limits.backlog < 2 * limits.message_size {
        let message = format!("must be at least twice message_size, {} bytes", 2 * limits.message_size);
        section.problem("backlog", message);
    }
    if limits.replay > limits.backlog {
        // What is replayed waits like anything else for a connection that reads slowly.
        section.problem("replay", format!("must be at most backlog, {} bytes", limits.backlog));
    }
    section.finish();
    limits
}

fn heartbeat(mut section: Section<'_>) -> Heartbeat {
    let heartbeat = Heartbeat {
        interval: section.duration("interval", Duration::from_secs(30), 100..=DAY_MS),
        grace: section.duration("grace", Duration::from_secs(10), 100..=DAY_MS),
        idle: section.duration("idle", Duration::from_secs(3_600), 1_000..=30 * DAY_MS),
        application: section.choice("application", Application::Asked, &APPLICATIONS),
        slow: section.duration("slow", Duration::from_secs(1), 1..=DAY_MS),
    };
    section.finish();
    heartbeat
}

fn timeouts(mut section: Section<'_>) -> Timeouts {
    let timeouts = Timeouts {
        handshake: section.duration("handshake", Duration::from_secs(5), 100..=600_000),
        auth: section.duration("auth", Duration::from_secs(5), 100..=600_000),
        http_keep_alive: section.duration("http_keep_alive", Duration::from_secs(75), 100..=DAY_MS),
        http_request: section.duration("http_request", Duration::from_secs(10), 100..=600_000),
        message_ids: section.duration("message_ids", Duration::from_secs(300), 1..=DAY_MS),
        reconnection_window: section.duration("reconnection_window", Duration::from_secs(300), 0..=DAY_MS),
        drain: section.duration("drain", Duration::from_secs(30), 100..=600_000),
    };
    section.finish();
    timeouts
}

fn compression(mut section: Section<'_>, limits: &Limits) -> Compression {
    let usual = fanfare_core::Compression::default();
    let bytes_max = limits.message_size as u64;
    let compression = Compression {
        enabled: section.flag("enabled", true),
        rooms: fanfare_core::Compression {
            mode: section.choice("mode", usual.mode, &MODES),
            level: section.number("level", usual.level, 1..=9),
            threshold_bytes: section.size("threshold", usual.threshold_bytes, 0..=bytes_max),
            shared_threshold_bytes: section.size(
                "shared_threshold",
                usual.shared_threshold_bytes,
                0..=bytes_max,
            ),
            reset_every: section.number("reset", usual.reset_every, RESET_EVERY),
        },
    };
    section.finish();
    compression
}

fn store(mut section: Section<'_>) -> Option<PathBuf> {
    let path = section.text("path").map(PathBuf::from);
    section.finish();
    path
}

fn log(mut section: Section<'_>) -> Log {
    let formats = [("human", LogFormat::Human), ("json", LogFormat::Json)];
    let format = section.choice("format", LogFormat::Human, &formats);
    let rule =
        "must be a level or a filter: error, warn, info, debug, or for example info,fanfare=debug,audit=off";
    let level = section.parsed("level", "info".to_owned(), rule, |text| {
        tracing_subscriber::EnvFilter::try_new(text).ok().map(|_| text.to_owned())
    });
    section.finish();
    Log { format, level }
}
