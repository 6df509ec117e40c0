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
