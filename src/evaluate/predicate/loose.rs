//! When is something what an audience asks for?
//!
//! Audiences are filled in by people who do not know whether a property came
//! as a number or as a text: a text that spells a number is one beside a
//! number, dates are full date-times or Unix seconds. What a rule asks for is
//! read in every way it can be read when it is compiled.

use std::cmp::Ordering;

use super::{
    date,
    form::LooseTest,
    text::Text,
    value::{Number, Seen},
};

/// What a rule asks for.
#[derive(Debug)]
pub(super) struct Wanted {
    literal: Literal,
    /// The number it is or spells.
    number: Option<Number>,
    /// The point in time it spells.
    time: Option<i64>,
    /// Texts are seen in lower case.
    ignore_case: bool,
}

/// A value as somebody wrote it into a rule.
#[derive(Debug)]
enum Literal {
    Boolean(bool),
    Number,
    /// In lower case already, where case is ignored.
    Text(Box<str>),
}

impl Wanted {
    /// A boolean.
    pub(super) fn boolean(boolean: bool) -> Self {
        Self {
            literal: Literal::Boolean(boolean),
            number: None,
            time: None,
            ignore_case: false,
        }
    }

    /// A number.
    pub(super) fn number(number: Number) -> Self {
        Self {
            literal: Literal::Number,
            number: Some(number),
            time: None,
            ignore_case: false,
        }
    }

    /// A text, and whatever it spells.
    pub(super) fn text(text: &str, ignore_case: bool) -> Self {
        Self {
            literal: Literal::Text(match ignore_case {
                true => Text::new(text).lowered().characters().collect(),
                false => text.into(),
            }),
            number: Number::spelled(text),
            time: date::parse(text),
            ignore_case,
        }
    }

    /// Whether the value passes the test; what is missing passes none.
    #[inline]
    pub(super) fn accepts<'t>(&'t self, test: LooseTest, value: Seen<'t>) -> bool {
        match (test, value) {
            (LooseTest::Equals, value) => self.is(value),
            (LooseTest::Contains, Seen::Array(elements)) => {
                elements.iter().any(|element| self.is(element.into()))
            }
            (LooseTest::Contains, value) => self.both_texts(value, Text::contains),
            (LooseTest::Starts, value) => self.both_texts(value, Text::starts_with),
            (LooseTest::Ends, value) => self.both_texts(value, Text::ends_with),
            (LooseTest::Greater, value) => self.order(value).is_some_and(Ordering::is_gt),
            (LooseTest::Less, value) => self.order(value).is_some_and(Ordering::is_lt),
        }
    }

    #[inline]
    fn is<'t>(&'t self, value: Seen<'t>) -> bool {
        match (value, &self.literal) {
            (Seen::Boolean(own), Literal::Boolean(wanted)) => own == *wanted,
            (Seen::Text(_), Literal::Text(_)) => self.both_texts(value, Text::same),
            (Seen::Number(_), _) | (Seen::Text(_), Literal::Number) => {
                self.numbers(value) == Some(Ordering::Equal)
            }
            _ => false,
        }
    }

    /// How the value stands to what is wanted: as numbers where both are or
    /// spell some, else as points in time, else as texts.
    #[inline]
    fn order(&self, value: Seen<'_>) -> Option<Ordering> {
        // What is everyday is settled without reading anything.
        if let (Seen::Number(Number::Whole(own)), Some(Number::Whole(wanted))) =
            (value, self.number)
        {
            return Some(own.cmp(&wanted));
        }
        self.order_as_read(value)
    }

    fn order_as_read(&self, value: Seen<'_>) -> Option<Ordering> {
        self.numbers(value)
            .or_else(|| self.times(value))
            .or_else(|| match (value, &self.literal) {
                (Seen::Text(own), Literal::Text(wanted)) => {
                    Some(self.seen(own).order(Text::new(wanted)))
                }
                _ => None,
            })
    }

    fn numbers(&self, value: Seen<'_>) -> Option<Ordering> {
        // A text is read as a number only beside one.
        let wanted = self.number?;
        number_of(value)?.order(wanted)
    }

    /// Two numbers never come here: one of the two has to be a date as text.
    fn times(&self, value: Seen<'_>) -> Option<Ordering> {
        let wanted = self.time.or_else(|| milliseconds(self.number?))?;
        let own = value.time().or_else(|| milliseconds(number_of(value)?))?;
        Some(own.cmp(&wanted))
    }

    #[inline]
    fn both_texts<'t>(
        &'t self,
        value: Seen<'t>,
        test: impl FnOnce(Text<'t>, Text<'t>) -> bool,
    ) -> bool {
        match (value, &self.literal) {
            (Seen::Text(own), Literal::Text(wanted)) => test(self.seen(own), Text::new(wanted)),
            _ => false,
        }
    }

    #[inline]
    fn seen<'t>(&self, text: Text<'t>) -> Text<'t> {
        if self.ignore_case {
            text.lowered()
        } else {
            text
        }
    }
}

/// The number a value is or, as a text, spells.
fn number_of(value: Seen<'_>) -> Option<Number> {
    match value {
        Seen::Number(number) => Some(number),
        Seen::Text(text) => Number::spelled(text.as_written()?),
        _ => None,
    }
}

/// Unix seconds in milliseconds, where that is a time that can be named.
fn milliseconds(seconds: Number) -> Option<i64> {
    match seconds {
        Number::Whole(whole) => i64::try_from(whole.checked_mul(1000)?).ok(),
        Number::Float(float) => {
            let ms = (float * 1000.0).floor();
            (ms.abs() < 9e18).then_some(ms as i64)
        }
    }
}
