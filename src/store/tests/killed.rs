//! Is a store that was killed at any moment before or after, never between?
//!
//! SQLite appends what a commit writes to its log, frame by frame, and a process
//! that dies leaves the beginning of that: so every moment of a commit and of
//! the publish that follows is a length of the log. Each is put beside the
//! database as it was, opened, and asked what it says.

use std::{fs, path::PathBuf};

use super::*;
use crate::{
    snapshot::wire::EnvironmentType,
    store::{
        CloneTerms, Commit, NewEnvironment, ProjectChange, SeenVersion, Terms, engine::Write,
        workspace::Workspace,
    },
};

/// Before the first frame of the log.
const LOG_HEAD_BYTES: usize = 32;

/// Before the page of a frame.
const FRAME_HEAD_BYTES: usize = 24;

const PAGE_BYTES: usize = 4_096;

const PROJECT: &str = "
flowgate: project/1
project: harbor
flows:
- sid: help
  versions:
  - { number: 1, message: m, author: a, created: 2026-01-01T00:00:00Z,
      blocks: [{ sid: card, type: card, fields: { title: Ahoy } }], paths: [{ from: entry, to: card }] }
  deployments:
  - { name: half, environment: production, channel: web, percentage: 50 }
  draft: { blocks: [{ sid: card, type: card, fields: { title: Next } }], paths: [{ from: entry, to: card }] }
";

type Change = fn(&Store);

/// Everything that is committed, by what people call it.
const CHANGES: &[(&str, Change)] = &[
    ("a status", |store| {
        store.set_status("help", "production", false).unwrap();
    }),
    ("a commit", |store| {
        let commit = Commit {
            message: "two".to_owned(),
            author: "ada".to_owned(),
            migration: None,
        };
        let done = store.commit_draft("help", &commit, &Terms::default());
        done.unwrap();
    }),
    ("an import", |store| {
        let flow = "- sid: other\n  status: { development: disabled }\n  versions:\n  - { number: 1, \
                    blocks: [{ sid: c, type: card }], paths: [{ from: entry, to: c }] }\n";
        store.import(&file(&format!("{PROJECT}{flow}"))).unwrap();
    }),
    ("a key", |store| {
        let name = name(StoredKeyKind::Blocks, "production", "page");
        store.create_key(&name, &[]).unwrap();
    }),
    ("an environment", |store| {
        let new = NewEnvironment {
            name: "eu".to_owned(),
            kind: EnvironmentType::Test,
            drafts: None,
        };
        store.create_environment(&new).unwrap();
    }),
    ("a clone", |store| {
        let terms = CloneTerms {
            name: "eu".to_owned(),
            keys: true,
            ..CloneTerms::default()
        };
        store.clone_environment("production", &terms).unwrap();
    }),
    ("a deletion", |store| {
        store.delete_environment("development", true).unwrap();
    }),
    ("a project", |store| {
        let change = ProjectChange {
            environments: Some(Some(vec!["development".to_owned()])),
            ..ProjectChange::default()
        };
        store.set_project("harbor", &change).unwrap();
    }),
    ("content", |store| {
        let text = text(store).replace("Ahoy", "Oh");
        let terms = Terms::default();
        store
            .deploy_content("help", (1, None), &text, &terms)
            .unwrap();
    }),
    ("content of one environment", |store| {
        let text = text(store).replace("Ahoy", "Oh");
        let place = (1, Some("production"));
        let terms = Terms::default();
        store.deploy_content("help", place, &text, &terms).unwrap();
    }),
];

fn text(store: &Store) -> String {
    let seen = SeenVersion::named("1").unwrap();
    store.seen_text("help", &seen).unwrap().text
}

/// A store that does one thing, with its files at three moments.
struct Filmed {
    house: House,
    database: Vec<u8>,
    /// The log as it was in the end; the others are beginnings of it.
    log: Vec<u8>,
    /// Lengths of the log before it, when it was committed, and published.
    lengths: [usize; 3],
    before: Arc<Workspace>,
    after: Arc<Workspace>,
    /// What edges had before it, and what they could have after it.
    revisions: [Vec<(String, Revision)>; 2],
    /// What was in force in the end: hashes of indexes by environment.
    in_force: Vec<(String, String)>,
}

fn revisions(store: &Store) -> Vec<(String, Revision)> {
    let workspace = store.workspace();
    let environments = workspace.environments.iter();
    environments
        .map(|own| (own.name.clone(), revision(store, &own.name)))
        .collect()
}

fn in_force(store: &Store) -> Vec<(String, String)> {
    let workspace = store.workspace();
    let environments = workspace.environments.iter();
    environments
        .map(|own| {
            let published = store.published(own).unwrap();
            (own.name.clone(), published.index_sha256)
        })
        .collect()
}

impl Filmed {
    fn film(change: Change) -> Self {
        let house = House::new();
        let store = house.open();
        store.import(&file(PROJECT)).unwrap();
        store.publish().unwrap();
        house.wait(1_000);
        let read = |name: &str| fs::read(house.folder.path().join(name)).unwrap();
        let (database, first) = (read("store.db"), read("store.db-wal"));
        let (before, had) = (store.workspace(), revisions(&store));
        change(&store);
        let committed = read("store.db-wal").len();
        house.wait(1_000);
        store.publish().unwrap();
        let log = read("store.db-wal");
        assert_eq!(
            read("store.db"),
            database,
            "nothing was moved into the database"
        );
        assert!(log.starts_with(&first), "the log only grows");
        assert!(first.len() < committed && committed < log.len());
        Self {
            lengths: [first.len(), committed, log.len()],
            after: store.workspace(),
            revisions: [had, revisions(&store)],
            in_force: in_force(&store),
            database,
            log,
            before,
            house,
        }
    }

    /// Lengths of the log at every moment: before a frame, after its head, in
    /// the middle of its page.
    fn moments(&self) -> Vec<usize> {
        let frame = FRAME_HEAD_BYTES + PAGE_BYTES;
        let [first, _, last] = self.lengths;
        assert_eq!(
            (first - LOG_HEAD_BYTES) % frame,
            0,
            "the log is made of frames"
        );
        let begins = (first..last).step_by(frame);
        let inside = |at| [at, at + FRAME_HEAD_BYTES, at + frame / 2];
        begins.flat_map(inside).chain([last]).collect()
    }

    /// The folder as a process left it that died at this moment.
    fn left(&self, length: usize) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        fs::write(&path, &self.database).unwrap();
        fs::write(folder.path().join("store.db-wal"), &self.log[..length]).unwrap();
        (folder, path)
    }

    fn check(&self, what: &str, length: usize) {
        let [first, committed, published] = self.lengths;
        let at = format!("{what}, {} of {} bytes", length - first, published - first);
        let (_folder, path) = self.left(length);
        let signing = Signing::load(&self.house.signing_folder()).unwrap();
        let ambient = self.house.ambient.clone();
        let store = Store::open(&path, signing, ambient, Timing::default());
        let store = store.unwrap_or_else(|error| panic!("{at}: {error}"));
        let is_done = length >= committed;
        let expected = if is_done { &self.after } else { &self.before };
        assert_eq!(store.workspace(), *expected, "{at}");
        // Whatever edges may have accepted, nothing goes back.
        let seen = &self.revisions[usize::from(length == published)];
        for (environment, had) in seen {
            if expected.environment(environment).is_some() {
                let has = revision(&store, environment);
                assert!(has >= *had, "{at}: {environment} at {has}, was at {had}");
            }
        }
        // Everything verifies and compiles, and is what was authored.
        for own in &expected.environments {
            pull(&store, &own.name, &mut trust(&store, &own.name));
        }
        if is_done {
            assert_eq!(in_force(&store), self.in_force, "{at}");
        }
        // It goes on.
        let had = revision(&store, "production");
        self.house.wait(1_000);
        let enabled =
            expected.flows["help"].enabled_in(&expected.environment("production").unwrap().uid);
        store.edit_status("help", "production", !enabled);
        store.publish().unwrap();
        assert!(revision(&store, "production") > had, "{at}");
    }
}

impl Store {
    /// Sets a status also where nobody sees it.
    fn edit_status(&self, sid: &str, environment: &str, enabled: bool) {
        self.author(|workspace| {
            let uid = workspace.environment(environment).unwrap().uid.clone();
            let mut after = Workspace::clone(workspace);
            after.flows.set_status(sid, &uid, enabled);
            let write = Write::Status {
                flow_uid: workspace.flows[sid].uid.clone(),
                environment_uid: uid,
                enabled,
            };
            Ok((after, vec![write], ()))
        })
        .unwrap();
    }
}

#[test]
#[expect(
    clippy::print_stdout,
    reason = "the number of moments is a figure that is told"
)]
fn a_store_killed_at_any_moment_is_before_or_after() {
    let mut count = 0;
    for (what, change) in CHANGES {
        let filmed = Filmed::film(*change);
        for length in filmed.moments() {
            filmed.check(what, length);
            count += 1;
        }
    }
    println!("figures: moments of commits and publishes at which a store was killed {count}");
    assert!(count > CHANGES.len() * 6);
}
