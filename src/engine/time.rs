//! Owns how times are written: timestamps as PostgreSQL prints them, ISO 8601, and epoch numbers.
//! It has no clock. A time is a count of microseconds since the Unix epoch; a timestamp without a
//! zone is taken as UTC.

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

/// Days since the epoch of a date of the Gregorian calendar (after Howard Hinnant's algorithm).
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, of_year - (153 * shifted + 2) / 5 + 1)
}

/// ISO 8601 in UTC: `2024-05-01T10:00:00Z`, with a fraction only if there is one.
#[must_use]
pub fn iso(time: i64) -> String {
    let (year, month, day) = date(time.div_euclid(DAY));
    let of_day = time.rem_euclid(DAY);
    let (seconds, micros) = (of_day / SECOND, of_day % SECOND);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let fraction = match micros {
        0 => String::new(),
        micros => format!(".{micros:06}").trim_end_matches('0').to_owned(),
    };
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z")
}

/// A number of seconds since the epoch, or of milliseconds above 10^11.
#[must_use]
pub fn from_epoch(number: f64) -> Option<i64> {
    let seconds = if number.abs() > 1e11 { number / 1e3 } else { number };
    // Beyond that no timestamp of PostgreSQL reaches either.
    (seconds.abs() < 9e12).then_some((seconds * 1e6).round() as i64)
}

/// Reads a timestamp or a date as PostgreSQL's ISO style prints them, or an epoch number.
#[must_use]
pub fn parse(text: &str) -> Option<i64> {
    let text = text.trim();
    if let Some(midnight) = basic(text) {
        return Some(midnight);
    }
    if let Ok(number) = text.parse::<f64>() {
        return number.is_finite().then(|| from_epoch(number)).flatten();
    }
    let (date, rest) = text.split_at_checked(10)?;
    let mut parts = date.split('-').map(number);
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    if parts.next().is_some() {
        return None;
    }
    let midnight = midnight(year, month, day)?;
    let Some(clock) = rest.strip_prefix(['T', 't', ' ']) else {
        return rest.is_empty().then_some(midnight);
    };
    let zone_at = clock.find(['Z', 'z', '+', '-']).unwrap_or(clock.len());
    let (clock, zone) = clock.split_at(zone_at);
    Some(midnight + of_day(clock.trim_end())? - offset(zone)?)
}

/// `20240501`, as PostgreSQL takes it too. As a number of seconds it would lie in the year 1970.
fn basic(text: &str) -> Option<i64> {
    if text.len() != 8 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    midnight(number(&text[..4])?, number(&text[4..6])?, number(&text[6..])?)
}

/// The beginning of a day that there is.
fn midnight(year: i64, month: i64, day: i64) -> Option<i64> {
    let count = days(year, month, day);
    (date(count) == (year, month, day)).then_some(count * DAY)
}

/// Digits only, so that signs and blanks are no part of a date.
fn number(digits: &str) -> Option<i64> {
    let all_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    all_digits.then(|| digits.parse().ok()).flatten()
}

/// `10:00`, `10:00:00` or `10:00:00.5`.
fn of_day(clock: &str) -> Option<i64> {
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let mut parts = clock.split(':').map(number);
    let (hour, minute) = (parts.next()??, parts.next()??);
    let second = parts.next().unwrap_or(Some(0))?;
    if parts.next().is_some() || hour > 24 || minute > 59 || second > 60 {
        return None;
    }
    number(fraction)?;
    let micros = number(&format!("{fraction:0<6}")[..6])?;
    Some((hour * 3600 + minute * 60 + second) * SECOND + micros)
}

/// `Z`, `+02`, `-05:30`, `+0530` or nothing.
fn offset(zone: &str) -> Option<i64> {
    let sign = match zone.bytes().next() {
        None | Some(b'Z' | b'z') => return (zone.len() < 2).then_some(0),
        Some(b'-') => -1,
        _ => 1,
    };
    let digits: String = zone[1..].chars().filter(|character| *character != ':').collect();
    let part = |range| digits.get(range).map_or(Some(0), number);
    let length = digits.len();
    if !matches!(length, 2 | 4 | 6) {
        return None;
    }
    let of = |from: usize| if from < length { part(from..from + 2) } else { Some(0) };
    let (hours, minutes, seconds) = (of(0)?, of(2)?, of(4)?);
    // No zone of PostgreSQL's is further from UTC.
    let there_is = hours < 16 && minutes < 60 && seconds < 60;
    there_is.then_some(sign * (hours * 3600 + minutes * 60 + seconds) * SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn postgres_and_iso_forms_are_the_same_time() {
        let expected = 1_714_557_600 * SECOND;
        for text in [
            "2024-05-01T10:00:00Z",
            "2024-05-01 10:00:00+00",
            "2024-05-01 12:00:00+02",
            "2024-05-01 15:30:00.000+05:30",
            "2024-05-01 04:00:00-06:00:00",
            "2024-05-01 10:00",
            "1714557600",
            "1714557600000",
        ] {
            assert_eq!(parse(text), Some(expected), "{text}");
        }
        assert_eq!(parse("2024-05-01 10:00:00.25"), Some(expected + 250_000));
        assert_eq!(parse("20240501"), parse("2024-05-01"));
        assert_eq!(parse("2024-02-29"), parse("2024-03-01").map(|day| day - DAY));
        // Eight digits that are no day are a number.
        assert_eq!(parse("99999999"), Some(99_999_999 * SECOND));
        assert_eq!(parse("2024-05-01"), Some(expected - 10 * 3600 * SECOND));
        assert_eq!(iso(expected + 250_000), "2024-05-01T10:00:00.25Z");
        assert_eq!(iso(-SECOND), "1969-12-31T23:59:59Z");
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "",
            "soon",
            "2024-13-01",
            "2024-05-01 25:61",
            "2024-05-01x",
            "infinity",
            "NaN",
            "2024-05-01 10:00:00+0",
            "ääääääääää",
            "2023-02-29",
            "2020-02-30 10:00:00",
            "2020-04-31",
            "2020-00-10",
            "2020-01-01T00:00:00+99:00",
            "2020-01-01 00:00:00+01:60",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn milliseconds_begin_above_ten_to_the_eleventh() {
        assert_eq!(from_epoch(1e11), Some(100_000_000_000 * SECOND));
        assert_eq!(from_epoch(1.714_557_6e12), Some(1_714_557_600 * SECOND));
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(time in -60_000_000_000_i64 * SECOND..250_000_000_000 * SECOND) {
            prop_assert_eq!(parse(&iso(time)), Some(time));
        }

        #[test]
        fn never_panics(text in "\\PC{0,30}|[0-9:.+TZ -]{0,30}") {
            let _ = parse(&text);
        }
    }
}
