//! Does every sequence of steps on every graph keep the invariants?
//!
//! What single steps lead to is in `tests/vectors/flows*.json`.

mod graphs;
mod recorded;
mod triggers;

use std::sync::Arc;

use proptest::{prelude::*, sample::Index};

use self::graphs::{FLOWS, shape, snapshot};
use super::{
    Effect, LiveJudge, Other, Outcome, RecordedJudge, Step, StepError, Targets, reconcile,
    transition,
};
use crate::{
    evaluate::{BlockState, FlowState, Judge, Subject, SubjectView},
    limits::LOGIC_STEPS_MAX,
    snapshot::{Block, BlockIndex, NameKey, Snapshot, Version, wire::BlockKind},
};

const NAMES: [&str; 8] = [
    "complete", "dismiss", "next", "previous", "skip", "true", "done", "go",
];

#[derive(Clone, Debug)]
enum AnyStep {
    Start(bool),
    Reset(bool),
    Stop,
    Finish,
    Transition(Index, Vec<Index>),
    /// An active block is left, so that walks get somewhere.
    Leave(Index, Index),
}

fn any_step() -> impl Strategy<Value = AnyStep> {
    let names = prop::collection::vec(any::<Index>(), 0..3);
    prop_oneof![
        4 => any::<bool>().prop_map(AnyStep::Start),
        1 => any::<bool>().prop_map(AnyStep::Reset),
        1 => Just(AnyStep::Stop),
        1 => Just(AnyStep::Finish),
        8 => (any::<Index>(), names).prop_map(|(block, names)| AnyStep::Transition(block, names)),
        20 => any::<(Index, Index)>().prop_map(|(block, name)| AnyStep::Leave(block, name)),
    ]
}

fn take(
    version: &Version,
    state: &FlowState,
    step: &AnyStep,
    judge: &mut dyn Judge,
) -> Result<Effect, StepError> {
    let keys: Vec<NameKey>;
    let step = match step {
        AnyStep::Start(force) => Step::Start { force: *force },
        AnyStep::Reset(force) => Step::Reset { force: *force },
        AnyStep::Stop => Step::Stop,
        AnyStep::Finish => Step::Finish,
        AnyStep::Transition(block, names) => {
            keys = names
                .iter()
                .map(|name| NameKey::of(NAMES[name.index(NAMES.len())]))
                .collect();
            Step::Transition {
                block: BlockIndex(block.index(version.blocks.len() + 1) as u32),
                names: &keys,
            }
        }
        AnyStep::Leave(block, name) => {
            let active: Vec<&BlockState> = state.blocks.iter().filter(|own| own.active).collect();
            let Some(block) = (!active.is_empty()).then(|| block.get(&active)) else {
                return transition(version, state, &Step::Stop, judge);
            };
            let block = version.find(block.key).unwrap();
            keys = vec![name.get(&version.block(block).transitions).key];
            let names = &keys;
            Step::Transition { block, names }
        }
    };
    transition(version, state, &step, judge)
}

/// One user in an environment of random flows.
struct World {
    snapshot: Snapshot,
    subject: Subject,
}

impl World {
    fn version(&self, flow: usize) -> Arc<Version> {
        let flow = &self.snapshot.flows[format!("f{flow}").as_str()];
        Arc::clone(flow.versions[0].version.as_ref().unwrap())
    }

    fn state(&self, version: &Version) -> FlowState {
        let state = self.subject.state(version.flow_key, version.number, None);
        state.cloned().unwrap_or_default()
    }

    fn live(&self) -> LiveJudge<'_> {
        LiveJudge {
            snapshot: &self.snapshot,
            view: SubjectView {
                user: &self.subject,
                group: None,
                attributes: None,
                conversation: None,
            },
            now: 0,
        }
    }

    /// The record alone leads to the same, and less than the record nowhere.
    fn assert_replays(&self, version: &Version, step: &AnyStep, effect: &Effect) {
        let before = self.state(version);
        for gates_by_state in [false, true] {
            let played = |outcomes| RecordedJudge {
                entry: &*self.subject.profile.identifier == "ann",
                outcomes,
                gates_by_state,
                targets: self,
            };
            let mut recorded = played(&effect.outcomes[..]);
            let replayed = take(version, &before, step, &mut recorded);
            assert_eq!(replayed.as_ref(), Ok(effect));
            assert!(recorded.outcomes.is_empty());
            if let Some((last, fewer)) = effect.outcomes.split_last() {
                let is_certain = matches!(last, Outcome::Gate { .. } | Outcome::Webhook { .. });
                if gates_by_state && is_certain {
                    continue;
                }
                let short = take(version, &before, step, &mut played(fewer));
                assert_eq!(short, Err(StepError::NotRecorded));
            }
        }
    }
}

impl Targets for World {
    fn target(&self, flow_uid: &str, version: u32) -> Option<Other> {
        let version = self.snapshot.flows[flow_uid]
            .version(version)?
            .version
            .clone()?;
        let before = self.state(&version);
        Some(Other { version, before })
    }
}

fn assert_sound(version: &Version, state: &FlowState, was_capped: bool) {
    assert!(!(state.stopped && state.finished));
    assert!(!state.retired);
    assert!(state.started || (!state.stopped && !state.finished && state.blocks.is_empty()));
    assert!(state.blocks.is_sorted_by(|a, b| a.key < b.key));
    for stored in &state.blocks {
        let block = version.block(version.find(stored.key).unwrap());
        assert!(stored.entered && !(stored.active && stored.exited));
        assert!(!stored.active || (state.is_running() && !block.is_logic()));
        assert!(stored.taken.is_sorted_by(|a, b| a < b));
        if block.kind == BlockKind::Gate {
            let is_path = |key| block.incoming().iter().any(|path| path.key == key);
            assert!(stored.taken.iter().all(|key| is_path(*key)));
            assert_eq!(stored.exited, stored.taken.is_empty(), "passed, or waiting");
            let is_full = stored.taken.len() == block.incoming().len();
            assert!(!is_full || was_capped || !state.is_running());
        } else {
            let is_name = |key| block.transition(key).is_some();
            assert!(stored.taken.iter().all(|key| is_name(*key)));
            assert!(stored.exited || stored.taken.is_empty());
        }
        assert_items_fit(version, state, block, stored);
    }
}

/// One item of an active tour is active; the items of an active checklist are
/// active or left, and not all of them left; an inactive one has none.
fn assert_items_fit(version: &Version, state: &FlowState, block: &Block, stored: &BlockState) {
    if block.items().is_empty() {
        return;
    }
    let items = block.items().iter();
    let items = items.filter_map(|item| state.block(version.block(*item).key));
    let active = items.clone().filter(|item| item.active).count();
    if !stored.active {
        assert_eq!(active, 0);
    } else if block.kind == BlockKind::Tour {
        assert_eq!(active, 1);
    } else {
        let left = items.filter(|item| item.exited).count();
        assert_eq!(active + left, block.items().len());
        assert!(active > 0);
    }
}

proptest! {
    #[test]
    fn random_walks_keep_the_invariants_and_replay_to_the_same(
        shapes in prop::collection::vec(shape(), FLOWS),
        steps in prop::collection::vec((0..FLOWS, any_step()), 1..24),
        user in "ann|bob",
    ) {
        let mut world = World { snapshot: snapshot(&shapes), subject: Subject::unseen(&user) };
        prop_assert_eq!(&world.snapshot.set_aside, &[]);
        let mut was_capped = false;
        for (flow, step) in &steps {
            let version = world.version(*flow);
            let before = world.state(&version);
            let effect = match take(&version, &before, step, &mut world.live()) {
                Ok(effect) => effect,
                Err(error) => {
                    prop_assert_ne!(error, StepError::NotRecorded);
                    continue;
                }
            };
            if !effect.changed {
                prop_assert_eq!(&effect.state, &before);
                prop_assert!(effect.outcomes.is_empty() && effect.others.is_empty());
            }
            prop_assert!(effect.outcomes.len() <= LOGIC_STEPS_MAX);
            world.assert_replays(&version, step, &effect);
            was_capped |= effect.capped;
            assert_sound(&version, &effect.state, was_capped);
            for touched in effect.others {
                prop_assert!(touched.version.flow_key != version.flow_key);
                prop_assert_eq!(&touched.before, &world.state(&touched.version));
                prop_assert_ne!(&touched.before, &touched.state);
                assert_sound(&touched.version, &touched.state, was_capped);
                let (flow, number) = (touched.version.flow_key, touched.version.number);
                world.subject.set_state(flow, number, None, touched.state);
            }
            // Where the limit ended a run, a gate may not have been asked.
            let repair = reconcile(&version, &effect.state, &mut world.live());
            prop_assert!(was_capped || repair.is_none());
            world.subject.set_state(version.flow_key, version.number, None, effect.state);
        }
    }
}
