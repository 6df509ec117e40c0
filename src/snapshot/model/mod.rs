//! What does a compiled snapshot look like to the code that evaluates it?
//!
//! Immutable, owned behind `Arc`s, every name already interned, every
//! expression already parsed, every static piece of an answer already
//! serialised. A [`Version`] depends on its own part alone, so that the next
//! snapshot can reuse it by hash; flows link to versions when a snapshot is
//! put together. Nothing here is serialisable.

mod deployment;
mod names;
mod version;

pub use deployment::{Alternative, Audience, Channel, Deployment, RolloutSource, Rule, Scheduled};
pub use names::{BlockKey, DeploymentKey, FlowKey, NameKey, Revision, RevisionError};
pub use version::{Block, BlockIndex, Entry, Incoming, Target, Transition, Trigger, Version};

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::wire::{EnvironmentType, KeyKind};

/// Everything one environment evaluates against, at one revision.
#[derive(Debug)]
pub struct Snapshot {
    /// Environment name, as in `/edge/v1/environments/{env}`.
    pub environment: Box<str>,
    /// Environment uid, never reused.
    pub environment_uid: Box<str>,
    /// Kind of environment.
    pub environment_type: EnvironmentType,
    /// Release and control together.
    pub revision: Revision,
    /// Whether drafts are in the snapshot.
    pub drafts: bool,
    /// By sid.
    pub flows: FxHashMap<Box<str>, Arc<Flow>>,
    /// By key, for whoever holds progress and wants its name.
    pub flows_by_key: FxHashMap<FlowKey, Arc<Flow>>,
    /// The flow each shown block's uid belongs to; logic blocks cannot be asked for.
    pub block_flows: FxHashMap<Box<str>, Arc<Flow>>,
    /// Ascending by uid; those that were set aside are missing.
    pub deployments: Vec<Arc<Deployment>>,
    /// By name; every channel that is described or deployed on.
    pub channels: FxHashMap<Box<str>, Channel>,
    /// Keys that are not revoked.
    pub keys: Vec<Key>,
    /// What could not be compiled; the rest serves.
    pub set_aside: Vec<SetAside>,
}

/// One thing that was left out of a snapshot, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetAside {
    /// The flow's sid, or `deployment NAME`.
    pub flow: Box<str>,
    /// Its version, or none for the whole flow.
    pub version: Option<u32>,
    /// In words, for status and log.
    pub why: String,
}

/// A key's compiled form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// SHA-256 of the key text.
    pub sha256: [u8; 32],
    /// What it may do.
    pub kind: KeyKind,
    /// For people.
    pub name: Box<str>,
    /// Project sids it may see; empty means all.
    pub projects: Box<[Box<str>]>,
    /// Every request with it comes over this channel.
    pub channel: Option<Box<str>>,
}

impl Key {
    /// Whether flows of this project are visible with this key.
    pub fn sees(&self, project: &str) -> bool {
        self.projects.is_empty() || self.projects.iter().any(|own| &**own == project)
    }
}

/// One flow with its versions linked.
#[derive(Debug)]
pub struct Flow {
    /// Never changes.
    pub uid: Box<str>,
    /// `FlowKey::of(uid)`.
    pub key: FlowKey,
    /// What client code says.
    pub sid: Box<str>,
    /// For people.
    pub name: Box<str>,
    /// Project sid.
    pub project: Box<str>,
    /// Status of the release minus the control document's entries.
    pub enabled: bool,
    /// Whether public keys may not `force` a start.
    pub refuse_public_force: bool,
    /// Without a deployment the flow answers as empty.
    pub deployments_only: bool,
    /// Ascending by number; the draft first when there is one. A version that
    /// could not be compiled is here as `Err` with its number, so that asking
    /// for it says `set_aside` and not `unknown_version`.
    pub versions: Box<[VersionSlot]>,
}

/// A place in a flow's list of versions.
#[derive(Clone, Debug)]
pub struct VersionSlot {
    /// 0 for the draft.
    pub number: u32,
    /// None when it was set aside.
    pub version: Option<Arc<Version>>,
}

impl Flow {
    /// The slot with this number.
    pub fn version(&self, number: u32) -> Option<&VersionSlot> {
        let at = self
            .versions
            .binary_search_by_key(&number, |slot| slot.number)
            .ok()?;
        Some(&self.versions[at])
    }

    /// The newest committed version.
    pub fn latest(&self) -> Option<&VersionSlot> {
        self.versions.last().filter(|slot| slot.number > 0)
    }
}
