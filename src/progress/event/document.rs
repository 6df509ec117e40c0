//! What does the ledger know of a user, and of a group?
//!
//! Names in full; the compact form that is evaluated is made of these.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::EventId;
use crate::{
    clock::UnixMs,
    evaluate::{BlockState, FlowProgress, FlowState, Profile, Subject},
    snapshot::{BlockKey, FlowKey, NameKey, Version},
};

/// State of one flow version for one user.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowStateDocument {
    /// Flow uid.
    pub flow: String,
    /// Version number.
    pub version: u32,
    /// The conversation it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<String>,
    /// As in `FlowState`.
    #[serde(default)]
    pub started: bool,
    /// As in `FlowState`.
    #[serde(default)]
    pub stopped: bool,
    /// As in `FlowState`.
    #[serde(default)]
    pub finished: bool,
    /// As in `FlowState`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub retired: bool,
    /// As in `FlowState`.
    #[serde(default)]
    pub generation: u32,
    /// When a record last changed it; only in user documents, where it tells
    /// which conversations are over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub touched_ms: Option<UnixMs>,
    /// The percentage decision that its first start rested on; only in user
    /// documents, where it tells whose success it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enrolled: Option<EnrolledDocument>,
    /// Blocks that were entered.
    #[serde(default)]
    pub blocks: Vec<BlockStateDocument>,
    /// Ids of the last events, oldest first; only in user documents.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recent: Vec<EventId>,
}

/// Under which key a percentage decision stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrolledDocument {
    /// Uid of the deployment.
    pub deployment: String,
    /// The id that was hashed.
    pub id: String,
    /// Set when the decision stands for one conversation only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<String>,
}

/// State of one block.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockStateDocument {
    /// Block uid.
    pub block: String,
    /// As in `BlockState`.
    #[serde(default)]
    pub active: bool,
    /// As in `BlockState`.
    #[serde(default)]
    pub exited: bool,
    /// Names taken since it was entered last; of a gate the uids of the paths
    /// taken since it was passed last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub taken: Vec<String>,
}

impl FlowStateDocument {
    /// The document of a state in this version. Blocks and names the version
    /// does not have (a draft that was edited) are dropped.
    pub fn of(
        flow_uid: &str,
        version: &Version,
        conversation: Option<&str>,
        state: &FlowState,
    ) -> Self {
        let blocks = state.blocks.iter().filter_map(|stored| {
            let block = version.block(version.find(stored.key)?);
            let names = block.transitions.iter().map(|t| (t.key, t.name()));
            let paths = block.incoming().iter().map(|path| (path.key, &*path.uid));
            let taken = names
                .chain(paths)
                .filter(|(key, _)| stored.has_taken(*key))
                .map(|(_, name)| str::to_owned(name));
            Some(BlockStateDocument {
                block: str::to_owned(&block.uid),
                active: stored.active,
                exited: stored.exited,
                taken: taken.collect(),
            })
        });
        Self {
            flow: flow_uid.to_owned(),
            version: version.number,
            conversation: conversation.map(ToOwned::to_owned),
            started: state.started,
            stopped: state.stopped,
            finished: state.finished,
            retired: state.retired,
            generation: state.generation,
            touched_ms: None,
            enrolled: None,
            blocks: blocks.collect(),
            recent: Vec::new(),
        }
    }

    /// The compact form of this document.
    pub fn to_state(&self) -> FlowState {
        let mut blocks: Vec<BlockState> = self
            .blocks
            .iter()
            .map(|block| {
                let mut taken: Vec<NameKey> = block.taken.iter().map(|n| NameKey::of(n)).collect();
                taken.sort_unstable();
                BlockState {
                    key: BlockKey::of(&block.block),
                    active: block.active,
                    entered: true,
                    exited: block.exited,
                    taken: taken.into(),
                }
            })
            .collect();
        blocks.sort_unstable_by_key(|block| block.key);
        FlowState {
            started: self.started,
            stopped: self.stopped,
            finished: self.finished,
            retired: self.retired,
            generation: self.generation,
            blocks: blocks.into(),
        }
    }
}

/// What a flow's state without blocks has as JSON, with a full ring of ids.
const FLOW_BYTES: usize = 512;
/// A block's state with a uid of the usual length.
const BLOCK_BYTES: usize = 96;
/// A name, or a path's uid of the usual length.
const TAKEN_BYTES: usize = 48;

/// About how large one flow's state is in a user's document: typical sizes, so
/// that nobody has to write it out. `taken` says of each block how many names
/// it holds.
pub(crate) fn state_bytes(conversation: Option<&str>, taken: impl Iterator<Item = usize>) -> usize {
    let blocks = taken.map(|names| BLOCK_BYTES + names * TAKEN_BYTES);
    FLOW_BYTES + conversation.map_or(0, str::len) + blocks.sum::<usize>()
}

/// When and at which revision somebody was erased: what was decided before is
/// meant for nobody any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erased {
    /// By the ledger's clock.
    pub at_ms: UnixMs,
    /// Of the document that was left in the place of the old one.
    pub doc_rev: u64,
}

/// Everything the ledger knows of one user: the answer of
/// `GET environments/{env}/users/{id}`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct UserDocument {
    /// User id.
    pub identifier: String,
    /// Grows with every applied record of this user, by one unless documents
    /// were forgotten; 0: never seen.
    pub doc_rev: u64,
    /// First applied record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_ms: Option<UnixMs>,
    /// Last applied identify.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_ms: Option<UnixMs>,
    /// Merged properties.
    #[serde(default)]
    pub properties: Map<String, Value>,
    /// Groups the user belongs to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// State of every flow version visited.
    #[serde(default)]
    pub flows: Vec<FlowStateDocument>,
    /// Ids of the last identify calls, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recent: Vec<EventId>,
    /// (journal, seq) of the last record applied, for `Base::Record`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<(String, u64)>,
    /// That record was applied to more than its edge had seen: what the same
    /// edge decides next is not decided on this document.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub mixed: bool,
    /// Whoever had this id was erased; what stands here came later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erased: Option<Erased>,
}

impl UserDocument {
    /// Of a user nobody has heard of.
    pub fn new(identifier: &str) -> Self {
        Self {
            identifier: identifier.to_owned(),
            ..Self::default()
        }
    }

    /// When the user was erased, if nothing came since: a place that is held
    /// so that late records bring nothing back.
    pub fn tombstone_ms(&self) -> Option<UnixMs> {
        let erased = self.erased?;
        let is_empty = self.created_ms.is_none()
            && self.properties.is_empty()
            && self.groups.is_empty()
            && self.flows.is_empty();
        is_empty.then_some(erased.at_ms)
    }

    /// The compact form of this document.
    pub fn to_subject(&self) -> Subject {
        let mut flows: Vec<FlowProgress> = self
            .flows
            .iter()
            .map(|flow| FlowProgress {
                flow: FlowKey::of(&flow.flow),
                version: flow.version,
                conversation: flow.conversation.as_deref().map(Into::into),
                state: flow.to_state(),
            })
            .collect();
        flows.sort_by(|a, b| {
            (a.flow, a.version, &a.conversation).cmp(&(b.flow, b.version, &b.conversation))
        });
        Subject {
            profile: Arc::new(Profile {
                identifier: self.identifier.as_str().into(),
                created_ms: self.created_ms,
                updated_ms: self.updated_ms,
                properties: self.properties.clone(),
            }),
            flows,
        }
    }
}

/// The answer of `GET environments/{env}/groups/{id}`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GroupRecord {
    /// Group id.
    pub identifier: String,
    /// 0: never seen.
    pub doc_rev: u64,
    /// First identify.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_ms: Option<UnixMs>,
    /// Last identify.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_ms: Option<UnixMs>,
    /// Merged properties.
    #[serde(default)]
    pub properties: Map<String, Value>,
    /// (journal, seq) of the last record applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<(String, u64)>,
    /// What had this id was erased; what stands here came later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erased: Option<Erased>,
}

impl GroupRecord {
    /// Of a group nobody has heard of.
    pub fn new(identifier: &str) -> Self {
        Self {
            identifier: identifier.to_owned(),
            ..Self::default()
        }
    }

    /// When the group was erased, if nothing came since.
    pub fn tombstone_ms(&self) -> Option<UnixMs> {
        let is_empty = self.created_ms.is_none() && self.properties.is_empty();
        self.erased.filter(|_| is_empty).map(|own| own.at_ms)
    }

    /// The compact form of this record.
    pub fn into_profile(self) -> Profile {
        Profile {
            identifier: self.identifier.into(),
            created_ms: self.created_ms,
            updated_ms: self.updated_ms,
            properties: self.properties,
        }
    }
}
