//! How does a backup become a store again?
//!
//! Into an empty folder, and only after every file was found as it was backed
//! up; the database comes last, so that a folder with one was restored to the
//! end. What edges have accepted since is newer than what the store knows: a
//! root raises the epochs, edges follow it and take the lower counters. Where
//! the root's key is elsewhere that is done afterwards, and until then edges
//! refuse what the store signs, say why, and serve what they have.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use super::{
    BackupError, DATABASE, EnvironmentState, FORMAT, MANIFEST, Manifest, SECRETS, environments,
    files::{check, copy, failed},
    marking::{MARK, mark},
};
use crate::{
    clock::Ambient,
    limits,
    store::{
        engine::SqliteEngine,
        signing::{Signing, private_folder, read, rename, sync_folder},
    },
};

/// What to restore, and where to.
#[derive(Clone, Copy, Debug)]
pub struct Restore<'a> {
    /// The backup.
    pub backup: &'a Path,
    /// The store's data folder.
    pub data: &'a Path,
    /// Its signing folder; one that is there is kept.
    pub signing: &'a Path,
    /// Let the counters of all environments begin again.
    pub raise_epoch: bool,
}

/// Where the signing keys of a restored store are from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SigningFolder {
    /// It was there.
    Kept,
    /// The backup had all of it.
    Restored,
    /// The backup had the root documents only: keys are still to be brought.
    WithoutKeys,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Restored {
    /// Of the backup.
    pub manifest: Manifest,
    /// As they stand in the restored database.
    pub environments: Vec<EnvironmentState>,
    /// The signing folder.
    pub signing: SigningFolder,
    /// The root that raised the epochs, when they were.
    pub raised: Option<u64>,
}

/// Restores a backup.
pub fn restore(what: &Restore<'_>, ambient: &Ambient) -> Result<Restored, BackupError> {
    let manifest = manifest(what.backup)?;
    for entry in &manifest.files {
        check(what.backup, entry)?;
    }
    refuse_used(what)?;
    let signing = plan_signing(what, &manifest)?;
    private_folder(what.data)?;
    if signing != SigningFolder::Kept {
        bring_signing(what, &manifest)?;
    }
    let environments = bring_data(what, &manifest, ambient)?;
    let raised = if what.raise_epoch {
        let known = environments.iter().map(|own| (own.uid.clone(), own.epoch));
        let known: BTreeMap<String, u32> = known.collect();
        Some(
            Signing::raise_epochs(what.signing, &known, ambient)?
                .root()
                .version,
        )
    } else {
        None
    };
    mark(what.data, manifest.created_ms, &environments)?;
    // The last step: what is there from now on is a store.
    rename(&waiting(what), &what.data.join(DATABASE))?;
    Ok(Restored {
        manifest,
        environments,
        signing,
        raised,
    })
}

fn waiting(what: &Restore<'_>) -> PathBuf {
    what.data.join(format!("{DATABASE}.restoring"))
}

/// Reads the manifest and refuses one of a later release.
fn manifest(backup: &Path) -> Result<Manifest, BackupError> {
    let path = backup.join(MANIFEST);
    if !path.exists() {
        return Err(BackupError::NotABackup(backup.to_owned()));
    }
    let bytes = read(&path, limits::DOCUMENT_BYTES_MAX)?;
    let unreadable = |error: serde_json::Error| BackupError::Manifest {
        path: path.clone(),
        found: error.to_string(),
    };
    let value: serde_json::Value = serde_json::from_slice(&bytes).map_err(unreadable)?;
    let number = |member: &str| {
        let number = value[member].as_u64().unwrap_or_default();
        u32::try_from(number).unwrap_or(u32::MAX)
    };
    let (found, schema) = (number("format"), number("schema"));
    let expected = SqliteEngine::schema();
    if found > FORMAT || schema > expected {
        return Err(BackupError::Newer {
            found,
            schema,
            expected,
        });
    }
    let manifest: Manifest = serde_json::from_value(value).map_err(unreadable)?;
    if !manifest.files.iter().any(|entry| entry.path == DATABASE) {
        return Err(BackupError::Manifest {
            path,
            found: format!("no {DATABASE} among the files"),
        });
    }
    Ok(manifest)
}

/// Nothing may be there but the signing folder and what file systems put into
/// their own root, or this command left when it was interrupted.
fn refuse_used(what: &Restore<'_>) -> Result<(), BackupError> {
    let lock = what.data.join(DATABASE).with_extension("lock");
    if let Ok(file) = fs::File::open(&lock)
        && matches!(file.try_lock(), Err(fs::TryLockError::WouldBlock))
    {
        return Err(BackupError::InUse(what.data.to_owned()));
    }
    let entries = match fs::read_dir(what.data) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(what.data)(error)),
    };
    let waiting = waiting(what);
    for entry in entries {
        let path = entry.map_err(failed(what.data))?.path();
        let found = path.file_name().unwrap_or_default().to_string_lossy();
        if path == waiting {
            fs::remove_file(&path).map_err(failed(&path))?;
        } else if found == MARK {
            // Ours as well, and written anew; beside a database it is that
            // store's, which is found next.
        } else if !is_same(&path, what.signing) && found != "lost+found" {
            return Err(BackupError::NotEmpty {
                folder: what.data.to_owned(),
                found: found.into_owned(),
            });
        }
    }
    Ok(())
}

/// Whether two spellings name one folder that is there.
fn is_same(one: &Path, other: &Path) -> bool {
    let real = |path| fs::canonicalize(path).ok();
    real(one).is_some_and(|one| real(other) == Some(one))
}

/// Decides where the signing keys come from, before anything is written.
fn plan_signing(what: &Restore<'_>, manifest: &Manifest) -> Result<SigningFolder, BackupError> {
    let has = |path: &str| manifest.files.iter().any(|entry| entry.path == path);
    if !what.signing.join("root.json").exists() {
        if what.raise_epoch && !has("signing/keys/root.json") {
            return Err(BackupError::NoRootKey(what.signing.to_owned()));
        }
        return Ok(if manifest.with_signing_keys {
            SigningFolder::Restored
        } else {
            SigningFolder::WithoutKeys
        });
    }
    let summary = Signing::load(what.signing)?.show();
    if summary.root_version < manifest.root_version {
        return Err(BackupError::OlderSigning {
            folder: what.signing.to_owned(),
            found: summary.root_version,
            expected: manifest.root_version,
        });
    }
    if what.raise_epoch && !summary.root_key_present {
        return Err(BackupError::NoRootKey(what.signing.to_owned()));
    }
    Ok(SigningFolder::Kept)
}

/// Copies what the backup has of the signing folder; the root in force last,
/// because it says that the folder is whole.
fn bring_signing(what: &Restore<'_>, manifest: &Manifest) -> Result<(), BackupError> {
    private_folder(&what.signing.join("roots"))?;
    private_folder(&what.signing.join("keys"))?;
    let mut names: Vec<&str> = manifest
        .files
        .iter()
        .filter_map(|entry| entry.path.strip_prefix("signing/"))
        .collect();
    names.sort_by_key(|name| *name == "root.json");
    for name in names {
        let target = what.signing.join(name);
        if target.exists() {
            // Left by a restore that was interrupted before the root.
            fs::remove_file(&target).map_err(failed(&target))?;
        }
        copy(&what.backup.join("signing").join(name), &target, name)?;
    }
    for folder in ["roots", "keys", ""] {
        sync_folder(&what.signing.join(folder))?;
    }
    Ok(())
}

/// Brings the database under its waiting name, and the secrets beside it.
fn bring_data(
    what: &Restore<'_>,
    manifest: &Manifest,
    ambient: &Ambient,
) -> Result<Vec<EnvironmentState>, BackupError> {
    let waiting = waiting(what);
    copy(&what.backup.join(DATABASE), &waiting, DATABASE)?;
    let revived = SqliteEngine::revive(&waiting, &ambient.hex::<16>(), ambient.now_ms());
    let copied = match revived {
        Ok(copied) => copied,
        Err(error) => {
            // Ours; the next try makes it again.
            drop(fs::remove_file(&waiting));
            return Err(error.into());
        }
    };
    for name in SECRETS {
        if manifest.files.iter().any(|entry| entry.path == name) {
            copy(&what.backup.join(name), &what.data.join(name), name)?;
        }
    }
    Ok(environments(&copied))
}
