//! Does a store that was restored say so?
//!
//! A restore leaves a mark beside the database: how far each environment had
//! come by the backup. Every start compares it with the root. While an epoch
//! is not raised the store says so, because that is why edges refuse what it
//! signs; the first start after that says that it is done, and ends the matter.

use std::{error::Error as _, fs, path::Path};

use serde::{Deserialize, Serialize};

use super::{BackupError, EnvironmentState, files::failed};
use crate::{
    clock::UnixMs,
    limits,
    snapshot::wire::RootDocument,
    store::signing::{read, sync_folder, write_private},
};

/// Beside the database.
pub(super) const MARK: &str = "restored.json";

/// What a restore leaves behind.
#[derive(Serialize, Deserialize)]
struct Mark {
    /// When the backup was made.
    backup_ms: UnixMs,
    /// As they stood in it.
    environments: Vec<EnvironmentState>,
}

/// Leaves the mark.
pub(super) fn mark(
    data: &Path,
    backup_ms: UnixMs,
    environments: &[EnvironmentState],
) -> Result<(), BackupError> {
    let mark = Mark {
        backup_ms,
        environments: environments.to_vec(),
    };
    // Names and numbers always make JSON.
    let text = serde_json::to_vec(&mark).unwrap_or_default();
    Ok(write_private(&data.join(MARK), &text)?)
}

/// Says in the log what became of a restore, if there was one. What cannot be
/// read is said, too, and keeps no store from starting.
pub fn tell_restored(data: &Path, root: &RootDocument) {
    let told = look(data).and_then(|mark| match mark {
        Some(mark) if mark.tell(root) => forget(data),
        _ => Ok(()),
    });
    if let Err(error) = told {
        let cause = error.source().map(ToString::to_string);
        tracing::warn!(%error, cause, "whether epochs were raised after the restore is not known");
    }
}

fn look(data: &Path) -> Result<Option<Mark>, BackupError> {
    let path = data.join(MARK);
    if !path.exists() {
        return Ok(None);
    }
    let bytes = read(&path, limits::DOCUMENT_BYTES_MAX)?;
    let mark = serde_json::from_slice(&bytes).map_err(|error| BackupError::Manifest {
        path,
        found: error.to_string(),
    })?;
    Ok(Some(mark))
}

fn forget(data: &Path) -> Result<(), BackupError> {
    let path = data.join(MARK);
    fs::remove_file(&path).map_err(failed(&path))?;
    Ok(sync_folder(data)?)
}

impl Mark {
    /// Whether the matter is over.
    fn tell(&self, root: &RootDocument) -> bool {
        let epoch = |uid: &str| root.epochs.get(uid).copied().unwrap_or(0);
        let all = self.environments.iter();
        let same: Vec<&EnvironmentState> = all.filter(|own| epoch(&own.uid) <= own.epoch).collect();
        let backup = i64::try_from(self.backup_ms).ok();
        let backup = backup.and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
        let backup = backup.map(|time| time.to_string()).unwrap_or_default();
        let root = root.version;
        if same.is_empty() {
            tracing::info!(
                backup,
                root,
                "this store was restored, and its epochs were raised: edges follow by themselves"
            );
            return true;
        }
        let joined = |of: fn(&EnvironmentState) -> &str| {
            let words: Vec<&str> = same.iter().map(|own| of(own)).collect();
            words.join(" ")
        };
        tracing::warn!(
            backup,
            root,
            environments = joined(|own| &own.name),
            "this store was restored, and epochs were not raised: edges that have accepted anything \
             since the backup refuse what it signs (flowgate key signing raise-epoch {})",
            joined(|own| &own.uid)
        );
        false
    }
}
