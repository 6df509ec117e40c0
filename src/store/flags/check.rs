//! May this be said of a flag?
//!
//! Piece by piece, so that each fault has its own place. What an edge would
//! never hold is a fault here, found by the edge's own compiler, while somebody
//! can still mend it. Strategies that only an application can judge are fine
//! and worth a word.

use super::{FlagConstraint, FlagPayload, FlagStrategy, FlagVariant, part};
use crate::{
    evaluate::predicate::Constraint,
    limits::{
        CONSTRAINT_VALUES_AUTHORED_MAX, FLAG_NAME_AUTHORED_BYTES_MAX, FLAG_TEXT_BYTES_MAX,
        VARIANT_WEIGHT_MAX, VARIANTS_MAX,
    },
    snapshot::flags::{Flags, FlagsDocument},
    store::called::{expected_name, is_name_for_people},
};

/// Every operator of a constraint.
const OPERATORS: &str = "IN, NOT_IN, STR_STARTS_WITH, STR_ENDS_WITH, STR_CONTAINS, NUM_EQ, NUM_GT, \
    NUM_GTE, NUM_LT, NUM_LTE, DATE_AFTER, DATE_BEFORE, SEMVER_EQ, SEMVER_GT, SEMVER_GTE, \
    SEMVER_LT, SEMVER_LTE, REGEX or IN_CIDR";

/// Operators that hold for nobody without a value.
const NEED_VALUES: [&str; 4] = [
    "STR_STARTS_WITH",
    "STR_ENDS_WITH",
    "STR_CONTAINS",
    "IN_CIDR",
];

/// Strategies that an edge judges by itself.
const JUDGED_HERE: [&str; 7] = [
    "default",
    "flexibleRollout",
    "userWithId",
    "remoteAddress",
    "gradualRolloutUserId",
    "gradualRolloutSessionId",
    "gradualRolloutRandom",
];

/// What is wrong with a flag's name, which stands in paths.
pub(in crate::store) fn name(name: &str) -> Option<String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._~-".contains(&byte);
    let fits = (1..=FLAG_NAME_AUTHORED_BYTES_MAX).contains(&name.len()) && name.bytes().all(plain);
    (!fits || name == "." || name == "..").then(|| {
        format!(
            "the name is {name:?} (expected 1 to {FLAG_NAME_AUTHORED_BYTES_MAX} of the characters A-Z a-z \
             0-9 . _ ~ -, and not . or ..)"
        )
    })
}

/// What is wrong with a segment's name, which is for people.
pub(in crate::store) fn segment_name(name: &str) -> Option<String> {
    (!is_name_for_people(name))
        .then(|| format!("the name is {name:?} (expected {})", expected_name()))
}

/// Refuses more of something than there may be.
pub(in crate::store) fn within(what: &str, found: usize, expected: usize) -> Option<String> {
    (found > expected).then(|| format!("{found} {what} (expected at most {expected})"))
}

/// What is wrong with a constraint.
pub(in crate::store) fn constraint(own: &FlagConstraint) -> Vec<String> {
    let mut faults = Vec::new();
    if own.context_name.is_empty() {
        faults.push("contextName is empty (expected a field such as userId)".to_owned());
    }
    if !OPERATORS
        .split([',', ' '])
        .any(|known| known == own.operator)
        || own.operator == "or"
    {
        faults.push(format!(
            "operator is {:?} (expected {OPERATORS})",
            own.operator
        ));
        return faults;
    }
    if NEED_VALUES.contains(&own.operator.as_str()) && own.values.is_empty() {
        faults.push(format!(
            "{} has no values (expected at least one)",
            own.operator
        ));
    }
    let compiled = Constraint {
        context_name: own.context_name.clone(),
        operator: own.operator.clone(),
        value: own.value.clone(),
        values: own.values.clone(),
        inverted: own.inverted,
        case_insensitive: own.case_insensitive,
    };
    faults.extend(compiled.fault());
    faults
}

/// Whether a constraint of a strategy has more values than it may.
pub(in crate::store) fn constraint_values(own: &FlagConstraint) -> Option<String> {
    within("values", own.values.len(), CONSTRAINT_VALUES_AUTHORED_MAX)
}

/// What is said of a strategy's own rule and parameters.
pub(in crate::store) enum Said {
    /// It can never hold.
    Fault(String),
    /// An edge cannot judge it, and an application may.
    Notice(String),
}

/// Asks the compiler about a strategy, without what is looked at apart.
pub(in crate::store) fn strategy(flag: &str, own: &FlagStrategy) -> Vec<Said> {
    if own.name.is_empty() {
        return vec![Said::Fault(
            "name is empty (expected such as flexibleRollout)".to_owned(),
        )];
    }
    if !JUDGED_HERE.contains(&own.name.as_str()) {
        return vec![Said::Notice(format!(
            "edges cannot judge the strategy {:?}, so that it holds for no frontend (applications \
             that evaluate by themselves get it as it is)",
            own.name
        ))];
    }
    let bare = FlagStrategy {
        constraints: Vec::new(),
        segments: Vec::new(),
        ..own.clone()
    };
    let strategies = [part::strategy(flag, &bare)];
    let document = serde_json::json!({"name": flag, "enabled": true, "strategies": strategies});
    let compiled = Flags::compile(&FlagsDocument::of_parts(vec![document], Vec::new()));
    let troubles = compiled.troubles().iter();
    troubles.map(|own| Said::Fault(own.why.clone())).collect()
}

/// What is wrong with variants that stand together.
pub(in crate::store) fn variants(list: &[FlagVariant]) -> Vec<String> {
    let mut faults: Vec<String> = within("variants", list.len(), VARIANTS_MAX)
        .into_iter()
        .collect();
    for (at, own) in list.iter().enumerate() {
        let mut fault = |text: String| faults.push(format!("variant {:?}: {text}", own.name));
        if own.name.is_empty() {
            fault("name is empty (expected a name)".to_owned());
        }
        if list.iter().take(at).any(|other| other.name == own.name) {
            fault("the variant appears twice".to_owned());
        }
        if own.weight > VARIANT_WEIGHT_MAX {
            fault(format!(
                "weight is {} (expected thousandths, at most {VARIANT_WEIGHT_MAX})",
                own.weight
            ));
        }
        if let Some(text) = own.payload.as_ref().and_then(payload) {
            fault(text);
        }
        let values = own.overrides.iter().map(|own| own.values.len());
        let values = within(
            "values of overrides",
            values.sum(),
            CONSTRAINT_VALUES_AUTHORED_MAX,
        );
        if let Some(text) = values {
            fault(text);
        }
    }
    faults
}

fn payload(own: &FlagPayload) -> Option<String> {
    const KINDS: [&str; 4] = ["string", "json", "csv", "number"];
    if !KINDS.contains(&own.kind.as_str()) {
        let found = &own.kind;
        return Some(format!(
            "the payload's type is {found:?} (expected string, json, csv or number)"
        ));
    }
    if own.value.len() > FLAG_TEXT_BYTES_MAX {
        return within("bytes of payload", own.value.len(), FLAG_TEXT_BYTES_MAX);
    }
    if own.kind == "json"
        && let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(&own.value)
    {
        return Some(format!("the payload is no JSON: {error}"));
    }
    None
}
