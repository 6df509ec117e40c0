//! How does a store survive the loss of its machine?
//!
//! A backup is a folder: the database as one consistent copy, the root
//! documents, on request the secrets, and a manifest that names every file by
//! hash. It is made beside a running store. A restored store knows less than
//! edges have accepted, and only a root can let its counters begin again: see
//! [`restore`].

mod files;
mod making;
mod marking;
mod restoring;
#[cfg(test)]
mod tests;

pub use making::{BackUp, back_up};
pub use marking::tell_restored;
pub use restoring::{Restore, Restored, SigningFolder, restore};

use std::{io, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::{
    engine::{Copied, EngineError},
    signing::SigningError,
};
use crate::clock::UnixMs;

/// What this release writes and reads.
const FORMAT: u32 = 1;

/// The database, in a backup as in a data folder.
const DATABASE: &str = "store.db";
/// Written last: a folder without it is not a backup.
const MANIFEST: &str = "manifest.json";
/// Secrets of the data folder. The first admin key is among them, because a
/// store nobody can administer is of no use.
const SECRETS: [&str; 2] = ["webhooks.key", "admin.key"];
/// Roles with a secret in the signing folder.
const ROLES: [&str; 4] = ["root", "release", "timestamp", "control"];

/// What a backup holds; `manifest.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Form of the folder.
    pub format: u32,
    /// The release that made it.
    pub flowgate: String,
    /// When.
    pub created_ms: UnixMs,
    /// Version of the database's schema.
    pub schema: u32,
    /// Version of the root in force.
    pub root_version: u64,
    /// Whether the signing keys are in it.
    pub with_signing_keys: bool,
    /// What was published.
    pub environments: Vec<EnvironmentState>,
    /// Everything else in the folder.
    pub files: Vec<FileEntry>,
}

/// How far an environment had come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EnvironmentState {
    /// Its name.
    pub name: String,
    /// Its uid, which a root names.
    pub uid: String,
    /// The epoch its counters are of.
    pub epoch: u32,
    /// The revision in force.
    pub revision: u64,
}

/// One file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Relative to the backup, with slashes.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// Of its bytes.
    pub sha256: String,
}

/// Why there is no backup, or nothing was restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// No store has ever run there.
    #[error("{} does not exist (expected the database of a store; is the data folder right?)", .0.display())]
    NoDatabase(PathBuf),
    /// A backup is never overwritten.
    #[error("{} exists (choose another name: a backup is never overwritten)", .0.display())]
    Exists(PathBuf),
    /// The folder has no manifest.
    #[error("{} is not a backup (expected {MANIFEST}, which is written last)", .0.display())]
    NotABackup(PathBuf),
    /// The manifest cannot be read.
    #[error("{} cannot be read as a manifest: {found}", path.display())]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// What was found.
        found: String,
    },
    /// Made by a later release.
    #[error(
        "the backup has format {found} and schema {schema}, this release knows format {FORMAT} and schema {expected} (use the newer release)"
    )]
    Newer {
        /// Its format.
        found: u32,
        /// Its schema.
        schema: u32,
        /// The newest schema here.
        expected: u32,
    },
    /// A file is not as the manifest says.
    #[error("{} is not what was backed up: {found} (expected {expected})", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        found: String,
        /// What the manifest says.
        expected: String,
    },
    /// Something is there already.
    #[error("{} holds {found} (expected an empty folder; a restore replaces nothing)", folder.display())]
    NotEmpty {
        /// The data folder.
        folder: PathBuf,
        /// The first thing found.
        found: String,
    },
    /// A store runs on it.
    #[error("{} is in use by a running store (stop it, or choose another folder)", .0.display())]
    InUse(PathBuf),
    /// The signing folder that is there is from before the backup.
    #[error("the signing folder {} has root {found}, the backup was made under root {expected} (bring the newer signing folder)", folder.display())]
    OlderSigning {
        /// The signing folder.
        folder: PathBuf,
        /// Its root.
        found: u64,
        /// That of the backup.
        expected: u64,
    },
    /// Epochs cannot be raised here.
    #[error("epochs cannot be raised: the key of the root is neither in {} nor in the backup (restore without --raise-epoch, raise them where that key is, and bring the new root)", .0.display())]
    NoRootKey(PathBuf),
    /// A file cannot be read or written.
    #[error("{} cannot be read or written", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The signing folder.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// The database.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// As the manifest lists them.
fn environments(copied: &Copied) -> Vec<EnvironmentState> {
    let environments = copied.environments.iter();
    let state = environments.map(|(name, uid, publication)| EnvironmentState {
        name: name.clone(),
        uid: uid.clone(),
        epoch: publication.epoch,
        revision: publication.revision,
    });
    state.collect()
}
