//! How does an edge read flags from a file?
//!
//! The file is looked at every so often and read when it looks different, so
//! that whoever writes it has to tell nobody. Reading blocks, and so is done
//! off the control runtime.

use std::{io, path::PathBuf, time::Duration};

use super::file::{Look, off_thread, read};
use crate::{limits::FLAGS_BYTES_MAX, refresh::SourceError};

/// A file of flags.
#[derive(Clone, Debug)]
pub struct FeaturesFile {
    path: PathBuf,
    /// How it looked before it was read last.
    seen: Option<Look>,
}

impl FeaturesFile {
    /// Nothing is read yet.
    pub fn new(path: PathBuf) -> Self {
        Self { path, seen: None }
    }

    /// Reads it now; blocks.
    pub fn read(&mut self) -> io::Result<Vec<u8>> {
        // Before it is read: what changes meanwhile looks different afterwards.
        self.seen = Some(Look::at(&self.path)?);
        read(&self.path, FLAGS_BYTES_MAX as u64)
    }

    /// Waits for so long, then reads it if it looks different; none if it does
    /// not. A file that could not be read counts as not seen.
    pub async fn look(&mut self, pause: Duration) -> Result<Option<Vec<u8>>, SourceError> {
        tokio::time::sleep(pause).await;
        let mut file = self.clone();
        let looked = off_thread(move || {
            let seen = file.seen.take();
            let bytes = match Look::at(&file.path) {
                Ok(look) if seen == Some(look) => {
                    file.seen = seen;
                    Ok(None)
                }
                Ok(_) => file.read().map(Some),
                Err(error) => Err(error),
            };
            (bytes, file)
        });
        let (bytes, file) = looked.await?;
        *self = file;
        bytes.map_err(|error| {
            self.seen = None;
            SourceError::Away(format!("{} cannot be read: {error}", self.path.display()))
        })
    }
}
