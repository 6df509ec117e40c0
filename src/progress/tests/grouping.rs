//! Groups without a user, and many users in one call.

use serde_json::{Value, json};

use super::{
    edge::poll,
    scene::{Scene, Told, batch_task, group_task},
};
use crate::{
    disk::memory::Fault,
    limits::{GROUPS_PER_USER_MAX, PROPERTIES_MAX},
    progress::{
        BatchError, WriteError,
        event::{Event, Operation, Outcome},
    },
};

fn group(scene: &mut Scene, properties: Value) -> Result<(), WriteError> {
    let task = group_task(&scene.edge.progress, &scene.world, "acme", properties);
    scene.edge.finish(task).map(drop)
}

fn batch(scene: &mut Scene, told: Vec<(&str, Told)>) -> Result<(), BatchError> {
    let task = batch_task(&scene.edge.progress, &scene.world, told);
    scene.edge.finish(task)
}

fn properties_of(scene: &mut Scene) -> Value {
    let group = scene.read("bob", Some("acme")).unwrap().group.unwrap();
    Value::Object(group.properties.clone())
}

#[test]
fn a_group_alone_is_there_with_the_answer_and_no_user_is_made() {
    let mut scene = Scene::new();
    group(&mut scene, json!({"plan": "pro", "city": "Oslo"})).unwrap();
    group(&mut scene, json!({"plan": "max", "city": null})).unwrap();
    assert_eq!(properties_of(&mut scene), json!({"plan": "max"}));
    assert_eq!(scene.edge.progress.backlog(), 2, "they bound what is taken");
    scene.edge.ship();
    assert_eq!(scene.edge.progress.backlog(), 0);
    let inner = scene.ledger.look();
    let record = inner.ledger.record("acme");
    assert_eq!(Value::Object(record.properties), json!({"plan": "max"}));
    assert_eq!((record.doc_rev, record.created_ms), (2, Some(2_500)));
    assert_eq!(inner.ledger.document("").doc_rev, 0);
    let outcomes: Vec<_> = inner.taken.values().map(|one| one.outcome).collect();
    assert_eq!(outcomes, [Outcome::Applied; 2]);
    drop(inner);
    let memory = scene.edge.progress.memory.clone();
    assert_eq!((memory.pending.entries(), memory.groups.entries()), (0, 0));
    assert_eq!(properties_of(&mut scene), json!({"plan": "max"}));
}

#[test]
fn a_group_alone_survives_a_restart_with_the_ledger_dead() {
    let mut scene = Scene::new();
    scene.away(true);
    group(&mut scene, json!({"plan": "pro"})).unwrap();
    scene.crash();
    assert_eq!(scene.edge.progress.backlog(), 1);
    group(&mut scene, json!({"seats": 3})).unwrap();
    scene.crash();
    let all = json!({"plan": "pro", "seats": 3});
    assert_eq!(properties_of(&mut scene), all);
    scene.away(false);
    scene.edge.ship();
    let record = scene.ledger.look().ledger.record("acme");
    assert_eq!(Value::Object(record.properties), all);
    assert_eq!(scene.edge.progress.backlog(), 0);
}

#[test]
fn a_group_whose_commit_fails_is_unclear_and_unchanged() {
    let mut scene = Scene::new();
    group(&mut scene, json!({"plan": "pro"})).unwrap();
    let late = json!({"plan": "max"});
    let mut lost = group_task(&scene.edge.progress, &scene.world, "acme", late);
    assert!(poll(&mut lost).is_none());
    scene.disk.fail_after(0, Fault::Io);
    scene.edge.commit();
    assert_eq!(poll(&mut lost).unwrap().unwrap_err(), WriteError::Unclear);
    assert_eq!(properties_of(&mut scene), json!({"plan": "pro"}));
    scene.edge.ship();
    assert_eq!(scene.edge.progress.backlog(), 0);
}

#[test]
fn a_group_beyond_the_limits_is_refused() {
    let mut scene = Scene::new();
    let many = (0..=PROPERTIES_MAX).map(|n| (format!("p{n}"), json!(1)));
    let refused = group(&mut scene, Value::Object(many.collect()));
    assert!(matches!(refused, Err(WriteError::TooLarge(_))));
    assert_eq!(scene.edge.progress.backlog(), 0);
}

#[test]
fn a_batch_is_taken_in_its_order() {
    let mut scene = Scene::new();
    let acme = |properties: Value| vec![("acme".to_owned(), properties)];
    let told = vec![
        ("ann", (json!({"a": 1, "b": 1}), acme(json!({"n": 1})))),
        ("bob", (json!({"c": 1}), acme(json!({"n": 2})))),
        ("ann", (json!({"a": 2, "b": null}), vec![])),
    ];
    batch(&mut scene, told).unwrap();
    let read = scene.read("ann", Some("acme")).unwrap();
    let own = Value::Object(read.subject.profile.properties.clone());
    assert_eq!(own, json!({"a": 2}));
    assert_eq!(read.group.unwrap().properties["n"], 2);
    scene.edge.ship();
    let inner = scene.ledger.look();
    assert!(inner.taken.values().all(|one| one.as_recorded));
    let ann = inner.ledger.document("ann");
    assert_eq!((ann.doc_rev, ann.groups), (2, vec!["acme".to_owned()]));
}

#[test]
fn one_call_too_many_lets_nothing_of_a_batch_through() {
    let mut scene = Scene::new();
    let half = |from: usize| {
        let names = (from..from + PROPERTIES_MAX / 2 + 1).map(|n| (format!("p{n}"), json!(1)));
        (Value::Object(names.collect()), vec![])
    };
    // Only together are they too many.
    let told = vec![
        ("bob", (json!({"a": 1}), vec![])),
        ("ann", half(0)),
        ("ann", half(PROPERTIES_MAX)),
    ];
    let refused = batch(&mut scene, told).unwrap_err();
    assert_eq!(refused.at, 2);
    assert!(matches!(refused.error, WriteError::TooLarge(_)));
    let groups = (0..=GROUPS_PER_USER_MAX).map(|n| (format!("g{n}"), json!({})));
    let refused = batch(
        &mut scene,
        vec![
            ("bob", (json!({"a": 1}), vec![])),
            ("ann", (json!({}), groups.collect())),
        ],
    );
    assert_eq!(refused.unwrap_err().at, 1);
    assert_eq!(scene.edge.progress.backlog(), 0);
    let bob = scene.read("bob", None).unwrap();
    assert!(bob.subject.profile.properties.is_empty());
}

#[test]
fn who_cannot_be_asked_about_can_be_told_of_in_a_batch() {
    let mut scene = Scene::new();
    scene.away(true);
    let told = vec![
        ("ann", (json!({"a": 1}), vec![])),
        ("bob", (json!({"b": 1}), vec![])),
    ];
    batch(&mut scene, told).unwrap();
    scene.away(false);
    scene.edge.ship();
    for (user, name) in [("ann", "a"), ("bob", "b")] {
        let document = scene.ledger.look().ledger.document(user);
        assert_eq!(document.properties[name], 1);
    }
}

/// The words in which such a record lies in journals and travels.
#[test]
fn a_record_about_a_group_alone_is_written_as_it_was_from_the_first() {
    let text = json!({
        "environment": "production", "environment_uid": "env_1", "user": "", "revision": "0.1",
        "decided_ms": 7,
        "operation": {"op": "identify-group", "group": {"identifier": "acme", "properties": {"n": 1}}},
        "base": {"document": 0}, "edge": "e",
    });
    let event: Event = serde_json::from_value(text.clone()).unwrap();
    assert!(matches!(event.operation, Operation::IdentifyGroup { .. }));
    assert!(!event.operation.is_of_user());
    assert_eq!(event.operation.groups().len(), 1);
    assert_eq!(serde_json::to_value(&event).unwrap(), text);
}
