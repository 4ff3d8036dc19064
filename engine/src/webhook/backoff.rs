//! How long to wait before the next attempt: full jitter, so that many senders do not come back in one moment.

use std::time::Duration;

/// The wait after so many failures in a row (from 1): anything from nothing to `min`, twice that, four times …, and to
/// `max` at most. What the backend asked for is waited for too, up to the same bound.
pub(super) fn wait(
    (min, max): (Duration, Duration),
    failures: u32,
    asked_for: Option<Duration>,
    random: u64,
) -> Duration {
    let doubled = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
    let longest = min.checked_mul(doubled).unwrap_or(max).min(max);
    let jittered = longest.mul_f64(random as f64 / u64::MAX as f64);
    jittered.max(asked_for.unwrap_or_default().min(max))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(60));

    #[test]
    fn the_longest_wait_doubles_up_to_its_bound() {
        let longest = |failures| wait(BOUNDS, failures, None, u64::MAX).as_millis();
        assert_eq!([1, 2, 3, 8].map(longest), [500, 1_000, 2_000, 60_000]);
        assert_eq!([32, 33, 34, u32::MAX].map(longest), [60_000; 4]);
        assert_eq!(wait(BOUNDS, 5, None, 0), Duration::ZERO);
        let half = wait(BOUNDS, 2, None, u64::MAX / 2).as_millis();
        assert!((499..=501).contains(&half), "{half}");
    }

    #[test]
    fn what_the_backend_asked_for_is_waited_for_up_to_the_bound() {
        let asked = |seconds| wait(BOUNDS, 1, Some(Duration::from_secs(seconds)), 0).as_secs();
        assert_eq!([0, 7, 3_600].map(asked), [0, 7, 60]);
        assert_eq!(
            wait(BOUNDS, 4, Some(Duration::from_secs(1)), u64::MAX).as_secs(),
            4,
            "the longer of both"
        );
    }
}
