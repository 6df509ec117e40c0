//! How does an environment begin, change and end?
//!
//! Each is a world of its own with users, keys and deployments. One that is
//! deprecated is served as ever, and nothing new begins in it. One that is
//! deleted is gone at once: its keys end, and what its users did is erased in
//! steps. Its edges are told for a while why they are not answered any more.

mod cloning;

pub use cloning::{CloneTerms, Cloned};

use std::sync::Arc;

use super::{
    AccessChange, Actor, AuditEntry, Store, StoreError, access,
    engine::Write,
    import::is_name,
    known_environment, touching,
    workspace::{DeletedEnvironment, Environment, StoredKey, Workspace},
};
use crate::{
    clock::{Ambient, UnixMs},
    limits,
    snapshot::wire::EnvironmentType,
};

/// Edges report every ten seconds: one that was heard of within this time is
/// running, also after a restart of either side.
const EDGE_RUNS_MS: u64 = 2 * 60 * 1000;

/// An edge that was away for a month still hears what happened.
const TOLD_MS: u64 = 30 * 24 * 60 * 60 * 1000;

/// Rows of a deleted environment that go in one transaction; other writers wait
/// so long.
const ERASED_AT_ONCE: usize = 1_000;

/// Transactions of one sweep: of a million users nothing is left after some
/// minutes, and other tasks of the store have their turn.
const ERASED_TIMES_MAX: usize = 50;

/// An environment to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEnvironment {
    /// As it will stand in urls, keys and settings of edges.
    pub name: String,
    /// What it is for.
    pub kind: EnvironmentType,
    /// Whether its snapshots hold drafts; else those of development do.
    pub drafts: Option<bool>,
}

/// A change; what is left out stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EnvironmentChange {
    /// What it is for. One that becomes a production environment wants changes
    /// confirmed from then on.
    pub kind: Option<EnvironmentType>,
    /// Whether its snapshots hold drafts.
    pub drafts: Option<bool>,
    /// Whether nothing new begins in it.
    pub deprecated: Option<bool>,
    /// Whether changes want to be confirmed.
    pub confirm_changes: Option<bool>,
    /// What public keys may do.
    pub access: AccessChange,
}

/// Why an environment stays as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvironmentError {
    /// Names stand in urls, key texts and names of files.
    #[error(
        "{0:?} is no name of an environment (expected 1 to {max} of the characters A-Z a-z 0-9 _ -)",
        max = limits::SID_BYTES_MAX
    )]
    Name(String),
    /// Another environment is called so.
    #[error("environment {0:?} exists (choose another name)")]
    Taken(String),
    /// More than one edge can serve.
    #[error("there are {0} environments (expected fewer than {max})", max = limits::ENVIRONMENTS_MAX)]
    TooMany(usize),
    /// Somebody would be left with nothing.
    #[error("environment {0:?} is the only one (make another first)")]
    Only(String),
    /// A project has to be somewhere.
    #[error(
        "environment {name:?} is the only one of project {} (flowgate project set … --activate \
         another first)",
        .projects.join(", ")
    )]
    OnlyOf {
        /// Which environment.
        name: String,
        /// Sids of the projects.
        projects: Vec<String>,
    },
    /// Applications are being served.
    #[error(
        "edges of environment {name:?} are running: {} (stop them first, or force it: they go on \
         with what they have and never hear of a change again)",
        .edges.join(", ")
    )]
    Served {
        /// Which environment.
        name: String,
        /// What the edges call themselves.
        edges: Vec<String>,
    },
    /// A project to be cloned is not there, or not in the environment.
    #[error(
        "project {found:?} is not active in environment {name:?} (expected some of {expected})"
    )]
    NotActive {
        /// As asked.
        found: String,
        /// The environment that is cloned.
        name: String,
        /// Sids of those that are.
        expected: String,
    },
}

impl Store {
    /// Makes an environment. It is published by the next [`Self::publish_due`],
    /// and an edge can be pointed at it from then on.
    pub fn create_environment(&self, new: &NewEnvironment) -> Result<Environment, StoreError> {
        self.author(|workspace| {
            refuse_name(workspace, &new.name)?;
            let is_trial = new.kind == EnvironmentType::Development;
            let drafts = new.drafts.unwrap_or(is_trial);
            let uid = self.ambient.hex::<16>();
            let environment = Environment::new(uid, &new.name, new.kind, drafts);
            let mut after = workspace.clone();
            after.environments.push(environment.clone());
            let writes = vec![Write::Environment(environment.clone())];
            Ok((after, writes, environment))
        })
    }

    /// Changes what is said of an environment.
    pub fn set_environment(
        &self,
        name: &str,
        change: &EnvironmentChange,
    ) -> Result<Environment, StoreError> {
        self.author(|workspace| {
            let before = known_environment(workspace, name)?;
            let kind = change.kind.unwrap_or(before.kind);
            let becomes_real = kind != before.kind && kind == EnvironmentType::Production;
            let confirm_changes = change.confirm_changes;
            let environment = Environment {
                kind,
                drafts: change.drafts.unwrap_or(before.drafts),
                deprecated: change.deprecated.unwrap_or(before.deprecated),
                confirm_changes: confirm_changes.unwrap_or(before.confirm_changes || becomes_real),
                access: access::changed(&before.access, &change.access)?,
                ..before.clone()
            };
            let mut after = workspace.clone();
            let mut writes = Vec::new();
            if environment != *before {
                writes.push(Write::Environment(environment.clone()));
                let mut own = after.environments.iter_mut();
                if let Some(own) = own.find(|own| own.uid == environment.uid) {
                    own.clone_from(&environment);
                }
            }
            Ok((after, writes, environment))
        })
    }

    /// Deletes an environment with its deployments, statuses, content and keys,
    /// and then with everything its users did. While edges of it are running
    /// only when forced.
    pub fn delete_environment(&self, name: &str, force: bool) -> Result<(), StoreError> {
        let now = self.ambient.now_ms();
        self.author(|workspace| {
            let environment = known_environment(workspace, name)?;
            refuse_last(workspace, environment)?;
            let running = self.running_edges(name, now);
            if !running.is_empty() && !force {
                return Err(EnvironmentError::Served {
                    name: name.to_owned(),
                    edges: running,
                }
                .into());
            }
            let (after, writes) = deleted(workspace, environment, now);
            Ok((after, writes, ()))
        })?;
        if !self.is_trial() {
            self.edges.forget(name);
        }
        Ok(())
    }

    /// Edges that were heard of a moment ago, by the names they give themselves.
    fn running_edges(&self, name: &str, now: UnixMs) -> Vec<String> {
        let edges = self.edges_heard(name).into_iter();
        let running = edges.filter(|(_, seen_ms)| now.saturating_sub(*seen_ms) <= EDGE_RUNS_MS);
        running.map(|(edge, _)| edge).collect()
    }

    /// Goes on erasing what is left of deleted environments.
    pub(super) fn sweep_deleted(&self, now: UnixMs) -> Result<(), StoreError> {
        for deleted in self.workspace().deleted.values() {
            let mut gone = 0;
            for _ in 0..ERASED_TIMES_MAX {
                let erased = self.engine.erase(&deleted.uid, ERASED_AT_ONCE)?;
                gone += erased;
                if erased < ERASED_AT_ONCE {
                    break;
                }
            }
            if gone > 0 {
                let environment = deleted.name.as_str();
                tracing::info!(environment, rows = gone, "a deleted environment is erased");
            } else if now.saturating_sub(deleted.deleted_ms) > TOLD_MS {
                self.forget_environment(&deleted.uid)?;
            }
        }
        Ok(())
    }

    fn forget_environment(&self, uid: &str) -> Result<(), StoreError> {
        self.author(|workspace| {
            let mut after = workspace.clone();
            after.deleted.remove(uid);
            let of_it = |key: &StoredKey| key.environment_uid.as_deref() == Some(uid);
            after.keys.retain(|key| !of_it(key));
            let uid = uid.to_owned();
            Ok((after, vec![Write::ForgetEnvironment { uid }], ()))
        })
    }
}

/// What a fresh store has, and how to get there: a world to try things in, with
/// drafts, and the real one. Nobody asked for them but the store itself.
pub(super) fn begun(workspace: &Workspace, ambient: &Ambient) -> (Workspace, Vec<Write>) {
    let environment =
        |name, kind, drafts| Environment::new(ambient.hex::<16>(), name, kind, drafts);
    let mut after = workspace.clone();
    after.environments = vec![
        environment("development", EnvironmentType::Development, true),
        environment("production", EnvironmentType::Production, false),
    ];
    let environments = after.environments.iter().cloned();
    let mut writes: Vec<Write> = environments.map(Write::Environment).collect();
    let touched = writes.iter();
    let touched = touched.filter_map(|write| touching::touched(write, workspace, &after));
    let touched: Vec<_> = touched.collect();
    let ends = (workspace, &after);
    let entry = AuditEntry::of_change(&Actor::store(), ambient.now_ms(), &touched, ends);
    writes.push(Write::Audit(Box::new(entry)));
    (after, writes)
}

/// The workspace without an environment, and how to get there.
fn deleted(
    workspace: &Workspace,
    environment: &Environment,
    now: UnixMs,
) -> (Workspace, Vec<Write>) {
    let uid = &environment.uid;
    let deleted = DeletedEnvironment {
        uid: uid.clone(),
        name: environment.name.clone(),
        deleted_ms: now,
    };
    let mut after = workspace.clone();
    let mut writes = vec![Write::DeleteEnvironment(deleted.clone())];
    after.environments.retain(|own| own.uid != *uid);
    after
        .deployments
        .retain(|_, own| own.environment_uid != *uid);
    after.flows.forget_environment(uid);
    for flag in after.flags.values_mut() {
        if flag.environments.contains_key(uid) {
            Arc::make_mut(flag).environments.remove(uid);
        }
    }
    for project in after.projects.values_mut() {
        let listed = project.environments.as_mut();
        if listed.is_some_and(|uids| uids.remove(uid)) {
            writes.push(Write::Project(project.clone()));
        }
    }
    for key in &mut after.keys {
        if key.environment_uid.as_ref() == Some(uid) && key.revoked_ms.is_none() {
            key.revoked_ms = Some(now);
            writes.push(Write::Key(key.clone()));
        }
    }
    after.deleted.insert(uid.clone(), deleted);
    (after, writes)
}

/// A new environment needs a name that nobody has, and room.
fn refuse_name(workspace: &Workspace, name: &str) -> Result<(), EnvironmentError> {
    if !is_name(name) {
        return Err(EnvironmentError::Name(name.to_owned()));
    }
    if workspace.environment(name).is_some() {
        return Err(EnvironmentError::Taken(name.to_owned()));
    }
    let count = workspace.environments.len();
    if count >= limits::ENVIRONMENTS_MAX {
        return Err(EnvironmentError::TooMany(count));
    }
    Ok(())
}

/// The store and every project keep one environment.
fn refuse_last(workspace: &Workspace, environment: &Environment) -> Result<(), EnvironmentError> {
    if workspace.environments.len() == 1 {
        return Err(EnvironmentError::Only(environment.name.clone()));
    }
    let projects = workspace.projects.values();
    let left_alone = projects.filter(|project| {
        let listed = project.environments.as_ref();
        listed.is_some_and(|uids| uids.iter().all(|uid| *uid == environment.uid))
    });
    let projects: Vec<String> = left_alone.map(|project| project.sid.clone()).collect();
    if projects.is_empty() {
        return Ok(());
    }
    Err(EnvironmentError::OnlyOf {
        name: environment.name.clone(),
        projects,
    })
}

#[cfg(test)]
mod tests;
