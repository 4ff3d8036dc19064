//! How fast something grows, from what it really did: the rate over the last minute, and what that leaves to wait.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// What happened before is of no use for what comes next.
const WINDOW_MS: u64 = 60_000;
/// Two samples are at least so far apart, so that there are at most 32 of them.
const SPACING_MS: u64 = 2_000;
/// Longer than this is no estimate but a wild guess.
const SECONDS_MAX: f64 = 366.0 * 86_400.0;

/// A number that grows, and how fast.
///
/// Where news is scarce the minute becomes as long as it takes to have two samples; where there is none any more, the rate
/// falls with the time, so that what stands still does not promise an end.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Meter {
    samples: VecDeque<(u64, f64)>,
    newest: f64,
}

impl Meter {
    /// Begins, or begins anew, where the number is `value`.
    pub(super) fn since(at_ms: u64, value: f64) -> Self {
        Self { samples: VecDeque::from([(at_ms, value)]), newest: value }
    }

    /// What the number is now.
    pub(super) fn note(&mut self, at_ms: u64, value: f64) {
        let Some(&(last_ms, _)) = self.samples.back() else {
            *self = Self::since(at_ms, value);
            return;
        };
        if value < self.newest {
            // It was set back: how it came there tells nothing.
            *self = Self::since(at_ms, value);
            return;
        }
        self.newest = value;
        if at_ms >= last_ms + SPACING_MS {
            self.samples.push_back((at_ms, value));
        }
        while self.samples.len() > 2 && self.samples[1].0 + WINDOW_MS <= at_ms {
            self.samples.pop_front();
        }
    }

    /// How much it grows in a second; nothing before it has grown.
    pub(super) fn per_second(&self, now_ms: u64) -> Option<f64> {
        let &(since_ms, from) = self.samples.front()?;
        let (grown, passed_ms) = (self.newest - from, now_ms.saturating_sub(since_ms));
        (grown > 0.0 && passed_ms > 0).then(|| grown * 1_000.0 / passed_ms as f64)
    }

    /// Whole seconds until it is `goal`; nothing before it has grown, or where that is more than a year.
    pub(super) fn seconds_until(&self, goal: f64, now_ms: u64) -> Option<u64> {
        let seconds = (goal - self.newest).max(0.0) / self.per_second(now_ms)?;
        (seconds <= SECONDS_MAX).then(|| seconds.round() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_no_estimate_before_there_is_progress() {
        let mut meter = Meter::since(5_000, 0.0);
        assert_eq!((meter.per_second(65_000), meter.seconds_until(100.0, 65_000)), (None, None));
        meter.note(65_000, 0.0);
        assert_eq!(meter.seconds_until(100.0, 65_000), None);
        meter.note(65_000, 25.0);
        assert_eq!(meter.seconds_until(100.0, 65_000), Some(180), "elapsed / share - elapsed");
        assert_eq!(Meter::default().seconds_until(100.0, 1), None);
    }

    #[test]
    fn what_is_steady_is_told_exactly_and_what_is_done_needs_no_time() {
        let mut meter = Meter::since(0, 0.0);
        for second in 1..=600_u32 {
            let now_ms = u64::from(second) * 1_000;
            meter.note(now_ms, f64::from(second) * 3.0);
            assert_eq!(meter.per_second(now_ms), Some(3.0), "after {second} s");
            assert_eq!(meter.seconds_until(1_800.0, now_ms), Some(600 - u64::from(second)));
            assert!(meter.samples.len() <= 32, "{}", meter.samples.len());
        }
        assert_eq!(meter.seconds_until(1_000.0, 600_000), Some(0), "never negative");
    }

    #[test]
    fn only_the_last_minute_counts() {
        let mut meter = Meter::since(0, 0.0);
        (1..=100).for_each(|second| meter.note(second * 1_000, second as f64 * 10.0));
        (101..=160).for_each(|second| meter.note(second * 1_000, 1_000.0 + (second - 100) as f64));
        let rate = meter.per_second(160_000).unwrap();
        assert!((1.0..1.4).contains(&rate), "{rate}");
    }

    #[test]
    fn what_stands_still_promises_nothing() {
        let mut meter = Meter::since(0, 0.0);
        meter.note(10_000, 50.0);
        assert_eq!(meter.seconds_until(100.0, 10_000), Some(10));
        assert_eq!(meter.seconds_until(100.0, 100_000), Some(100));
        assert_eq!(meter.seconds_until(100.0, 10_000 * 86_400_000), None, "more than a year");
    }

    #[test]
    fn scarce_news_is_measured_over_more_than_a_minute() {
        let mut meter = Meter::since(0, 0.0);
        for hour in 1..=5_u64 {
            meter.note(hour * 3_600_000, hour as f64 * 10.0);
            let left = meter.seconds_until(100.0, hour * 3_600_000);
            assert_eq!(left, Some((10 - hour) * 3_600), "after {hour} h");
        }
    }

    #[test]
    fn what_was_set_back_begins_anew() {
        let mut meter = Meter::since(0, 0.0);
        meter.note(10_000, 90.0);
        meter.note(20_000, 10.0);
        assert_eq!(meter.per_second(21_000), None);
        meter.note(30_000, 20.0);
        assert_eq!(meter.per_second(30_000), Some(1.0));
    }
}
