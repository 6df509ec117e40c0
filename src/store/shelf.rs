//! What of the last release can be used again for the next?
//!
//! For each environment: what every part was made of, and under which address
//! it lies. A part made of the same thing is neither written as JSON nor
//! compressed again, a shard with the same parts keeps its blob; what comes
//! out is byte for byte what building from nothing gives. Nothing here changes
//! before the engine has everything: a publish that failed leaves no trace.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use serde_json::Value;

use super::{
    flags::{self, Flag, Segment},
    publish::{PublishError, encode},
    workspace::{AuthoredVersion, Environment, Flow, Workspace},
};
use crate::snapshot::{
    flags::FlagsDocument,
    parts::{Built, Inventory, Offer, build_beside},
    wire::{Blob, ChannelPart, DeploymentPart, FlowPart, KeyPart, PartKind, SettingsPart},
};

/// What is in force, and what it is made of.
#[derive(Debug)]
pub(super) struct Shelves {
    /// Hashes of all blobs that are not retired.
    in_force: BTreeSet<String>,
    /// By environment uid.
    by_environment: BTreeMap<String, Shelf>,
    /// Stands for an environment that was not built in this process.
    empty: Shelf,
}

/// One environment.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    inventory: Inventory,
    made_of: HashMap<PartName, MadeOf>,
}

/// Kind and id.
type PartName = (PartKind, String);

/// A part that is made of something else than before, and of what.
type News = (PartName, MadeOf);

/// What a part was made of. Versions, flags and segments are compared by
/// identity, since they are replaced as a whole and never changed; the rest is
/// small.
#[derive(Debug, PartialEq)]
enum MadeOf {
    Settings(SettingsPart),
    Flow(FlowPart),
    Version(Same<AuthoredVersion>),
    Deployment(DeploymentPart),
    Key(KeyPart),
    Flag(Same<Flag>),
    Segment(Same<Segment>),
    /// A flag or a segment of a document that no workspace has.
    Given(Value),
}

/// Held, so that nothing else can come to lie at its address.
#[derive(Debug)]
struct Same<T>(Arc<T>);

impl<T> PartialEq for Same<T> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// A shelf as it is once the engine has what is new.
#[derive(Debug)]
pub(super) struct Stocked {
    built: Built,
    inventory: Inventory,
    made_of: Vec<News>,
}

/// Blobs that come and go with a publish.
#[derive(Debug)]
pub(super) struct Moved {
    pub(super) fresh: BTreeMap<String, Vec<u8>>,
    pub(super) gone: BTreeSet<String>,
}

impl Stocked {
    /// What the release refers to.
    pub(super) fn index(&self) -> &Blob {
        &self.built.index
    }

    /// Smallest reader that understands the release.
    pub(super) fn min_reader(&self) -> u32 {
        self.inventory.min_reader()
    }

    /// The index with its blobs; all of them, when it was built from nothing.
    pub(super) fn into_built(self) -> Built {
        self.built
    }
}

#[cfg(test)]
impl Stocked {
    /// Of every blob of the release.
    pub(super) fn hashes(&self) -> impl Iterator<Item = String> {
        self.inventory.blobs().map(|blob| blob.sha256.clone())
    }

    /// Parts that were encoded.
    pub(super) fn news(&self) -> usize {
        self.made_of.len()
    }

    /// Blobs that were made.
    pub(super) fn fresh_len(&self) -> usize {
        self.built.blobs.len()
    }
}

#[cfg(test)]
impl Shelves {
    /// Of every blob that is not retired.
    pub(super) fn hashes(&self) -> &BTreeSet<String> {
        &self.in_force
    }
}

impl Shelves {
    /// With nothing built yet; the engine has these blobs.
    pub(super) fn new(in_force: BTreeSet<String>) -> Self {
        Self {
            in_force,
            by_environment: BTreeMap::new(),
            empty: Shelf::default(),
        }
    }

    /// The shelf of an environment.
    pub(super) fn of(&self, environment: &Environment) -> &Shelf {
        let own = self.by_environment.get(&environment.uid);
        own.unwrap_or(&self.empty)
    }

    /// What the engine has to take and to retire, before [`Self::keep`].
    pub(super) fn moved(&self, stocked: &mut [(String, Stocked)]) -> Moved {
        let mut fresh = BTreeMap::new();
        for (_, stock) in &mut *stocked {
            fresh.append(&mut stock.built.blobs);
        }
        fresh.retain(|sha256, _| !self.in_force.contains(sha256));
        let known = |(uid, _): &(String, Stocked)| self.by_environment.contains_key(uid);
        let mut gone: BTreeSet<String> = if stocked.iter().all(known) {
            let left = stocked.iter().flat_map(|(uid, stock)| {
                let shelf = self.by_environment.get(uid);
                shelf.map(|own| own.inventory.blobs_beside(&stock.inventory))
            });
            let left = left.flatten().map(|blob| blob.sha256.clone());
            let is_there = |uid: &String| stocked.iter().any(|(own, _)| own == uid);
            let ended = self.by_environment.iter();
            let ended = ended.filter(|(uid, _)| !is_there(uid));
            let ended = ended.flat_map(|(_, shelf)| shelf.inventory.blobs());
            left.chain(ended.map(|blob| blob.sha256.clone())).collect()
        } else {
            self.in_force.clone()
        };
        // Whatever one environment lets go of, another may have.
        if !gone.is_empty() {
            for blob in stocked.iter().flat_map(|(_, own)| own.inventory.blobs()) {
                gone.remove(&blob.sha256);
            }
        }
        Moved { fresh, gone }
    }

    /// The engine has it.
    pub(super) fn keep(&mut self, stocked: Vec<(String, Stocked)>, gone: &BTreeSet<String>) {
        let is_there = |uid: &String| stocked.iter().any(|(own, _)| own == uid);
        self.by_environment.retain(|uid, _| is_there(uid));
        self.in_force.retain(|sha256| !gone.contains(sha256));
        for (uid, stock) in stocked {
            let shelf = self.by_environment.entry(uid).or_default();
            for blob in stock.inventory.blobs_beside(&shelf.inventory) {
                if !self.in_force.contains(&blob.sha256) {
                    self.in_force.insert(blob.sha256.clone());
                }
            }
            shelf.inventory = stock.inventory;
            shelf.made_of.extend(stock.made_of);
            if shelf.made_of.len() > shelf.inventory.parts_len() {
                let inventory = &shelf.inventory;
                let made_of = &mut shelf.made_of;
                made_of.retain(|(kind, id), _| inventory.has(*kind, id));
            }
        }
    }
}

impl Shelf {
    /// Builds what the workspace says now.
    pub(super) fn stock(
        &self,
        workspace: &Workspace,
        environment: &Environment,
    ) -> Result<Stocked, PublishError> {
        self.stock_with(workspace, environment, &FlagsDocument::default())
    }

    /// The same, with flags that are in no workspace.
    pub(super) fn stock_with(
        &self,
        workspace: &Workspace,
        environment: &Environment,
        flags: &FlagsDocument,
    ) -> Result<Stocked, PublishError> {
        let mut offers = Vec::with_capacity(self.inventory.parts_len());
        let mut made_of = Vec::new();
        let mut offer = |kind, id: String, own: MadeOf| -> Result<(), PublishError> {
            let (offer, changed) = self.offer((kind, id), own, environment)?;
            offers.push(offer);
            made_of.extend(changed);
            Ok(())
        };
        let settings = MadeOf::Settings(settings(workspace, environment));
        offer(PartKind::Settings, "settings".to_owned(), settings)?;
        let flows = workspace.flows.values();
        for flow in flows.filter(|flow| workspace.is_shown(flow, &environment.uid)) {
            let part = flow_part(flow, environment);
            offer(PartKind::Flow, flow.uid.clone(), MadeOf::Flow(part))?;
            for (number, version) in shown(flow, environment) {
                let id = format!("{}:{number}", flow.uid);
                let own = MadeOf::Version(Same(Arc::clone(version)));
                offer(PartKind::Version, id, own)?;
            }
        }
        for deployment in workspace.shown_deployments(&environment.uid) {
            let own = MadeOf::Deployment(deployment.part());
            offer(PartKind::Deployment, deployment.uid.clone(), own)?;
        }
        for key in &workspace.keys {
            let (Some(kind), Some(uid)) = (key.kind.published(), &key.environment_uid) else {
                continue;
            };
            if *uid != environment.uid || key.revoked_ms.is_some() {
                continue;
            }
            let part = KeyPart {
                sha256: key.sha256.clone(),
                kind,
                name: key.name.clone(),
                projects: key.projects.clone(),
                channel: key.channel.clone(),
                origins: key.origins.clone(),
            };
            offer(PartKind::Key, key.sha256.clone(), MadeOf::Key(part))?;
        }
        for (kind, id, part) in flags.parts() {
            offer(kind, id, MadeOf::Given(part.clone()))?;
        }
        for flag in workspace.flags.values() {
            if flag.archived_ms.is_none() && workspace.shows(&flag.project, &environment.uid) {
                let own = MadeOf::Flag(Same(Arc::clone(flag)));
                offer(PartKind::Flag, flag.name.clone(), own)?;
            }
        }
        for (id, segment) in &workspace.segments {
            let own = MadeOf::Segment(Same(Arc::clone(segment)));
            offer(PartKind::Segment, id.to_string(), own)?;
        }
        let (built, inventory) = build_beside(offers, &self.inventory)?;
        Ok(Stocked {
            built,
            inventory,
            made_of,
        })
    }

    /// A part for the next build, and what it is made of if that is news.
    fn offer(
        &self,
        name: PartName,
        own: MadeOf,
        environment: &Environment,
    ) -> Result<(Offer, Option<News>), PublishError> {
        if self.made_of.get(&name) == Some(&own) {
            return Ok(((name.0, name.1, None), None));
        }
        let json = match &own {
            MadeOf::Settings(part) => encode(part),
            MadeOf::Flow(part) => encode(part),
            MadeOf::Version(version) => encode(&version.0.part),
            MadeOf::Deployment(part) => encode(part),
            MadeOf::Key(part) => encode(part),
            MadeOf::Flag(flag) => encode(&flags::part::flag(&flag.0, &environment.uid)),
            MadeOf::Segment(segment) => encode(&flags::part::segment(&segment.0)),
            MadeOf::Given(part) => encode(part),
        };
        let offer = (name.0, name.1.clone(), Some(json?));
        Ok((offer, Some((name, own))))
    }
}

/// The versions of a flow that are published in an environment, with the
/// content they have there.
pub(super) fn shown<'w>(
    flow: &'w Flow,
    environment: &'w Environment,
) -> impl Iterator<Item = (&'w u32, &'w Arc<AuthoredVersion>)> {
    let drafts = environment.drafts;
    let versions = flow.versions.iter();
    let versions = versions.filter(move |(number, _)| **number > 0 || drafts);
    versions.map(|(number, version)| {
        let own = flow.version_in(*number, &environment.uid);
        (number, own.unwrap_or(version))
    })
}

/// A flow as it is published in an environment.
pub(super) fn flow_part(flow: &Flow, environment: &Environment) -> FlowPart {
    FlowPart {
        uid: flow.uid.clone(),
        sid: flow.sid.clone(),
        name: flow.name.clone(),
        project: flow.project.clone(),
        // What is switched off stands in the control document.
        enabled: true,
        versions: shown(flow, environment)
            .map(|(number, _)| *number)
            .collect(),
        refuse_public_force: flow.refuse_public_force,
        deployments_only: flow.deployments_only,
    }
}

/// What every edge of an environment goes by.
pub(super) fn settings(workspace: &Workspace, environment: &Environment) -> SettingsPart {
    SettingsPart {
        environment_type: environment.kind,
        drafts: environment.drafts,
        deprecated: environment.deprecated,
        channels: workspace
            .channels
            .values()
            .map(|channel| ChannelPart {
                name: channel.name.clone(),
                exclusive: channel.exclusive,
            })
            .collect(),
        access: Some(environment.access.clone()),
    }
}
