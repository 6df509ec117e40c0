//! How is a value written as text, where only text counts?
//!
//! Unleash's context knows texts alone; a number or a boolean among the
//! properties counts as what it would be written as. Numbers are written into
//! a buffer on the stack, so that nothing is allocated.

use std::{fmt, io::Write, str};

use super::value::{Number, Seen};

/// The longest number: the smallest one above zero has 323 zeros in front.
const NUMBER_BYTES_MAX: usize = 384;

/// Room for one number.
pub(super) struct Spelling {
    buffer: [u8; NUMBER_BYTES_MAX],
}

impl Spelling {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        Self {
            buffer: [0; NUMBER_BYTES_MAX],
        }
    }

    /// The value's text; arrays, objects and what is missing have none.
    /// Numbers are written without exponent, whole ones without a point.
    pub(super) fn of<'t>(&'t mut self, value: Seen<'t>) -> Option<&'t str> {
        match value {
            Seen::Text(text) => text.as_written(),
            Seen::Boolean(true) => Some("true"),
            Seen::Boolean(false) => Some("false"),
            Seen::Number(Number::Whole(whole)) => self.write(format_args!("{whole}")),
            // Minus zero is written like zero.
            Seen::Number(Number::Float(float)) => self.write(format_args!("{}", float + 0.0)),
            Seen::Null | Seen::Time(_) | Seen::Array(_) | Seen::Object(_) => None,
        }
    }

    fn write(&mut self, text: fmt::Arguments<'_>) -> Option<&str> {
        let mut left = &mut self.buffer[..];
        left.write_fmt(text).ok()?;
        let length = NUMBER_BYTES_MAX - left.len();
        str::from_utf8(self.buffer.get(..length)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::{Number, Seen, Spelling};

    #[test]
    fn every_number_has_room() {
        let spelled = |float| {
            let mut spelling = Spelling::new();
            let text = spelling.of(Seen::Number(Number::Float(float)));
            text.map(str::to_owned)
        };
        assert_eq!(spelled(12.0).as_deref(), Some("12"));
        assert_eq!(spelled(-4.5).as_deref(), Some("-4.5"));
        assert_eq!(spelled(-0.0).as_deref(), Some("0"));
        for extreme in [f64::MIN, -f64::MIN_POSITIVE, 5e-324, -5e-324] {
            let text = spelled(extreme).unwrap();
            assert_eq!(text.parse(), Ok(extreme));
        }
        let mut spelling = Spelling::new();
        let whole = spelling.of(Seen::Number(Number::Whole(u64::MAX.into())));
        assert_eq!(whole, Some("18446744073709551615"));
    }
}
