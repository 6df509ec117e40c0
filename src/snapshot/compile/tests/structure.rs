//! What is refused in a version, and how is a sound one linked?

use serde_json::{Value, json};

use super::{every_kind, part, sound, version};
use crate::snapshot::{
    BlockKey, NameKey,
    compile::{check::collision, compile_version, warnings},
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

/// `every_kind` with one change, and where the fault is to be.
#[track_caller]
fn assert_kind_fault(pointer: &str, new: Value, place: &str, rule: &str) {
    let mut document = every_kind();
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
fn items_belong_to_containers_of_their_kind() {
    let path = |from: Option<&str>, to: &str| json!({"uid": "p1", "from": from, "on": from.map(|_| ["complete"]), "to": to});
    assert_kind_fault(
        "/blocks/1/container",
        json!(null),
        "block \"ki\"",
        "the uid of its checklist",
    );
    assert_kind_fault(
        "/blocks/1/container",
        json!("h"),
        "block \"ki\"",
        "uid of a checklist",
    );
    assert_kind_fault(
        "/blocks/3/container",
        json!("k"),
        "block \"hi\"",
        "uid of hints",
    );
    assert_kind_fault(
        "/blocks/5/container",
        json!("k"),
        "block \"ti\"",
        "uid of a tour",
    );
    assert_kind_fault(
        "/blocks/9/container",
        json!("k"),
        "block \"c\"",
        "on items only",
    );
    assert_kind_fault(
        "/blocks/1/container",
        json!("k-no"),
        "block \"k\"",
        "at least one in a checklist",
    );
    assert_kind_fault(
        "/blocks/3/container",
        json!("h-no"),
        "block \"h\"",
        "at least one in hints",
    );
    let mut document = every_kind();
    document["paths"][1] = json!({"uid": "p1", "to": "ki"});
    let faults = compile_version(&part(&document)).unwrap_err();
    assert!(
        faults[0].rule.contains("leads to the checklist item"),
        "{faults:?}"
    );
    document["paths"][1] = path(Some("hi"), "c");
    let faults = compile_version(&part(&document)).unwrap_err();
    assert!(
        faults[0].rule.contains("comes from a hints item"),
        "{faults:?}"
    );
}

#[test]
fn members_of_a_kind_stand_there_and_nowhere_else() {
    let trigger = json!({"flow_sid": "x", "action": "stop"});
    assert_kind_fault(
        "/blocks/8/trigger",
        json!(null),
        "block \"f\"",
        "found no trigger",
    );
    assert_kind_fault(
        "/blocks/8/trigger/flow_sid",
        json!("a b"),
        "block \"f\"",
        "trigger: found \"a b\"",
    );
    assert_kind_fault(
        "/blocks/8/trigger/flow_sid",
        json!(""),
        "block \"f\"",
        "trigger: found \"\"",
    );
    assert_kind_fault(
        "/blocks/7/trigger",
        trigger.clone(),
        "block \"w\"",
        "on flow triggers only",
    );
    assert_kind_fault(
        "/blocks/9/trigger",
        trigger,
        "block \"c\"",
        "on flow triggers only",
    );
    for (place, sid) in [(6, "g"), (7, "w"), (8, "f"), (0, "k")] {
        let at = format!("block {sid:?}");
        let pointer = format!("/blocks/{place}/expression");
        assert_kind_fault(&pointer, json!("true"), &at, "on boolean blocks only");
        let pointer = format!("/blocks/{place}/transitions");
        assert_kind_fault(&pointer, json!(["done"]), &at, "on custom blocks only");
    }
}

#[test]
fn logic_leaves_by_done_and_gates_have_paths() {
    for place in [5, 6, 7] {
        let pointer = format!("/paths/{place}/on");
        let at = format!("path \"p{place}\"");
        assert_kind_fault(
            &pointer,
            json!(["complete"]),
            &at,
            "transition \"complete\"",
        );
        assert_kind_fault(&pointer, json!([]), &at, "no transition name");
    }
    assert_kind_fault(
        "/paths/4/to",
        json!("c"),
        "block \"g\"",
        "at least one to a gate",
    );
}

#[test]
fn a_cycle_of_any_logic_is_refused() {
    for back_to in ["g", "w", "f"] {
        let mut document = every_kind();
        document["paths"][7]["to"] = json!(back_to);
        let faults = compile_version(&part(&document)).unwrap_err();
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert_eq!(faults[0].place, format!("block {back_to:?}"));
        assert!(faults[0].rule.contains("cycle of logic blocks"));
    }
}

/// Gates that are warned of in a version of these blocks and paths.
fn warned(blocks: Value, paths: Value) -> Vec<String> {
    let document = json!({"flow_uid": "f", "flow_sid": "f", "number": 1, "entry": "everyone",
        "blocks": blocks, "paths": paths});
    let part = part(&document);
    assert!(compile_version(&part).is_ok());
    let found = warnings(&part);
    found.iter().map(ToString::to_string).collect()
}

#[test]
fn gates_behind_both_sides_of_a_branch_are_warned_of() {
    let boolean = json!({"uid": "q", "sid": "q", "kind": "boolean", "expression": "true"});
    let block = |uid: &str, kind: &str| json!({"uid": uid, "sid": uid, "kind": kind});
    let direct = warned(
        json!([boolean, block("g", "gate")]),
        json!([{"uid": "0", "to": "q"}, {"uid": "1", "from": "q", "on": ["true"], "to": "g"},
            {"uid": "2", "from": "q", "on": ["false"], "to": "g"}]),
    );
    assert_eq!(direct.len(), 1);
    assert!(direct[0].starts_with(
        "block \"g\": waits for the paths \"1\" and \"2\", of which block \"q\" takes only one:"
    ));
    // The same through cards; the third path does not help.
    let blocks = json!([
        boolean,
        block("a", "card"),
        block("b", "card"),
        block("c", "card"),
        block("g", "gate")
    ]);
    let through = |entered: &str| {
        json!([{"uid": "0", "to": "q"}, {"uid": "00", "to": entered},
            {"uid": "1", "from": "q", "on": ["true"], "to": "a"}, {"uid": "2", "from": "q", "on": ["false"], "to": "b"},
            {"uid": "3", "from": "a", "on": ["complete"], "to": "g"}, {"uid": "4", "from": "b", "on": ["complete"], "to": "g"},
            {"uid": "5", "from": "c", "on": ["complete"], "to": "g"}])
    };
    assert_eq!(warned(blocks.clone(), through("c")).len(), 1);
    // Whoever enters from elsewhere can take both.
    assert_eq!(warned(blocks.clone(), through("b")), Vec::<String>::new());
    // And so can who comes again.
    let mut again = through("c");
    again
        .as_array_mut()
        .unwrap()
        .push(json!({"uid": "6", "from": "a", "on": ["dismiss"], "to": "q"}));
    assert_eq!(warned(blocks, again), Vec::<String>::new());
}

#[test]
fn gates_between_two_names_are_warned_of_and_honest_ones_are_not() {
    let block = |uid: &str, kind: &str| json!({"uid": uid, "sid": uid, "kind": kind});
    let path = |uid: &str, from: &str, on: &str, to: &str| json!({"uid": uid, "from": from, "on": [on], "to": to});
    let names = warned(
        json!([block("c", "card"), block("g", "gate")]),
        json!([{"uid": "0", "to": "c"}, path("1", "c", "complete", "g"), path("2", "c", "dismiss", "g")]),
    );
    assert!(names[0].contains("unless a call names both"), "{names:?}");
    let join = warned(
        json!([block("a", "card"), block("b", "card"), block("g", "gate")]),
        json!([{"uid": "0", "to": "a"}, {"uid": "00", "to": "b"}, path("1", "a", "complete", "g"), path("2", "b", "complete", "g")]),
    );
    assert_eq!(join, Vec::<String>::new());
    let one_name = warned(
        json!([
            block("c", "card"),
            block("a", "card"),
            block("b", "card"),
            block("g", "gate")
        ]),
        json!([{"uid": "0", "to": "c"}, path("1", "c", "complete", "a"), path("2", "c", "complete", "b"),
            path("3", "a", "complete", "g"), path("4", "b", "complete", "g")]),
    );
    assert_eq!(one_name, Vec::<String>::new());
}

#[test]
fn the_largest_version_is_linked_and_one_more_block_is_not() {
    let block = |place: usize| {
        let kind = if place < 5_000 { "gate" } else { "card" };
        json!({"uid": format!("u{place}"), "sid": format!("s{place}"), "kind": kind})
    };
    let largest = |count: usize| {
        let first = json!({"uid": "e", "to": "u5000"});
        let paths = (0..5_000).map(|place| {
            json!({"uid": format!("p{place}"), "from": format!("u{}", place + 5_000),
                "on": ["complete"], "to": format!("u{place}")})
        });
        json!({"flow_uid": "f", "flow_sid": "f", "number": 1, "entry": "everyone",
            "blocks": (0..count).map(block).collect::<Vec<_>>(),
            "paths": std::iter::once(first).chain(paths).collect::<Vec<_>>()})
    };
    let version = compile_version(&part(&largest(10_000))).unwrap();
    assert_eq!(version.shown.len(), 5_000);
    assert_eq!(
        &*version
            .block(version.find(BlockKey::of("u7")).unwrap())
            .incoming[0]
            .uid,
        "p7"
    );
    assert!(warnings(&part(&largest(10_000))).is_empty());
    let faults = compile_version(&part(&largest(10_001))).unwrap_err();
    assert_eq!(
        faults[0].to_string(),
        "version: found 10001 blocks, expected at most 10000"
    );
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
    assert_eq!(*tour.items, [index("u-i2"), index("u-i1")]);
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
    assert_eq!(version.block(index("u-i1")).container, Some(index("u-t")));
    assert_eq!(version.find(BlockKey::of("nobody")), None);
}
