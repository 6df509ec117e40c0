//! Where does a step lead?
//!
//! A pure `(version, state, step) → (state, effects)`. What depends on
//! properties or time is asked of a [`Judge`]: live it evaluates predicates
//! and every answer is recorded in the [`Effect`]; at the ledger the recorded
//! answers are played back, so that nothing is ever decided twice.

mod judge;
mod placing;
mod run;
mod standing;
#[cfg(test)]
mod tests;

pub use judge::{Judge, LiveJudge, Other, RecordedJudge, Targets};
pub use placing::place;

use self::run::{OWN, Run};
use super::state::{BlockState, FlowState};
use std::sync::Arc;

use crate::snapshot::{Block, BlockIndex, Incoming, NameKey, Version, wire::BlockKind};

/// What a subject (or the application for it) does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// Start if the entry condition holds, or anyway with `force`. On a flow
    /// that runs, gates that are complete and still shut are asked again.
    Start {
        /// Skips the entry condition, nothing else.
        force: bool,
    },
    /// Clear everything, then start. On a flow that has not been started it is
    /// a start, so that a visitor who does not qualify leaves no trace.
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

impl Side {
    /// The name of its paths.
    pub fn name(self) -> &'static str {
        match self {
            Self::True => "true",
            Self::False => "false",
        }
    }
}

/// What came of one logic block, by the block's uid. A step's outcomes stand in
/// the order in which the blocks were reached, over all flows it touched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A boolean took a side.
    Branch {
        /// Which block.
        block: Box<str>,
        /// What it decided.
        side: Side,
    },
    /// A gate was reached.
    Gate {
        /// Which block.
        block: Box<str>,
        /// Whether it let the flow through.
        passed: bool,
    },
    /// A webhook was passed: the store calls it once the record is applied.
    Webhook {
        /// Which block.
        block: Box<str>,
    },
    /// A flow trigger was passed.
    Trigger {
        /// Which block.
        block: Box<str>,
        /// Flow uid and version it acted on; none when there was nothing to
        /// act on (unknown, nothing committed, disabled).
        target: Option<(Box<str>, u32)>,
    },
}

/// A flow that a step touched through triggers.
#[derive(Clone, Debug)]
pub struct Touched {
    /// Which version of it; a version knows its flow.
    pub version: Arc<Version>,
    /// The state before.
    pub before: FlowState,
    /// The state afterwards.
    pub state: FlowState,
}

impl PartialEq for Touched {
    /// A version is what its flow and number say.
    fn eq(&self, other: &Self) -> bool {
        let name = |own: &Self| (own.version.flow_key, own.version.number);
        name(self) == name(other) && self.before == other.before && self.state == other.state
    }
}

/// What a step did.
#[derive(Clone, Debug, PartialEq)]
pub struct Effect {
    /// Whether the step took effect. When false the state is the one before and
    /// nothing needs to be written. Leaving a block that is entered again at
    /// once counts, though the state is the same: clients that showed it as
    /// left wait to hear of it.
    pub changed: bool,
    /// The state afterwards.
    pub state: FlowState,
    /// What came of the logic blocks that were reached, in order.
    pub outcomes: Vec<Outcome>,
    /// Other flows whose state changed, in the order they were touched first.
    pub others: Vec<Touched>,
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
    #[error("the record holds no outcome for a logic block that was reached")]
    NotRecorded,
}

/// Takes one step. The caller has settled status and version.
pub fn transition(
    version: &Version,
    before: &FlowState,
    step: &Step<'_>,
    judge: &mut dyn Judge,
) -> Result<Effect, StepError> {
    let mut run = Run::new(version, before, judge);
    let changed = match *step {
        Step::Start { force } => run.start(OWN, force) || run.ask_again(OWN),
        Step::Reset { force } => run.reset(OWN, force),
        Step::Stop => run.stop(OWN),
        Step::Finish => run.finish(OWN),
        Step::Transition { block, names } => run.leave(block, names)?,
    };
    run.settle()?;
    Ok(run.into_effect(changed))
}

/// The step a state needs before any other, and what it leads to; none for a
/// state that is sound. When an edit of the draft took away every block that
/// was active, that is a forced reset. When a gate is complete and shut (the
/// ledger put the halves of two edges together and had no answers for what
/// lies behind, or an edit took a path away), it is a start, which asks it.
pub fn reconcile(
    version: &Version,
    state: &FlowState,
    judge: &mut dyn Judge,
) -> Option<(Step<'static>, Effect)> {
    let step = if lost_its_place(version, state) {
        Step::Reset { force: true }
    } else if has_open_gate(version, state) {
        Step::Start { force: false }
    } else {
        return None;
    };
    let effect = transition(version, state, &step, judge).ok()?;
    Some((step, effect))
}

/// Whether the state needs a step that nobody takes, see [`reconcile`].
pub(super) fn needs_repair(version: &Version, state: &FlowState) -> bool {
    lost_its_place(version, state) || has_open_gate(version, state)
}

fn has_open_gate(version: &Version, state: &FlowState) -> bool {
    state.is_running() && open_gates(version, &state.blocks).next().is_some()
}

/// Gates that wait although every path to them was taken.
fn open_gates(version: &Version, blocks: &[BlockState]) -> impl Iterator<Item = BlockIndex> {
    blocks.iter().filter_map(|own| {
        let index = may_wait(own).then(|| version.find(own.key))??;
        is_open(version.block(index), own).then_some(index)
    })
}

/// Whether a block may be a gate that waits. Shown blocks are active, or were
/// left, or have no names; asked first because it needs no look at the version.
fn may_wait(state: &BlockState) -> bool {
    !state.active && !state.exited && !state.taken.is_empty()
}

/// Whether this is a gate that waits although every path to it was taken.
pub(super) fn is_open(block: &Block, state: &BlockState) -> bool {
    let taken = |path: &Incoming| state.has_taken(path.key);
    block.kind == BlockKind::Gate && may_wait(state) && block.incoming().iter().all(taken)
}

/// Whether an edit of the draft took away every block that was active.
fn lost_its_place(version: &Version, state: &FlowState) -> bool {
    if version.number != 0 || !state.is_running() {
        return false;
    }
    let is_left = |key| {
        version
            .find(key)
            .is_some_and(|index| !version.block(index).is_logic())
    };
    let mut active = state.blocks.iter().filter(|block| block.active).peekable();
    // With nothing active the edit took nothing away.
    active.peek().is_some() && !active.any(|block| is_left(block.key))
}
