//! Times as people write them: `250ms`, `10s`, `5m`, `1h`.

use std::time::Duration;

/// Reads `250ms`, `10s`, `5m` or `1h`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let millis_per_unit = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err("a time is a whole number and a unit: 250ms, 10s, 5m, 1h".into()),
    };
    let number: u64 = number.parse().map_err(|_| "a time begins with a whole number: 250ms, 10s, 5m, 1h")?;
    let millis = number.checked_mul(millis_per_unit).filter(|millis| *millis <= 24 * 3_600_000);
    millis.map(Duration::from_millis).ok_or_else(|| "a time is at most 24h".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_their_units() {
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(duration("24h"), Ok(Duration::from_secs(86_400)));
        for bad in ["", "10", "s", "1.5s", "-1s", "25h", "99999999999999999999s", "18446744073709551615h"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
