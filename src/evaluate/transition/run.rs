//! How is one step carried out?
//!
//! A [`Run`] holds the step's own flow and every flow touched through
//! triggers. Blocks that are to be entered wait in one queue, first come, first
//! entered; logic blocks are passed at once and put their targets at its end. A
//! flow that ends drops what waits of it; the limit on logic steps drops all.

use std::collections::VecDeque;

use rustc_hash::FxHashSet;

use super::{Effect, Judge, Other, Outcome, StepError, standing::Standing};
use crate::{
    evaluate::state::FlowState,
    limits::LOGIC_STEPS_MAX,
    snapshot::{
        Block, BlockIndex, NameKey, Target, Transition, Version,
        wire::{BlockKind, TriggerAction},
    },
};

/// Where in the run the step's own flow is.
pub(super) const OWN: usize = 0;

/// A block that is to be entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Waiting {
    flow: usize,
    block: BlockIndex,
}

/// One step under way.
pub(super) struct Run<'a> {
    judge: &'a mut dyn Judge,
    /// The step's own first, then others in the order they were touched.
    flows: Vec<Standing<'a>>,
    waiting: VecDeque<Waiting>,
    /// The gates among them: a gate waits once, however many of its paths are
    /// taken meanwhile.
    gates: FxHashSet<Waiting>,
    outcomes: Vec<Outcome>,
    logic_steps: usize,
    capped: bool,
}

impl<'a> Run<'a> {
    /// Begins with the state before.
    pub(super) fn new(version: &'a Version, before: &FlowState, judge: &'a mut dyn Judge) -> Self {
        Self {
            judge,
            flows: vec![Standing::own(version, before)],
            waiting: VecDeque::new(),
            gates: FxHashSet::default(),
            outcomes: Vec::new(),
            logic_steps: 0,
            capped: false,
        }
    }

    /// Ends the run.
    pub(super) fn into_effect(self, changed: bool) -> Effect {
        let mut flows = self.flows.into_iter();
        let state = flows.next().map(Standing::into_state);
        Effect {
            changed,
            state: state.unwrap_or_default(),
            outcomes: self.outcomes,
            others: flows.filter_map(Standing::into_touched).collect(),
            capped: self.capped,
        }
    }

    /// Whether it took effect, as for all steps. What is to be entered waits
    /// until [`Run::settle`].
    pub(super) fn start(&mut self, flow: usize, force: bool) -> bool {
        let standing = &self.flows[flow];
        if standing.flow().started || !(force || self.judge.entry(&standing.version())) {
            return false;
        }
        self.begin(flow);
        true
    }

    /// Lets gates wait that are complete and were not passed; whether there
    /// are any.
    pub(super) fn ask_again(&mut self, flow: usize) -> bool {
        let standing = &self.flows[flow];
        if !standing.flow().is_running() {
            return false;
        }
        let mut gates = standing.open_gates();
        gates.sort_unstable();
        for block in gates {
            let waiting = Waiting { flow, block };
            self.gates.insert(waiting);
            self.waiting.push_back(waiting);
        }
        !self.waiting.is_empty()
    }

    pub(super) fn reset(&mut self, flow: usize, force: bool) -> bool {
        let standing = &self.flows[flow];
        let starts = force || self.judge.entry(&standing.version());
        if !starts && !standing.flow().started {
            return false;
        }
        self.drop_waiting(flow);
        self.flows[flow].clear();
        if starts {
            self.begin(flow);
        }
        true
    }

    pub(super) fn stop(&mut self, flow: usize) -> bool {
        let state = self.flows[flow].flow();
        let takes_effect = state.started && !state.stopped;
        if takes_effect {
            self.end(flow, false);
        }
        takes_effect
    }

    pub(super) fn finish(&mut self, flow: usize) -> bool {
        let state = self.flows[flow].flow();
        let takes_effect = state.started && !state.finished;
        if takes_effect {
            self.end(flow, true);
        }
        takes_effect
    }

    /// Leaves a block of the step's own flow by those of the names that it has.
    pub(super) fn leave(
        &mut self,
        index: BlockIndex,
        names: &[NameKey],
    ) -> Result<bool, StepError> {
        let version = self.flows[OWN].version();
        // An index of another version is as unknown as its names.
        let block = version
            .blocks
            .get(index.0 as usize)
            .ok_or(StepError::UnknownTransition)?;
        let taken: Vec<&Transition> = block
            .transitions
            .iter()
            .filter(|transition| names.contains(&transition.key))
            .collect();
        if taken.is_empty() {
            return Err(StepError::UnknownTransition);
        }
        let forward = match block.kind {
            BlockKind::TourItem => Some(direction(&taken)?),
            _ => None,
        };
        let standing = &self.flows[OWN];
        if !standing.flow().is_running() || !standing.is_active(block.key) {
            return Ok(false);
        }
        if let Some(forward) = forward {
            return Ok(self.move_in_tour(index, forward));
        }
        self.exit(OWN, block, &taken);
        if matches!(block.kind, BlockKind::ChecklistItem | BlockKind::HintsItem) {
            self.complete_if_all_left(&version, block);
        }
        Ok(true)
    }

    /// Enters what waits, until nothing does.
    pub(super) fn settle(&mut self) -> Result<(), StepError> {
        let mut together = Vec::new();
        while let Some(first) = self.waiting.pop_front() {
            let version = self.flows[first.flow].version();
            let block = version.block(first.block);
            if block.is_logic() {
                if self.logic_steps == LOGIC_STEPS_MAX {
                    self.capped = true;
                    self.waiting.clear();
                    return Ok(());
                }
                self.logic_steps += 1;
                self.gates.remove(&first);
                self.pass(first.flow, block)?;
                continue;
            }
            together.push(first.block);
            while let Some(next) = self.waiting.front()
                && next.flow == first.flow
                && !version.block(next.block).is_logic()
            {
                together.push(next.block);
                self.waiting.pop_front();
            }
            self.flows[first.flow].enter(&together);
            together.clear();
        }
        Ok(())
    }

    /// From one item of a tour to its neighbour. Behind the last one the tour
    /// is complete; before the first one there is nothing.
    fn move_in_tour(&mut self, index: BlockIndex, forward: bool) -> bool {
        let version = self.flows[OWN].version();
        let item = version.block(index);
        let Some(tour) = item.container().map(|container| version.block(container)) else {
            return false;
        };
        let Some(place) = tour.items().iter().position(|own| *own == index) else {
            return false;
        };
        let neighbour = if forward {
            tour.items().get(place + 1)
        } else {
            match place.checked_sub(1) {
                None => return false,
                Some(before) => tour.items().get(before),
            }
        };
        let name = NameKey::of(if forward { "next" } else { "previous" });
        self.flows[OWN].leave(item, [name].into_iter());
        match neighbour {
            Some(neighbour) => self.flows[OWN].enter(&[*neighbour]),
            None => self.complete(tour),
        }
        true
    }

    /// A checklist, or hints, of which every item was left is complete.
    fn complete_if_all_left(&mut self, version: &Version, item: &Block) {
        let Some(container) = item.container().map(|container| version.block(container)) else {
            return;
        };
        let standing = &self.flows[OWN];
        if standing.is_active(container.key) && standing.all_left(container) {
            self.complete(container);
        }
    }

    /// A container takes `complete` by itself.
    fn complete(&mut self, container: &Block) {
        let complete = container.transition(NameKey::of("complete"));
        let taken: Vec<&Transition> = complete.into_iter().collect();
        self.exit(OWN, container, &taken);
    }

    /// Leaves a shown block; the union of the paths is taken.
    fn exit(&mut self, flow: usize, block: &Block, taken: &[&Transition]) {
        self.flows[flow].leave(block, taken.iter().map(|transition| transition.key));
        let targets = taken.iter().flat_map(|transition| &transition.targets);
        self.take(flow, targets.copied().collect());
    }

    /// Takes paths: gates count them at once, and every target waits once.
    fn take(&mut self, flow: usize, mut targets: Vec<Target>) {
        targets.sort_unstable();
        targets.dedup();
        let version = self.flows[flow].version();
        for paths in targets.chunk_by(|one, other| one.block == other.block) {
            let waiting = Waiting {
                flow,
                block: paths[0].block,
            };
            let block = version.block(waiting.block);
            if block.kind == BlockKind::Gate {
                self.flows[flow].mark(block.key, paths.iter().map(|target| target.path));
                if !self.gates.insert(waiting) {
                    continue;
                }
            }
            self.waiting.push_back(waiting);
        }
    }

    fn begin(&mut self, flow: usize) {
        self.flows[flow].begin();
        let targets = self.flows[flow].version().initial.to_vec();
        self.take(flow, targets);
    }

    fn end(&mut self, flow: usize, finished: bool) {
        self.flows[flow].end(finished);
        self.drop_waiting(flow);
    }

    fn drop_waiting(&mut self, flow: usize) {
        self.waiting.retain(|waiting| waiting.flow != flow);
        self.gates.retain(|waiting| waiting.flow != flow);
    }

    /// Runs a logic block.
    fn pass(&mut self, flow: usize, block: &Block) -> Result<(), StepError> {
        match block.kind {
            BlockKind::Finish => {
                self.flows[flow].reach(block.key);
                self.end(flow, true);
            }
            BlockKind::Boolean => {
                let blocks = self.flows[flow].blocks();
                let side = self.judge.branch(block, blocks);
                let side = side.ok_or(StepError::NotRecorded)?;
                self.outcomes.push(Outcome::Branch {
                    block: block.uid.clone(),
                    side,
                });
                self.go_on(flow, block, side.name());
            }
            BlockKind::Gate => self.ask_gate(flow, block)?,
            BlockKind::Webhook => {
                self.judge.webhook(block).ok_or(StepError::NotRecorded)?;
                self.outcomes.push(Outcome::Webhook {
                    block: block.uid.clone(),
                });
                self.go_on(flow, block, "done");
            }
            BlockKind::FlowTrigger => self.trigger(flow, block)?,
            BlockKind::Custom
            | BlockKind::Card
            | BlockKind::Modal
            | BlockKind::Tour
            | BlockKind::TourItem
            | BlockKind::Checklist
            | BlockKind::ChecklistItem
            | BlockKind::Hints
            | BlockKind::HintsItem => {}
        }
        Ok(())
    }

    /// Leaves a logic block by this name.
    fn go_on(&mut self, flow: usize, block: &Block, name: &str) {
        let taken = block.transition(NameKey::of(name));
        self.flows[flow].pass(block.key, taken.iter().map(|transition| transition.key));
        self.take_all(flow, taken);
    }

    fn take_all(&mut self, flow: usize, taken: Option<&Transition>) {
        if let Some(transition) = taken {
            self.take(flow, transition.targets.to_vec());
        }
    }

    /// A passed gate counts anew.
    fn ask_gate(&mut self, flow: usize, block: &Block) -> Result<(), StepError> {
        let complete = self.flows[flow].is_complete(block);
        let passed = self.judge.gate(block, complete);
        let passed = passed.ok_or(StepError::NotRecorded)?;
        self.outcomes.push(Outcome::Gate {
            block: block.uid.clone(),
            passed,
        });
        if passed {
            self.flows[flow].pass(block.key, std::iter::empty());
            self.take_all(flow, block.transition(NameKey::of("done")));
        }
        Ok(())
    }

    /// Acts on another flow, or on its own. What lies behind the trigger waits
    /// before that: a trigger that ends its own flow ends that with it.
    fn trigger(&mut self, flow: usize, block: &Block) -> Result<(), StepError> {
        let Some(trigger) = block.trigger() else {
            // Every compiled trigger says what it does.
            self.go_on(flow, block, "done");
            return Ok(());
        };
        let target = self.judge.trigger(block, trigger);
        let target = target.ok_or(StepError::NotRecorded)?;
        self.outcomes.push(Outcome::Trigger {
            block: block.uid.clone(),
            target: target
                .as_ref()
                .map(|other| (other.version.flow_uid.clone(), other.version.number)),
        });
        self.go_on(flow, block, "done");
        let Some(other) = target else {
            return Ok(());
        };
        let other = self.standing_of(other);
        match trigger.action {
            TriggerAction::Start => self.start(other, true),
            TriggerAction::Stop => self.stop(other),
            TriggerAction::Reset => self.reset(other, true),
            TriggerAction::Finish => self.finish(other),
        };
        Ok(())
    }

    /// A flow that was touched before goes on from where it stands by now.
    fn standing_of(&mut self, other: Other) -> usize {
        let mut flows = self.flows.iter();
        let known = flows.position(|standing| standing.is_of(&other.version));
        known.unwrap_or_else(|| {
            self.flows.push(Standing::other(other));
            self.flows.len() - 1
        })
    }
}

/// Whether an item of a tour is left forward.
fn direction(taken: &[&Transition]) -> Result<bool, StepError> {
    let has = |name| taken.iter().any(|transition| transition.name() == name);
    match (has("next"), has("previous")) {
        (true, true) => Err(StepError::NextAndPrevious),
        (forward, _) => Ok(forward),
    }
}
