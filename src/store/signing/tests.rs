//! What a signing folder promises.

use super::*;

fn fresh() -> (tempfile::TempDir, Signing) {
    let folder = tempfile::tempdir().unwrap();
    let signing = Signing::create(&folder.path().join("signing"), &Ambient::system()).unwrap();
    (folder, signing)
}

#[test]
fn a_created_folder_loads_and_is_not_overwritten() {
    let (folder, created) = fresh();
    let path = folder.path().join("signing");
    assert_eq!(Signing::load(&path).unwrap().show(), created.show());
    assert!(matches!(
        Signing::create(&path, &Ambient::system()),
        Err(SigningError::Exists(_))
    ));
    assert_eq!(Signing::load(&path).unwrap().show(), created.show());
}

#[test]
fn a_missing_folder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let error = Signing::load(&folder.path().join("nowhere")).unwrap_err();
    assert!(matches!(error, SigningError::Missing(_)), "{error}");
}

#[cfg(unix)]
#[test]
fn a_key_that_others_can_read_is_refused_with_the_fix() {
    use std::os::unix::fs::PermissionsExt;
    let (folder, _) = fresh();
    let path = folder.path().join("signing/keys/timestamp.json");
    for refused in [0o640, 0o444, 0o441, 0o460, 0o604] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(refused)).unwrap();
        let error = Signing::load(&folder.path().join("signing")).unwrap_err();
        assert!(matches!(error, SigningError::Readable { mode, .. } if mode == refused));
        assert!(error.to_string().contains("chmod 600"), "{error}");
    }
    // As orchestrators mount a secret.
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o440)).unwrap();
    Signing::load(&folder.path().join("signing")).unwrap();
}

#[cfg(unix)]
#[test]
fn secrets_are_written_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let (folder, _) = fresh();
    for role in ["root", "release", "timestamp", "control"] {
        let path = folder.path().join(format!("signing/keys/{role}.json"));
        let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{role}");
    }
}

#[test]
fn an_online_key_of_another_folder_is_refused() {
    let (one, _) = fresh();
    let (other, _) = fresh();
    std::fs::copy(
        other.path().join("signing/keys/release.json"),
        one.path().join("signing/keys/release.json"),
    )
    .unwrap();
    let error = Signing::load(&one.path().join("signing")).unwrap_err();
    assert!(matches!(error, SigningError::Content { .. }), "{error}");
}

#[test]
fn rotating_a_role_makes_the_next_root_and_keeps_the_old_ones() {
    let (folder, before) = fresh();
    let path = folder.path().join("signing");
    let after = Signing::rotate(&path, Role::Timestamp, &Ambient::system()).unwrap();
    assert_eq!(after.root().version, 2);
    assert_ne!(after.keyid(Role::Timestamp), before.keyid(Role::Timestamp));
    assert_eq!(after.keyid(Role::Release), before.keyid(Role::Release));
    assert_eq!(after.root_file(1), before.root_file(1));
    assert!(
        !after
            .root()
            .keys
            .contains_key(&before.keyid(Role::Timestamp))
    );
}

#[test]
fn every_rotation_is_a_root_step_that_an_edge_accepts() {
    let (folder, before) = fresh();
    let path = folder.path().join("signing");
    let mut trust =
        crate::snapshot::trust::Trust::new("development", before.current_root_file(), None)
            .unwrap();
    for role in ROLES {
        let after = Signing::rotate(&path, role, &Ambient::system()).unwrap();
        trust.step_root(after.current_root_file()).unwrap();
        assert_eq!(trust.root().version, after.root().version);
    }
}

#[test]
fn an_interrupted_rotation_is_finished_by_the_next_load() {
    let (folder, _) = fresh();
    let path = folder.path().join("signing");
    let old = std::fs::read(path.join("keys/control.json")).unwrap();
    let after = Signing::rotate(&path, Role::Control, &Ambient::system()).unwrap();
    // As the folder stands when the last rename was never reached.
    std::fs::rename(
        path.join("keys/control.json"),
        path.join("keys/control.next"),
    )
    .unwrap();
    std::fs::write(path.join("keys/control.json"), old).unwrap();
    assert_eq!(Signing::load(&path).unwrap().show(), after.show());
}

#[test]
fn rotation_needs_the_key_of_the_root_and_signing_does_not() {
    let (folder, _) = fresh();
    let path = folder.path().join("signing");
    std::fs::remove_file(path.join("keys/root.json")).unwrap();
    assert!(!Signing::load(&path).unwrap().show().root_key_present);
    assert!(matches!(
        Signing::rotate(&path, Role::Release, &Ambient::system()),
        Err(SigningError::RootKeyMissing(_))
    ));
}

#[test]
fn debug_output_holds_no_secret() {
    let (folder, signing) = fresh();
    let file = std::fs::read_to_string(folder.path().join("signing/keys/root.json")).unwrap();
    let seed = serde_json::from_str::<serde_json::Value>(&file).unwrap()["seed"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(!format!("{signing:?}").contains(&seed));
}
