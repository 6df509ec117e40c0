//! How is a backup made?
//!
//! Beside its final name, which it gets when it is whole and synced: a folder
//! with that name is complete. The signing folder is read after the database,
//! because a newer root over older documents is what a store finds after every
//! rotation, and the other way round is not.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    BackupError, DATABASE, FORMAT, FileEntry, MANIFEST, Manifest, ROLES, SECRETS, environments,
    files::{copy, failed, look, seal},
};
use crate::{
    clock::Ambient,
    store::{
        engine::SqliteEngine,
        signing::{Signing, private_folder, rename, sync_folder, write_private},
    },
};

/// A rotation may replace files while they are copied; the next try is after it.
const SIGNING_TRIES: usize = 3;

/// What to back up, and where to.
#[derive(Clone, Copy, Debug)]
pub struct BackUp<'a> {
    /// The store's data folder.
    pub data: &'a Path,
    /// Its signing folder.
    pub signing: &'a Path,
    /// The new folder.
    pub out: &'a Path,
    /// Also what must stay secret.
    pub with_signing_keys: bool,
}

/// Makes a backup of a store, which may be running.
pub fn back_up(what: &BackUp<'_>, ambient: &Ambient) -> Result<Manifest, BackupError> {
    let database = what.data.join(DATABASE);
    if !database.exists() {
        return Err(BackupError::NoDatabase(database));
    }
    let mut partial = what.out.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    for taken in [what.out, &partial] {
        if taken.exists() {
            return Err(BackupError::Exists(taken.to_owned()));
        }
    }
    private_folder(&partial)?;
    let made = fill(what, &database, &partial, ambient).and_then(|manifest| {
        rename(&partial, what.out)?;
        Ok(manifest)
    });
    if made.is_err() {
        // Ours, and of no use to anybody. What is wrong is said already.
        drop(fs::remove_dir_all(&partial));
    }
    made
}

fn fill(
    what: &BackUp<'_>,
    database: &Path,
    folder: &Path,
    ambient: &Ambient,
) -> Result<Manifest, BackupError> {
    let target = folder.join(DATABASE);
    let copied = SqliteEngine::copy(database, &target)?;
    seal(&target)?;
    let mut entries = vec![look(&target, DATABASE)?];
    let (root_version, signing) = signing(what, folder)?;
    entries.extend(signing);
    if what.with_signing_keys {
        for name in SECRETS {
            entries.extend(copy_present(what.data, folder, name, name)?);
        }
    }
    let manifest = Manifest {
        format: FORMAT,
        flowgate: env!("CARGO_PKG_VERSION").to_owned(),
        created_ms: ambient.now_ms(),
        schema: copied.schema,
        root_version,
        with_signing_keys: what.with_signing_keys,
        environments: environments(&copied),
        files: entries,
    };
    let path = folder.join(MANIFEST);
    let text = serde_json::to_vec_pretty(&manifest).map_err(io::Error::from);
    write_private(&path, &text.map_err(failed(&path))?)?;
    sync_folder(folder)?;
    Ok(manifest)
}

/// The root documents, and the keys when they are wanted: only a set that fits
/// together.
fn signing(what: &BackUp<'_>, folder: &Path) -> Result<(u64, Vec<FileEntry>), BackupError> {
    let target = folder.join("signing");
    for last in (0..SIGNING_TRIES).rev() {
        let root = Signing::load(what.signing)?.root().version;
        let entries = signing_files(what, &target, root)?;
        let fits = if what.with_signing_keys {
            Signing::load(&target).map(|copy| copy.root().version)
        } else {
            Signing::load(what.signing).map(|again| again.root().version)
        };
        match fits {
            Ok(version) if version == root => return Ok((root, entries)),
            Err(error) if last == 0 => return Err(error.into()),
            _ => fs::remove_dir_all(&target).map_err(failed(&target))?,
        }
    }
    Err(BackupError::File {
        path: what.signing.to_owned(),
        source: io::Error::other("the keys were rotated again and again"),
    })
}

fn signing_files(
    what: &BackUp<'_>,
    target: &Path,
    root: u64,
) -> Result<Vec<FileEntry>, BackupError> {
    let mut entries = Vec::new();
    private_folder(&target.join("roots"))?;
    let mut take = |name: String| -> Result<(), BackupError> {
        let listed = format!("signing/{name}");
        entries.extend(copy_present(what.signing, target, &name, &listed)?);
        Ok(())
    };
    take("root.json".to_owned())?;
    // Early roots may have been cleared away.
    for number in 1..=root {
        take(format!("roots/{number}.json"))?;
    }
    if what.with_signing_keys {
        private_folder(&target.join("keys"))?;
        for role in ROLES {
            // The root's key may be kept elsewhere.
            take(format!("keys/{role}.json"))?;
        }
        sync_folder(&target.join("keys"))?;
    }
    sync_folder(&target.join("roots"))?;
    sync_folder(target)?;
    Ok(entries)
}

/// Copies a file if it is there.
fn copy_present(
    from: &Path,
    to: &Path,
    name: &str,
    listed: &str,
) -> Result<Option<FileEntry>, BackupError> {
    let source = from.join(name);
    if !source.exists() {
        return Ok(None);
    }
    copy(&source, &to.join(name), listed).map(Some)
}
