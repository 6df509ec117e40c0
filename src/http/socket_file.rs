//! Whose is a socket file?
//!
//! A process that was killed leaves its file behind, and nobody can bind to it
//! again: it is replaced when nobody answers there, and left alone when
//! somebody does. At the end it is removed, if it is still the one that was
//! made.

use std::{
    fs, io,
    os::unix::{
        fs::{FileTypeExt, MetadataExt, PermissionsExt},
        net::UnixStream,
    },
    path::{Path, PathBuf},
};

/// For the owner and its group: the web server or the sidecar that is to
/// connect is put into the group.
const MODE: u32 = 0o660;

/// A socket file that is ours; removed when dropped.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    /// Device and number, once it is bound.
    own: Option<(u64, u64)>,
}

impl SocketFile {
    /// Makes the path free, unless somebody has it.
    pub(super) fn take(path: &Path) -> io::Result<Self> {
        let taken = |text: &str| Err(io::Error::new(io::ErrorKind::AddrInUse, text));
        match fs::symlink_metadata(path) {
            Ok(found) if !found.file_type().is_socket() => {
                return taken(
                    "there is a file, and it is not a socket (remove it, or take another path)",
                );
            }
            Ok(_) => match UnixStream::connect(path) {
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    fs::remove_file(path)?;
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                _ => return taken("another process listens there"),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        Ok(Self {
            path: path.to_owned(),
            own: None,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The file is there now: gives it its mode and remembers which it is.
    pub(super) fn bound(&mut self) -> io::Result<()> {
        self.own = identity(&self.path);
        fs::set_permissions(&self.path, fs::Permissions::from_mode(MODE))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.own.is_some() && self.own == identity(&self.path) {
            // Whoever starts next replaces it as well.
            drop(fs::remove_file(&self.path));
        }
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    let found = fs::symlink_metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}
