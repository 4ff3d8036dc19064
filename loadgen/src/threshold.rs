//! Thresholds: what a run must keep to count as good, `p99<50ms` or `lost==0`.

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
    /// A percentile of the latency, in microseconds.
    Latency(&'static str),
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
        let percentile = PERCENTILES.iter().find(|percentile| **percentile == name);
        let (key, bound) = match percentile {
            Some(percentile) => (Key::Latency(percentile), microseconds(bound)),
            None if !name.is_empty()
                && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') =>
            {
                (Key::Result(name.to_owned()), bound.parse().ok())
            }
            None => {
                return Err(format!(
                    "`{name}` is no result; take p50, p90, p99, p999, p9999, max or a name out of --json"
                ));
            }
        };
        let bound = bound.filter(|bound: &f64| bound.is_finite());
        let bound = bound.ok_or(if percentile.is_some() {
            "a latency is like 500us, 50ms or 1s"
        } else {
            "the bound must be a number"
        })?;
        Ok(Self { text: text.to_owned(), key, comparison, bound })
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
            Key::Latency(percentile) => {
                (results.get("latency_us").and_then(|latency| latency.get(*percentile)), " us")
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
        let results = json!({"lost": 0, "deliveries_per_second": 99_000.5, "latency_us": {"p99": 4_200.0}});
        let results = results.as_object().unwrap();
        let check = |text: &str| text.parse::<Threshold>().unwrap().check(results);
        for kept in
            ["p99<50ms", "p99 <= 4200us", "p99>0.001s", "lost==0", "lost=0", "deliveries_per_second>=99000"]
        {
            assert_eq!(check(kept), Ok(()), "{kept}");
        }
        for broken in ["p99<4ms", "lost>0", "deliveries_per_second<99000", "p50<1s", "no_such_thing==0"] {
            assert!(check(broken).unwrap_err().starts_with(broken), "{broken}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for wrong in
            ["", "p99", "p99<", "p99<50", "p99<fast", "lost==many", "<5", "P99<5ms", "lost==NaN", "p99<1h"]
        {
            assert!(wrong.parse::<Threshold>().is_err(), "{wrong}");
        }
    }
}
