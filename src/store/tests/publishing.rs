//! Does publishing what changed come to the same as publishing everything?

use std::collections::BTreeSet;

use super::{House, demo, name, pull, trust};
use crate::store::{SourceFile, Store, StoredKeyKind, locked, shelf::Shelf};

/// Stands once, in a committed version.
const TITLE: &str = "Start with a project";

/// The demo with another title in a version that every environment shows.
fn retitled() -> Vec<SourceFile> {
    let mut files = demo();
    let mut found = 0;
    for file in &mut files {
        found += file.content.matches(TITLE).count();
        file.content = file.content.replace(TITLE, "Another title");
    }
    assert_eq!(found, 1, "one part changes");
    files
}

/// Blobs and indexes of everything that is authored, built from nothing.
fn from_nothing(store: &Store) -> (BTreeSet<String>, Vec<String>) {
    let workspace = store.workspace();
    let environments = workspace.environments.iter();
    let mut blobs = BTreeSet::new();
    let mut indexes = Vec::new();
    for environment in environments {
        let stock = Shelf::default().stock(&workspace, environment);
        let stock = stock.expect("it can be built");
        indexes.push(stock.index().sha256.clone());
        blobs.extend(stock.hashes());
    }
    (blobs, indexes)
}

#[track_caller]
fn same_as_from_nothing(store: &Store) {
    store.publish().expect("it publishes");
    let (blobs, indexes) = from_nothing(store);
    let in_force = store.engine.blobs_in_force().expect("blobs");
    assert_eq!(in_force, blobs);
    assert_eq!(locked(&store.publishing).hashes(), &blobs);
    let workspace = store.workspace();
    let environments = workspace.environments.iter();
    let published = environments.map(|own| store.published(own).expect("it").index_sha256);
    assert_eq!(published.collect::<Vec<_>>(), indexes);
}

#[test]
fn whatever_is_changed_in_whatever_order() {
    let house = House::new();
    let store = house.open();
    same_as_from_nothing(&store);
    store.import(&demo()).expect("the demo");
    same_as_from_nothing(&store);
    store.import(&retitled()).expect("another title");
    same_as_from_nothing(&store);
    // Back: blobs that were retired are in force again.
    store.import(&demo()).expect("the first title");
    same_as_from_nothing(&store);
    for environment in ["development", "production"] {
        let key = name(StoredKeyKind::Blocks, environment, "site");
        store.create_key(&key, &[]).expect("a key");
        same_as_from_nothing(&store);
        store.revoke_key(&key, None).expect("it ends");
        same_as_from_nothing(&store);
    }
    let sid = store.workspace().flows.keys().next().cloned();
    let sid = sid.expect("a flow");
    store.set_status(&sid, "production", false).expect("off");
    same_as_from_nothing(&store);
    drop(store);
    // A store that was started again has nothing to stand beside.
    let store = house.open();
    same_as_from_nothing(&store);
    for environment in ["development", "production"] {
        pull(&store, environment, &mut trust(&store, environment));
    }
}

#[test]
fn one_change_is_one_part_to_encode() {
    let house = House::new();
    let store = house.open();
    store.import(&demo()).expect("the demo");
    store.publish().expect("it publishes");
    store.import(&retitled()).expect("another title");
    let workspace = store.workspace();
    let shelves = locked(&store.publishing);
    for environment in &workspace.environments {
        let stock = shelves.of(environment).stock(&workspace, environment);
        let stock = stock.expect("it can be built");
        assert_eq!(stock.news(), 1, "{}", environment.name);
        // The version, its shard, the index.
        assert_eq!(stock.fresh_len(), 3, "{}", environment.name);
    }
}
