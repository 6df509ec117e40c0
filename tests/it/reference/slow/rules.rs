//! When does a rule or an entry condition hold, told the slow way?
//!
//! Every cell of the table is a line here; nothing is compiled and nothing is
//! shared with the engine.

use flowgate::snapshot::wire::{RuleOperator, RulePart};
use serde_json::{Map, Value};

use super::{Condition, Person};

/// Whether a rule of an audience holds.
pub(crate) fn rule(rule: &RulePart, person: &Person) -> bool {
    let found = attribute(&rule.attribute, person);
    let fold = |text: &str| {
        if rule.ignore_case {
            text.to_lowercase()
        } else {
            text.to_owned()
        }
    };
    let empty = match &found {
        None | Some(Value::Null) => true,
        Some(Value::String(text)) => text.is_empty(),
        Some(Value::Array(items)) => items.is_empty(),
        Some(Value::Object(members)) => members.is_empty(),
        Some(_) => false,
    };
    let present = found.filter(|value| !value.is_null());
    let same = |one: &Value, other: &Value| match (one, other) {
        (Value::String(a), Value::String(b)) => fold(a) == fold(b),
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (Value::String(text), Value::Number(number))
        | (Value::Number(number), Value::String(text)) => {
            numeric(text).is_some_and(|own| Some(own) == number.as_f64())
        }
        (Value::Bool(a), Value::Bool(b)) => a == b,
        _ => false,
    };
    let texts = |test: fn(&str, &str) -> bool| match (&present, &rule.value) {
        (Some(Value::String(a)), Value::String(b)) => test(&fold(a), &fold(b)),
        _ => false,
    };
    let order = |wanted: std::cmp::Ordering| {
        present
            .as_ref()
            .and_then(|own| compare(own, &rule.value))
            .is_some_and(|found| found == wanted)
    };
    match rule.operator {
        RuleOperator::IsEmpty => empty,
        RuleOperator::IsNotEmpty => !empty,
        RuleOperator::Equals => present.as_ref().is_some_and(|own| same(own, &rule.value)),
        RuleOperator::NotEquals => !present.as_ref().is_some_and(|own| same(own, &rule.value)),
        RuleOperator::Contains => match &present {
            Some(Value::Array(items)) => items.iter().any(|item| same(item, &rule.value)),
            _ => texts(|text, part| text.contains(part)),
        },
        RuleOperator::StartsWith => texts(|text, part| text.starts_with(part)),
        RuleOperator::EndsWith => texts(|text, part| text.ends_with(part)),
        RuleOperator::GreaterThan => order(std::cmp::Ordering::Greater),
        RuleOperator::LessThan => order(std::cmp::Ordering::Less),
    }
}

/// Numbers, and texts that are numbers; nothing else has an order here (the
/// generator makes no dates: they have vectors).
fn compare(one: &Value, other: &Value) -> Option<std::cmp::Ordering> {
    let number = |value: &Value| match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => numeric(text),
        _ => None,
    };
    number(one)?.partial_cmp(&number(other)?)
}

fn numeric(text: &str) -> Option<f64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

/// What a rule looks at.
pub(crate) fn attribute(name: &str, person: &Person) -> Option<Value> {
    match name {
        "user.identifier" => Some(Value::String(person.id.clone())),
        "group.identifier" => person.group.as_ref().map(|(id, _)| id.clone().into()),
        _ => match name.strip_prefix("group.") {
            Some(own) => person.group.as_ref()?.1.get(own).cloned(),
            None => property(name, person),
        },
    }
}

fn property(name: &str, person: &Person) -> Option<Value> {
    let given = person.attributes.as_ref();
    let given = given.and_then(|own: &Map<String, Value>| own.get(name));
    given.or_else(|| person.properties.get(name)).cloned()
}

/// Whether a generated expression holds.
pub(crate) fn condition(condition: &Condition, person: &Person) -> bool {
    match condition {
        Condition::Equals(name, value) => {
            // Only like is like: expressions turn no text into a number.
            property(name, person).is_some_and(|own| match (&own, value) {
                (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
                _ => own == *value && !own.is_null(),
            })
        }
        Condition::Greater(name, number) => property(name, person)
            .and_then(|own| own.as_f64())
            .is_some_and(|own| own > f64::from(*number)),
        Condition::IsNull(name) => property(name, person).is_none_or(|own| own.is_null()),
        Condition::Not(inner) => !self::condition(inner, person),
        Condition::And(a, b) => self::condition(a, person) && self::condition(b, person),
        Condition::Or(a, b) => self::condition(a, person) || self::condition(b, person),
    }
}
