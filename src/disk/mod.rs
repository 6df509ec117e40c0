//! What survives a restart?
//!
//! The data folder and its lock ([`folder`]), the last good snapshots
//! ([`keep`]) and the journal of progress ([`journal`]). Files are reached
//! through the [`Disk`] trait, so that a simulation can lose power at every
//! step; the real one is [`RealDisk`], the simulated one
//! [`MemoryDisk`](memory::MemoryDisk).

pub mod folder;
pub mod journal;
pub mod keep;
pub mod memory;
mod real;

pub use real::RealDisk;

use std::{io, path::Path};

/// The operations on files that durability rests on.
///
/// Nothing is durable before the matching sync: file content by
/// [`DiskFile::sync_data`] or [`DiskFile::sync_all`], a created, renamed or
/// removed name by [`Disk::sync_dir`] on its folder. The one exception is
/// [`Disk::create_dir_all`], which syncs by itself.
pub trait Disk: Send + Sync + 'static {
    /// Creates the folder and those above it; durable when it returns.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;
    /// Names of the entries of a folder, sorted.
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;
    /// Whether the path exists.
    fn exists(&self, path: &Path) -> io::Result<bool>;
    /// The whole file; refuses one longer than `bytes_max`.
    fn read(&self, path: &Path, bytes_max: u64) -> io::Result<Vec<u8>>;
    /// Creates a file that must not exist, for reading and writing.
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// Opens an existing file for reading.
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// Replaces `to` atomically. Both must lie in the same folder.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Size of the file system that holds the folder; none when it does not say.
    fn file_system_bytes(&self, path: &Path) -> io::Result<Option<u64>>;
    /// Makes the folder's names durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
}

/// One open file.
pub trait DiskFile: Send + Sync {
    /// Writes all bytes at the offset.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Reads up to the buffer's length at the offset; 0 at the end.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Length in bytes.
    fn length(&self) -> io::Result<u64>;
    /// Makes the content durable, and the length if it changed.
    fn sync_data(&self) -> io::Result<()>;
    /// Makes content and metadata durable.
    fn sync_all(&self) -> io::Result<()>;
}

/// Reads until the buffer is full or the file ends; returns the bytes read.
fn read_full(file: &dyn DiskFile, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// The refusal of a file that is longer than its reader allows.
fn too_large(path: &Path, found: u64, bytes_max: u64) -> io::Error {
    io::Error::new(
        io::ErrorKind::FileTooLarge,
        format!(
            "{} has {found} bytes, at most {bytes_max} are expected",
            path.display()
        ),
    )
}
