//! What holds of every constraint of Unleash?

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{any_properties, any_text, subject, view};
use crate::evaluate::{
    SubjectView,
    predicate::{Constraint, Found, Predicate},
};

const OPERATORS: [&str; 20] = [
    "IN",
    "NOT_IN",
    "STR_STARTS_WITH",
    "STR_ENDS_WITH",
    "STR_CONTAINS",
    "NUM_EQ",
    "NUM_GT",
    "NUM_GTE",
    "NUM_LT",
    "NUM_LTE",
    "DATE_AFTER",
    "DATE_BEFORE",
    "SEMVER_EQ",
    "SEMVER_GT",
    "SEMVER_GTE",
    "SEMVER_LT",
    "SEMVER_LTE",
    "IN_CIDR",
    "REGEX",
    "",
];

fn any_constraint() -> impl Strategy<Value = Constraint> {
    let context_name = prop::sample::select(&[
        "userId",
        "sessionId",
        "environment",
        "appName",
        "remoteAddress",
        "currentTime",
        "a",
        "b",
        "nowhere",
        "",
    ]);
    let operator = prop::sample::select(&OPERATORS);
    let values = prop::collection::vec(any_text(), 0..4);
    let value = prop::option::of(any_text());
    let parts = (context_name, operator, value, values, any::<(bool, bool)>());
    parts.prop_map(
        |(context_name, operator, value, values, switches)| Constraint {
            context_name: context_name.to_owned(),
            operator: operator.to_owned(),
            value,
            values,
            inverted: switches.0,
            case_insensitive: switches.1,
        },
    )
}

/// One that asks for property `a`.
fn of_a(operator: &str, value: &str) -> Constraint {
    Constraint {
        context_name: "a".to_owned(),
        operator: operator.to_owned(),
        value: Some(value.to_owned()),
        values: vec![value.to_owned()],
        ..Constraint::default()
    }
}

/// Whether it holds of what its field is.
fn holds_of(constraint: &Constraint, view: &SubjectView<'_>, now: u64) -> bool {
    let names = [constraint.context_name.as_str().into()];
    Predicate::constraint(constraint, 0).holds_of(&Found::of(&names, *view), now)
}

proptest! {
    #[test]
    fn no_constraint_panics_and_inverted_is_its_opposite(constraint in any_constraint(), properties in any_properties(), field in any_text(), now: u64) {
        let user = subject(properties);
        let Value::Object(attributes) = json!({"sessionId": field, "remoteAddress": field, "currentTime": field, "b": field}) else {
            unreachable!()
        };
        let inverted = Constraint { inverted: !constraint.inverted, ..constraint.clone() };
        for attributes in [None, Some(&attributes)] {
            let view = SubjectView { attributes, ..view(&user, None) };
            let holds = |one: &Constraint| holds_of(one, &view, now);
            match constraint.fault() {
                None => prop_assert_ne!(holds(&constraint), holds(&inverted)),
                Some(why) => {
                    prop_assert!(!holds(&constraint) && !holds(&inverted));
                    prop_assert!(why.starts_with("found ") && why.contains("expected "), "{why}");
                }
            }
        }
    }

    #[test]
    fn what_is_missing_is_only_in_what_is_inverted_or_not_in(constraint in any_constraint()) {
        let user = subject(Value::Null);
        let missing = Constraint { context_name: "nowhere".to_owned(), ..constraint };
        let holds = holds_of(&missing, &view(&user, None), 0);
        let expected = (missing.operator == "NOT_IN") != missing.inverted;
        prop_assert_eq!(holds, missing.fault().is_none() && expected);
    }

    #[test]
    fn a_number_compares_like_the_text_it_is_written_as(number in -1000_i64..1000, value in "-?[0-9]{1,3}") {
        let (as_number, as_text) = (subject(json!({ "a": number })), subject(json!({ "a": number.to_string() })));
        for operator in OPERATORS {
            let constraint = of_a(operator, &value);
            let holds = |user| holds_of(&constraint, &view(user, None), 0);
            prop_assert_eq!(holds(&as_number), holds(&as_text), "{}", operator);
        }
    }

    #[test]
    fn exactly_one_of_less_equal_and_greater_holds_of_versions(own in "[0-2]\\.[0-2]\\.[0-2](-[ab0-2](\\.[0-2])?)?", value in "[0-2]\\.[0-2]\\.[0-2](-[ab0-2](\\.[0-2])?)?") {
        let user = subject(json!({ "a": own }));
        let holds = |operator| holds_of(&of_a(operator, &value), &view(&user, None), 0);
        let (less, equal, greater) = (holds("SEMVER_LT"), holds("SEMVER_EQ"), holds("SEMVER_GT"));
        prop_assert_eq!([less, equal, greater].into_iter().filter(|holds| *holds).count(), 1);
        prop_assert_eq!(holds("SEMVER_LTE"), less || equal);
        prop_assert_eq!(holds("SEMVER_GTE"), greater || equal);
    }
}
