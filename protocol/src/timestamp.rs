//! Time as text: RFC 3339 with milliseconds, always in UTC (`2026-11-20T10:30:00.123Z`).

const MS_PER_DAY: u64 = 86_400_000;
/// 9999-12-31T23:59:59.999Z: RFC 3339 has no later year.
const UNIX_MS_MAX: u64 = 253_402_300_799_999;

/// The 24 bytes of ASCII for a number of milliseconds since 1970; after the year 9999, its last instant.
pub fn rfc3339(unix_ms: u64) -> [u8; 24] {
    let unix_ms = unix_ms.min(UNIX_MS_MAX);
    let (year, month, day) = date(unix_ms / MS_PER_DAY);
    let ms_of_day = unix_ms % MS_PER_DAY;
    let mut text = *b"0000-00-00T00:00:00.000Z";
    let mut pair = |at: usize, number: u64| text[at..at + 2].copy_from_slice(&two_digits(number));
    pair(0, year / 100);
    pair(2, year % 100);
    pair(5, month);
    pair(8, day);
    pair(11, ms_of_day / 3_600_000);
    pair(14, ms_of_day / 60_000 % 60);
    pair(17, ms_of_day / 1_000 % 60);
    pair(20, ms_of_day % 1_000 / 10);
    text[22] = two_digits(ms_of_day % 10)[1];
    text
}

/// The same as a text of its own.
pub fn rfc3339_text(unix_ms: u64) -> String {
    String::from_utf8_lossy(&rfc3339(unix_ms)).into_owned()
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

/// The milliseconds since 1970 of an RFC 3339 time with any offset; 0 for one before that. Fractions beyond milliseconds are cut
/// off, and a leap second counts as the one before it.
///
/// ```
/// use fanfare_protocol::timestamp::parse_rfc3339;
/// assert_eq!(parse_rfc3339("1970-01-01T01:00:00.5+01:00"), Some(500));
/// assert_eq!(parse_rfc3339("today"), None);
/// ```
pub fn parse_rfc3339(text: &str) -> Option<u64> {
    let number = |from: usize, to: usize| {
        let digits = text.get(from..to).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
        digits.parse::<u64>().ok()
    };
    let stands = |at: usize, what: &[u8]| text.as_bytes().get(at).is_some_and(|byte| what.contains(byte));
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let marks =
        stands(4, b"-") && stands(7, b"-") && stands(10, b"Tt ") && stands(13, b":") && stands(16, b":");
    if !marks || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let second = second.min(59);
    // As a day of a year that is like it: the calendar repeats every 400 years.
    let is_early = year < 1_970;
    let days = days_since_1970(if is_early { year + 2_000 } else { year }, month, day)?;
    let (mut at, mut ms) = (19, 0);
    if stands(at, b".") {
        let fraction = text[at + 1..].bytes().take_while(u8::is_ascii_digit).count();
        if fraction == 0 {
            return None;
        }
        for (place, worth) in [100, 10, 1].into_iter().enumerate().take(fraction) {
            ms += number(at + 1 + place, at + 2 + place)? * worth;
        }
        at += 1 + fraction;
    }
    let local = days * MS_PER_DAY + hour * 3_600_000 + minute * 60_000 + second * 1_000 + ms;
    let time = match &text[at..] {
        "Z" | "z" => Some(local),
        zone if zone.len() == 6 && stands(at + 3, b":") => {
            let (hours, minutes) = (number(at + 1, at + 3)?, number(at + 4, at + 6)?);
            let offset = (hours < 24 && minutes < 60).then_some(hours * 3_600_000 + minutes * 60_000)?;
            match text.as_bytes()[at] {
                b'+' => Some(local.saturating_sub(offset)),
                b'-' => Some(local + offset),
                _ => None,
            }
        }
        _ => None,
    };
    time.map(|unix_ms| if is_early { 0 } else { unix_ms })
}

/// The inverse of [`date`]; nothing for a day that is none.
fn days_since_1970(year: u64, month: u64, day: u64) -> Option<u64> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let from_march = (month + 9) % 12;
    let year_from_march = year - u64::from(month <= 2);
    let leap_days = year_from_march / 4 - year_from_march / 100 + year_from_march / 400;
    let days = year_from_march * 365 + leap_days + (153 * from_march + 2) / 5 + day - 1 - 719_468;
    (date(days) == (year, month, day)).then_some(days)
}

/// Without a loop, since every envelope has a time in it: loops made it a quarter of what an envelope costs.
fn two_digits(number: u64) -> [u8; 2] {
    debug_assert!(number < 100);
    [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(unix_ms: u64) -> String {
        String::from_utf8(rfc3339(unix_ms).to_vec()).unwrap()
    }

    #[test]
    fn what_was_written_is_read() {
        for unix_ms in (0..4_000_000_000_000).step_by(86_399_873_217 / 7) {
            assert_eq!(parse_rfc3339(&text(unix_ms)), Some(unix_ms));
        }
        assert_eq!(parse_rfc3339("2026-11-20T10:30:00Z"), parse_rfc3339("2026-11-20T12:30:00.0009+02:00"));
        for early in ["1969-12-31T23:59:59Z", "1970-01-01T00:00:00+01:00", "0001-02-03T04:05:06Z"] {
            assert_eq!(parse_rfc3339(early), Some(0), "{early}");
        }
        assert_eq!(parse_rfc3339("2016-12-31T23:59:60Z"), parse_rfc3339("2016-12-31T23:59:59Z"));
        for bad in [
            "",
            "2026-11-20",
            "2026-11-20T10:30:00",
            "2026-02-29T10:30:00Z",
            "2026-13-01T10:30:00Z",
            "2026-00-01T10:30:00Z",
            "2026-11-31T10:30:00Z",
            "2026-11-20T24:30:00Z",
            "2026-11-20T10:30:61Z",
            "1900-02-29T10:30:00Z",
            "2026-11-20T10:30:00.Z",
            "2026-11-20T10:30:00+0200",
            "2026-11-20T10:30:00Zé",
            "éééééééééééééééé",
        ] {
            assert_eq!(parse_rfc3339(bad), None, "{bad}");
        }
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
