//! How does one flow's state change within a step?
//!
//! A [`Standing`] owns the state of one version while a run goes on. It knows
//! blocks and containers and nothing of paths: where a step leads, and in which
//! order, is the run's matter. Blocks are kept sorted by key, so what is
//! entered together is merged in together.

use std::{ops::Deref, sync::Arc};

use super::{Other, Touched};
use crate::{
    evaluate::state::{BlockState, FlowState},
    snapshot::{Block, BlockIndex, BlockKey, NameKey, Version, wire::BlockKind},
};

/// A version: the step's own is borrowed, one found by a trigger is shared.
#[derive(Clone, Debug)]
pub(super) enum Graph<'a> {
    /// The caller's.
    Own(&'a Version),
    /// A trigger's target.
    Other(Arc<Version>),
}

impl Deref for Graph<'_> {
    type Target = Version;

    fn deref(&self) -> &Version {
        match self {
            Self::Own(version) => version,
            Self::Other(version) => version,
        }
    }
}

/// One flow under way.
#[derive(Debug)]
pub(super) struct Standing<'a> {
    version: Graph<'a>,
    /// Kept only of other flows: what they were tells whether they changed.
    before: Option<FlowState>,
    /// Its `blocks` are in the vector below.
    flow: FlowState,
    /// Sorted by key.
    blocks: Vec<BlockState>,
}

impl<'a> Standing<'a> {
    /// The flow that the step is taken in.
    pub(super) fn own(version: &'a Version, before: &FlowState) -> Self {
        Self {
            version: Graph::Own(version),
            before: None,
            flow: flags(before),
            blocks: before.blocks.to_vec(),
        }
    }

    /// A flow that a trigger acts on.
    pub(super) fn other(other: Other) -> Self {
        Self {
            flow: flags(&other.before),
            blocks: other.before.blocks.to_vec(),
            before: Some(other.before),
            version: Graph::Other(other.version),
        }
    }

    /// A handle on the version, so that its blocks can be looked at while the
    /// state changes.
    pub(super) fn version(&self) -> Graph<'a> {
        self.version.clone()
    }

    /// Whether this is that version of that flow.
    pub(super) fn is_of(&self, version: &Version) -> bool {
        self.version.flow_key == version.flow_key && self.version.number == version.number
    }

    /// The state it has come to.
    pub(super) fn into_state(self) -> FlowState {
        FlowState {
            blocks: self.blocks.into(),
            ..self.flow
        }
    }

    /// What became of another flow; none when nothing did.
    pub(super) fn into_touched(mut self) -> Option<Touched> {
        let before = self.before.take()?;
        let Graph::Other(version) = self.version() else {
            return None;
        };
        let state = self.into_state();
        (state != before).then_some(Touched {
            version,
            before,
            state,
        })
    }

    pub(super) fn flow(&self) -> &FlowState {
        &self.flow
    }

    /// The blocks' states, as branches look at them.
    pub(super) fn blocks(&self) -> &[BlockState] {
        &self.blocks
    }

    /// Everything cleared, in the next generation.
    pub(super) fn clear(&mut self) {
        self.flow = FlowState {
            generation: self.flow.generation.saturating_add(1),
            ..FlowState::default()
        };
        self.blocks.clear();
    }

    /// Running, with nothing entered yet.
    pub(super) fn begin(&mut self) {
        self.flow.started = true;
        self.flow.stopped = false;
        self.flow.finished = false;
        self.flow.retired = false;
        self.blocks.clear();
    }

    /// Finished, or stopped by an intent: nothing is active any more.
    pub(super) fn end(&mut self, finished: bool) {
        self.flow.finished = finished;
        self.flow.stopped = !finished;
        self.flow.retired = false;
        for block in &mut self.blocks {
            block.active = false;
        }
    }

    /// Enters shown blocks that are not active, and the items of containers.
    pub(super) fn enter(&mut self, indexes: &[BlockIndex]) {
        let version = self.version();
        let key_of = |index: &BlockIndex| version.block(*index).key;
        let mut arriving = Vec::with_capacity(indexes.len());
        for index in indexes {
            let block = version.block(*index);
            if self.is_active(block.key) {
                continue;
            }
            arriving.push(block.key);
            match block.kind {
                BlockKind::Tour => {
                    self.forget(block.items().iter().map(key_of).collect());
                    arriving.extend(block.items().first().map(key_of));
                }
                BlockKind::Checklist | BlockKind::Hints => {
                    arriving.extend(block.items().iter().map(key_of));
                }
                _ => {}
            }
        }
        self.arrive(arriving);
    }

    /// From here on they are active, entered, and as if never left.
    fn arrive(&mut self, mut keys: Vec<BlockKey>) {
        keys.sort_unstable();
        keys.dedup();
        let known = self.blocks.len();
        for key in keys {
            let at = self.blocks[..known].binary_search_by_key(&key, |block| block.key);
            let state = match at {
                Ok(at) => &mut self.blocks[at],
                Err(_) => self.blocks.push_mut(entered(key)),
            };
            state.active = true;
            state.exited = false;
            state.taken = Box::default();
        }
        if self.blocks.len() > known {
            // Two sorted runs: the stable sort merges them in one pass.
            self.blocks.sort_by_key(|block| block.key);
        }
    }

    /// Leaves a shown block; of a container the items with it.
    pub(super) fn leave(&mut self, block: &Block, names: impl Iterator<Item = NameKey>) {
        let state = self.stored(block.key);
        state.active = false;
        state.exited = true;
        add(&mut state.taken, names);
        for item in block.items() {
            let key = self.version.block(*item).key;
            if let Ok(at) = self.position(key) {
                self.blocks[at].active = false;
            }
        }
    }

    /// Runs through a logic block: it was entered, and left by these names.
    pub(super) fn pass(&mut self, key: BlockKey, names: impl Iterator<Item = NameKey>) {
        let state = self.stored(key);
        state.exited = true;
        state.taken = Box::default();
        add(&mut state.taken, names);
    }

    /// A finish block is entered and never left.
    pub(super) fn reach(&mut self, key: BlockKey) {
        self.stored(key).exited = false;
    }

    /// These paths to a gate were taken. It waits again if it was passed before.
    pub(super) fn mark(&mut self, gate: BlockKey, paths: impl Iterator<Item = NameKey>) {
        let state = self.stored(gate);
        state.exited = false;
        add(&mut state.taken, paths);
    }

    /// Whether every path to this gate was taken since it was passed last.
    pub(super) fn is_complete(&self, gate: &Block) -> bool {
        let Ok(at) = self.position(gate.key) else {
            return false;
        };
        let state = &self.blocks[at];
        gate.incoming().iter().all(|path| state.has_taken(path.key))
    }

    /// Gates that wait although every path to them was taken.
    pub(super) fn open_gates(&self) -> Vec<BlockIndex> {
        super::open_gates(&self.version, &self.blocks).collect()
    }

    /// Whether every item of a container was left.
    pub(super) fn all_left(&self, container: &Block) -> bool {
        container.items().iter().all(|item| {
            let key = self.version.block(*item).key;
            self.position(key).is_ok_and(|at| self.blocks[at].exited)
        })
    }

    pub(super) fn is_active(&self, key: BlockKey) -> bool {
        self.position(key).is_ok_and(|at| self.blocks[at].active)
    }

    /// As if these had never been entered.
    fn forget(&mut self, mut keys: Vec<BlockKey>) {
        keys.sort_unstable();
        self.blocks
            .retain(|block| keys.binary_search(&block.key).is_err());
    }

    /// The state of a block, which is entered from here on.
    fn stored(&mut self, key: BlockKey) -> &mut BlockState {
        let at = self.position(key).unwrap_or_else(|at| {
            self.blocks.insert(at, entered(key));
            at
        });
        &mut self.blocks[at]
    }

    fn position(&self, key: BlockKey) -> Result<usize, usize> {
        self.blocks.binary_search_by_key(&key, |block| block.key)
    }
}

/// The state without its blocks.
fn flags(state: &FlowState) -> FlowState {
    FlowState {
        started: state.started,
        stopped: state.stopped,
        finished: state.finished,
        retired: state.retired,
        generation: state.generation,
        blocks: Box::default(),
    }
}

fn entered(key: BlockKey) -> BlockState {
    BlockState {
        key,
        active: false,
        entered: true,
        exited: false,
        taken: Box::default(),
    }
}

/// Merges names into a sorted set.
fn add(taken: &mut Box<[NameKey]>, names: impl Iterator<Item = NameKey>) {
    let mut all = std::mem::take(taken).into_vec();
    all.extend(names);
    all.sort_unstable();
    all.dedup();
    *taken = all.into();
}
