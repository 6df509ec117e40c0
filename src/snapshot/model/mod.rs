//! What does a compiled snapshot look like to the code that evaluates it?
//!
//! Immutable, owned behind `Arc`s, every name already interned, every
//! expression already parsed, every static piece of an answer already
//! serialised. A [`Version`] depends on its own part alone, so that the next
//! snapshot can reuse it by hash; flows link to versions when a snapshot is
//! put together. Nothing here is serialisable.

mod access;
mod deployment;
mod names;
mod version;

pub use access::{AccessRules, Key, Unsigned, UserKey};
pub use deployment::{Alternative, Audience, Channel, Deployment, RolloutSource, Rule, Scheduled};
pub use names::{BlockKey, DeploymentKey, FlowKey, NameKey, Revision, RevisionError};
pub(super) use version::FixedName;
pub use version::{
    Block, BlockIndex, Entry, Incoming, Special, Target, Transition, Trigger, Version,
};

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::{
    flags::{FlagMark, Flags},
    wire::EnvironmentType,
};

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
    /// Whether its operator says that nothing new begins in it.
    pub deprecated: bool,
    /// By sid.
    pub flows: FxHashMap<Box<str>, Arc<Flow>>,
    /// By key, for whoever holds progress and wants its name.
    pub flows_by_key: FxHashMap<FlowKey, Arc<Flow>>,
    /// The flow each shown block's uid belongs to; logic blocks cannot be asked for.
    pub block_flows: BlockFlows,
    /// Ascending by uid; those that were set aside are missing.
    pub deployments: Vec<Arc<Deployment>>,
    /// By name; every channel that is described or deployed on.
    pub channels: FxHashMap<Box<str>, Channel>,
    /// Flags, shared with other snapshots that have the same.
    pub flags: Arc<Flags>,
    /// By what clients that follow flags know these.
    pub flag_mark: FlagMark,
    /// Whether the environment that a context of flags names counts. Else the
    /// key has settled it; but flags of a file are of no environment.
    pub takes_environments: bool,
    /// Keys that are not revoked.
    pub keys: Vec<Key>,
    /// What public keys may do.
    pub access: AccessRules,
    /// What could not be compiled; the rest serves.
    pub set_aside: Vec<SetAside>,
}

/// Flows by their blocks, which are as many as everything else together: so
/// their keys stand here and not their uids. Compile sets a flow aside that has
/// a block with the key of another flow's.
#[derive(Debug, Default)]
pub struct BlockFlows {
    by_key: FxHashMap<BlockKey, Arc<Flow>>,
}

impl BlockFlows {
    /// The flow that a block with this uid belongs to.
    pub fn get(&self, uid: &str) -> Option<&Arc<Flow>> {
        self.by_key.get(&BlockKey::of(uid))
    }

    /// Each block and its flow.
    pub fn iter(&self) -> impl Iterator<Item = (BlockKey, &Arc<Flow>)> {
        self.by_key.iter().map(|(key, flow)| (*key, flow))
    }

    pub(in crate::snapshot) fn insert(&mut self, key: BlockKey, flow: Arc<Flow>) {
        self.by_key.insert(key, flow);
    }
}

/// One thing that was left out of a snapshot, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetAside {
    /// The flow's sid, `deployment NAME`, `flag NAME` or `flag segment ID`.
    pub flow: Box<str>,
    /// Its version, or none for the whole flow.
    pub version: Option<u32>,
    /// In words, for status and log.
    pub why: String,
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
