//! How does parsed content become a [`Snapshot`]?

use super::{
    model::{Revision, Snapshot, Version},
    parts::Content,
    wire::{ControlDocument, VersionPart},
};

/// What makes a whole document unreadable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {}

/// Why one version cannot be compiled: position and rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {rule}")]
pub struct VersionFault {
    /// Such as `block "welcome"` or `path 3`.
    pub place: String,
    /// What was found and what is allowed.
    pub rule: String,
}

/// Compiles one version, or says everything that is wrong with it. The store
/// validates authored versions by this very function.
pub fn compile_version(part: &VersionPart) -> Result<Version, Vec<VersionFault>> {
    todo!()
}

/// Compiles everything. Faulty flows and versions are set aside and named.
pub fn compile(
    environment: &str,
    environment_uid: &str,
    revision: Revision,
    content: &Content,
    control: &ControlDocument,
) -> Result<Snapshot, CompileError> {
    todo!()
}
