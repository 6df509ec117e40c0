//! How do scripts find a running `flowgate dev`?
//!
//! The content of `dev.json`: real addresses and all keys. It holds secrets,
//! so it is written with mode 0600, and under a temporary name first: a reader
//! never sees half of it.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    path::Path,
};

use serde::{Deserialize, Serialize};

/// Addresses and keys of one `flowgate dev`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DevInfo {
    /// Where applications connect.
    pub edge_url: String,
    /// Where the command line connects.
    pub store_url: String,
    /// Where health and metrics are.
    pub edge_admin_url: String,
    /// Of the store.
    pub admin_key: String,
    /// Environment name to kind of key to key.
    pub environments: BTreeMap<String, BTreeMap<String, String>>,
}

impl DevInfo {
    /// Reads the file of a data folder.
    pub fn read(path: &Path) -> io::Result<Self> {
        let text = std::fs::read(path)?;
        serde_json::from_slice(&text).map_err(io::Error::from)
    }

    /// Puts the file in place of an older one.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let temporary = path.with_extension("json.new");
        // A leftover of a crash may have other permissions.
        match std::fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&temporary)?;
        serde_json::to_writer_pretty(&mut file, self)?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)
    }

    /// The key of a kind in an environment.
    pub fn key(&self, environment: &str, kind: &str) -> Option<&str> {
        let keys = self.environments.get(environment)?;
        keys.get(kind).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back_and_private() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("dev.json");
        let mut info = DevInfo {
            edge_url: "http://127.0.0.1:7070".into(),
            ..DevInfo::default()
        };
        info.write(&path).expect("a first file");
        let blocks = [("blocks".to_owned(), "blocks-development-1".to_owned())];
        info.environments
            .insert("development".into(), blocks.into());
        info.write(&path).expect("a file over it");
        let read = DevInfo::read(&path).expect("the file");
        assert_eq!(read, info);
        assert_eq!(
            read.key("development", "blocks"),
            Some("blocks-development-1")
        );
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(&path)
                .expect("the file")
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }
}
