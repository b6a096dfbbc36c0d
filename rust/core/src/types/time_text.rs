//! Times as people write them: `5 minutes ago`, `2026-11-22T07:48:00Z`.

use std::time::Duration;

use jiff::SpanRelativeTo;
use jiff::fmt::friendly::SpanParser;

use crate::types::Timestamp;

/// A time that was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum When {
    /// At this time.
    At(Timestamp),
    /// So long before now.
    Ago(Duration),
}

/// Whether a text is meant as a time, well written or not: it begins with a digit and ends with the word `ago`, or it begins
/// with a date and an hour. No mark gets such a name.
pub(super) fn reads_as_time(text: &str) -> bool {
    let text = text.trim();
    let ago = text.rsplit(char::is_whitespace).next().is_some_and(|word| word.eq_ignore_ascii_case("ago"));
    ago && text.starts_with(|first: char| first.is_ascii_digit()) || begins_with_date_and_hour(text)
}

/// `dddd-dd-ddTd`, and a blank or `t` for the `T`.
fn begins_with_date_and_hour(text: &str) -> bool {
    let shape = text.bytes().take(12).map(|byte| match byte {
        b'0'..=b'9' => b'0',
        b't' | b' ' => b'T',
        other => other,
    });
    shape.eq(*b"0000-00-00T0")
}

/// Reads a time. `None`: the text is not meant as one ([`reads_as_time`]).
///
/// # Errors
/// What is wrong with it, and what would not be.
pub(super) fn parse(text: &str) -> Option<Result<When, String>> {
    let text = text.trim();
    if !reads_as_time(text) {
        return None;
    }
    let read = if begins_with_date_and_hour(text) { at(text) } else { ago(text) };
    Some(read.map_err(|why| {
        format!(
            "{text:?} is no time: {why}; write it as \"5 minutes ago\", \"1h 30m ago\", \"2026-11-22T07:48:00Z\" or \
             \"2026-11-22T08:48:00+01:00\""
        )
    }))
}

fn at(text: &str) -> Result<When, String> {
    // What the reader says of it is about its own workings.
    let wrong = |_| "no such day or hour, or nothing behind it that says in which zone".to_owned();
    let time: jiff::Timestamp = text.parse().map_err(wrong)?;
    // What is before 1970 is before every window.
    Ok(When::At(Timestamp::new(u64::try_from(time.as_nanosecond()).unwrap_or(0))))
}

fn ago(text: &str) -> Result<When, String> {
    let read = || {
        let span = SpanParser::new().parse_span(text.to_ascii_lowercase())?;
        span.to_duration(SpanRelativeTo::days_are_24_hours())
    };
    let wrong = |_: jiff::Error| "what stands before \"ago\" is no length of time".to_owned();
    Ok(When::Ago(read().map_err(wrong)?.unsigned_abs()))
}

/// A time, exactly, in a form that [`parse`] reads.
pub(super) fn written(time: Timestamp) -> String {
    let read = jiff::Timestamp::from_nanosecond(i128::from(time.get()));
    read.map_or_else(|_| format!("{time} ns since 1970"), |read| read.to_string())
}

/// A length of time, in whole seconds unless it is shorter, in a form that [`parse`] reads before `ago`.
pub(super) fn in_units(length: Duration) -> String {
    let mut left = length.as_secs();
    if left == 0 {
        return format!("{length:?}");
    }
    let mut words = Vec::new();
    for (unit, seconds) in [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)] {
        if left >= seconds {
            words.push(format!("{}{unit}", left / seconds));
        }
        left %= seconds;
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds_ago(text: &str) -> u64 {
        match parse(text) {
            Some(Ok(When::Ago(ago))) => ago.as_secs(),
            other => panic!("{text:?}: {other:?}"),
        }
    }

    #[test]
    fn lengths_are_written_as_they_are_read() {
        for (seconds, text) in
            [(259_200, "3d"), (300, "5m"), (5_400, "1h 30m"), (90_061, "1d 1h 1m 1s"), (1, "1s")]
        {
            assert_eq!(in_units(Duration::from_secs(seconds)), text);
            assert_eq!(seconds_ago(&format!("{text} ago")), seconds);
        }
        assert_eq!(in_units(Duration::from_millis(20)), "20ms");
    }

    #[test]
    fn so_long_ago() {
        for (text, seconds) in [
            ("5 minutes ago", 300),
            ("1 minute ago", 60),
            ("2 min ago", 120),
            ("2 mins ago", 120),
            ("90 s ago", 90),
            ("90s ago", 90),
            ("1 sec ago", 1),
            ("30 seconds ago", 30),
            ("1h 30m ago", 5_400),
            ("3 hours ago", 10_800),
            ("2 d ago", 172_800),
            ("2 Days Ago", 172_800),
            ("1 week ago", 604_800),
            ("1.5 h ago", 5_400),
            (" 0 s ago ", 0),
        ] {
            assert_eq!(seconds_ago(text), seconds, "{text}");
        }
    }

    #[test]
    fn at_a_time() {
        let base = 1_795_333_680_000_000_000;
        for (text, nanoseconds) in [
            ("2026-11-22T07:48:00Z", base),
            ("2026-11-22T08:48:00+01:00", base),
            ("2026-11-22 02:48:00-05:00", base),
            ("2026-11-22t07:48:00.5z", base + 500_000_000),
            ("2026-11-22T07:48:00.000000001Z", base + 1),
            ("1969-12-31T23:59:59Z", 0),
        ] {
            assert_eq!(parse(text), Some(Ok(When::At(Timestamp::new(nanoseconds)))), "{text}");
        }
    }

    #[test]
    fn what_is_meant_as_a_time_is_one_or_refused() {
        for text in [
            "2026-11-22T07:48:00",
            "2026-13-22T07:48:00Z",
            "2026-11-22 7 o'clock",
            "5 fortnights ago",
            "5 ago",
            "2 months ago",
            "99999999999999999 days ago",
        ] {
            assert!(reads_as_time(text), "{text}");
            let refused = parse(text).unwrap().unwrap_err();
            assert!(refused.contains("minutes ago"), "{text}: {refused}");
        }
    }

    #[test]
    fn a_name_is_a_name() {
        for text in ["seeded", "", "ago", "long ago", "5 chicago", "2026-11-22", "2026-11-22-before", "07:48"]
        {
            assert!(!reads_as_time(text) && parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_time_that_is_written_can_be_read() {
        for nanoseconds in [0, 1, 1_795_333_680_000_000_000, 1_795_333_680_123_456_789, u64::MAX] {
            let time = Timestamp::new(nanoseconds);
            assert_eq!(parse(&written(time)), Some(Ok(When::At(time))), "{}", written(time));
        }
        assert_eq!(written(Timestamp::new(1_795_329_465_000_000_000)), "2026-11-22T06:37:45Z");
    }
}
