//! What does a constraint of Unleash mean?
//!
//! The third dialect, compiled to the form of the other two; flags are made of
//! it. What a constraint asks for is a [`field`](super::field) of the context,
//! which has a place.
//! One that makes no sense never holds, inverted or not, and says why.

use super::{
    date,
    field::CURRENT_TIME,
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
        compile(self, 0).err()
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
pub(super) fn compile_or_never(constraint: &Constraint, place: usize) -> Condition {
    compile(constraint, place).unwrap_or(Condition::Truth(Operand::Boolean(false)))
}

fn compile(constraint: &Constraint, place: usize) -> Result<Condition, String> {
    let field = Operand::Field(place);
    let one_of = |field| Condition::Spelled(field, sorted(&constraint.values));
    let condition = match constraint.operator.as_str() {
        "IN" => one_of(field),
        "NOT_IN" => Condition::Not(Box::new(one_of(field))),
        "STR_STARTS_WITH" => part(constraint, field, TextTest::Starts),
        "STR_ENDS_WITH" => part(constraint, field, TextTest::Ends),
        "STR_CONTAINS" => part(constraint, field, TextTest::Contains),
        "NUM_EQ" => numeric(constraint, field, Relation::Equal)?,
        "NUM_GT" => numeric(constraint, field, Relation::Greater)?,
        "NUM_GTE" => numeric(constraint, field, Relation::GreaterOrEqual)?,
        "NUM_LT" => numeric(constraint, field, Relation::Less)?,
        "NUM_LTE" => numeric(constraint, field, Relation::LessOrEqual)?,
        "DATE_AFTER" => dated(constraint, place, Relation::Greater)?,
        "DATE_BEFORE" => dated(constraint, place, Relation::Less)?,
        "SEMVER_EQ" => release(constraint, field, Relation::Equal)?,
        "SEMVER_GT" => release(constraint, field, Relation::Greater)?,
        "SEMVER_GTE" => release(constraint, field, Relation::GreaterOrEqual)?,
        "SEMVER_LT" => release(constraint, field, Relation::Less)?,
        "SEMVER_LTE" => release(constraint, field, Relation::LessOrEqual)?,
        "IN_CIDR" => within(constraint, field),
        "REGEX" => matching(constraint, field)?,
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

fn sorted(values: &[String]) -> Box<[Box<str>]> {
    let mut sorted: Vec<Box<str>> = values.iter().map(|value| value.as_str().into()).collect();
    sorted.sort_unstable();
    sorted.dedup();
    sorted.into()
}

fn part(constraint: &Constraint, field: Operand, test: TextTest) -> Condition {
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
    Condition::SpelledPart(field, parts)
}

fn numeric(
    constraint: &Constraint,
    field: Operand,
    relation: Relation,
) -> Result<Condition, String> {
    let value = value(constraint)?;
    let number = Seen::Text(Text::new(value)).float();
    let number = number.ok_or_else(|| format!("found {value:?}, expected a number"))?;
    Ok(Condition::Numeric(relation, field, number))
}

fn dated(constraint: &Constraint, place: usize, relation: Relation) -> Result<Condition, String> {
    let value = value(constraint)?;
    let time = date::parse(value).ok_or_else(|| {
        format!("found {value:?}, expected a date such as \"2026-01-31T09:30:00Z\"")
    })?;
    // Only here is a time that the request does not name the time it came.
    let field = match constraint.context_name.as_str() {
        CURRENT_TIME => Operand::FieldOrNow(place),
        _ => Operand::Field(place),
    };
    let sides = Box::new([field, Operand::Time(time)]);
    Ok(Condition::Compare(relation, sides))
}

fn release(
    constraint: &Constraint,
    field: Operand,
    relation: Relation,
) -> Result<Condition, String> {
    let value = value(constraint)?;
    let release = Release::parse(value)
        .ok_or_else(|| format!("found {value:?}, expected a semantic version such as \"1.2.3\""))?;
    Ok(Condition::Release(relation, field, release))
}

/// Entries that are no networks are passed over: the others still count.
fn within(constraint: &Constraint, field: Operand) -> Condition {
    let networks = constraint.values.iter();
    let networks = networks.filter_map(|value| Network::parse(value));
    Condition::Within(field, networks.collect())
}

fn matching(constraint: &Constraint, field: Operand) -> Result<Condition, String> {
    let pattern = Pattern::compile(value(constraint)?, constraint.case_insensitive)?;
    Ok(Condition::Matches(field, pattern))
}

fn value(constraint: &Constraint) -> Result<&str, String> {
    let value = constraint.value.as_deref();
    value.ok_or_else(|| format!("found no value, expected one for {}", constraint.operator))
}
