//! The medians of each point: a table for people, and one entry of the JSON file for each series.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::series::Series;
use crate::case::value_at;
use crate::load::Outcome;
use crate::results::{is_disturbed, median};

/// Width of a number in the table.
const CELL: usize = 11;
/// How many of a series' numbers the table shows: more would not fit beside each other.
const METRICS_SHOWN: usize = 3;

/// What one run of a point ended with.
#[derive(Debug)]
pub(crate) struct Ran {
    /// The point's place in its series.
    pub(crate) point: usize,
    /// The server.
    pub(crate) server: &'static str,
    /// The end.
    pub(crate) outcome: Outcome,
}

/// A series as it stands in the JSON file.
pub(crate) fn summarize(series: &Series, ran: &[Ran]) -> Value {
    let mut points: Vec<Value> = Vec::new();
    for (place, point) in series.points.iter().enumerate() {
        let here = || ran.iter().filter(|ran| ran.point == place);
        let mut servers = Map::new();
        for (name, _) in series.servers {
            let mut medians = Map::new();
            for metric in series.metrics {
                let values: Vec<f64> = here()
                    .filter(|ran| ran.server == *name)
                    .filter_map(|ran| match &ran.outcome {
                        Outcome::Done(results) => value_at(results, metric.path),
                        Outcome::Failed(_) => None,
                    })
                    .collect();
                if let Some(median) = median(&values) {
                    medians.insert(metric.path.into(), json!({"median": median, "values": values}));
                }
            }
            servers.insert((*name).into(), medians.into());
        }
        let failures: Vec<Value> = here()
            .filter_map(|ran| match &ran.outcome {
                Outcome::Done(_) => None,
                Outcome::Failed(why) => Some(json!({"server": ran.server, "why": why})),
            })
            .collect();
        let disturbed = here()
            .filter(|ran| matches!(&ran.outcome, Outcome::Done(results) if is_disturbed(results)))
            .count();
        points.push(json!({
            "at": point.at, "shards": point.shards, "load": point.load,
            "servers": servers, "failures": failures, "disturbed_runs": disturbed,
        }));
    }
    // What a point costs beside the floor, and beside the first point.
    let drawn = series.metrics[0].path;
    let first = points.first().and_then(|point| median_of(point, "engine", drawn));
    for point in &mut points {
        let engine = median_of(point, "engine", drawn);
        let ratio = |base: Option<f64>| engine.zip(base).map(|(engine, base)| engine / base);
        let floor = median_of(point, "floor", drawn);
        point["engine/floor"] = json!(ratio(floor));
        point["engine/first"] = json!(ratio(first));
    }
    json!({
        "name": series.name, "what": series.what, "axis": series.axis, "pinned": series.pinned,
        "points": points,
    })
}

/// The median that a point of the JSON file has for a server.
pub(crate) fn median_of(point: &Value, server: &str, path: &str) -> Option<f64> {
    point["servers"][server][path]["median"].as_f64()
}

/// A series' entry as a table: a row for each point, a block for each number.
pub(crate) fn table(series: &Series, summary: &Value) -> String {
    let points = || summary["points"].as_array().into_iter().flatten();
    let shown = &series.metrics[..METRICS_SHOWN.min(series.metrics.len())];
    let beside_floor = series.servers.iter().any(|(name, _)| *name == "floor");
    // The first number's block goes on with what it is compared with.
    let ratios = |place: usize| {
        let both = [("to floor", "engine/floor"), ("to first", "engine/first")];
        both.into_iter().skip(usize::from(!beside_floor)).filter(move |_| place == 0)
    };
    let block = |place: usize, cells: &str| {
        let width = shown[place].label.len().max(CELL * (series.servers.len() + ratios(place).count()));
        format!("   {cells:>width$}")
    };

    let mut table = format!("\n{}: {}\n\n  {:>20}", series.name, series.what, "");
    for (place, metric) in shown.iter().enumerate() {
        table.push_str(&block(place, metric.label));
    }
    let _ = write!(table, "\n  {:>20}", series.axis);
    for place in 0..shown.len() {
        let names = series.servers.iter().map(|(name, _)| *name).chain(ratios(place).map(|(name, _)| name));
        table.push_str(&block(place, &names.map(|name| format!("{name:>CELL$}")).collect::<String>()));
    }
    table.push('\n');
    for point in points() {
        let _ = write!(table, "  {:>20}", point["at"].as_u64().unwrap_or(0));
        for (place, metric) in shown.iter().enumerate() {
            let medians = series.servers.iter().map(|(name, _)| median_of(point, name, metric.path));
            let mut cells: String = medians.map(|value| cell(value, metric.digits)).collect();
            cells.extend(ratios(place).map(|(_, key)| cell(point[key].as_f64(), 3)));
            table.push_str(&block(place, &cells));
        }
        table.push('\n');
    }
    for point in points() {
        let disturbed = point["disturbed_runs"].as_u64().unwrap_or(0);
        if disturbed > 0 {
            let _ = writeln!(table, "  {}: {disturbed} runs were disturbed by other programs", point["at"]);
        }
        for failure in point["failures"].as_array().into_iter().flatten() {
            let _ = writeln!(table, "  {}: failed: {failure}", point["at"]);
        }
    }
    table
}

fn cell(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| format!("{:>CELL$}", "-"), |value| format!("{value:>CELL$.digits$}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scaling::series;

    #[test]
    fn medians_stand_beside_the_floor_and_the_first_point() {
        let all = series::all();
        let members = all.iter().find(|series| series.name == "members").unwrap();
        let done = |point, server, value: f64| {
            let results = json!({"server_cpu_us_per_delivery": value, "foreign_cpu_percent": 20.0});
            Ran { point, server, outcome: Outcome::Done(results) }
        };
        let ran = [
            done(0, "engine", 2.0),
            done(0, "floor", 4.0),
            done(1, "engine", 3.0),
            done(1, "engine", 9.0),
            done(1, "engine", 1.0),
            Ran { point: 1, server: "floor", outcome: Outcome::Failed("it hangs".into()) },
        ];
        let summary = summarize(members, &ran);
        let points = &summary["points"];
        assert_eq!(points[0]["engine/floor"], 0.5);
        assert_eq!((&points[1]["engine/first"], &points[1]["engine/floor"]), (&json!(1.5), &Value::Null));
        assert_eq!(points[1]["servers"]["engine"]["server_cpu_us_per_delivery"]["median"], 3.0);
        assert_eq!(points[1]["disturbed_runs"], 3);
        let table = table(members, &summary);
        assert!(table.contains("it hangs") && table.contains("1.500"), "{table}");
    }
}
