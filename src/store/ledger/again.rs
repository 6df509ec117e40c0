//! Where does a step lead from what the ledger knows?
//!
//! A record that was decided on something older is run again, with the answers
//! its edge recorded, over the ledger's own states of every flow it touches.
//! States that versions before left are carried over here as an edge would do
//! it, by the same pure code.

use std::sync::Arc;

use super::{Versions, judge::Asked};
use crate::{
    evaluate::{
        FlowState, Migrated, Other, Outcome as LogicOutcome, RecordedJudge, Step, StepError,
        Strategies, Targets, migrate, transition,
    },
    progress::event::{Event, FlowStateDocument, Intent, Operation, UserDocument},
    snapshot::{BlockKey, NameKey, Version},
};

/// Where a user stands in every version, within one conversation or none.
#[derive(Clone, Copy)]
pub(super) struct Standing<'a> {
    document: &'a UserDocument,
    versions: &'a dyn Versions,
    conversation: Option<&'a str>,
}

impl<'a> Standing<'a> {
    pub(super) fn new(
        document: &'a UserDocument,
        versions: &'a dyn Versions,
        conversation: Option<&'a str>,
    ) -> Self {
        Self {
            document,
            versions,
            conversation,
        }
    }

    /// Whether a version before left something for this one, so that nobody
    /// who sees it begins anew.
    pub(super) fn comes_from_elsewhere(&self, flow: &str, number: u32) -> bool {
        let version = self.versions.version(flow, number);
        version.is_some_and(|version| self.made(&version).is_some())
    }

    /// Whether there is a state of a version before.
    pub(super) fn has_source(&self, flow: &str, number: u32) -> bool {
        self.of_flow(flow).any(|state| state.version != number)
    }

    /// What the versions before leave for this one, as the ledger knows them.
    pub(super) fn made_again(
        &self,
        flow: &str,
        number: u32,
    ) -> Result<FlowStateDocument, &'static str> {
        let Some(version) = self.versions.version(flow, number) else {
            return Err("the version it migrates to is not in the store");
        };
        let Some((_, state)) = self.made(&version) else {
            return Err("what it was made of has moved on, and leaves nothing to carry over");
        };
        let conversation = self.conversation;
        Ok(FlowStateDocument::of(flow, &version, conversation, &state))
    }

    fn of_flow(&self, flow: &str) -> impl Iterator<Item = &'a FlowStateDocument> {
        let conversation = self.conversation;
        self.document
            .flows
            .iter()
            .filter(move |own| own.flow == flow && own.conversation.as_deref() == conversation)
    }

    /// As stored, or else as made, or else new.
    fn state(&self, version: &Version) -> FlowState {
        let mut stored = self.of_flow(&version.flow_uid);
        match stored.find(|own| own.version == version.number) {
            Some(stored) => stored.to_state(),
            None => self
                .made(version)
                .map_or_else(FlowState::default, |(_, made)| made),
        }
    }

    fn made(&self, version: &Version) -> Option<(Migrated, FlowState)> {
        let flow: &str = &version.flow_uid;
        let states = self.of_flow(flow);
        let mut visited: Vec<(u32, FlowState)> =
            states.map(|own| (own.version, own.to_state())).collect();
        visited.sort_unstable_by_key(|(number, _)| *number);
        let of_flow = OfFlow {
            versions: self.versions,
            flow,
        };
        migrate(
            &of_flow,
            version,
            visited.iter().map(|(number, state)| (*number, state)),
        )
    }
}

impl Targets for Standing<'_> {
    fn target(&self, flow_uid: &str, version: u32) -> Option<Other> {
        let version = self.versions.version(flow_uid, version)?;
        let before = self.state(&version);
        Some(Other { version, before })
    }
}

/// The versions of one flow in the store.
struct OfFlow<'a> {
    versions: &'a dyn Versions,
    flow: &'a str,
}

impl Strategies for OfFlow<'_> {
    fn version(&self, number: u32) -> Option<Arc<Version>> {
        self.versions.version(self.flow, number)
    }
}

/// Where a step leads from the ledger's states.
pub(super) enum Again {
    To {
        /// The step's own flow first.
        states: Vec<FlowStateDocument>,
        outcomes: Vec<LogicOutcome>,
    },
    /// Its effect is there already.
    Nothing,
    Illegal(String),
}

/// Takes the step again with the recorded outcomes. Gates go by the ledger's
/// state, because each edge may have seen a part of their paths; where that
/// leads to something nobody has answered, they too go by the record.
pub(super) fn run_again(standing: &Standing<'_>, asked: &Asked<'_>, event: &Event) -> Again {
    let Some(version) = standing.versions.version(asked.flow, asked.version) else {
        return Again::Illegal(format!(
            "version {} of flow {} is not in the store",
            asked.version, asked.flow
        ));
    };
    let before = standing.state(&version);
    let mut names = Vec::new();
    let (step, entry) = match taken_again(&event.operation, &version, &mut names) {
        Ok(step) => step,
        Err(why) => return Again::Illegal(why),
    };
    let outcomes: Vec<_> = event.outcomes.iter().map(|own| own.to_outcome()).collect();
    let run = |gates_by_state| {
        let mut judge = RecordedJudge {
            entry,
            outcomes: &outcomes,
            gates_by_state,
            targets: standing,
        };
        transition(&version, &before, &step, &mut judge)
    };
    let taken = match run(true) {
        Err(StepError::NotRecorded) => run(false),
        taken => taken,
    };
    match taken {
        Ok(effect) if effect.changed => {
            let document = |version: &Version, state: &FlowState| {
                FlowStateDocument::of(&version.flow_uid, version, asked.conversation, state)
            };
            let mut states = vec![document(&version, &effect.state)];
            let others = effect.others.iter();
            states.extend(others.map(|other| document(&other.version, &other.state)));
            Again::To {
                states,
                outcomes: effect.outcomes,
            }
        }
        Ok(_) if has_effect(&before, &step) => Again::Nothing,
        Ok(_) => Again::Illegal("the step leads nowhere from where the user stands".to_owned()),
        Err(error) => Again::Illegal(error.to_string()),
    }
}

/// The step of an operation, and whether its entry condition held.
fn taken_again<'n>(
    operation: &Operation,
    version: &Version,
    names: &'n mut Vec<NameKey>,
) -> Result<(Step<'n>, bool), String> {
    match operation {
        Operation::Start { force, .. } => Ok((Step::Start { force: *force }, true)),
        Operation::Intent {
            intent: Intent::Reset,
            force,
            restarted,
            ..
        } => Ok((Step::Reset { force: *force }, *restarted)),
        Operation::Intent {
            intent: Intent::Stop,
            ..
        } => Ok((Step::Stop, false)),
        Operation::Intent {
            intent: Intent::Finish,
            ..
        } => Ok((Step::Finish, false)),
        Operation::Transition {
            block: uid,
            names: asked,
            ..
        } => {
            let block = version
                .find(BlockKey::of(uid))
                .ok_or_else(|| format!("version {} has no block {uid}", version.number))?;
            names.extend(asked.iter().map(|name| NameKey::of(name)));
            Ok((Step::Transition { block, names }, false))
        }
        Operation::Migrate { .. }
        | Operation::Membership
        | Operation::Identify { .. }
        | Operation::IdentifyGroup { .. } => Err("the record names no step".to_owned()),
    }
}

/// Whether a step that changes nothing has been done before, rather than being
/// impossible.
fn has_effect(before: &FlowState, step: &Step<'_>) -> bool {
    match step {
        Step::Start { .. } => before.started,
        Step::Stop => before.stopped,
        Step::Finish => before.finished,
        Step::Reset { .. } | Step::Transition { .. } => false,
    }
}
