//! Steps of schedules: written down when their time has come, also late.

use super::*;
use crate::{
    snapshot::wire::ScheduledPart,
    store::{schedule::basis_points_at, workspace::Deployment},
};

const HOUR: u64 = 60 * 60 * 1000;

fn scheduled(house: &House, store: &Store, steps: &[(u64, u16)]) -> Deployment {
    store.import(&demo()).unwrap();
    let workspace = store.workspace();
    let production = workspace.environment("production").unwrap();
    let mut own = workspace
        .deployments_in(&production.uid)
        .next()
        .unwrap()
        .clone();
    own.rollout.basis_points = 1_000;
    let now = house.clock.now_ms();
    let steps = steps.iter().map(|(hours, basis_points)| ScheduledPart {
        at_ms: now + hours * HOUR,
        basis_points: *basis_points,
    });
    own.rollout.schedule = steps.collect();
    store.put_deployment(own.clone()).unwrap();
    store.publish().unwrap();
    own
}

fn now_of(store: &Store, uid: &str) -> (u16, usize) {
    let own = store.workspace().deployments[uid].clone();
    (own.rollout.basis_points, own.rollout.schedule.len())
}

#[test]
fn a_step_is_written_down_and_published_when_its_time_has_come() {
    let house = House::new();
    let store = house.open();
    let own = scheduled(&house, &store, &[(1, 2_500), (2, 5_000), (3, 10_000)]);
    let published = |store: &Store| {
        let snapshot = pull(store, "production", &mut trust(store, "production"));
        let mut deployments = snapshot.deployments.iter();
        let compiled = deployments.find(|one| *one.uid == *own.uid).unwrap();
        let now = house.clock.now_ms();
        (compiled.basis_points, compiled.basis_points_at(now))
    };
    store.refresh_timestamps(house.clock.now_ms()).unwrap();
    assert_eq!(now_of(&store, &own.uid), (1_000, 3), "nothing is due");
    house.wait(HOUR);
    assert_eq!(
        published(&store),
        (1_000, 2_500),
        "edges need no store for it"
    );
    store.refresh_timestamps(house.clock.now_ms()).unwrap();
    assert_eq!(now_of(&store, &own.uid), (2_500, 2));
    assert_eq!(
        published(&store),
        (2_500, 2_500),
        "and nobody is decided otherwise"
    );
    // The store is away for the next two steps: the newest counts.
    drop(store);
    house.wait(5 * HOUR);
    let store = house.open();
    assert_eq!(now_of(&store, &own.uid), (2_500, 2), "it survives");
    // Behind the publish of the start.
    house.wait(1_000);
    store.refresh_timestamps(house.clock.now_ms()).unwrap();
    assert_eq!(now_of(&store, &own.uid), (10_000, 0));
    assert_eq!(published(&store), (10_000, 10_000));
    house.wait(HOUR);
    let due = store.due();
    store.refresh_timestamps(house.clock.now_ms()).unwrap();
    assert_eq!(
        (due, store.due()),
        (Due::Nothing, Due::Nothing),
        "it is done"
    );
}

#[test]
fn writing_a_step_down_changes_no_percentage_at_any_time() {
    let house = House::new();
    let store = house.open();
    let own = scheduled(&house, &store, &[(1, 2_500), (4, 100), (9, 10_000)]);
    let begun = house.clock.now_ms();
    for _ in 0..12 {
        store.refresh_timestamps(house.clock.now_ms()).unwrap();
        let written = store.workspace().deployments[&own.uid].clone();
        for hour in 0..12 {
            let at = begun + hour * HOUR;
            if at >= house.clock.now_ms() {
                assert_eq!(basis_points_at(&written, at), basis_points_at(&own, at));
            }
        }
        house.wait(HOUR);
    }
    assert_eq!(now_of(&store, &own.uid), (10_000, 0));
}
