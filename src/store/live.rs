//! What is published right now, and how does it come to be?
//!
//! The publishing half of [`Store`]: when to publish, one transaction for all
//! environments, and what edges fetch. Watching never blocks; the rest does.

use std::{collections::BTreeMap, sync::Arc};

use tokio::sync::watch;

use super::{
    Current, Due, Environment, PublishError, Store, StoreError, Workspace,
    engine::{DocumentName, DocumentRole, Publication, Write},
    key_ending, locked, publish,
    shelf::Shelves,
};
use crate::{clock::UnixMs, snapshot::Revision, telemetry::traces};

impl Store {
    /// Publishes everything accepted so far and says which environments have a
    /// new revision.
    pub fn publish(&self) -> Result<BTreeMap<String, Revision>, StoreError> {
        let _span = traces::task("publish", "all").entered();
        let mut shelves = locked(&self.publishing);
        let now = self.ambient.now_ms();
        // Before the workspace is read: what is accepted from here on may miss
        // this publish and must find the plan changed.
        locked(&self.plan).publishing(now);
        let workspace = self.workspace();
        match self.publish_workspace(&workspace, &mut shelves, None, now) {
            Ok(revisions) => Ok(revisions),
            Err(error) => {
                locked(&self.plan).changed();
                Err(error)
            }
        }
    }

    /// Says in a signed control document that the newest release of an
    /// environment may serve wherever it is held back. Only this release:
    /// another one was perhaps published since somebody looked.
    pub fn confirm_release(&self, environment: &str, version: u64) -> Result<Revision, StoreError> {
        let _span = traces::task("publish", "").entered();
        let mut shelves = locked(&self.publishing);
        let now = self.ambient.now_ms();
        if !self.is_trial() {
            locked(&self.plan).publishing(now);
        }
        let workspace = self.workspace();
        let known = super::known_environment(&workspace, environment)?;
        let confirmed = Some((known.uid.as_str(), version));
        let done = self.publish_workspace(&workspace, &mut shelves, confirmed, now);
        if done.is_err() && !self.is_trial() {
            locked(&self.plan).changed();
        }
        let would = done?.remove(environment);
        if let Some(would) = would.filter(|_| self.is_trial()) {
            return Ok(would);
        }
        let published = self.published(known).unwrap_or_default();
        Ok(revision(&published))
    }

    /// Publishes if something is due, and says what remains.
    pub fn publish_due(&self) -> Result<Due, StoreError> {
        let due = self.due();
        if due == Due::Now {
            self.publish()?;
            return Ok(self.due());
        }
        Ok(due)
    }

    /// Returns when no publish is under way, so that what the plan says is
    /// settled is also in force.
    pub(super) fn await_publisher(&self) {
        drop(locked(&self.publishing));
    }

    /// Whether something waits to be published.
    pub fn due(&self) -> Due {
        locked(&self.plan).due(self.ambient.now_ms())
    }

    /// Signs timestamps again that are old enough, ends keys whose overlap is
    /// over, publishes what is left over. To be called every few seconds.
    pub fn refresh_timestamps(&self, now: UnixMs) -> Result<(), StoreError> {
        if let Some(changed) = key_ending::expire(&self.workspace(), now) {
            drop(changed);
            self.author(|workspace| {
                let Some(changed) = key_ending::expire(workspace, now) else {
                    return Ok((workspace.clone(), Vec::new(), ()));
                };
                let after = Workspace {
                    keys: changed.keys,
                    ..workspace.clone()
                };
                Ok((after, changed.writes, ()))
            })?;
        }
        self.carry_out_schedules(now)?;
        self.publish_due()?;
        let _publisher = locked(&self.publishing);
        let workspace = self.workspace();
        let mut writes = vec![Write::PruneBlobs {
            retired_before_ms: now.saturating_sub(publish::RETIRED_BLOB_LIFE_MS),
        }];
        let mut next = Vec::new();
        for environment in &workspace.environments {
            let Some(before) = self.published(environment) else {
                continue;
            };
            let fresh = publish::refresh(&self.signing, environment, &before, now, &self.timing)?;
            if let Some(publication) = fresh {
                writes.push(Write::Publication(Box::new(publication.clone())));
                next.push((environment, publication));
            }
        }
        if !next.is_empty() {
            self.engine.commit(&writes)?;
        }
        for (environment, publication) in next {
            self.announce(environment, publication);
        }
        Ok(())
    }

    /// What is published for an environment now, and a signal for what comes.
    pub fn watch(&self, environment: &str) -> Result<watch::Receiver<Arc<Current>>, StoreError> {
        let workspace = self.workspace();
        let uid = &super::known_environment(&workspace, environment)?.uid;
        let current = self.following.current(uid);
        // Deleted since the workspace was read.
        current.ok_or_else(|| StoreError::UnknownEnvironment {
            found: environment.to_owned(),
            expected: super::environment_names(&self.workspace()),
        })
    }

    /// A release or control document of the epoch in force.
    pub fn document(
        &self,
        environment: &str,
        role: DocumentRole,
        version: u64,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let current = Arc::clone(&self.watch(environment)?.borrow());
        Ok(self.engine.document(&DocumentName {
            environment_uid: current.environment_uid.clone(),
            epoch: current.revision.epoch,
            role,
            version,
        })?)
    }

    /// Encoded bytes by their hash.
    pub fn blob(&self, sha256: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.engine.blob(sha256)?)
    }

    fn publish_workspace(
        &self,
        workspace: &Workspace,
        shelves: &mut Shelves,
        confirmed: Option<(&str, u64)>,
        now: UnixMs,
    ) -> Result<BTreeMap<String, Revision>, StoreError> {
        let mut writes = Vec::new();
        let mut stocked = Vec::new();
        let mut next = Vec::new();
        for environment in &workspace.environments {
            let before = self.published(environment);
            let confirmed = confirmed.filter(|(uid, _)| *uid == environment.uid);
            let issue = publish::issue(
                &self.signing,
                workspace,
                environment,
                (before.as_ref(), shelves.of(environment)),
                confirmed.map(|(_, version)| version),
                now,
                &self.timing,
            )?;
            let expected = issue.publication.release.version;
            if let Some((_, found)) = confirmed.filter(|(_, found)| *found != expected) {
                return Err(PublishError::NotInForce {
                    environment: environment.name.clone(),
                    found,
                    expected,
                }
                .into());
            }
            stocked.push((environment.uid.clone(), issue.stock));
            if before.as_ref() != Some(&issue.publication) {
                writes.extend(issue.documents);
                writes.push(Write::Publication(Box::new(issue.publication.clone())));
                next.push((environment, issue.publication, issue.changed));
            }
        }
        if self.is_trial() {
            let next = next.into_iter().filter(|(_, _, changed)| *changed);
            let named = next.map(|(own, would, _)| (own.name.clone(), revision(&would)));
            return Ok(named.collect());
        }
        let moved = shelves.moved(&mut stocked);
        for sha256 in &moved.gone {
            writes.push(Write::RetireBlob {
                sha256: sha256.clone(),
                at_ms: now,
            });
        }
        // Confirming what is confirmed changes nothing.
        if let (Some((uid, version)), false) = (confirmed, next.is_empty())
            && let Some(environment) = workspace.environment_by_uid(uid)
        {
            let version = version.to_string();
            let entry = self.audited(("confirmed", "release", &version), environment, None);
            writes.push(Write::Audit(Box::new(entry)));
        }
        let fresh = moved.fresh.into_iter();
        writes.extend(fresh.map(|(sha256, bytes)| Write::Blob { sha256, bytes }));
        if !writes.is_empty() {
            self.engine.commit(&writes)?;
        }
        shelves.keep(stocked, &moved.gone);
        let mut revisions = BTreeMap::new();
        for (environment, publication, changed) in next {
            if changed {
                revisions.insert(environment.name.clone(), revision(&publication));
            }
            self.announce(environment, publication);
        }
        Ok(revisions)
    }

    pub(super) fn published(&self, environment: &Environment) -> Option<Publication> {
        let current = self.following.current(&environment.uid)?.borrow().clone();
        (current.serial > 0).then(|| current.publication.clone())
    }

    fn announce(&self, environment: &Environment, publication: Publication) {
        self.following
            .announce(&environment.uid, Current::of(publication));
    }

    /// Whether nothing can be published because of the root.
    pub fn root_expired(&self) -> Option<PublishError> {
        let expired = self
            .ambient
            .now_ms()
            .checked_sub(self.signing.root().expires_ms)?;
        Some(PublishError::RootExpired(expired / 1000))
    }
}

fn revision(publication: &Publication) -> Revision {
    Revision {
        epoch: publication.epoch,
        number: publication.revision,
    }
}
