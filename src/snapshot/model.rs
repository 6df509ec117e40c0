//! What does a compiled snapshot look like to the code that evaluates it?
//!
//! Immutable, owned behind `Arc`s, every name already interned, every
//! expression already parsed, every static piece of an answer already
//! serialised. A [`Version`] depends on its own part alone, so that the next
//! snapshot can reuse it by hash; flows link to versions when a snapshot is
//! put together. Nothing here is serialisable.

use std::{fmt, str::FromStr, sync::Arc};

use rustc_hash::FxHashMap;

use super::wire::{BlockKind, EnvironmentType, KeyKind, Migration};
use crate::evaluate::predicate::Predicate;

/// `epoch.N`: one counter per environment, raised by every release or control
/// document. Ordered by epoch first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision {
    /// Raised only by a root document.
    pub epoch: u32,
    /// Only grows within an epoch.
    pub number: u64,
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch, self.number)
    }
}

impl FromStr for Revision {
    type Err = RevisionError;

    fn from_str(text: &str) -> Result<Self, RevisionError> {
        let (epoch, number) = text.split_once('.').ok_or(RevisionError)?;
        // `+7` parses as a number in Rust; a revision has digits only.
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !digits(epoch) || !digits(number) {
            return Err(RevisionError);
        }
        Ok(Self {
            epoch: epoch.parse().map_err(|_| RevisionError)?,
            number: number.parse().map_err(|_| RevisionError)?,
        })
    }
}

/// The text was not `epoch.N`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a revision of the form epoch.N, such as 0.17")]
pub struct RevisionError;

/// A name reduced to 64 bits (murmur3 x64 128, lower half). Progress in memory
/// is keyed by these, so that looking a state up compares integers; compile
/// refuses the version in which two names would collide.
macro_rules! name_key {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        impl $name {
            /// The key of this name.
            pub fn of(name: &str) -> Self {
                Self(super::name_hash(name))
            }
        }
    };
}

name_key!(
    /// A flow's uid.
    FlowKey
);
name_key!(
    /// A block's uid.
    BlockKey
);
name_key!(
    /// A transition name.
    NameKey
);

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
    /// The flow each shown block's uid belongs to; logic blocks cannot be asked for.
    pub block_flows: FxHashMap<Box<str>, Arc<Flow>>,
    /// Keys that are not revoked.
    pub keys: Vec<Key>,
    /// What could not be compiled; the rest serves.
    pub set_aside: Vec<SetAside>,
}

/// One thing that was left out of a snapshot, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetAside {
    /// The flow's sid.
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

/// One compiled version of a flow.
#[derive(Debug)]
pub struct Version {
    /// 0 for the draft.
    pub number: u32,
    /// Applied to users of earlier versions (from the next release on).
    pub migration: Migration,
    /// Who starts by themselves.
    pub entry: Entry,
    /// Indexes of the blocks that a start enters, in document order.
    pub initial: Box<[BlockIndex]>,
    /// In document order.
    pub blocks: Box<[Block]>,
    /// Block indexes sorted by key, for look-ups by [`Version::find`].
    pub by_key: Box<[BlockIndex]>,
    /// Indexes of the blocks that are shown, in document order: everything
    /// but logic blocks.
    pub shown: Box<[BlockIndex]>,
    /// `{"kind":"flow","type":"flow","uid":…,"sid":…,"version":N` without the
    /// closing brace: the static head of Dopt's Flow.
    pub json_head: Box<[u8]>,
    /// The most bytes the shown blocks take, for a buffer that never grows.
    pub json_bytes: usize,
}

/// Position of a block in its version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockIndex(pub u32);

impl Version {
    /// The block at this index.
    pub fn block(&self, index: BlockIndex) -> &Block {
        &self.blocks[index.0 as usize]
    }

    /// The block with this key.
    pub fn find(&self, key: BlockKey) -> Option<BlockIndex> {
        let at = self
            .by_key
            .binary_search_by_key(&key, |index| self.block(*index).key)
            .ok()?;
        Some(self.by_key[at])
    }
}

/// The condition under which a user starts.
#[derive(Debug)]
pub enum Entry {
    /// Always.
    Everyone,
    /// When it is true.
    Expression(Predicate),
    /// Only with `force`.
    ApiOnly,
}

/// One compiled block.
#[derive(Debug)]
pub struct Block {
    /// Stable across versions.
    pub uid: Box<str>,
    /// `BlockKey::of(uid)`.
    pub key: BlockKey,
    /// Without the flow's sid.
    pub sid: Box<str>,
    /// What it is.
    pub kind: BlockKind,
    /// The container this item belongs to.
    pub container: Option<BlockIndex>,
    /// Only for containers: its items in their order (`display-index`, then
    /// document order).
    pub items: Box<[BlockIndex]>,
    /// Outgoing transitions, in the order they are shown.
    pub transitions: Box<[Transition]>,
    /// Only for `boolean`.
    pub predicate: Option<Predicate>,
    /// Everything of Dopt's Block up to and without `"state"`:
    /// `{"kind":"block","type":…,"uid":…,"sid":…,"version":N,"fields":[…]` and
    /// `,"containerUid":…` for items. Empty for logic blocks.
    pub json_head: Box<[u8]>,
}

impl Block {
    /// The transition with this key.
    pub fn transition(&self, key: NameKey) -> Option<&Transition> {
        self.transitions.iter().find(|t| t.key == key)
    }

    /// Whether the block runs by itself and is never shown.
    pub fn is_logic(&self) -> bool {
        matches!(self.kind, BlockKind::Boolean | BlockKind::Finish)
    }
}

/// One transition name of a block and where it leads.
#[derive(Debug)]
pub struct Transition {
    /// As in requests.
    pub name: Box<str>,
    /// `NameKey::of(name)`.
    pub key: NameKey,
    /// Blocks entered when it is taken, in document order, without duplicates.
    pub targets: Box<[BlockIndex]>,
    /// `"name":`, ready for the `transitioned` object.
    pub json_name: Box<[u8]>,
}
