//! Is this text a point in time?
//!
//! RFC 3339 date-times, into milliseconds. Read by hand because a property
//! that is no date is an everyday case, and the error of a date library is
//! an allocation; a test compares the results with such a library's.

/// The milliseconds since the Unix epoch a full RFC 3339 date-time names.
/// Digits beyond milliseconds are cut off; second 60 is read as 59, since the
/// Unix epoch has no leap seconds.
pub(super) fn parse(text: &str) -> Option<i64> {
    let mut rest = text.as_bytes();
    let year = digits(&mut rest, 4)?;
    literal(&mut rest, b"-")?;
    let month = digits(&mut rest, 2)?;
    literal(&mut rest, b"-")?;
    let day = digits(&mut rest, 2)?;
    literal(&mut rest, b"Tt ")?;
    let hour = digits(&mut rest, 2)?;
    literal(&mut rest, b":")?;
    let minute = digits(&mut rest, 2)?;
    literal(&mut rest, b":")?;
    let second = digits(&mut rest, 2)?;
    let millis = fraction(&mut rest)?;
    let offset_minutes = offset(&mut rest)?;
    let sound = (1..=12).contains(&month)
        && (1..=days_in(year, month)).contains(&day)
        && hour <= 23
        && minute <= 59
        && second <= 60
        && rest.is_empty();
    if !sound {
        return None;
    }
    let minutes = days_since_epoch(year, month, day) * 1440 + hour * 60 + minute - offset_minutes;
    Some((minutes * 60 + second.min(59)) * 1000 + millis)
}

fn literal(rest: &mut &[u8], any_of: &[u8]) -> Option<u8> {
    let (first, tail) = rest.split_first()?;
    *rest = tail;
    any_of.contains(first).then_some(*first)
}

fn digits(rest: &mut &[u8], count: usize) -> Option<i64> {
    let (head, tail) = rest.split_at_checked(count)?;
    *rest = tail;
    head.iter().try_fold(0, |number, byte| {
        byte.is_ascii_digit()
            .then(|| number * 10 + i64::from(byte - b'0'))
    })
}

fn fraction(rest: &mut &[u8]) -> Option<i64> {
    let Some((b'.', tail)) = rest.split_first() else {
        return Some(0);
    };
    let length = tail.iter().take_while(|b| b.is_ascii_digit()).count();
    let (head, tail) = tail.split_at(length);
    *rest = tail;
    let digit = |place: usize| head.get(place).map_or(0, |b| i64::from(b - b'0'));
    (length > 0).then(|| digit(0) * 100 + digit(1) * 10 + digit(2))
}

fn offset(rest: &mut &[u8]) -> Option<i64> {
    let sign = match literal(rest, b"Zz+-")? {
        b'+' => 1,
        b'-' => -1,
        _ => return Some(0),
    };
    let hours = digits(rest, 2)?;
    literal(rest, b":")?;
    let minutes = digits(rest, 2)?;
    (hours <= 23 && minutes <= 59).then_some(sign * (hours * 60 + minutes))
}

fn days_in(year: i64, month: i64) -> i64 {
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days between 1970-01-01 and a date of the proleptic Gregorian calendar.
/// Years begin in March here, so that the leap day is the last of its year.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leap_days + (month * 153 + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::parse;

    #[test]
    fn texts_that_are_no_full_date_times_are_no_dates() {
        for text in [
            "",
            "2024-01-01",
            "2024-01-01T00:00:00",
            "2024-02-30T00:00:00Z",
            "2023-02-29T00:00:00Z",
            "2024-13-01T00:00:00Z",
            "2024-00-01T00:00:00Z",
            "2024-01-01T24:00:00Z",
            "2024-01-01T00:60:00Z",
            "2024-01-01T00:00:61Z",
            "2024-01-01T00:00:00.Z",
            "2024-01-01T00:00:00+2400:00",
            "2024-01-01T00:00:00+02",
            "2024-01-01T00:00:00Zx",
            "20240101T000000Z",
            "２024-01-01T00:00:00Z",
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn dates_agree_with_jiff(ms in -62_000_000_000_000_i64..250_000_000_000_000, offset in -1439_i64..1440) {
            let time = jiff::Timestamp::from_millisecond(ms).unwrap();
            prop_assert_eq!(parse(&time.to_string()), Some(ms));
            // The same point in time, written in another zone.
            let local = jiff::Timestamp::from_millisecond(ms + offset * 60_000).unwrap().to_string();
            let sign = if offset < 0 { '-' } else { '+' };
            let (hours, minutes) = (offset.abs() / 60, offset.abs() % 60);
            let text = format!("{}{sign}{hours:02}:{minutes:02}", local.trim_end_matches('Z'));
            prop_assert_eq!(parse(&text), Some(ms), "{}", text);
        }

        #[test]
        fn no_text_panics(text in "[0-9TZ:+. -]{0,30}|.{0,30}") {
            let _ = parse(&text);
        }
    }
}
