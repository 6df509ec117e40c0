//! The rules of percentage decisions on one edge, a test each.

use super::{
    edge::{Task, poll},
    scene::{Act, Scene, TOUR, decision, enrol_task, enrolled_task, enrolment_of, remembered_task},
};
use crate::{
    evaluate::Membership,
    progress::{
        Remembered, Stepped, WriteError,
        event::{MembershipDocument, Operation},
    },
};

fn enrol(scene: &mut Scene, is_in: bool, basis_points: u16) -> Result<Membership, WriteError> {
    let membership = decision("ann", is_in, basis_points);
    let task = enrol_task(&scene.edge.progress, &scene.world, "ann", membership);
    scene.edge.finish(task)
}

fn remembered(scene: &mut Scene) -> Remembered {
    let task = remembered_task(&scene.edge.progress, &scene.world, "ann");
    scene.edge.finish(task).unwrap()
}

fn cached(scene: &Scene) -> Option<Remembered> {
    let slot = scene.world.slot();
    let progress = &scene.edge.progress;
    progress.cached_membership(slot, &enrolment_of("ann"))
}

fn task(
    scene: &Scene,
    act: Act,
    membership: MembershipDocument,
) -> Task<Result<Stepped, WriteError>> {
    let (progress, world) = (&scene.edge.progress, &scene.world);
    enrolled_task(
        progress,
        world,
        "ann",
        (TOUR, act),
        None,
        (None, Some(membership)),
    )
}

fn step(scene: &mut Scene, act: Act, is_in: bool, basis_points: u16) -> Stepped {
    let task = task(scene, act, decision("ann", is_in, basis_points));
    scene.edge.finish(task).unwrap()
}

fn at_ledger(scene: &Scene) -> Option<(bool, u16)> {
    let inner = scene.ledger.look();
    let record = inner.ledger.membership("dep_1", "ann", None);
    record.membership.map(|own| (own.is_in, own.basis_points))
}

fn is(is_in: bool, basis_points: u16) -> Membership {
    Membership {
        is_in,
        basis_points,
    }
}

#[test]
fn the_first_decision_stands_and_only_a_full_launch_replaces_an_exclusion() {
    let mut scene = Scene::new();
    assert_eq!(remembered(&mut scene).membership, None);
    assert_eq!(enrol(&mut scene, false, 2_500).unwrap(), is(false, 2_500));
    assert_eq!(enrol(&mut scene, true, 5_000).unwrap(), is(false, 2_500));
    scene.edge.ship();
    assert_eq!(at_ledger(&scene), Some((false, 2_500)));
    assert_eq!(scene.ledger.look().taken.len(), 1, "one record was written");
    assert_eq!(enrol(&mut scene, true, 10_000).unwrap(), is(true, 10_000));
    assert_eq!(enrol(&mut scene, false, 2_500).unwrap(), is(true, 10_000));
    scene.edge.ship();
    assert_eq!(at_ledger(&scene), Some((true, 10_000)));
    assert_eq!(scene.ledger.look().ledger.document("ann").doc_rev, 0);
    assert_eq!(scene.edge.progress.backlog(), 0);
}

#[test]
fn a_decision_is_seen_when_it_is_durable_and_kept_when_it_is_settled() {
    let mut scene = Scene::new();
    remembered(&mut scene);
    let membership = decision("ann", true, 5_000);
    let mut first = enrol_task(
        &scene.edge.progress,
        &scene.world,
        "ann",
        membership.clone(),
    );
    assert!(poll(&mut first).is_none(), "it waits for its sync");
    let mut second = enrol_task(&scene.edge.progress, &scene.world, "ann", membership);
    assert!(
        poll(&mut second).is_none(),
        "what it rests on is not durable"
    );
    assert_eq!(cached(&scene).unwrap().membership, None);
    scene.edge.commit();
    let found = [poll(&mut first), poll(&mut second)].map(|told| told.unwrap().unwrap());
    assert_eq!(found, [is(true, 5_000); 2]);
    assert_eq!(cached(&scene).unwrap().membership, Some(is(true, 5_000)));
    let reads = scene.ledger.look().reads;
    scene.edge.ship();
    assert_eq!(remembered(&mut scene).membership, Some(is(true, 5_000)));
    assert_eq!(
        scene.ledger.look().reads,
        reads,
        "the ledger said so itself"
    );
}

#[test]
fn a_start_carries_the_decision_in_its_own_record() {
    let mut scene = Scene::new();
    assert!(step(&mut scene, Act::Auto, true, 5_000).changed);
    assert_eq!(cached(&scene).unwrap().membership, Some(is(true, 5_000)));
    step(&mut scene, Act::Leave("first", "next"), true, 5_000);
    scene.edge.ship();
    let inner = scene.ledger.look();
    let carried = inner
        .taken
        .values()
        .map(|one| one.event.membership.is_some());
    assert_eq!(carried.collect::<Vec<_>>(), [true, false]);
    assert!(inner.taken.values().all(|one| one.as_recorded));
    assert!(inner.ledger.membership("dep_1", "ann", None).started);
    drop(inner);
    assert_eq!(scene.edge.progress.backlog(), 0);
}

#[test]
fn a_step_that_is_no_start_carries_what_is_not_recorded_yet() {
    let mut scene = Scene::new();
    scene.step("ann", Act::Auto).unwrap();
    step(&mut scene, Act::Leave("first", "next"), true, 5_000);
    assert_eq!(cached(&scene).unwrap().membership, Some(is(true, 5_000)));
    scene.edge.ship();
    assert_eq!(at_ledger(&scene), Some((true, 5_000)));
}

#[test]
fn whoever_is_excluded_by_now_does_not_start() {
    let mut scene = Scene::new();
    enrol(&mut scene, false, 2_500).unwrap();
    let refused = step(&mut scene, Act::Auto, true, 5_000);
    assert!(!refused.changed && !refused.state.started);
    assert!(
        step(&mut scene, Act::Auto, true, 10_000).changed,
        "launched"
    );
    scene.edge.ship();
    assert_eq!(at_ledger(&scene), Some((true, 10_000)));
    assert!(scene.ledger.look().ledger.dead.is_empty());
}

#[test]
fn a_start_that_loses_against_an_exclusion_waits_for_it() {
    let mut scene = Scene::new();
    scene.read("ann", None).unwrap();
    remembered(&mut scene);
    let membership = decision("ann", false, 2_500);
    let mut out = enrol_task(&scene.edge.progress, &scene.world, "ann", membership);
    assert!(poll(&mut out).is_none());
    let mut start = task(&scene, Act::Auto, decision("ann", true, 5_000));
    assert!(poll(&mut start).is_none(), "the exclusion is not durable");
    scene.edge.commit();
    assert!(!poll(&mut start).unwrap().unwrap().changed);
}

#[test]
fn nothing_is_recorded_while_upstream_cannot_be_asked() {
    let mut scene = Scene::new();
    scene.away(true);
    assert!(remembered(&mut scene).assumed);
    let refused = enrol(&mut scene, false, 2_500).unwrap_err();
    assert!(matches!(refused, WriteError::Unavailable(_)), "{refused}");
    assert!(
        step(&mut scene, Act::Auto, true, 5_000).changed,
        "steps go on"
    );
    assert!(remembered(&mut scene).assumed);
    scene.away(false);
    scene.edge.ship();
    assert_eq!(at_ledger(&scene), None);
}

#[test]
fn decisions_of_an_earlier_run_stand_with_the_ledger_dead() {
    let mut scene = Scene::new();
    enrol(&mut scene, false, 2_500).unwrap();
    scene.crash();
    scene.away(true);
    assert_eq!(
        remembered(&mut scene),
        Remembered {
            membership: Some(is(false, 2_500)),
            assumed: false
        }
    );
    assert!(!step(&mut scene, Act::Auto, true, 5_000).changed);
    scene.away(false);
    scene.edge.ship();
    scene.edge.ship();
    assert_eq!(at_ledger(&scene), Some((false, 2_500)));
    assert_eq!(scene.edge.progress.backlog(), 0);
    assert_eq!(scene.edge.progress.memory.memberships.entries(), 0);
}

#[test]
fn a_decision_of_a_failed_commit_was_never_made() {
    let mut scene = Scene::new();
    remembered(&mut scene);
    let membership = decision("ann", false, 2_500);
    let mut lost = enrol_task(&scene.edge.progress, &scene.world, "ann", membership);
    assert!(poll(&mut lost).is_none());
    scene.disk.fail_after(0, crate::disk::memory::Fault::Io);
    scene.edge.commit();
    assert_eq!(poll(&mut lost).unwrap().unwrap_err(), WriteError::Unclear);
    assert_eq!(scene.edge.progress.backlog(), 0);
    assert_eq!(enrol(&mut scene, true, 5_000).unwrap(), is(true, 5_000));
}

#[test]
fn a_decision_with_an_id_that_is_too_long_is_not_recorded() {
    let mut scene = Scene::new();
    let mut membership = decision("ann", true, 5_000);
    membership.id = "x".repeat(600);
    let task = enrol_task(&scene.edge.progress, &scene.world, "ann", membership);
    let refused = scene.edge.finish(task).unwrap_err();
    assert!(matches!(refused, WriteError::TooLarge(_)), "{refused}");
    let alone = |event: &Operation| matches!(event, Operation::Membership);
    assert!(
        !scene
            .ledger
            .look()
            .taken
            .values()
            .any(|one| alone(&one.event.operation))
    );
}
