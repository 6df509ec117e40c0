//! What do callers ask of progress, and what do they get back?
//!
//! Requests borrow what the handler already has; answers are small. Errors say
//! whether anything was stored, because that is what a client must know.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{
    Asker,
    event::{EventId, GroupDocument, MembershipDocument},
};
use crate::{
    clock::UnixMs,
    current::EnvironmentSlot,
    evaluate::{FlowState, Membership, Profile, StepError, Subject, Touched},
    snapshot::{BlockIndex, Flow, NameKey, Snapshot, Version},
};

/// One environment as progress needs it: its slot and the snapshot in force.
#[derive(Clone, Debug)]
pub struct Place {
    /// For keys in memory.
    pub slot: EnvironmentSlot,
    /// The snapshot the request was decided against.
    pub snapshot: Arc<Snapshot>,
    /// With whose key: no key takes all the places of those who wait.
    pub asker: Asker,
}

/// What a request reads of its subject.
#[derive(Clone, Debug)]
pub struct Read {
    /// The user; possibly one nobody has seen yet.
    pub subject: Arc<Subject>,
    /// The group the request named.
    pub group: Option<Arc<Profile>>,
    /// Upstream was away: served as if new.
    pub assumed: bool,
    /// Others have changed it since it was read, and upstream could not be
    /// asked: as it was known before.
    pub behind: bool,
}

/// A step as a request asks for it.
#[derive(Clone, Debug)]
pub struct StepRequest<'a> {
    /// Where.
    pub place: Place,
    /// User id, already checked for length.
    pub user: &'a str,
    /// The group named.
    pub group: Option<&'a str>,
    /// The conversation named.
    pub conversation: Option<&'a str>,
    /// Request attributes (server keys only).
    pub attributes: Option<&'a Map<String, Value>>,
    /// The flow (of `place.snapshot`).
    pub flow: &'a Arc<Flow>,
    /// The version (of `flow`).
    pub version: &'a Arc<Version>,
    /// What is done.
    pub action: Action<'a>,
    /// The percentage decision the step rests on, whether or not it is
    /// recorded: a start records it in the same record.
    pub membership: Option<MembershipDocument>,
    /// The client's idempotency key, hashed. An automatic start has its own.
    pub id: Option<EventId>,
    /// Fixed for the request.
    pub now: UnixMs,
}

/// What is done.
#[derive(Clone, Debug)]
pub enum Action<'a> {
    /// A start by itself: the decision said `may_start`.
    AutoStart,
    /// The state that migration makes of another version's is stored: the
    /// decision said so. Where there is a state by now, nothing happens.
    Migrate,
    /// A start that was asked for.
    Start {
        /// Skip the entry condition.
        force: bool,
    },
    /// Reset.
    Reset {
        /// Skip the entry condition.
        force: bool,
    },
    /// Stop.
    Stop,
    /// Finish.
    Finish,
    /// Leave a block.
    Transition {
        /// Which.
        block: BlockIndex,
        /// By which names, as asked.
        names: &'a [NameKey],
    },
}

/// What a step did. Returned only when durable.
#[derive(Clone, Debug)]
pub struct Stepped {
    /// Whether anything changed.
    pub changed: bool,
    /// The flow's state before.
    pub before: FlowState,
    /// The flow's state after.
    pub state: FlowState,
    /// Other flows that triggers changed.
    pub others: Vec<Touched>,
    /// Read-your-writes token: journal id and seq.
    pub token: Option<Token>,
}

/// Names the last record a client's answer rests on: `journal-seq`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Journal id.
    pub journal: Arc<str>,
    /// Sequence number.
    pub seq: u64,
}

impl std::fmt::Display for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.journal, self.seq)
    }
}

/// Not `journal-seq`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a token as an answer to a write gave it")]
pub struct TokenFault;

impl std::str::FromStr for Token {
    type Err = TokenFault;

    fn from_str(text: &str) -> Result<Self, TokenFault> {
        const JOURNAL_DIGITS: usize = 32;
        let (journal, seq) = text.split_once('-').ok_or(TokenFault)?;
        let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let is_journal = journal.len() == JOURNAL_DIGITS && journal.bytes().all(is_hex);
        // `+7` parses as a number in Rust.
        let is_seq = seq.bytes().all(|byte| byte.is_ascii_digit());
        match seq.parse() {
            Ok(seq) if is_journal && is_seq => Ok(Self {
                journal: journal.into(),
                seq,
            }),
            _ => Err(TokenFault),
        }
    }
}

/// A percentage decision that is to be remembered, without a start.
#[derive(Clone, Debug)]
pub struct EnrolRequest<'a> {
    /// Where.
    pub place: Place,
    /// User id.
    pub user: &'a str,
    /// The group named.
    pub group: Option<&'a str>,
    /// What was decided.
    pub membership: MembershipDocument,
    /// Fixed for the request.
    pub now: UnixMs,
}

/// What is remembered of a percentage decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remembered {
    /// None when nothing is recorded.
    pub membership: Option<Membership>,
    /// Upstream was away: nothing is known, and nothing may be recorded.
    pub assumed: bool,
}

/// An identify call.
#[derive(Clone, Debug)]
pub struct IdentifyRequest {
    /// Where.
    pub place: Place,
    /// User id.
    pub user: String,
    /// Merged; null removes.
    pub properties: Map<String, Value>,
    /// Upserted in the same call.
    pub groups: Vec<GroupDocument>,
    /// The client's idempotency key, hashed.
    pub id: Option<EventId>,
    /// Fixed for the request.
    pub now: UnixMs,
}

/// A call for a group, without a user.
#[derive(Clone, Debug)]
pub struct GroupRequest {
    /// Where.
    pub place: Place,
    /// Upserted; null removes.
    pub group: GroupDocument,
    /// Fixed for the request.
    pub now: UnixMs,
}

/// Why a subject cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Unknown here, upstream is away, and the operator chose `refuse`.
    #[error("the user is not known here and upstream cannot be asked")]
    Unknown,
    /// Upstream was asked and gave no document: nobody may be taken for new.
    #[error("upstream does not give the user's document")]
    Refused,
    /// Steps of theirs that upstream does not have yet cannot be read back.
    #[error("the user's steps cannot be read back from the journal")]
    Unreadable,
    /// Too many reads wait for upstream already.
    #[error("too many reads are waiting for upstream")]
    Busy,
}

/// Why a batch of calls was not taken as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchError {
    /// Which of the calls.
    pub at: usize,
    /// Why.
    pub error: WriteError,
}

/// Why a write was not taken. Nothing was stored unless `Unclear`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// The step does not fit the block.
    #[error(transparent)]
    Step(#[from] StepError),
    /// The subject cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The same idempotency key came with another body.
    #[error("the idempotency key was used for another request")]
    KeyReused,
    /// After merging there would be more than the limits allow.
    #[error("{0}")]
    TooLarge(String),
    /// One user would have more progress than is kept of anybody.
    #[error("{0}")]
    TooMuch(String),
    /// The journal or the pending map is full, or the disk cannot be written.
    #[error("progress cannot be stored now: {0}")]
    Unavailable(&'static str),
    /// The steps of this environment that upstream does not have yet take all
    /// that they may of the disk.
    #[error("progress cannot be stored now: this environment has used up its share of the journal")]
    Share,
    /// The record was written and its sync failed: it may or may not be
    /// durable, and the client repeats with the same key.
    #[error("whether the step was stored is not known")]
    Unclear,
}
