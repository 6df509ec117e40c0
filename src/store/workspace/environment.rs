//! Where do flows live?
//!
//! Environments, each a world of its own, and projects, which say in which of
//! them their flows are shown.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::{
    clock::UnixMs,
    snapshot::wire::{AccessPart, EnvironmentType},
};

/// An isolated world of users, progress and keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Environment {
    /// Never reused, so that a name made anew is a different world.
    pub uid: String,
    /// As in urls.
    pub name: String,
    /// Kind of environment.
    #[serde(rename = "type")]
    pub kind: EnvironmentType,
    /// Whether its snapshots hold drafts.
    pub drafts: bool,
    /// What public keys may do in it.
    pub access: AccessPart,
    /// It is served as ever, and nothing new begins in it.
    pub deprecated: bool,
    /// Whether a change that its users notice wants to be confirmed.
    pub confirm_changes: bool,
}

impl Environment {
    /// As it is when it was just made: one that real users are in wants changes
    /// confirmed.
    pub(crate) fn new(uid: String, name: &str, kind: EnvironmentType, drafts: bool) -> Self {
        Self {
            uid,
            name: name.to_owned(),
            kind,
            drafts,
            access: AccessPart::default(),
            deprecated: false,
            confirm_changes: kind == EnvironmentType::Production,
        }
    }
}

/// What is left of an environment that was deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeletedEnvironment {
    /// Its uid.
    pub uid: String,
    /// The name it had.
    pub name: String,
    /// When it was deleted.
    pub deleted_ms: UnixMs,
}

/// A project: a name over some flows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// As in files and keys.
    pub sid: String,
    /// For people.
    pub name: String,
    /// Uids of the environments that show its flows; none for all there are and
    /// will be.
    pub environments: Option<BTreeSet<String>>,
}

impl Project {
    /// Whether an environment shows its flows.
    pub(crate) fn is_active_in(&self, environment_uid: &str) -> bool {
        let listed = self.environments.as_ref();
        listed.is_none_or(|uids| uids.contains(environment_uid))
    }
}
