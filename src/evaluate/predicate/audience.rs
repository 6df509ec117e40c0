//! What does a rule of an audience mean?
//!
//! Rules become the one compiled form. What could never hold, or could never
//! fail to, is refused here, because whoever wrote it meant something else.

use serde_json::Value;

use super::{
    asked::{Asked, Places},
    form::{Expected, LooseTest, Rule},
    loose::Wanted,
    value::Seen,
};
use crate::{
    limits::RULE_VALUE_BYTES_MAX,
    snapshot::wire::{RuleOperator, RulePart},
};

/// Compiles one rule, or says what is wrong with it. Its attribute gets a place
/// among those of its audience.
pub(super) fn compile(rule: &RulePart, places: &mut Places) -> Result<Rule, String> {
    let mut asked = Asked::named(&rule.attribute)?;
    places.give(&mut asked);
    let loosely = |test| wanted(rule, test).map(|wanted| Expected::Loosely(test, wanted));
    let expected = match rule.operator {
        RuleOperator::Equals | RuleOperator::NotEquals => loosely(LooseTest::Equals),
        RuleOperator::Contains => loosely(LooseTest::Contains),
        RuleOperator::StartsWith => loosely(LooseTest::Starts),
        RuleOperator::EndsWith => loosely(LooseTest::Ends),
        RuleOperator::GreaterThan => loosely(LooseTest::Greater),
        RuleOperator::LessThan => loosely(LooseTest::Less),
        RuleOperator::IsEmpty | RuleOperator::IsNotEmpty => {
            nothing(rule).map(|()| Expected::Nothing)
        }
    }?;
    let negated = matches!(
        rule.operator,
        RuleOperator::NotEquals | RuleOperator::IsNotEmpty
    );
    Ok(Rule {
        asked,
        expected,
        negated,
    })
}

impl Rule {
    /// Whether it holds where its attribute is this.
    #[inline]
    pub(super) fn accepts(&self, value: Seen<'_>) -> bool {
        let as_expected = match &self.expected {
            Expected::Nothing => value.is_empty(),
            Expected::Loosely(test, wanted) => wanted.accepts(*test, value),
        };
        as_expected != self.negated
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
