//! Properties and groups, and the ledger as an edge in this process sees it.

use super::*;
use Outcome::{Already, Applied, Dead};

#[test]
fn properties_merge_in_order_and_null_removes() {
    let scene = Scene::new();
    let mut edge = scene.edge("a");
    edge.identify(
        "u",
        json!({"plan": "free", "age": 3}),
        &[("acme", json!({"size": 1}))],
    )
    .identify(
        "u",
        json!({"plan": "pro", "age": null}),
        &[
            ("acme", json!({"size": null, "city": "Oslo"})),
            ("acme", json!({"size": 2})),
        ],
    );
    assert_eq!(edge.outcomes(), [Applied; 2]);
    let user = scene.user("u");
    assert_eq!(Value::Object(user.properties), json!({"plan": "pro"}));
    assert_eq!(user.groups, ["acme"]);
    assert_eq!(user.updated_ms, Some(START + 1));
    let group = scene.store.group(WHERE, "acme").unwrap();
    assert_eq!(
        Value::Object(group.properties),
        json!({"city": "Oslo", "size": 2})
    );
    assert_eq!(group.created_ms, Some(START));
}

#[test]
fn properties_beyond_the_limits_are_dead_and_leave_nothing() {
    let scene = Scene::new();
    let mut edge = scene.edge("a");
    let many: Map<String, Value> = (0..=limits::PROPERTIES_MAX)
        .map(|n| (format!("p{n}"), json!(1)))
        .collect();
    let large = json!({"p": "x".repeat(limits::PROPERTIES_BYTES_MAX)});
    edge.identify("u", Value::Object(many), &[])
        .identify("u", large.clone(), &[])
        .identify("u", json!({"a": 1}), &[("acme", large)])
        .identify("u", json!({"b": 1}), &[]);
    assert_eq!(edge.outcomes(), [Dead, Dead, Dead, Applied]);
    assert_eq!(Value::Object(scene.user("u").properties), json!({"b": 1}));
    assert_eq!(scene.store.group(WHERE, "acme").unwrap().doc_rev, 0);
}

#[test]
fn a_group_alone_is_merged_and_no_user_is_made() {
    let scene = Scene::new();
    let mut one = scene.edge("a");
    one.identify_group("acme", json!({"size": 1, "city": "Oslo"}))
        .identify("u", json!({}), &[("acme", json!({"size": 2}))])
        .identify_group("acme", json!({"city": null}));
    let outcomes = one.ship();
    assert!(outcomes.iter().all(|one| one.outcome == Applied));
    let cursor = scene.store.changes(WHERE, None).unwrap().cursor;
    let mut other = scene.edge("b");
    other.identify_group("acme", json!({"size": 3}));
    let batch = other.batch();
    assert_eq!(other.outcomes(), [Applied]);
    let group = scene.store.group(WHERE, "acme").unwrap();
    assert_eq!(Value::Object(group.properties), json!({"size": 3}));
    assert_eq!(group.doc_rev, 4);
    assert_eq!(group.last, Some(("b".to_owned(), 1)));
    assert_eq!(scene.user("").doc_rev, 0);
    let changes = scene.store.changes(WHERE, Some(&cursor)).unwrap().changes;
    assert_eq!(changes.len(), 1);
    assert_eq!(
        changes[0].subject,
        format!("{:016x}", subject_hash("group", &["acme"]))
    );
    // Its answer was lost, and it comes again.
    let again = scene.store.ship(WHERE, &batch).unwrap();
    assert_eq!(again.outcomes[0].outcome, Already);
    assert_eq!(scene.store.group(WHERE, "acme").unwrap().doc_rev, 4);
}

#[test]
fn a_group_alone_that_does_not_fit_is_dead_and_leaves_nothing() {
    let scene = Scene::new();
    let mut edge = scene.edge("a");
    let long = "x".repeat(limits::SUBJECT_ID_BYTES_MAX + 1);
    let large = json!({"p": "x".repeat(limits::PROPERTIES_BYTES_MAX)});
    edge.identify_group("", json!({}))
        .identify_group(&long, json!({}))
        .identify_group("acme", large)
        .identify_group("acme", json!({"a": 1}));
    assert_eq!(edge.outcomes(), [Dead, Dead, Dead, Applied]);
    assert_eq!(scene.store.group(WHERE, "acme").unwrap().doc_rev, 1);
    assert_eq!(scene.dead().len(), 3);
}

#[test]
fn a_step_of_nobody_is_dead() {
    let scene = Scene::new();
    let mut edge = scene.edge("a");
    edge.identify("", json!({}), &[]);
    assert_eq!(edge.outcomes(), [Dead]);
}

#[test]
fn the_ledger_survives_a_restart_of_the_store() {
    let scene = Scene::new();
    let mut edge = scene.edge("a");
    edge.start("u").rich("u", true);
    let batch = edge.batch();
    edge.ship();
    let before = scene.user("u");
    let Scene { house, store, .. } = scene;
    drop(store);
    let store = house.open();
    assert_eq!(store.user(WHERE, "u").unwrap(), before);
    let again = store.ship(WHERE, &batch).unwrap();
    assert_eq!(again.outcomes[1].outcome, Already);
}

#[tokio::test]
async fn the_local_ledger_answers_as_the_store_does() {
    use crate::progress::{LedgerError, ProgressLedger};
    let scene = Scene::new();
    let mut edge = scene.edge("a");
    edge.start("u");
    let (batch, fork) = (
        edge.batch(),
        Batch {
            previous: "other".to_owned(),
            ..edge.batch()
        },
    );
    let Scene { store, house, .. } = scene;
    let ledger = LocalLedger::new(Arc::new(store));
    assert!(matches!(
        ledger.ship(WHERE, &fork).await,
        Err(LedgerError::Fork(_))
    ));
    let answer = ledger.ship(WHERE, &batch).await.unwrap();
    assert_eq!(answer.outcomes[0].outcome, Applied);
    assert_eq!(ledger.user(WHERE, "u").await.unwrap().doc_rev, 1);
    assert_eq!(ledger.group(WHERE, "g").await.unwrap().doc_rev, 0);
    let hash = ledger
        .ship(
            WHERE,
            &Batch {
                journal: "a".to_owned(),
                previous: String::new(),
                records: Vec::new(),
            },
        )
        .await
        .unwrap()
        .hash;
    ledger.close(WHERE, "a", &hash).await.unwrap();
    assert!(matches!(
        ledger.user("nowhere", "u").await,
        Err(LedgerError::Refused(_))
    ));
    drop(house);
}

#[test]
fn an_identify_with_a_key_that_was_seen_changes_nothing() {
    let scene = Scene::new();
    let mut edge = scene.edge("a");
    edge.identify("u", json!({"seats": 1}), &[]).id(7, 1);
    edge.identify("u", json!({"seats": 2}), &[]);
    edge.identify("u", json!({"seats": 1}), &[]).id(7, 1);
    edge.identify("u", json!({"seats": 3}), &[]).id(7, 2);
    assert_eq!(edge.outcomes(), [Applied, Applied, Already, Dead]);
    let user = scene.user("u");
    assert_eq!(Value::Object(user.properties), json!({"seats": 2}));
    assert_eq!(user.recent, [EventId { key: 7, body: 1 }]);
}
