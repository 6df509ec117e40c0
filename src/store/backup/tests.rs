//! What backing up and restoring promise.

use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use super::*;
use crate::{
    clock::Ambient,
    snapshot::{envelope::Role, trust::Trust},
    store::{KeyName, Store, StoredKeyKind, Timing, signing::Signing},
};

/// A store's folders beside each other.
struct Place {
    root: tempfile::TempDir,
}

impl Place {
    /// With signing keys and a database that was used and is closed.
    fn new() -> Self {
        let place = Self {
            root: tempfile::tempdir().unwrap(),
        };
        std::fs::create_dir(place.path("data")).unwrap();
        Signing::create(&place.path("data/signing"), &Ambient::system()).unwrap();
        drop(place.open("data"));
        std::fs::write(place.path("data/webhooks.key"), "whsk_secret\n").unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn open(&self, data: &str) -> Store {
        let data = self.path(data);
        let signing = Signing::load(&data.join("signing")).unwrap();
        let timing = Timing::default();
        Store::open(&data.join(DATABASE), signing, Ambient::system(), timing).unwrap()
    }

    fn back_up(&self, out: &str, with_signing_keys: bool) -> Result<Manifest, BackupError> {
        let data = self.path("data");
        let what = BackUp {
            data: &data,
            signing: &data.join("signing"),
            out: &self.path(out),
            with_signing_keys,
        };
        back_up(&what, &Ambient::system())
    }

    fn restore(&self, from: &str, to: &str, raise_epoch: bool) -> Result<Restored, BackupError> {
        let data = self.path(to);
        let what = Restore {
            backup: &self.path(from),
            data: &data,
            signing: &data.join("signing"),
            raise_epoch,
        };
        restore(&what, &Ambient::system())
    }
}

fn key(store: &Store, name: &str) {
    let name = KeyName {
        kind: StoredKeyKind::Server,
        environment: Some("production".to_owned()),
        name: name.to_owned(),
    };
    store.create_key(&name, &[]).unwrap();
    store.publish().unwrap();
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_below(&path));
        }
        found.push(path);
    }
    found
}

#[test]
fn a_backup_beside_a_running_store_has_what_was_committed_and_opens_elsewhere() {
    let place = Place::new();
    let store = place.open("data");
    key(&store, "before");
    let made = place.back_up("b1", true).unwrap();
    key(&store, "after");
    let revision = |store: &Store| store.watch("production").unwrap().borrow().revision;
    let production = made
        .environments
        .iter()
        .find(|own| own.name == "production");
    let lost = revision(&store);
    assert_eq!(production.unwrap().revision + 1, lost.number);
    drop(store);
    let restored = place.restore("b1", "new", true).unwrap();
    assert_eq!(restored.signing, SigningFolder::Restored);
    let store = place.open("new");
    let names: Vec<String> = store
        .keys(None)
        .unwrap()
        .into_iter()
        .map(|k| k.name)
        .collect();
    assert_eq!(names, ["before"]);
    assert!(revision(&store) > lost && revision(&store).epoch == 1);
    assert_eq!(
        std::fs::read_to_string(place.path("new/webhooks.key")).unwrap(),
        "whsk_secret\n"
    );
}

#[test]
fn secrets_are_only_in_a_backup_that_was_asked_for_them_and_its_owners_alone() {
    let place = Place::new();
    place.back_up("plain", false).unwrap();
    place.back_up("secret", true).unwrap();
    let keys = ["root", "release", "timestamp", "control"];
    for role in keys {
        let name = format!("signing/keys/{role}.json");
        assert!(!place.path("plain").join(&name).exists(), "{name}");
        assert!(place.path("secret").join(&name).exists(), "{name}");
    }
    assert!(!place.path("plain/webhooks.key").exists());
    let seed = std::fs::read_to_string(place.path("data/signing/keys/root.json")).unwrap();
    let seed = serde_json::from_str::<serde_json::Value>(&seed).unwrap()["seed"].clone();
    for backup in ["plain", "secret"] {
        for path in files_below(&place.path(backup)) {
            let mode = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0, "{} has mode {mode:o}", path.display());
            if backup == "plain" && path.is_file() {
                let bytes = std::fs::read(&path).unwrap();
                let text = String::from_utf8_lossy(&bytes);
                assert!(!text.contains(seed.as_str().unwrap()), "{}", path.display());
            }
        }
    }
}

#[test]
fn a_backup_is_never_overwritten_and_a_failed_one_leaves_nothing() {
    let place = Place::new();
    place.back_up("b1", false).unwrap();
    assert!(matches!(
        place.back_up("b1", false),
        Err(BackupError::Exists(_))
    ));
    std::fs::remove_file(place.path("data/signing/root.json")).unwrap();
    assert!(matches!(
        place.back_up("b2", false),
        Err(BackupError::Signing(_))
    ));
    assert!(!place.path("b2").exists() && !place.path("b2.partial").exists());
    std::fs::remove_file(place.path("data/store.db")).unwrap();
    assert!(matches!(
        place.back_up("b2", false),
        Err(BackupError::NoDatabase(_))
    ));
}

#[test]
fn whatever_is_damaged_in_a_backup_is_named_and_nothing_is_restored() {
    let place = Place::new();
    let made = place.back_up("b1", true).unwrap();
    for entry in &made.files {
        let path = place.path("b1").join(&entry.path);
        let bytes = std::fs::read(&path).unwrap();
        let mut flipped = bytes.clone();
        *flipped.last_mut().unwrap() ^= 1;
        for broken in [flipped, bytes[..bytes.len() - 1].to_vec()] {
            std::fs::write(&path, broken).unwrap();
            let error = place.restore("b1", "new", false).unwrap_err();
            assert!(matches!(error, BackupError::Damaged { .. }), "{error}");
            assert!(error.to_string().contains(&entry.path), "{error}");
        }
        std::fs::remove_file(&path).unwrap();
        let error = place.restore("b1", "new", false).unwrap_err();
        assert!(error.to_string().contains("missing"), "{error}");
        std::fs::write(&path, bytes).unwrap();
    }
    assert!(!place.path("new").exists());
    place.restore("b1", "new", false).unwrap();
}

#[test]
fn a_manifest_cannot_make_a_restore_write_elsewhere() {
    let place = Place::new();
    place.back_up("b1", true).unwrap();
    std::fs::write(place.path("stranger"), "x").unwrap();
    let path = place.path("b1/manifest.json");
    let mut manifest: Manifest = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let outside = files::look(&place.path("stranger"), "../stranger").unwrap();
    manifest.files.push(outside);
    std::fs::write(&path, serde_json::to_vec(&manifest).unwrap()).unwrap();
    let error = place.restore("b1", "new", false).unwrap_err();
    assert!(matches!(error, BackupError::Damaged { .. }), "{error}");
}

#[test]
fn a_backup_of_a_later_release_is_refused() {
    let place = Place::new();
    place.back_up("b1", true).unwrap();
    let path = place.path("b1/manifest.json");
    let text = std::fs::read_to_string(&path).unwrap();
    for (from, to) in [
        ("\"format\": 1", "\"format\": 2"),
        ("\"schema\": ", "\"schema\": 1000"),
    ] {
        std::fs::write(&path, text.replace(from, to)).unwrap();
        let error = place.restore("b1", "new", false).unwrap_err();
        assert!(matches!(error, BackupError::Newer { .. }), "{error}");
    }
    std::fs::remove_file(&path).unwrap();
    let error = place.restore("b1", "new", false).unwrap_err();
    assert!(matches!(error, BackupError::NotABackup(_)), "{error}");
}

#[test]
fn a_restore_goes_into_an_empty_folder_that_no_store_uses() {
    let place = Place::new();
    place.back_up("b1", true).unwrap();
    let store = place.open("data");
    let error = place.restore("b1", "data", false).unwrap_err();
    assert!(matches!(error, BackupError::InUse(_)), "{error}");
    drop(store);
    let error = place.restore("b1", "data", false).unwrap_err();
    assert!(matches!(error, BackupError::NotEmpty { .. }), "{error}");
    // A volume's own folder and a restore that was cut off are no reason.
    std::fs::create_dir_all(place.path("new/lost+found")).unwrap();
    std::fs::write(place.path("new/store.db.restoring"), "half").unwrap();
    place.restore("b1", "new", false).unwrap();
    drop(place.open("new"));
}

#[test]
fn a_signing_folder_that_survived_is_kept_unless_it_is_older_than_the_backup() {
    let place = Place::new();
    let ambient = Ambient::system();
    let signing = place.path("data/signing");
    let copy = |to: &str| {
        let target = place.path(to);
        std::fs::create_dir_all(&target).unwrap();
        let done = std::process::Command::new("cp")
            .arg("-a")
            .arg(&signing)
            .arg(target.join("signing"))
            .status();
        assert!(done.unwrap().success());
    };
    copy("older");
    Signing::rotate(&signing, Role::Timestamp, &ambient).unwrap();
    place.back_up("b1", false).unwrap();
    let error = place.restore("b1", "older", false).unwrap_err();
    assert!(
        matches!(
            error,
            BackupError::OlderSigning {
                found: 1,
                expected: 2,
                ..
            }
        ),
        "{error}"
    );
    Signing::rotate(&signing, Role::Timestamp, &ambient).unwrap();
    copy("newer");
    let restored = place.restore("b1", "newer", true).unwrap();
    assert_eq!(
        (restored.signing, restored.raised),
        (SigningFolder::Kept, Some(4))
    );
    drop(place.open("newer"));
}

#[test]
fn without_the_root_key_epochs_are_raised_elsewhere() {
    let place = Place::new();
    place.back_up("b1", false).unwrap();
    let error = place.restore("b1", "new", true).unwrap_err();
    assert!(matches!(error, BackupError::NoRootKey(_)), "{error}");
    assert!(!place.path("new").exists());
    let restored = place.restore("b1", "new", false).unwrap();
    assert_eq!(restored.signing, SigningFolder::WithoutKeys);
    assert!(place.path("new/signing/root.json").exists());
    assert_eq!(restored.raised, None);
}

#[test]
fn an_edge_accepts_the_root_that_raises_epochs() {
    let place = Place::new();
    let signing = place.path("data/signing");
    let before = Signing::load(&signing).unwrap();
    let mut trust = Trust::new("production", before.current_root_file(), None).unwrap();
    let wanted = [("e1".to_owned(), 0), ("e2".to_owned(), 7)].into();
    let raised = Signing::raise_epochs(&signing, &wanted, &Ambient::system()).unwrap();
    trust.step_root(raised.current_root_file()).unwrap();
    assert_eq!(trust.root().epochs.get("e1"), Some(&1));
    assert_eq!(trust.root().epochs.get("e2"), Some(&8));
    let again = Signing::raise_epochs(&signing, &wanted, &Ambient::system()).unwrap();
    assert_eq!(again.root().epochs.get("e1"), Some(&2));
    assert_eq!(again.root().epochs.get("e2"), Some(&9));
}

#[test]
fn a_restored_ledger_is_another_one_and_repeats_no_revision() {
    let place = Place::new();
    place.back_up("b1", true).unwrap();
    let cursor = |store: &Store| store.changes("production", None).unwrap().cursor;
    let before = cursor(&place.open("data"));
    place.restore("b1", "new", false).unwrap();
    let restored = place.open("new");
    assert_ne!(cursor(&restored), before);
    assert!(restored.changes("production", Some(&before)).unwrap().gap);
    let mut floor = 0;
    let environment = restored
        .workspace()
        .environment("production")
        .unwrap()
        .uid
        .clone();
    let read = restored.engine.ledger(&environment, &mut |rows| {
        floor = rows.forgotten_rev()?;
        Ok(crate::store::engine::Ending::RollBack)
    });
    read.unwrap();
    assert!(floor > 1_600_000_000_000, "{floor}");
}
