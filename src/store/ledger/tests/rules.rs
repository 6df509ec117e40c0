//! Steps: one test for each rule, in their order.

use super::*;
use Outcome::{Already, Applied, Dead, Superseded};

#[test]
fn an_event_id_counts_once_on_all_edges() {
    let scene = Scene::new();
    let (mut one, mut other) = (scene.edge("a"), scene.edge("b"));
    one.read("u");
    other.read("u");
    one.start("u").id(7, 1).rich("u", true);
    other.start("u").id(7, 1);
    assert_eq!(one.outcomes(), [Applied; 2]);
    let outcomes = other.ship();
    assert_eq!(outcomes[0].outcome, Already);
    assert!(!outcomes[0].as_recorded, "the user has moved on");
}

#[test]
fn an_event_id_with_another_body_is_dead() {
    let scene = Scene::new();
    let mut edge = scene.edge("a");
    edge.start("u").id(7, 1).rich("u", true).id(7, 2);
    assert_eq!(edge.outcomes(), [Applied, Dead]);
    assert!(scene.dead()[0].contains("idempotency key"));
}

#[test]
fn the_ring_of_event_ids_survives_a_reset_and_is_bounded() {
    let scene = Scene::new();
    let mut edge = scene.edge("a");
    edge.start("u").id(100, 1);
    for key in 0..limits::EVENT_RING as u64 - 1 {
        edge.intent("u", "reset").id(key, 1);
    }
    edge.ship();
    edge.intent("u", "reset").id(100, 1);
    assert_eq!(edge.outcomes(), [Already], "still in the ring");
    edge.read("u");
    edge.intent("u", "reset").id(500, 1);
    edge.intent("u", "reset").id(100, 1);
    assert_eq!(edge.outcomes(), [Applied; 2], "pushed out of the ring");
    assert_eq!(scene.user("u").flows[0].recent.len(), limits::EVENT_RING);
}

#[test]
fn what_another_edge_did_as_well_is_already_there() {
    let scene = Scene::new();
    let (mut one, mut other) = (scene.edge("a"), scene.edge("b"));
    one.start("u");
    one.ship();
    other.read("u");
    one.rich("u", true);
    other.rich("u", true);
    assert_eq!(one.outcomes(), [Applied]);
    let outcomes = other.ship();
    assert_eq!(outcomes[0].outcome, Already);
    assert!(!outcomes[0].as_recorded, "what else happened it must read");
}

#[test]
fn a_step_that_is_legal_from_the_newer_state_is_applied() {
    let scene = Scene::new();
    let (mut one, mut other) = (scene.edge("a"), scene.edge("b"));
    one.start("u").rich("u", true);
    one.ship();
    other.read("u");
    one.identify("u", json!({"seen": true}), &[]);
    one.ship();
    other.leave("u", "gold", "complete");
    let outcomes = other.ship();
    assert_eq!(outcomes[0].outcome, Applied);
    assert!(!outcomes[0].as_recorded, "the properties are news to it");
    assert_eq!(scene.active("u"), ["first"]);
}

#[test]
fn what_one_edge_did_is_not_overwritten_by_a_chain_that_never_saw_it() {
    let scene = Scene::new();
    let (mut one, mut other) = (scene.edge("a"), scene.edge("b"));
    one.start("u");
    one.ship();
    other.read("u");
    one.rich("u", true);
    one.ship();
    // Merged in, because it concerns another version of the flow.
    other.step("u", 2, "start", None, &[]);
    assert_eq!(other.outcomes(), [Applied]);
    // Follows on the record before, which had not seen the first edge's step.
    other.rich("u", false);
    assert_eq!(other.outcomes(), [Dead]);
    assert_eq!(
        scene.active("u"),
        ["gold"],
        "acknowledged by the first edge"
    );
}

#[test]
fn an_unvisited_flow_is_assumed_only_until_the_ledger_knows_better() {
    let scene = Scene::new();
    let mut one = scene.edge("a");
    one.start("u").rich("u", true);
    one.ship();
    // Restarted with upstream away: its last record of the user is known, so
    // the chain is current, but not what stood in the document besides.
    one.views.get_mut("u").unwrap().states.clear();
    one.start("u");
    one.waiting[0].event.assumed = Assumption::Unvisited;
    one.rich("u", false);
    one.waiting[1].event.assumed = Assumption::Rest;
    assert_eq!(one.outcomes(), [Superseded; 2]);
    assert_eq!(scene.active("u"), ["gold"]);
    assert!(scene.dead().is_empty());
}

#[test]
fn a_key_that_an_assuming_edge_could_not_know_supersedes() {
    let scene = Scene::new();
    let mut one = scene.edge("a");
    one.start("u").id(7, 1);
    one.ship();
    one.intent("u", "stop").id(7, 2);
    one.waiting[0].event.assumed = Assumption::Rest;
    one.intent("u", "reset");
    one.waiting[1].event.assumed = Assumption::Rest;
    assert_eq!(one.outcomes(), [Superseded; 2]);
    assert!(scene.dead().is_empty());
}

#[test]
fn the_ledger_plays_recorded_branches_and_never_decides_them() {
    let scene = Scene::new();
    let (mut one, mut other) = (scene.edge("a"), scene.edge("b"));
    one.start("u");
    one.ship();
    other.read("u");
    // Another version of the flow makes the base old, not the state.
    one.identify("u", json!({"rich": false}), &[]);
    one.ship();
    other.rich("u", true);
    assert_eq!(other.outcomes(), [Applied]);
    assert_eq!(scene.active("u"), ["gold"]);
}

#[test]
fn a_step_that_is_illegal_from_the_newer_state_is_dead_and_stops_nothing() {
    let scene = Scene::new();
    let (mut one, mut other) = (scene.edge("a"), scene.edge("b"));
    one.start("u");
    one.ship();
    other.read("u");
    one.leave("u", "first", "dismiss");
    one.ship();
    other.rich("u", true).start("v");
    assert_eq!(other.outcomes(), [Dead, Applied]);
    assert!(scene.active("u").is_empty(), "the first edge's step stands");
    let letters = scene.store.dead_letters(WHERE, 9).unwrap();
    assert_eq!((letters[0].journal.as_str(), letters[0].seq), ("b", 1));
    assert!(
        letters[0].why.contains("leads nowhere"),
        "{}",
        letters[0].why
    );
}

#[test]
fn a_missing_branch_outcome_is_dead() {
    let scene = Scene::new();
    let (mut one, mut other) = (scene.edge("a"), scene.edge("b"));
    one.start("u");
    one.ship();
    other.read("u");
    one.identify("u", json!({"a": 1}), &[]);
    one.ship();
    other.rich("u", true);
    other.waiting[0].event.outcomes.clear();
    assert_eq!(other.outcomes(), [Dead]);
}

#[test]
fn steps_of_an_older_generation_are_superseded() {
    let scene = Scene::new();
    let (mut one, mut other) = (scene.edge("a"), scene.edge("b"));
    one.start("u");
    one.ship();
    other.read("u");
    one.intent("u", "reset");
    one.ship();
    other.rich("u", true);
    let outcomes = other.ship();
    assert_eq!(outcomes[0].outcome, Superseded);
    assert!(outcomes[0].why.as_ref().unwrap().contains("reset"));
    assert!(!outcomes[0].as_recorded);
}

#[test]
fn an_assumed_start_of_an_unknown_user_is_applied() {
    let scene = Scene::new();
    let mut edge = scene.edge("a");
    edge.assume("u");
    edge.start("u").rich("u", false);
    assert_eq!(edge.outcomes(), [Applied; 2]);
}

#[test]
fn an_assumed_start_of_a_known_user_is_superseded_with_its_dependants() {
    let scene = Scene::new();
    let mut one = scene.edge("a");
    one.start("u").rich("u", true);
    one.ship();
    let mut other = scene.edge("b");
    other.assume("u");
    other.start("u").rich("u", false);
    assert_eq!(other.outcomes(), [Superseded; 2]);
    // Also in a later batch, and although the step would be legal.
    other.leave("u", "plain", "complete");
    assert_eq!(other.outcomes(), [Superseded]);
    assert_eq!(scene.active("u"), ["gold"]);
    other.read("u");
    other.leave("u", "gold", "complete");
    assert_eq!(other.outcomes(), [Applied], "read again, and right again");
    assert!(scene.dead().is_empty());
}

#[test]
fn a_refuted_assumption_takes_no_other_flow_version_with_it() {
    let scene = Scene::new();
    let mut one = scene.edge("a");
    one.start("u").rich("u", true);
    one.ship();
    let mut other = scene.edge("b");
    other.assume("u");
    other.start("u");
    other.step("u", 2, "start", None, &[]);
    other.leave("u", "first", "dismiss");
    other.step("u", 2, "leave", Some(("first", "complete")), &[]);
    assert_eq!(other.outcomes(), [Superseded, Applied, Superseded, Applied]);
    assert_eq!(scene.active("u"), ["gold"]);
}

#[test]
fn dependants_journaled_after_a_restart_are_superseded_too() {
    let scene = Scene::new();
    let mut one = scene.edge("a");
    one.start("u").rich("u", true);
    one.ship();
    let mut before = scene.edge("b");
    before.assume("u");
    before.start("u");
    assert_eq!(before.outcomes(), [Superseded]);
    let mut after = scene.edge("c");
    after.views.clone_from(&before.views);
    after.rich("u", false);
    after.leave("u", "plain", "complete");
    assert_eq!(after.outcomes(), [Superseded; 2]);
}

#[test]
fn dependants_stay_dependants_across_an_identify_and_a_restart() {
    let scene = Scene::new();
    let mut one = scene.edge("a");
    one.start("u").rich("u", true);
    one.ship();
    let mut before = scene.edge("b");
    before.assume("u");
    before.start("u");
    assert_eq!(before.outcomes(), [Superseded]);
    let mut after = scene.edge("c");
    after.views.clone_from(&before.views);
    after.identify("u", json!({"seen": true}), &[]);
    after.rich("u", false).intent("u", "reset");
    assert_eq!(after.outcomes(), [Applied, Superseded, Superseded]);
    assert_eq!(scene.active("u"), ["gold"]);
}

#[test]
fn a_user_of_an_environment_made_anew_is_not_touched() {
    let scene = Scene::new();
    let mut edge = scene.edge("a");
    edge.start("u").start("v");
    edge.waiting[0].event.environment_uid = "another".to_owned();
    assert_eq!(edge.outcomes(), [Dead, Applied]);
    assert_eq!(scene.user("u").doc_rev, 0);
    assert!(scene.dead()[0].contains("another"));
}

#[test]
fn a_version_the_store_does_not_have_is_dead_unless_the_base_is_current() {
    let scene = Scene::new();
    let (mut one, mut other) = (scene.edge("a"), scene.edge("b"));
    other.read("u");
    one.identify("u", json!({"a": 1}), &[]);
    one.ship();
    other.start("u");
    let event = &mut other.waiting[0].event;
    event.operation = operation(9, "start", None, 0, 0);
    event.states[0].version = 9;
    assert_eq!(other.outcomes(), [Dead]);
    assert!(scene.dead()[0].contains("version 9"));
}

#[test]
fn repeated_stops_and_starts_are_already_there() {
    let scene = Scene::new();
    let (mut one, mut other) = (scene.edge("a"), scene.edge("b"));
    one.start("u");
    one.ship();
    other.read("u");
    one.rich("u", true).intent("u", "stop");
    one.ship();
    other.intent("u", "stop");
    assert_eq!(other.outcomes(), [Already]);
}
