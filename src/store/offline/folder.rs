//! How is a folder of snapshot files read and written?
//!
//! Every file is written beside its place and renamed into it, the timestamp
//! of an environment last: whoever reads the folder meanwhile sees the old
//! revision or the new one. What a hash names is read with the hash in hand.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::de::DeserializeOwned;

use super::{Built, CONTENT_FORMAT, ContentFile};
use crate::{
    limits,
    snapshot::{
        layout,
        pack::Pack,
        parts::{self, PartsError},
        wire::{Blob, EnvelopeFile, ReleaseDocument, TimestampDocument},
    },
};

/// Why a folder of snapshot files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// The system refused.
    #[error("{} cannot be read or written", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{} cannot be used: {why}", path.display())]
    Content {
        /// Which file.
        path: PathBuf,
        /// What was found and expected.
        why: String,
    },
    /// The index, a shard or a part is not what its hash says.
    #[error("the parts of environment {environment} cannot be used")]
    Parts {
        /// Which environment.
        environment: String,
        /// Why.
        source: PartsError,
    },
}

/// A folder of snapshot files.
#[derive(Clone, Debug)]
pub struct SnapshotFolder(PathBuf);

impl SnapshotFolder {
    /// The folder at a path, which need not be there yet.
    pub fn at(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// Whether there is one at a path.
    pub fn is_at(path: &Path) -> bool {
        path.join(layout::ENVIRONMENTS).is_dir()
    }

    /// Names of its environments, sorted.
    pub fn environments(&self) -> Result<Vec<String>, FolderError> {
        let mut names = self.names(Path::new(layout::ENVIRONMENTS))?;
        // What desktops and copying tools leave behind is no environment.
        names.retain(|name| self.0.join(layout::environment(name)).is_dir());
        names.sort();
        Ok(names)
    }

    /// What was built last of an environment; none if nothing was built here.
    pub fn content(&self, environment: &str) -> Result<Option<ContentFile>, FolderError> {
        let path = layout::content(environment);
        let Some(bytes) = self.read(&path, limits::DOCUMENT_BYTES_MAX)? else {
            return Ok(None);
        };
        let file: ContentFile =
            serde_json::from_slice(&bytes).map_err(|error| self.odd(&path, error.to_string()))?;
        if file.flowgate != CONTENT_FORMAT || file.environment != environment {
            let why = format!(
                "found {:?} of environment {:?} (expected {CONTENT_FORMAT:?} of {environment:?})",
                file.flowgate, file.environment
            );
            return Err(self.odd(&path, why));
        }
        Ok(Some(file))
    }

    /// Writes what was built; the parts first.
    pub fn write_built(&self, built: &Built) -> Result<(), FolderError> {
        let environment = &built.content.environment;
        for (sha256, bytes) in &built.blobs {
            let path = layout::part(environment, sha256);
            // One that is damaged is written again, whatever is wrong with it.
            let known = self.read(&path, limits::PART_BYTES_MAX).ok().flatten();
            if known.as_ref() != Some(bytes) {
                // Thousands of them, and found out by their hash when a crash
                // of the machine takes one: not worth a sync each.
                self.place(&path, bytes, false)?;
            }
        }
        let path = layout::content(environment);
        let mut bytes = serde_json::to_vec_pretty(&built.content)
            .map_err(|error| self.odd(&path, error.to_string()))?;
        bytes.push(b'\n');
        self.write(&path, &bytes)
    }

    /// The signed state of an environment as one pack, unverified; none where
    /// nothing is signed. Parts that are missing are missing in it.
    pub fn pack(&self, environment: &str) -> Result<Option<Pack>, FolderError> {
        let path = layout::timestamp(environment);
        let Some(timestamp) = self.read(&path, limits::DOCUMENT_BYTES_MAX)? else {
            return Ok(None);
        };
        let says: TimestampDocument = self.payload(&path, &timestamp)?;
        let release_path = layout::release(environment, says.release.version);
        let release = self.document(&release_path)?;
        let control = self.document(&layout::control(environment, says.control.version))?;
        let index = self
            .payload::<ReleaseDocument>(&release_path, &release)?
            .index;
        Ok(Some(Pack {
            roots: self.roots()?,
            timestamp,
            release,
            control,
            blobs: self.blobs(environment, &index)?,
        }))
    }

    /// Everything an index leads to, as far as it is there.
    pub fn blobs(
        &self,
        environment: &str,
        index: &Blob,
    ) -> Result<BTreeMap<String, Vec<u8>>, FolderError> {
        let mut blobs = BTreeMap::new();
        let odd = |source| FolderError::Parts {
            environment: environment.to_owned(),
            source,
        };
        let Some(encoded) = self.blob(environment, index)? else {
            return Ok(blobs);
        };
        let document = parts::index(index, &encoded).map_err(odd)?;
        blobs.insert(index.sha256.clone(), encoded);
        for shard in document.shards.values() {
            let Some(encoded) = self.blob(environment, shard)? else {
                continue;
            };
            let document = parts::shard(shard, &encoded).map_err(odd)?;
            blobs.insert(shard.sha256.clone(), encoded);
            for part in document.parts {
                if let Some(encoded) = self.blob(environment, &part.blob)? {
                    blobs.insert(part.blob.sha256, encoded);
                }
            }
        }
        Ok(blobs)
    }

    /// Puts a file in its place; durable when this returns.
    pub(super) fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), FolderError> {
        self.place(path, bytes, true)
    }

    fn place(&self, path: &Path, bytes: &[u8], durable: bool) -> Result<(), FolderError> {
        let full = self.0.join(path);
        let partial = full.with_extension("partial");
        let folder = full.parent().unwrap_or(Path::new("."));
        let written = || -> io::Result<()> {
            fs::create_dir_all(folder)?;
            // Nothing in here is secret: another user may serve it.
            let mut file = fs::File::create(&partial)?;
            io::Write::write_all(&mut file, bytes)?;
            if durable {
                file.sync_all()?;
            }
            fs::rename(&partial, &full)?;
            match durable {
                true => fs::File::open(folder)?.sync_all(),
                false => Ok(()),
            }
        };
        written().map_err(|source| FolderError::File {
            path: full.clone(),
            source,
        })
    }

    /// A document that has to be there.
    fn document(&self, path: &Path) -> Result<Vec<u8>, FolderError> {
        let found = self.read(path, limits::DOCUMENT_BYTES_MAX)?;
        found.ok_or_else(|| self.odd(path, "it is missing, the timestamp leads to it".to_owned()))
    }

    fn blob(&self, environment: &str, blob: &Blob) -> Result<Option<Vec<u8>>, FolderError> {
        if !crate::snapshot::is_sha256_hex(&blob.sha256) {
            let path = layout::content(environment);
            return Err(self.odd(&path, "a part is named by no SHA-256".to_owned()));
        }
        let path = layout::part(environment, &blob.sha256);
        self.read(&path, limits::PART_BYTES_MAX)
    }

    /// Every root file, in order.
    fn roots(&self) -> Result<Vec<Vec<u8>>, FolderError> {
        let names = self.names(Path::new(layout::ROOTS))?;
        let numbers = names.iter().filter_map(|name| name.strip_suffix(".json"));
        let mut numbers: Vec<u64> = numbers.filter_map(|digits| digits.parse().ok()).collect();
        numbers.sort_unstable();
        let first = numbers.len().saturating_sub(limits::ROOT_STEPS_MAX);
        let newest = numbers.into_iter().skip(first);
        newest
            .map(|number| self.document(&layout::root(number)))
            .collect()
    }

    /// What an envelope says, its signatures unseen.
    fn payload<T: DeserializeOwned>(&self, path: &Path, file: &[u8]) -> Result<T, FolderError> {
        let odd = |why: String| self.odd(path, why);
        let file: EnvelopeFile =
            serde_json::from_slice(file).map_err(|error| odd(error.to_string()))?;
        let payload = STANDARD
            .decode(&file.payload)
            .map_err(|error| odd(error.to_string()))?;
        serde_json::from_slice(&payload).map_err(|error| odd(error.to_string()))
    }

    fn names(&self, folder: &Path) -> Result<Vec<String>, FolderError> {
        let path = self.0.join(folder);
        let listed = fs::read_dir(&path).and_then(|entries| {
            let names = entries.map(|entry| entry.map(|entry| entry.file_name()));
            names.collect::<io::Result<Vec<_>>>()
        });
        match listed {
            Ok(names) => Ok(names
                .into_iter()
                .filter_map(|name| name.into_string().ok())
                .collect()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(source) => Err(FolderError::File { path, source }),
        }
    }

    /// A file below the folder; none if it is not there.
    fn read(&self, path: &Path, bytes_max: usize) -> Result<Option<Vec<u8>>, FolderError> {
        let path = self.0.join(path);
        let length = match fs::metadata(&path) {
            Ok(found) => found.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(FolderError::File { path, source }),
        };
        if length > bytes_max as u64 {
            let why = format!("{length} bytes found, at most {bytes_max} expected");
            return Err(self.odd(&path, why));
        }
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(source) => Err(FolderError::File { path, source }),
        }
    }

    fn odd(&self, path: &Path, why: String) -> FolderError {
        FolderError::Content {
            path: self.0.join(path),
            why,
        }
    }
}
