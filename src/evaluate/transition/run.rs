//! How is one step carried out?
//!
//! A [`Run`] owns the state while it changes. Blocks that are to be entered
//! wait in a queue, first come, first entered; logic blocks are passed at once
//! and put their targets at its end. Finishing, or the limit on logic steps,
//! drops what still waits.

use std::collections::VecDeque;

use super::{Effect, Judge, Outcome, Side, StepError};
use crate::{
    evaluate::state::{BlockState, FlowState},
    limits::LOGIC_STEPS_MAX,
    snapshot::{Block, BlockIndex, BlockKey, NameKey, Transition, Version, wire::BlockKind},
};

/// One step under way.
pub(super) struct Run<'a> {
    version: &'a Version,
    judge: &'a mut dyn Judge,
    /// Its `blocks` are in the vector below.
    flow: FlowState,
    /// Sorted by key.
    blocks: Vec<BlockState>,
    waiting: VecDeque<BlockIndex>,
    outcomes: Vec<Outcome>,
    logic_steps: usize,
    capped: bool,
}

impl<'a> Run<'a> {
    /// Begins with the state before.
    pub(super) fn new(version: &'a Version, before: &FlowState, judge: &'a mut dyn Judge) -> Self {
        Self {
            version,
            judge,
            flow: FlowState {
                started: before.started,
                stopped: before.stopped,
                finished: before.finished,
                retired: before.retired,
                generation: before.generation,
                blocks: Box::default(),
            },
            blocks: before.blocks.to_vec(),
            waiting: VecDeque::new(),
            outcomes: Vec::new(),
            logic_steps: 0,
            capped: false,
        }
    }

    /// Ends the run.
    pub(super) fn into_effect(self, changed: bool) -> Effect {
        Effect {
            changed,
            state: FlowState {
                blocks: self.blocks.into(),
                ..self.flow
            },
            outcomes: self.outcomes,
            others: Vec::new(),
            capped: self.capped,
        }
    }

    /// Whether it took effect, as for all steps.
    pub(super) fn start(&mut self, force: bool) -> Result<bool, StepError> {
        if self.flow.started || !(force || self.judge.entry(self.version)) {
            return Ok(false);
        }
        self.begin()?;
        Ok(true)
    }

    pub(super) fn reset(&mut self, force: bool) -> Result<bool, StepError> {
        let starts = force || self.judge.entry(self.version);
        if !starts && !self.flow.started {
            return Ok(false);
        }
        self.flow = FlowState {
            generation: self.flow.generation.saturating_add(1),
            ..FlowState::default()
        };
        self.blocks.clear();
        if starts {
            self.begin()?;
        }
        Ok(true)
    }

    pub(super) fn stop(&mut self) -> bool {
        let takes_effect = self.flow.started && !self.flow.stopped;
        if takes_effect {
            self.end(false);
        }
        takes_effect
    }

    pub(super) fn finish(&mut self) -> bool {
        let takes_effect = self.flow.started && !self.flow.finished;
        if takes_effect {
            self.end(true);
        }
        takes_effect
    }

    /// Leaves a block by those of the names that it has.
    pub(super) fn leave(
        &mut self,
        index: BlockIndex,
        names: &[NameKey],
    ) -> Result<bool, StepError> {
        let version = self.version;
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
        let moves_on = match block.kind {
            BlockKind::TourItem => Some(Self::direction(&taken)?),
            _ => None,
        };
        if !self.flow.is_running() || !self.is_active(block) {
            return Ok(false);
        }
        match moves_on {
            Some(forward) => {
                if !self.move_in_tour(index, forward) {
                    return Ok(false);
                }
            }
            None => self.exit(block, &taken),
        }
        self.settle()?;
        Ok(true)
    }

    /// Whether an item is left forward.
    fn direction(taken: &[&Transition]) -> Result<bool, StepError> {
        let has = |name| taken.iter().any(|transition| &*transition.name == name);
        match (has("next"), has("previous")) {
            (true, true) => Err(StepError::NextAndPrevious),
            (forward, _) => Ok(forward),
        }
    }

    /// From one item of a tour to its neighbour. Behind the last one the tour
    /// is complete; before the first one there is nothing.
    fn move_in_tour(&mut self, index: BlockIndex, forward: bool) -> bool {
        let version = self.version;
        let item = version.block(index);
        let Some(tour) = item.container.map(|container| version.block(container)) else {
            return false;
        };
        let Some(place) = tour.items.iter().position(|own| *own == index) else {
            return false;
        };
        let neighbour = if forward {
            tour.items.get(place + 1)
        } else {
            match place.checked_sub(1) {
                None => return false,
                Some(before) => tour.items.get(before),
            }
        };
        let name = NameKey::of(if forward { "next" } else { "previous" });
        self.mark_left(item, &[name]);
        match neighbour {
            Some(neighbour) => self.arrive(version.block(*neighbour)),
            None => {
                let complete: Vec<&Transition> = tour
                    .transition(NameKey::of("complete"))
                    .into_iter()
                    .collect();
                self.exit(tour, &complete);
            }
        }
        true
    }

    /// Marks a block as left and lets the targets wait.
    fn exit(&mut self, block: &Block, taken: &[&Transition]) {
        let names: Vec<NameKey> = taken.iter().map(|transition| transition.key).collect();
        self.mark_left(block, &names);
        for item in &block.items {
            let key = self.version.block(*item).key;
            if let Ok(at) = self.position(key) {
                self.blocks[at].active = false;
            }
        }
        let mut targets: Vec<BlockIndex> = taken
            .iter()
            .flat_map(|transition| transition.targets.iter().map(|target| target.block))
            .collect();
        targets.sort_unstable();
        targets.dedup();
        self.waiting.extend(targets);
    }

    fn begin(&mut self) -> Result<(), StepError> {
        self.flow.started = true;
        self.flow.stopped = false;
        self.flow.finished = false;
        self.blocks.clear();
        self.waiting
            .extend(self.version.initial.iter().map(|target| target.block));
        self.settle()
    }

    fn end(&mut self, finished: bool) {
        self.flow.finished = finished;
        self.flow.stopped = !finished;
        for block in &mut self.blocks {
            block.active = false;
        }
        self.waiting.clear();
    }

    /// Enters what waits, until nothing does.
    fn settle(&mut self) -> Result<(), StepError> {
        while let Some(index) = self.waiting.pop_front() {
            self.enter(index)?;
        }
        Ok(())
    }

    fn enter(&mut self, index: BlockIndex) -> Result<(), StepError> {
        let version = self.version;
        let block = version.block(index);
        if block.is_logic() {
            if self.logic_steps == LOGIC_STEPS_MAX {
                self.capped = true;
                self.waiting.clear();
                return Ok(());
            }
            self.logic_steps += 1;
            return self.pass(block);
        }
        if self.is_active(block) {
            return Ok(());
        }
        self.arrive(block);
        if let Some(first) = block.items.first() {
            let of_tour = |key| {
                block
                    .items
                    .iter()
                    .any(|item| version.block(*item).key == key)
            };
            self.blocks.retain(|stored| !of_tour(stored.key));
            self.arrive(version.block(*first));
        }
        Ok(())
    }

    /// Runs a logic block.
    fn pass(&mut self, block: &Block) -> Result<(), StepError> {
        if block.kind == BlockKind::Finish {
            self.arrive(block);
            self.end(true);
            return Ok(());
        }
        let side = self
            .judge
            .branch(block, &self.blocks)
            .ok_or(StepError::NotRecorded)?;
        self.outcomes.push(Outcome::Branch {
            block: block.uid.clone(),
            side,
        });
        self.arrive(block);
        let taken: Vec<&Transition> = block.transition(side.key()).into_iter().collect();
        self.exit(block, &taken);
        Ok(())
    }

    /// Active, entered, and as if never left.
    fn arrive(&mut self, block: &Block) {
        let state = self.stored(block);
        state.active = true;
        state.exited = false;
        state.taken = Box::default();
    }

    fn mark_left(&mut self, block: &Block, names: &[NameKey]) {
        let state = self.stored(block);
        state.active = false;
        state.exited = true;
        let mut taken = std::mem::take(&mut state.taken).into_vec();
        taken.extend_from_slice(names);
        taken.sort_unstable();
        taken.dedup();
        state.taken = taken.into();
    }

    /// The state of a block, which is entered from here on.
    fn stored(&mut self, block: &Block) -> &mut BlockState {
        let at = self.position(block.key).unwrap_or_else(|at| {
            let new = BlockState {
                key: block.key,
                active: false,
                entered: true,
                exited: false,
                taken: Box::default(),
            };
            self.blocks.insert(at, new);
            at
        });
        &mut self.blocks[at]
    }

    fn is_active(&self, block: &Block) -> bool {
        self.position(block.key)
            .is_ok_and(|at| self.blocks[at].active)
    }

    fn position(&self, key: BlockKey) -> Result<usize, usize> {
        self.blocks.binary_search_by_key(&key, |block| block.key)
    }
}

impl Side {
    fn key(self) -> NameKey {
        NameKey::of(self.name())
    }
}
