//! Whether the load generator itself was the bottleneck: then its figures say nothing about the server.

use crate::process::Cpu;
use crate::report::Report;

/// Busier than this, the load generator measures itself.
const CPU_PERCENT_MAX: f64 = 90.0;
/// Later than this, the open loop was none.
const LATE_NS_MAX: u64 = 250_000_000;

/// Tells how busy the load generator was; too busy makes the result invalid.
pub(super) fn tell_cpu(
    first: Option<Cpu>,
    last: Option<Cpu>,
    seconds: f64,
    threads: u32,
    report: &mut Report,
) {
    if is_bottleneck(first, last, seconds, threads, report) {
        report.invalid(
            "the load generator's own core was the bottleneck: give it --threads, or a smaller load",
        );
    }
}

/// The same where connections are opened as fast as it goes: something has to be the limit of that. What each cost
/// the server is right all the same, but the rate says nothing about it.
pub(super) fn tell_limit(first: Option<Cpu>, last: Option<Cpu>, seconds: f64, report: &mut Report) {
    if is_bottleneck(first, last, seconds, 1, report) {
        report.row("what limited the rate", "the load generator's core, not the server");
    }
}

fn is_bottleneck(
    first: Option<Cpu>,
    last: Option<Cpu>,
    seconds: f64,
    threads: u32,
    report: &mut Report,
) -> bool {
    let (Some(first), Some(last)) = (first, last) else { return false };
    let busy = last.since(first).total_ns as f64 / 1e7 / seconds.max(1e-9);
    report.number("client_cpu_percent", "load generator CPU", busy, 1, "% of a core");
    busy > CPU_PERCENT_MAX * f64::from(threads)
}

/// Tells by how much the open loop was late at worst.
pub(super) fn tell_lag(late_ns: u64, report: &mut Report) {
    report.number("late_ms", "publishes late by at most", late_ns as f64 / 1e6, 2, "ms");
    if late_ns > LATE_NS_MAX {
        report.invalid("the schedule lagged: publishes were sent long after they were due");
    }
}
