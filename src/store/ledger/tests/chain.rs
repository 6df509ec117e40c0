//! Batches: what is applied, what comes again, what does not follow.

use super::*;
use Outcome::{Already, Applied};

#[test]
fn one_edge_has_everything_applied_as_it_was_recorded() {
    let scene = Scene::new();
    let mut edge = scene.edge("a");
    edge.start("u")
        .rich("u", true)
        .leave("u", "gold", "complete");
    let outcomes = edge.ship();
    assert!(
        outcomes
            .iter()
            .all(|one| one.outcome == Applied && one.as_recorded)
    );
    assert_eq!(
        outcomes.iter().map(|one| one.doc_rev).collect::<Vec<_>>(),
        [1, 2, 3]
    );
    edge.rich("u", false)
        .intent("u", "finish")
        .intent("u", "reset");
    assert_eq!(edge.outcomes(), [Applied; 3]);
    assert_eq!(scene.active("u"), ["first"]);
    let document = scene.user("u");
    assert_eq!(document.doc_rev, 6);
    assert_eq!(document.flows[0].generation, 1);
    assert_eq!(document.created_ms, Some(START));
    assert_eq!(document.last, Some(("a".to_owned(), 6)));
    assert!(scene.dead().is_empty());
}

#[test]
fn a_batch_sent_again_is_answered_and_not_applied() {
    let scene = Scene::new();
    let mut edge = scene.edge("a");
    edge.start("u").rich("u", true);
    let batch = edge.batch();
    edge.ship();
    let before = scene.user("u");
    let again = scene.store.ship(WHERE, &batch).unwrap();
    assert_eq!(
        again.outcomes.iter().map(|o| o.outcome).collect::<Vec<_>>(),
        [Already; 2]
    );
    assert_eq!(again.hash, edge.previous);
    assert!(again.outcomes[1].as_recorded);
    assert_eq!(scene.user("u"), before);
}

#[test]
fn records_up_to_the_watermark_are_already_there_in_any_batch() {
    let scene = Scene::new();
    let mut edge = scene.edge("a");
    edge.start("u");
    let first = edge.waiting.clone();
    edge.ship();
    edge.waiting = first;
    edge.rich("u", true);
    assert_eq!(edge.outcomes(), [Already, Applied]);
}

#[test]
fn an_empty_batch_says_where_the_journal_stands() {
    let scene = Scene::new();
    let mut edge = scene.edge("a");
    let nothing = scene.store.ship(WHERE, &edge.batch()).unwrap();
    assert_eq!(nothing.watermark, None);
    assert_eq!(nothing.hash, "");
    edge.start("u");
    edge.ship();
    edge.previous = "whatever".to_owned();
    let stands = scene.store.ship(WHERE, &edge.batch()).unwrap();
    assert_eq!(stands.watermark, Some(1));
    assert!(stands.outcomes.is_empty() && !stands.hash.is_empty());
}

#[test]
fn a_batch_that_does_not_follow_is_a_fork_and_changes_nothing() {
    let scene = Scene::new();
    let mut edge = scene.edge("a");
    edge.start("u");
    edge.ship();
    let mut copy = scene.edge("a");
    copy.start("v");
    let before = scene.user("v");
    let error = scene.store.ship(WHERE, &copy.batch()).unwrap_err();
    assert!(
        matches!(error, StoreError::Ship(ShipError::Fork(_))),
        "{error}"
    );
    assert_eq!(scene.user("v"), before);
    edge.rich("u", true);
    assert_eq!(edge.outcomes(), [Applied], "the true edge goes on");
}

#[test]
fn a_closed_journal_takes_nothing_more() {
    let scene = Scene::new();
    let mut edge = scene.edge("a");
    edge.start("u");
    let last = edge.batch();
    edge.ship();
    scene.store.close_journal(WHERE, "a", None).unwrap();
    scene.store.close_journal(WHERE, "a", None).unwrap();
    edge.rich("u", true);
    assert!(matches!(
        scene.store.ship(WHERE, &edge.batch()),
        Err(StoreError::Ship(ShipError::Fork(_)))
    ));
    let again = scene.store.ship(WHERE, &last).unwrap();
    assert_eq!(again.outcomes[0].outcome, Already);
}

#[test]
fn a_journal_is_closed_only_where_its_edge_ended_it() {
    let scene = Scene::new();
    let mut edge = scene.edge("a");
    edge.start("u");
    edge.ship();
    let earlier = edge.previous.clone();
    edge.rich("u", true);
    edge.ship();
    // Of a ledger that was put back in between: it lacks the last batch.
    let error = scene
        .store
        .close_journal(WHERE, "a", Some(&earlier))
        .unwrap_err();
    assert!(
        matches!(error, StoreError::Ship(ShipError::Fork(_))),
        "{error}"
    );
    edge.rich("u", false);
    assert_eq!(edge.outcomes(), [Applied], "it is open");
    let last = edge.previous.clone();
    scene.store.close_journal(WHERE, "a", Some(&last)).unwrap();
}
