//! Time as text: RFC 3339 with milliseconds, always in UTC (`2026-11-20T10:30:00.123Z`).

const MS_PER_DAY: u64 = 86_400_000;
/// 9999-12-31T23:59:59.999Z: RFC 3339 has no later year.
const UNIX_MS_MAX: u64 = 253_402_300_799_999;

/// The 24 bytes of ASCII for a number of milliseconds since 1970; after the year 9999, its last instant.
pub(crate) fn rfc3339(unix_ms: u64) -> [u8; 24] {
    let unix_ms = unix_ms.min(UNIX_MS_MAX);
    let (year, month, day) = date(unix_ms / MS_PER_DAY);
    let ms_of_day = unix_ms % MS_PER_DAY;
    let mut text = *b"0000-00-00T00:00:00.000Z";
    digits(&mut text[0..4], year);
    digits(&mut text[5..7], month);
    digits(&mut text[8..10], day);
    digits(&mut text[11..13], ms_of_day / 3_600_000);
    digits(&mut text[14..16], ms_of_day / 60_000 % 60);
    digits(&mut text[17..19], ms_of_day / 1_000 % 60);
    digits(&mut text[20..23], ms_of_day % 1_000);
    text
}

/// Year, month and day of a number of days since 1970, in the Gregorian calendar.
///
/// Counted in years that begin on the first of March, so that a leap day is the last of its year, and in
/// cycles of 400 such years, which all have 146,097 days.
fn date(days_since_1970: u64) -> (u64, u64, u64) {
    // 1970-01-01 is day 719,468 when 0000-03-01 is day 0.
    let days = days_since_1970 + 719_468;
    let (cycle, day_of_cycle) = (days / 146_097, days % 146_097);
    // A year too few per leap day passed: every 4 years, but not every 100, but every 400.
    let leap_days = day_of_cycle / 1_460 - day_of_cycle / 36_524 + day_of_cycle / 146_096;
    let year_of_cycle = (day_of_cycle - leap_days) / 365;
    let day_of_year = day_of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    // From March, months have 31 30 31 30 31 days, over and over: 153 in five.
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (cycle * 400 + year_of_cycle + u64::from(month <= 2), month, day)
}

fn digits(place: &mut [u8], mut number: u64) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(unix_ms: u64) -> String {
        String::from_utf8(rfc3339(unix_ms).to_vec()).unwrap()
    }

    #[test]
    fn known_instants() {
        assert_eq!(text(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(text(951_782_400_000), "2000-02-29T00:00:00.000Z");
        assert_eq!(text(1_709_251_199_999), "2024-02-29T23:59:59.999Z");
        assert_eq!(text(1_763_634_600_123), "2025-11-20T10:30:00.123Z");
        assert_eq!(text(4_107_542_400_000), "2100-03-01T00:00:00.000Z");
        assert_eq!(text(UNIX_MS_MAX), "9999-12-31T23:59:59.999Z");
        assert_eq!(text(u64::MAX), text(UNIX_MS_MAX));
    }

    #[test]
    fn every_day_follows_the_day_before() {
        let leap =
            |year: u64| (year.is_multiple_of(4) && !year.is_multiple_of(100)) || year.is_multiple_of(400);
        let (mut year, mut month, mut day) = (1970, 1, 1);
        for days in 0..=UNIX_MS_MAX / MS_PER_DAY {
            assert_eq!(date(days), (year, month, day));
            let length = match month {
                2 => 28 + u64::from(leap(year)),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            day += 1;
            if day > length {
                (month, day) = (month + 1, 1);
            }
            if month > 12 {
                (year, month) = (year + 1, 1);
            }
        }
    }
}
