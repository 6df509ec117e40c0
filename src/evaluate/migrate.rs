//! What becomes of a subject when the version changes under them?
//!
//! Pure and lazy: the state another version left is turned into one for the
//! version asked for. Nothing is stored here; `Migrated::save` says whether a
//! caller that may save does so now.

use std::sync::Arc;

use super::{
    Migrated,
    decide::Trace,
    receipt::StrategyApplied,
    state::{BlockState, FlowState},
};
use crate::{
    limits::MIGRATION_VERSIONS_MAX,
    snapshot::{
        Block, BlockKey, Flow, Version,
        wire::{BlockKind, Migration},
    },
};

/// The versions of one flow, as far as they compile.
pub trait Strategies {
    /// The version with this number; none for one that does not exist or could
    /// not be compiled.
    fn version(&self, number: u32) -> Option<Arc<Version>>;

    /// Its strategy.
    fn strategy(&self, number: u32) -> Option<Migration> {
        self.version(number).map(|version| version.migration)
    }
}

impl Strategies for Flow {
    fn version(&self, number: u32) -> Option<Arc<Version>> {
        Flow::version(self, number)?.version.clone()
    }

    fn strategy(&self, number: u32) -> Option<Migration> {
        let slot = Flow::version(self, number)?;
        slot.version.as_ref().map(|version| version.migration)
    }
}

/// How a subject stands on the way from one version to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    /// Started, and neither stopped nor finished.
    Running,
    /// Will be copied.
    Carried,
    /// Begins anew.
    Fresh,
    /// Stopped by a strategy.
    Stopped,
    /// Finished, or stopped by an intent.
    Done,
}

impl Standing {
    /// As it stands in receipts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Carried => "carry",
            Self::Fresh => "fresh",
            Self::Stopped => "stopped",
            Self::Done => "done",
        }
    }

    /// What a state stands for. One that was never started, or was cleared,
    /// has nothing that a strategy could act on.
    fn of(state: &FlowState) -> Self {
        if !state.started {
            Self::Fresh
        } else if state.is_running() {
            Self::Running
        } else if state.stopped && state.retired {
            Self::Stopped
        } else {
            Self::Done
        }
    }

    /// What a strategy makes of it.
    fn under(self, strategy: Migration) -> Self {
        match (strategy, self) {
            (Migration::RestartAll, _) => Self::Fresh,
            (_, Self::Done) => Self::Done,
            (_, Self::Stopped) | (Migration::StopInProgress, _) => Self::Stopped,
            (Migration::RestartInProgress, _) | (Migration::CarryOver, Self::Fresh) => Self::Fresh,
            (Migration::CarryOver, Self::Running | Self::Carried) => Self::Carried,
        }
    }
}

/// The state for `target` made of those of other versions, when the subject has
/// none there; none when they begin anew. `visited` are the subject's states of
/// this flow (and conversation), ascending by version.
pub fn migrate<'u>(
    strategies: &dyn Strategies,
    target: &Version,
    visited: impl DoubleEndedIterator<Item = (u32, &'u FlowState)> + Clone,
) -> Option<(Migrated, FlowState)> {
    migrate_traced(strategies, target, visited, &mut ())
}

/// The same, reporting what it meets.
pub(super) fn migrate_traced<'s, 'u, T: Trace<'s, 'u>>(
    strategies: &dyn Strategies,
    target: &Version,
    visited: impl DoubleEndedIterator<Item = (u32, &'u FlowState)> + Clone,
    trace: &mut T,
) -> Option<(Migrated, FlowState)> {
    let number = target.number;
    // The draft is neither source nor target.
    let mut committed = visited.filter(|(version, _)| *version > 0 && number > 0);
    if committed.clone().any(|(version, _)| version == number) {
        return None;
    }
    let below = committed
        .clone()
        .rev()
        .find(|(version, _)| *version < number);
    let (from, state) = below.or_else(|| committed.next_back())?;
    let before = Standing::of(state);
    trace.migrates(from, before);
    let after = match before {
        Standing::Fresh => Standing::Fresh,
        _ if from < number => fold(strategies, before, from, number, trace),
        Standing::Running | Standing::Carried => Standing::Fresh,
        Standing::Stopped | Standing::Done => before,
    };
    trace.arrives(after);
    let (save, made) = match after {
        Standing::Fresh => return None,
        Standing::Running | Standing::Carried => {
            let source = strategies.version(from);
            let blocks = source.and_then(|source| carried(&source, target, state));
            let Some(blocks) = blocks else {
                trace.incompatible();
                return None;
            };
            (true, FlowState { blocks, ..begun() })
        }
        Standing::Stopped => {
            let stopped = FlowState {
                stopped: true,
                retired: true,
                ..begun()
            };
            (true, stopped)
        }
        Standing::Done => {
            let done = FlowState {
                stopped: state.stopped,
                finished: state.finished,
                ..begun()
            };
            (false, done)
        }
    };
    Some((Migrated { from, save }, made))
}

/// What every made state begins with.
fn begun() -> FlowState {
    FlowState {
        started: true,
        generation: 1,
        ..FlowState::default()
    }
}

/// The strategies of the versions after `from` up to `target`, in order. One
/// that does not exist restarts what is in progress, and so do those that lie
/// very far back.
fn fold<'s, 'u, T: Trace<'s, 'u>>(
    strategies: &dyn Strategies,
    mut standing: Standing,
    from: u32,
    target: u32,
    trace: &mut T,
) -> Standing {
    let earliest = target.saturating_sub(MIGRATION_VERSIONS_MAX);
    if from < earliest {
        standing = standing.under(Migration::RestartInProgress);
    }
    for version in from.max(earliest) + 1..=target {
        let strategy = strategies.strategy(version);
        let strategy = strategy.unwrap_or(Migration::RestartInProgress);
        let before = standing;
        standing = before.under(strategy);
        trace.strategy(StrategyApplied {
            version,
            strategy,
            before,
            after: standing,
        });
    }
    standing
}

/// The blocks of a state as they are in the target; none when a block that is
/// active has no counterpart there.
fn carried(source: &Version, target: &Version, state: &FlowState) -> Option<Box<[BlockState]>> {
    let mut blocks = Vec::with_capacity(state.blocks.len());
    for own in &state.blocks {
        match counterpart(source, target, own.key) {
            Some(block) => blocks.push(kept(block, own)),
            None if own.active => return None,
            None => {}
        }
    }
    let open: Vec<&Block> = target
        .blocks
        .iter()
        .filter(|block| matches!(block.kind, BlockKind::Checklist | BlockKind::Hints))
        .filter(|block| blocks.iter().any(|own| own.key == block.key && own.active))
        .collect();
    for container in open {
        complement(target, container, &mut blocks)?;
    }
    Some(blocks.into())
}

/// A checklist (or hints) that is open shows all of its items: new ones are
/// entered, or it could never be completed. None when every item it still has
/// was left: nobody could leave one any more.
fn complement(target: &Version, container: &Block, blocks: &mut Vec<BlockState>) -> Option<()> {
    let mut is_open = false;
    for item in &container.items {
        let key = target.block(*item).key;
        match blocks.binary_search_by_key(&key, |own| own.key) {
            Ok(at) => is_open |= !blocks[at].exited,
            Err(at) => {
                is_open = true;
                let entered = BlockState {
                    key,
                    active: true,
                    entered: true,
                    exited: false,
                    taken: Box::default(),
                };
                blocks.insert(at, entered);
            }
        }
    }
    is_open.then_some(())
}

/// The target's block of the same uid and type.
fn counterpart<'v>(source: &Version, target: &'v Version, key: BlockKey) -> Option<&'v Block> {
    let before = source.block(source.find(key)?);
    let after = target.block(target.find(key)?);
    (before.kind == after.kind).then_some(after)
}

/// A block's state without the names (or, of a gate, the paths) that are gone.
fn kept(block: &Block, state: &BlockState) -> BlockState {
    let exists =
        |key| block.transition(key).is_some() || block.incoming.iter().any(|path| path.key == key);
    BlockState {
        taken: state
            .taken
            .iter()
            .copied()
            .filter(|key| exists(*key))
            .collect(),
        ..state.clone()
    }
}
