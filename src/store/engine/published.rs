//! What does an engine keep of what is published?
//!
//! Documents that edges fetch by number, and of each environment what its
//! newest timestamp says, by which the next publish knows whether anything
//! changes.

use serde::{Deserialize, Serialize};

use crate::{clock::UnixMs, snapshot::wire::ControlDocument};

/// Documents that are fetched by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DocumentRole {
    /// A release.
    Release,
    /// A control document.
    Control,
}

impl DocumentRole {
    /// As it is stored.
    pub fn name(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Control => "control",
        }
    }
}

/// Which document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentName {
    /// Of which environment.
    pub environment_uid: String,
    /// Versions count within an epoch.
    pub epoch: u32,
    /// Which role.
    pub role: DocumentRole,
    /// Its version.
    pub version: u64,
}

/// What an environment's newest timestamp says, and what is needed to decide
/// whether the next publish changes anything.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Publication {
    /// Of which environment.
    pub environment_uid: String,
    /// As in the timestamp.
    pub epoch: u32,
    /// As in the timestamp.
    pub revision: u64,
    /// As in the timestamp.
    pub serial: u64,
    /// The release in force.
    pub release: PublishedDocument,
    /// Hash of the release's index: equal means equal content.
    pub index_sha256: String,
    /// The control document in force.
    pub control: PublishedDocument,
    /// What the control document says.
    pub control_content: ControlDocument,
    /// Key that signed the timestamp.
    pub timestamp_keyid: String,
    /// Root version it was signed under.
    pub root_version: u64,
    /// When the timestamp was signed.
    pub issued_ms: UnixMs,
    /// The timestamp file.
    #[serde(skip)]
    pub timestamp: Vec<u8>,
}

/// A published document, by what the timestamp says of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedDocument {
    /// Its version.
    pub version: u64,
    /// Of the file.
    pub sha256: String,
    /// Of the file.
    pub length: u64,
    /// Key that signed it.
    pub keyid: String,
}
