//! What a user gets while the ledger cannot be asked, and what becomes of it.

use super::{
    edge::{Setup, SimEdge, poll},
    scene::{Act, Scene, identify_task, step_task},
};
use crate::progress::{
    OnUnknownSubject, ReadError, WriteError,
    event::{Assumption, Outcome},
};
use serde_json::json;

const NEXT: Act = Act::Leave("first", "next");
const AGAIN: Act = Act::Leave("plain", "again");

fn outcomes(scene: &Scene, journal: &str) -> Vec<Outcome> {
    let inner = scene.ledger.look();
    let own = inner.taken.iter().filter(|((own, _), _)| own == journal);
    own.map(|(_, taken)| taken.outcome).collect()
}

/// A restart after which nothing of ours is left on the disk.
fn forget_everybody(scene: &mut Scene) {
    scene.edge.ship();
    scene.crash();
    scene.edge.ship();
    scene.crash();
}

#[test]
fn an_unknown_user_is_served_as_new_and_superseded_when_the_ledger_knew_them() {
    let mut scene = Scene::new();
    for act in [Act::Auto, NEXT, AGAIN, NEXT] {
        scene.step("ann", act).unwrap();
    }
    // A restart forgets her, and nobody can be asked.
    forget_everybody(&mut scene);
    scene.away(true);
    assert!(scene.read("ann", None).unwrap().assumed);
    assert!(scene.step("ann", Act::Auto).unwrap().changed);
    assert!(scene.step("ann", NEXT).unwrap().changed);
    assert_eq!(scene.stands("ann"), ["plain"], "their own steps they see");
    scene.step("bob", Act::Auto).unwrap();
    scene.away(false);
    scene.edge.ship();
    let journal = scene.edge.journal.id().to_owned();
    let [first, second, bobs] = outcomes(&scene, &journal)[..] else {
        panic!("three records were shipped");
    };
    // The automatic start has the id that it had the first time.
    assert_eq!(
        (first, second, bobs),
        (Outcome::Already, Outcome::Superseded, Outcome::Applied)
    );
    assert!(!scene.read("ann", None).unwrap().assumed);
    assert_eq!(scene.ledger_stands("ann"), ["plain"]);
    assert_eq!(scene.ledger.look().ledger.document("ann").doc_rev, 4);
    assert!(scene.ledger.look().ledger.dead.is_empty());
    assert_eq!(scene.edge.progress.backlog(), 0);
}

#[test]
fn every_flow_an_assumed_user_enters_depends_on_being_new_to_it() {
    let mut scene = Scene::new();
    for act in [Act::Auto, NEXT, AGAIN, Act::Stop] {
        scene.step("ann", act).unwrap();
    }
    forget_everybody(&mut scene);
    scene.away(true);
    // First a flow the ledger does not know of her, then the one it knows: the
    // second start rests on a record that holds, and must not for that reason.
    let progress = scene.edge.progress.clone();
    let fresh = (("draft", 0), Act::Auto);
    let task = step_task(&progress, &scene.world, "ann", fresh, None, None);
    scene.edge.finish(task).unwrap();
    scene.step("ann", Act::Reset).unwrap();
    scene.step("ann", NEXT).unwrap();
    scene.away(false);
    scene.edge.ship();
    let journal = scene.edge.journal.id().to_owned();
    assert_eq!(
        outcomes(&scene, &journal),
        [Outcome::Applied, Outcome::Superseded, Outcome::Superseded]
    );
    let document = scene.ledger.look().ledger.document("ann");
    assert!(document.flows[0].stopped, "as she left it");
    assert_eq!(document.flows.len(), 2);
}

#[test]
fn recovered_records_vouch_only_for_the_flows_they_name() {
    let mut scene = Scene::new();
    for act in [Act::Auto, NEXT] {
        scene.step("ann", act).unwrap();
    }
    forget_everybody(&mut scene);
    scene.read("ann", None).unwrap();
    scene.away(true);
    let told = (json!({"seen": true}), Vec::new());
    scene.identify("ann", told).unwrap();
    scene.crash();
    let read = scene.read("ann", None).unwrap();
    assert_eq!(read.subject.profile.properties["seen"], true);
    // Nobody could be asked about the flow, so it begins anew for now.
    assert!(scene.step("ann", Act::Auto).unwrap().changed);
    assert!(scene.step("ann", Act::Stop).unwrap().changed);
    scene.away(false);
    scene.edge.ship();
    scene.edge.ship();
    assert_eq!(scene.ledger_stands("ann"), ["plain"], "she never left");
    assert_eq!(scene.stands("ann"), ["plain"]);
    let inner = scene.ledger.look();
    assert!(inner.ledger.dead.is_empty());
    let assumed = inner.taken.values().map(|taken| taken.event.assumed);
    assert!(
        assumed
            .into_iter()
            .any(|assumed| assumed == Assumption::Unvisited)
    );
}

#[test]
fn an_unknown_user_is_refused_when_the_operator_wants_that() {
    let mut scene = Scene::with(Setup {
        on_unknown: OnUnknownSubject::Refuse,
        ..Setup::default()
    });
    scene.step("ann", Act::Auto).unwrap();
    scene.away(true);
    assert_eq!(scene.read("bob", None).unwrap_err(), ReadError::Unknown);
    let refused = scene.step("bob", Act::Auto).unwrap_err();
    assert_eq!(refused, WriteError::Read(ReadError::Unknown));
    assert!(
        scene.step("ann", NEXT).unwrap().changed,
        "who is known goes on"
    );
    let told = (json!({}), vec![("acme".to_owned(), json!({}))]);
    let task = identify_task(&scene.edge.progress, &scene.world, "ann", told, None);
    let refused = scene.edge.finish(task).unwrap_err();
    assert_eq!(
        refused,
        WriteError::Read(ReadError::Unknown),
        "nor is a group known"
    );
    // After a restart whoever has records of ours is known.
    scene.crash();
    assert_eq!(scene.stands("ann"), ["plain"]);
    assert_eq!(scene.read("bob", None).unwrap_err(), ReadError::Unknown);
}

#[test]
fn a_lost_answer_is_asked_for_again_and_nothing_doubles() {
    let mut scene = Scene::new();
    for act in [Act::Auto, NEXT] {
        scene.step("ann", act).unwrap();
    }
    scene.ledger.look().at_once = false;
    for lose in [false, true, true, false, true, false, false] {
        scene.edge.ship();
        scene.ledger.advance(0, lose);
    }
    scene.ledger.look().at_once = true;
    scene.edge.ship();
    let inner = scene.ledger.look();
    assert_eq!(inner.ledger.document("ann").doc_rev, 2);
    assert_eq!(inner.wrong, [""; 0]);
    drop(inner);
    assert_eq!(scene.edge.progress.backlog(), 0);
    let reads = scene.ledger.look().reads;
    assert_eq!(scene.stands("ann"), ["plain"]);
    assert_eq!(
        scene.ledger.look().reads,
        reads,
        "and it is known what the ledger has"
    );
}

#[test]
fn whom_the_ledger_refuses_to_tell_of_is_not_taken_for_new() {
    let mut scene = Scene::new();
    let mut odd = scene.task("odd", Act::Auto, None);
    scene.ledger.look().refused = Some("odd".to_owned());
    assert!(poll(&mut odd).is_none());
    let refused = scene.edge.finish(odd).unwrap_err();
    assert_eq!(refused, WriteError::Read(ReadError::Refused));
    assert_eq!(scene.read("odd", None).unwrap_err(), ReadError::Refused);
    assert_eq!(scene.edge.progress.backlog(), 0, "nothing was begun again");
    // And the rest of the ledger is not away for that.
    assert!(!scene.read("ann", None).unwrap().assumed);
    scene.ledger.look().refused = None;
    assert!(scene.step("odd", Act::Auto).unwrap().changed);
}

#[test]
fn two_edges_serve_one_user_and_neither_overwrites_the_other() {
    let mut one = Scene::new();
    one.step("ann", Act::Auto).unwrap();
    one.edge.ship();
    let setup = Setup::default();
    let mut other = SimEdge::boot(&other_disk(), &one.ledger, &one.world, setup);
    let task = super::scene::read_task(&other.progress, &one.world, "ann", None);
    other.finish(task).unwrap();
    // The first edge goes on in one flow, the second in another.
    one.step("ann", NEXT).unwrap();
    one.edge.ship();
    let at = (("tour", 2), Act::Auto);
    let task = step_task(&other.progress, &one.world, "ann", at, None, None);
    other.finish(task).unwrap();
    other.ship();
    // What it believed of the first flow is old, and it has found that out.
    let task = super::scene::read_task(&other.progress, &one.world, "ann", None);
    let read = other.finish(task).unwrap();
    let tour = one.world.flow("tour", 1).0.key;
    let state = read.subject.state(tour, 1, None).unwrap();
    assert!(
        state
            .block(crate::snapshot::BlockKey::of("plain"))
            .is_some()
    );
    assert_eq!(one.ledger_stands("ann"), ["plain"]);
}

/// Another disk, whose operations and so whose journal ids differ.
fn other_disk() -> crate::disk::memory::MemoryDisk {
    use crate::disk::Disk;
    let disk = crate::disk::memory::MemoryDisk::new(99);
    disk.create_dir_all("/other".as_ref()).unwrap();
    drop(disk.create_new("/other/file".as_ref()).unwrap());
    disk
}
