//! Somebody is erased, and nothing that edges still hold brings them back.

use Outcome::{Applied, Superseded};

use super::*;
use crate::{
    progress::event::subject_hash,
    store::{PageAsk, Where},
};

const LATER: u64 = 1_000_000;

/// The last record was decided at this time.
fn decided(edge: &mut Edge<'_>, at: u64) {
    edge.waiting.last_mut().unwrap().event.decided_ms = at;
}

fn erase(scene: &Scene, user: &str) -> bool {
    scene.house.wait(1_000);
    scene.store.erase_user(WHERE, user).unwrap().known
}

#[test]
fn what_edges_still_hold_of_an_erased_user_is_superseded() {
    let scene = Scene::new();
    let mut edge = scene.edge("a");
    edge.identify(
        "u",
        json!({"rich": true}),
        &[("acme", json!({"plan": "pro"}))],
    )
    .start("u")
    .rich("u", true)
    .ship();
    let before = scene.user("u");
    assert_eq!(before.properties["rich"], true);
    edge.leave("u", "gold", "complete");
    assert!(erase(&scene, "u"));
    let gone = scene.user("u");
    assert!(gone.tombstone_ms().is_some() && gone.doc_rev > before.doc_rev);
    assert_eq!(edge.outcomes(), [Superseded]);
    // It has not heard of it, and goes on with what it believes, later.
    edge.rich("u", true).intent("u", "finish");
    for record in &mut edge.waiting {
        record.event.decided_ms = START + LATER;
    }
    assert_eq!(edge.outcomes(), [Superseded, Superseded]);
    assert_eq!(scene.user("u"), gone, "nothing of it is there");
    assert!(scene.dead().is_empty(), "{:?}", scene.dead());
    // Having read the user again it serves somebody new.
    edge.read("u");
    edge.start("u");
    decided(&mut edge, START + LATER);
    edge.rich("u", false);
    decided(&mut edge, START + LATER);
    assert_eq!(edge.outcomes(), [Applied, Applied]);
    assert_eq!(scene.active("u"), ["plain"]);
    let anew = scene.user("u");
    assert!(anew.properties.is_empty() && anew.tombstone_ms().is_none());
    assert_eq!(anew.created_ms, Some(START + LATER));
    // Their group was not erased.
    assert_eq!(
        scene.store.group(WHERE, "acme").unwrap().properties["plan"],
        "pro"
    );
}

#[test]
fn a_clock_that_is_ahead_brings_nothing_back() {
    let scene = Scene::new();
    let (mut edge, mut other) = (scene.edge("a"), scene.edge("b"));
    edge.start("u").ship();
    other.read("u");
    erase(&scene, "u");
    // On the old document, by a clock that is far ahead.
    other.rich("u", true);
    decided(&mut other, START + LATER);
    // On a record that was applied before, in a journal of its own.
    edge.rich("u", true);
    decided(&mut edge, START + LATER);
    assert_eq!(other.outcomes(), [Superseded]);
    assert_eq!(edge.outcomes(), [Superseded]);
    assert!(scene.user("u").tombstone_ms().is_some());
    // What was decided without asking, and later, is somebody new.
    edge.assume("u");
    edge.start("u");
    decided(&mut edge, START + LATER);
    assert_eq!(edge.outcomes(), [Applied]);
}

#[test]
fn somebody_the_ledger_has_not_heard_of_is_erased_ahead() {
    let scene = Scene::new();
    let mut edge = scene.edge("a");
    edge.assume("u");
    edge.start("u");
    assert!(!erase(&scene, "u"), "nobody was known");
    assert_eq!(edge.outcomes(), [Superseded]);
    assert!(scene.user("u").flows.is_empty());
}

#[test]
fn percentage_decisions_go_with_the_user_and_edges_hear_of_both() {
    let scene = Scene::new();
    let mut edge = scene.edge("a");
    edge.enrol("u", true, 2_500).enrol("v", false, 2_500).ship();
    let cursor = scene.store.changes(WHERE, None).unwrap().cursor;
    edge.enrol("u", true, 2_500);
    scene.house.wait(1_000);
    let gone = scene.store.erase_user(WHERE, "u").unwrap();
    assert_eq!((gone.known, gone.memberships), (false, 1));
    let found = scene.store.changes(WHERE, Some(&cursor)).unwrap();
    let told = |kind: &str, parts: &[&str]| {
        let subject = format!("{:016x}", subject_hash(kind, parts));
        let mut changes = found.changes.iter();
        changes.any(|own| own.subject == subject && own.journal.is_empty())
    };
    assert!(told("user", &["u"]) && told("membership", &["d", "u"]));
    let late = edge.ship();
    assert_eq!(late[0].outcome, Superseded);
    assert_eq!(late[0].membership.as_ref().unwrap().membership, None);
    let standing = |user: &str| {
        let found = scene.store.membership(WHERE, "d", user, None).unwrap();
        found.membership.is_some()
    };
    assert!(!standing("u") && standing("v"));
}

#[test]
fn a_tombstone_goes_when_its_time_is_over_and_revisions_grow_on() {
    let scene = Scene::new();
    let mut edge = scene.edge("a");
    edge.start("u").ship();
    erase(&scene, "u");
    let stone = scene.user("u");
    let none = scene
        .store
        .export_users(WHERE, &PageAsk::default())
        .unwrap();
    assert!(none.rows.is_empty(), "{none:?}");
    scene.store.sweep(START + 2_000).unwrap();
    assert_eq!(scene.user("u"), stone);
    scene.house.wait(Retention::default().tombstone_ms + 2_000);
    scene.store.sweep(scene.house.ambient.now_ms()).unwrap();
    assert_eq!(scene.user("u").doc_rev, 0, "as if nobody had been there");
    edge.read("u");
    edge.start("u").ship();
    assert!(scene.user("u").doc_rev > stone.doc_rev);
}

#[test]
fn a_group_is_erased_and_late_mentions_bring_nothing_back() {
    let scene = Scene::new();
    let mut edge = scene.edge("a");
    edge.identify_group("acme", json!({"plan": "pro"})).ship();
    edge.identify_group("acme", json!({"seats": 3})).identify(
        "u",
        json!({"age": 1}),
        &[("acme", json!({"seats": 4}))],
    );
    scene.house.wait(1_000);
    assert!(scene.store.erase_group(WHERE, "acme").unwrap().known);
    assert_eq!(edge.outcomes(), [Superseded, Applied]);
    let record = scene.store.group(WHERE, "acme").unwrap();
    assert!(record.tombstone_ms().is_some(), "{record:?}");
    assert_eq!(scene.user("u").properties["age"], 1);
    edge.identify_group("acme", json!({"seats": 5}));
    decided(&mut edge, START + LATER);
    assert_eq!(edge.outcomes(), [Applied]);
    let record = scene.store.group(WHERE, "acme").unwrap();
    assert_eq!(Value::Object(record.properties), json!({"seats": 5}));
}

#[test]
fn an_operator_resets_and_moves_and_late_steps_do_not_undo_it() {
    let scene = Scene::new();
    let mut edge = scene.edge("a");
    edge.start("u").rich("u", true).ship();
    edge.leave("u", "gold", "complete");
    let at = Where {
        flow: "hello".to_owned(),
        ..Where::default()
    };
    scene.store.reset_user(WHERE, "u", &at, false).unwrap();
    assert_eq!(scene.active("u"), ["first"]);
    assert_eq!(edge.outcomes(), [Superseded]);
    assert_eq!(scene.active("u"), ["first"]);
    // Trying it says what would be, and leaves everything as it is.
    let trial = scene.store.trying();
    let would = trial.move_user(WHERE, "u", &at, (2, &[])).unwrap();
    assert!(would.flows.iter().any(|own| own.version == 2), "{would:?}");
    assert!(scene.user("u").flows.iter().all(|own| own.version == 1));
    let would = trial.reset_user(WHERE, "u", &at, false).unwrap();
    assert!(would.doc_rev > scene.user("u").doc_rev);
    trial.erase_user(WHERE, "u").unwrap();
    assert_eq!(scene.active("u"), ["first"]);
    // To a later version as they stand, and back onto a block.
    scene.store.move_user(WHERE, "u", &at, (2, &[])).unwrap();
    let versions = |scene: &Scene| -> Vec<u32> {
        let document = scene.user("u");
        document.flows.iter().map(|own| own.version).collect()
    };
    assert_eq!(versions(&scene), [1, 2]);
    let gold = ["gold".to_owned()];
    scene.store.move_user(WHERE, "u", &at, (1, &gold)).unwrap();
    assert_eq!(versions(&scene), [1], "what would draw them back is gone");
    assert_eq!(scene.active("u"), ["gold"]);
    // What they stand on is not in version 2.
    let refused = scene
        .store
        .move_user(WHERE, "u", &at, (2, &[]))
        .unwrap_err();
    assert!(
        refused.to_string().contains("not in version 2"),
        "{refused}"
    );
    let rich = ["rich".to_owned()];
    let refused = scene
        .store
        .move_user(WHERE, "u", &at, (1, &rich))
        .unwrap_err();
    assert!(
        refused.to_string().contains("first, gold, plain"),
        "{refused}"
    );
    let refused = scene
        .store
        .move_user(WHERE, "u", &at, (7, &[]))
        .unwrap_err();
    assert!(refused.to_string().contains("1 to 2"), "{refused}");
    let refused = scene.store.reset_user(WHERE, "v", &at, false).unwrap_err();
    assert!(
        refused.to_string().contains("no state of flow"),
        "{refused}"
    );
    assert!(scene.dead().is_empty(), "{:?}", scene.dead());
    edge.read("u");
    edge.leave("u", "gold", "complete");
    assert_eq!(edge.outcomes(), [Applied]);
    assert_eq!(scene.active("u"), ["first"]);
}
