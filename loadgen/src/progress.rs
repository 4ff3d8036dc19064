//! What a run is doing while it does it: a line that is written over on a terminal, a line every five seconds
//! elsewhere.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Tells how far a run has come, on standard error.
pub(crate) struct Progress {
    terminal: bool,
    every: Duration,
    told: Instant,
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

impl Progress {
    /// Nothing told yet.
    pub(crate) fn new() -> Self {
        let terminal = std::io::stderr().is_terminal();
        let every = if terminal { Duration::from_millis(500) } else { Duration::from_secs(5) };
        Self { terminal, every, told: Instant::now(), deliveries: 0, anything: false }
    }

    /// Whether it is time to tell something.
    pub(crate) fn is_due(&self) -> bool {
        self.told.elapsed() >= self.every
    }

    /// Tells where the run stands.
    pub(crate) fn tell(&mut self, standing: Standing<'_>) {
        let seconds = self.told.elapsed().as_secs_f64();
        let rate = standing.deliveries.saturating_sub(self.deliveries) as f64 / seconds.max(1e-3);
        (self.told, self.deliveries, self.anything) = (Instant::now(), standing.deliveries, true);
        let line = line(standing, rate);
        // A progress line that cannot be written is not worth ending a measurement for.
        let mut out = std::io::stderr().lock();
        let _ = if self.terminal { write!(out, "\r{line}\x1b[K") } else { writeln!(out, "{line}") };
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
    const CELLS: usize = 20;
    let full = ((standing.part.clamp(0.0, 1.0) * CELLS as f64) as usize).min(CELLS);
    let failures =
        if standing.failures > 0 { format!("  {} failures", standing.failures) } else { String::new() };
    format!(
        "{:<9} [{}{}] {:>4.0} s left  {:>9.0} deliveries/s  p99 {:.2} ms{failures}",
        standing.phase,
        "#".repeat(full),
        ".".repeat(CELLS - full),
        standing.left_s,
        rate,
        standing.p99_ns as f64 / 1e6,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_far_how_fast_and_what_failed() {
        let standing = Standing {
            phase: "measuring",
            part: 0.5,
            left_s: 5.0,
            deliveries: 7,
            p99_ns: 4_200_000,
            failures: 3,
        };
        let line = line(standing, 1_234.0);
        for part in [
            "measuring",
            "[##########..........]",
            "5 s left",
            "1234 deliveries/s",
            "p99 4.20 ms",
            "3 failures",
        ] {
            assert!(line.contains(part), "{line}");
        }
    }
}
