//! Is only what changed fetched, read and compiled?

use std::sync::Arc;

use super::world::Edge;
use crate::{
    refresh::Refreshed,
    snapshot::fixture::{Part, flow_part, settings_part, version_part},
};

/// This many flows, each with these versions.
fn flows(count: usize, numbers: &[u32]) -> Vec<Part> {
    let mut parts = vec![settings_part()];
    for at in 0..count {
        let uid = format!("flow-{at}");
        parts.push(flow_part(&uid, numbers));
        parts.extend(numbers.iter().map(|number| version_part(&uid, *number)));
    }
    parts
}

/// The same with one more version of the first flow.
fn committed(count: usize) -> Vec<Part> {
    let mut parts = flows(count, &[1]);
    parts[1] = flow_part("flow-0", &[1, 2]);
    parts.push(version_part("flow-0", 2));
    parts
}

#[tokio::test]
async fn a_commit_to_one_flow_moves_and_compiles_that_flow() {
    let mut edge = Edge::new(flows(200, &[1]));
    edge.step().await;
    let first = edge.asked();
    assert_eq!(first.len(), 3, "index, shards, parts: one call each");
    assert_eq!(first[2].len(), 401);
    let before = edge.live();
    edge.publish(committed(200));
    assert!(matches!(edge.step().await, Refreshed::Published(_)));
    let asked: Vec<usize> = edge.asked().iter().map(Vec::len).collect();
    assert_eq!(asked[0], 1, "the index");
    assert!(asked[1] <= 2, "the shards of flow and version");
    assert_eq!(asked[2], 2, "flow and version");
    assert_eq!(asked.len(), 3);
    let status = edge.refresher.status();
    let status = status.lock().expect("status").clone();
    assert_eq!((status.parts_read, status.versions_compiled), (2, 1));
    let after = edge.live();
    assert_eq!(after.flows["flow-0"].versions.len(), 2);
    assert!(!Arc::ptr_eq(
        &before.flows["flow-0"],
        &after.flows["flow-0"]
    ));
    for at in 1..200 {
        let sid = format!("flow-{at}");
        let (old, new) = (&before.flows[&*sid], &after.flows[&*sid]);
        assert!(Arc::ptr_eq(old, new), "{sid} was linked again");
    }
}

#[tokio::test]
async fn after_a_restart_the_kept_pack_is_what_is_known() {
    let mut edge = Edge::new(flows(50, &[1]));
    edge.step().await;
    edge.asked();
    let mut edge = edge.restarted();
    assert_eq!(edge.live().flows.len(), 50);
    edge.publish(committed(50));
    edge.step().await;
    let asked: usize = edge.asked().iter().map(Vec::len).sum();
    assert!(asked <= 5, "{asked} blobs were fetched");
    // And what was kept is whole again.
    let edge = edge.restarted();
    assert_eq!(edge.live().flows["flow-0"].versions.len(), 2);
}

#[tokio::test]
async fn a_kept_pack_that_was_lost_is_made_whole_from_upstream() {
    let mut edge = Edge::new(flows(50, &[1]));
    edge.step().await;
    edge.asked();
    let folder = std::path::Path::new("/data/snapshots").join("production");
    let disk: &dyn crate::disk::Disk = &edge.disk;
    for name in disk.list(&folder).expect("a folder") {
        if name.ends_with(".pack") {
            disk.remove(&folder.join(name)).expect("a pack");
        }
    }
    edge.publish(committed(50));
    edge.step().await;
    let asked: usize = edge.asked().iter().map(Vec::len).sum();
    assert!(asked > 100, "everything is fetched, found {asked} blobs");
    let edge = edge.restarted();
    assert_eq!(edge.live().flows["flow-0"].versions.len(), 2);
}

#[tokio::test]
async fn nothing_new_costs_nothing() {
    let mut edge = Edge::new(flows(20, &[1]));
    edge.step().await;
    edge.asked();
    assert_eq!(edge.step().await, Refreshed::Unchanged);
    edge.upstream.lock().world.timestamp.serial += 1;
    assert_eq!(edge.step().await, Refreshed::Fresher);
    edge.upstream.lock().world.advance_control();
    let before = edge.live();
    assert!(matches!(edge.step().await, Refreshed::Published(_)));
    assert!(edge.asked().is_empty(), "control moves no part");
    let after = edge.live();
    assert!(Arc::ptr_eq(&before.flows["flow-3"], &after.flows["flow-3"]));
}

#[tokio::test]
async fn what_a_request_holds_is_freed_after_it_and_not_by_it() {
    let mut edge = Edge::new(flows(3, &[1]));
    edge.step().await;
    let request = edge.live();
    let old = Arc::downgrade(&request);
    edge.publish(committed(3));
    edge.step().await;
    drop(request);
    assert!(old.upgrade().is_some(), "the request would have freed it");
    let begun = std::time::Instant::now();
    while old.upgrade().is_some() {
        assert!(begun.elapsed().as_secs() < 60, "nobody frees it");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}
