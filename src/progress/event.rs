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
    evaluate::{BlockState, FlowState, Membership, Outcome as LogicOutcome, Side},
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
    /// What came of every logic block that was reached, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outcomes: Vec<OutcomeDocument>,
    /// What the decision was based on.
    pub base: Base,
    /// What of it nobody could be asked about.
    #[serde(default, skip_serializing_if = "Assumption::is_nothing")]
    pub assumed: Assumption,
    /// The percentage decision this rests on, or (as an operation of its own)
    /// brings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub membership: Option<MembershipDocument>,
    /// Resulting state of every flow that was touched, the step's own first.
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
    /// The state of another version was carried over.
    Migrate {
        /// Flow uid.
        flow: String,
        /// The version it was made for.
        version: u32,
        /// Generation of the state that was made.
        generation: u32,
        /// The version it was made from.
        from: u32,
    },
    /// A percentage decided and nothing was started: see `Event::membership`.
    /// The user's document is not touched.
    Membership,
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

/// What came of a logic block. The kinds differ by their members; a target that
/// is missing makes a trigger, so that one comes last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum OutcomeDocument {
    /// A boolean.
    Branch {
        /// Its uid.
        block: String,
        /// The side taken.
        side: bool,
    },
    /// A gate.
    Gate {
        /// Its uid.
        block: String,
        /// Whether it let the flow through.
        passed: bool,
    },
    /// A webhook that is to be called.
    Webhook {
        /// Its uid.
        block: String,
        /// Always true; tells it from the others.
        webhook: bool,
    },
    /// A flow trigger.
    Trigger {
        /// Its uid.
        block: String,
        /// What it acted on; null when there was nothing.
        target: Option<TargetDocument>,
    },
}

/// The version of a flow that a trigger acted on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetDocument {
    /// Flow uid.
    pub flow: String,
    /// Version number.
    pub version: u32,
}

impl OutcomeDocument {
    /// As it is written.
    pub fn of(outcome: &LogicOutcome) -> Self {
        match outcome {
            LogicOutcome::Branch { block, side } => Self::Branch {
                block: block.to_string(),
                side: *side == Side::True,
            },
            LogicOutcome::Gate { block, passed } => Self::Gate {
                block: block.to_string(),
                passed: *passed,
            },
            LogicOutcome::Webhook { block } => Self::Webhook {
                block: block.to_string(),
                webhook: true,
            },
            LogicOutcome::Trigger { block, target } => Self::Trigger {
                block: block.to_string(),
                target: target.as_ref().map(|(flow, version)| TargetDocument {
                    flow: flow.to_string(),
                    version: *version,
                }),
            },
        }
    }

    /// As it is evaluated.
    pub fn to_outcome(&self) -> LogicOutcome {
        match self {
            Self::Branch { block, side } => LogicOutcome::Branch {
                block: block.as_str().into(),
                side: if *side { Side::True } else { Side::False },
            },
            Self::Gate { block, passed } => LogicOutcome::Gate {
                block: block.as_str().into(),
                passed: *passed,
            },
            Self::Webhook { block, .. } => LogicOutcome::Webhook {
                block: block.as_str().into(),
            },
            Self::Trigger { block, target } => LogicOutcome::Trigger {
                block: block.as_str().into(),
                target: target
                    .as_ref()
                    .map(|target| (target.flow.as_str().into(), target.version)),
            },
        }
    }
}

/// A percentage decision under its key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MembershipDocument {
    /// Uid of the deployment.
    pub deployment: String,
    /// The id that was hashed.
    pub id: String,
    /// Set when the decision stands for one conversation only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<String>,
    /// In, or out.
    #[serde(rename = "in")]
    pub is_in: bool,
    /// The percentage it was judged at; 0..=10000.
    pub basis_points: u16,
    /// Where the id fell: 0..10000.
    pub bucket: u16,
}

impl MembershipDocument {
    /// As it is evaluated.
    pub fn to_membership(&self) -> Membership {
        Membership {
            is_in: self.is_in,
            basis_points: self.basis_points,
        }
    }
}

/// What the ledger knows under one membership key: the answer of
/// `GET environments/{env}/memberships/{deployment}/{id}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MembershipRecord {
    /// Grows with every change; 0: nothing is recorded.
    pub doc_rev: u64,
    /// The decision that stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub membership: Option<MembershipDocument>,
    /// When it was decided.
    #[serde(default)]
    pub decided_ms: UnixMs,
    /// A start that rests on it was applied.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub started: bool,
    /// (journal, seq) of the last record applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<(String, u64)>,
}

/// The answer of `GET environments/{env}/changes`: whose documents changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// Where to go on.
    pub cursor: String,
    /// The cursor asked with is too old (or of another ledger): everything may
    /// have changed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gap: bool,
    /// In the order of the ledger.
    pub changes: Vec<Change>,
}

/// One document changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// [`subject_hash`] of what changed, in 16 hexadecimal digits: ids of
    /// users stay at the ledger.
    pub subject: String,
    /// Its revision now.
    pub doc_rev: u64,
    /// The journal whose record changed it; an edge skips its own.
    pub journal: String,
}

/// What a change names: kind (`user`, `group`, `membership`) and the parts of
/// the key (user id; group id; deployment, id and conversation or nothing).
/// Two subjects with one hash are both read again, and nothing worse.
pub fn subject_hash(kind: &str, parts: &[&str]) -> u64 {
    let mut name = kind.to_owned();
    for part in parts {
        name.push('\n');
        name.push_str(part);
    }
    crate::snapshot::name_hash(&name)
}

/// [`subject_hash`] of a percentage decision.
pub fn membership_hash(deployment: &str, id: &str, conversation: Option<&str>) -> u64 {
    match conversation {
        Some(conversation) => subject_hash("membership", &[deployment, id, conversation]),
        None => subject_hash("membership", &[deployment, id]),
    }
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
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub retired: bool,
    /// As in `FlowState`.
    #[serde(default)]
    pub generation: u32,
    /// When a record last changed it; only in user documents, where it tells
    /// which conversations are over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub touched_ms: Option<UnixMs>,
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
            let names = block.transitions.iter().map(|t| (t.key, &t.name));
            let paths = block.incoming.iter().map(|path| (path.key, &path.uid));
            let taken = names
                .chain(paths)
                .filter(|(key, _)| stored.has_taken(*key))
                .map(|(_, name)| name.to_string());
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
            retired: state.retired,
            generation: state.generation,
            touched_ms: None,
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
    /// What stands under the key of the record's membership, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub membership: Option<MembershipRecord>,
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
