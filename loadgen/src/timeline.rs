//! What happened when: latency and counts of each part of the measurement.

use hdrhistogram::Histogram;

/// Parts of a run at most; a long run has longer parts.
const PARTS_MAX: u64 = 600;
const SECOND_NS: u64 = 1_000_000_000;

/// One part of the measurement.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    /// Publish to delivery of messages meant to be sent in this part, in nanoseconds.
    pub(crate) latency: Histogram<u64>,
    /// Messages meant to be sent in this part that were delivered, once for each member.
    pub(crate) deliveries: u64,
}

/// The measurement in parts of equal length, a second each unless it is very long.
#[derive(Clone, Debug)]
pub(crate) struct Timeline {
    begin: u64,
    /// Nanoseconds of one part.
    part_ns: u64,
    pub(crate) parts: Vec<Part>,
}

impl Timeline {
    /// A timeline from `begin` to `end`, in nanoseconds of the run's clock.
    ///
    /// # Errors
    /// The histogram's bounds are wrong (never).
    pub(crate) fn new(begin: u64, end: u64) -> Result<Self, String> {
        let seconds = end.saturating_sub(begin).div_ceil(SECOND_NS).max(1);
        let part_ns = seconds.div_ceil(PARTS_MAX) * SECOND_NS;
        let count = (seconds * SECOND_NS).div_ceil(part_ns) as usize;
        // Two digits are enough for a line in a picture, and a tenth of the memory.
        let latency =
            Histogram::new_with_bounds(1_000, 600_000_000_000, 2).map_err(|error| format!("{error:?}"))?;
        Ok(Self { begin, part_ns, parts: vec![Part { latency, deliveries: 0 }; count] })
    }

    /// A delivery of a message that was meant to be sent at `intended`, within the measurement.
    #[inline]
    pub(crate) fn delivered(&mut self, intended: u64, latency_ns: u64) {
        let index = (intended.saturating_sub(self.begin) / self.part_ns) as usize;
        if let Some(part) = self.parts.get_mut(index) {
            part.latency.saturating_record(latency_ns);
            part.deliveries += 1;
        }
    }

    /// Adds what another thread counted over the same measurement.
    ///
    /// # Errors
    /// The histograms' bounds differ (never).
    pub(crate) fn add(&mut self, other: &Self) -> Result<(), String> {
        for (part, other) in self.parts.iter_mut().zip(&other.parts) {
            part.deliveries += other.deliveries;
            part.latency.add(&other.latency).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// Seconds of one part.
    pub(crate) fn part_s(&self) -> f64 {
        self.part_ns as f64 / 1e9
    }

    /// The parts as lines of comma-separated values, with a heading.
    pub(crate) fn csv(&self) -> String {
        let mut text = String::from("second,deliveries_per_second,p50_us,p99_us,max_us\n");
        for (number, part) in self.parts.iter().enumerate() {
            let us = |quantile| part.latency.value_at_quantile(quantile) as f64 / 1e3;
            text += &format!(
                "{:.0},{:.1},{:.1},{:.1},{:.1}\n",
                number as f64 * self.part_s(),
                part.deliveries as f64 / self.part_s(),
                us(0.5),
                us(0.99),
                us(1.0),
            );
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deliveries_fall_into_the_second_in_which_they_were_due() {
        let mut timeline = Timeline::new(5 * SECOND_NS, 8 * SECOND_NS).unwrap();
        timeline.delivered(5 * SECOND_NS, 1_000_000);
        timeline.delivered(8 * SECOND_NS - 1, 3_000_000);
        timeline.delivered(8 * SECOND_NS, 9_000_000);
        let counts: Vec<u64> = timeline.parts.iter().map(|part| part.deliveries).collect();
        assert_eq!(counts, [1, 0, 1]);
        let csv = timeline.csv();
        assert_eq!(csv.lines().count(), 4);
        assert!(csv.lines().nth(1).unwrap().starts_with("0,1.0,1"), "{csv}");
    }

    #[test]
    fn a_long_run_has_longer_parts() {
        let timeline = Timeline::new(0, 2 * 3_600 * SECOND_NS).unwrap();
        assert_eq!((timeline.parts.len(), timeline.part_s()), (600, 12.0));
    }
}
