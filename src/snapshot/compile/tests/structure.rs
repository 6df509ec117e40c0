//! What is refused in a version, and how is a sound one linked?

use serde_json::{Value, json};

use super::{part, sound, version};
use crate::snapshot::{
    BlockKey, NameKey,
    compile::{check::collision, compile_version},
};

#[track_caller]
fn assert_fault(pointer: &str, new: Value, place: &str, rule: &str) {
    let mut document = sound();
    *document.pointer_mut(pointer).unwrap() = new;
    let faults = compile_version(&part(&document)).unwrap_err();
    assert!(
        faults
            .iter()
            .any(|fault| fault.place == place && fault.rule.contains(rule)),
        "{faults:#?}"
    );
}

#[test]
fn every_broken_rule_is_named_with_its_place() {
    assert_fault("/flow_sid", json!("a b"), "flow", "characters");
    assert_fault("/blocks/0/sid", json!("a.b"), "block \"a.b\"", "characters");
    assert_fault("/blocks/0/uid", json!(""), "block \"a\"", "the uid \"\"");
    assert_fault(
        "/blocks/1/uid",
        json!("u-a"),
        "block \"q\"",
        "\"u-a\" twice",
    );
    assert_fault("/blocks/1/sid", json!("a"), "block \"a\"", "sid twice");
    assert_fault(
        "/blocks/0/transitions",
        json!(["go", "go"]),
        "block \"a\"",
        "\"go\" twice",
    );
    assert_fault(
        "/blocks/0/transitions",
        json!(["go", ""]),
        "block \"a\"",
        "transition name \"\"",
    );
    assert_fault(
        "/blocks/0/transitions",
        json!(vec!["x"; 33]),
        "block \"a\"",
        "at most 32",
    );
    assert_fault(
        "/blocks/0/kind",
        json!("card"),
        "block \"a\"",
        "custom blocks only",
    );
    assert_fault(
        "/blocks/0/fields/0/value",
        json!(5),
        "block \"a\"",
        "found a number, expected a string",
    );
    assert_fault(
        "/blocks/0/fields/2/value",
        json!("x"),
        "block \"a\"",
        "expected an array of nodes",
    );
    assert_fault(
        "/blocks/0/fields/1/sid",
        json!("title"),
        "block \"a\"",
        "\"title\" twice",
    );
    assert_fault(
        "/blocks/1/expression",
        json!("user."),
        "block \"q\"",
        "at position 5",
    );
    assert_fault(
        "/blocks/1/expression",
        json!("blocks[\"zz\"].exited"),
        "block \"q\"",
        "\"zz\"",
    );
    assert_fault(
        "/blocks/1/expression",
        json!(null),
        "block \"q\"",
        "no expression",
    );
}

#[test]
fn paths_lead_where_they_may() {
    assert_fault(
        "/paths/1",
        json!({"uid": "p1", "from": "u-a", "on": ["go"], "to": "u-x"}),
        "path \"p1\"",
        "\"u-x\"",
    );
    assert_fault(
        "/paths/1",
        json!({"uid": "p1", "from": "u-x", "on": ["go"], "to": "u-a"}),
        "path \"p1\"",
        "\"u-x\"",
    );
    assert_fault(
        "/paths/1",
        json!({"uid": "p1", "from": "u-a", "on": ["no"], "to": "u-q"}),
        "path \"p1\"",
        "transition \"no\"",
    );
    assert_fault(
        "/paths/1",
        json!({"uid": "p1", "from": "u-a", "on": ["go", "go"], "to": "u-q"}),
        "path \"p1\"",
        "twice",
    );
    assert_fault(
        "/paths/1",
        json!({"uid": "p1", "from": "u-a", "to": "u-q"}),
        "path \"p1\"",
        "no transition name",
    );
    assert_fault("/paths/1/uid", json!("p0"), "path \"p0\"", "twice");
    assert_fault("/paths/0/to", json!("u-i1"), "path \"p0\"", "tour item");
    assert_fault(
        "/paths/0",
        json!({"uid": "p0", "on": ["go"], "to": "u-a"}),
        "path \"p0\"",
        "expected none from the entry",
    );
    assert_fault(
        "/paths/4",
        json!({"uid": "p4", "from": "u-i1", "on": ["next"], "to": "u-end"}),
        "path \"p4\"",
        "comes from a tour item",
    );
    assert_fault(
        "/paths/4",
        json!({"uid": "p4", "from": "u-end", "on": [], "to": "u-a"}),
        "path \"p4\"",
        "finish",
    );
    assert_fault(
        "/paths/0",
        json!({"uid": "p0", "from": "u-a", "on": ["go"], "to": "u-q"}),
        "entry",
        "no path",
    );
}

#[test]
fn items_belong_to_tours_and_tours_have_items() {
    assert_fault(
        "/blocks/3/container",
        json!(null),
        "block \"i1\"",
        "without a container",
    );
    assert_fault(
        "/blocks/3/container",
        json!("u-a"),
        "block \"i1\"",
        "uid of a tour",
    );
    assert_fault(
        "/blocks/3/container",
        json!("u-zz"),
        "block \"i1\"",
        "uid of a tour",
    );
    assert_fault(
        "/blocks/2/kind",
        json!("card"),
        "block \"i1\"",
        "uid of a tour",
    );
    let mut document = sound();
    document["blocks"].as_array_mut().unwrap().drain(3..5);
    let faults = compile_version(&part(&document)).unwrap_err();
    assert_eq!(
        faults[0].to_string(),
        "block \"t\": found no item, expected at least one in a tour"
    );
}

#[test]
fn an_entry_expression_cannot_ask_for_blocks() {
    let expression = json!({"expression": "blocks[\"a\"].exited"});
    assert_fault("/entry", expression, "entry", "branches only");
}

#[test]
fn all_faults_are_told_at_once() {
    let mut document = sound();
    document["blocks"][0]["sid"] = json!("a b");
    document["paths"][4]["to"] = json!("nowhere");
    document["entry"] = json!({"expression": "("});
    let faults = compile_version(&part(&document)).unwrap_err();
    let places: Vec<&str> = faults.iter().map(|fault| fault.place.as_str()).collect();
    for place in ["block \"a b\"", "entry", "path \"p4\""] {
        assert!(places.contains(&place), "{places:?}");
    }
}

#[test]
fn a_cycle_of_booleans_alone_is_refused_and_one_with_a_shown_block_is_not() {
    let boolean =
        |uid: &str| json!({"uid": uid, "sid": uid, "kind": "boolean", "expression": "true"});
    let document = |back_to: &str| {
        json!({"flow_uid": "f", "flow_sid": "f", "number": 1, "entry": "everyone",
            "blocks": [{"uid": "c", "sid": "c", "kind": "card"}, boolean("x"), boolean("y")],
            "paths": [{"uid": "0", "to": "c"}, {"uid": "1", "from": "c", "on": ["complete"], "to": "x"},
                {"uid": "2", "from": "x", "on": ["true"], "to": "y"},
                {"uid": "3", "from": "y", "on": ["false"], "to": back_to}]})
    };
    assert!(compile_version(&part(&document("c"))).is_ok());
    for circle in ["x", "y"] {
        let faults = compile_version(&part(&document(circle))).unwrap_err();
        assert_eq!(faults.len(), 1);
        assert_eq!(faults[0].place, format!("block {circle:?}"));
        assert!(faults[0].rule.contains("cycle"));
    }
}

#[test]
fn two_names_with_one_hash_are_found() {
    let found = |names: &[(u64, &'static str)]| collision(names.iter().copied());
    assert_eq!(found(&[(1, "a"), (2, "b"), (1, "c")]), Some(("a", "c")));
    // The same name twice is another fault, told elsewhere.
    assert_eq!(found(&[(1, "a"), (2, "b"), (1, "a")]), None);
}

#[test]
fn names_become_indexes_in_their_order() {
    let version = version();
    let index = |uid: &str| version.find(BlockKey::of(uid)).unwrap();
    let tour = version.block(index("u-t"));
    assert_eq!(*tour.items(), [index("u-i2"), index("u-i1")]);
    assert_eq!(version.initial[0].block, index("u-a"));
    assert_eq!(version.initial.len(), 1);
    let shown: Vec<&str> = version
        .shown
        .iter()
        .map(|i| &*version.block(*i).sid)
        .collect();
    assert_eq!(shown, ["a", "t", "i1", "i2"]);
    let complete = tour.transition(NameKey::of("complete")).unwrap();
    assert_eq!(complete.targets[0].block, index("u-end"));
    assert_eq!(complete.targets.len(), 1);
    assert_eq!(version.block(index("u-i1")).container(), Some(index("u-t")));
    assert_eq!(version.find(BlockKey::of("nobody")), None);
}
