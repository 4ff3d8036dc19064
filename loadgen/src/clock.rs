//! Time: nanoseconds since this process began, and the moments at which an open loop means to publish.

use std::time::{Duration, Instant};

/// A monotonic clock that counts nanoseconds from its own start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    /// Starts counting.
    pub(crate) fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// Nanoseconds since the start.
    pub(crate) fn now(&self) -> u64 {
        nanos(self.start.elapsed())
    }
}

/// A duration as whole nanoseconds, at most `u64::MAX` (584 years).
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The intended moments of an open loop: message `i` is due at `begin + i / rate`, whatever happened to the
/// ones before it. Latency counted from these moments shows a stalled server as what it is, instead of
/// leaving out the messages that could not be sent meanwhile (coordinated omission).
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    begin: u64,
    rate: f64,
    next: u64,
}

impl Schedule {
    /// `rate` messages per second from `begin` (nanoseconds of the [`Clock`]) on; `rate` is positive.
    pub(crate) fn new(begin: u64, rate: f64) -> Self {
        Self { begin, rate, next: 0 }
    }

    /// When the next message is due.
    pub(crate) fn due(&self) -> u64 {
        // Computed from the index each time, so that rounding never adds up.
        self.begin + (self.next as f64 * 1e9 / self.rate) as u64
    }

    /// Takes the next message's intended moment if it has come.
    pub(crate) fn take(&mut self, now: u64) -> Option<u64> {
        let due = self.due();
        (due <= now).then(|| {
            self.next += 1;
            due
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_loop_keeps_its_moments_after_a_stall() {
        let mut schedule = Schedule::new(1_000, 1_000_000.0);
        assert_eq!(schedule.take(999), None);
        assert_eq!(schedule.take(1_000), Some(1_000));
        assert_eq!(schedule.take(1_500), None);
        let late: Vec<u64> = std::iter::from_fn(|| schedule.take(4_000)).collect();
        assert_eq!(late, [2_000, 3_000, 4_000]);
    }

    #[test]
    fn a_rate_that_divides_badly_does_not_drift() {
        let mut schedule = Schedule::new(0, 3.0);
        let mut last = 0;
        for _ in 0..=3_000 {
            last = schedule.take(u64::MAX).unwrap();
        }
        assert_eq!(last, 1_000_000_000_000);
    }
}
