//! What does an operand come to, and when are two values equal?
//!
//! Borrowed values of the types an expression knows. Comparing follows one
//! rule each: null compares with nothing, values of different types are never
//! equal and have no order, a text beside a date is read as a date.

use std::cmp::Ordering;

use serde_json::{Map, Value};

use super::{date, form::Relation, text::Text};

/// A value as it is seen by a condition.
#[derive(Clone, Copy, Debug)]
pub(super) enum Seen<'a> {
    /// Missing or null.
    Null,
    /// true or false.
    Boolean(bool),
    /// A number.
    Number(Number),
    /// A text.
    Text(Text<'a>),
    /// Milliseconds since the Unix epoch.
    Time(i64),
    /// An array.
    Array(&'a [Value]),
    /// An object.
    Object(&'a Map<String, Value>),
}

/// A number; whole ones stay exact.
#[derive(Clone, Copy, Debug)]
pub(super) enum Number {
    /// Whole. Wide enough for both of JSON's whole types.
    Whole(i128),
    /// With a fraction, or beyond 64 bits.
    Float(f64),
}

impl<'a> From<&'a Value> for Seen<'a> {
    #[inline]
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(boolean) => Self::Boolean(*boolean),
            Value::Number(number) => Self::Number(number.into()),
            Value::String(text) => Self::Text(Text::new(text)),
            Value::Array(elements) => Self::Array(elements),
            Value::Object(members) => Self::Object(members),
        }
    }
}

impl From<&serde_json::Number> for Number {
    #[inline]
    fn from(number: &serde_json::Number) -> Self {
        if let Some(whole) = number.as_i64() {
            Self::Whole(whole.into())
        } else if let Some(whole) = number.as_u64() {
            Self::Whole(whole.into())
        } else {
            Self::Float(number.as_f64().unwrap_or(f64::NAN))
        }
    }
}

impl Number {
    /// The number a text spells the way JSON does; `007`, `+7` and ` 7` spell none.
    pub(super) fn spelled(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('-').unwrap_or(text).as_bytes();
        let plausible = match digits {
            [b'0', b'0'..=b'9', ..] => false,
            [b'0'..=b'9', ..] => digits
                .iter()
                .all(|b| matches!(b, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-')),
            _ => false,
        };
        // A point needs a digit on its right side too; Rust is content without.
        if !plausible || text.ends_with('.') || text.contains(".e") || text.contains(".E") {
            return None;
        }
        if let Ok(whole) = text.parse() {
            return Some(Self::Whole(whole));
        }
        let float: f64 = text.parse().ok()?;
        float.is_finite().then_some(Self::Float(float))
    }

    /// What is less, equal or more; none beside what is no number.
    pub(super) fn order(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Whole(a), Self::Whole(b)) => Some(a.cmp(&b)),
            (a, b) => a.float().partial_cmp(&b.float()),
        }
    }

    /// As a whole number, where it is one and no neighbour could be meant.
    pub(super) fn whole(self) -> Option<i128> {
        /// Beyond it neighbouring whole numbers have the same float.
        const EXACT: f64 = 9_007_199_254_740_992.0;
        match self {
            Self::Whole(whole) => Some(whole),
            Self::Float(float) => {
                (float.fract() == 0.0 && float.abs() < EXACT).then_some(float as i128)
            }
        }
    }

    /// As a floating-point number, rounded where it has to be.
    pub(super) fn float(self) -> f64 {
        match self {
            Self::Whole(whole) => whole as f64,
            Self::Float(float) => float,
        }
    }
}

impl Relation {
    /// Whether things in this order stand in this relation.
    pub(super) fn allows(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::NotEqual => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }

    /// The same between floating-point numbers. Those that differ by less
    /// than the smallest step from 1 are equal, as Unleash's clients have it.
    pub(super) fn holds_between(self, a: f64, b: f64) -> bool {
        let equal = (a - b).abs() < f64::EPSILON;
        match self {
            Self::Equal => equal,
            Self::NotEqual => !equal,
            ordered => a.partial_cmp(&b).is_some_and(|order| ordered.allows(order)),
        }
    }
}

impl<'a> Seen<'a> {
    /// The text, if it is one.
    pub(super) fn text(self) -> Option<Text<'a>> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The point in time it is or, as a text, names.
    pub(super) fn time(self) -> Option<i64> {
        match self {
            Self::Time(time) => Some(time),
            Self::Text(text) => date::parse(text.as_written()?),
            _ => None,
        }
    }

    /// The floating-point number it is or, as a text, spells.
    pub(super) fn float(self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(number.float()),
            Self::Text(text) => text.as_written()?.parse().ok(),
            _ => None,
        }
        .filter(|float| float.is_finite())
    }

    /// Whether nothing is there, or nothing is in it. 0 and false are something.
    pub(super) fn is_empty(self) -> bool {
        match self {
            Self::Null => true,
            Self::Text(text) => text.characters().next().is_none(),
            Self::Array(elements) => elements.is_empty(),
            Self::Object(members) => members.is_empty(),
            Self::Boolean(_) | Self::Number(_) | Self::Time(_) => false,
        }
    }

    /// Whether the relation holds.
    pub(super) fn stands(self, relation: Relation, other: Self) -> bool {
        if matches!(self, Self::Null) || matches!(other, Self::Null) {
            return false;
        }
        match relation {
            Relation::Equal => self.same(other),
            Relation::NotEqual => !self.same(other),
            ordered => self.order(other).is_some_and(|order| ordered.allows(order)),
        }
    }

    fn same(self, other: Self) -> bool {
        match (self, other) {
            (Self::Boolean(a), Self::Boolean(b)) => a == b,
            (Self::Text(a), Self::Text(b)) => a.same(b),
            (Self::Array(a), Self::Array(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_inside(a, b))
            }
            (Self::Object(a), Self::Object(b)) => {
                a.len() == b.len()
                    && a.iter()
                        .zip(b)
                        .all(|((n, a), (m, b))| n == m && same_inside(a, b))
            }
            _ => self.order(other) == Some(Ordering::Equal),
        }
    }

    /// None where there is no order: other types, or types that differ.
    fn order(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => a.order(b),
            (Self::Text(a), Self::Text(b)) => Some(a.order(b)),
            (Self::Time(a), b) => Some(a.cmp(&b.time()?)),
            (a, Self::Time(b)) => Some(a.time()?.cmp(&b)),
            _ => None,
        }
    }
}

/// Inside arrays and objects null equals null. The depth of JSON from outside
/// is limited where it is taken in, so this recursion is.
fn same_inside(a: &Value, b: &Value) -> bool {
    (a.is_null() && b.is_null()) || Seen::from(a).same(b.into())
}
