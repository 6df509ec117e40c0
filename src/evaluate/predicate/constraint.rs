//! What does a constraint of Unleash mean?
//!
//! The third dialect, compiled to the form of the other two; flags are made of
//! it. What a constraint asks for is a [`field`](super::field) of the context.
//! One that makes no sense never holds, inverted or not, and says why.

use super::{
    date,
    field::{CURRENT_TIME, operand},
    form::{Condition, Operand, Relation, SpelledParts, TextTest},
    network::Network,
    pattern::Pattern,
    semver::Release,
    text::Text,
    value::Seen,
};

/// A constraint as Unleash's documents have it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Constraint {
    /// Which field of the context.
    pub context_name: String,
    /// Such as `STR_CONTAINS`.
    pub operator: String,
    /// For operators that compare with one.
    pub value: Option<String>,
    /// For operators that take several.
    pub values: Vec<String>,
    /// The opposite is meant.
    pub inverted: bool,
    /// For the operators on texts.
    pub case_insensitive: bool,
}

impl Constraint {
    /// Why the constraint never holds, inverted or not; none where it may.
    pub fn fault(&self) -> Option<String> {
        compile(self).err()
    }

    /// The point in time at which the answer changes by itself, for requests
    /// that say no other time.
    pub fn turns_at(&self) -> Option<i64> {
        let is_dated = matches!(self.operator.as_str(), "DATE_AFTER" | "DATE_BEFORE");
        let value = self.value.as_deref().filter(|_| is_dated)?;
        (self.context_name == CURRENT_TIME).then(|| date::parse(value))?
    }
}

/// Compiles one. One that makes no sense never holds: a flag with a mistyped
/// constraint stays off, also where the constraint is inverted.
pub(super) fn compile_or_never(constraint: &Constraint) -> Condition {
    compile(constraint).unwrap_or(Condition::Truth(Operand::Boolean(false)))
}

fn compile(constraint: &Constraint) -> Result<Condition, String> {
    let one_of = || Condition::Spelled(field(constraint), sorted(&constraint.values));
    let condition = match constraint.operator.as_str() {
        "IN" => one_of(),
        "NOT_IN" => Condition::Not(Box::new(one_of())),
        "STR_STARTS_WITH" => part(constraint, TextTest::Starts),
        "STR_ENDS_WITH" => part(constraint, TextTest::Ends),
        "STR_CONTAINS" => part(constraint, TextTest::Contains),
        "NUM_EQ" => numeric(constraint, Relation::Equal)?,
        "NUM_GT" => numeric(constraint, Relation::Greater)?,
        "NUM_GTE" => numeric(constraint, Relation::GreaterOrEqual)?,
        "NUM_LT" => numeric(constraint, Relation::Less)?,
        "NUM_LTE" => numeric(constraint, Relation::LessOrEqual)?,
        "DATE_AFTER" => dated(constraint, Relation::Greater)?,
        "DATE_BEFORE" => dated(constraint, Relation::Less)?,
        "SEMVER_EQ" => release(constraint, Relation::Equal)?,
        "SEMVER_GT" => release(constraint, Relation::Greater)?,
        "SEMVER_GTE" => release(constraint, Relation::GreaterOrEqual)?,
        "SEMVER_LT" => release(constraint, Relation::Less)?,
        "SEMVER_LTE" => release(constraint, Relation::LessOrEqual)?,
        "IN_CIDR" => within(constraint),
        "REGEX" => matching(constraint)?,
        unknown => {
            return Err(format!(
                "found the operator {unknown:?}, expected a known one"
            ));
        }
    };
    Ok(match constraint.inverted {
        true => Condition::Not(Box::new(condition)),
        false => condition,
    })
}

fn field(constraint: &Constraint) -> Operand {
    operand(&constraint.context_name)
}

fn sorted(values: &[String]) -> Box<[Box<str>]> {
    let mut sorted: Vec<Box<str>> = values.iter().map(|value| value.as_str().into()).collect();
    sorted.sort_unstable();
    sorted.dedup();
    sorted.into()
}

fn part(constraint: &Constraint, test: TextTest) -> Condition {
    let ignore_case = constraint.case_insensitive;
    let any_of = constraint.values.iter().map(|value| match ignore_case {
        true => Text::new(value).lowered().characters().collect(),
        false => value.as_str().into(),
    });
    let parts = SpelledParts {
        test,
        any_of: any_of.collect(),
        ignore_case,
    };
    Condition::SpelledPart(field(constraint), parts)
}

fn numeric(constraint: &Constraint, relation: Relation) -> Result<Condition, String> {
    let value = value(constraint)?;
    let number = Seen::Text(Text::new(value)).float();
    let number = number.ok_or_else(|| format!("found {value:?}, expected a number"))?;
    Ok(Condition::Numeric(relation, field(constraint), number))
}

fn dated(constraint: &Constraint, relation: Relation) -> Result<Condition, String> {
    let value = value(constraint)?;
    let time = date::parse(value).ok_or_else(|| {
        format!("found {value:?}, expected a date such as \"2026-01-31T09:30:00Z\"")
    })?;
    // Only here is a time that the request does not name the time it came.
    let field = match constraint.context_name.as_str() {
        CURRENT_TIME => Operand::CurrentTime,
        _ => field(constraint),
    };
    let sides = Box::new([field, Operand::Time(time)]);
    Ok(Condition::Compare(relation, sides))
}

fn release(constraint: &Constraint, relation: Relation) -> Result<Condition, String> {
    let value = value(constraint)?;
    let release = Release::parse(value)
        .ok_or_else(|| format!("found {value:?}, expected a semantic version such as \"1.2.3\""))?;
    Ok(Condition::Release(relation, field(constraint), release))
}

/// Entries that are no networks are passed over: the others still count.
fn within(constraint: &Constraint) -> Condition {
    let networks = constraint.values.iter();
    let networks = networks.filter_map(|value| Network::parse(value));
    Condition::Within(field(constraint), networks.collect())
}

fn matching(constraint: &Constraint) -> Result<Condition, String> {
    let pattern = Pattern::compile(value(constraint)?, constraint.case_insensitive)?;
    Ok(Condition::Matches(field(constraint), pattern))
}

fn value(constraint: &Constraint) -> Result<&str, String> {
    let value = constraint.value.as_deref();
    value.ok_or_else(|| format!("found no value, expected one for {}", constraint.operator))
}
