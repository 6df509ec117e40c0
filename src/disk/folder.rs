//! Whose data folder is this?
//!
//! One process owns a data folder at a time: [`DataFolder::open`] makes it and
//! its sub-folders and takes an advisory lock on `lock`, which holds the
//! owner's pid as text for whoever is refused. The operating system releases
//! the lock when the process ends, however it ends, so a stale file never
//! blocks a start. The lock is taken with `std::fs` and not through
//! [`Disk`]: a simulated process has its folder to itself.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use super::{Disk, real::FILE_MODE};

/// Why a data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// It cannot be made or reached.
    #[error("data folder {} cannot be used", path.display())]
    Unusable {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process owns it.
    #[error("data folder {} is in use by {owner} (stop it, or choose another folder)", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
        /// `process 4711`, or what is known.
        owner: String,
    },
}

/// A name and its line break.
const IDENTITY_BYTES_MAX: u64 = 256;

/// A data folder that this process owns until the value is dropped.
#[derive(Debug)]
pub struct DataFolder {
    path: PathBuf,
    /// Held for its lock only; none where a simulated process is alone.
    _lock: Option<File>,
}

impl DataFolder {
    /// Makes the folder with what belongs into it and locks it.
    pub fn open(disk: &dyn Disk, path: &Path) -> Result<Self, FolderError> {
        let unusable = |source| FolderError::Unusable {
            path: path.to_owned(),
            source,
        };
        disk.create_dir_all(path).map_err(unusable)?;
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            // The owner's pid stays readable for those who are refused.
            .truncate(false)
            .mode(FILE_MODE)
            .open(path.join("lock"))
            .map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(FolderError::InUse {
                    path: path.to_owned(),
                    owner: owner(&mut lock),
                });
            }
            Err(TryLockError::Error(source)) => return Err(unusable(source)),
        }
        write_pid(&mut lock).map_err(unusable)?;
        Self::made(disk, path, Some(lock)).map_err(unusable)
    }

    /// That of a simulated process.
    #[cfg(test)]
    pub(crate) fn simulated(disk: &dyn Disk, path: &Path) -> io::Result<Self> {
        Self::made(disk, path, None)
    }

    /// With what belongs into it.
    fn made(disk: &dyn Disk, path: &Path, lock: Option<File>) -> io::Result<Self> {
        let folder = Self {
            path: path.to_owned(),
            _lock: lock,
        };
        disk.create_dir_all(&folder.journal())?;
        disk.create_dir_all(&folder.snapshots())?;
        Ok(folder)
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A name of the folder that stays: the one it has, or else this one,
    /// which it has from now on. A file that was cut off is written anew.
    pub fn identity(&self, disk: &dyn Disk, fresh: &str) -> io::Result<String> {
        let path = self.path.join("identity");
        if disk.exists(&path)? {
            let bytes = disk.read(&path, IDENTITY_BYTES_MAX)?;
            let text = String::from_utf8_lossy(&bytes);
            if let Some(name) = text.strip_suffix('\n').filter(|name| !name.is_empty()) {
                return Ok(name.to_owned());
            }
            disk.remove(&path)?;
        }
        let file = disk.create_new(&path)?;
        file.write_all_at(format!("{fresh}\n").as_bytes(), 0)?;
        file.sync_all()?;
        disk.sync_dir(&self.path)?;
        Ok(fresh.to_owned())
    }

    /// Where journals of progress are.
    pub fn journal(&self) -> PathBuf {
        self.path.join("journal")
    }

    /// Where the journal of the use of flags is; made by whoever keeps one.
    pub fn usage(&self) -> PathBuf {
        self.path.join("usage")
    }

    /// Where the last good snapshots are.
    pub fn snapshots(&self) -> PathBuf {
        self.path.join("snapshots")
    }
}

fn write_pid(lock: &mut File) -> io::Result<()> {
    lock.set_len(0)?;
    lock.rewind()?;
    writeln!(lock, "{}", std::process::id())
}

/// Who the lock file says the owner is. The file may be empty for a moment
/// after the lock was taken, so the answer is a courtesy, never relied upon.
fn owner(lock: &mut File) -> String {
    let mut text = String::new();
    match lock.take(32).read_to_string(&mut text) {
        Ok(_) => match text.trim().parse::<u32>() {
            Ok(pid) => format!("process {pid}"),
            Err(_) => "another process".to_owned(),
        },
        Err(_) => "another process".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::disk::RealDisk;

    #[test]
    fn a_second_owner_is_told_the_folder_and_the_pid() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("data");
        let first = DataFolder::open(&RealDisk, &path).unwrap();
        assert!(first.journal().is_dir() && first.snapshots().is_dir());
        let error = DataFolder::open(&RealDisk, &path).unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, FolderError::InUse { .. }));
        assert!(text.contains(path.to_str().unwrap()), "{text}");
        let pid = format!("process {}", std::process::id());
        assert!(text.contains(&pid), "{text}");
    }

    #[test]
    fn the_lock_ends_with_its_owner_and_a_stale_file_blocks_nobody() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("data");
        drop(DataFolder::open(&RealDisk, &path).unwrap());
        std::fs::write(path.join("lock"), "4294967295 and more text than a pid\n").unwrap();
        let again = DataFolder::open(&RealDisk, &path).unwrap();
        let text = std::fs::read_to_string(again.path().join("lock")).unwrap();
        assert_eq!(text.trim(), std::process::id().to_string());
    }

    #[test]
    fn the_name_of_a_folder_stays() {
        let root = tempfile::tempdir().unwrap();
        let folder = DataFolder::open(&RealDisk, &root.path().join("data")).unwrap();
        let name = |fresh| folder.identity(&RealDisk, fresh).unwrap();
        assert_eq!(name("edge-1"), "edge-1");
        assert_eq!(name("edge-2"), "edge-1");
        // Cut off by a crash.
        std::fs::write(folder.path().join("identity"), "edg").unwrap();
        assert_eq!(name("edge-3"), "edge-3");
        assert_eq!(name("edge-4"), "edge-3");
    }

    #[test]
    fn the_lock_file_is_its_owners_alone() {
        let root = tempfile::tempdir().unwrap();
        let folder = DataFolder::open(&RealDisk, &root.path().join("data")).unwrap();
        let mode = std::fs::metadata(folder.path().join("lock")).unwrap();
        assert_eq!(mode.permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = DataFolder::open(&RealDisk, &file.join("data")).unwrap_err();
        assert!(matches!(error, FolderError::Unusable { .. }), "{error}");
        assert!(error.to_string().contains("file/data"));
    }
}
