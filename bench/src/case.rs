//! What is compared: each case is one command line of the load generator and the numbers that matter in it.

use std::time::Duration;

use clap::ValueEnum;
use serde_json::Value;

use crate::results::DISTURBANCE;

/// A kind of server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// One `send()` per receiver and message, nothing else.
    Floor,
    /// tokio-tungstenite, two tasks per connection.
    Plain,
    /// The engine's send ring driven by nothing but a loop.
    Ring,
    /// Fanfare.
    Engine,
    /// Fanfare on epoll.
    Epoll,
}

impl Kind {
    /// All of them, baselines first.
    pub(crate) const ALL: [Self; 5] = [Self::Floor, Self::Plain, Self::Ring, Self::Engine, Self::Epoll];
}

/// One column of a case: a server and how the load generator talks to it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Contestant {
    /// The column's name.
    pub(crate) name: &'static str,
    /// The server.
    pub(crate) kind: Kind,
    /// Further arguments of the load generator.
    pub(crate) more: &'static [&'static str],
}

const FLOOR: Contestant = Contestant { name: "floor", kind: Kind::Floor, more: &[] };
const PLAIN: Contestant = Contestant { name: "plain", kind: Kind::Plain, more: &[] };
const RING: Contestant = Contestant { name: "ring", kind: Kind::Ring, more: &[] };
const ENGINE: Contestant = Contestant { name: "engine", kind: Kind::Engine, more: &[] };
const EPOLL: Contestant = Contestant { name: "epoll", kind: Kind::Epoll, more: &[] };
const DEFLATE: Contestant = Contestant { name: "engine+deflate", kind: Kind::Engine, more: &["--deflate"] };

/// One number of a case.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Metric {
    /// Where it stands in the load generator's `results`; a dot leads into an object.
    pub(crate) path: &'static str,
    /// For people, with its unit.
    pub(crate) label: &'static str,
    /// Decimals in the table.
    pub(crate) digits: usize,
}

/// A [`Metric`] in one line.
pub(crate) const fn metric(path: &'static str, label: &'static str, digits: usize) -> Metric {
    Metric { path, label, digits }
}

const FANOUT: &[Metric] = &[
    metric("server_cpu_us_per_delivery", "server CPU per delivery, us", 3),
    metric("deliveries_per_second", "deliveries/s", 0),
    metric("latency_us.p50", "latency p50, us", 0),
    metric("latency_us.p99", "latency p99, us", 0),
    metric("latency_us.max", "latency max, us", 0),
    metric("server_cpu_percent", "server CPU, % of a core", 1),
    metric("client_cpu_percent", "load generator CPU, %", 1),
    metric(DISTURBANCE, "other programs' CPU, %", 0),
    metric("received_bytes_per_second", "bytes/s on the wire", 0),
];
const IDLE: &[Metric] = &[
    metric("server_rss_bytes_per_connection", "server memory per connection, bytes", 0),
    metric("server_cpu_percent", "server CPU while quiet, %", 2),
];
const CONNECT: &[Metric] = &[
    metric("connections_per_second", "connections/s", 0),
    metric("time_to_welcome_us.p50", "connect to welcome p50, us", 0),
    metric("time_to_welcome_us.p99", "connect to welcome p99, us", 0),
    metric("time_to_welcome_us.max", "connect to welcome max, us", 0),
    metric("server_cpu_us_per_connection", "server CPU per connection, us", 1),
    metric("client_cpu_percent", "load generator CPU, %", 1),
];

/// One comparison.
#[derive(Debug)]
pub(crate) struct Case {
    /// Short name for `--only` and the JSON file.
    pub(crate) name: &'static str,
    /// What it shows.
    pub(crate) what: &'static str,
    /// The load generator's arguments, without address and core.
    pub(crate) args: Vec<String>,
    /// The columns.
    pub(crate) contestants: &'static [Contestant],
    /// The rows; the first is the headline.
    pub(crate) metrics: &'static [Metric],
    /// After this time a run counts as hanging.
    pub(crate) limit: Duration,
}

impl Case {
    /// The most telling number of one run.
    pub(crate) fn headline(&self, results: &Value) -> String {
        let metric = self.metrics[0];
        value_at(results, metric.path).map_or_else(
            || "no number".into(),
            |value| format!("{value:.*} ({})", metric.digits, metric.label),
        )
    }
}

/// All cases, in the order in which they run.
pub(crate) fn all(quick: bool) -> Vec<Case> {
    const ALL: &[Contestant] = &[FLOOR, PLAIN, EPOLL, ENGINE];
    // Where sending is what costs.
    const ALL_AND_RING: &[Contestant] = &[FLOOR, PLAIN, RING, EPOLL, ENGINE];
    const ALL_AND_DEFLATE: &[Contestant] = &[FLOOR, PLAIN, ENGINE, DEFLATE];
    let (warmup, duration, quiet) = if quick { ("1s", "2s", "1s") } else { ("2s", "5s", "5s") };
    let case = |name, what, args: &str, contestants, metrics: &'static [Metric]| {
        let mut args: Vec<String> = args.split_whitespace().map(str::to_owned).collect();
        match args[0].as_str() {
            "fanout" => args.extend(["--warmup", warmup, "--duration", duration].map(str::to_owned)),
            "idle" => args.extend(["--duration", quiet].map(str::to_owned)),
            _ => {}
        }
        Case { name, what, args, contestants, metrics, limit: Duration::from_secs(90) }
    };
    vec![
        case(
            "paced",
            "1,000 members, 100 messages/s, 128 B",
            "fanout --members 1000 --rate 100 --size 128",
            ALL_AND_RING,
            FANOUT,
        ),
        case(
            "saturated",
            "1,000 members, 16 messages in flight, 128 B",
            "fanout --members 1000 --in-flight 16 --size 128",
            ALL_AND_RING,
            FANOUT,
        ),
        case(
            "json-1k",
            "1,000 members, 100 messages/s, 1 KiB of JSON records, plain and compressed",
            "fanout --members 1000 --rate 100 --size 1024 --shape json",
            ALL_AND_DEFLATE,
            FANOUT,
        ),
        case(
            "rooms",
            "100 rooms of 10 members, 10,000 messages/s, 128 B",
            "fanout --rooms 100 --members 10 --rate 10000 --size 128",
            ALL_AND_RING,
            FANOUT,
        ),
        case("idle", "10,000 quiet members of one room", "idle --connections 10000", ALL, IDLE),
        case(
            "connect",
            "10,000 connections, 256 opening at once",
            "connect --connections 10000 --opening 256",
            ALL,
            CONNECT,
        ),
    ]
}

/// The number at a path of a JSON object.
pub(crate) fn value_at(results: &Value, path: &str) -> Option<f64> {
    path.split('.').try_fold(results, |value, key| value.get(key))?.as_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_has_its_own_name_a_headline_and_the_engine() {
        let cases = all(false);
        for case in &cases {
            assert_eq!(cases.iter().filter(|other| other.name == case.name).count(), 1);
            assert!(!case.metrics.is_empty());
            assert!(case.contestants.iter().any(|contestant| contestant.kind == Kind::Engine));
        }
    }

    #[test]
    fn paths_lead_into_objects() {
        let results = serde_json::json!({"a": 1, "b": {"c": 2.5}});
        assert_eq!(value_at(&results, "a"), Some(1.0));
        assert_eq!(value_at(&results, "b.c"), Some(2.5));
        assert_eq!(value_at(&results, "b.d"), None);
    }
}
