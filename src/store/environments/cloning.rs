//! What does an environment take over from another one?
//!
//! What was authored there for the projects that were chosen: where flows are
//! and flags are on, deployments with their salts, so that the same subjects are
//! in, content of its own; on request what public keys may do, and keys of the same names
//! on the same terms with new texts. Never users or what they did. From then
//! on the two have nothing to do with each other.

use std::{collections::BTreeSet, sync::Arc};

use serde::Serialize;

use super::{EnvironmentError, refuse_name};
use crate::{
    clock::UnixMs,
    snapshot::wire::EnvironmentType,
    store::{
        FlagSettings, KeyName, KeyTerms, NewKey, Store, StoreError,
        deploying::fresh_uid,
        engine::Write,
        keys, known_environment,
        workspace::{Deployment, Environment, StoredKey, Workspace},
    },
};

/// What is to be taken over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CloneTerms {
    /// The name of the new environment.
    pub name: String,
    /// What that is for; else as the one that is cloned.
    pub kind: Option<EnvironmentType>,
    /// Whether its snapshots hold drafts; else as the one that is cloned.
    pub drafts: Option<bool>,
    /// Sids of projects; else all that are active in the one that is cloned.
    pub projects: Option<Vec<String>>,
    /// Whether to take over what public keys may do.
    pub access: bool,
    /// Whether to make keys of the same names on the same terms.
    pub keys: bool,
}

/// What was taken over.
#[derive(Clone, Serialize)]
pub struct Cloned {
    /// The new environment.
    #[serde(flatten)]
    pub environment: Environment,
    /// Sids of the projects that are active in it.
    pub projects: Vec<String>,
    /// How many statuses were set.
    pub statuses: usize,
    /// How many deployments were made.
    pub deployments: usize,
    /// How many versions have content of their own.
    pub contents: usize,
    /// How many flags have settings in it.
    pub flags: usize,
    /// New keys: the only place their texts ever stand.
    pub keys: Vec<NewKey>,
}

impl Store {
    /// Makes an environment after another one. It is published by the next
    /// [`Self::publish_due`].
    pub fn clone_environment(&self, from: &str, terms: &CloneTerms) -> Result<Cloned, StoreError> {
        self.author(|workspace| {
            let source = known_environment(workspace, from)?;
            refuse_name(workspace, &terms.name)?;
            let chosen = chosen(workspace, source, terms)?;
            let mut clone = Clone::begin(self.ambient.hex::<16>(), workspace, source, terms);
            clone.projects(source, &chosen);
            clone.flows(source, &chosen);
            clone.flags(source, &chosen, self.ambient.now_ms());
            clone.deployments(workspace, source, &chosen, || fresh_uid(&self.ambient));
            if terms.keys {
                clone.keys(workspace, source, &chosen, self)?;
            }
            clone.cloned.projects = chosen.into_iter().collect();
            Ok((clone.after, clone.writes, clone.cloned))
        })
    }
}

/// Sids of the projects to be taken over.
fn chosen(
    workspace: &Workspace,
    source: &Environment,
    terms: &CloneTerms,
) -> Result<BTreeSet<String>, EnvironmentError> {
    let active = workspace.projects.values();
    let active = active.filter(|project| project.is_active_in(&source.uid));
    let active: BTreeSet<String> = active.map(|project| project.sid.clone()).collect();
    let Some(asked) = &terms.projects else {
        return Ok(active);
    };
    match asked.iter().find(|sid| !active.contains(*sid)) {
        Some(found) => Err(EnvironmentError::NotActive {
            found: found.clone(),
            name: source.name.clone(),
            expected: active.into_iter().collect::<Vec<_>>().join(", "),
        }),
        None => Ok(asked.iter().cloned().collect()),
    }
}

/// An environment on its way.
struct Clone {
    after: Workspace,
    writes: Vec<Write>,
    cloned: Cloned,
}

impl Clone {
    fn begin(uid: String, workspace: &Workspace, source: &Environment, terms: &CloneTerms) -> Self {
        let kind = terms.kind.unwrap_or(source.kind);
        let drafts = terms.drafts.unwrap_or(source.drafts);
        let mut environment = Environment::new(uid, &terms.name, kind, drafts);
        environment.confirm_changes |= source.confirm_changes && kind == source.kind;
        if terms.access {
            environment.access = source.access.clone();
        }
        let mut after = workspace.clone();
        after.environments.push(environment.clone());
        Self {
            after,
            writes: vec![Write::Environment(environment.clone())],
            cloned: Cloned {
                environment,
                projects: Vec::new(),
                statuses: 0,
                deployments: 0,
                contents: 0,
                flags: 0,
                keys: Vec::new(),
            },
        }
    }

    /// The new one shows the projects that were chosen and no others.
    fn projects(&mut self, source: &Environment, chosen: &BTreeSet<String>) {
        let own = &self.cloned.environment.uid;
        let others = self.after.environments.iter().filter(|one| one.uid != *own);
        let others: BTreeSet<String> = others.map(|one| one.uid.clone()).collect();
        for (sid, project) in &mut self.after.projects {
            let is_chosen = chosen.contains(sid);
            match &mut project.environments {
                None if is_chosen => continue,
                None => project.environments = Some(others.clone()),
                Some(uids) if is_chosen && uids.contains(&source.uid) => {
                    uids.insert(own.clone());
                }
                Some(_) => continue,
            }
            self.writes.push(Write::Project(project.clone()));
        }
    }

    /// Where flows are on, and what content their versions have.
    fn flows(&mut self, source: &Environment, chosen: &BTreeSet<String>) {
        let own = self.cloned.environment.uid.clone();
        let flows = self.after.flows.values();
        let flows: Vec<_> = flows
            .filter(|flow| chosen.contains(&flow.project))
            .cloned()
            .collect();
        for flow in flows {
            if let Some(enabled) = flow.status.get(&source.uid).copied() {
                self.after.flows.set_status(&flow.sid, &own, enabled);
                self.writes.push(Write::Status {
                    flow_uid: flow.uid.clone(),
                    environment_uid: own.clone(),
                    enabled,
                });
                self.cloned.statuses += 1;
            }
            let of_source = flow
                .content
                .iter()
                .filter(|((_, uid), _)| *uid == source.uid);
            for ((number, _), version) in of_source {
                let place = (*number, own.as_str());
                let content = Some(Arc::clone(version));
                self.after.flows.set_content(&flow.sid, place, content);
                self.writes.push(Write::Content {
                    environment_uid: own.clone(),
                    version: Arc::clone(version),
                });
                self.cloned.contents += 1;
            }
        }
    }

    /// Where flags are on, and for whom. One that is on is on from now.
    fn flags(&mut self, source: &Environment, chosen: &BTreeSet<String>, now: UnixMs) {
        let own = &self.cloned.environment.uid;
        let flags = self.after.flags.values_mut();
        for flag in flags.filter(|flag| chosen.contains(&flag.project)) {
            let Some(settings) = flag.environments.get(&source.uid) else {
                continue;
            };
            let settings = FlagSettings {
                enabled_ms: settings.enabled.then_some(now),
                ..settings.clone()
            };
            let settings = (own.clone(), settings);
            Arc::make_mut(flag).environments.extend([settings]);
            self.writes.push(Write::Flag(Arc::clone(flag)));
            self.cloned.flags += 1;
        }
    }

    /// Under the same names, for the same subjects.
    fn deployments(
        &mut self,
        workspace: &Workspace,
        source: &Environment,
        chosen: &BTreeSet<String>,
        mut uid: impl FnMut() -> String,
    ) {
        for known in workspace.deployments_in(&source.uid) {
            let flow = workspace.flow_by_uid(&known.flow_uid);
            if !flow.is_some_and(|flow| chosen.contains(&flow.project)) {
                continue;
            }
            let deployment = Deployment {
                uid: uid(),
                environment_uid: self.cloned.environment.uid.clone(),
                ..known.clone()
            };
            self.writes
                .push(Write::Deployment(Box::new(deployment.clone())));
            let place = deployment.uid.clone();
            self.after.deployments.insert(place, deployment);
            self.cloned.deployments += 1;
        }
    }

    /// Keys of the same names. One that sees only projects that were not chosen
    /// would see nothing and is left out.
    fn keys(
        &mut self,
        workspace: &Workspace,
        source: &Environment,
        chosen: &BTreeSet<String>,
        store: &Store,
    ) -> Result<(), StoreError> {
        let now = store.ambient.now_ms();
        let is_meant = |key: &&StoredKey| {
            let sees = key.projects.iter().any(|sid| chosen.contains(sid));
            key.environment_uid.as_ref() == Some(&source.uid)
                && key.is_valid(now)
                // Its secrets in the middle of a rotation are one name.
                && key.rotated_ms.is_none()
                && (key.projects.is_empty() || sees)
        };
        for key in workspace.keys.iter().filter(is_meant) {
            let name = KeyName {
                kind: key.kind,
                environment: Some(self.cloned.environment.name.clone()),
                name: key.name.clone(),
            };
            let terms = KeyTerms {
                projects: key.projects.clone(),
                channel: key.channel.clone(),
                origins: key.origins.clone(),
                ..KeyTerms::default()
            };
            let made = keys::create(&self.after, &name, &terms, None, &store.ambient)?;
            self.after.keys = made.keys;
            self.writes.extend(made.writes);
            self.cloned.keys.push(made.answer);
        }
        self.rights(source, now);
        Ok(())
    }

    /// Who works on the one that is cloned works on the new one, too.
    fn rights(&mut self, source: &Environment, now: UnixMs) {
        let own = &self.cloned.environment.uid;
        for key in self.after.keys.iter_mut().filter(|key| key.is_valid(now)) {
            let Some(rights) = &mut key.rights else {
                continue;
            };
            if rights.environments.contains(&source.uid) {
                rights.environments.push(own.clone());
                self.writes.push(Write::Key(key.clone()));
            }
        }
    }
}
