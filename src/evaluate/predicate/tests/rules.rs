//! What holds of every rule of an audience?

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{any_properties, any_scalar, any_text, any_value, subject, view};
use crate::{
    evaluate::{Profile, predicate::Predicate},
    snapshot::wire::{RuleOperator, RulePart},
};

const ALL: [RuleOperator; 9] = [
    RuleOperator::Equals,
    RuleOperator::NotEquals,
    RuleOperator::Contains,
    RuleOperator::StartsWith,
    RuleOperator::EndsWith,
    RuleOperator::GreaterThan,
    RuleOperator::LessThan,
    RuleOperator::IsEmpty,
    RuleOperator::IsNotEmpty,
];

fn rule(operator: RuleOperator, value: Value, ignore_case: bool) -> RulePart {
    RulePart {
        attribute: "a".to_owned(),
        operator,
        value,
        ignore_case,
    }
}

/// Whether the rule holds for someone whose property `a` is this.
fn holds(rule: &RulePart, own: &Value) -> bool {
    let user = subject(json!({ "a": own }));
    let predicate = Predicate::rule(rule).unwrap();
    predicate.holds(&view(&user, None), 0)
}

proptest! {
    #[test]
    fn no_rule_panics(attribute in "a|b|group\\.a|group\\..{0,3}|user\\..{0,12}|.{0,4}", operator in prop::sample::select(&ALL), value in any_value(), ignore_case: bool, properties in any_properties(), now: u64) {
        let part = RulePart { attribute, operator, value, ignore_case };
        let user = subject(properties.clone());
        let group = Profile { properties: user.profile.properties.clone(), ..Profile::default() };
        match Predicate::rule(&part) {
            Ok(predicate) => {
                predicate.holds(&view(&user, None), now);
                predicate.holds(&view(&user, Some(&group)), now);
            }
            Err(why) => prop_assert!(why.starts_with("found ") && why.contains("expected "), "{why}"),
        }
    }

    #[test]
    fn whether_a_rule_is_refused_says_nothing_of_who_is_judged(operator in prop::sample::select(&ALL), value in any_value(), ignore_case: bool) {
        let needs_none = matches!(operator, RuleOperator::IsEmpty | RuleOperator::IsNotEmpty);
        let compiled = Predicate::rule(&rule(operator, value.clone(), ignore_case));
        if value.is_null() {
            prop_assert_eq!(compiled.is_ok(), needs_none);
        }
        if value.is_array() || value.is_object() || (needs_none && !value.is_null()) {
            prop_assert!(compiled.is_err());
        }
        if value.is_string() {
            prop_assert_eq!(compiled.is_ok(), !needs_none);
        }
    }

    #[test]
    fn not_equals_is_the_opposite_of_equals(own in any_value(), value in any_scalar(), ignore_case: bool) {
        let equals = holds(&rule(RuleOperator::Equals, value.clone(), ignore_case), &own);
        let differs = holds(&rule(RuleOperator::NotEquals, value, ignore_case), &own);
        prop_assert_ne!(equals, differs);
        prop_assert!(!own.is_null() || differs);
    }

    #[test]
    fn is_not_empty_is_the_opposite_of_is_empty(own in any_value()) {
        let empty = holds(&rule(RuleOperator::IsEmpty, Value::Null, false), &own);
        let filled = holds(&rule(RuleOperator::IsNotEmpty, Value::Null, false), &own);
        prop_assert_ne!(empty, filled);
        let expected = [Value::Null, json!(""), json!([]), json!({})].contains(&own);
        prop_assert_eq!(empty, expected);
    }

    #[test]
    fn a_value_equals_itself_and_is_neither_greater_nor_less(own in any_scalar(), ignore_case: bool) {
        prop_assert!(holds(&rule(RuleOperator::Equals, own.clone(), ignore_case), &own));
        if !own.is_boolean() {
            for operator in [RuleOperator::GreaterThan, RuleOperator::LessThan] {
                prop_assert!(!holds(&rule(operator, own.clone(), ignore_case), &own));
            }
        }
    }

    #[test]
    fn equality_and_order_do_not_care_which_side_is_which(a in any_scalar(), b in any_scalar(), ignore_case: bool) {
        let equals = |a: &Value, b: &Value| holds(&rule(RuleOperator::Equals, b.clone(), ignore_case), a);
        prop_assert_eq!(equals(&a, &b), equals(&b, &a));
        if !a.is_boolean() && !b.is_boolean() {
            let greater = holds(&rule(RuleOperator::GreaterThan, b.clone(), ignore_case), &a);
            let less = holds(&rule(RuleOperator::LessThan, a, ignore_case), &b);
            prop_assert_eq!(greater, less);
        }
    }

    #[test]
    fn ignoring_case_is_comparing_in_lower_case(own in any_text(), value in any_text()) {
        let lower = |text: &str| -> String { text.chars().flat_map(char::to_lowercase).collect() };
        for operator in [RuleOperator::Equals, RuleOperator::Contains, RuleOperator::StartsWith, RuleOperator::EndsWith] {
            let ignoring = holds(&rule(operator, value.clone().into(), true), &own.clone().into());
            let lowered = holds(&rule(operator, lower(&value).into(), false), &lower(&own).into());
            prop_assert_eq!(ignoring, lowered, "{:?}", operator);
            let other_way = holds(&rule(operator, lower(&value).into(), true), &own.clone().into());
            prop_assert_eq!(ignoring, other_way, "{:?}", operator);
        }
    }

    #[test]
    fn an_array_contains_what_equals_one_of_its_elements(elements in prop::collection::vec(any_value(), 0..4), value in any_scalar(), ignore_case: bool) {
        let one_is = elements.iter().any(|one| holds(&rule(RuleOperator::Equals, value.clone(), ignore_case), one));
        let contains = holds(&rule(RuleOperator::Contains, value, ignore_case), &elements.into());
        prop_assert_eq!(contains, one_is);
    }

    #[test]
    fn a_number_is_what_it_is_written_as(number in any::<i64>(), float in any::<f64>().prop_filter("JSON has no others", |float| float.is_finite())) {
        for own in [json!(number), json!(float)] {
            let text = Value::from(own.to_string());
            let equals = |a: &Value, b: &Value| holds(&rule(RuleOperator::Equals, b.clone(), false), a);
            prop_assert!(equals(&own, &text) && equals(&text, &own), "{}", own);
        }
    }
}
