//! What does a compiled version look like?
//!
//! Blocks are found by index; names and uids are compared as 64-bit keys.

use super::names::{BlockKey, FlowKey, NameKey};
use crate::{
    evaluate::predicate::Predicate,
    snapshot::wire::{BlockKind, Migration, TriggerAction},
};

/// One compiled version of a flow.
#[derive(Debug)]
pub struct Version {
    /// The flow's uid.
    pub flow_uid: Box<str>,
    /// `FlowKey::of(flow_uid)`.
    pub flow_key: FlowKey,
    /// The flow's sid.
    pub flow_sid: Box<str>,
    /// 0 for the draft.
    pub number: u32,
    /// Applied to users of earlier versions.
    pub migration: Migration,
    /// Who starts by themselves.
    pub entry: Entry,
    /// What a start enters, in document order.
    pub initial: Box<[Target]>,
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
    /// Outgoing transitions, in the order they are shown.
    pub transitions: Box<[Transition]>,
    /// None for most blocks, of which there are more than of anything else.
    pub special: Option<Box<Special>>,
    /// Everything of Dopt's Block up to and without `"state"`:
    /// `{"kind":"block","type":…,"uid":…,"sid":…,"version":N,"fields":[…]` and
    /// `,"containerUid":…` for items. Empty for logic blocks.
    pub json_head: Box<[u8]>,
}

/// What only some kinds of blocks have.
#[derive(Debug, Default)]
pub struct Special {
    /// The container this item belongs to.
    pub container: Option<BlockIndex>,
    /// Only for containers: its items in their order (`display-index`, then
    /// document order).
    pub items: Box<[BlockIndex]>,
    /// Only for `boolean`.
    pub predicate: Option<Predicate>,
    /// Only for `gate`: every path that leads here, sorted by key.
    pub incoming: Box<[Incoming]>,
    /// Only for `flowTrigger`.
    pub trigger: Option<Trigger>,
}

impl Special {
    /// Nothing where there is nothing.
    pub(in crate::snapshot) fn if_any(self) -> Option<Box<Self>> {
        let is_any = self.container.is_some()
            || !self.items.is_empty()
            || self.predicate.is_some()
            || !self.incoming.is_empty()
            || self.trigger.is_some();
        is_any.then(|| Box::new(self))
    }
}

impl Block {
    /// The container this item belongs to.
    pub fn container(&self) -> Option<BlockIndex> {
        self.special.as_ref()?.container
    }

    /// A container's items in their order.
    pub fn items(&self) -> &[BlockIndex] {
        self.special.as_ref().map_or(&[], |own| &own.items)
    }

    /// What decides the side of a `boolean`.
    pub fn predicate(&self) -> Option<&Predicate> {
        self.special.as_ref()?.predicate.as_ref()
    }

    /// Every path that leads to a gate, sorted by key.
    pub fn incoming(&self) -> &[Incoming] {
        self.special.as_ref().map_or(&[], |own| &own.incoming)
    }

    /// What a flow trigger does.
    pub fn trigger(&self) -> Option<&Trigger> {
        self.special.as_ref()?.trigger.as_ref()
    }

    /// The transition with this key.
    pub fn transition(&self, key: NameKey) -> Option<&Transition> {
        self.transitions.iter().find(|t| t.key == key)
    }

    /// Whether the block runs by itself and is never shown.
    pub fn is_logic(&self) -> bool {
        matches!(
            self.kind,
            BlockKind::Boolean
                | BlockKind::Finish
                | BlockKind::Gate
                | BlockKind::Webhook
                | BlockKind::FlowTrigger
        )
    }
}

/// One transition name of a block and where it leads.
#[derive(Debug)]
pub struct Transition {
    /// `NameKey::of(name)`.
    pub key: NameKey,
    /// Where it leads, in document order, one for each path.
    pub targets: Box<[Target]>,
    label: Label,
}

/// A transition's name. Nearly all blocks are of kinds whose names are fixed,
/// and those stand in the program.
#[derive(Debug)]
enum Label {
    Fixed(&'static FixedName),
    Own(Box<OwnName>),
}

/// A name that a kind of blocks always has.
#[derive(Debug)]
pub(in crate::snapshot) struct FixedName {
    /// As in requests.
    pub(in crate::snapshot) name: &'static str,
    /// `"name":`, ready for the `transitioned` object.
    pub(in crate::snapshot) json: &'static str,
}

#[derive(Debug)]
struct OwnName {
    name: Box<str>,
    json: Box<[u8]>,
}

impl Transition {
    /// Of a name that the block's kind has.
    pub(in crate::snapshot) fn fixed(name: &'static FixedName, targets: Box<[Target]>) -> Self {
        Self {
            key: NameKey::of(name.name),
            targets,
            label: Label::Fixed(name),
        }
    }

    /// Of a name that the block gives, and `"name":`.
    pub(in crate::snapshot) fn own(name: &str, json: Vec<u8>, targets: Box<[Target]>) -> Self {
        Self {
            key: NameKey::of(name),
            targets,
            label: Label::Own(Box::new(OwnName {
                name: name.into(),
                json: json.into(),
            })),
        }
    }

    /// As in requests.
    pub fn name(&self) -> &str {
        match &self.label {
            Label::Fixed(fixed) => fixed.name,
            Label::Own(own) => &own.name,
        }
    }

    /// `"name":`, ready for the `transitioned` object.
    pub fn json_name(&self) -> &[u8] {
        match &self.label {
            Label::Fixed(fixed) => fixed.json.as_bytes(),
            Label::Own(own) => &own.json,
        }
    }
}

/// A path, seen from its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// The block it leads to.
    pub block: BlockIndex,
    /// `NameKey::of(path uid)`; what a gate counts.
    pub path: NameKey,
}

/// A path, seen from the gate it leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// The path's uid.
    pub uid: Box<str>,
    /// `NameKey::of(uid)`.
    pub key: NameKey,
}

/// What a flow trigger does. The other flow is found when it acts: it may not
/// exist, or not yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trigger {
    /// The other flow's sid.
    pub flow_sid: Box<str>,
    /// Which version; none means the newest committed one.
    pub version: Option<u32>,
    /// What happens to it.
    pub action: TriggerAction,
}
