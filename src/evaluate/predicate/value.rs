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
    fn order(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Whole(a), Self::Whole(b)) => Some(a.cmp(&b)),
            (a, b) => a.float().partial_cmp(&b.float()),
        }
    }

    fn float(self) -> f64 {
        match self {
            Self::Whole(whole) => whole as f64,
            Self::Float(float) => float,
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

    /// Whether the relation holds.
    pub(super) fn stands(self, relation: Relation, other: Self) -> bool {
        if matches!(self, Self::Null) || matches!(other, Self::Null) {
            return false;
        }
        let order = || self.order(other);
        match relation {
            Relation::Equal => self.same(other),
            Relation::NotEqual => !self.same(other),
            Relation::Less => order().is_some_and(Ordering::is_lt),
            Relation::LessOrEqual => order().is_some_and(Ordering::is_le),
            Relation::Greater => order().is_some_and(Ordering::is_gt),
            Relation::GreaterOrEqual => order().is_some_and(Ordering::is_ge),
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
