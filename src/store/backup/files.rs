//! How are the files of a backup copied and checked?
//!
//! Everything is written for its owner alone and synced, hashed on the way.
//! The names a manifest may hold are a closed list: a backup is brought from
//! somewhere, and must not write anywhere but into its own places.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
};

use sha2::{Digest, Sha256};

use super::{BackupError, DATABASE, FileEntry, ROLES, SECRETS};

/// One read: large enough that hashing is what takes the time.
const CHUNK_BYTES: usize = 1024 * 1024;

pub(super) fn failed(path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.to_owned();
    move |source| BackupError::File { path, source }
}

/// Whether this is the name of a file that backups have.
pub(super) fn is_known(path: &str) -> bool {
    let Some(signing) = path.strip_prefix("signing/") else {
        return path == DATABASE || SECRETS.contains(&path);
    };
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match signing
        .strip_suffix(".json")
        .map(|name| name.split_once('/'))
    {
        Some(None) => signing == "root.json",
        Some(Some(("roots", number))) => is_number(number),
        Some(Some(("keys", role))) => ROLES.contains(&role),
        _ => false,
    }
}

/// Copies a file to a new one; says what it holds.
pub(super) fn copy(from: &Path, to: &Path, name: &str) -> Result<FileEntry, BackupError> {
    let mut source = File::open(from).map_err(failed(from))?;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let mut target = options.open(to).map_err(failed(to))?;
    let entry = pass(&mut source, name, |chunk| target.write_all(chunk)).map_err(failed(to))?;
    target.sync_all().map_err(failed(to))?;
    Ok(entry)
}

/// What a file holds.
pub(super) fn look(path: &Path, name: &str) -> Result<FileEntry, BackupError> {
    let mut file = File::open(path).map_err(failed(path))?;
    pass(&mut file, name, |_| Ok(())).map_err(failed(path))
}

fn pass(
    source: &mut File,
    name: &str,
    mut chunk_read: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<FileEntry> {
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut hash = Sha256::new();
    let mut bytes = 0;
    loop {
        let count = source.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        let chunk = &buffer[..count];
        chunk_read(chunk)?;
        hash.update(chunk);
        bytes += count as u64;
    }
    Ok(FileEntry {
        path: name.to_owned(),
        bytes,
        sha256: hash.finalize().iter().map(|b| format!("{b:02x}")).collect(),
    })
}

/// Makes a file that something else has written durable and its owner's alone.
pub(super) fn seal(path: &Path) -> Result<(), BackupError> {
    let sealed = || {
        let file = File::open(path)?;
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
        file.sync_all()
    };
    sealed().map_err(failed(path))
}

/// Refuses a file that is not as the manifest says.
pub(super) fn check(backup: &Path, entry: &FileEntry) -> Result<(), BackupError> {
    let path = backup.join(&entry.path);
    let wrong = |found: String| BackupError::Damaged {
        path: path.clone(),
        found,
        expected: format!("{} bytes, sha256 {}", entry.bytes, entry.sha256),
    };
    if !is_known(&entry.path) {
        return Err(wrong("no file that backups have".to_owned()));
    }
    let found = match look(&path, &entry.path) {
        Ok(found) => found,
        Err(BackupError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            return Err(wrong("it is missing".to_owned()));
        }
        Err(error) => return Err(error),
    };
    if found != *entry {
        return Err(wrong(format!(
            "{} bytes, sha256 {}",
            found.bytes, found.sha256
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::is_known;

    #[test]
    fn only_names_of_the_closed_list_are_known() {
        for name in [
            "store.db",
            "webhooks.key",
            "admin.key",
            "signing/root.json",
            "signing/roots/12.json",
            "signing/keys/control.json",
        ] {
            assert!(is_known(name), "{name}");
        }
        for name in [
            "",
            "store.db/",
            "/etc/passwd",
            "../store.db",
            "manifest.json",
            "signing/../store.db.json",
            "signing/roots/.json",
            "signing/roots/1/2.json",
            "signing/keys/../keys/root.json",
            "signing/keys/other.json",
            "signing/root",
        ] {
            assert!(!is_known(name), "{name}");
        }
    }
}
