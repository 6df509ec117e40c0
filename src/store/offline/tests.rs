//! Is a build a function of its input, and does what is signed hold?

use std::path::Path;

use super::*;
use crate::{
    clock::Ambient,
    snapshot::{
        envelope::Role,
        layout,
        trust::{Checked, Origin, Trust, verify_pack},
    },
    store::{
        SourceFile, StoredKeyKind,
        signing::Signing,
        tests::{demo, file},
    },
};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

fn given(name: &str, kind: EnvironmentType) -> EnvironmentGiven {
    EnvironmentGiven {
        flags: Default::default(),
        name: name.to_owned(),
        kind,
        uid: None,
        unsigned_users: None,
    }
}

fn both() -> [EnvironmentGiven; 2] {
    [
        given("development", EnvironmentType::Development),
        given("production", EnvironmentType::Production),
    ]
}

fn key(environment: &str, sha256: &str) -> KeyGiven {
    KeyGiven {
        environment: environment.to_owned(),
        kind: StoredKeyKind::Server,
        name: "app".to_owned(),
        sha256: sha256.to_owned(),
        channel: None,
    }
}

/// A folder of snapshot files and the keys that sign it.
struct Scene {
    root: tempfile::TempDir,
    ambient: Ambient,
}

impl Scene {
    fn new() -> Self {
        let scene = Self {
            root: tempfile::tempdir().unwrap(),
            ambient: Ambient::system(),
        };
        Signing::create_living(&scene.signing_path(), 400 * DAY_MS, &scene.ambient).unwrap();
        scene
    }

    fn signing_path(&self) -> std::path::PathBuf {
        self.root.path().join("signing")
    }

    fn signing(&self) -> Signing {
        Signing::load(&self.signing_path()).unwrap()
    }

    fn path(&self) -> std::path::PathBuf {
        self.root.path().join("out")
    }

    fn folder(&self) -> SnapshotFolder {
        SnapshotFolder::at(&self.path())
    }

    fn build(&self, files: &[SourceFile]) {
        let (built, _) = build(files, &both(), &[]).unwrap();
        for one in &built {
            self.folder().write_built(one).unwrap();
        }
    }

    fn sign(&self, options: &SignOptions) -> Result<Vec<Signed>, SignError> {
        let now = self.ambient.now_ms();
        sign(&self.folder(), &self.signing(), options, now)
    }

    /// As an edge with this root reads it from nothing.
    fn verify(&self, root: &[u8], environment: &str) -> Checked {
        let pack = self.folder().pack(environment).unwrap().unwrap();
        let mut trust = Trust::new(environment, root, None).unwrap();
        let now = self.ambient.now_ms();
        verify_pack(&mut trust, &pack, now, Origin::Fetched).unwrap()
    }
}

fn project(title: &str) -> Vec<SourceFile> {
    file(&format!(
        "flowgate: project/1\nproject: shop\nflows:\n  - sid: hello\n    versions:\n      - number: 1\n        \
         entry: everyone\n        blocks: [ {{ sid: card, type: card, fields: {{ title: {title} }} }} ]\n        \
         paths: [ {{ from: entry, to: card }} ]\n"
    ))
}

#[test]
fn the_same_files_give_the_same_bytes_in_any_order_and_at_any_time() {
    let keys = [key("production", &"ab".repeat(32))];
    let (one, _) = build(&demo(), &both(), &keys).unwrap();
    let mut files = demo();
    files.reverse();
    let environments: Vec<_> = both().into_iter().rev().collect();
    let (other, _) = build(&files, &environments, &keys).unwrap();
    for built in &one {
        let name = &built.content.environment;
        let same = other.iter().find(|own| own.content.environment == *name);
        let same = same.unwrap();
        assert_eq!(built.content, same.content);
        assert_eq!(built.blobs, same.blobs);
    }
    assert_ne!(one[0].content.index, one[1].content.index);
}

#[test]
fn files_may_name_environments_that_are_not_built() {
    let (all, _) = build(&demo(), &both(), &[]).unwrap();
    let only = [given("production", EnvironmentType::Production)];
    let (one, _) = build(&demo(), &only, &[]).unwrap();
    assert_eq!(one.len(), 1);
    assert_eq!(one[0].content, all[1].content);
    let staging = [given("staging", EnvironmentType::Preproduction)];
    let (staging, _) = build(&demo(), &staging, &[]).unwrap();
    assert_eq!(staging[0].content.environment, "staging");
}

#[test]
fn uids_stay_when_other_flows_come_and_go() {
    let uid = |files: &[SourceFile]| {
        let (built, _) = build(files, &both(), &[]).unwrap();
        let find = |sha256: &str| built[0].blobs.get(sha256).map(Vec::as_slice);
        let index = &built[0].content.index;
        let content = crate::snapshot::parts::resolve_index(index, find, usize::MAX).unwrap();
        let flow = content
            .flows
            .iter()
            .find(|flow| flow.sid == "hello")
            .unwrap();
        let (_, version) = content
            .versions
            .iter()
            .find(|(_, version)| version.flow_uid == flow.uid)
            .unwrap();
        (flow.uid.clone(), version.blocks[0].uid.clone())
    };
    let alone = project("Hello");
    let among = [demo(), alone.clone()].concat();
    assert_eq!(uid(&alone), uid(&among));
}

#[test]
fn what_is_built_and_signed_is_taken_by_an_edge() {
    let scene = Scene::new();
    scene.build(&demo());
    let signed = scene.sign(&SignOptions::default()).unwrap();
    let revisions: Vec<_> = signed.iter().map(|own| own.revision.as_str()).collect();
    assert_eq!(revisions, ["0.1", "0.1"]);
    let signing = scene.signing();
    for environment in ["development", "production"] {
        let checked = scene.verify(signing.current_root_file(), environment);
        let timestamp = checked.timestamp.document();
        assert_eq!(timestamp.fresh_until_ms, timestamp.expires_ms);
        assert!(!checked.content.flows.is_empty());
    }
}

#[test]
fn signing_again_refreshes_and_a_change_raises_the_revision() {
    let scene = Scene::new();
    scene.build(&project("Hello"));
    scene.sign(&SignOptions::default()).unwrap();
    let again = scene.sign(&SignOptions::default()).unwrap();
    assert_eq!((again[0].serial, again[0].changed), (2, false));
    assert_eq!((again[0].release, again[0].revision.as_str()), (1, "0.1"));
    scene.build(&project("Changed"));
    let changed = scene.sign(&SignOptions::default()).unwrap();
    assert_eq!((changed[0].release, changed[0].control), (2, 1));
    assert_eq!(
        (changed[0].revision.as_str(), changed[0].changed),
        ("0.2", true)
    );
    let signing = scene.signing();
    let checked = scene.verify(signing.current_root_file(), "production");
    let before = checked.release.document().previous_sha256.clone();
    let first = std::fs::read(scene.path().join(layout::release("production", 1))).unwrap();
    assert_eq!(before, Some(crate::snapshot::sha256_hex(&first)));
}

#[test]
fn a_pipeline_without_memory_numbers_by_what_it_is_given() {
    let scene = Scene::new();
    scene.build(&project("Hello"));
    let number = |number| SignOptions {
        number: Some(number),
        ..SignOptions::default()
    };
    let signed = scene.sign(&number(1_700)).unwrap();
    assert_eq!((signed[0].release, signed[0].serial), (1_700, 1_700));
    assert_eq!(signed[0].revision, "0.1700");
    // A smaller one changes nothing: numbers only grow.
    let again = scene.sign(&number(3)).unwrap();
    assert_eq!((again[0].release, again[0].serial), (1_700, 1_701));
    let checked = scene.verify(scene.signing().current_root_file(), "production");
    assert_eq!(checked.release.document().previous_sha256, None);
}

#[test]
fn rotations_between_two_signatures_are_followed() {
    let scene = Scene::new();
    scene.build(&project("Hello"));
    scene.sign(&SignOptions::default()).unwrap();
    let first_root = scene.signing().current_root_file().to_vec();
    for role in [Role::Timestamp, Role::Release, Role::Control, Role::Root] {
        Signing::rotate(&scene.signing_path(), role, &scene.ambient).unwrap();
    }
    let signed = scene.sign(&SignOptions::default()).unwrap();
    assert!(signed.iter().all(|own| own.changed), "{signed:?}");
    // From the root that edges were given at first, along the chain.
    let checked = scene.verify(&first_root, "production");
    assert_eq!(checked.release.document().version, 2);
}

#[test]
fn numbers_that_others_signed_are_not_continued() {
    let (scene, other) = (Scene::new(), Scene::new());
    scene.build(&project("Hello"));
    let options = SignOptions {
        number: Some(u64::MAX / 2),
        ..SignOptions::default()
    };
    sign(
        &scene.folder(),
        &other.signing(),
        &options,
        scene.ambient.now_ms(),
    )
    .unwrap();
    let error = scene.sign(&SignOptions::default()).unwrap_err();
    assert!(matches!(error, SignError::Foreign { .. }), "{error}");
}

#[test]
fn a_life_beyond_the_root_and_parts_that_are_gone_are_refused() {
    let scene = Scene::new();
    let nothing = scene.sign(&SignOptions::default()).unwrap_err();
    assert!(matches!(nothing, SignError::Nothing), "{nothing}");
    scene.build(&project("Hello"));
    let long = SignOptions {
        life_ms: Some(401 * DAY_MS),
        ..SignOptions::default()
    };
    let error = scene.sign(&long).unwrap_err();
    assert!(
        matches!(
            error,
            SignError::Life {
                found: 401,
                expected: 400
            }
        ),
        "{error}"
    );
    let parts = scene
        .path()
        .join(layout::environment("production"))
        .join("parts");
    let part = std::fs::read_dir(&parts).unwrap().next().unwrap().unwrap();
    std::fs::remove_file(part.path()).unwrap();
    let error = scene.sign(&SignOptions::default()).unwrap_err();
    assert!(matches!(error, SignError::Parts { .. }), "{error}");
    // Nothing of it was signed, the whole environment neither.
    assert!(
        !Path::new(&scene.path())
            .join(layout::timestamp("development"))
            .exists()
    );
}

#[test]
fn keys_that_fit_no_environment_or_come_twice_are_refused() {
    let good = "ab".repeat(32);
    let bad = [
        vec![key("staging", &good)],
        vec![key("production", "k1")],
        vec![key("production", &good), key("development", &good)],
        vec![KeyGiven {
            kind: StoredKeyKind::Edge,
            ..key("production", &good)
        }],
    ];
    for keys in bad {
        let error = build(&demo(), &both(), &keys).unwrap_err();
        assert!(matches!(error, BuildError::Key { .. }), "{error}");
    }
}
