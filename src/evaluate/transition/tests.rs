//! Does every sequence of steps on every graph keep the invariants?
//!
//! What single steps lead to is in `tests/vectors/flows.json`.

use proptest::{prelude::*, sample::Index};

use super::{Effect, LiveJudge, RecordedJudge, Step, StepError, reconcile, transition};
use crate::{
    evaluate::{FlowState, Judge, Subject, SubjectView},
    snapshot::{
        BlockIndex, NameKey, Revision, Snapshot, Version,
        compile::{compile, compile_version},
        parts::Content,
        wire::{
            BlockKind, BlockPart, ControlDocument, EntryCondition, EnvironmentType, PathPart,
            SettingsPart, VersionPart,
        },
    },
};

const NAMES: [&str; 6] = ["complete", "dismiss", "next", "previous", "true", "go"];

/// What a random block is: its kind and, for booleans, what it asks.
fn part(kinds: &[(u8, bool)], paths: &[(Index, Index, Index)]) -> VersionPart {
    let mut blocks: Vec<BlockPart> = Vec::new();
    for (place, (kind, flag)) in kinds.iter().enumerate() {
        let block = |uid: String, kind| BlockPart {
            sid: uid.clone(),
            uid,
            kind,
            container: None,
            transitions: Vec::new(),
            expression: None,
            trigger: None,
            fields: Vec::new(),
        };
        let mut own = block(format!("b{place}"), BlockKind::Card);
        match kind {
            0 => {
                own.kind = BlockKind::Custom;
                own.transitions = vec!["go".into(), "complete".into()];
            }
            1 => {
                own.kind = BlockKind::Boolean;
                own.expression = Some(if *flag { "true" } else { "blocks.b0.exited" }.into());
            }
            2 => own.kind = BlockKind::Finish,
            3 => {
                own.kind = BlockKind::Tour;
                for item in 0..=usize::from(*flag) {
                    let mut item = block(format!("b{place}-{item}"), BlockKind::TourItem);
                    item.container = Some(own.uid.clone());
                    blocks.push(item);
                }
            }
            _ => {}
        }
        blocks.push(own);
    }
    // b0 is always there and shown, since branches ask for it.
    let first = blocks.iter_mut().find(|block| block.sid == "b0");
    if let Some(first) = first
        && matches!(first.kind, BlockKind::Boolean | BlockKind::Finish)
    {
        first.kind = BlockKind::Card;
        first.expression = None;
    }
    let ends: Vec<(String, BlockKind)> = blocks
        .iter()
        .filter(|block| block.kind != BlockKind::TourItem)
        .map(|block| (block.uid.clone(), block.kind))
        .collect();
    let paths = paths.iter().enumerate().map(|(place, (from, to, name))| {
        let (from, kind) = from.get(&ends);
        let names: &[&str] = match kind {
            BlockKind::Custom => &["go", "complete"],
            BlockKind::Boolean => &["true", "false"],
            _ => &["complete", "dismiss"],
        };
        let from_entry = place == 0 || *kind == BlockKind::Finish;
        PathPart {
            uid: format!("p{place}"),
            from: (!from_entry).then(|| from.clone()),
            on: if from_entry {
                Vec::new()
            } else {
                vec![(*name.get(names)).to_owned()]
            },
            to: to.get(&ends).0.clone(),
        }
    });
    VersionPart {
        flow_uid: "f".into(),
        flow_sid: "flow".into(),
        number: 0,
        migration: None,
        entry: EntryCondition::Expression("user.identifier = 'ann'".into()),
        paths: paths.collect(),
        blocks,
    }
}

/// A snapshot without flows, where triggers find nothing.
fn empty() -> Snapshot {
    let content = Content {
        settings: SettingsPart {
            environment_type: EnvironmentType::Test,
            drafts: true,
            channels: Vec::new(),
        },
        flows: Vec::new(),
        versions: Vec::new(),
        deployments: Vec::new(),
        keys: Vec::new(),
        broken: Vec::new(),
    };
    let control = ControlDocument::default();
    compile("test", "uid", Revision::default(), &content, &control).unwrap()
}

#[derive(Clone, Debug)]
enum AnyStep {
    Start(bool),
    Reset(bool),
    Stop,
    Finish,
    Transition(Index, Vec<Index>),
}

fn any_step() -> impl Strategy<Value = AnyStep> {
    let names = prop::collection::vec(any::<Index>(), 0..3);
    prop_oneof![
        3 => any::<bool>().prop_map(AnyStep::Start),
        1 => any::<bool>().prop_map(AnyStep::Reset),
        1 => Just(AnyStep::Stop),
        1 => Just(AnyStep::Finish),
        20 => (any::<Index>(), names).prop_map(|(block, names)| AnyStep::Transition(block, names)),
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
    };
    transition(version, state, &step, judge)
}

fn assert_sound(version: &Version, state: &FlowState) {
    assert!(!(state.stopped && state.finished));
    assert!(state.started || (!state.stopped && !state.finished && state.blocks.is_empty()));
    assert!(state.blocks.is_sorted_by(|a, b| a.key < b.key));
    for stored in &state.blocks {
        let block = version.block(version.find(stored.key).unwrap());
        assert!(stored.entered && !(stored.active && stored.exited));
        assert!(!stored.active || (state.is_running() && !block.is_logic()));
        assert!(stored.taken.is_sorted_by(|a, b| a < b));
        assert!(
            stored
                .taken
                .iter()
                .all(|name| block.transition(*name).is_some())
        );
        assert!(stored.exited || stored.taken.is_empty());
        let active = |index: &BlockIndex| {
            let key = version.block(*index).key;
            state.block(key).is_some_and(|item| item.active)
        };
        if !block.items.is_empty() {
            let items = block.items.iter().filter(|item| active(item)).count();
            assert_eq!(
                items,
                usize::from(stored.active),
                "one item while a tour is active"
            );
        }
    }
}

proptest! {
    #[test]
    fn random_walks_keep_the_invariants_and_replay_to_the_same(
        kinds in prop::collection::vec((0..5_u8, any::<bool>()), 1..7),
        paths in prop::collection::vec(any::<(Index, Index, Index)>(), 1..14),
        steps in prop::collection::vec(any_step(), 1..24),
        user in "ann|bob",
    ) {
        // Cycles of logic alone are refused; whatever else is random here is sound.
        let compiled = compile_version(&part(&kinds, &paths));
        if let Err(faults) = &compiled {
            prop_assert!(faults.iter().all(|fault| fault.rule.contains("cycle")), "{faults:?}");
        }
        prop_assume!(compiled.is_ok());
        let version = compiled.unwrap();
        let nothing = empty();
        let subject = Subject::unseen(&user);
        let view = SubjectView { user: &subject, group: None, attributes: None, conversation: None };
        let mut state = FlowState::default();
        for step in &steps {
            let mut live = LiveJudge { snapshot: &nothing, view, now: 0 };
            let effect = match take(&version, &state, step, &mut live) {
                Ok(effect) => effect,
                Err(error) => {
                    prop_assert_ne!(error, StepError::NotRecorded);
                    continue;
                }
            };
            if !effect.changed {
                prop_assert_eq!(&effect.state, &state);
            }
            assert_sound(&version, &effect.state);
            let played = |outcomes| RecordedJudge {
                entry: user == "ann",
                outcomes,
                gates_by_state: false,
                targets: &(),
            };
            let mut recorded = played(&effect.outcomes[..]);
            let replayed = take(&version, &state, step, &mut recorded);
            prop_assert_eq!(replayed.as_ref(), Ok(&effect));
            if let Some((_, fewer)) = effect.outcomes.split_last() {
                let mut short = played(fewer);
                prop_assert_eq!(take(&version, &state, step, &mut short), Err(StepError::NotRecorded));
            }
            state = effect.state;
            prop_assert_eq!(reconcile(&version, &state, &mut LiveJudge { snapshot: &nothing, view, now: 0 }), None);
        }
    }
}
