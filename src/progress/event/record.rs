//! What stands in one record?
//!
//! A record names blocks and transitions in full, so that it can be read without
//! the snapshot it was decided against, and carries the states it led to.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{FlowStateDocument, MembershipDocument, OutcomeDocument};
use crate::{clock::UnixMs, snapshot::NameKey};

/// One acknowledged fact, as the edge decided it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Environment name.
    pub environment: String,
    /// Environment uid: a record never reaches an environment made anew under
    /// the same name.
    pub environment_uid: String,
    /// User id; empty in a record that is about a group alone.
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
    /// Properties of a group were merged, and no user was named: there is no
    /// user's document, and `Event::user` is empty.
    IdentifyGroup {
        /// The group.
        group: GroupDocument,
    },
}

impl Operation {
    /// Whether it is a record in the history of its user.
    pub fn is_of_user(&self) -> bool {
        !matches!(self, Self::Membership | Self::IdentifyGroup { .. })
    }

    /// The groups it upserts, in order.
    pub fn groups(&self) -> &[GroupDocument] {
        match self {
            Self::Identify { groups, .. } => groups,
            Self::IdentifyGroup { group } => std::slice::from_ref(group),
            Self::Start { .. }
            | Self::Intent { .. }
            | Self::Transition { .. }
            | Self::Migrate { .. }
            | Self::Membership => &[],
        }
    }
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

impl EventId {
    /// That of one item in a list that came under one key.
    #[must_use]
    pub fn of_item(self, at: usize) -> Self {
        let key = NameKey::of(&format!("{:016x} {at}", self.key)).0;
        Self { key, ..self }
    }
}
