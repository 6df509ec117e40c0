//! Does anything make the engine panic, and do branches see blocks?
//!
//! What expressions come to is in `tests/vectors/expressions.json`.

use proptest::prelude::*;
use serde_json::Value;

use super::{any_properties, subject, view};
use crate::{
    evaluate::{BlockState, Profile, predicate::Predicate},
    snapshot::BlockKey,
};

fn key_of(sid: &str) -> Option<BlockKey> {
    (sid != "nowhere").then(|| BlockKey::of(sid))
}

#[test]
fn a_branch_sees_where_blocks_stand() {
    let user = subject(Value::Null);
    let blocks = [BlockState {
        key: BlockKey::of("card"),
        active: false,
        entered: true,
        exited: true,
        taken: Box::default(),
    }];
    let holds = |source: &str, blocks: Option<&[BlockState]>| {
        let predicate = Predicate::parse_branch(source, &key_of).unwrap();
        predicate.holds_in(&view(&user, None), 0, blocks)
    };
    assert!(holds("blocks[\"card\"].exited", Some(&blocks)));
    assert!(holds(
        "blocks['card'].entered AND NOT blocks.card.active",
        Some(&blocks)
    ));
    assert!(holds("blocks[\"other\"].exited = false", Some(&blocks)));
    assert!(!holds("blocks[\"other\"].entered", Some(&blocks)));
    assert!(holds("blocks[\"card\"].exited IS NULL", None));
}

#[test]
fn a_branch_on_a_block_that_does_not_exist_is_refused() {
    let error =
        Predicate::parse_branch("true AND blocks[\"nowhere\"].exited", &key_of).unwrap_err();
    assert_eq!(error.position, 15);
    assert!(error.message.contains("\"nowhere\""), "{error}");
    let error = Predicate::parse_branch("blocks[\"card\"].left", &key_of).unwrap_err();
    assert!(
        error.message.contains("active, entered or exited"),
        "{error}"
    );
}

/// Sound expressions of every form.
fn any_expression() -> impl Strategy<Value = String> {
    let operand = prop_oneof![
        Just("user.properties.a".to_owned()),
        Just("user.properties.b[0]".to_owned()),
        Just("user.properties.a.b".to_owned()),
        Just("group.identifier".to_owned()),
        Just("lower(user.properties.b)".to_owned()),
        Just("length(user.properties.a)".to_owned()),
        Just("null".to_owned()),
        Just("user.properties.a + 9000000w".to_owned()),
        any::<i64>().prop_map(|number| number.to_string()),
        "[a-c%_]{0,3}".prop_map(|text| format!("'{text}'")),
    ];
    let pair = (operand.clone(), operand.clone());
    let test = (pair, operand, 0..9_usize, "[a-c%_]{0,4}").prop_map(
        |((a, b), c, form, pattern)| match form {
            0 => format!("{a} = {b}"),
            1 => format!("{a} < {b}"),
            2 => format!("{a} NOT BETWEEN {b} AND {c}"),
            3 => format!("{a} IN ({b}, {c})"),
            4 => format!("{a} LIKE '{pattern}'"),
            5 => format!("includes({a}, {b})"),
            6 => format!("contains({a}, {b}) != true"),
            7 => format!("endsWith({a}, {b})"),
            _ => format!("{a} IS NOT NULL"),
        },
    );
    test.prop_recursive(4, 16, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|one| format!("NOT ({one})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a} AND {b}")),
            (inner.clone(), inner).prop_map(|(a, b)| format!("({a} OR {b})")),
        ]
    })
}

proptest! {
    #[test]
    fn no_source_text_panics(source in "[ -~]{0,60}|(user|\\.|properties|\\[|\\]|'|\"|\\(|\\)|[0-9]|d| |AND|NOT|IN|é|,|-|<|=|now){0,20}|.{0,40}") {
        if let Err(error) = Predicate::parse_branch(&source, &key_of) {
            prop_assert!(error.position <= source.len(), "{error} in {source:?}");
        }
    }

    #[test]
    fn sound_expressions_are_total_and_not_is_their_opposite(source in any_expression(), properties in any_properties(), now: u64) {
        let user = subject(properties);
        let group = Profile { identifier: "acme".into(), ..Profile::default() };
        let negated = Predicate::parse(&format!("NOT ({source})"));
        let (predicate, negated) = match (Predicate::parse(&source), negated) {
            (Ok(predicate), Ok(negated)) => (predicate, negated),
            (one, other) => {
                // The one thing that is refused among these.
                let error = one.unwrap_err();
                prop_assert!(error.message.contains("beside a date"), "{error} in {source}");
                prop_assert!(other.is_err());
                return Ok(());
            }
        };
        for view in [view(&user, None), view(&user, Some(&group))] {
            prop_assert_ne!(predicate.holds(&view, now), negated.holds(&view, now));
        }
    }
}
