//! What a restart finds, with the ledger there and without it.

use serde_json::json;

use super::{
    edge::{Setup, poll},
    scene::{Act, Scene},
};
use crate::{
    disk::journal::Durability,
    progress::{
        WriteError,
        event::{Event, GroupRecord, Outcome, UserDocument},
        note_journal, restore,
    },
};

const NEXT: Act = Act::Leave("first", "next");

#[test]
fn recovery_serves_with_the_ledger_dead() {
    let mut scene = Scene::new();
    scene.away(true);
    scene.step("ann", Act::Auto).unwrap();
    let acme = vec![("acme".to_owned(), json!({"plan": "pro"}))];
    scene
        .identify("ann", (json!({"rich": true}), acme))
        .unwrap();
    scene.crash();
    // Who asks first for the group gets it as well.
    let read = scene.read("bob", Some("acme")).unwrap();
    assert_eq!(read.group.unwrap().properties["plan"], "pro");
    assert!(scene.step("ann", NEXT).unwrap().changed);
    assert_eq!(scene.stands("ann"), ["gold"]);
    scene.crash();
    assert_eq!(
        scene.stands("ann"),
        ["gold"],
        "two journals lie over one another"
    );
    scene.away(false);
    scene.edge.ship();
    let inner = scene.ledger.look();
    assert!(
        inner
            .taken
            .values()
            .all(|one| one.outcome == Outcome::Applied)
    );
    assert_eq!(inner.ledger.document("ann").doc_rev, 3);
    drop(inner);
    assert_eq!(scene.ledger_stands("ann"), ["gold"]);
    assert_eq!(scene.edge.progress.backlog(), 0);
    assert_eq!(scene.edge.progress.memory.groups.entries(), 0);
}

#[test]
fn journals_are_shipped_in_the_order_they_were_begun() {
    let mut scene = Scene::new();
    scene.away(true);
    for act in [Act::Auto, NEXT, Act::Leave("plain", "again"), NEXT] {
        scene.step("ann", act).unwrap();
        scene.crash();
    }
    assert_eq!(scene.edge.recovered.len(), 4);
    scene.away(false);
    scene.edge.ship();
    let inner = scene.ledger.look();
    assert!(
        inner
            .taken
            .values()
            .all(|one| one.outcome == Outcome::Applied && one.as_recorded)
    );
    assert_eq!(
        inner
            .ledger
            .marks
            .values()
            .filter(|mark| mark.closed_ms.is_some())
            .count(),
        4
    );
    drop(inner);
    scene.crash();
    assert!(
        scene.edge.recovered.iter().all(|old| old.records == 0),
        "all are removed"
    );
}

#[test]
fn what_the_ledger_took_before_the_crash_is_not_counted_for_ever() {
    let mut scene = Scene::new();
    for act in [Act::Auto, NEXT] {
        scene.step("ann", act).unwrap();
    }
    scene.ledger.look().at_once = false;
    scene.edge.ship();
    scene.ledger.advance(0, false);
    scene.ledger.advance(0, false);
    scene.edge.ship();
    // The batch arrives, its answer does not, and the power fails.
    scene.ledger.advance(0, false);
    scene.ledger.forget_answers();
    scene.ledger.look().at_once = true;
    scene.crash();
    assert_eq!(scene.edge.progress.backlog(), 2);
    assert_eq!(scene.stands("ann"), ["plain"]);
    scene.edge.ship();
    assert_eq!(scene.edge.progress.backlog(), 0);
    assert_eq!(scene.ledger.look().ledger.document("ann").doc_rev, 2);
    assert!(scene.step("ann", Act::Stop).unwrap().changed);
}

#[test]
fn a_batch_that_arrives_after_the_restart_stops_nothing() {
    let mut scene = Scene::new();
    for act in [Act::Auto, NEXT] {
        scene.step("ann", act).unwrap();
    }
    scene.ledger.look().at_once = false;
    scene.edge.ship();
    scene.ledger.advance(0, false);
    scene.ledger.advance(0, false);
    scene.edge.ship();
    // One more record, so that the next batch is another one.
    scene.step("ann", Act::Stop).unwrap();
    scene.crash();
    scene.edge.ship();
    // Behind the late batch stands the question of the new run; it is
    // answered first, and then the late batch arrives.
    assert_eq!(scene.ledger.look().calls.len(), 2);
    scene.ledger.advance(1, false);
    scene.ledger.advance(1, false);
    scene.ledger.advance(0, false);
    scene.ledger.look().at_once = true;
    scene.edge.ship();
    let inner = scene.ledger.look();
    assert_eq!(inner.ledger.document("ann").doc_rev, 3);
    assert!(inner.ledger.document("ann").flows[0].stopped);
    drop(inner);
    assert_eq!(scene.edge.progress.backlog(), 0);
}

#[test]
fn more_records_than_the_cap_are_recovered_and_only_new_ones_refused() {
    let mut scene = Scene::with(Setup {
        records_max: 3,
        ..Setup::default()
    });
    scene.away(true);
    for user in ["ann", "bob", "cid"] {
        scene.step(user, Act::Auto).unwrap();
    }
    scene.setup.records_max = 2;
    scene.crash();
    assert_eq!(scene.edge.progress.backlog(), 3);
    let refused = scene.step("ann", NEXT).unwrap_err();
    assert!(matches!(refused, WriteError::Unavailable(_)), "{refused}");
    assert_eq!(scene.stands("cid"), ["first"]);
    scene.away(false);
    scene.edge.ship();
    assert!(scene.step("ann", NEXT).unwrap().changed);
}

#[test]
fn records_of_another_environment_touch_nobody_here() {
    let mut scene = Scene::new();
    scene.away(true);
    scene.step("ann", Act::Auto).unwrap();
    let id = scene.edge.journal.id().to_owned();
    let mut reader = scene.edge.journal.reader(&id).unwrap();
    let record = reader.read(1, 1, 1 << 20).unwrap().remove(0);
    let mut event: Event = serde_json::from_slice(&record.body).unwrap();
    event.environment_uid = "env_2".to_owned();
    let slot = scene.world.current.slot("env_2");
    restore(&scene.edge.progress, slot, (&id, 9), 100, &event);
    assert_eq!(scene.edge.progress.backlog(), 2);
    scene.away(false);
    scene.edge.ship();
    // Only the other environment's record is left, for its own lane.
    assert_eq!(scene.edge.progress.backlog(), 1);
}

#[test]
fn an_old_journal_that_is_still_there_takes_nothing_back() {
    let mut scene = Scene::new();
    // The ledger has records of two journals. Of the newer one the segment
    // with this user's record is gone, the older one could not be removed.
    scene.away(true);
    let acme = vec![("acme".to_owned(), json!({ "number": 1 }))];
    scene
        .identify("ann", (json!({ "number": 1 }), acme))
        .unwrap();
    scene.crash();
    let newer = "b".repeat(32);
    note_journal(&scene.edge.progress, &newer);
    let last = Some((newer, 5));
    let number = |number: u64| json!({ "number": number }).as_object().cloned().unwrap();
    let user = UserDocument {
        identifier: "ann".to_owned(),
        doc_rev: 2,
        properties: number(2),
        last: last.clone(),
        ..UserDocument::default()
    };
    let group = GroupRecord {
        identifier: "acme".to_owned(),
        doc_rev: 2,
        properties: number(2),
        last,
        ..GroupRecord::default()
    };
    let mut inner = scene.ledger.look();
    inner.ledger.users.insert("ann".to_owned(), user);
    inner.ledger.groups.insert("acme".to_owned(), group);
    drop(inner);
    scene.away(false);
    let read = scene.read("ann", Some("acme")).unwrap();
    assert_eq!(read.subject.profile.properties["number"], 2);
    assert_eq!(read.group.unwrap().properties["number"], 2);
}

#[test]
fn a_client_that_hangs_up_takes_nothing_back() {
    let mut scene = Scene::new();
    scene.step("ann", Act::Auto).unwrap();
    let mut gone = scene.task("ann", NEXT, None);
    assert!(poll(&mut gone).is_none());
    drop(gone);
    assert_eq!(scene.stands("ann"), ["first"]);
    scene.edge.commit();
    assert_eq!(
        scene.stands("ann"),
        ["plain"],
        "it was queued, so it happens"
    );
    scene.edge.ship();
    assert_eq!(scene.edge.progress.backlog(), 0);
    // While the ledger is being asked nothing is queued yet.
    scene.ledger.look().at_once = false;
    let mut gone = scene.task("bob", Act::Auto, None);
    assert!(poll(&mut gone).is_none());
    scene.edge.turn_reader();
    drop(gone);
    scene.ledger.look().calls.clear();
    scene.ledger.look().at_once = true;
    scene.edge.turn_reader();
    assert!(scene.step("bob", Act::Auto).unwrap().changed);
}

#[test]
fn what_memory_durability_lost_is_lost_as_a_whole() {
    let mut scene = Scene::with(Setup {
        durability: Durability::Memory,
        ..Setup::default()
    });
    scene.step("ann", Act::Auto).unwrap();
    scene.edge.commit();
    for act in [NEXT, Act::Stop] {
        let mut task = scene.task("ann", act, None);
        assert!(poll(&mut task).unwrap().unwrap().changed);
    }
    scene.crash();
    scene.edge.ship();
    assert_eq!(scene.stands("ann"), ["first"]);
    assert_eq!(scene.edge.progress.backlog(), 0);
}
