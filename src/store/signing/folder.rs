//! How do roots and secrets stand in files?
//!
//! Everything is written with mode 0600 and synced; a secret that others may
//! read is refused, because it may have been read.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

use super::{SigningError, name, rules};
use crate::{
    limits,
    snapshot::{
        envelope::{Role, SigningKey, seal},
        wire::{EnvelopeFile, RootDocument},
    },
};

/// A key file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFile {
    role: String,
    keyid: String,
    seed: String,
}

/// The file of a role's secret.
pub(super) fn key_path(folder: &Path, role: Role) -> PathBuf {
    folder.join("keys").join(format!("{}.json", name(role)))
}

/// A secret as it stands in its file.
pub(super) fn key_file(role: Role, key: &SigningKey) -> Vec<u8> {
    let file = serde_json::json!({
        "role": name(role), "keyid": key.id(), "seed": STANDARD.encode(key.seed()),
    });
    file.to_string().into_bytes()
}

/// Writes a role's secret.
pub(super) fn write_key(folder: &Path, role: Role, key: &SigningKey) -> Result<(), SigningError> {
    write_private(&key_path(folder, role), &key_file(role, key))
}

/// Reads a role's secret and checks it against the root.
pub(super) fn read_key(
    folder: &Path,
    role: Role,
    root: &RootDocument,
) -> Result<SigningKey, SigningError> {
    finish_rotation(folder, role, root)?;
    let path = key_path(folder, role);
    refuse_readable(&path)?;
    let content = |why: String| SigningError::Content {
        path: path.display().to_string(),
        why,
    };
    let bytes = read(&path, limits::DOCUMENT_BYTES_MAX)?;
    // serde's message may quote the text it stumbled over, which is a secret.
    let file: KeyFile = serde_json::from_slice(&bytes)
        .map_err(|_| content("expected an object of role, keyid and seed".to_owned()))?;
    let seed: [u8; 32] = STANDARD
        .decode(&file.seed)
        .ok()
        .and_then(|seed| seed.try_into().ok())
        .ok_or_else(|| content("the seed is not base64 of 32 bytes".to_owned()))?;
    let key = SigningKey::from_seed(&seed);
    if file.role != name(role) || file.keyid != key.id() {
        return Err(content(format!(
            "it names the {} key {} (expected the {} key {})",
            file.role,
            file.keyid,
            name(role),
            key.id()
        )));
    }
    if !rules(root, role).contains(&key.id().as_str()) {
        return Err(content(format!(
            "key {} may not act as {} under root {} (expected {})",
            key.id(),
            name(role),
            root.version,
            rules(root, role).join(" or ")
        )));
    }
    Ok(key)
}

/// Puts the secret of an interrupted rotation in its place once the root that
/// names it is there.
fn finish_rotation(folder: &Path, role: Role, root: &RootDocument) -> Result<(), SigningError> {
    let path = key_path(folder, role);
    let waiting = path.with_extension("next");
    if !waiting.exists() {
        return Ok(());
    }
    let bytes = read(&waiting, limits::DOCUMENT_BYTES_MAX)?;
    let file = serde_json::from_slice::<KeyFile>(&bytes).ok();
    if file.is_some_and(|file| rules(root, role).contains(&file.keyid.as_str())) {
        rename(&waiting, &path)?;
    }
    Ok(())
}

/// Signs a root, keeps it under its number and puts it in force.
pub(super) fn write_root(
    folder: &Path,
    root: &RootDocument,
    signers: &[&SigningKey],
) -> Result<(), SigningError> {
    let path = folder.join("root.json");
    let payload = serde_json::to_vec(root).map_err(|error| SigningError::Content {
        path: path.display().to_string(),
        why: error.to_string(),
    })?;
    let file = seal(Role::Root, &payload, signers);
    let kept = folder.join("roots").join(format!("{}.json", root.version));
    write_private(&kept, &file)?;
    let waiting = path.with_extension("next");
    write_private(&waiting, &file)?;
    rename(&waiting, &path)
}

/// The root in a file. Not verified here: edges do that, and this folder is the
/// store's own.
pub(super) fn read_root(path: &Path) -> Result<RootDocument, SigningError> {
    let content = |why: String| SigningError::Content {
        path: path.display().to_string(),
        why,
    };
    let bytes = read(path, limits::DOCUMENT_BYTES_MAX)?;
    let file: EnvelopeFile =
        serde_json::from_slice(&bytes).map_err(|error| content(error.to_string()))?;
    let payload = STANDARD
        .decode(&file.payload)
        .map_err(|error| content(error.to_string()))?;
    serde_json::from_slice(&payload).map_err(|error| content(error.to_string()))
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> SigningError {
    let path = path.display().to_string();
    move |source| SigningError::File { path, source }
}

/// A whole file of at most so many bytes.
pub(in crate::store) fn read(path: &Path, bytes_max: usize) -> Result<Vec<u8>, SigningError> {
    let length = fs::metadata(path).map_err(failed(path))?.len();
    if length > bytes_max as u64 {
        return Err(SigningError::Content {
            path: path.display().to_string(),
            why: format!("{length} bytes (expected at most {bytes_max})"),
        });
    }
    fs::read(path).map_err(failed(path))
}

/// Writes a file that only its owner may read, durable when this returns.
pub(in crate::store) fn write_private(path: &Path, bytes: &[u8]) -> Result<(), SigningError> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).map_err(failed(path))?;
    io::Write::write_all(&mut file, bytes).map_err(failed(path))?;
    file.sync_all().map_err(failed(path))
}

/// Replaces a file, durable when this returns.
pub(in crate::store) fn rename(from: &Path, to: &Path) -> Result<(), SigningError> {
    fs::rename(from, to).map_err(failed(to))?;
    to.parent().map_or(Ok(()), sync_folder)
}

/// Makes the names in a folder durable.
pub(in crate::store) fn sync_folder(folder: &Path) -> Result<(), SigningError> {
    // The parent of a bare name.
    let folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    let opened = fs::File::open(folder).map_err(failed(folder))?;
    opened.sync_all().map_err(failed(folder))
}

/// Creates a folder only its owner may enter.
pub(in crate::store) fn private_folder(path: &Path) -> Result<(), SigningError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(failed(path))
}

/// Refuses a secret that others may have read. One that nobody may write and
/// only a group may read is what orchestrators mount: their files belong to
/// root, and the group is how this process gets at them.
#[cfg(unix)]
pub(in crate::store) fn refuse_readable(path: &Path) -> Result<(), SigningError> {
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(path)
        .map_err(failed(path))?
        .permissions()
        .mode()
        & 0o777;
    if mode & 0o077 != 0 && mode != 0o440 {
        return Err(SigningError::Readable {
            path: path.display().to_string(),
            mode,
        });
    }
    Ok(())
}

/// Refuses a secret that others may have read.
#[cfg(not(unix))]
pub(in crate::store) fn refuse_readable(_path: &Path) -> Result<(), SigningError> {
    Ok(())
}
