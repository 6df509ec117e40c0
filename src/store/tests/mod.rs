//! What the store promises as a whole: what is authored is published, signed
//! and compiled by the edge's own code, once for every change.

mod auditing;
mod content;
mod deploying;
mod flags;
mod flags_by_hand;
mod keys;
mod killed;
mod publishing;
mod schedules;

use std::{
    collections::BTreeMap,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use super::*;
use crate::{
    clock::{Clock, Entropy},
    snapshot::{
        Snapshot,
        compile::compile,
        parts,
        trust::{Origin, Trust},
    },
};

/// The time at which tests start.
pub(crate) const START: UnixMs = 1_800_000_000_000;

/// A clock that a test moves.
pub(crate) struct HandClock(pub(crate) AtomicU64);

impl Clock for HandClock {
    fn now_ms(&self) -> UnixMs {
        self.0.load(Ordering::SeqCst)
    }
}

/// Counts instead of rolling dice.
struct Counting(AtomicU64);

impl Entropy for Counting {
    fn fill(&self, buffer: &mut [u8]) {
        let number = self.0.fetch_add(1, Ordering::SeqCst);
        for (at, byte) in buffer.iter_mut().enumerate() {
            *byte = number.wrapping_mul(31).to_le_bytes()[at % 8] ^ (at as u8);
        }
    }
}

/// A store in a folder of its own, at a time of its own.
pub(crate) struct House {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) clock: Arc<HandClock>,
    pub(crate) ambient: Ambient,
}

impl House {
    pub(crate) fn new() -> Self {
        let clock = Arc::new(HandClock(AtomicU64::new(START)));
        Self {
            folder: tempfile::tempdir().unwrap(),
            ambient: Ambient {
                clock: Arc::clone(&clock) as Arc<dyn Clock>,
                entropy: Arc::new(Counting(AtomicU64::new(0))),
                ..Ambient::system()
            },
            clock,
        }
    }

    /// With another clock than the one a test moves.
    pub(crate) fn with(ambient: Ambient) -> Self {
        Self {
            ambient,
            ..Self::new()
        }
    }

    pub(crate) fn open(&self) -> Store {
        let path = self.folder.path().join("signing");
        let signing = Signing::load(&path)
            .or_else(|_| Signing::create(&path, &self.ambient))
            .unwrap();
        let database = self.folder.path().join("store.db");
        Store::open(&database, signing, self.ambient.clone(), Timing::default()).unwrap()
    }

    fn signing_folder(&self) -> std::path::PathBuf {
        self.folder.path().join("signing")
    }

    pub(crate) fn wait(&self, ms: u64) {
        self.clock.0.fetch_add(ms, Ordering::SeqCst);
    }
}

pub(crate) fn file(content: &str) -> Vec<SourceFile> {
    vec![SourceFile {
        name: "project.yaml".to_owned(),
        content: content.to_owned(),
    }]
}

pub(crate) fn demo() -> Vec<SourceFile> {
    DEMO.iter()
        .map(|(name, content)| SourceFile {
            name: (*name).to_owned(),
            content: (*content).to_owned(),
        })
        .collect()
}

/// Fetches what is published as an edge does, verifies and compiles it.
fn pull(store: &Store, environment: &str, trust: &mut Trust) -> Snapshot {
    while let Some(file) = store.signing.root_file(trust.root().version + 1) {
        trust.step_root(file).unwrap();
    }
    let current = store.watch(environment).unwrap().borrow().clone();
    let now = store.ambient.now_ms();
    let timestamp = trust
        .timestamp(&current.timestamp, now, Origin::Fetched)
        .unwrap()
        .expect("a newer timestamp");
    let fetch = |role, version| store.document(environment, role, version).unwrap().unwrap();
    let wanted = timestamp.document().clone();
    let release = fetch(engine::DocumentRole::Release, wanted.release.version);
    let release = trust.release(&timestamp, &release).unwrap();
    let control = fetch(engine::DocumentRole::Control, wanted.control.version);
    let control = trust.control(&timestamp, &control).unwrap();
    let mut have: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    loop {
        let blob = |sha: &str| have.get(sha).map(Vec::as_slice);
        let missing = parts::missing(&release, blob).unwrap();
        if missing.is_empty() {
            break;
        }
        for wanted in missing {
            let bytes = store.blob(&wanted.sha256).unwrap().unwrap();
            have.insert(wanted.sha256, bytes);
        }
    }
    let content = parts::resolve(&release, |sha| have.get(sha).map(Vec::as_slice)).unwrap();
    assert_eq!(content.broken, []);
    let snapshot = compile(
        environment,
        &wanted.environment_uid,
        timestamp.revision(),
        &content,
        control.document(),
    )
    .unwrap();
    assert_eq!(snapshot.set_aside, []);
    trust.accept(&timestamp, &release, &control);
    snapshot
}

fn trust(store: &Store, environment: &str) -> Trust {
    Trust::new(environment, store.signing.current_root_file(), None).unwrap()
}

fn name(kind: StoredKeyKind, environment: &str, name: &str) -> KeyName {
    KeyName {
        kind,
        environment: Some(environment.to_owned()),
        name: name.to_owned(),
    }
}

fn revision(store: &Store, environment: &str) -> Revision {
    store.watch(environment).unwrap().borrow().revision
}

#[test]
fn a_fresh_store_publishes_both_default_environments() {
    let house = House::new();
    let store = house.open();
    for (environment, drafts) in [("development", true), ("production", false)] {
        let snapshot = pull(&store, environment, &mut trust(&store, environment));
        assert_eq!(snapshot.drafts, drafts);
        assert_eq!(snapshot.revision.to_string(), "0.1");
        assert!(snapshot.flows.is_empty());
    }
}

#[test]
fn the_demo_project_imports_publishes_verifies_and_compiles() {
    let house = House::new();
    let store = house.open();
    store.import(&demo()).unwrap();
    let revisions = store.publish().unwrap();
    assert_eq!(revisions.len(), 2);
    let development = pull(&store, "development", &mut trust(&store, "development"));
    let production = pull(&store, "production", &mut trust(&store, "production"));
    let numbers = |snapshot: &Snapshot, sid: &str| -> Vec<u32> {
        let versions = snapshot.flows[sid].versions.iter();
        versions.map(|slot| slot.number).collect()
    };
    assert_eq!(numbers(&development, "welcome-modal"), [0]);
    assert!(numbers(&production, "welcome-modal").is_empty());
    assert_eq!(numbers(&production, "feature-announcement"), [1, 2, 3]);
    let tour = production.flows["onboarding-tour"].latest().unwrap();
    let tour = tour.version.as_ref().unwrap();
    let items = tour.blocks.iter().map(|block| block.items().len()).max();
    assert_eq!(items, Some(4));
}

#[test]
fn importing_the_same_files_again_changes_and_publishes_nothing() {
    let house = House::new();
    let store = house.open();
    store.import(&demo()).unwrap();
    store.publish().unwrap();
    house.wait(1_000);
    let before = store.workspace();
    let report = store.import(&demo()).unwrap();
    assert_eq!(report, ImportReport::default());
    assert_eq!(store.due(), Due::Nothing);
    assert_eq!(store.publish().unwrap(), BTreeMap::new());
    assert_eq!(store.workspace(), before);
}

#[test]
fn a_second_start_finds_everything_and_signs_nothing_new() {
    let house = House::new();
    let store = house.open();
    store.import(&demo()).unwrap();
    store.publish().unwrap();
    let (workspace, before) = (
        store.workspace(),
        store.watch("production").unwrap().borrow().clone(),
    );
    drop(store);
    house.wait(1_000);
    let store = house.open();
    assert_eq!(store.workspace(), workspace);
    let after = store.watch("production").unwrap().borrow().clone();
    assert_eq!(after.etag, before.etag);
    assert_eq!(after.revision, before.revision);
}

#[test]
fn a_change_is_one_revision_and_is_published_after_a_crash_between() {
    let house = House::new();
    let store = house.open();
    store.import(&demo()).unwrap();
    // Accepted, and never published: as if the process had died here.
    drop(store);
    let store = house.open();
    assert_eq!(revision(&store, "production").to_string(), "0.2");
    let snapshot = pull(&store, "production", &mut trust(&store, "production"));
    assert_eq!(snapshot.flows.len(), 6);
}

#[test]
fn a_draft_changes_only_environments_that_show_drafts() {
    let house = House::new();
    let store = house.open();
    store.import(&demo()).unwrap();
    store.publish().unwrap();
    let mut files = demo();
    files.retain(|file| file.name == "welcome-modal.yaml");
    files[0].content = files[0].content.replace("Take the tour", "Show me");
    store.import(&files).unwrap();
    let revisions = store.publish().unwrap();
    assert_eq!(
        revisions.keys().collect::<Vec<_>>(),
        ["development"],
        "production shows no drafts"
    );
}

#[test]
fn an_edge_follows_every_revision_and_never_goes_back() {
    let house = House::new();
    let store = house.open();
    let mut trust = trust(&store, "production");
    pull(&store, "production", &mut trust);
    let first = store.watch("production").unwrap().borrow().clone();
    for round in 0..3 {
        house.wait(1_000);
        let content = format!("flowgate: project/1\nproject: p{round}\n");
        store.import(&file(&content)).unwrap();
        store
            .create_key(
                &name(StoredKeyKind::Server, "production", &format!("k{round}")),
                &[],
            )
            .unwrap();
        store.publish().unwrap();
        let snapshot = pull(&store, "production", &mut trust);
        assert_eq!(snapshot.keys.len(), round + 1);
    }
    let old = trust.timestamp(&first.timestamp, store.ambient.now_ms(), Origin::Fetched);
    assert!(old.is_err(), "an older timestamp is a rollback");
}

#[test]
fn timestamps_are_signed_again_when_due_and_not_before() {
    let house = House::new();
    let store = house.open();
    let before = store.watch("production").unwrap().borrow().clone();
    store.refresh_timestamps(START + 59_000).unwrap();
    let same = store.watch("production").unwrap().borrow().clone();
    assert_eq!(same.etag, before.etag);
    house.wait(60_000);
    store.refresh_timestamps(START + 60_000).unwrap();
    let after = store.watch("production").unwrap().borrow().clone();
    assert_eq!(after.serial, before.serial + 1);
    assert_eq!(after.revision, before.revision);
    let mut trust = trust(&store, "production");
    pull(&store, "production", &mut trust);
    // A clock set back must not stop the signing until it has caught up.
    store.refresh_timestamps(START - 1).unwrap();
    assert_eq!(
        store.watch("production").unwrap().borrow().serial,
        after.serial + 1
    );
}

#[test]
fn after_rotating_any_online_key_an_edge_follows() {
    let house = House::new();
    let store = house.open();
    store.import(&demo()).unwrap();
    store.publish().unwrap();
    let mut trust = trust(&store, "production");
    pull(&store, "production", &mut trust);
    drop(store);
    for role in ["timestamp", "release", "control", "root"] {
        house.wait(1_000);
        let role = signing::role_named(role).unwrap();
        Signing::rotate(&house.signing_folder(), role, &house.ambient).unwrap();
        let store = house.open();
        let snapshot = pull(&store, "production", &mut trust);
        assert_eq!(snapshot.flows.len(), 6);
    }
}

#[test]
fn with_an_expired_root_the_store_opens_and_publishes_nothing() {
    let house = House::new();
    let store = house.open();
    let before = store.watch("production").unwrap().borrow().clone();
    drop(store);
    house.wait(signing::ROOT_LIFE_DEFAULT_MS);
    let store = house.open();
    let key_name = name(StoredKeyKind::Server, "production", "back");
    store.create_key(&key_name, &[]).unwrap();
    let error = store.publish().unwrap_err();
    assert!(
        matches!(error, StoreError::Publish(PublishError::RootExpired(0))),
        "{error}"
    );
    assert_ne!(store.due(), Due::Nothing, "it stays to be done");
    let after = store.watch("production").unwrap().borrow().clone();
    assert_eq!(after.etag, before.etag);
}

#[test]
fn blobs_that_nothing_holds_are_kept_a_day_and_then_forgotten() {
    let house = House::new();
    let store = house.open();
    let key_name = name(StoredKeyKind::Server, "production", "back");
    store.create_key(&key_name, &[]).unwrap();
    store.publish().unwrap();
    let before = store.engine.blobs_in_force().unwrap();
    store.revoke_key(&key_name, None).unwrap();
    store.publish().unwrap();
    let after = store.engine.blobs_in_force().unwrap();
    let gone: Vec<&String> = before.difference(&after).collect();
    assert!(!gone.is_empty());
    for sha in &gone {
        assert!(
            store.blob(sha).unwrap().is_some(),
            "an edge may be fetching"
        );
    }
    house.wait(publish::RETIRED_BLOB_LIFE_MS + 1);
    store.refresh_timestamps(store.ambient.now_ms()).unwrap();
    for sha in &gone {
        assert_eq!(store.blob(sha).unwrap(), None);
    }
    pull(&store, "production", &mut trust(&store, "production"));
}

#[test]
fn the_first_change_is_published_at_once_and_its_followers_together() {
    let mut plan = PublishPlan::default();
    assert_eq!(plan.due(1_000), Due::Nothing);
    plan.changed();
    assert_eq!(plan.due(1_000), Due::Now);
    plan.publishing(1_000);
    assert_eq!(plan.due(1_001), Due::Nothing);
    plan.changed();
    plan.changed();
    assert_eq!(plan.due(1_010), Due::In(40));
    assert_eq!(plan.due(1_050), Due::Now);
    assert_eq!(plan.due(900), Due::Now, "a clock that went backwards");
}

#[test]
fn release_and_blobs_of_one_publish_are_written_together() {
    let house = House::new();
    let store = house.open();
    store.import(&demo()).unwrap();
    let mut seen = store.watch("production").unwrap();
    seen.mark_unchanged();
    store.publish().unwrap();
    assert!(seen.has_changed().unwrap());
    // What is announced can be fetched, also by a store that starts over.
    drop(store);
    let store = house.open();
    pull(&store, "production", &mut trust(&store, "production"));
}

#[test]
fn a_database_in_use_is_refused() {
    let house = House::new();
    let _store = house.open();
    let signing = Signing::load(&house.signing_folder()).unwrap();
    let database: &Path = &house.folder.path().join("store.db");
    let error =
        Store::open(database, signing, house.ambient.clone(), Timing::default()).unwrap_err();
    assert!(matches!(
        error,
        StoreError::Engine(EngineError::Locked { .. })
    ));
}
