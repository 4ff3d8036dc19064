//! A token bucket in whole numbers: eight bytes a connection.

/// How fast commands may come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    /// Commands a minute; 0: no limit.
    pub(crate) per_minute: u32,
    /// Commands at once.
    pub(crate) burst: u32,
}

/// What one connection has used of its rate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    /// Debt in units of 1/60,000 command (so that one millisecond earns `per_minute` units).
    debt: u64,
    at_ms: u64,
}

const UNITS: u64 = 60_000;

impl Bucket {
    pub(crate) fn new(now_ms: u64) -> Self {
        Self { debt: 0, at_ms: now_ms }
    }

    /// Takes one command, if the rate allows it.
    pub(crate) fn take(&mut self, now_ms: u64, rate: Rate) -> bool {
        if rate.per_minute == 0 {
            return true;
        }
        let earned = now_ms.saturating_sub(self.at_ms).saturating_mul(u64::from(rate.per_minute));
        self.debt = self.debt.saturating_sub(earned);
        self.at_ms = self.at_ms.max(now_ms);
        if self.debt + UNITS > u64::from(rate.burst.max(1)) * UNITS {
            return false;
        }
        self.debt += UNITS;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_then_the_rate_holds() {
        let rate = Rate { per_minute: 60, burst: 10 };
        let mut bucket = Bucket::new(5_000);
        let passed = (0..100).filter(|_| bucket.take(5_000, rate)).count();
        assert_eq!(passed, 10);
        assert!(!bucket.take(5_999, rate));
        assert!(bucket.take(6_000, rate));
        assert!(!bucket.take(6_000, rate));
        // A clock that goes back gives nothing away.
        assert!(!bucket.take(0, rate));
        assert_eq!((0..100).filter(|_| bucket.take(700_000, rate)).count(), 10);
    }

    #[test]
    fn no_rate_means_no_limit() {
        let mut bucket = Bucket::new(0);
        assert!((0..1_000).all(|_| bucket.take(0, Rate { per_minute: 0, burst: 0 })));
    }
}
