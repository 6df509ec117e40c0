//! Does a request get the revision it waits for, and only as much patience as
//! there is?

use std::{future::Future, sync::Arc, time::Duration};

use futures_util::future::join_all;

use super::*;
use crate::{
    limits::{REVISION_WAITERS_MAX, REVISION_WAITERS_PER_KEY_MAX},
    snapshot::{Snapshot, compile::compile, parts::Content},
};

const NAME: &str = "development";
const KEY: [u8; 32] = [1; 32];

fn revision(epoch: u32, number: u64) -> Revision {
    Revision { epoch, number }
}

fn snapshot(revision: Revision) -> Arc<Snapshot> {
    let settings = serde_json::json!({"environment_type": "development", "drafts": false});
    let content = Content {
        settings: serde_json::from_value(settings).expect("settings"),
        flows: Vec::new(),
        versions: Vec::new(),
        deployments: Vec::new(),
        keys: Vec::new(),
        flags: Default::default(),
        broken: Vec::new(),
    };
    let control = serde_json::json!({"environment": NAME, "environment_uid": "env_1",
        "epoch": revision.epoch, "version": 1, "created_ms": 0});
    let control = serde_json::from_value(control).expect("a control document");
    Arc::new(compile(NAME, "env_1", revision, &content, &control).expect("it compiles"))
}

/// Longer than any test takes: a wait that ends before it was not for time.
const LONG: Duration = Duration::from_secs(600);

/// Short: waited for to its end.
const SHORT: Duration = Duration::from_millis(50);

fn live_at(at: Revision, patience: Duration) -> Current {
    let current = Current::expecting(1).patient(patience);
    current.publish(snapshot(at), Freshness::default());
    current
}

#[tokio::test]
async fn what_is_here_is_not_waited_for() {
    let current = live_at(revision(1, 7), LONG);
    for wanted in [(0, 0), (0, u64::MAX), (1, 6), (1, 7)] {
        let wanted = revision(wanted.0, wanted.1);
        assert_eq!(current.at_least(NAME, wanted, &KEY).await, Ok(()));
    }
    assert_eq!(current.waits(), [0; 5], "nobody waited");
    let rung = tokio::time::timeout(Duration::ZERO, async {
        current.asked(NAME).notified().await;
    });
    assert!(rung.await.is_err(), "nobody asked upstream");
}

#[tokio::test]
async fn whoever_waits_asks_upstream_once_and_goes_on_with_what_came() {
    let current = live_at(revision(0, 17), LONG);
    let bell = current.asked(NAME);
    let rings = std::cell::Cell::new(0);
    let upstream = async {
        bell.notified().await;
        rings.set(rings.get() + 1);
        // A revision that is not enough yet wakes nobody for good.
        current.publish(snapshot(revision(0, 18)), Freshness::default());
        tokio::task::yield_now().await;
        current.publish(snapshot(revision(0, 19)), Freshness::default());
    };
    let many = join_all((0..10).map(|_| current.at_least(NAME, revision(0, 19), &KEY)));
    let (many, ()) = tokio::join!(many, upstream);
    assert!(many.iter().all(Result::is_ok), "{many:?}");
    assert_eq!(rings.get(), 1);
    assert_eq!(current.waits(), [10, 0, 0, 0, 0]);
    assert_eq!(current.revision(NAME), Some(revision(0, 19)));
}

#[tokio::test]
async fn a_higher_epoch_is_newer_than_any_number() {
    let current = live_at(revision(0, 17), LONG);
    let waits = current.at_least(NAME, revision(0, 90), &KEY);
    let raised = async { current.publish(snapshot(revision(1, 1)), Freshness::default()) };
    let (waited, _) = tokio::join!(waits, raised);
    assert_eq!(waited, Ok(()));
}

#[tokio::test]
async fn patience_ends_and_an_unknown_epoch_is_not_waited_for() {
    let current = live_at(revision(0, 17), SHORT);
    let (wanted, live) = (revision(0, 18), revision(0, 17));
    let begun = std::time::Instant::now();
    let late = current.at_least(NAME, wanted, &KEY).await;
    assert_eq!(late, Err(NotHere::Late { wanted, live }));
    assert!(begun.elapsed() >= SHORT);
    assert_eq!(current.waits(), [0, 1, 0, 0, 0]);
    let current = live_at(live, LONG);
    let wanted = revision(1, 1);
    // Would not end here if it were waited for.
    let unknown = current.at_least(NAME, wanted, &KEY).await;
    assert_eq!(unknown, Err(NotHere::Epoch { wanted, live }));
    assert_eq!(current.waits(), [0, 0, 1, 0, 0]);
}

#[tokio::test]
async fn so_many_wait_with_one_key_and_so_many_in_all() {
    let current = live_at(revision(0, 17), Duration::from_secs(2));
    let wanted = revision(0, 18);
    let keys = REVISION_WAITERS_MAX / REVISION_WAITERS_PER_KEY_MAX + 1;
    let waits = (0..keys).flat_map(|key| {
        let key = [u8::try_from(key).expect("few keys"); 32];
        let current = &current;
        // One more than one key may have.
        (0..=REVISION_WAITERS_PER_KEY_MAX)
            .map(move |_| async move { current.at_least(NAME, wanted, &key).await })
    });
    let ended = join_all(waits).await;
    let late = ended
        .iter()
        .filter(|end| matches!(end, Err(NotHere::Late { .. })));
    assert_eq!(late.count(), REVISION_WAITERS_MAX);
    let asked = keys * (REVISION_WAITERS_PER_KEY_MAX + 1);
    let crowded = (asked - REVISION_WAITERS_MAX) as u64;
    assert_eq!(
        current.waits(),
        [0, REVISION_WAITERS_MAX as u64, 0, crowded, 0]
    );
    // Those who left made room.
    let late = current.at_least(NAME, wanted, &KEY).await;
    assert!(matches!(late, Err(NotHere::Late { .. })), "{late:?}");
    // Also who goes away before the end.
    let mut gone = Box::pin(current.at_least(NAME, wanted, &KEY));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(gone.as_mut().poll(&mut context).is_pending());
    assert_eq!(super::waiting::waiters(&current), 1);
    drop(gone);
    assert_eq!(super::waiting::waiters(&current), 0);
}
