//! What holds of conditions whatever they are and whatever they look at?
//!
//! What single ones come to is in `tests/vectors`: `expressions.json`,
//! `audiences.json` and `constraints.json`.

mod constraints;
mod expressions;
mod rules;

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::evaluate::{Profile, Subject, SubjectView};

fn subject(properties: Value) -> Subject {
    let mut subject = Subject::unseen("ann");
    let profile = Arc::make_mut(&mut subject.profile);
    profile.created_ms = Some(1_000);
    if let Value::Object(properties) = properties {
        profile.properties = properties;
    }
    subject
}

fn view<'a>(user: &'a Subject, group: Option<&'a Profile>) -> SubjectView<'a> {
    SubjectView {
        user,
        group,
        attributes: None,
        conversation: None,
    }
}

/// Texts of all that a text may spell.
fn any_text() -> impl Strategy<Value = String> {
    "[a-cA-C%_]{0,4}|.{0,6}|[éÉßİςΣ]{0,3}|-?[0-9]{1,3}(\\.[0-9])?([eE]-?[0-9])?|[0-9]{1,20}\
     |2026-01-0[0-9]T00:00:0[0-9]Z|[0-2]\\.[0-2]\\.[0-2](-[ab0-2](\\.[0-2])?)?|10\\.0\\.[01]\\.[0-9](/[0-9]{1,2})?"
}

fn any_scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-3_i64..13).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any_text().prop_map(Value::from),
        any_text().prop_map(Value::from),
    ]
}

/// A value of any type.
fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![1 => Just(Value::Null), 6 => any_scalar()];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            inner.prop_map(|value| json!({ "b": value })),
            Just(json!({})),
        ]
    })
}

/// Values of every type, under the names `a` and `b`.
fn any_properties() -> impl Strategy<Value = Value> {
    (any_value(), any_value()).prop_map(|(a, b)| json!({ "a": a, "b": b }))
}
