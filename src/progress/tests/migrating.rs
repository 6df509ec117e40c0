//! What migration makes, and steps that touch several flows.

use super::scene::{Act, At, Scene, step_task};
use crate::progress::{
    Stepped,
    event::{Operation, Outcome},
};

const OLD: At = ("trip", 1);
const NEW: At = ("trip", 2);
const RELAY: At = ("relay", 1);
const ON: Act = Act::Leave("x", "complete");

fn step(scene: &mut Scene, at: At, act: Act) -> Stepped {
    let (progress, world) = (&scene.edge.progress, &scene.world);
    let task = step_task(progress, world, "ann", (at, act), None, None);
    scene.edge.finish(task).unwrap()
}

fn operations(scene: &Scene) -> Vec<&'static str> {
    let inner = scene.ledger.look();
    let names = inner.taken.values().map(|one| {
        assert_eq!((one.outcome, one.as_recorded), (Outcome::Applied, true));
        match &one.event.operation {
            Operation::Start { .. } => "start",
            Operation::Migrate { from: 1, .. } => "migrate",
            Operation::Transition { .. } => "transition",
            _ => "other",
        }
    });
    names.collect()
}

#[test]
fn a_step_on_what_migration_makes_stores_that_first() {
    let mut scene = Scene::new();
    step(&mut scene, OLD, Act::Auto);
    let stepped = step(&mut scene, NEW, ON);
    assert!(stepped.changed && stepped.before.started);
    assert_eq!(stepped.before.generation, 1);
    scene.edge.ship();
    assert_eq!(operations(&scene), ["start", "migrate", "transition"]);
    let document = scene.ledger.look().ledger.document("ann");
    assert_eq!(document.flows.len(), 2);
    assert_eq!(
        document.flows[0].blocks.len(),
        1,
        "the old one is as it was"
    );
}

#[test]
fn what_migration_makes_is_stored_once() {
    let mut scene = Scene::new();
    assert!(!step(&mut scene, NEW, Act::Migrate).changed, "of nothing");
    step(&mut scene, OLD, Act::Auto);
    let made = step(&mut scene, NEW, Act::Migrate);
    assert!(made.changed && made.state.started);
    assert!(!step(&mut scene, NEW, Act::Migrate).changed);
    assert!(!step(&mut scene, NEW, Act::Auto).changed, "it is started");
    scene.edge.ship();
    assert_eq!(operations(&scene), ["start", "migrate"]);
}

#[test]
fn a_step_that_changes_nothing_stores_nothing_of_what_was_made() {
    let mut scene = Scene::new();
    step(&mut scene, OLD, Act::Auto);
    let stepped = step(&mut scene, NEW, Act::Leave("y", "complete"));
    assert!(!stepped.changed && stepped.state.started);
    scene.edge.ship();
    assert_eq!(operations(&scene), ["start"]);
}

#[test]
fn all_flows_that_a_step_touched_are_in_one_record_and_known_at_once() {
    let mut scene = Scene::new();
    step(&mut scene, RELAY, Act::Auto);
    let stepped = step(&mut scene, RELAY, Act::Leave("c", "complete"));
    assert_eq!(stepped.others.len(), 1);
    assert!(stepped.others[0].state.started && !stepped.others[0].before.started);
    let side = scene.world.flow("side", 1).0.key;
    let is_started = |scene: &mut Scene| {
        let subject = scene.read("ann", None).unwrap().subject;
        subject
            .state(side, 1, None)
            .is_some_and(|state| state.started)
    };
    assert!(is_started(&mut scene));
    scene.crash();
    scene.away(true);
    assert!(
        is_started(&mut scene),
        "also after a restart without upstream"
    );
    scene.away(false);
    scene.edge.ship();
    scene.edge.ship();
    let document = scene.ledger.look().ledger.document("ann");
    assert_eq!((document.flows.len(), document.doc_rev), (2, 2));
}
