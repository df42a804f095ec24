//! Owns when a failed request is tried again. It has neither a clock nor a source of randomness:
//! both are passed in.

use std::time::Duration;

use crate::time;

/// The first delay; each further one doubles.
const FIRST: Duration = Duration::from_secs(2);
/// No delay of our own is longer.
const LONGEST: Duration = Duration::from_secs(3600);
/// No wait that a server asks for is longer.
const LONGEST_ASKED: Duration = Duration::from_secs(24 * 3600);
/// No delay is shorter, or jitter could mean at once.
const SHORTEST: Duration = Duration::from_secs(1);

/// How long to wait after the failed attempt of this number, the first being 0: full jitter over
/// 2 s doubled each time, at most an hour; never less than what the server asked for, of which
/// at most 24 hours are granted. `random` is any number, evenly distributed.
#[must_use]
pub fn delay(attempt: u32, random: u64, asked: Option<Duration>) -> Duration {
    // 2^11 times the first delay is above the longest.
    let most = FIRST.saturating_mul(1 << attempt.min(11)).min(LONGEST);
    let millis = u64::try_from(most.as_millis()).unwrap_or(u64::MAX).max(1);
    let jittered = Duration::from_millis(random % (millis + 1)).max(SHORTEST);
    asked.map_or(jittered, |asked| asked.min(LONGEST_ASKED).max(jittered))
}

/// Reads a Retry-After header: seconds, or one of the three forms of an HTTP date (RFC 9110).
/// `now` is in microseconds since the Unix epoch. A date that has passed asks for no wait.
#[must_use]
pub fn retry_after(header: &str, now: i64) -> Option<Duration> {
    let header = header.trim();
    if !header.is_empty() && header.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than a number holds are still more than we grant.
        let seconds = header.parse().unwrap_or(u64::MAX);
        return Some(Duration::from_secs(seconds).min(LONGEST_ASKED));
    }
    let until = http_date(header, now)?;
    let micros = u64::try_from(until.saturating_sub(now)).unwrap_or(0);
    Some(Duration::from_micros(micros).min(LONGEST_ASKED))
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`, `Sunday, 06-Nov-94 08:49:37 GMT`, `Sun Nov  6 08:49:37 1994`.
fn http_date(text: &str, now: i64) -> Option<i64> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let text = text.strip_suffix(" GMT").unwrap_or(text);
    let parts: Vec<&str> = match text.split_once(", ") {
        Some((_, dated)) => dated.split([' ', '-']).collect(),
        None => text.split_whitespace().skip(1).collect(),
    };
    let (day, month, year, clock) = match (text.contains(", "), parts.as_slice()) {
        (true, [day, month, year, clock]) => (day, month, year, clock),
        (false, [month, day, clock, year]) => (day, month, year, clock),
        _ => return None,
    };
    let month = MONTHS.iter().position(|name| name.eq_ignore_ascii_case(month))? + 1;
    let day: u8 = day.parse().ok()?;
    let mut full: i32 = year.parse().ok()?;
    if year.len() == 2 {
        // Two digits mean the year of that ending that is not more than 50 years ahead.
        let this: i32 = time::iso(now).get(..4)?.parse().ok()?;
        full += this - this % 100;
        if full > this + 50 {
            full -= 100;
        }
    }
    time::parse(&format!("{full:04}-{month:02}-{day:02}T{clock}Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sun, 06 Nov 1994 08:49:37 GMT.
    const THEN: i64 = 784_111_777 * 1_000_000;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn delays_double_up_to_an_hour_with_full_jitter() {
        for (attempt, most) in [(0, 2), (1, 4), (2, 8), (6, 128), (11, 3600), (99, 3600)] {
            // The greatest random number that maps to the whole span.
            assert_eq!(delay(attempt, most * 1000, None), seconds(most), "attempt {attempt}");
            assert_eq!(delay(attempt, most * 500, None), seconds(most) / 2);
            assert!(delay(attempt, u64::MAX, None) <= seconds(most));
        }
        assert_eq!(delay(3, 0, None), seconds(1));
    }

    #[test]
    fn the_server_may_ask_for_more_but_not_for_less() {
        assert_eq!(delay(2, 8_000, Some(seconds(7))), seconds(8));
        assert_eq!(delay(2, 8_000, Some(seconds(700))), seconds(700));
        assert_eq!(delay(0, 0, Some(seconds(9_000_000))), seconds(86_400));
    }

    #[test]
    fn s_24_retry_after_in_seconds() {
        assert_eq!(retry_after("7", THEN), Some(seconds(7)));
        assert_eq!(retry_after(" 0 ", THEN), Some(seconds(0)));
        assert_eq!(retry_after("99999999999999999999999", THEN), Some(seconds(86_400)));
    }

    #[test]
    fn s_25_retry_after_as_an_http_date() {
        let earlier = THEN - 90 * 1_000_000;
        for date in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            assert_eq!(retry_after(date, earlier), Some(seconds(90)), "{date}");
            assert_eq!(retry_after(date, THEN + 1), Some(seconds(0)), "{date} has passed");
        }
        for junk in ["", "soon", "-5", "1.5", "Sun, 06 Nov 1994", "Sun, 99 Xyz 1994 08:49:37 GMT"] {
            assert_eq!(retry_after(junk, THEN), None, "{junk}");
        }
    }
}
