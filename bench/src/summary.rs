//! Medians and ratios: the table on the terminal and the JSON file.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::case::{Case, value_at};
use crate::load::Outcome;
use crate::results::{self, is_disturbed, median};

/// What all cases found.
#[derive(Debug)]
pub(crate) struct Summary {
    rounds: u32,
    quick: bool,
    cases: Vec<Value>,
    failed: usize,
    /// Each case's headline, engine to floor.
    to_floor: Vec<(&'static str, f64)>,
}

impl Summary {
    /// Nothing found yet.
    pub(crate) fn new(rounds: u32, quick: bool) -> Self {
        Self { rounds, quick, cases: Vec::new(), failed: 0, to_floor: Vec::new() }
    }

    /// How many runs failed.
    pub(crate) fn failed(&self) -> usize {
        self.failed
    }

    /// The cases whose headline is more than `ratio` times the floor's, or could not be compared.
    pub(crate) fn above(&self, ratio: f64) -> Vec<String> {
        let above = self.to_floor.iter().filter(|(_, found)| found.is_nan() || *found > ratio);
        above
            .map(|(name, found)| format!("{name}: {found:.3} times the floor, allowed are {ratio}"))
            .collect()
    }

    /// Adds a case's outcomes and returns its table.
    pub(crate) fn add(&mut self, case: &Case, outcomes: Vec<(&'static str, Outcome)>) -> String {
        let mut runs: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
        let mut failures = Vec::new();
        for (name, outcome) in outcomes {
            match outcome {
                Outcome::Done(results) => runs.entry(name).or_default().push(results),
                Outcome::Failed(why) => failures.push(json!({"server": name, "why": why})),
            }
        }
        // Columns in the case's own order, the measured one last.
        let names: Vec<&str> = case
            .contestants
            .iter()
            .map(|contestant| contestant.name)
            .filter(|name| runs.contains_key(name))
            .collect();
        let mut table = format!("\n{}: {}\n\n  {:<38}", case.name, case.what, "median");
        for name in &names {
            let _ = write!(table, "{name:>16}");
        }
        let baselines: Vec<&str> = names.iter().copied().filter(|name| *name != "engine").collect();
        let compares = names.contains(&"engine");
        for name in baselines.iter().filter(|_| compares) {
            let _ = write!(table, "{:>22}", format!("engine/{name}"));
        }
        table.push('\n');
        let mut servers: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
        let mut ratios: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
        for metric in case.metrics {
            let _ = write!(table, "  {:<38}", metric.label);
            let mut medians = BTreeMap::new();
            for name in &names {
                let values: Vec<f64> =
                    runs[name].iter().filter_map(|results| value_at(results, metric.path)).collect();
                let Some(median) = median(&values) else {
                    let _ = write!(table, "{:>16}", "-");
                    continue;
                };
                medians.insert(*name, median);
                servers
                    .entry(name)
                    .or_default()
                    .insert(metric.path.into(), json!({"median": median, "values": values}));
                let _ = write!(table, "{median:>16.*}", metric.digits);
            }
            for name in baselines.iter().filter(|_| compares) {
                let ratio = medians.get("engine").zip(medians.get(name)).map(|(engine, base)| engine / base);
                let Some(ratio) = ratio.filter(|ratio| ratio.is_finite()) else {
                    let _ = write!(table, "{:>22}", "-");
                    continue;
                };
                ratios.entry(format!("engine/{name}")).or_default().insert(metric.path.into(), json!(ratio));
                let _ = write!(table, "{ratio:>22.3}");
            }
            table.push('\n');
        }
        let headline =
            ratios.get("engine/floor").and_then(|ratios| ratios.get(case.metrics[0].path)?.as_f64());
        self.to_floor.push((case.name, headline.unwrap_or(f64::NAN)));
        let disturbed = runs.values().flatten().filter(|results| is_disturbed(results)).count();
        if disturbed > 0 {
            let _ =
                writeln!(table, "  {disturbed} runs were disturbed by other programs: trust no time above");
        }
        for failure in &failures {
            let _ = writeln!(table, "  failed: {failure}");
        }
        self.failed += failures.len();
        self.cases.push(json!({
            "name": case.name, "what": case.what, "load": case.args.join(" "),
            "servers": servers, "ratios": ratios, "failures": failures, "disturbed_runs": disturbed,
        }));
        table
    }

    /// Writes everything as JSON, making the folder when it is missing.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn write(&self, path: &Path) -> io::Result<()> {
        results::write(path, self.rounds, self.quick, "cases", &self.cases)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::all;

    #[test]
    fn a_table_holds_medians_ratios_and_failures() {
        let done = |value: f64| Outcome::Done(json!({"server_cpu_us_per_delivery": value}));
        let outcomes = vec![
            ("floor", done(2.0)),
            ("engine", done(1.0)),
            ("engine", done(3.0)),
            ("engine", done(0.5)),
            ("plain", Outcome::Failed("exit status: 99".into())),
        ];
        let mut summary = Summary::new(3, true);
        let table = summary.add(&all(true)[0], outcomes);
        assert!(
            table.contains("engine/floor") && table.contains("0.500") && table.contains("exit status: 99"),
            "{table}"
        );
        assert_eq!(summary.failed(), 1);
        let case = &summary.cases[0];
        assert_eq!(case["ratios"]["engine/floor"]["server_cpu_us_per_delivery"], 0.5);
        assert_eq!(case["servers"]["engine"]["server_cpu_us_per_delivery"]["values"], json!([1.0, 3.0, 0.5]));
    }
}
