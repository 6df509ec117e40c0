//! Where would somebody stand after these steps?
//!
//! Walks a version, usually the draft, for a subject that is only pretended, on
//! the same core that edges use. Nothing is stored, nobody is called: webhooks
//! and triggers are told of instead.

use serde::Serialize;
use serde_json::{Map, Value};

use super::{Which, known, version};
use crate::{
    clock::UnixMs,
    evaluate::{
        BlockState, FlowState, Judge, Other, Outcome, Profile, Side, Step, StepError, Subject,
        SubjectView, transition,
    },
    snapshot::{
        Block, BlockKey, NameKey, Trigger, Version, compile::compile_version, wire::VersionPart,
    },
    store::{Store, StoreError},
};

/// Who is pretended, and when it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pretend {
    /// Properties of the user.
    pub user: Map<String, Value>,
    /// Properties of the group; without them there is none.
    pub group: Option<Map<String, Value>>,
    /// The time of all steps.
    pub now: UnixMs,
    /// Whether to start whatever the entry condition says.
    pub force: bool,
}

/// One step to take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PretendStep {
    /// Sid of the block that is left.
    pub block: String,
    /// By which names.
    pub transitions: Vec<String>,
}

/// Where a step led.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tried {
    /// `start`, or block and names.
    pub step: String,
    /// Whether it did anything.
    pub changed: bool,
    /// Whether the flow was started.
    pub started: bool,
    /// Whether it is over.
    pub finished: bool,
    /// Sids of the blocks that are reached now.
    pub active: Vec<String>,
    /// What came of logic blocks, in words.
    pub passed: Vec<String>,
}

/// Why a step cannot be taken; the steps before it could be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TryError {
    /// The version does not compile. Only a draft of an earlier release may.
    #[error("the version cannot be run: {0}")]
    Faulty(String),
    /// There is no such block.
    #[error("step {at}: block {found:?} does not exist (expected one of {expected})")]
    UnknownBlock {
        /// From 1.
        at: usize,
        /// As asked.
        found: String,
        /// Sids of the blocks that are active.
        expected: String,
    },
    /// The block cannot be left like this.
    #[error("step {at}: {why} (block {block:?} has {expected})")]
    Refused {
        /// From 1.
        at: usize,
        /// Sid.
        block: String,
        /// Why.
        why: StepError,
        /// Its transitions.
        expected: String,
    },
}

/// Evaluates predicates for the pretended subject; acts on no other flow.
struct Pretended<'a> {
    view: SubjectView<'a>,
    now: UnixMs,
}

impl Judge for Pretended<'_> {
    fn entry(&mut self, version: &Version) -> bool {
        version.entry.holds(&self.view, self.now)
    }

    fn branch(&mut self, block: &Block, blocks: &[BlockState]) -> Option<Side> {
        let predicate = block.predicate();
        let holds = predicate
            .is_some_and(|predicate| predicate.holds_in(&self.view, self.now, Some(blocks)));
        Some(if holds { Side::True } else { Side::False })
    }

    fn gate(&mut self, _block: &Block, complete: bool) -> Option<bool> {
        Some(complete)
    }

    fn webhook(&mut self, _block: &Block) -> Option<()> {
        Some(())
    }

    fn trigger(&mut self, _block: &Block, _trigger: &Trigger) -> Option<Option<Other>> {
        Some(None)
    }
}

impl Store {
    /// Starts a version for a pretended subject and takes these steps.
    pub fn try_flow(
        &self,
        sid: &str,
        which: Which,
        pretend: &Pretend,
        steps: &[PretendStep],
    ) -> Result<Vec<Tried>, StoreError> {
        let workspace = self.workspace();
        let authored = version(known(&workspace, sid)?, which)?;
        Ok(walk(&authored.part, pretend, steps)?)
    }
}

fn walk(
    part: &VersionPart,
    pretend: &Pretend,
    steps: &[PretendStep],
) -> Result<Vec<Tried>, TryError> {
    let compiled = compile_version(part).map_err(|faults| {
        let faults: Vec<String> = faults
            .iter()
            .map(|fault| format!("{}: {}", fault.place, fault.rule))
            .collect();
        TryError::Faulty(faults.join("; "))
    })?;
    let mut user = Subject::unseen("pretended");
    user.profile = std::sync::Arc::new(Profile {
        properties: pretend.user.clone(),
        ..(*user.profile).clone()
    });
    let group = pretend.group.as_ref().map(|properties| Profile {
        properties: properties.clone(),
        ..Profile::default()
    });
    let mut judge = Pretended {
        view: SubjectView {
            user: &user,
            group: group.as_ref(),
            attributes: None,
            conversation: None,
        },
        now: pretend.now,
    };
    let mut tried = Vec::with_capacity(steps.len() + 1);
    let start = Step::Start {
        force: pretend.force,
    };
    let begun = transition(&compiled, &FlowState::default(), &start, &mut judge);
    let begun = begun.map_err(|why| TryError::Faulty(why.to_string()))?;
    tried.push(told(
        part,
        "start".to_owned(),
        begun.changed,
        &begun.state,
        &begun.outcomes,
    ));
    let mut state = begun.state;
    for (at, step) in (1..).zip(steps) {
        let block = part.blocks.iter().find(|own| own.sid == step.block);
        let index = block.and_then(|own| compiled.find(BlockKey::of(&own.uid)));
        let (Some(block), Some(index)) = (block, index) else {
            return Err(TryError::UnknownBlock {
                at,
                found: step.block.clone(),
                expected: active(part, &state).join(", "),
            });
        };
        let names: Vec<NameKey> = step
            .transitions
            .iter()
            .map(|name| NameKey::of(name))
            .collect();
        let step_taken = Step::Transition {
            block: index,
            names: &names,
        };
        let effect = transition(&compiled, &state, &step_taken, &mut judge);
        let effect = effect.map_err(|why| TryError::Refused {
            at,
            block: block.sid.clone(),
            why,
            expected: transitions(&compiled, index),
        })?;
        let words = format!("{}: {}", step.block, step.transitions.join(", "));
        tried.push(told(
            part,
            words,
            effect.changed,
            &effect.state,
            &effect.outcomes,
        ));
        state = effect.state;
    }
    Ok(tried)
}

fn transitions(version: &Version, index: crate::snapshot::BlockIndex) -> String {
    let names = version.block(index).transitions.iter();
    let names: Vec<&str> = names.map(|own| own.name()).collect();
    match names.is_empty() {
        true => "no transitions".to_owned(),
        false => names.join(", "),
    }
}

fn told(
    part: &VersionPart,
    step: String,
    changed: bool,
    state: &FlowState,
    outcomes: &[Outcome],
) -> Tried {
    Tried {
        step,
        changed,
        started: state.started,
        finished: state.finished,
        active: active(part, state),
        passed: outcomes
            .iter()
            .map(|outcome| in_words(part, outcome))
            .collect(),
    }
}

/// In the order of the version.
fn active(part: &VersionPart, state: &FlowState) -> Vec<String> {
    let blocks = part.blocks.iter().filter(|block| {
        let own = state.block(BlockKey::of(&block.uid));
        own.is_some_and(|own| own.active)
    });
    blocks.map(|block| block.sid.clone()).collect()
}

fn in_words(part: &VersionPart, outcome: &Outcome) -> String {
    let named = |uid: &str| part.blocks.iter().find(|block| block.uid == uid);
    let sid = |uid: &str| named(uid).map_or(uid, |block| &block.sid).to_owned();
    match outcome {
        Outcome::Branch { block, side } => format!("{}: {}", sid(block), side.name()),
        Outcome::Gate { block, passed } => {
            let word = if *passed { "passed" } else { "waits" };
            format!("{}: {word}", sid(block))
        }
        Outcome::Webhook { block } => format!("{}: the store would call it", sid(block)),
        Outcome::Trigger { block, .. } => {
            let trigger = named(block).and_then(|own| own.trigger.as_ref());
            let flow = trigger.map_or("another flow", |trigger| &trigger.flow_sid);
            format!("{}: would act on {flow}", sid(block))
        }
    }
}
