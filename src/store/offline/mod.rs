//! How does a project become a folder of signed files without a store?
//!
//! Two steps that may run on two machines. [`build()`] turns project files into
//! parts and says what is to be signed; it is a function of its input, byte
//! for byte. [`sign()`] numbers and signs that, continuing what the folder had
//! before. The tree is the one of [`layout`](crate::snapshot::layout), which
//! edges read and any web server can hold.

mod build;
mod folder;
mod sign;
#[cfg(test)]
mod tests;

pub use build::{BuildError, Built, KeyGiven, build};
pub use folder::{FolderError, SnapshotFolder};
pub use sign::{SignError, SignOptions, Signed, sign};

use serde::{Deserialize, Serialize};

use crate::snapshot::{
    flags::FlagsDocument,
    wire::{Blob, EnvironmentType, UnsignedUsers},
};

/// The form of [`ContentFile`] that is written and read.
const CONTENT_FORMAT: &str = "snapshot-content/1";

/// An environment to be built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvironmentGiven {
    /// As in urls.
    pub name: String,
    /// Kind of environment; only development has drafts.
    pub kind: EnvironmentType,
    /// The uid it has elsewhere; without one it is made of the name.
    pub uid: Option<String>,
    /// Whether users may come without a signed token; none for what the kind
    /// of environment says.
    pub unsigned_users: Option<UnsignedUsers>,
    /// What it has beside the projects' flows.
    pub flags: FlagsDocument,
}

/// What was built of an environment and is to be signed: everything that a
/// release and a control document say, but for their numbers and times.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContentFile {
    /// The format's name.
    pub flowgate: String,
    /// Environment name.
    pub environment: String,
    /// Environment uid.
    pub environment_uid: String,
    /// Where the content starts.
    pub index: Blob,
    /// Uids of flows that are disabled.
    pub disabled_flows: Vec<String>,
    /// Uids of deployments that are inactive.
    pub inactive_deployments: Vec<String>,
}
