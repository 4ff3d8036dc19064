//! Thresholds: what a run must keep to count as good, `p99<50ms`, `time_to_welcome.p99<100ms` or `lost==0`.

use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value};

/// One condition on one result.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Threshold {
    text: String,
    key: Key,
    comparison: Comparison,
    bound: f64,
}

#[derive(Clone, Debug, PartialEq)]
enum Key {
    /// A percentile of a histogram, in microseconds: its name in the JSON report, and which.
    Time(String, &'static str),
    /// Any number of the results, by its name in the JSON report.
    Result(String),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Comparison {
    Less,
    LessOrEqual,
    Equal,
    GreaterOrEqual,
    Greater,
}

/// Longer ones first, so that `<=` is not read as `<`.
const COMPARISONS: [(&str, Comparison); 6] = [
    ("<=", Comparison::LessOrEqual),
    (">=", Comparison::GreaterOrEqual),
    ("==", Comparison::Equal),
    ("<", Comparison::Less),
    (">", Comparison::Greater),
    ("=", Comparison::Equal),
];
const PERCENTILES: [&str; 6] = ["p50", "p90", "p99", "p999", "p9999", "max"];

impl FromStr for Threshold {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = COMPARISONS.iter().find_map(|(sign, comparison)| {
            let (name, bound) = text.split_once(sign)?;
            Some((name.trim(), *comparison, bound.trim()))
        });
        let (name, comparison, bound) =
            found.ok_or("a threshold is like 'p99<50ms', 'lost==0' or 'deliveries_per_second>=100000'")?;
        let key = Key::read(name).ok_or_else(|| {
            format!(
                "`{name}` is no result; take p50, p90, p99, p999, p9999 or max, one of these behind another time's name and a dot, \
                 or a number's name out of --json"
            )
        })?;
        let (bound, rule) = match key {
            Key::Time(..) => (microseconds(bound), "a time is like 500us, 50ms or 1s"),
            Key::Result(_) => (bound.parse().ok(), "the bound must be a number"),
        };
        let bound = bound.filter(|bound: &f64| bound.is_finite()).ok_or(rule)?;
        Ok(Self { text: text.to_owned(), key, comparison, bound })
    }
}

impl Key {
    /// `p99` is the latency's; `back.p99` that of what stands in the report as `back_us`.
    fn read(name: &str) -> Option<Self> {
        let (of, last) = name.split_once('.').unwrap_or(("latency", name));
        let is_name = |name: &str| {
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        };
        let percentile = PERCENTILES.iter().find(|percentile| **percentile == last);
        match percentile {
            Some(percentile) => is_name(of).then(|| Self::Time(format!("{of}_us"), percentile)),
            None => is_name(name).then(|| Self::Result(name.to_owned())),
        }
    }
}

fn microseconds(text: &str) -> Option<f64> {
    let unit = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(unit);
    let factor = match unit {
        "us" => 1.0,
        "ms" => 1e3,
        "s" => 1e6,
        _ => return None,
    };
    Some(number.trim().parse::<f64>().ok()? * factor)
}

impl Threshold {
    /// Whether the results keep it; the error says what they are instead.
    pub(crate) fn check(&self, results: &Map<String, Value>) -> Result<(), String> {
        let (value, unit) = match &self.key {
            Key::Time(name, percentile) => {
                (results.get(name).and_then(|times| times.get(*percentile)), " us")
            }
            Key::Result(name) => (results.get(name), ""),
        };
        let Some(value) = value.and_then(Value::as_f64) else {
            return Err(format!("{}: this run has no such result", self.text));
        };
        let kept = match self.comparison {
            Comparison::Less => value < self.bound,
            Comparison::LessOrEqual => value <= self.bound,
            Comparison::Equal => value == self.bound,
            Comparison::GreaterOrEqual => value >= self.bound,
            Comparison::Greater => value > self.bound,
        };
        if kept { Ok(()) } else { Err(format!("{}: it is {value}{unit}", self.text)) }
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn thresholds_are_kept_or_broken() {
        let results = json!({
            "lost": 0, "deliveries_per_second": 99_000.5, "latency_us": {"p99": 4_200.0},
            "time_to_welcome_us": {"p50": 900.5, "max": 1e6},
        });
        let results = results.as_object().unwrap();
        let check = |text: &str| text.parse::<Threshold>().unwrap().check(results);
        for kept in [
            "p99<50ms",
            "p99 <= 4200us",
            "p99>0.001s",
            "lost==0",
            "lost=0",
            "deliveries_per_second>=99000",
            "latency.p99<50ms",
            "time_to_welcome.p50<1ms",
            "time_to_welcome.max <= 1s",
        ] {
            assert_eq!(check(kept), Ok(()), "{kept}");
        }
        for broken in [
            "p99<4ms",
            "lost>0",
            "deliveries_per_second<99000",
            "p50<1s",
            "no_such_thing==0",
            "time_to_welcome.p50<900us",
            "time_to_welcome.p99<1s",
            "back.p99<1s",
            "lost.p99<1s",
        ] {
            assert!(check(broken).unwrap_err().starts_with(broken), "{broken}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for wrong in [
            "",
            "p99",
            "p99<",
            "p99<50",
            "p99<fast",
            "lost==many",
            "<5",
            "P99<5ms",
            "lost==NaN",
            "p99<1h",
            "back.p99<3",
            "back.p98<3s",
            "back.<3s",
            ".p99<3s",
            "back.p99.max<3s",
            "Back.p99<3s",
            "back.count>0",
        ] {
            assert!(wrong.parse::<Threshold>().is_err(), "{wrong}");
        }
    }
}
