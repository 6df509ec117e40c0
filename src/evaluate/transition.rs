//! Where does a step lead?
//!
//! A pure `(version, state, step) → (state, effects)`. What depends on
//! properties or time is asked of a [`Judge`]: live it evaluates predicates
//! and every answer is recorded in the [`Effect`]; at the ledger the recorded
//! answers are played back, so that nothing is ever decided twice.

use super::{state::FlowState, subject::SubjectView};
use crate::{
    clock::UnixMs,
    snapshot::{Block, BlockIndex, NameKey, Version},
};

/// What a subject (or the application for it) does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// Start if the entry condition holds, or anyway with `force`.
    Start {
        /// Skips the entry condition, nothing else.
        force: bool,
    },
    /// Clear everything, then start.
    Reset {
        /// As for start.
        force: bool,
    },
    /// Stopped, not finished.
    Stop,
    /// Finished, not stopped.
    Finish,
    /// Leave a block by one or more names.
    Transition {
        /// Which block.
        block: BlockIndex,
        /// At least one of them known to the block; unknown ones are ignored.
        names: &'a [NameKey],
    },
}

/// The side a boolean block took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The `true` paths.
    True,
    /// The `false` paths.
    False,
}

/// One recorded answer, in the order the branches were reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BranchOutcome {
    /// The boolean block.
    pub block: BlockIndex,
    /// What it decided.
    pub side: Side,
}

/// Answers what depends on properties or time.
pub trait Judge {
    /// Whether the entry condition holds. Not asked when `force` is set.
    fn entry(&mut self, version: &Version) -> bool;
    /// Which side of this boolean block is taken; none when a recorded run has
    /// no further answer for it (the record does not fit: `StepError::NotRecorded`).
    fn branch(&mut self, version: &Version, block: &Block) -> Option<Side>;
}

/// Evaluates predicates against a subject, now.
#[derive(Clone, Copy, Debug)]
pub struct LiveJudge<'a> {
    /// For whom.
    pub view: SubjectView<'a>,
    /// Fixed for the whole request.
    pub now: UnixMs,
}

/// Plays recorded answers back, in order.
#[derive(Clone, Debug)]
pub struct RecordedJudge<'a> {
    /// Whether the recorded run had passed the entry condition.
    pub entry: bool,
    /// The branches that are still to come: block uid and side.
    pub branches: &'a [(Box<str>, Side)],
}

/// What a step did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effect {
    /// Whether anything is different from before. When false nothing needs to
    /// be written.
    pub changed: bool,
    /// The state afterwards.
    pub state: FlowState,
    /// Answers of the branches taken, in order.
    pub branches: Vec<BranchOutcome>,
    /// The limit on logic steps ended the run; what was reached is kept.
    pub capped: bool,
}

/// Why a step is refused. Everything else that leads nowhere is a no-op.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StepError {
    /// None of the names belongs to the block.
    #[error("none of the transitions exists on this block")]
    UnknownTransition,
    /// `next` and `previous` of a tour item in one call.
    #[error("next and previous cannot be taken together")]
    NextAndPrevious,
    /// A played-back record lacks an answer that is needed.
    #[error("the record holds no outcome for a branch that was reached")]
    NotRecorded,
}

/// Takes one step. The caller has settled status and version.
pub fn transition(
    version: &Version,
    before: &FlowState,
    step: &Step<'_>,
    judge: &mut dyn Judge,
) -> Result<Effect, StepError> {
    todo!()
}

/// stub
pub fn reconcile(version: &Version, state: &FlowState) -> Option<FlowState> {
    todo!()
}
