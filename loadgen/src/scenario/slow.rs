//! `slow`: the same load without and with members that never read, and what the others feel of them.

use super::{RunError, fanout};
use crate::cli::FanoutArgs;
use crate::report::Report;
use crate::verdict::Verdict;

/// Runs the scenario.
///
/// # Errors
/// Nothing was measured.
pub(super) fn run(args: &FanoutArgs) -> Result<Report, RunError> {
    if args.slow == 0 {
        return Err(RunError::Usage("--slow must be at least 1: it is what this scenario compares".into()));
    }
    eprintln!("without slow members");
    let without = fanout::run("slow", &FanoutArgs { slow: 0, ..args.clone() })?;
    eprintln!("with {} slow members", args.slow);
    let mut with = fanout::run("slow", args)?;
    if without.verdict() != Verdict::Ok {
        with.problem(format!("without slow members: {}", without.verdict().text()));
    }
    let p99 = |report: &Report| report.latency().map(|latency| latency.value_at_quantile(0.99) as f64);
    if let (Some(before), Some(after)) = (p99(&without).filter(|ns| *ns > 0.0), p99(&with)) {
        if let Some(latency) = without.latency() {
            with.times("latency_without", "latency without slow members", latency);
        }
        with.number("p99_ratio", "p99 with to without", after / before, 2, "times");
    }
    Ok(with)
}
