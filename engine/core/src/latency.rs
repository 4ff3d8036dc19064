//! A histogram of durations that costs two additions a sample.

/// Buckets of half a power of two, from 1 us to over an hour.
#[derive(Clone, Debug)]
pub struct Latency {
    counts: [u64; 64],
    sum_us: u64,
}

impl Default for Latency {
    fn default() -> Self {
        Self { counts: [0; 64], sum_us: 0 }
    }
}

impl Latency {
    /// Counts one duration.
    pub fn record(&mut self, us: u64) {
        let us = us.max(1);
        let octave = us.ilog2();
        let upper_half = us >= (3 << octave) / 2 && octave > 0;
        let index = (octave * 2 + u32::from(upper_half)).min(63);
        self.counts[index as usize] += 1;
        self.sum_us += us;
    }

    /// Each bucket's upper bound in microseconds, and how many durations were below it and above the last.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64)> {
        self.counts.iter().zip(0_u32..).map(|(&count, index)| (upper_us(index), count))
    }

    /// All durations together, in microseconds.
    pub fn sum_us(&self) -> u64 {
        self.sum_us
    }
}

/// The first microsecond that is beyond bucket `index`.
fn upper_us(index: u32) -> u64 {
    let octave = index / 2;
    if index.is_multiple_of(2) { ((3_u64 << octave) / 2).max(2) } else { 2 << octave }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_duration_is_below_its_bucket_and_above_the_one_before() {
        for us in (1..5_000).chain([1 << 20, (1 << 20) + 1, 3 << 19, u64::from(u32::MAX) / 2]) {
            let mut latency = Latency::default();
            latency.record(us);
            let buckets: Vec<_> = latency.buckets().collect();
            let at = buckets.iter().position(|(_, count)| *count == 1).unwrap();
            assert!(us < buckets[at].0, "{us} is in the bucket below {}", buckets[at].0);
            let below = (0..at).rev().map(|other| buckets[other].0).find(|upper| *upper < buckets[at].0);
            assert!(us >= below.unwrap_or(0), "{us}");
        }
    }
}
