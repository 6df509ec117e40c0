//! What one edge hears of another over the change stream.

use super::{
    edge::{Setup, SimEdge, poll},
    scene::{Act, Scene, read_task, step_task},
};
use crate::disk::memory::MemoryDisk;

const NEXT: Act = Act::Leave("first", "next");

/// Two edges that have heard the first answer, and a user both know.
fn two() -> (Scene, SimEdge) {
    let mut one = Scene::new();
    one.step("ann", Act::Auto).unwrap();
    one.edge.ship();
    let setup = Setup {
        seat: 1,
        ..Setup::default()
    };
    let mut other = SimEdge::boot(&MemoryDisk::new(8), &one.ledger, &one.world, setup);
    hear(&mut one.edge);
    hear(&mut other);
    one.read("ann", None).unwrap();
    let read = read_task(&other.progress, &one.world, "ann", None);
    other.finish(read).unwrap();
    (one, other)
}

fn hear(edge: &mut SimEdge) {
    for _ in 0..3 {
        edge.turn_watching();
    }
}

/// The other edge takes a step and the ledger has it.
fn step_elsewhere(one: &Scene, other: &mut SimEdge, user: &str, act: Act) {
    let what = (("tour", 1), act);
    let task = step_task(&other.progress, &one.world, user, what, None, None);
    assert!(other.finish(task).unwrap().changed);
    other.ship();
}

fn is_cached(scene: &Scene, user: &str) -> bool {
    let slot = scene.world.slot();
    scene.edge.progress.cached(slot, user, None).is_some()
}

#[test]
fn what_another_edge_changed_is_read_again_before_it_is_used() {
    let (mut one, mut other) = two();
    step_elsewhere(&one, &mut other, "ann", NEXT);
    assert_eq!(one.stands("ann"), ["first"], "nobody has said so yet");
    hear(&mut one.edge);
    assert!(!is_cached(&one, "ann"));
    assert_eq!(one.stands("ann"), ["plain"]);
    assert!(is_cached(&one, "ann"), "and is kept again");
}

#[test]
fn what_this_edge_changed_is_not_read_again() {
    let (mut one, _other) = two();
    one.step("ann", NEXT).unwrap();
    one.edge.ship();
    let reads = one.ledger.look().reads;
    hear(&mut one.edge);
    assert_eq!(one.stands("ann"), ["plain"]);
    assert_eq!(one.ledger.look().reads, reads);
}

#[test]
fn a_document_that_is_out_of_date_serves_as_known_while_the_ledger_is_away() {
    let (mut one, mut other) = two();
    step_elsewhere(&one, &mut other, "ann", NEXT);
    hear(&mut one.edge);
    one.away(true);
    let read = one.read("ann", None).unwrap();
    assert!(!read.assumed, "she is known");
    assert_eq!(one.stands("ann"), ["first"]);
    one.away(false);
    assert_eq!(one.stands("ann"), ["plain"]);
}

#[test]
fn after_a_gap_everything_is_read_again() {
    let (mut one, mut other) = two();
    step_elsewhere(&one, &mut other, "ann", NEXT);
    one.ledger.look().gap = true;
    hear(&mut one.edge);
    assert_eq!(one.stands("ann"), ["plain"]);
}

#[test]
fn the_stream_goes_on_where_it_was_when_the_ledger_comes_back() {
    let (mut one, mut other) = two();
    one.away(true);
    hear(&mut one.edge);
    one.away(false);
    step_elsewhere(&one, &mut other, "ann", NEXT);
    hear(&mut one.edge);
    assert_eq!(one.stands("ann"), ["plain"]);
}

#[test]
fn a_change_heard_while_our_answer_was_on_its_way_is_not_forgotten() {
    let (mut one, mut other) = two();
    one.step("ann", NEXT).unwrap();
    // Our batch is taken as it is, and its answer takes long.
    one.ledger.look().at_once = false;
    one.edge.ship();
    one.ledger.advance(0, false);
    one.ledger.look().at_once = true;
    let read = read_task(&other.progress, &one.world, "ann", None);
    hear(&mut other);
    other.finish(read).unwrap();
    step_elsewhere(&one, &mut other, "ann", Act::Stop);
    hear(&mut one.edge);
    one.ledger.advance(0, false);
    one.edge.ship();
    assert_eq!(one.edge.progress.backlog(), 0);
    assert_eq!(one.stands("ann"), [""; 0], "she was stopped elsewhere");
}

#[test]
fn whoever_knows_of_a_change_is_not_given_an_older_answer() {
    let (mut one, mut other) = two();
    step_elsewhere(&one, &mut other, "ann", NEXT);
    hear(&mut one.edge);
    one.ledger.look().at_once = false;
    let mut early = read_task(&one.edge.progress, &one.world, "ann", None);
    assert!(poll(&mut early).is_none());
    one.edge.turn_reader();
    one.ledger.advance(0, false);
    // The ledger has answered that; now there is more, and it is heard of.
    one.ledger.look().at_once = true;
    step_elsewhere(&one, &mut other, "ann", Act::Stop);
    hear(&mut one.edge);
    let mut late = read_task(&one.edge.progress, &one.world, "ann", None);
    assert!(poll(&mut late).is_none());
    one.edge.turn_reader();
    one.ledger.advance(0, false);
    let late = one.edge.finish(late).unwrap().subject;
    let tour = one.world.flow("tour", 1).0.key;
    assert!(late.state(tour, 1, None).unwrap().stopped);
    drop(early);
    assert_eq!(one.stands("ann"), [""; 0]);
}
