//! What becomes of one step, given what the ledger knows of its user?
//!
//! Pure. The rules in their order: event id seen before · rests on a refuted
//! assumption that the user was new · base is current · generation moved on · already there · legal
//! from the current state, judged by running the step again with the recorded
//! outcomes · else it does not fit. Properties and time are never looked at:
//! the edge has decided what depended on them.

use std::collections::BTreeSet;

use super::{Verdict, Versions};
use crate::{
    evaluate::{FlowState, RecordedJudge, Step, transition},
    limits,
    progress::event::{
        Assumption, Base, Event, EventId, FlowStateDocument, Intent, Operation, UserDocument,
    },
    snapshot::{BlockKey, NameKey, Version},
    store::workspace::Environment,
};

/// Why a record does not belong to this environment or cannot be anybody's.
pub(super) fn foreign(event: &Event, environment: &Environment) -> Option<String> {
    if event.environment_uid != environment.uid {
        return Some(format!(
            "recorded for environment {} {} (expected {} {})",
            event.environment, event.environment_uid, environment.name, environment.uid
        ));
    }
    if event.user.is_empty() || event.user.len() > limits::SUBJECT_ID_BYTES_MAX {
        return Some(format!(
            "a user id of {} bytes (expected 1 to {})",
            event.user.len(),
            limits::SUBJECT_ID_BYTES_MAX
        ));
    }
    None
}

/// Whether the record was decided on exactly what the ledger has.
pub(super) fn is_current(document: &UserDocument, base: &Base) -> bool {
    match base {
        Base::Document(rev) => document.doc_rev == *rev,
        Base::Record { journal, seq } => {
            let last = document.last.as_ref();
            // A record that was merged in is the last one and yet not all that
            // its edge had not seen: other edges' steps must survive the next.
            !document.mixed && last.is_some_and(|(own, at)| own == journal && at == seq)
        }
        Base::Absent => document.doc_rev == 0,
    }
}

/// Whether the document is what the edge of this journal knows of the user,
/// with the record at this seq and perhaps later ones of the same journal.
pub(super) fn is_as_the_edge_knows(document: &UserDocument, journal: &str, seq: u64) -> bool {
    let last = document.last.as_ref();
    !document.mixed && last.is_some_and(|(own, at)| own == journal && *at >= seq)
}

/// Whether the ledger's states are those the record carries.
fn stands_as_recorded(document: &UserDocument, event: &Event) -> bool {
    event.states.iter().all(|recorded| {
        find(document, recorded).is_some_and(|known| known.to_state() == recorded.to_state())
    })
}

/// Judges one start, intent or transition.
pub(super) fn step(
    document: &UserDocument,
    refuted: &mut BTreeSet<String>,
    event: &Event,
    versions: &dyn Versions,
) -> Verdict {
    let Some(asked) = Asked::of(event) else {
        return Verdict::Dead("the record names no step".to_owned());
    };
    let Some(recorded) = event.states.iter().find(|state| asked.is_at(state)) else {
        return Verdict::Dead("the record holds no state of the flow it steps in".to_owned());
    };
    let place = asked.place();
    let known = find(document, recorded);
    let stands = stands_as_recorded(document, event);
    match seen_before(document, &asked, event.id) {
        Some(Seen::Same) => {
            // The step itself was taken before, but what the edge built on it
            // started from a user who had moved on.
            if rests_on_an_assumption(event) && !stands {
                refuted.insert(place);
            }
            return Verdict::Already;
        }
        Some(Seen::OtherBody) if rests_on_an_assumption(event) || refuted.contains(&place) => {
            // The edge could not know of the key.
            refuted.insert(place);
            return Verdict::Superseded("its idempotency key was used before, unknown to the edge");
        }
        Some(Seen::OtherBody) => {
            return Verdict::Dead("its idempotency key was used for another step".to_owned());
        }
        None => {}
    }
    if refuted.contains(&place) {
        return Verdict::Superseded("it builds on a step that was superseded");
    }
    let is_current = is_current(document, &event.base);
    if event.assumed == Assumption::Unvisited || event.base == Base::Absent {
        if known.is_none() {
            // Decided on no state, and there is none: whatever else the user
            // has does not matter.
            return apply(document, &event.states, &asked, event.id, is_current);
        }
        if stands {
            return Verdict::Already;
        }
        refuted.insert(place);
        return Verdict::Superseded("decided as if the user were new, who was known");
    }
    if is_current {
        return apply(document, &event.states, &asked, event.id, true);
    }
    let generation = known.map_or(0, |state| state.generation);
    if generation > asked.generation {
        return Verdict::Superseded("the flow was reset since");
    }
    if stands {
        return Verdict::Already;
    }
    if generation < asked.generation {
        return Verdict::Dead(format!(
            "decided in generation {} (the ledger knows up to {generation})",
            asked.generation
        ));
    }
    match run_again(known, &asked, event, versions) {
        Again::To(state) => apply(document, &[state], &asked, event.id, false),
        Again::Nothing => Verdict::Already,
        Again::Illegal(why) => Verdict::Dead(why),
    }
}

/// Whether the edge could not ask for the user's document.
pub(super) fn rests_on_an_assumption(event: &Event) -> bool {
    event.assumed != Assumption::Nothing || event.base == Base::Absent
}

/// What a record asks for, whatever its kind.
struct Asked<'a> {
    flow: &'a str,
    version: u32,
    conversation: Option<&'a str>,
    generation: u32,
}

impl<'a> Asked<'a> {
    fn of(event: &'a Event) -> Option<Self> {
        let (flow, version, generation) = match &event.operation {
            Operation::Start {
                flow,
                version,
                generation,
                ..
            }
            | Operation::Intent {
                flow,
                version,
                generation,
                ..
            }
            | Operation::Transition {
                flow,
                version,
                generation,
                ..
            } => (flow, *version, *generation),
            Operation::Migrate { .. } | Operation::Membership | Operation::Identify { .. } => {
                return None;
            }
        };
        Some(Self {
            flow,
            version,
            conversation: event.conversation.as_deref(),
            generation,
        })
    }

    fn is_at(&self, state: &FlowStateDocument) -> bool {
        state.flow == self.flow
            && state.version == self.version
            && state.conversation.as_deref() == self.conversation
    }

    /// Names the state this is about. The conversation stands last, because it
    /// alone may hold any character.
    fn place(&self) -> String {
        format!(
            "{}/{}/{}",
            self.flow,
            self.version,
            self.conversation.unwrap_or_default()
        )
    }
}

/// An event id that was met before.
enum Seen {
    Same,
    OtherBody,
}

/// Looks the event id up in the rings of this flow, whatever its version: a
/// client that repeats a step may have been given a newer one in between.
fn seen_before(document: &UserDocument, asked: &Asked<'_>, id: Option<EventId>) -> Option<Seen> {
    let id = id?;
    let mut ids = document
        .flows
        .iter()
        .filter(|state| {
            state.flow == asked.flow && state.conversation.as_deref() == asked.conversation
        })
        .flat_map(|state| &state.recent);
    let seen = ids.find(|seen| seen.key == id.key)?;
    Some(if seen.body == id.body {
        Seen::Same
    } else {
        Seen::OtherBody
    })
}

fn find<'a>(
    document: &'a UserDocument,
    wanted: &FlowStateDocument,
) -> Option<&'a FlowStateDocument> {
    document.flows.iter().find(|state| is_same(state, wanted))
}

fn is_same(one: &FlowStateDocument, other: &FlowStateDocument) -> bool {
    one.flow == other.flow && one.version == other.version && one.conversation == other.conversation
}

/// Puts states in their places and the event id into its ring.
fn apply(
    document: &UserDocument,
    states: &[FlowStateDocument],
    asked: &Asked<'_>,
    id: Option<EventId>,
    as_recorded: bool,
) -> Verdict {
    let mut document = document.clone();
    for state in states {
        let at = document.flows.iter().position(|own| is_same(own, state));
        let mut next = state.clone();
        // Records carry no rings; what was seen stays seen, also after a reset.
        next.recent = at.map_or_else(Vec::new, |at| {
            std::mem::take(&mut document.flows[at].recent)
        });
        if let Some(id) = id.filter(|_| asked.is_at(state)) {
            next.recent.push(id);
            let surplus = next.recent.len().saturating_sub(limits::EVENT_RING);
            next.recent.drain(..surplus);
        }
        match at {
            Some(at) => document.flows[at] = next,
            None => document.flows.push(next),
        }
    }
    if document.flows.len() > limits::FLOW_STATES_PER_USER_MAX {
        return Verdict::Dead(format!(
            "the user would have states of {} flow versions (expected at most {})",
            document.flows.len(),
            limits::FLOW_STATES_PER_USER_MAX
        ));
    }
    Verdict::Apply {
        document: Box::new(document),
        groups: Vec::new(),
        as_recorded,
    }
}

/// Where a step leads from the ledger's state.
enum Again {
    To(FlowStateDocument),
    /// Its effect is there already.
    Nothing,
    Illegal(String),
}

/// Takes the step again from the ledger's state, with the recorded outcomes.
fn run_again(
    known: Option<&FlowStateDocument>,
    asked: &Asked<'_>,
    event: &Event,
    versions: &dyn Versions,
) -> Again {
    let Some(version) = versions.version(asked.flow, asked.version) else {
        return Again::Illegal(format!(
            "version {} of flow {} is not in the store",
            asked.version, asked.flow
        ));
    };
    let before = known.map_or_else(FlowState::default, FlowStateDocument::to_state);
    let mut names = Vec::new();
    let (step, entry) = match taken_again(&event.operation, &version, &mut names) {
        Ok(step) => step,
        Err(why) => return Again::Illegal(why),
    };
    let outcomes: Vec<_> = event.outcomes.iter().map(|o| o.to_outcome()).collect();
    let mut judge = RecordedJudge {
        entry,
        outcomes: &outcomes,
        gates_by_state: true,
        targets: &(),
    };
    match transition(&version, &before, &step, &mut judge) {
        Ok(effect) if effect.changed => Again::To(FlowStateDocument::of(
            asked.flow,
            &version,
            asked.conversation,
            &effect.state,
        )),
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
        Operation::Migrate { .. } | Operation::Membership | Operation::Identify { .. } => {
            Err("the record names no step".to_owned())
        }
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
