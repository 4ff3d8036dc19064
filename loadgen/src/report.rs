//! The result of a run: a table for people and JSON for programs.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

use hdrhistogram::Histogram;
use serde_json::{Map, Value, json};

use crate::failure::Failures;
use crate::html::Page;
use crate::threshold::Threshold;
use crate::timeline::Timeline;
use crate::verdict::Verdict;
use crate::verify::Faults;

/// What a run found, in the order it will be printed.
#[derive(Debug)]
pub(crate) struct Report {
    scenario: &'static str,
    parameters: Map<String, Value>,
    rows: Vec<(String, String)>,
    results: Map<String, Value>,
    problems: Vec<String>,
    failures: BTreeMap<String, u64>,
    verdict: Verdict,
    /// The threshold that decided, if one did.
    missed: Vec<String>,
    /// What the picture by percentile shows, and its heading.
    latency: Option<Histogram<u64>>,
    heading: &'static str,
    timeline: Option<Timeline>,
}

impl Report {
    /// An empty report of a scenario that ran with these parameters.
    pub(crate) fn new(scenario: &'static str, parameters: Value) -> Self {
        let parameters = match parameters {
            Value::Object(map) => map,
            _ => Map::new(),
        };
        Self {
            scenario,
            parameters,
            rows: Vec::new(),
            results: Map::new(),
            problems: Vec::new(),
            failures: BTreeMap::new(),
            verdict: Verdict::Ok,
            missed: Vec::new(),
            latency: None,
            heading: "Latency",
            timeline: None,
        }
    }

    /// What the plots are made of.
    pub(crate) fn plots(&mut self, latency: Histogram<u64>, timeline: Timeline) {
        (self.latency, self.timeline) = (Some(latency), Some(timeline));
    }

    /// What the picture is made of where no messages are measured.
    pub(crate) fn plot(&mut self, heading: &'static str, times: Histogram<u64>) {
        (self.latency, self.heading) = (Some(times), heading);
    }

    /// What the pictures are made of, where the scenario has something.
    pub(crate) fn latency(&self) -> Option<&Histogram<u64>> {
        self.latency.as_ref()
    }

    /// Something that makes the numbers worthless.
    pub(crate) fn invalid(&mut self, text: impl Into<String>) {
        self.problems.push(text.into());
        self.verdict = self.verdict.max(Verdict::Invalid);
    }

    /// Checks the results; a broken threshold decides the verdict.
    pub(crate) fn check(&mut self, thresholds: &[Threshold]) {
        for threshold in thresholds {
            if let Err(broken) = threshold.check(&self.results) {
                self.missed.push(broken);
                self.verdict = self.verdict.max(Verdict::Missed);
            }
        }
    }

    /// What was found, by its name in the JSON form.
    pub(crate) fn results(&self) -> &Map<String, Value> {
        &self.results
    }

    /// A line of the table that is no number.
    pub(crate) fn row(&mut self, label: &str, value: &str) {
        self.rows.push((label.into(), value.into()));
    }

    /// A whole number.
    pub(crate) fn count(&mut self, key: &str, label: &str, value: u64) {
        self.results.insert(key.into(), value.into());
        self.rows.push((label.into(), grouped(value)));
    }

    /// A number with a unit, printed with `digits` decimals.
    pub(crate) fn number(&mut self, key: &str, label: &str, value: f64, digits: usize, unit: &str) {
        self.results.insert(key.into(), json!(value));
        let text = if digits == 0 && value >= 0.0 {
            grouped(value.round() as u64)
        } else {
            format!("{value:.digits$}")
        };
        self.rows.push((label.into(), format!("{text} {unit}")));
    }

    /// The percentiles of a histogram of nanoseconds, in microseconds (JSON) and milliseconds (table).
    pub(crate) fn times(&mut self, key: &str, label: &str, histogram: &Histogram<u64>) {
        if histogram.is_empty() {
            return;
        }
        let mut values = Map::new();
        let mut text = String::new();
        let at = |quantile| histogram.value_at_quantile(quantile);
        let max = histogram.max();
        for (name, value) in [
            ("p50", at(0.5)),
            ("p90", at(0.9)),
            ("p99", at(0.99)),
            ("p999", at(0.999)),
            ("p9999", at(0.9999)),
            ("max", max),
        ] {
            values.insert(name.into(), json!(value as f64 / 1e3));
            // Writing to a String cannot fail.
            let _ = write!(text, "{name} {:.2}  ", value as f64 / 1e6);
        }
        values.insert("count".into(), histogram.len().into());
        self.results.insert(format!("{key}_us"), Value::Object(values));
        self.rows.push((label.into(), format!("{}ms", text)));
    }

    /// Something that makes the run a failure.
    pub(crate) fn problem(&mut self, text: impl Into<String>) {
        self.problems.push(text.into());
        self.verdict = self.verdict.max(Verdict::Failed);
    }

    /// Adds failures by kind; any makes the run a failure.
    pub(crate) fn failures(&mut self, failures: &Failures) {
        for (kind, count) in failures.counts() {
            *self.failures.entry(kind.clone()).or_default() += count;
            self.verdict = self.verdict.max(Verdict::Failed);
        }
    }

    /// Adds what verification found; any fault breaks the run.
    pub(crate) fn faults(&mut self, faults: Faults) {
        self.count("lost", "lost", faults.lost);
        self.count("duplicates", "duplicates", faults.duplicates);
        self.count("out_of_order", "out of order", faults.out_of_order);
        self.count("stray", "for no member", faults.stray);
        if !faults.is_clean() {
            self.verdict = Verdict::Broken;
        }
    }

    /// How the run ended.
    pub(crate) fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// What was asked for; what was not is left out.
    fn parameters_line(&self) -> String {
        let given = self.parameters.iter().filter(|(_, value)| !value.is_null());
        let given: Vec<String> = given.map(|(key, value)| format!("{key} {}", plain(value))).collect();
        given.join(", ")
    }

    /// The table.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("{}\n", self.scenario);
        let _ = writeln!(text, "  {}\n", self.parameters_line());
        let width = self.rows.iter().map(|(label, _)| label.len()).max().unwrap_or(0);
        for (label, value) in &self.rows {
            let _ = writeln!(text, "  {label:<width$}  {value}");
        }
        for (kind, count) in &self.failures {
            let _ = writeln!(text, "  failure: {kind}: {}", grouped(*count));
        }
        for problem in &self.problems {
            let _ = writeln!(text, "  problem: {problem}");
        }
        let _ = write!(text, "\n  {}", self.verdict.text());
        for broken in &self.missed {
            let _ = write!(text, "\n  threshold broken: {broken}");
        }
        text.push('\n');
        text
    }

    /// One self-contained page.
    pub(crate) fn html(&self) -> String {
        let mut problems: Vec<String> =
            self.missed.iter().map(|broken| format!("threshold broken: {broken}")).collect();
        problems.extend(self.failures.iter().map(|(kind, count)| format!("{kind}: {}", grouped(*count))));
        problems.extend(self.problems.iter().cloned());
        let page = Page {
            title: &format!("fanfare-loadgen {}", self.scenario),
            parameters: &self.parameters_line(),
            verdict: (self.verdict.text(), self.verdict == Verdict::Ok),
            rows: &self.rows,
            problems: &problems,
            latency: self.latency.as_ref(),
            heading: self.heading,
            timeline: self.timeline.as_ref(),
        };
        page.render()
    }

    /// Rate and latency of each second, where the scenario has them.
    pub(crate) fn csv(&self) -> Option<String> {
        self.timeline.as_ref().map(Timeline::csv)
    }

    /// The latency's percentile distribution in milliseconds, as HdrHistogram's plotters read it.
    pub(crate) fn hdr(&self) -> Option<String> {
        let latency = self.latency.as_ref()?;
        let mut text = String::from("       Value     Percentile TotalCount 1/(1-Percentile)\n\n");
        for value in latency.iter_quantiles(5) {
            let quantile = value.quantile_iterated_to();
            let (ms, count) =
                (value.value_iterated_to() as f64 / 1e6, latency.count_between(0, value.value_iterated_to()));
            let _ = if quantile < 1.0 {
                writeln!(text, "{ms:12.3} {quantile:14.12} {count:10} {:14.2}", 1.0 / (1.0 - quantile))
            } else {
                writeln!(text, "{ms:12.3} {quantile:14.12} {count:10}")
            };
        }
        let _ = writeln!(
            text,
            "#[Mean    = {:12.3}, StdDeviation   = {:12.3}]",
            latency.mean() / 1e6,
            latency.stdev() / 1e6
        );
        let _ = writeln!(
            text,
            "#[Max     = {:12.3}, Total count    = {:12}]",
            latency.max() as f64 / 1e6,
            latency.len()
        );
        Some(text)
    }

    /// Every number of this run beside that of an earlier one.
    ///
    /// # Errors
    /// The earlier report cannot be read.
    pub(crate) fn compared(&self, path: &Path) -> io::Result<String> {
        let earlier: Value = serde_json::from_slice(&fs::read(path)?).map_err(io::Error::other)?;
        let (before, after) = (numbers(&earlier["results"]), numbers(&Value::Object(self.results.clone())));
        let width = after.keys().map(String::len).max().unwrap_or(0);
        let mut text = format!("  {:<width$}  {:>14}  {:>14}  {:>8}\n", "compared", "before", "now", "ratio");
        for (name, now) in &after {
            let Some(then) = before.get(name) else { continue };
            let ratio = if *then == 0.0 { "-".to_owned() } else { format!("{:.3}", now / then) };
            let _ = writeln!(text, "  {name:<width$}  {then:>14.2}  {now:>14.2}  {ratio:>8}");
        }
        Ok(text)
    }

    /// Everything as one JSON object.
    pub(crate) fn json(&self) -> Value {
        json!({
            "scenario": self.scenario,
            "parameters": self.parameters,
            "results": self.results,
            "failures": self.failures,
            "problems": self.problems,
            "thresholds_broken": self.missed,
            "verdict": self.verdict.text(),
        })
    }

    /// Writes the JSON form to a file.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn write_json(&self, path: &Path) -> io::Result<()> {
        let mut text = serde_json::to_string_pretty(&self.json()).map_err(io::Error::other)?;
        text.push('\n');
        fs::write(path, text)
    }
}

/// All numbers inside a value, by their path.
fn numbers(value: &Value) -> BTreeMap<String, f64> {
    let mut found = BTreeMap::new();
    let mut open = vec![(String::new(), value)];
    while let Some((path, value)) = open.pop() {
        if let Some(number) = value.as_f64() {
            found.insert(path, number);
        } else if let Some(members) = value.as_object() {
            let inside =
                |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
            open.extend(members.iter().map(|(name, value)| (inside(name), value)));
        }
    }
    found
}

/// A value as text without JSON's quotes.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Digits in groups of three.
fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// An empty histogram of nanoseconds: up to 10 minutes at three significant digits.
///
/// # Errors
/// Never with these bounds; the histogram's constructor checks them.
pub(crate) fn histogram() -> Result<Histogram<u64>, String> {
    Histogram::new_with_bounds(1_000, 600_000_000_000, 3).map_err(|error| format!("histogram: {error:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        for (value, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(value), text);
        }
    }

    #[test]
    fn the_worst_finding_decides_the_exit_code() {
        let mut report = Report::new("fanout", json!({"rate": 100}));
        report.faults(Faults::default());
        assert_eq!(report.verdict().exit_code(), 0);
        report.problem("nothing was accepted");
        assert_eq!(report.verdict().exit_code(), 1);
        report.faults(Faults { lost: 1, ..Faults::default() });
        assert_eq!(report.verdict().exit_code(), 99);
        report.problem("again");
        assert_eq!(report.verdict().exit_code(), 99);
    }

    #[test]
    fn table_and_json_tell_the_same() {
        let mut report = Report::new("fanout", json!({"url": "ws://x/"}));
        report.count("sent", "messages sent", 1_500);
        let mut latency = histogram().unwrap();
        latency.record(2_000_000).unwrap();
        report.times("latency", "latency", &latency);
        let mut failures = Failures::default();
        failures.count(&"closed with code 4008");
        report.failures(&failures);
        let text = report.text();
        assert!(text.contains("messages sent  1,500") && text.contains("p50 2.00"), "{text}");
        assert!(text.contains("failure: closed with code 4008: 1"), "{text}");
        let json = report.json();
        assert_eq!(json["results"]["sent"], 1_500);
        assert_eq!(json["failures"]["closed with code 4008"], 1);
        assert!((json["results"]["latency_us"]["p50"].as_f64().unwrap() - 2_000.0).abs() < 3.0);
        assert_eq!(json["verdict"], "failed");
    }
}
