//! How does an edge read snapshots from a folder?
//!
//! The same files as `/edge/v1` serves, as anybody may put them there: a build
//! pipeline, a synchronised bucket, a mounted volume. Nothing of the folder is
//! believed: what is read goes through the checks of what is fetched, so a
//! folder that is half copied is refused by a hash and read again. What is new
//! is noticed by looking: notifications of file systems do not come from
//! another machine. Reading blocks, and so is done off the control runtime.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    limits::DOCUMENT_BYTES_MAX,
    refresh::{Blobs, FetchedTimestamp, SnapshotSource, SourceError, SourceFuture},
    snapshot::{is_sha256_hex, layout, sha256_hex, wire::Blob},
};

/// A folder of signed files.
#[derive(Clone, Debug)]
pub struct FileUpstream {
    folder: PathBuf,
    /// Between two looks while waiting for something new.
    reread: Duration,
}

/// What tells of a file, without reading it, that it may be another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Look {
    /// Seconds and nanoseconds of the last change to its bytes.
    modified: (i64, i64),
    length: u64,
    /// One that was renamed into the place of another has its own.
    number: u64,
}

impl Look {
    /// How a file looks now; blocks.
    pub(super) fn at(path: &Path) -> io::Result<Self> {
        let found = path.metadata()?;
        Ok(Self {
            modified: (found.mtime(), found.mtime_nsec()),
            length: found.len(),
            number: found.ino(),
        })
    }
}

impl FileUpstream {
    /// Nothing is read before it is asked for: the folder may come later.
    pub fn new(folder: PathBuf, reread: Duration) -> Self {
        Self { folder, reread }
    }

    /// A file below the folder; none if it is not there.
    async fn file(&self, path: PathBuf, bytes_max: u64) -> Result<Option<Vec<u8>>, SourceError> {
        let full = self.folder.join(&path);
        let read = off_thread(move || read(&full, bytes_max)).await?;
        match read {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
                Err(SourceError::TooLarge {
                    what: path.display().to_string(),
                    bytes_max,
                })
            }
            Err(error) => Err(away(&path, &error)),
        }
    }

    /// A file that another one refers to.
    async fn referred(&self, path: PathBuf, bytes_max: u64) -> Result<Vec<u8>, SourceError> {
        let name = path.display().to_string();
        let found = self.file(path, bytes_max).await?;
        found.ok_or_else(|| {
            SourceError::Refused(format!(
                "{name} is not in the folder, the timestamp leads to it (expected every other file to be \
                 copied before timestamp.json)"
            ))
        })
    }

    async fn look(&self, path: &Path) -> Result<Option<Look>, SourceError> {
        let full = self.folder.join(path);
        let looked = off_thread(move || Look::at(&full));
        match looked.await? {
            Ok(look) => Ok(Some(look)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(away(path, &error)),
        }
    }

    /// The timestamp file, unless it is the one known; waits for another one.
    ///
    /// Each call reads it once whatever its looks: one that was replaced within
    /// the resolution of modification times is found by the next call.
    async fn next_timestamp(
        &self,
        environment: &str,
        unless: Option<&str>,
        wait: Duration,
    ) -> Result<Option<FetchedTimestamp>, SourceError> {
        let path = layout::timestamp(environment);
        let until = Instant::now() + wait;
        let mut seen = None;
        loop {
            let look = self.look(&path).await?;
            if look.is_none() || look != seen {
                seen = look;
                let fetched = self.timestamp_now(&path).await?;
                if fetched.validator.as_deref() != unless {
                    return Ok(Some(fetched));
                }
            }
            let now = Instant::now();
            if now >= until {
                return Ok(None);
            }
            tokio::time::sleep(self.reread.min(until - now)).await;
        }
    }

    async fn timestamp_now(&self, path: &Path) -> Result<FetchedTimestamp, SourceError> {
        let file = self
            .file(path.to_owned(), DOCUMENT_BYTES_MAX as u64)
            .await?;
        let file = file.ok_or_else(|| {
            SourceError::Away(format!(
                "there is no {} in {}",
                path.display(),
                self.folder.display()
            ))
        })?;
        let validator = Some(sha256_hex(&file));
        Ok(FetchedTimestamp { file, validator })
    }

    async fn all_parts(&self, environment: &str, wanted: &[Blob]) -> Result<Blobs, SourceError> {
        let mut blobs = Blobs::new();
        for blob in wanted {
            // Only names that cannot lead out of the folder.
            if !is_sha256_hex(&blob.sha256) {
                let text = "a part is named by no SHA-256".to_owned();
                return Err(SourceError::Refused(text));
            }
            let path = layout::part(environment, &blob.sha256);
            let bytes = self.referred(path, blob.length).await?;
            blobs.insert(blob.sha256.clone(), bytes);
        }
        Ok(blobs)
    }
}

impl SnapshotSource for FileUpstream {
    fn root<'a>(&'a self, _: &'a str, version: u64) -> SourceFuture<'a, Option<Vec<u8>>> {
        Box::pin(self.file(layout::root(version), DOCUMENT_BYTES_MAX as u64))
    }

    fn timestamp<'a>(
        &'a self,
        environment: &'a str,
        unless: Option<&'a str>,
        wait: Duration,
    ) -> SourceFuture<'a, Option<FetchedTimestamp>> {
        Box::pin(self.next_timestamp(environment, unless, wait))
    }

    fn release<'a>(
        &'a self,
        environment: &'a str,
        version: u64,
        bytes_max: u64,
    ) -> SourceFuture<'a, Vec<u8>> {
        Box::pin(self.referred(layout::release(environment, version), bytes_max))
    }

    fn control<'a>(
        &'a self,
        environment: &'a str,
        version: u64,
        bytes_max: u64,
    ) -> SourceFuture<'a, Vec<u8>> {
        Box::pin(self.referred(layout::control(environment, version), bytes_max))
    }

    fn parts<'a>(&'a self, environment: &'a str, wanted: &'a [Blob]) -> SourceFuture<'a, Blobs> {
        Box::pin(self.all_parts(environment, wanted))
    }
}

fn away(path: &Path, error: &io::Error) -> SourceError {
    SourceError::Away(format!("{} cannot be read: {error}", path.display()))
}

/// A whole file of at most so many bytes. Pipes and devices, which may never
/// end or never begin, are none.
pub(super) fn read(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let found = path.metadata()?;
    if !found.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?
        .take(bytes_max.saturating_add(1))
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(bytes)
}

/// Runs what blocks where it keeps nobody waiting.
pub(super) async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, SourceError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| SourceError::Away("reading the folder panicked".to_owned()))
}
