//! What all results have in common: medians, what disturbed them, the file they are written to.

use std::fs;
use std::io;
use std::path::Path;

use serde_json::{Value, json};

use crate::case::value_at;

/// CPU of programs that do not belong to the comparison, in percent of a core.
pub(crate) const DISTURBANCE: &str = "foreign_cpu_percent";
/// From so much of it on a run counts as disturbed.
const DISTURBANCE_PERCENT_MAX: f64 = 15.0;

/// Whether other programs took so much CPU that a run's times mean little.
pub(crate) fn is_disturbed(results: &Value) -> bool {
    value_at(results, DISTURBANCE).is_some_and(|percent| percent > DISTURBANCE_PERCENT_MAX)
}

/// The middle value, or the mean of the two in the middle.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        len if len % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

/// Writes what was found under `key` as JSON, with when and where; makes the folder when it is missing.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn write(path: &Path, rounds: u32, quick: bool, key: &str, found: &[Value]) -> io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder)?;
    }
    let all = json!({
        "made_by": "fanfare-bench",
        "at": fanfare_bench::wire::now(),
        "quick": quick,
        "rounds": rounds,
        "machine": machine(),
        key: found,
    });
    fs::write(path, format!("{all:#}\n"))
}

/// What the numbers were made on.
fn machine() -> Value {
    let first_line = |path: &str| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    let cpu_info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let models: Vec<&str> = cpu_info
        .lines()
        .filter_map(|line| line.strip_prefix("model name")?.split_once(':'))
        .map(|(_, name)| name.trim())
        .collect();
    json!({
        "kernel": first_line("/proc/sys/kernel/osrelease"),
        "cpu": models.first().copied().unwrap_or("unknown"),
        "cores": models.len(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }

    #[test]
    fn a_run_is_disturbed_by_a_part_of_a_core() {
        assert!(is_disturbed(&json!({DISTURBANCE: 16.0})));
        assert!(!is_disturbed(&json!({DISTURBANCE: 15.0})) && !is_disturbed(&json!({})));
    }
}
