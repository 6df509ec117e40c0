//! What becomes of a subject when the version changes under them?
//!
//! Pure and lazy: the state another version left is turned into one for the
//! version asked for. Nothing is stored here; `Migrated::save` says whether a
//! caller that may save does so now.

use std::{borrow::Cow, sync::Arc};

use super::{
    Migrated,
    decide::Trace,
    receipt::StrategyApplied,
    state::{BlockState, FlowState},
    subject::Subject,
    transition::is_open,
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
fn migrate_traced<'s, 'u, T: Trace<'s, 'u>>(
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

/// Where a user stands in a version of a flow, within one conversation or
/// none: as stored, else as migration makes it, else new.
pub(crate) fn standing_in<'u>(
    flow: &Flow,
    version: &Version,
    user: &'u Subject,
    conversation: Option<&str>,
) -> (Cow<'u, FlowState>, Option<Migrated>) {
    if let Some(stored) = user.state(flow.key, version.number, conversation) {
        return (Cow::Borrowed(stored), None);
    }
    match made_for(flow, version, user, conversation, &mut ()) {
        Some((made, state)) => (Cow::Owned(state), Some(made)),
        None => (Cow::Owned(FlowState::default()), None),
    }
}

/// What migration makes of the states a user has in other versions.
pub(super) fn made_for<'s, 'u, T: Trace<'s, 'u>>(
    flow: &Flow,
    version: &Version,
    user: &'u Subject,
    conversation: Option<&str>,
    trace: &mut T,
) -> Option<(Migrated, FlowState)> {
    let visited = user.visited(flow.key, conversation);
    migrate_traced(flow, version, visited, trace)
}

/// What every made state begins with.
fn begun() -> FlowState {
    FlowState {
        started: true,
        generation: 1,
        ..FlowState::default()
    }
}

/// A running state as it is in another version, whatever the strategies say;
/// none when a block that is active has no counterpart there.
pub fn carry(source: &Version, target: &Version, state: &FlowState) -> Option<FlowState> {
    let blocks = carried(source, target, state)?;
    Some(FlowState { blocks, ..begun() })
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
/// active has no counterpart there, or a gate could never be passed.
fn carried(source: &Version, target: &Version, state: &FlowState) -> Option<Box<[BlockState]>> {
    let mut blocks = Vec::with_capacity(state.blocks.len());
    for own in &state.blocks {
        match counterpart(source, target, own.key) {
            Some(block) => {
                let kept = kept(block, own);
                // The paths it waits for are gone, and it is asked by nobody.
                if is_open(block, &kept) {
                    return None;
                }
                blocks.push(kept);
            }
            None if own.active => return None,
            None => {}
        }
    }
    let mut entered = Vec::new();
    for container in &target.blocks {
        if matches!(container.kind, BlockKind::Checklist | BlockKind::Hints)
            && find(&blocks, container.key).is_some_and(|own| own.active)
        {
            complement(target, container, &blocks, &mut entered)?;
        }
    }
    if !entered.is_empty() {
        blocks.append(&mut entered);
        blocks.sort_unstable_by_key(|own| own.key);
    }
    Some(blocks.into())
}

/// A state among those sorted by key.
fn find(blocks: &[BlockState], key: BlockKey) -> Option<&BlockState> {
    let at = blocks.binary_search_by_key(&key, |own| own.key).ok()?;
    blocks.get(at)
}

/// A checklist (or hints) that is open shows all of its items: new ones are
/// entered, or it could never be completed. None when every item it still has
/// was left: nobody could leave one any more.
fn complement(
    target: &Version,
    container: &Block,
    blocks: &[BlockState],
    entered: &mut Vec<BlockState>,
) -> Option<()> {
    let mut is_open = false;
    for item in container.items() {
        let key = target.block(*item).key;
        match find(blocks, key) {
            Some(known) => is_open |= !known.exited,
            None => {
                is_open = true;
                entered.push(BlockState {
                    key,
                    active: true,
                    entered: true,
                    exited: false,
                    taken: Box::default(),
                });
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
    let exists = |key| {
        block.transition(key).is_some() || block.incoming().iter().any(|path| path.key == key)
    };
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::snapshot::compile::compile_version;

    struct Both(Arc<Version>, Arc<Version>);

    impl Strategies for Both {
        fn version(&self, number: u32) -> Option<Arc<Version>> {
            match number {
                1 => Some(self.0.clone()),
                2 => Some(self.1.clone()),
                _ => None,
            }
        }
    }

    fn version(number: u32, blocks: Vec<Value>, paths: &Value) -> Arc<Version> {
        let part = json!({"flow_uid": "f", "flow_sid": "f", "number": number,
            "entry": "everyone", "migration": "carry-over", "blocks": blocks, "paths": paths});
        compile_version(&serde_json::from_value(part).unwrap())
            .unwrap()
            .into()
    }

    fn block(uid: &str, active: bool, taken: &[&str]) -> BlockState {
        let mut taken: Vec<_> = taken
            .iter()
            .map(|name| crate::snapshot::NameKey::of(name))
            .collect();
        taken.sort_unstable();
        BlockState {
            key: BlockKey::of(uid),
            active,
            entered: true,
            exited: false,
            taken: taken.into(),
        }
    }

    fn carry(both: &Both, mut blocks: Vec<BlockState>) -> Option<FlowState> {
        blocks.sort_unstable_by_key(|own| own.key);
        let state = FlowState {
            blocks: blocks.into(),
            ..begun()
        };
        let target = both.1.clone();
        migrate(both, &target, [(1, &state)].into_iter()).map(|(_, made)| made)
    }

    #[test]
    fn a_gate_that_lost_the_paths_it_waits_for_is_not_carried_over() {
        let card = |uid: &str| json!({"uid": uid, "sid": uid, "kind": "card"});
        let blocks = || {
            vec![
                card("x"),
                card("y"),
                json!({"uid": "g", "sid": "g", "kind": "gate"}),
            ]
        };
        let path = |uid: &str, from: &str| json!({"uid": uid, "from": from, "on": ["complete"], "to": "g"});
        let entry = [
            json!({"uid": "p", "to": "x"}),
            json!({"uid": "q", "to": "y"}),
        ];
        let all = json!([entry[0], entry[1], path("a", "x"), path("b", "y")]);
        let one = json!([entry[0], entry[1], path("a", "x")]);
        let state = || vec![block("y", true, &[]), block("g", false, &["a"])];
        let shorter = Both(version(1, blocks(), &all), version(2, blocks(), &one));
        assert_eq!(carry(&shorter, state()), None, "they begin anew");
        let same = Both(version(1, blocks(), &all), version(2, blocks(), &all));
        let carried = carry(&same, state()).unwrap();
        assert!(carried.block(BlockKey::of("y")).unwrap().active);
    }

    #[test]
    fn new_items_of_many_open_lists_are_entered_in_order() {
        const LISTS: usize = 200;
        let blocks = |items: usize| {
            let mut blocks = Vec::new();
            for list in 0..LISTS {
                let uid = format!("l{list}");
                blocks.push(json!({"uid": uid, "sid": uid, "kind": "checklist"}));
                for item in 0..items {
                    let own = format!("{uid}i{item}");
                    blocks.push(
                        json!({"uid": own, "sid": own, "kind": "checklistItem", "container": uid}),
                    );
                }
            }
            blocks
        };
        let paths =
            (0..LISTS).map(|list| json!({"uid": format!("p{list}"), "to": format!("l{list}")}));
        let paths = Value::Array(paths.collect());
        let both = Both(version(1, blocks(1), &paths), version(2, blocks(5), &paths));
        let known = (0..LISTS).flat_map(|list| {
            [
                block(&format!("l{list}"), true, &[]),
                block(&format!("l{list}i0"), true, &[]),
            ]
        });
        let carried = carry(&both, known.collect()).unwrap();
        assert_eq!(carried.blocks.len(), LISTS * 6);
        assert!(carried.blocks.is_sorted_by(|one, next| one.key < next.key));
        assert!(carried.blocks.iter().all(|own| own.active));
    }
}
