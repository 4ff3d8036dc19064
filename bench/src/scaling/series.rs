//! What grows: each series is one load with one of its sizes changed from point to point.

use crate::case::{Kind, Metric, metric};

/// What a delivery costs, among the load generator's results.
pub(crate) const PER_DELIVERY: &str = "server_cpu_us_per_delivery";
/// What a second of the server's CPU delivers, put beside them: the honest figure where server and clients share cores.
pub(crate) const DELIVERIES_PER_CPU: &str = "deliveries_per_server_cpu_second";

/// One load, grown.
#[derive(Debug)]
pub(crate) struct Series {
    /// Short name for `--only` and the JSON file.
    pub(crate) name: &'static str,
    /// What is fixed.
    pub(crate) what: &'static str,
    /// What is changed, with its unit.
    pub(crate) axis: &'static str,
    /// Whether server and load generator have one core each; else they share all of them.
    pub(crate) pinned: bool,
    /// The servers, the engine last.
    pub(crate) servers: &'static [(&'static str, Kind)],
    /// The numbers; the first is drawn, the first three are in the table, all are in the JSON file.
    pub(crate) metrics: &'static [Metric],
    /// In rising order.
    pub(crate) points: Vec<Point>,
}

/// One size.
#[derive(Debug)]
pub(crate) struct Point {
    /// The size.
    pub(crate) at: u32,
    /// The engine's shards.
    pub(crate) shards: u32,
    /// The load generator's arguments.
    pub(crate) load: String,
}

const BESIDE_FLOOR: &[(&str, Kind)] = &[("floor", Kind::Floor), ("engine", Kind::Engine)];
const ALONE: &[(&str, Kind)] = &[("engine", Kind::Engine)];

const PACED: &[Metric] = &[
    metric(PER_DELIVERY, "server CPU per delivery, us", 3),
    metric("deliveries_per_second", "deliveries/s", 0),
    metric("latency_us.p99", "latency p99, us", 0),
    metric("latency_us.p50", "latency p50, us", 0),
    metric("server_cpu_percent", "server CPU, % of a core", 1),
    metric("client_cpu_percent", "load generator CPU, %", 1),
];
const SATURATED: &[Metric] = &[
    metric(PER_DELIVERY, "server CPU per delivery, us", 3),
    metric("deliveries_per_second", "deliveries/s", 0),
    metric(DELIVERIES_PER_CPU, "deliveries/s of server CPU", 0),
    metric("server_cpu_percent", "server CPU, % of a core", 1),
    metric("client_cpu_percent", "load generator CPU, %", 1),
];

/// All series, in the order in which they run.
pub(crate) fn all() -> Vec<Series> {
    let point = |at: u32, shards: u32, load: String| Point {
        at,
        shards,
        load: format!("fanout {load} --warmup 1s --duration 3s"),
    };
    let beside_floor = |name, what, axis, points| Series {
        name,
        what,
        axis,
        pinned: true,
        servers: BESIDE_FLOOR,
        metrics: PACED,
        points,
    };
    let members = [(10, 5_000), (100, 500), (1_000, 50), (10_000, 5)]
        .map(|(at, rate)| point(at, 1, format!("--members {at} --rate {rate} --size 128")));
    let rooms = [1, 10, 100, 1_000]
        .map(|at| point(at, 1, format!("--rooms {at} --members 10 --rate 2000 --size 128")));
    // The largest is a little below the engine's largest message, in which the command around the data counts.
    let sizes = [64, 256, 1_024, 4_096, 16_384, 65_000]
        .map(|at| point(at, 1, format!("--members 100 --rate 200 --size {at}")));
    let shards = [1, 2].map(|at| point(at, at, "--members 1000 --in-flight 16 --size 128".into()));
    vec![
        beside_floor(
            "members",
            "one room, 50,000 deliveries/s, 128 B",
            "members of the room",
            members.into(),
        ),
        beside_floor("rooms", "10 members each, 2,000 messages/s in all, 128 B", "rooms", rooms.into()),
        beside_floor("size", "100 members, 200 messages/s", "bytes of data", sizes.into()),
        Series {
            name: "shards",
            what: "1,000 members, 16 in flight, 128 B, both cores shared",
            axis: "shards",
            pinned: false,
            servers: ALONE,
            metrics: SATURATED,
            points: shards.into(),
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_series_rises_and_ends_with_the_engine() {
        let all = all();
        for series in &all {
            assert_eq!(all.iter().filter(|other| other.name == series.name).count(), 1);
            assert!(series.points.is_sorted_by_key(|point| point.at), "{}", series.name);
            assert_eq!(series.servers.last().map(|(_, kind)| *kind), Some(Kind::Engine));
            assert_eq!(series.metrics[0].path, PER_DELIVERY);
        }
    }
}
