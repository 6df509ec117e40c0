//! Processes are killed and stores are away, and every count is there once.

use super::Place;
use crate::harness::eventually;

#[test]
fn what_was_written_survives_a_killed_edge_and_a_store_that_is_away() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut place = Place::start(folder.path(), &[]);
    assert_eq!(place.tell("cart", 1, 0), 202);
    place.comes_to("cart", 1);
    place.shipped();
    place.store.program.kill();
    let mut told = 1;
    for _ in 0..3 {
        for _ in 0..20 {
            assert_eq!(place.tell("cart", 1, 1), 202);
            told += 1;
        }
        place.written();
        place.edge.program.kill();
        place.edge.restart(folder.path());
        place.edge.ready();
        // Records of earlier runs count as backlog as well.
        assert_ne!(place.status()["backlog_records"], 0);
    }
    eventually("the edge says why nothing goes out", || {
        place.status()["error"].is_string().then_some(())
    });
    place.store.restart();
    place.comes_to("cart", told);
    place.shipped();
    // Killed once more with nothing left, it tells nothing again.
    place.edge.program.kill();
    place.edge.restart(folder.path());
    place.edge.ready();
    assert_eq!(place.tell("other", 1, 0), 202);
    place.comes_to("other", 1);
    assert_eq!(place.yes("cart"), told);
}

#[test]
fn a_stop_loses_nothing_that_was_answered() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut place = Place::start(folder.path(), &[]);
    for round in 1..=3 {
        for _ in 0..10 {
            assert_eq!(place.tell("cart", 1, 0), 202);
        }
        assert_eq!(place.edge.program.terminate(), Some(0));
        // What a last attempt did not bring, the next start does.
        place.edge.restart(folder.path());
        place.edge.ready();
        place.comes_to("cart", round * 10);
    }
}

#[test]
fn a_store_that_is_killed_counts_nothing_twice() {
    const ROUNDS: u64 = 4;
    let folder = tempfile::tempdir().expect("a folder");
    let mut place = Place::start(folder.path(), &[]);
    for _ in 0..ROUNDS {
        for _ in 0..10 {
            assert_eq!(place.tell("cart", 1, 0), 202);
        }
        // At any moment of a shipment.
        place.store.program.kill();
        place.store.restart();
    }
    place.comes_to("cart", ROUNDS * 10);
    place.shipped();
    assert_eq!(place.yes("cart"), ROUNDS * 10);
}
