//! Percentage decisions of several edges, and the change stream they make.

use Outcome::{Already, Applied, Dead, Superseded};
use proptest::prelude::*;

use super::*;
use crate::{progress::event::subject_hash, store::memory::MemoryLedger};

fn standing(scene: &Scene, user: &str) -> (bool, u16, bool, u64) {
    let record = scene.store.membership(WHERE, "d", user, None).unwrap();
    let known = record.membership.unwrap();
    (
        known.is_in,
        known.basis_points,
        record.started,
        record.doc_rev,
    )
}

#[test]
fn the_first_decision_stands_on_every_edge() {
    let scene = Scene::new();
    let (mut one, mut other) = (scene.edge("a"), scene.edge("b"));
    assert_eq!(one.enrol("u", false, 2_500).outcomes(), [Applied]);
    let late = other
        .enrol("u", true, 5_000)
        .enrol("u", false, 5_000)
        .ship();
    assert_eq!((late[0].outcome, late[1].outcome), (Superseded, Already));
    let told = late[0].membership.as_ref().unwrap();
    assert!(!told.membership.as_ref().unwrap().is_in);
    assert!(!late[0].as_recorded);
    assert_eq!(standing(&scene, "u"), (false, 2_500, false, 1));
    assert_eq!(
        scene.user("u").doc_rev,
        0,
        "the user's document is not touched"
    );
}

#[test]
fn full_launch_replaces_an_out() {
    let scene = Scene::new();
    let mut edge = scene.edge("a");
    edge.enrol("u", false, 2_500).enrol("u", true, 10_000);
    assert_eq!(edge.outcomes(), [Applied, Applied]);
    assert_eq!(standing(&scene, "u"), (true, 10_000, false, 2));
}

#[test]
fn a_start_that_is_applied_lets_in_who_was_out() {
    let scene = Scene::new();
    let (mut one, mut other) = (scene.edge("a"), scene.edge("b"));
    one.enrol("u", false, 2_500).ship();
    let started = other.start("u").brings(true, 5_000).ship();
    assert_eq!(started[0].outcome, Applied);
    assert_eq!(standing(&scene, "u"), (true, 5_000, true, 2));
    assert_eq!(one.enrol("u", false, 2_500).outcomes(), [Superseded]);
}

#[test]
fn a_start_that_is_superseded_lets_nobody_in() {
    let scene = Scene::new();
    let (mut one, mut other) = (scene.edge("a"), scene.edge("b"));
    one.start("u").rich("u", true).ship();
    one.enrol("u", false, 2_500).ship();
    other.assume("u");
    let late = other.start("u").brings(true, 5_000).ship();
    assert_eq!(late[0].outcome, Superseded);
    assert!(
        !late[0]
            .membership
            .as_ref()
            .unwrap()
            .membership
            .as_ref()
            .unwrap()
            .is_in
    );
    assert_eq!(standing(&scene, "u"), (false, 2_500, false, 1));
}

#[test]
fn a_conversation_has_a_record_of_its_own() {
    let scene = Scene::new();
    let mut edge = scene.edge("a");
    edge.enrol("u", false, 2_500).enrol("u", true, 2_500);
    let event = &mut edge.waiting[1].event;
    event.membership.as_mut().unwrap().conversation = Some("c".to_owned());
    assert_eq!(edge.outcomes(), [Applied, Applied]);
    let inside = scene.store.membership(WHERE, "d", "u", Some("c")).unwrap();
    assert!(inside.membership.unwrap().is_in);
    assert!(!standing(&scene, "u").0);
}

#[test]
fn a_batch_that_comes_again_says_what_stands_and_changes_nothing() {
    let scene = Scene::new();
    let mut edge = scene.edge("a");
    edge.enrol("u", true, 2_500).start("u").brings(true, 2_500);
    let batch = edge.batch();
    edge.ship();
    let again = scene.store.ship(WHERE, &batch).unwrap();
    for outcome in again.outcomes {
        assert_eq!(outcome.outcome, Already);
        assert_eq!(outcome.membership.unwrap().doc_rev, 2);
    }
    assert_eq!(standing(&scene, "u"), (true, 2_500, true, 2));
}

#[test]
fn a_decision_that_cannot_be_one_is_dead() {
    let scene = Scene::new();
    let mut edge = scene.edge("a");
    edge.enrol("u", true, 10_001)
        .enrol("u", true, 5)
        .enrol("u", true, 5)
        .start("v")
        .brings(true, 5);
    edge.waiting[1].event.membership = None;
    edge.waiting[2]
        .event
        .membership
        .as_mut()
        .unwrap()
        .conversation = Some(String::new());
    edge.waiting[3]
        .event
        .membership
        .as_mut()
        .unwrap()
        .id
        .clear();
    assert_eq!(edge.outcomes(), [Dead; 4]);
    assert_eq!(scene.user("v").doc_rev, 0);
    assert_eq!(
        scene
            .store
            .membership(WHERE, "d", "u", None)
            .unwrap()
            .doc_rev,
        0
    );
}

#[test]
fn changes_name_what_a_batch_changed_once_and_by_whom() {
    let scene = Scene::new();
    let begun = scene.store.changes(WHERE, None).unwrap();
    assert!(begun.changes.is_empty() && !begun.gap);
    let taken = scene.store.watch_progress(WHERE).unwrap();
    let elsewhere = scene.store.watch_progress("development").unwrap();
    let everywhere = scene.store.watch_all_progress();
    let mut edge = scene.edge("a");
    edge.start("u").brings(true, 2_500).rich("u", true);
    edge.identify("v", json!({"a": 1}), &[("g", json!({"b": 2}))]);
    edge.ship();
    assert!(taken.has_changed().unwrap());
    assert!(
        !elsewhere.has_changed().unwrap(),
        "nobody there waits for it"
    );
    assert!(everywhere.has_changed().unwrap());
    let found = scene.store.changes(WHERE, Some(&begun.cursor)).unwrap();
    let mut expected = vec![
        (subject_hash("user", &["u"]), 2),
        (subject_hash("user", &["v"]), 1),
        (subject_hash("group", &["g"]), 1),
        (subject_hash("membership", &["d", "u"]), 1),
    ];
    expected.sort_unstable();
    let told: Vec<(u64, u64)> = found
        .changes
        .iter()
        .map(|change| {
            assert_eq!(change.journal, "a");
            (
                u64::from_str_radix(&change.subject, 16).unwrap(),
                change.doc_rev,
            )
        })
        .collect();
    assert_eq!(told, expected);
    let after = scene.store.changes(WHERE, Some(&found.cursor)).unwrap();
    assert_eq!((after.cursor, after.changes.len()), (found.cursor, 0));
}

#[test]
fn a_batch_that_changes_nothing_wakes_nobody() {
    let scene = Scene::new();
    let (mut one, mut other) = (scene.edge("a"), scene.edge("b"));
    one.enrol("u", true, 2_500).ship();
    let taken = scene.store.watch_progress(WHERE).unwrap();
    assert_eq!(other.enrol("u", true, 2_500).outcomes(), [Already]);
    assert!(!taken.has_changed().unwrap());
}

#[test]
fn another_database_is_a_gap() {
    let (scene, other) = (Scene::new(), Scene::new());
    let cursor = other.store.changes(WHERE, None).unwrap().cursor;
    assert!(scene.store.changes(WHERE, Some(&cursor)).unwrap().gap);
    assert!(matches!(
        scene.store.changes(WHERE, Some("latest")),
        Err(StoreError::Cursor(_))
    ));
}

/// One decision: by which edge, in or out, at which percentage, with a start.
type Decided = (bool, bool, u16, bool);

fn decided() -> impl Strategy<Value = Decided> {
    let points = prop_oneof![Just(2_500_u16), Just(5_000), Just(10_000)];
    (any::<bool>(), any::<bool>(), points, any::<bool>())
}

proptest! {
    #[test]
    fn any_order_of_two_edges_decisions_ends_in_one_record(
        decisions in prop::collection::vec(decided(), 1..12),
    ) {
        let scene = Scene::new();
        let mut ledger = MemoryLedger::default();
        let (mut one, mut other) = (scene.edge("a"), scene.edge("b"));
        let mut expected: Option<(bool, u16)> = None;
        let mut applied = false;
        for (by_one, is_in, points, with_start) in decisions {
            let edge = if by_one { &mut one } else { &mut other };
            // At 100 % nobody is out, and only who is in is started.
            let is_in = is_in || with_start || points == 10_000;
            edge.read("u");
            if with_start {
                edge.start("u").brings(is_in, points);
            } else {
                edge.enrol("u", is_in, points);
            }
            let batch = edge.batch();
            edge.waiting.clear();
            let versions = scene.store.versions_in(&scene.environment.uid);
            let answer = ledger.ship(&scene.environment, &batch, &versions).unwrap();
            edge.previous = answer.hash;
            let started = with_start && answer.outcomes[0].outcome == Applied;
            applied |= started;
            let beats = is_in && (points == 10_000 || started);
            expected = match expected {
                None => Some((is_in, points)),
                Some((false, _)) if beats => Some((true, points)),
                stands => stands,
            };
            let told = answer.outcomes[0].membership.clone().unwrap();
            let stands = told.membership.as_ref().map(|own| (own.is_in, own.basis_points));
            prop_assert_eq!(stands, expected, "both edges are told the same");
            prop_assert_eq!(&told, &ledger.membership("d", "u", None));
            prop_assert_eq!(told.started, applied);
        }
        let changes = ledger.changes(Some("memory0-0")).unwrap();
        prop_assert!(!changes.gap && !changes.changes.is_empty());
    }
}
