//! What a run is doing while it does it: a line that is written over on a terminal, a line every five seconds
//! elsewhere.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// When something is told at the latest.
const FIRST: Duration = Duration::from_secs(2);

/// Tells how far a run has come, on standard error.
pub(crate) struct Progress {
    terminal: bool,
    every: Duration,
    told: Instant,
    /// Since when `deliveries` counts.
    counted: Instant,
    deliveries: u64,
    anything: bool,
}

/// Where a run stands.
#[derive(Clone, Copy)]
pub(crate) struct Standing<'s> {
    /// `warm-up`, `measuring`, `draining`.
    pub(crate) phase: &'s str,
    /// How much of the phase is over, 0 to 1.
    pub(crate) part: f64,
    /// Seconds of the phase that are left.
    pub(crate) left_s: f64,
    /// Messages received so far.
    pub(crate) deliveries: u64,
    /// The 99th percentile of the latency so far, in nanoseconds.
    pub(crate) p99_ns: u64,
    /// Connections lost or refused so far.
    pub(crate) failures: u64,
}

impl Standing<'_> {
    /// Of a run that began, warms up until `from` and measures until `to`, in clock nanoseconds.
    pub(crate) fn of_run((begin, from, to): (u64, u64, u64), now: u64) -> Self {
        Self {
            phase: if now < from { "warm-up" } else { "measuring" },
            part: now.saturating_sub(begin) as f64 / to.saturating_sub(begin).max(1) as f64,
            left_s: to.saturating_sub(now) as f64 / 1e9,
            deliveries: 0,
            p99_ns: 0,
            failures: 0,
        }
    }
}

impl Progress {
    /// Nothing told yet.
    pub(crate) fn new() -> Self {
        let terminal = std::io::stderr().is_terminal();
        let every = if terminal { Duration::from_millis(500) } else { Duration::from_secs(5) };
        // The first word comes early: whoever waits longer than that wonders.
        let told = Instant::now().checked_sub(every.saturating_sub(FIRST)).unwrap_or_else(Instant::now);
        Self { terminal, every, told, counted: Instant::now(), deliveries: 0, anything: false }
    }

    /// Whether it is time to tell something.
    pub(crate) fn is_due(&self) -> bool {
        self.told.elapsed() >= self.every
    }

    /// Tells how many connections are open.
    pub(crate) fn tell_opening(&mut self, open: u64, failures: u64, all: u32, spent_ns: u64) {
        let part = (open + failures) as f64 / f64::from(all.max(1));
        let left_s = spent_ns as f64 / 1e9 * (1.0 / part.max(1e-6) - 1.0);
        let line = format!("{}  {open} of {all} connections", bar("opening", part, left_s));
        self.say(&line, failures);
    }

    /// Tells where the run stands.
    pub(crate) fn tell(&mut self, standing: Standing<'_>) {
        let seconds = self.counted.elapsed().as_secs_f64();
        let rate = standing.deliveries.saturating_sub(self.deliveries) as f64 / seconds.max(1e-3);
        self.counted = Instant::now();
        self.deliveries = standing.deliveries;
        self.say(&line(standing, rate), standing.failures);
    }

    fn say(&mut self, line: &str, failures: u64) {
        (self.told, self.anything) = (Instant::now(), true);
        let failures = if failures > 0 { format!("  {failures} failures") } else { String::new() };
        // A progress line that cannot be written is not worth ending a measurement for.
        let mut out = std::io::stderr().lock();
        let _ = if self.terminal {
            write!(out, "\r{line}{failures}\x1b[K")
        } else {
            writeln!(out, "{line}{failures}")
        };
        let _ = out.flush();
    }

    /// Makes way for the report.
    pub(crate) fn end(&self) {
        if self.terminal && self.anything {
            let _ = write!(std::io::stderr().lock(), "\r\x1b[K");
        }
    }
}

fn line(standing: Standing<'_>, rate: f64) -> String {
    format!(
        "{}  {rate:>9.0} deliveries/s  p99 {:.2} ms",
        bar(standing.phase, standing.part, standing.left_s),
        standing.p99_ns as f64 / 1e6,
    )
}

fn bar(phase: &str, part: f64, left_s: f64) -> String {
    const CELLS: usize = 20;
    let full = ((part.clamp(0.0, 1.0) * CELLS as f64) as usize).min(CELLS);
    format!("{phase:<9} [{}{}] {left_s:>4.0} s left", "#".repeat(full), ".".repeat(CELLS - full))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_far_and_how_fast() {
        let standing = Standing {
            phase: "measuring",
            part: 0.5,
            left_s: 5.0,
            deliveries: 7,
            p99_ns: 4_200_000,
            failures: 3,
        };
        let line = line(standing, 1_234.0);
        for part in ["measuring", "[##########..........]", "5 s left", "1234 deliveries/s", "p99 4.20 ms"] {
            assert!(line.contains(part), "{line}");
        }
    }
}
