//! What stands in a progress record, in a batch, and in a user document?
//!
//! The serialisable forms of progress: a record is written to the journal as
//! one JSON object, travels to the ledger unchanged, and names blocks and
//! transitions in full, so that it can be read without the snapshot it was
//! decided against. Members may be added; unknown members are ignored.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    clock::UnixMs,
    evaluate::{BlockState, FlowState},
    snapshot::{BlockKey, NameKey, Version},
};

/// One acknowledged fact, as the edge decided it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Environment name.
    pub environment: String,
    /// Environment uid: a record never reaches an environment made anew under
    /// the same name.
    pub environment_uid: String,
    /// User id.
    pub user: String,
    /// The group the request named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The conversation the request named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<String>,
    /// `epoch.N` of the snapshot it was decided against.
    pub revision: String,
    /// When it was decided, by the edge's clock.
    pub decided_ms: UnixMs,
    /// What was done.
    pub operation: Operation,
    /// Outcomes of every branch taken, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outcomes: Vec<OutcomeDocument>,
    /// What the decision was based on.
    pub base: Base,
    /// What of it nobody could be asked about.
    #[serde(default, skip_serializing_if = "Assumption::is_nothing")]
    pub assumed: Assumption,
    /// Resulting state of every flow that was touched.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub states: Vec<FlowStateDocument>,
    /// For deduplication; absent when the client gave no key and the journal's
    /// sequence number is enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<EventId>,
    /// The edge that took it.
    pub edge: String,
}

/// What the application or its user did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "kebab-case")]
pub enum Operation {
    /// The flow was started (by itself, or asked to).
    Start {
        /// Flow uid.
        flow: String,
        /// Version number.
        version: u32,
        /// Generation of the state that was started.
        generation: u32,
        /// The entry condition was skipped.
        force: bool,
    },
    /// reset, stop or finish.
    Intent {
        /// Flow uid.
        flow: String,
        /// Version number.
        version: u32,
        /// Generation before.
        generation: u32,
        /// Which.
        intent: Intent,
        /// Only with reset: the condition was skipped.
        force: bool,
        /// Only with reset: whether the flow was started again.
        restarted: bool,
    },
    /// A block was left.
    Transition {
        /// Flow uid.
        flow: String,
        /// Version number.
        version: u32,
        /// Generation of the state.
        generation: u32,
        /// Block uid.
        block: String,
        /// Transition names as asked, without unknown ones.
        names: Vec<String>,
    },
    /// Properties were merged. Null removes.
    Identify {
        /// Of the user.
        properties: Map<String, Value>,
        /// Groups upserted in the same call.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        groups: Vec<GroupDocument>,
    },
}

/// Intents that are not start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Intent {
    /// Clear, then start.
    Reset,
    /// Stop.
    Stop,
    /// Finish.
    Finish,
}

/// A group with properties to merge.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupDocument {
    /// Group id.
    pub identifier: String,
    /// Null removes.
    #[serde(default)]
    pub properties: Map<String, Value>,
}

/// What a branch decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutcomeDocument {
    /// Uid of the boolean block.
    pub block: String,
    /// The side taken.
    pub side: bool,
}

/// What the deciding edge had seen of the user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Base {
    /// The ledger's document at this revision (0: the ledger knows no such user).
    Document(u64),
    /// This journal's previous record for the user.
    Record {
        /// Journal id.
        journal: String,
        /// Sequence number.
        seq: u64,
    },
    /// Upstream was away: decided as if the user were new.
    Absent,
}

/// What a decision took for granted because upstream was away. `base` says on
/// which record of ours it rests, this says what that record cannot vouch for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Assumption {
    /// Nothing: the ledger's document was known.
    #[default]
    Nothing,
    /// The flow's state comes from our own records; of the rest, for instance
    /// of event ids, nothing was known.
    Rest,
    /// The flow was taken for one that the user never visited.
    Unvisited,
}

impl Assumption {
    fn is_nothing(&self) -> bool {
        *self == Self::Nothing
    }
}

/// Identity of an event for deduplication.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventId {
    /// 64-bit hash of the idempotency key.
    pub key: u64,
    /// 32-bit hash of the request's meaning; the same key with another body is
    /// a client's mistake.
    pub body: u32,
}

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
    #[serde(default)]
    pub generation: u32,
    /// Blocks that were entered.
    #[serde(default)]
    pub blocks: Vec<BlockStateDocument>,
    /// Ids of the last events, oldest first; only in user documents.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recent: Vec<EventId>,
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
    /// Names taken since it was entered last.
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
            let taken = block
                .transitions
                .iter()
                .filter(|transition| stored.has_taken(transition.key))
                .map(|transition| transition.name.to_string());
            Some(BlockStateDocument {
                block: block.uid.to_string(),
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
            generation: state.generation,
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
            generation: self.generation,
            blocks: blocks.into(),
        }
    }
}

/// Everything the ledger knows of one user: the answer of
/// `GET environments/{env}/users/{id}`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct UserDocument {
    /// User id.
    pub identifier: String,
    /// Grows by one with every applied record of this user; 0: never seen.
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
}

/// A shipped batch: `POST environments/{env}/progress`. An empty list of
/// records asks where the ledger stands with this journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Batch {
    /// Journal id, 32 hexadecimal digits.
    pub journal: String,
    /// [`chain_hash`] of the batch before; empty for the journal's first.
    pub previous: String,
    /// In order of seq; gaps are allowed.
    pub records: Vec<ShippedRecord>,
}

/// One record of a batch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShippedRecord {
    /// Sequence number in the journal.
    pub seq: u64,
    /// When it was appended.
    pub wall_ms: UnixMs,
    /// The record.
    pub event: Event,
}

/// The hash a batch is named by in the next one: SHA-256 over the previous
/// hash and every record's seq and compact JSON.
pub fn chain_hash(batch: &Batch) -> Result<String, serde_json::Error> {
    let mut bytes = Vec::with_capacity(batch.records.len() * 256);
    bytes.extend_from_slice(batch.previous.as_bytes());
    for record in &batch.records {
        bytes.push(b'\n');
        bytes.extend_from_slice(record.seq.to_string().as_bytes());
        bytes.push(b' ');
        serde_json::to_writer(&mut bytes, &record.event)?;
    }
    Ok(crate::snapshot::sha256_hex(&bytes))
}

/// The ledger's answer to a batch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BatchAnswer {
    /// Every record up to this seq has its terminal outcome; none: nothing of
    /// this journal is known.
    pub watermark: Option<u64>,
    /// `chain_hash` of the last batch taken; empty when there was none.
    pub hash: String,
    /// One for each record of the batch, in order.
    pub outcomes: Vec<RecordOutcome>,
}

/// What became of one record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecordOutcome {
    /// Which record.
    pub seq: u64,
    /// Its terminal outcome.
    pub outcome: Outcome,
    /// The user's document revision afterwards.
    pub doc_rev: u64,
    /// Whether the ledger's document after it is the one the edge decided on,
    /// with this record's effect and nothing else; when not, the edge reads
    /// the user again.
    pub as_recorded: bool,
    /// In words, for `superseded` and `dead`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// Terminal outcomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Its effect is in the ledger now.
    Applied,
    /// Its effect was in the ledger before.
    Already,
    /// Something newer made it meaningless.
    Superseded,
    /// It does not fit; kept as a dead letter.
    Dead,
}
