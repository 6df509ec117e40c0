//! How is a value written as text, where only text counts?
//!
//! Unleash's context knows texts alone; a number or a boolean among the
//! properties counts as what it would be written as. Numbers are written into
//! a buffer on the stack, so that nothing is allocated.

use std::{io::Write, str};

use super::value::{Number, Seen};

/// The longest number: the smallest one above zero has 323 zeros in front.
const NUMBER_BYTES_MAX: usize = 384;

/// Whether the value's text passes; what has none does not.
pub(super) fn spelled(value: Seen<'_>, passes: impl FnOnce(&str) -> bool) -> bool {
    read(value, passes).unwrap_or(false)
}

/// What a reader makes of the value's text; arrays, objects and what is missing
/// have none. Numbers are written without exponent, whole ones without a point.
pub(super) fn read<T>(value: Seen<'_>, reader: impl FnOnce(&str) -> T) -> Option<T> {
    match value {
        Seen::Text(text) => text.as_written().map(reader),
        Seen::Boolean(boolean) => Some(reader(if boolean { "true" } else { "false" })),
        Seen::Number(Number::Whole(whole)) => Some(reader(itoa::Buffer::new().format(whole))),
        Seen::Number(Number::Float(float)) => {
            let mut room = [0; NUMBER_BYTES_MAX];
            written(&mut room, float).map(reader)
        }
        Seen::Null | Seen::Time(_) | Seen::Array(_) | Seen::Object(_) => None,
    }
}

fn written(room: &mut [u8; NUMBER_BYTES_MAX], float: f64) -> Option<&str> {
    let mut left = &mut room[..];
    // Minus zero is written like zero.
    write!(left, "{}", float + 0.0).ok()?;
    let length = NUMBER_BYTES_MAX - left.len();
    str::from_utf8(room.get(..length)?).ok()
}

#[cfg(test)]
mod tests {
    use super::{Number, Seen, spelled};

    #[test]
    fn every_number_has_room() {
        let text_of = |number| {
            let mut text = None;
            spelled(Seen::Number(number), |own| {
                text = Some(own.to_owned());
                true
            });
            text
        };
        let float = |float| text_of(Number::Float(float));
        assert_eq!(float(12.0).as_deref(), Some("12"));
        assert_eq!(float(-4.5).as_deref(), Some("-4.5"));
        assert_eq!(float(-0.0).as_deref(), Some("0"));
        for extreme in [f64::MIN, -f64::MIN_POSITIVE, 5e-324, -5e-324] {
            assert_eq!(float(extreme).unwrap().parse(), Ok(extreme));
        }
        let whole = text_of(Number::Whole(u64::MAX.into()));
        assert_eq!(whole.as_deref(), Some("18446744073709551615"));
    }
}
