//! Who answers what depends on properties, time or other flows?
//!
//! Live, the predicates of the version and the snapshot; at the ledger, the
//! record of what they answered.

use std::sync::Arc;

use super::{Outcome, Side};
use crate::{
    clock::UnixMs,
    evaluate::{
        migrate::standing_in,
        state::{BlockState, FlowState},
        subject::SubjectView,
    },
    snapshot::{Block, Entry, Snapshot, Trigger, Version},
};

/// Another flow that a trigger acts on, as it stands before the step.
#[derive(Clone, Debug)]
pub struct Other {
    /// Which version of it.
    pub version: Arc<Version>,
    /// Where the subject stands in it.
    pub before: FlowState,
}

/// Answers what depends on properties, time or other flows. None means that a
/// recorded run has no further answer (the record does not fit:
/// `StepError::NotRecorded`).
pub trait Judge {
    /// Whether the entry condition holds. Not asked when `force` is set.
    fn entry(&mut self, version: &Version) -> bool;

    /// Which side this boolean block takes, while its flow's blocks stand like
    /// this (sorted by key).
    fn branch(&mut self, block: &Block, blocks: &[BlockState]) -> Option<Side>;

    /// Whether this gate lets the flow through; `complete` says that every
    /// incoming path has been taken.
    fn gate(&mut self, block: &Block, complete: bool) -> Option<bool>;

    /// A webhook block is passed.
    fn webhook(&mut self, block: &Block) -> Option<()>;

    /// What this trigger acts on; inside, none when there is nothing.
    fn trigger(&mut self, block: &Block, trigger: &Trigger) -> Option<Option<Other>>;
}

/// Evaluates predicates against a subject, now.
#[derive(Clone, Copy, Debug)]
pub struct LiveJudge<'a> {
    /// Where other flows are found.
    pub snapshot: &'a Snapshot,
    /// For whom.
    pub view: SubjectView<'a>,
    /// Fixed for the whole request.
    pub now: UnixMs,
}

impl Judge for LiveJudge<'_> {
    fn entry(&mut self, version: &Version) -> bool {
        version.entry.holds(&self.view, self.now)
    }

    fn branch(&mut self, block: &Block, blocks: &[BlockState]) -> Option<Side> {
        let holds = block
            .predicate()
            .is_some_and(|predicate| predicate.holds_in(&self.view, self.now, Some(blocks)));
        Some(if holds { Side::True } else { Side::False })
    }

    fn gate(&mut self, _block: &Block, complete: bool) -> Option<bool> {
        Some(complete)
    }

    fn webhook(&mut self, _block: &Block) -> Option<()> {
        Some(())
    }

    fn trigger(&mut self, _block: &Block, trigger: &Trigger) -> Option<Option<Other>> {
        Some(self.target(trigger))
    }
}

impl LiveJudge<'_> {
    /// The version a trigger means, if it can be acted on, and where the
    /// subject stands in it. Without a number it is the one that the
    /// conversation has begun, as in a decision, and else the newest one; a state that is not stored yet is made now, as a
    /// request for that flow would make it. Projects do not matter here: they
    /// say what a key sees, and nobody sees this.
    fn target(&self, trigger: &Trigger) -> Option<Other> {
        let flow = self.snapshot.flows.get(&trigger.flow_sid)?;
        if !flow.enabled {
            return None;
        }
        let SubjectView {
            user, conversation, ..
        } = self.view;
        let mut visited = user.visited(flow.key, conversation);
        let pin = conversation.and_then(|_| visited.next_back());
        let slot = match (trigger.version, pin) {
            (Some(number), _) | (None, Some((number, _))) => flow.version(number),
            (None, None) => flow.latest(),
        };
        let version = slot?.version.clone()?;
        let (before, _) = standing_in(flow, &version, user, conversation);
        Some(Other {
            before: before.into_owned(),
            version,
        })
    }
}

/// Finds the flows that recorded triggers acted on, as they stand now.
pub trait Targets {
    /// This version of the flow with this uid, which may be the one the step is
    /// taken in. None means that it does not exist: the record does not fit.
    fn target(&self, flow_uid: &str, version: u32) -> Option<Other>;
}

/// Nowhere to be found: for runs that touch one flow only.
impl Targets for () {
    fn target(&self, _flow_uid: &str, _version: u32) -> Option<Other> {
        None
    }
}

/// Plays recorded answers back, in order.
#[derive(Clone, Copy)]
pub struct RecordedJudge<'a> {
    /// Whether the recorded run had passed the entry condition.
    pub entry: bool,
    /// The answers that are still to come.
    pub outcomes: &'a [Outcome],
    /// Gates go by the state and not by the record: two edges may each have
    /// seen half of the paths, and the ledger sees all. What lies behind them
    /// and depends on nothing, gates and webhooks, needs no record.
    pub gates_by_state: bool,
    /// Where other flows are found.
    pub targets: &'a dyn Targets,
}

impl RecordedJudge<'_> {
    /// The next answer, if it is the one that is asked for.
    fn next_if(&mut self, fits: impl Fn(&Outcome) -> bool) -> Option<&Outcome> {
        if !fits(self.outcomes.first()?) {
            return None;
        }
        self.next()
    }

    fn next(&mut self) -> Option<&Outcome> {
        let (next, rest) = self.outcomes.split_first()?;
        self.outcomes = rest;
        Some(next)
    }
}

impl Judge for RecordedJudge<'_> {
    fn entry(&mut self, _version: &Version) -> bool {
        self.entry
    }

    fn branch(&mut self, block: &Block, _blocks: &[BlockState]) -> Option<Side> {
        match self.next()? {
            Outcome::Branch { block: uid, side } if *uid == block.uid => Some(*side),
            _ => None,
        }
    }

    fn gate(&mut self, block: &Block, complete: bool) -> Option<bool> {
        let by_state = self.gates_by_state;
        let fits =
            |own: &Outcome| matches!(own, Outcome::Gate { block: uid, .. } if *uid == block.uid);
        match self.next_if(fits) {
            Some(_) | None if by_state => Some(complete),
            Some(Outcome::Gate { passed, .. }) => Some(*passed),
            _ => None,
        }
    }

    fn webhook(&mut self, block: &Block) -> Option<()> {
        let fits =
            |own: &Outcome| matches!(own, Outcome::Webhook { block: uid } if *uid == block.uid);
        let recorded = self.next_if(fits).is_some();
        // Behind a gate that the recorded run found shut nothing was recorded.
        (recorded || self.gates_by_state).then_some(())
    }

    fn trigger(&mut self, block: &Block, _trigger: &Trigger) -> Option<Option<Other>> {
        let targets = self.targets;
        match self.next()? {
            Outcome::Trigger { block: uid, target } if *uid == block.uid => match target {
                None => Some(None),
                // What the record acted on has to be there again.
                Some((flow, version)) => targets.target(flow, *version).map(Some),
            },
            _ => None,
        }
    }
}

impl Entry {
    /// Whether the subject starts by itself.
    pub(crate) fn holds(&self, view: &SubjectView<'_>, now: UnixMs) -> bool {
        match self {
            Self::Everyone => true,
            Self::Expression(predicate) => predicate.holds(view, now),
            Self::ApiOnly => false,
        }
    }
}
