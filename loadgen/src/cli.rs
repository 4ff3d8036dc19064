//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::payload::Shape;
use crate::threshold::Threshold;

/// Capacity tests for Fanfare and other WebSocket broadcast servers.
#[derive(Debug, Parser)]
#[command(
    name = "fanfare-loadgen",
    version,
    after_help = "Exit codes: 0 all went well, 1 the run failed or is not valid, 2 wrong usage, 99 messages were lost, repeated or\n\
    out of order, or a threshold was broken.\n\n\
    Examples:\n  \
    fanfare-loadgen fanout --dev --members 1000 --rate 100 --duration 10s\n  \
    fanfare-loadgen fanout --dev --members 1000 --in-flight 16 --pid $(pidof fanfare)\n  \
    fanfare-loadgen fanout --dev --rooms 100 --members 10 --rate 10000\n  \
    fanfare-loadgen fanout --dev --members 1000 --slow 50 --rate 100 --size 4096\n  \
    fanfare-loadgen connect --dev --connections 10000 --opening 256\n  \
    fanfare-loadgen idle --dev --connections 10000 --pid $(pidof fanfare)\n  \
    fanfare-loadgen fanout --dev --rate 100 --threshold 'p99<50ms' --threshold 'lost==0' --html report.html\n  \
    fanfare-loadgen capacity --dev --members 1000 --rate 100 --duration 3s --objective 'p99<50ms'"
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) scenario: Scenario,
}

/// What is measured.
#[derive(Debug, Subcommand)]
pub(crate) enum Scenario {
    /// Publish to rooms and receive everything at every member: throughput, latency, CPU per delivery.
    Fanout(FanoutArgs),
    /// Find the largest rate of messages that keeps an objective.
    Capacity(CapacityArgs),
    /// Open many connections as fast as possible: time from the TCP handshake to `welcome`.
    Connect(ConnectArgs),
    /// Hold many quiet connections: the server's memory per connection.
    Idle(IdleArgs),
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
    /// The encoding of commands and messages.
    #[arg(long, value_enum, default_value_t = EncodingArg::Json)]
    pub(crate) encoding: EncodingArg,
    /// Offer permessage-deflate; connections without it fail.
    #[arg(long)]
    pub(crate) deflate: bool,
    /// How many connections may be opening at the same time.
    #[arg(long, default_value_t = 256, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) opening: u32,
    /// How long one connection may take to be ready.
    #[arg(long, default_value = "10s", value_parser = duration, value_name = "TIME")]
    pub(crate) timeout: Duration,
    /// What room names begin with; the room's number follows.
    #[arg(long, default_value = "load:", value_name = "PREFIX")]
    pub(crate) room_prefix: String,
    /// Pin the load generator to this core.
    #[arg(long, value_name = "CORE")]
    pub(crate) cpu: Option<usize>,
    /// The server's process id on this machine: adds its CPU time and memory to the report.
    #[arg(long, value_name = "PID")]
    pub(crate) pid: Option<u32>,
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
    /// What the run must keep, else it exits with 99: 'p99<50ms', 'lost==0', 'deliveries_per_second>=100000'
    /// (repeatable; any name out of --json).
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
    #[arg(long, value_name = "PER_SECOND", required_unless_present = "in_flight")]
    pub(crate) rate: Option<f64>,
    /// Closed loop: so many messages are under way at any time; a new one follows each that all members have.
    #[arg(long, value_name = "COUNT", conflicts_with = "rate", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub(crate) in_flight: Option<u32>,
    /// Members that join and then never read, to see what the others feel of them.
    #[arg(long, default_value_t = 0, value_name = "COUNT")]
    pub(crate) slow: u32,
    /// Bytes of each message's data as JSON.
    #[arg(long, default_value_t = 128, value_name = "BYTES")]
    pub(crate) size: usize,
    /// What the data is like.
    #[arg(long, value_enum, default_value_t = Shape::Text)]
    pub(crate) shape: Shape,
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

/// Reads `250ms`, `10s`, `5m` or `1h`.
fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let millis_per_unit = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err("a time is a whole number and a unit: 250ms, 10s, 5m, 1h".into()),
    };
    let number: u64 = number.parse().map_err(|_| "a time begins with a whole number: 250ms, 10s, 5m, 1h")?;
    let millis = number.checked_mul(millis_per_unit).filter(|millis| *millis <= 24 * 3_600_000);
    millis.map(Duration::from_millis).ok_or_else(|| "a time is at most 24h".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn times_are_read_with_their_units() {
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(duration("24h"), Ok(Duration::from_secs(86_400)));
        for bad in ["", "10", "s", "1.5s", "-1s", "25h", "99999999999999999999s", "18446744073709551615h"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn fanout_needs_a_rate_or_a_number_in_flight_but_not_both() {
        let parse = |more: &[&str]| Cli::try_parse_from([&["fanfare-loadgen", "fanout"], more].concat());
        assert!(parse(&[]).is_err());
        assert!(parse(&["--rate", "100", "--in-flight", "16"]).is_err());
        assert!(parse(&["--rate", "100"]).is_ok());
        assert!(parse(&["--in-flight", "16"]).is_ok());
        assert!(parse(&["--in-flight", "0"]).is_err());
    }
}
