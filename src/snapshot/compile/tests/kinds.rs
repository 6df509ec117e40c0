//! What is refused of containers and logic, and which gates are warned of?

use serde_json::{Value, json};

use super::{every_kind, part};
use crate::snapshot::{
    BlockKey,
    compile::{compile_version, warnings},
};

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
            .incoming()[0]
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
