//! What does a rule of an audience mean?
//!
//! Rules become the one compiled form. What could never hold, or could never
//! fail to, is refused here, because whoever wrote it meant something else.

use serde_json::Value;

use super::{
    form::{Attribute, Condition, LooseTest, Operand, PropertyPath, Root},
    loose::Wanted,
};
use crate::{
    limits::{RULE_ATTRIBUTE_BYTES_MAX, RULE_VALUE_BYTES_MAX},
    snapshot::wire::{RuleOperator, RulePart},
};

/// Compiles one rule, or says what is wrong with it.
pub(super) fn compile(rule: &RulePart) -> Result<Condition, String> {
    let operand = attribute(&rule.attribute)?;
    let loosely = |test| wanted(rule, test).map(|wanted| (test, wanted));
    let (test, wanted) = match rule.operator {
        RuleOperator::Equals | RuleOperator::NotEquals => loosely(LooseTest::Equals),
        RuleOperator::Contains => loosely(LooseTest::Contains),
        RuleOperator::StartsWith => loosely(LooseTest::Starts),
        RuleOperator::EndsWith => loosely(LooseTest::Ends),
        RuleOperator::GreaterThan => loosely(LooseTest::Greater),
        RuleOperator::LessThan => loosely(LooseTest::Less),
        RuleOperator::IsEmpty => {
            return nothing(rule).map(|()| Condition::IsEmpty(operand));
        }
        RuleOperator::IsNotEmpty => {
            return nothing(rule).map(|()| not(Condition::IsEmpty(operand)));
        }
    }?;
    let condition = Condition::Loosely(test, operand, wanted);
    Ok(match rule.operator {
        RuleOperator::NotEquals => not(condition),
        _ => condition,
    })
}

fn not(condition: Condition) -> Condition {
    Condition::Not(Box::new(condition))
}

/// What is asked when an audience names this attribute. The name is taken as a
/// whole: a dot in it is a character like any other, except behind `group`.
pub(super) fn attribute(name: &str) -> Result<Operand, String> {
    if name.is_empty() || name.len() > RULE_ATTRIBUTE_BYTES_MAX {
        return Err(format!(
            "found an attribute of {} bytes, expected 1 to {RULE_ATTRIBUTE_BYTES_MAX}",
            name.len()
        ));
    }
    let (root, own) = match name.split_once('.') {
        Some(("group", own)) => (Root::Group, own),
        Some(("user", own)) => (Root::User, own),
        _ => {
            return Ok(Operand::Property(Root::User, PropertyPath::whole(name)));
        }
    };
    // Both would be read as names of properties nobody has.
    let plain = own.strip_prefix("properties.").unwrap_or(own);
    match (root, own) {
        (root, "identifier") => Ok(Operand::Attribute(root, Attribute::Identifier)),
        (_, "") => Err(format!(
            "found the attribute {name:?}, expected a name behind the dot"
        )),
        (Root::User, _) => Err(format!(
            "found the attribute {name:?}, expected user.identifier, or {plain:?} for a property of the user"
        )),
        (Root::Group, own) if own != plain => Err(format!(
            "found the attribute {name:?}, expected \"group.{plain}\" for a property of the group"
        )),
        (Root::Group, own) => Ok(Operand::Property(Root::Group, PropertyPath::whole(own))),
    }
}

/// The value a rule asks for.
fn wanted(rule: &RulePart, test: LooseTest) -> Result<Wanted, String> {
    let expected = match test {
        LooseTest::Equals | LooseTest::Contains => "a text, a number, true or false",
        LooseTest::Starts | LooseTest::Ends => "a text",
        LooseTest::Greater | LooseTest::Less => "a number, a text or a date",
    };
    let kind = match (&rule.value, test) {
        (Value::String(text), _) if text.len() > RULE_VALUE_BYTES_MAX => {
            return Err(format!(
                "found a value of {} bytes, expected at most {RULE_VALUE_BYTES_MAX}",
                text.len()
            ));
        }
        (Value::String(text), _) => return Ok(Wanted::text(text, rule.ignore_case)),
        (Value::Bool(boolean), LooseTest::Equals | LooseTest::Contains) => {
            return Ok(Wanted::boolean(*boolean));
        }
        (
            Value::Number(number),
            LooseTest::Equals | LooseTest::Contains | LooseTest::Greater | LooseTest::Less,
        ) => return Ok(Wanted::number(number.into())),
        (Value::Null, _) => "no value",
        (Value::Bool(true), _) => "true",
        (Value::Bool(false), _) => "false",
        (Value::Number(_), _) => "a number",
        (Value::Array(_), _) => "a list",
        (Value::Object(_), _) => "an object",
    };
    Err(format!("found {kind} to compare with, expected {expected}"))
}

/// Refuses a value where nothing is compared.
fn nothing(rule: &RulePart) -> Result<(), String> {
    if rule.value.is_null() {
        return Ok(());
    }
    Err("found a value, expected none: the operator looks at the attribute alone".to_owned())
}
