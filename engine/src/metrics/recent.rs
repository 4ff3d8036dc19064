//! How much was done in the last few seconds, from a few samples of counts that only rise.

use std::collections::VecDeque;
use std::time::Duration;

/// Between two samples at least.
const EVERY: Duration = Duration::from_secs(1);
/// So many are remembered: what is told is of this many seconds, or of all there were.
const SAMPLES: usize = 5;
/// Over less than this nothing is told: a few microseconds of work would look like a lot.
const SHORTEST: Duration = Duration::from_millis(50);

/// Counts since the start.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sample {
    /// When, since the start.
    pub(super) at: Duration,
    /// CPU time of all threads.
    pub(super) cpu: Duration,
    pub(super) published: u64,
    pub(super) delivered: u64,
}

/// What was done in a second, on average.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Pace {
    /// 100: one core was busy all the time.
    pub(super) cpu_percent: f64,
    pub(super) published: f64,
    pub(super) delivered: f64,
}

/// The latest samples, oldest first.
#[derive(Debug)]
pub(super) struct Recent(VecDeque<Sample>);

impl Recent {
    /// Begins with a first sample.
    pub(super) fn new(first: Sample) -> Self {
        let mut samples = VecDeque::with_capacity(SAMPLES);
        samples.push_back(first);
        Self(samples)
    }

    /// Whether it is time for another one.
    pub(super) fn is_due(&self, at: Duration) -> bool {
        self.0.back().is_none_or(|last| at.saturating_sub(last.at) >= EVERY)
    }

    /// Remembers one; the oldest goes.
    pub(super) fn note(&mut self, sample: Sample) {
        if self.0.len() == SAMPLES {
            self.0.pop_front();
        }
        self.0.push_back(sample);
    }

    /// What was done since the oldest.
    pub(super) fn until(&self, now: Sample) -> Pace {
        let Some(then) = self.0.front() else { return Pace::default() };
        let elapsed = now.at.saturating_sub(then.at);
        if elapsed < SHORTEST {
            return Pace::default();
        }
        let seconds = elapsed.as_secs_f64();
        let rate = |now: u64, then: u64| hundredths(now.saturating_sub(then) as f64 / seconds);
        Pace {
            cpu_percent: hundredths(now.cpu.saturating_sub(then.cpu).as_secs_f64() * 100.0 / seconds),
            published: rate(now.published, then.published),
            delivered: rate(now.delivered, then.delivered),
        }
    }
}

/// More digits would only look exact.
fn hundredths(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(seconds: u64, published: u64) -> Sample {
        let at = Duration::from_secs(seconds);
        Sample { at, cpu: at / 4, published, delivered: published * 10 }
    }

    #[test]
    fn the_last_seconds_count_and_what_was_before_does_not() {
        let mut recent = Recent::new(Sample::default());
        assert_eq!(recent.until(Sample { published: 7, ..Sample::default() }), Pace::default(), "no time");
        for second in 1..60 {
            assert!(recent.is_due(Duration::from_secs(second)), "{second}");
            // 100 a second, and from the fiftieth on 20.
            recent.note(sample(second, 100 * second.min(50) + 20 * second.saturating_sub(50)));
            assert!(!recent.is_due(Duration::from_millis(second * 1_000 + 999)));
        }
        let pace = recent.until(sample(60, 5_200));
        assert_eq!(pace, Pace { cpu_percent: 25.0, published: 20.0, delivered: 200.0 });
    }

    #[test]
    fn it_is_of_a_few_seconds_however_long_nobody_took_a_sample() {
        let mut recent = Recent::new(Sample::default());
        let pace = recent.until(sample(2, 3));
        assert_eq!((pace.published, pace.delivered), (1.5, 15.0));
        recent.note(sample(1_000, 5));
        assert!(recent.0.len() <= SAMPLES);
        assert_eq!(recent.until(sample(0, 0)), Pace::default(), "a clock that goes back");
    }
}
