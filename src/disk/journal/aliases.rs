//! Under which other names do a journal's records travel?
//!
//! When the ledger has records under a journal's id that are not this edge's
//! (a data folder was copied, a machine restored), what is not settled is
//! shipped again under an id of its own. That id must outlast a restart, or
//! the records would arrive a third time: so it is kept in `aliases.json`,
//! replaced as a whole and synced before it is first used.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};

use super::super::Disk;
use crate::limits::ALIASES_MAX;

const NAME: &str = "aliases.json";
const PARTIAL: &str = "aliases.json.tmp";
/// Far above what that many take.
const BYTES_MAX: u64 = 1024 * 1024;

/// One environment's records of one journal, from some seq on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alias {
    /// Environment name.
    pub environment: String,
    /// The journal the records are in.
    pub journal: String,
    /// Records up to this seq were settled under the journal's id, or under an
    /// alias before this one.
    pub after: u64,
    /// The id the others travel under: 32 hexadecimal digits.
    pub id: String,
}

/// All of a folder, on disk and here.
pub(super) struct Aliases {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    known: Mutex<Vec<Alias>>,
}

impl Aliases {
    /// Reads what is there. What cannot be read is an error: taken for nothing,
    /// records would be shipped twice.
    pub(super) fn open(disk: Arc<dyn Disk>, folder: &Path) -> io::Result<Self> {
        let path = folder.join(NAME);
        let known = if disk.exists(&path)? {
            let bytes = disk.read(&path, BYTES_MAX)?;
            serde_json::from_slice(&bytes).map_err(|error| {
                let text = format!(
                    "{} is damaged: {error} (without it steps that were shipped again after a \
                     fork may arrive once more: move it away only if that is acceptable)",
                    path.display()
                );
                io::Error::new(io::ErrorKind::InvalidData, text)
            })?
        } else {
            Vec::new()
        };
        Ok(Self {
            disk,
            folder: folder.to_owned(),
            known: Mutex::new(known),
        })
    }

    pub(super) fn all(&self) -> Vec<Alias> {
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Adds one; durable when it returns. It takes the place of one under which
    /// nothing was settled.
    pub(super) fn add(&self, alias: Alias) -> io::Result<()> {
        let mut all = self.all();
        let is_replaced = |old: &Alias| {
            (&old.environment, &old.journal, old.after)
                == (&alias.environment, &alias.journal, alias.after)
        };
        all.retain(|old| !is_replaced(old));
        all.push(alias);
        let surplus = all.len().saturating_sub(ALIASES_MAX);
        all.drain(..surplus);
        self.replace(all)
    }

    /// Forgets all of them: nothing is left that was shipped under one, or that
    /// rests on such a record.
    pub(super) fn clear(&self) -> io::Result<()> {
        if self.all().is_empty() {
            return Ok(());
        }
        self.replace(Vec::new())
    }

    fn replace(&self, all: Vec<Alias>) -> io::Result<()> {
        let bytes = serde_json::to_vec_pretty(&all)?;
        let (disk, partial) = (self.disk.as_ref(), self.folder.join(PARTIAL));
        if disk.exists(&partial)? {
            disk.remove(&partial)?;
        }
        let file = disk.create_new(&partial)?;
        file.write_all_at(&bytes, 0)?;
        file.sync_all()?;
        disk.rename(&partial, &self.folder.join(NAME))?;
        disk.sync_dir(&self.folder)?;
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = all;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::memory::MemoryDisk;

    fn alias(after: u64, id: &str) -> Alias {
        Alias {
            environment: "production".to_owned(),
            journal: "j".to_owned(),
            after,
            id: id.to_owned(),
        }
    }

    #[test]
    fn aliases_outlast_a_power_cut_and_damage_is_not_taken_for_none() {
        let disk = MemoryDisk::new(3);
        let folder = Path::new("/data/journal");
        disk.create_dir_all(folder).unwrap();
        let open = || Aliases::open(Arc::new(disk.clone()), folder);
        let aliases = open().unwrap();
        for (after, id) in [(5, "a"), (5, "b"), (9, "c")] {
            aliases.add(alias(after, id)).unwrap();
        }
        let expected = [alias(5, "b"), alias(9, "c")];
        assert_eq!(aliases.all(), expected);
        disk.crash(1);
        assert_eq!(open().unwrap().all(), expected);
        for after in 100..100 + ALIASES_MAX as u64 {
            aliases.add(alias(after, "d")).unwrap();
        }
        let all = open().unwrap().all();
        assert_eq!(all.len(), ALIASES_MAX);
        assert_eq!(all[0].after, 100, "the oldest went first");
        assert!(disk.flip_bit(&folder.join(NAME), 0, 3));
        let error = open().map(|_| ()).unwrap_err();
        assert!(error.to_string().contains("move it away"), "{error}");
    }
}
