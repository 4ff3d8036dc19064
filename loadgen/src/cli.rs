//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use fanfare_loadgen::shape::Shape;

use crate::duration::duration;
use crate::plan::Deflate;
use crate::threshold::Threshold;

/// Capacity tests for Fanfare and other WebSocket broadcast servers.
#[derive(Debug, Parser)]
#[command(
    name = "fanfare-loadgen",
    version,
    after_help = "Exit codes: 0 all went well, 1 the run failed or is not valid, 2 wrong usage, 99 messages were lost, repeated or\n\
    out of order, or a threshold was broken.\n\n\
    Examples:\n  \
    fanfare-loadgen fanout --dev --members 1000 --rate 100 --pid $(pidof fanfare)\n  \
    fanfare-loadgen fanout --dev --in-flight 16 --metrics http://127.0.0.1:8080/metrics\n  \
    fanfare-loadgen fanout --dev --threshold 'p99<50ms' --threshold 'lost==0' --html report.html\n  \
    fanfare-loadgen storm --dev --connections 10000 --rounds 3\n  \
    fanfare-loadgen publish --dev --over http --in-flight 16\n  \
    fanfare-loadgen capacity --dev --rate 100 --duration 3s --objective 'p99<50ms'\n  \
    fanfare-loadgen fanout --raw centrifugo --url ws://127.0.0.1:8000 --token \"$TOKEN\"\n  \
    fanfare-loadgen run nightly.toml"
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) scenario: Scenario,
}

/// What is measured.
#[derive(Debug, Subcommand)]
pub(crate) enum Scenario {
    /// Publish to one room of many members, who check all that comes: latency, throughput, CPU per delivery.
    Fanout(FanoutArgs),
    /// The same with many small rooms.
    #[command(mut_args(|arg| given(arg, &[("rooms", "100"), ("members", "10"), ("rate", "10000")])))]
    Rooms(FanoutArgs),
    /// The same with rooms whose members are spread over all shards, so that every message crosses cores.
    #[command(mut_args(|arg| given(arg, &[("rooms", "50"), ("members", "32"), ("connections", "200"),
        ("publishers", "4"), ("rate", "1000")])))]
    Mesh(FanoutArgs),
    /// The same twice: without and with members that never read, and what the others feel of them.
    #[command(mut_args(|arg| given(arg, &[("members", "500"), ("slow", "50"), ("size", "4096"), ("rate", "50")])))]
    Slow(FanoutArgs),
    /// Publish over WebSocket or HTTP with nobody listening: rate and time to the answer.
    Publish(PublishArgs),
    /// Members that join, publish, leave and reconnect by a seeded script, as people in a chat do.
    Mixed(MixedArgs),
    /// Find the largest rate of messages that keeps an objective.
    Capacity(CapacityArgs),
    /// Open many connections as fast as possible: time from the TCP handshake to `welcome`.
    Connect(ConnectArgs),
    /// Lose all connections at once and see them come back, several times, each time with a message to all.
    Storm(StormArgs),
    /// Hold many quiet connections: the server's memory per connection.
    Idle(IdleArgs),
    /// Run the scenarios of a TOML file, one after another.
    Run(RunArgs),
    /// Print a table for --raw: a ready one, or one to begin with.
    Preset(PresetArgs),
}

/// Another default than the plain scenario's.
fn given(arg: clap::Arg, defaults: &[(&str, &'static str)]) -> clap::Arg {
    match defaults.iter().find(|(name, _)| arg.get_id() == name) {
        Some((_, value)) => arg.default_value(value),
        None => arg,
    }
}

/// What all scenarios share.
#[derive(Clone, Debug, Args)]
pub(crate) struct CommonArgs {
    /// The server's WebSocket address.
    #[arg(long, default_value = "ws://127.0.0.1:8080/v1/ws", value_name = "URL")]
    pub(crate) url: String,
    /// Sign a token for each connection with the public development secret.
    #[arg(long, conflicts_with_all = ["token_secret", "token"])]
    pub(crate) dev: bool,
    /// Sign a token for each connection with this HS256 secret (at least 32 bytes).
    #[arg(long, value_name = "SECRET", env = "FANFARE_LOADGEN_TOKEN_SECRET", hide_env_values = true)]
    pub(crate) token_secret: Option<String>,
    /// One token for all connections.
    #[arg(long, value_name = "TOKEN", conflicts_with = "token_secret")]
    pub(crate) token: Option<String>,
    /// So many users share the connections [default: one each].
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) users: Option<u32>,
    /// Another server than Fanfare: the name of a ready table (see `preset`) or a TOML file.
    #[arg(long, value_name = "NAME|FILE")]
    pub(crate) raw: Option<String>,
    /// The encoding of commands and messages.
    #[arg(long, value_enum, default_value_t = EncodingArg::Json)]
    pub(crate) encoding: EncodingArg,
    /// Offer permessage-deflate; connections without it fail [default without a value: shared].
    #[arg(long, value_enum, value_name = "HOW", default_value_t = Deflate::None, num_args = 0..=1, require_equals = true,
        default_missing_value = "shared", hide_default_value = true)]
    pub(crate) deflate: Deflate,
    /// How many connections may be opening at the same time.
    #[arg(long, default_value_t = 256, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) opening: u32,
    /// How long one connection may take to be ready.
    #[arg(long, default_value = "10s", value_parser = duration, value_name = "TIME")]
    pub(crate) timeout: Duration,
    /// What room names begin with; the room's number follows.
    #[arg(long, default_value = "load:", value_name = "PREFIX")]
    pub(crate) room_prefix: String,
    /// Pin the load generator to this core, further threads to those after it.
    #[arg(long, value_name = "CORE")]
    pub(crate) cpu: Option<usize>,
    /// The server's process id on this machine: adds its CPU time and memory to the report.
    #[arg(long, value_name = "PID")]
    pub(crate) pid: Option<u32>,
    /// The server's metrics page: the same from any machine (`process_cpu_seconds_total`,
    /// `process_resident_memory_bytes`), and what else it tells about the run.
    #[arg(long, value_name = "URL")]
    pub(crate) metrics: Option<String>,
    /// Also write the report as JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Also write the report as one self-contained page with plots.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// Also write rate and latency of each second as comma-separated values.
    #[arg(long, value_name = "FILE")]
    pub(crate) csv: Option<PathBuf>,
    /// Also write the latency's percentile distribution in milliseconds, as HdrHistogram's plotters read it.
    #[arg(long, value_name = "FILE")]
    pub(crate) hdr: Option<PathBuf>,
    /// Show the difference to an earlier run's --json.
    #[arg(long, value_name = "FILE")]
    pub(crate) compare: Option<PathBuf>,
    /// What the run must keep, else it exits with 99: 'p99<50ms', 'time_to_welcome.p99<100ms', 'lost==0',
    /// 'deliveries_per_second>=100000' (repeatable; any number out of --json, any percentile of a time, which stands there with `_us` behind its name).
    #[arg(long, value_name = "CONDITION")]
    pub(crate) threshold: Vec<Threshold>,
}

/// `fanout`.
#[derive(Clone, Debug, Args)]
pub(crate) struct FanoutArgs {
    #[command(flatten)]
    pub(crate) common: CommonArgs,
    /// Members of each room.
    #[arg(long, default_value_t = 1_000, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) members: u32,
    /// Rooms, published to in turn.
    #[arg(long, default_value_t = 1, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rooms: u32,
    /// Connections that share the memberships, at least as many as a room has members [default: one each].
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) connections: Option<u32>,
    /// Connections that publish, members of no room.
    #[arg(long, default_value_t = 1, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) publishers: u32,
    /// Open loop: messages per second over all rooms, published at their time whatever the server does.
    #[arg(long, default_value_t = 100.0, value_name = "PER_SECOND")]
    pub(crate) rate: f64,
    /// Closed loop instead: so many messages are under way at any time; a new one follows each that all members have.
    #[arg(long, value_name = "COUNT", conflicts_with = "rate", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub(crate) in_flight: Option<u32>,
    /// Threads of the load generator, each with a share of the members; each takes a core.
    #[arg(long, default_value_t = 1, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=256))]
    pub(crate) threads: u32,
    /// Members that join and then never read.
    #[arg(long, default_value_t = 0, value_name = "COUNT")]
    pub(crate) slow: u32,
    #[command(flatten)]
    pub(crate) payload: PayloadArgs,
    #[command(flatten)]
    pub(crate) time: TimeArgs,
}

/// What is published.
#[derive(Clone, Debug, Args)]
pub(crate) struct PayloadArgs {
    /// Bytes of each message's data as JSON.
    #[arg(long, default_value_t = 128, value_name = "BYTES")]
    pub(crate) size: usize,
    /// What the data is like.
    #[arg(long, value_enum, default_value_t = Shape::Text)]
    pub(crate) shape: Shape,
    /// Take the data from this file instead: JSON, or else it is sent as one text.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["size", "shape"])]
    pub(crate) data: Option<PathBuf>,
}

/// How long things take.
#[derive(Clone, Debug, Args)]
pub(crate) struct TimeArgs {
    /// Time before the measurement, not counted.
    #[arg(long, default_value = "2s", value_parser = duration, value_name = "TIME")]
    pub(crate) warmup: Duration,
    /// Time of the measurement.
    #[arg(long, default_value = "10s", value_parser = duration, value_name = "TIME")]
    pub(crate) duration: Duration,
    /// How long to wait at the end for messages under way before they count as lost.
    #[arg(long, default_value = "10s", value_parser = duration, value_name = "TIME")]
    pub(crate) drain: Duration,
}

/// `capacity`.
#[derive(Debug, Args)]
pub(crate) struct CapacityArgs {
    /// Each rate is measured like this; --rate is the first one.
    #[command(flatten)]
    pub(crate) fanout: FanoutArgs,
    /// What must hold (repeatable) [default: p99<50ms and lost==0].
    #[arg(long, value_name = "CONDITION")]
    pub(crate) objective: Vec<Threshold>,
    /// How close the largest load that held must come to the smallest that did not: 0.1 is 10 %.
    #[arg(long, default_value_t = 0.1, value_name = "PART")]
    pub(crate) precision: f64,
    /// Measurements between a load that held and one that did not, at most.
    #[arg(long, default_value_t = 6, value_name = "COUNT")]
    pub(crate) refinements: u32,
}

/// `connect`.
#[derive(Debug, Args)]
pub(crate) struct ConnectArgs {
    #[command(flatten)]
    pub(crate) common: CommonArgs,
    /// How many connections to open.
    #[arg(long, default_value_t = 10_000, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) connections: u32,
    /// Rooms that the connections join evenly; 0: none.
    #[arg(long, default_value_t = 0, value_name = "COUNT")]
    pub(crate) rooms: u32,
}

/// `storm`.
#[derive(Debug, Args)]
pub(crate) struct StormArgs {
    #[command(flatten)]
    pub(crate) common: CommonArgs,
    /// How many connections there are.
    #[arg(long, default_value_t = 10_000, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) connections: u32,
    /// Rooms that the connections join evenly.
    #[arg(long, default_value_t = 10, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rooms: u32,
    /// How often all connections are lost at once.
    #[arg(long, default_value_t = 3, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rounds: u32,
    /// Messages to each room while all are away, which they must get when they come back; 0: come back without asking.
    #[arg(long, default_value_t = 10, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(..=1_000))]
    pub(crate) missed: u32,
    /// Connections per second that come back [default: as many as --opening allows].
    #[arg(long, value_name = "PER_SECOND")]
    pub(crate) rate: Option<f64>,
}

/// `publish`.
#[derive(Clone, Debug, Args)]
pub(crate) struct PublishArgs {
    #[command(flatten)]
    pub(crate) common: CommonArgs,
    /// How messages are published.
    #[arg(long, value_enum, default_value_t = Transport::Ws)]
    pub(crate) over: Transport,
    /// Connections that publish.
    #[arg(long, default_value_t = 16, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=4_096))]
    pub(crate) publishers: u32,
    /// Rooms, published to in turn.
    #[arg(long, default_value_t = 16, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rooms: u32,
    /// Open loop: messages per second, published at their time whatever the server does.
    #[arg(long, value_name = "PER_SECOND", conflicts_with = "in_flight")]
    pub(crate) rate: Option<f64>,
    /// Closed loop: so many unanswered messages of each connection at any time (HTTP: one).
    #[arg(long, default_value_t = 1, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=4_096))]
    pub(crate) in_flight: u32,
    #[command(flatten)]
    pub(crate) payload: PayloadArgs,
    #[command(flatten)]
    pub(crate) time: TimeArgs,
}

/// What carries a publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Transport {
    /// The `publish` command of a WebSocket.
    Ws,
    /// `POST /v1/publish` on connections that are kept open.
    Http,
}

/// `mixed`.
#[derive(Clone, Debug, Args)]
pub(crate) struct MixedArgs {
    #[command(flatten)]
    pub(crate) common: CommonArgs,
    /// Connections, each a person of the script.
    #[arg(long, default_value_t = 500, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) connections: u32,
    /// Rooms.
    #[arg(long, default_value_t = 50, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rooms: u32,
    /// Connections that may be in each room.
    #[arg(long, default_value_t = 20, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) members: u32,
    /// What they all do together, per second.
    #[arg(long, default_value_t = 1_000.0, value_name = "PER_SECOND")]
    pub(crate) rate: f64,
    /// The same seed makes the same script.
    #[arg(long, default_value_t = 1, value_name = "NUMBER")]
    pub(crate) seed: u64,
    #[command(flatten)]
    pub(crate) payload: PayloadArgs,
    #[command(flatten)]
    pub(crate) time: TimeArgs,
}

/// `run`.
#[derive(Debug, Args)]
#[command(
    after_help = "The file, each table one run, its keys the long options without dashes in front:\n\n  \
    [[run]]\n  scenario = \"fanout\"\n  dev = true\n  members = 1000\n  threshold = [\"p99<50ms\", \"lost==0\"]\n\n  \
    [[run]]\n  scenario = \"storm\"\n  dev = true\n  connections = 5000\n\n\
    What stands before the first table holds for all runs. A table of one's own (raw) is looked for beside the file."
)]
pub(crate) struct RunArgs {
    /// The file.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// The server's WebSocket address, for all runs of the file.
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// The server's process id, for all runs of the file.
    #[arg(long, value_name = "PID")]
    pub(crate) pid: Option<u32>,
}

/// `preset`.
#[derive(Debug, Args)]
pub(crate) struct PresetArgs {
    /// Which one; none lists them.
    #[arg(value_name = "NAME")]
    pub(crate) name: Option<String>,
}

/// `idle`.
#[derive(Debug, Args)]
pub(crate) struct IdleArgs {
    #[command(flatten)]
    pub(crate) common: CommonArgs,
    /// How many connections to hold.
    #[arg(long, default_value_t = 10_000, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) connections: u32,
    /// Rooms that the connections join evenly; 0: none.
    #[arg(long, default_value_t = 1, value_name = "COUNT")]
    pub(crate) rooms: u32,
    /// How long to stay quiet before memory is read.
    #[arg(long, default_value = "5s", value_parser = duration, value_name = "TIME")]
    pub(crate) duration: Duration,
}

/// How objects are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum EncodingArg {
    /// `fanfare.v1.json`.
    Json,
    /// `fanfare.v1.msgpack`.
    Msgpack,
}

#[cfg(test)]
mod tests;
