//! What was served last, and how high had we come?
//!
//! `snapshots/<environment>/` holds pack files and one manifest, which names
//! the packs by hash beside the high-water marks: content and marks change in
//! one rename and cannot disagree. A manifest that is missing beside packs, or
//! that cannot be read, is an error and never "nothing there": otherwise
//! deleting one file would make an old revision acceptable again. What a pack
//! holds is not known here; its reader verifies it as if it came from afar.

mod manifest;
#[cfg(test)]
mod tests;

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use self::manifest::{Body, HeldEntry, PackEntry};
use super::Disk;
use crate::{
    limits::{DOCUMENT_BYTES_MAX, GUARD_FILE_BYTES_MAX, SID_BYTES_MAX, SNAPSHOT_BYTES_MAX},
    snapshot::{sha256_hex, trust::Marks},
};

/// The last good snapshots of one environment.
pub struct Keep {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    environment: String,
}

/// What was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The highest things ever accepted.
    pub marks: Marks,
    /// The pack; None when marks were raised before any pack was stored.
    pub pack: Option<Vec<u8>>,
    /// The current pack is damaged and this is the one before it: older than
    /// the marks say.
    pub fell_back: bool,
}

/// A release that was accepted and does not serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldRelease {
    /// Its version.
    pub version: u64,
    /// SHA-256 of its envelope file.
    pub sha256: String,
}

/// Why nothing can be kept, or what was kept cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// The environment's name cannot be a folder's name.
    #[error("environment name {0:?} found, letters, digits, '-', '_' and '.' are expected")]
    Name(String),
    /// The disk refused.
    #[error("{} cannot be read or written", path.display())]
    Io {
        /// What was to be read or written.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The manifest is there and cannot be used.
    #[error("manifest {} is damaged: {found} (restore it, or remove the folder to forget what was accepted)", path.display())]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// What was found and expected.
        found: String,
    },
    /// Another version of the program wrote it.
    #[error("manifest {} has format {found}, format {} is expected", path.display(), manifest::FORMAT)]
    Format {
        /// The manifest.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// There are packs and no manifest.
    #[error("manifest {} is missing beside {packs} pack files (restore it, or remove the folder to forget what was accepted)", path.display())]
    ManifestMissing {
        /// Where it should be.
        path: PathBuf,
        /// How many packs there are.
        packs: usize,
    },
    /// No pack that the manifest names is as it says.
    #[error("no usable pack in {}: {found}", folder.display())]
    Damaged {
        /// The environment's folder.
        folder: PathBuf,
        /// What is wrong with each.
        found: String,
    },
    /// The pack is larger than one that could be read again.
    #[error("a pack of {0} bytes found, at most {SNAPSHOT_BYTES_MAX} are expected")]
    TooLarge(usize),
}

const MANIFEST: &str = "manifest.json";
const CONTEXTS: &str = "contexts.jsonl";
const PACK_SUFFIX: &str = ".pack";
/// Ends names of files that are not complete yet.
const PARTIAL_SUFFIX: &str = ".tmp";

/// A held release, and the pack of the one that serves meanwhile.
pub type HeldAndServing = (HeldRelease, Option<Vec<u8>>);

impl Keep {
    /// Makes the environment's folder under `folder` and removes what an
    /// interrupted [`Keep::store`] left there.
    pub fn open(disk: Arc<dyn Disk>, folder: &Path, environment: &str) -> Result<Self, KeepError> {
        let keep = Self::look(disk, folder, environment)?;
        keep.disk
            .create_dir_all(&keep.folder)
            .map_err(|source| keep.io(&keep.folder, source))?;
        // A folder without a usable manifest is left as it is, for whoever
        // repairs it; load and store say what is wrong.
        if let Ok(body) = keep.read_manifest() {
            keep.remove_unnamed(&body);
        }
        Ok(keep)
    }

    /// The folder as it is: nothing is made and nothing removed, so that one
    /// which a running process owns can be read.
    pub fn look(disk: Arc<dyn Disk>, folder: &Path, environment: &str) -> Result<Self, KeepError> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let fits = (1..=SID_BYTES_MAX).contains(&environment.len());
        if !fits || environment.starts_with('.') || !environment.bytes().all(plain) {
            return Err(KeepError::Name(environment.to_owned()));
        }
        Ok(Self {
            disk,
            folder: folder.join(environment),
            environment: environment.to_owned(),
        })
    }

    /// The marks alone; also there when no pack is usable.
    pub fn marks(&self) -> Result<Option<Marks>, KeepError> {
        Ok(self.read_manifest()?.marks.map(Marks::from))
    }

    /// What was kept; None if nothing ever was.
    pub fn load(&self) -> Result<Option<Kept>, KeepError> {
        let body = self.read_manifest()?;
        let Some(marks) = body.marks.map(Marks::from) else {
            return Ok(None);
        };
        let kept = |pack, fell_back| Kept {
            marks: marks.clone(),
            pack,
            fell_back,
        };
        let Some(current) = &body.current else {
            return Ok(Some(kept(None, false)));
        };
        let damage = match self.read_pack(current) {
            Ok(pack) => return Ok(Some(kept(Some(pack), false))),
            Err(damage) => damage,
        };
        let found = match &body.previous {
            None => format!("{damage}; there is no previous one"),
            Some(previous) => match self.read_pack(previous) {
                Ok(pack) => return Ok(Some(kept(Some(pack), true))),
                Err(older) => format!("{damage}; {older}"),
            },
        };
        Err(KeepError::Damaged {
            folder: self.folder.clone(),
            found,
        })
    }

    /// The release of the current pack, if it is held, and the pack of the one
    /// that serves; none when that is damaged.
    pub fn held(&self) -> Result<Option<HeldAndServing>, KeepError> {
        let body = self.read_manifest()?;
        let Some(held) = body.held.into_iter().next() else {
            return Ok(None);
        };
        let serves = body.in_force.as_ref();
        let pack = serves.and_then(|entry| self.read_pack(entry).ok());
        Ok(Some((held.into(), pack)))
    }

    /// Keeps sampled contexts beside the packs; they are not in the manifest,
    /// because nothing depends on them.
    pub fn store_contexts(&self, bytes: &[u8]) -> Result<(), KeepError> {
        self.replace(CONTEXTS, bytes)
    }

    /// The contexts kept last; none when there are none or they are too large.
    pub fn contexts(&self) -> Option<Vec<u8>> {
        let path = self.folder.join(CONTEXTS);
        self.disk.read(&path, GUARD_FILE_BYTES_MAX as u64).ok()
    }

    /// Forgets them: nothing is sampled any more.
    pub fn forget_contexts(&self) {
        // Not there is as good; what cannot be removed is tried at each start.
        self.disk.remove(&self.folder.join(CONTEXTS)).ok();
    }

    /// Raises the marks and leaves the packs as they are.
    pub fn raise(&self, marks: &Marks) -> Result<(), KeepError> {
        let mut body = self.read_manifest()?;
        body.marks = Some(marks.into());
        self.write_manifest(&body)
    }

    /// Stores a pack and its marks; both are durable when this returns.
    ///
    /// The pack that was current becomes the previous one if it is still
    /// whole; packs that are not named any more are removed last.
    pub fn store(&self, marks: &Marks, pack: &[u8]) -> Result<(), KeepError> {
        self.store_as(marks, pack, None)
    }

    /// As [`Self::store`], for a pack whose release does not serve: the pack of
    /// the one that does stays.
    pub fn store_held(
        &self,
        marks: &Marks,
        pack: &[u8],
        held: &HeldRelease,
    ) -> Result<(), KeepError> {
        self.store_as(marks, pack, Some(held))
    }

    fn store_as(
        &self,
        marks: &Marks,
        pack: &[u8],
        held: Option<&HeldRelease>,
    ) -> Result<(), KeepError> {
        if pack.len() > SNAPSHOT_BYTES_MAX {
            return Err(KeepError::TooLarge(pack.len()));
        }
        let before = self.read_manifest()?;
        if before.marks.is_none() {
            // A pack without any manifest is an error, so the first pack does
            // not come before the first manifest.
            self.write_manifest(&before)?;
        }
        let sha256 = sha256_hex(pack);
        let short = sha256.get(..16).unwrap_or_default();
        let entry = PackEntry {
            file: format!("{}.{}-{short}{PACK_SUFFIX}", marks.epoch, marks.revision),
            length: pack.len() as u64,
            sha256,
        };
        self.replace(&entry.file, pack)?;
        // Reading the old pack costs a few milliseconds and keeps a damaged
        // one from pushing out the last good one.
        let whole = |old: &PackEntry| *old != entry && self.read_pack(old).is_ok();
        let in_force = held.and_then(|_| match before.in_force {
            Some(ref serves) => Some(serves.clone()),
            None => before.current.clone(),
        });
        let previous = before.current.filter(whole);
        let previous = previous.or_else(|| before.previous.filter(|old| *old != entry));
        let body = Body {
            marks: Some(marks.into()),
            current: Some(entry),
            previous,
            held: held.into_iter().map(HeldEntry::from).collect(),
            in_force,
            environment: before.environment,
        };
        self.write_manifest(&body)?;
        self.remove_unnamed(&body);
        Ok(())
    }

    /// The manifest; an empty one if the folder has never held anything.
    fn read_manifest(&self) -> Result<Body, KeepError> {
        let path = self.folder.join(MANIFEST);
        match self.disk.read(&path, DOCUMENT_BYTES_MAX as u64) {
            Ok(bytes) => manifest::parse(&path, &self.environment, &bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let names = self.names()?;
                let packs = names.iter().filter(|name| name.ends_with(PACK_SUFFIX));
                match packs.count() {
                    0 => Ok(Body::empty(&self.environment)),
                    packs => Err(KeepError::ManifestMissing { path, packs }),
                }
            }
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => Err(KeepError::Manifest {
                path,
                found: error.to_string(),
            }),
            Err(source) => Err(self.io(&path, source)),
        }
    }

    fn write_manifest(&self, body: &Body) -> Result<(), KeepError> {
        let bytes = manifest::encode(body).map_err(|error| {
            let path = self.folder.join(MANIFEST);
            self.io(&path, io::Error::other(error))
        })?;
        self.replace(MANIFEST, &bytes)
    }

    /// The pack, or what is wrong with it.
    fn read_pack(&self, entry: &PackEntry) -> Result<Vec<u8>, String> {
        let file = &entry.file;
        let cap = entry.length.min(SNAPSHOT_BYTES_MAX as u64);
        match self.disk.read(&self.folder.join(file), cap) {
            Ok(bytes) => {
                let found = sha256_hex(&bytes);
                if found == entry.sha256 {
                    return Ok(bytes);
                }
                let expected = &entry.sha256;
                Err(format!("{file} has hash {found}, {expected} is expected"))
            }
            Err(error) => Err(format!("{file} cannot be read: {error}")),
        }
    }

    /// Writes a file beside the old one and puts it in its place; durable with
    /// its name when this returns.
    fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), KeepError> {
        let path = self.folder.join(name);
        let partial = self.folder.join(format!("{name}{PARTIAL_SUFFIX}"));
        let written = || -> io::Result<()> {
            match self.disk.remove(&partial) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let file = self.disk.create_new(&partial)?;
            file.write_all_at(bytes, 0)?;
            file.sync_all()?;
            self.disk.rename(&partial, &path)?;
            self.disk.sync_dir(&self.folder)
        };
        written().map_err(|source| self.io(&path, source))
    }

    /// Removes packs that the manifest does not name and files that were not
    /// completed. What cannot be removed costs space, and is tried again.
    fn remove_unnamed(&self, body: &Body) {
        let named = |name: &str| {
            let packs = body.current.iter().chain(&body.previous);
            let mut entries = packs.chain(&body.in_force);
            entries.any(|entry| entry.file == name)
        };
        for name in self.names().unwrap_or_default() {
            let left =
                name.ends_with(PARTIAL_SUFFIX) || (name.ends_with(PACK_SUFFIX) && !named(&name));
            if left {
                self.disk.remove(&self.folder.join(name)).ok();
            }
        }
    }

    fn names(&self) -> Result<Vec<String>, KeepError> {
        let names = self.disk.list(&self.folder);
        names.map_err(|source| self.io(&self.folder, source))
    }

    fn io(&self, path: &Path, source: io::Error) -> KeepError {
        KeepError::Io {
            path: path.to_owned(),
            source,
        }
    }
}
