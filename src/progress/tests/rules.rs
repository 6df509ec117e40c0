//! The rules a client can rely on, one test each.

use std::sync::Arc;

use serde_json::json;

use super::{
    edge::{Setup, poll},
    scene::{Act, Scene, read_task, step_task},
};
use crate::{
    disk::{journal::Durability, memory::Fault},
    progress::{
        WriteError,
        event::{BlockStateDocument, FlowStateDocument, Outcome, UserDocument},
        keys::{Kind, SubjectKey},
        known::Known,
        subjects::Cached,
        ticks::Tick,
    },
};

const NEXT: Act = Act::Leave("first", "next");

#[test]
fn duplicates_of_an_automatic_start_start_once() {
    let mut scene = Scene::new();
    scene.ledger.look().at_once = false;
    let mut tasks: Vec<_> = (0..5).map(|_| scene.task("ann", Act::Auto, None)).collect();
    for task in &mut tasks {
        assert!(poll(task).is_none(), "the ledger is asked");
    }
    scene.edge.turn_reader();
    scene.ledger.advance(0, false);
    scene.ledger.advance(0, false);
    scene.ledger.look().at_once = true;
    let done: Vec<_> = tasks
        .into_iter()
        .map(|task| scene.edge.finish(task).unwrap())
        .collect();
    assert_eq!(done.iter().filter(|one| one.changed).count(), 1);
    assert!(done.iter().all(|one| one.state.started));
    assert_eq!(scene.ledger.look().reads, 1, "one call for all of them");
    scene.edge.ship();
    assert_eq!(scene.ledger.look().ledger.document("ann").doc_rev, 1);
}

#[test]
fn a_second_post_of_the_same_transition_waits_and_changes_nothing() {
    let mut scene = Scene::new();
    scene.step("ann", Act::Auto).unwrap();
    let mut first = scene.task("ann", NEXT, None);
    assert!(poll(&mut first).is_none(), "it waits for its sync");
    let mut second = scene.task("ann", NEXT, None);
    assert!(
        poll(&mut second).is_none(),
        "what it rests on is not durable"
    );
    assert_eq!(scene.stands("ann"), ["first"], "nor can it be read");
    scene.edge.commit();
    let (first, second) = (
        poll(&mut first).unwrap().unwrap(),
        poll(&mut second).unwrap().unwrap(),
    );
    assert!(first.changed && !second.changed);
    assert_eq!(first.token, second.token);
    assert_eq!(scene.stands("ann"), ["plain"]);
}

#[test]
fn a_key_used_for_another_body_is_refused_and_for_the_same_repeated() {
    let mut scene = Scene::new();
    scene.step("ann", Act::Auto).unwrap();
    assert!(scene.keyed("ann", NEXT, 7, 1).unwrap().changed);
    assert!(!scene.keyed("ann", NEXT, 7, 1).unwrap().changed);
    assert_eq!(
        scene.keyed("ann", Act::Stop, 7, 2).unwrap_err(),
        WriteError::KeyReused
    );
    // Also when the ledger has it, and after the cache forgot.
    scene.edge.ship();
    scene.crash();
    assert_eq!(
        scene.keyed("ann", Act::Stop, 7, 2).unwrap_err(),
        WriteError::KeyReused
    );
    assert!(!scene.keyed("ann", NEXT, 7, 1).unwrap().changed);
}

#[test]
fn sixteen_keys_of_a_flow_version_are_remembered() {
    let mut scene = Scene::new();
    scene.step("ann", Act::Auto).unwrap();
    for key in 0..16 {
        assert!(scene.keyed("ann", Act::Reset, key, 1).unwrap().changed);
    }
    // Those of another version push none of them out.
    let other = step_task(
        &scene.edge.progress,
        &scene.world,
        "ann",
        (("tour", 2), Act::Auto),
        None,
        None,
    );
    scene.edge.finish(other).unwrap();
    assert!(
        !scene.keyed("ann", Act::Reset, 0, 1).unwrap().changed,
        "the oldest is there"
    );
    assert!(scene.keyed("ann", Act::Reset, 16, 1).unwrap().changed);
    assert!(
        scene.keyed("ann", Act::Reset, 0, 1).unwrap().changed,
        "pushed out by now"
    );
    scene.edge.ship();
    let dead = scene.ledger.look().ledger.dead.len();
    assert_eq!(dead, 0, "the ledger forgets no later than we do");
}

#[test]
fn properties_of_a_group_are_there_with_the_answer_and_decide_at_once() {
    let mut scene = Scene::new();
    let deal = |scene: &Scene| {
        let at = (("deal", 1), Act::Auto);
        step_task(
            &scene.edge.progress,
            &scene.world,
            "ann",
            at,
            None,
            Some("acme"),
        )
    };
    let task = deal(&scene);
    assert!(!scene.edge.finish(task).unwrap().changed, "nobody pays yet");
    let told = (json!({}), vec![("acme".to_owned(), json!({"plan": "pro"}))]);
    scene.identify("ann", told).unwrap();
    let group = scene.read("bob", Some("acme")).unwrap().group.unwrap();
    assert_eq!(group.properties["plan"], "pro");
    let task = deal(&scene);
    assert!(scene.edge.finish(task).unwrap().changed);
    scene.edge.ship();
    assert_eq!(
        scene.ledger.look().ledger.record("acme").properties["plan"],
        "pro"
    );
}

#[test]
fn a_group_named_twice_builds_on_its_own_first_mention() {
    let mut scene = Scene::new();
    let groups = [json!({"a": 1, "b": 1}), json!({"a": null, "c": 2})];
    let groups = groups.map(|properties| ("acme".to_owned(), properties));
    scene.identify("ann", (json!({}), groups.to_vec())).unwrap();
    let seen = |scene: &mut Scene| scene.read("ann", Some("acme")).unwrap().group.unwrap();
    let before = seen(&mut scene).properties.clone();
    assert_eq!(
        serde_json::Value::Object(before.clone()),
        json!({"b": 1, "c": 2})
    );
    scene.edge.ship();
    assert_eq!(scene.edge.progress.memory.groups.entries(), 0);
    assert_eq!(seen(&mut scene).properties, before);
}

#[test]
fn a_failed_commit_is_unclear_and_later_steps_build_on_what_is_durable() {
    let mut scene = Scene::new();
    scene.step("ann", Act::Auto).unwrap();
    let mut lost = scene.task("ann", NEXT, None);
    assert!(poll(&mut lost).is_none());
    scene.disk.fail_after(0, Fault::Io);
    scene.edge.commit();
    assert_eq!(poll(&mut lost).unwrap().unwrap_err(), WriteError::Unclear);
    assert_eq!(scene.stands("ann"), ["first"]);
    assert!(
        scene.step("ann", NEXT).unwrap().changed,
        "it never happened"
    );
    scene.edge.ship();
    let inner = scene.ledger.look();
    assert!(
        inner
            .taken
            .values()
            .all(|one| one.outcome == Outcome::Applied && one.as_recorded)
    );
    drop(inner);
    assert_eq!(scene.edge.progress.backlog(), 0);
    assert_eq!(scene.ledger_stands("ann"), ["plain"]);
}

#[test]
fn what_a_failed_commit_voided_is_forgotten_though_nobody_asks_again() {
    let mut scene = Scene::new();
    scene.step("ann", Act::Auto).unwrap();
    scene.edge.ship();
    let told = (json!({}), vec![("acme".to_owned(), json!({"plan": "pro"}))]);
    let mut gone =
        super::scene::identify_task(&scene.edge.progress, &scene.world, "bob", told, None);
    for _ in 0..9 {
        assert!(poll(&mut gone).is_none());
        scene.edge.turn_reader();
    }
    // The client hangs up before the commit fails.
    drop(gone);
    assert_eq!(scene.edge.progress.memory.pending.records(), 1);
    scene.disk.fail_after(0, Fault::NoSpace);
    scene.edge.commit();
    assert_eq!(scene.edge.progress.backlog(), 0);
    let memory = scene.edge.progress.memory.clone();
    assert_eq!((memory.pending.entries(), memory.groups.entries()), (0, 0));
    assert_eq!(memory.groups.records(), 0);
    let group = scene.read("bob", Some("acme")).unwrap().group.unwrap();
    assert!(group.properties.is_empty());
}

#[test]
fn a_user_whose_last_record_was_void_is_not_read_as_they_were_before() {
    let mut scene = Scene::new();
    scene.read("ann", None).unwrap();
    scene.step("ann", Act::Auto).unwrap();
    let mut lost = scene.task("ann", NEXT, None);
    assert!(poll(&mut lost).is_none());
    // The first record is settled while the second waits, which then fails.
    scene.edge.ship();
    scene.disk.fail_after(0, Fault::Io);
    scene.edge.commit();
    assert_eq!(scene.stands("ann"), ["first"]);
    scene.step("ann", NEXT).unwrap();
    scene.edge.ship();
    let inner = scene.ledger.look();
    assert!(inner.taken.values().all(|one| one.as_recorded));
}

#[test]
fn writes_are_refused_at_the_cap_and_taken_again_below_it() {
    let mut scene = Scene::with(Setup {
        records_max: 2,
        ..Setup::default()
    });
    scene.step("ann", Act::Auto).unwrap();
    scene.step("bob", Act::Auto).unwrap();
    assert!(scene.edge.progress.refuses().is_some());
    let refused = scene.step("cid", Act::Auto).unwrap_err();
    assert!(matches!(refused, WriteError::Unavailable(_)), "{refused}");
    assert!(scene.read("cid", None).is_ok(), "reads go on");
    scene.edge.ship();
    assert_eq!(scene.edge.progress.backlog(), 0);
    assert!(scene.step("cid", Act::Auto).unwrap().changed);
}

#[test]
fn a_user_whose_document_would_grow_beyond_reading_is_refused_steps_and_not_reads() {
    let mut scene = Scene::new();
    let block = |at: usize| BlockStateDocument {
        block: format!("b{at}"),
        ..BlockStateDocument::default()
    };
    let large: Vec<_> = (0..11_000).map(block).collect();
    let mut document = UserDocument {
        identifier: "ann".to_owned(),
        doc_rev: 1,
        ..UserDocument::default()
    };
    document.flows.push(FlowStateDocument {
        flow: "elsewhere".to_owned(),
        version: 1,
        started: true,
        blocks: large,
        ..FlowStateDocument::default()
    });
    let known = Cached {
        document: Arc::new(Known::of(&document)),
        tick: Tick::default(),
        through: None,
    };
    let key = key(&scene, "ann").bytes().into();
    let users = &scene.edge.progress.memory.subjects.users;
    users.insert(key, known);
    users.run_pending_tasks();
    assert!(
        users.weighted_size() > 11_000 / 64,
        "counts as several users"
    );
    let refused = scene.step("ann", Act::Auto).unwrap_err();
    assert!(matches!(refused, WriteError::TooMuch(_)), "{refused}");
    assert!(!scene.read("ann", None).unwrap().assumed, "reads go on");
    assert_eq!(scene.edge.progress.backlog(), 0);
    assert!(scene.step("bob", Act::Auto).unwrap().changed);
}

#[test]
fn a_read_that_began_before_a_step_was_settled_is_not_given_to_later_ones() {
    let mut scene = Scene::new();
    scene.step("ann", Act::Auto).unwrap();
    scene.edge.ship();
    forget(&scene, "ann");
    scene.ledger.look().at_once = false;
    let mut early = read_task(&scene.edge.progress, &scene.world, "ann", None);
    assert!(poll(&mut early).is_none());
    scene.edge.turn_reader();
    scene.ledger.advance(0, false);
    // Its answer is under way; now somebody who read earlier takes a step.
    scene.ledger.look().at_once = true;
    let taken = scene.ledger.look().ledger.document("ann");
    let known = Cached {
        document: Arc::new(Known::of(&taken)),
        tick: Tick::default(),
        through: None,
    };
    scene
        .edge
        .progress
        .memory
        .subjects
        .users
        .insert(key(&scene, "ann").bytes().into(), known);
    scene.step("ann", NEXT).unwrap();
    scene.edge.ship();
    forget(&scene, "ann");
    let mut late = read_task(&scene.edge.progress, &scene.world, "ann", None);
    assert!(poll(&mut late).is_none());
    scene.edge.turn_reader();
    scene.ledger.advance(0, false);
    for task in [&mut early, &mut late] {
        let read = (0..9).find_map(|_| {
            scene.edge.turn_reader();
            poll(task)
        });
        let subject = read.expect("answered").unwrap().subject;
        let state = subject
            .state(scene.world.flow("tour", 1).0.key, 1, None)
            .unwrap();
        let plain = state.block(crate::snapshot::BlockKey::of("plain"));
        assert!(plain.is_some_and(|block| block.active));
    }
}

#[test]
fn with_memory_durability_readers_see_at_once_what_a_failure_takes_back() {
    let mut scene = Scene::with(Setup {
        durability: Durability::Memory,
        ..Setup::default()
    });
    scene.step("ann", Act::Auto).unwrap();
    scene.edge.commit();
    let mut quick = scene.task("ann", NEXT, None);
    assert!(
        poll(&mut quick).unwrap().unwrap().changed,
        "without waiting"
    );
    let mut read = read_task(&scene.edge.progress, &scene.world, "ann", None);
    assert!(poll(&mut read).is_some());
    scene.disk.fail_after(0, Fault::Io);
    scene.edge.commit();
    assert_eq!(scene.stands("ann"), ["first"]);
    assert!(scene.step("ann", NEXT).unwrap().changed);
    scene.edge.commit();
    scene.edge.ship();
    assert_eq!(
        scene.edge.progress.backlog(),
        0,
        "what was lost is not counted"
    );
    let inner = scene.ledger.look();
    assert!(inner.taken.values().all(|one| one.as_recorded));
}

#[test]
fn an_edited_draft_restarts_where_the_user_stood() {
    let mut scene = Scene::new();
    let draft = ("draft", 0);
    let at = |scene: &Scene, act| {
        step_task(
            &scene.edge.progress,
            &scene.world,
            "ann",
            (draft, act),
            None,
            None,
        )
    };
    let task = at(&scene, Act::Auto);
    scene.edge.finish(task).unwrap();
    scene.world = scene.world.edited();
    let task = at(&scene, Act::Auto);
    let again = scene.edge.finish(task).unwrap();
    assert!(!again.changed && again.state.generation == 1);
    scene.edge.ship();
    let inner = scene.ledger.look();
    assert_eq!(inner.ledger.document("ann").doc_rev, 2);
}

#[test]
fn users_are_counted_as_they_are_cached() {
    let mut scene = Scene::new();
    for user in ["ann", "bob", "cid"] {
        scene.read(user, None).unwrap();
    }
    assert_eq!(scene.edge.progress.users_cached(), 3);
}

#[test]
fn a_user_the_cache_knows_again_is_as_the_ledger_has_them() {
    let mut scene = Scene::new();
    scene.step("ann", Act::Auto).unwrap();
    let told = (json!({"rich": true}), vec![("acme".to_owned(), json!({}))]);
    scene.identify("ann", told).unwrap();
    scene.step("ann", NEXT).unwrap();
    scene.edge.ship();
    let reads = scene.ledger.look().reads;
    let kept = scene.read("ann", None).unwrap().subject;
    assert_eq!(scene.ledger.look().reads, reads, "kept without asking");
    forget(&scene, "ann");
    let read = scene.read("ann", None).unwrap().subject;
    assert_eq!(kept, read);
}

fn key(scene: &Scene, user: &str) -> SubjectKey {
    SubjectKey::new(Kind::User, scene.world.slot(), user)
}

fn forget(scene: &Scene, user: &str) {
    let memory = &scene.edge.progress.memory;
    memory.subjects.users.invalidate(key(scene, user).bytes());
}
