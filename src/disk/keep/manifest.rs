//! What does a manifest say?
//!
//! `{"format":1,"sha256":…,"body":{…}}`: the hash covers the body's bytes as
//! they stand, because a flipped digit of a high-water mark would otherwise
//! still be a number. It guards against damage, not against an attacker, who
//! could write a new one; what the packs hold is signed.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{HeldRelease, KeepError};
use crate::snapshot::{sha256_hex, trust::Marks};

/// The format that is written and read.
pub(super) const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
struct File {
    format: u32,
    sha256: String,
    body: Box<RawValue>,
}

/// Readable in every format.
#[derive(Deserialize)]
struct Format {
    format: u32,
}

/// The manifest's content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Body {
    /// The environment's name, as in the folder's.
    pub(super) environment: String,
    /// None until something was accepted.
    pub(super) marks: Option<MarksEntry>,
    pub(super) current: Option<PackEntry>,
    pub(super) previous: Option<PackEntry>,
    /// The release of the current pack, while it waits for a confirmation.
    pub(super) held: Vec<HeldEntry>,
    /// While a release is held: the pack of the one that serves. A reader
    /// which does not know the member refuses the manifest, and so does not
    /// serve what is held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) in_force: Option<PackEntry>,
}

/// One pack file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PackEntry {
    pub(super) file: String,
    pub(super) sha256: String,
    pub(super) length: u64,
}

/// A release that is held back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HeldEntry {
    pub(super) release_version: u64,
    pub(super) release_sha256: String,
}

/// [`Marks`] as they stand in the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MarksEntry {
    environment_uid: String,
    root_version: u64,
    epoch: u32,
    revision: u64,
    serial: u64,
    timestamp_sha256: String,
    release_version: u64,
    release_sha256: String,
    control_version: u64,
    control_sha256: String,
}

impl Body {
    /// Nothing was accepted yet.
    pub(super) fn empty(environment: &str) -> Self {
        Self {
            environment: environment.to_owned(),
            marks: None,
            current: None,
            previous: None,
            held: Vec::new(),
            in_force: None,
        }
    }
}

/// The bytes of the file.
pub(super) fn encode(body: &Body) -> serde_json::Result<Vec<u8>> {
    let body = serde_json::value::to_raw_value(body)?;
    let mut bytes = serde_json::to_vec(&File {
        format: FORMAT,
        sha256: sha256_hex(body.get().as_bytes()),
        body,
    })?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Reads the file's bytes.
pub(super) fn parse(path: &Path, environment: &str, bytes: &[u8]) -> Result<Body, KeepError> {
    let damaged = |found: String| KeepError::Manifest {
        path: path.to_owned(),
        found,
    };
    let unreadable = |error: serde_json::Error| damaged(error.to_string());
    let format: Format = serde_json::from_slice(bytes).map_err(unreadable)?;
    if format.format != FORMAT {
        return Err(KeepError::Format {
            path: path.to_owned(),
            found: format.format,
        });
    }
    let file: File = serde_json::from_slice(bytes).map_err(unreadable)?;
    let found = sha256_hex(file.body.get().as_bytes());
    if found != file.sha256 {
        let expected = file.sha256;
        return Err(damaged(format!(
            "hash {found} found, {expected} is expected"
        )));
    }
    let body: Body = serde_json::from_str(file.body.get()).map_err(unreadable)?;
    if body.environment != environment {
        return Err(damaged(format!(
            "environment {:?} found, {environment:?} is expected",
            body.environment
        )));
    }
    Ok(body)
}

impl From<&HeldRelease> for HeldEntry {
    fn from(held: &HeldRelease) -> Self {
        Self {
            release_version: held.version,
            release_sha256: held.sha256.clone(),
        }
    }
}

impl From<HeldEntry> for HeldRelease {
    fn from(entry: HeldEntry) -> Self {
        Self {
            version: entry.release_version,
            sha256: entry.release_sha256,
        }
    }
}

impl From<&Marks> for MarksEntry {
    fn from(marks: &Marks) -> Self {
        Self {
            environment_uid: marks.environment_uid.clone(),
            root_version: marks.root_version,
            epoch: marks.epoch,
            revision: marks.revision,
            serial: marks.serial,
            timestamp_sha256: marks.timestamp_sha256.clone(),
            release_version: marks.release_version,
            release_sha256: marks.release_sha256.clone(),
            control_version: marks.control_version,
            control_sha256: marks.control_sha256.clone(),
        }
    }
}

impl From<MarksEntry> for Marks {
    fn from(entry: MarksEntry) -> Self {
        Self {
            environment_uid: entry.environment_uid,
            root_version: entry.root_version,
            epoch: entry.epoch,
            revision: entry.revision,
            serial: entry.serial,
            timestamp_sha256: entry.timestamp_sha256,
            release_version: entry.release_version,
            release_sha256: entry.release_sha256,
            control_version: entry.control_version,
            control_sha256: entry.control_sha256,
        }
    }
}
