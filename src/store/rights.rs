//! Who may change what, and in whose name is something done?
//!
//! An admin key has a role and a list of environments. Reading is decided by
//! the table of routes; a change is decided here, by what it would write: only
//! that knows which environments an import or a commit touches. Whoever makes
//! a key needs what the key may do, so nobody can make one that may do more.

use serde::{Deserialize, Serialize};

use super::{
    StoreError,
    touching::{Places, Touched},
    workspace::{StoredKey, Workspace},
};

/// What an admin key may do; each role may do what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads.
    Viewer,
    /// Works on flows and what serves them.
    Editor,
    /// Keys, environments, projects, too.
    Admin,
}

impl Role {
    /// Every role, the one that may do least first.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Editor, Self::Admin];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Editor => "editor",
            Self::Admin => "admin",
        }
    }

    /// The role with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }
}

/// A role, and where it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rights {
    /// What may be done.
    pub role: Role,
    /// Environment uids; empty means all, also those that are made later. One
    /// that is deleted stays in the list, or the last would open all others.
    pub environments: Vec<String>,
}

impl Rights {
    /// Everything, everywhere.
    pub const ALL: Self = Self {
        role: Role::Admin,
        environments: Vec::new(),
    };

    /// Whether they hold in an environment.
    pub(super) fn reach(&self, environment_uid: &str) -> bool {
        self.environments.is_empty() || self.environments.iter().any(|own| own == environment_uid)
    }

    /// The names of the environments they hold in, for people.
    pub(super) fn environment_names(&self, workspace: &Workspace) -> Vec<String> {
        let name = |uid: &String| {
            let known = workspace.environment_by_uid(uid);
            // One that is gone still keeps the list from meaning all.
            known.map_or_else(|| uid.clone(), |own| own.name.clone())
        };
        self.environments.iter().map(name).collect()
    }
}

/// Why somebody may not do something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    /// The role is not enough.
    #[error("a key of role {found} may not do this to {what} (expected role {expected})")]
    Role {
        /// What would be changed.
        what: String,
        /// Of the key.
        found: &'static str,
        /// Enough.
        expected: &'static str,
    },
    /// It touches an environment the key has no say in.
    #[error(
        "this changes {what} in {found}, and the key holds in {expected} only (nothing was done)"
    )]
    Place {
        /// What would be changed.
        what: String,
        /// Environments outside of the key's list.
        found: String,
        /// The key's list.
        expected: String,
    },
}

/// In whose name something is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// Name of the key; `store` for what the store does by itself.
    pub(super) name: String,
    /// The key's last characters; none for the store.
    pub(super) last: Option<String>,
    /// What may be done.
    pub(super) rights: Rights,
    /// What the caller calls the request.
    pub(super) request: Option<String>,
}

impl Actor {
    /// The store itself: at its start, and when the time of a key is over.
    pub(super) fn store() -> Self {
        Self {
            name: "store".to_owned(),
            last: None,
            rights: Rights::ALL,
            request: None,
        }
    }

    /// Whoever has this key. One that is no admin key may do nothing here.
    pub(super) fn with_key(key: &StoredKey, request: Option<String>) -> Option<Self> {
        Some(Self {
            name: key.name.clone(),
            last: Some(key.last.clone()),
            rights: key.rights.clone()?,
            request,
        })
    }

    /// Refuses a change unless all of it is allowed. Environments are named as
    /// the workspace after it does.
    pub(super) fn permit(
        &self,
        touched: &[Touched],
        workspace: &Workspace,
    ) -> Result<(), StoreError> {
        let Rights { role, environments } = &self.rights;
        if let Some(own) = touched.iter().find(|own| own.role > *role) {
            return Err(Forbidden::Role {
                what: own.to_string(),
                found: role.name(),
                expected: own.role.name(),
            }
            .into());
        }
        if environments.is_empty() {
            return Ok(());
        }
        let mut what = None;
        let mut outside: Vec<String> = Vec::new();
        for own in touched {
            let beyond = match &own.places {
                Places::Everywhere => vec!["every environment".to_owned()],
                Places::In(uids) => uids
                    .iter()
                    .filter(|uid| !self.rights.reach(uid))
                    .map(|uid| {
                        let known = workspace.environment_by_uid(uid);
                        known.map_or_else(|| uid.clone(), |own| own.name.clone())
                    })
                    .collect(),
            };
            for name in beyond {
                what.get_or_insert_with(|| own.to_string());
                if !outside.contains(&name) {
                    outside.push(name);
                }
            }
        }
        let Some(what) = what else {
            return Ok(());
        };
        Err(Forbidden::Place {
            what,
            found: outside.join(", "),
            expected: self.rights.environment_names(workspace).join(", "),
        }
        .into())
    }
}
