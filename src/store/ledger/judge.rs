//! What becomes of one step, given what the ledger knows of its user?
//!
//! Pure. The rules in their order: event id seen before · rests on a refuted
//! assumption that the user was new · base is current · generation moved on · already there · legal
//! from the current state, judged by running the step again (see `again`) with
//! the recorded outcomes · else it does not fit. Properties and time are never
//! looked at: the edge has decided what depended on them.

use std::collections::BTreeSet;

use super::{
    Verdict, Versions,
    again::{Again, Standing, run_again},
    effects, enrolling,
};
use crate::{
    clock::UnixMs,
    evaluate::Outcome as LogicOutcome,
    limits,
    progress::event::{
        Assumption, Base, Event, EventId, FlowStateDocument, Intent, Operation, UserDocument,
        state_bytes,
    },
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
    if let Operation::IdentifyGroup { .. } = &event.operation
        && event.user.is_empty()
    {
        return None;
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

/// Judges one start, intent, transition or migration.
pub(super) fn step(
    document: &UserDocument,
    refuted: &mut BTreeSet<String>,
    event: &Event,
    versions: &dyn Versions,
    now: UnixMs,
) -> Verdict {
    let Some(asked) = Asked::of(event) else {
        return Verdict::Dead("the record names no step".to_owned());
    };
    let Some(recorded) = event.states.iter().find(|state| asked.is_at(state)) else {
        return Verdict::Dead("the record holds no state of the flow it steps in".to_owned());
    };
    if let Some(verdict) = met_before(document, refuted, &asked, event) {
        return verdict;
    }
    let case = Case {
        document,
        versions,
        now,
        event,
        known: find(document, recorded),
        recorded,
        standing: Standing::new(document, versions, asked.conversation),
        asked,
    };
    let is_current = is_current(document, &event.base);
    if event.assumed == Assumption::Unvisited || event.base == Base::Absent {
        if case.is_known(recorded) {
            if stands_as_recorded(document, event) {
                return Verdict::Already;
            }
            refute(refuted, event);
            return Verdict::Superseded("decided as if the user were new, who was known");
        }
        // Decided on no state, and there is none: what else the user has does
        // not matter, unless the step touched it as well.
        if !case.touches_others_it_knew_nothing_of() {
            return case.as_recorded(is_current);
        }
    } else if is_current && !case.touches_others_it_knew_nothing_of() {
        return case.as_recorded(true);
    }
    if let Operation::Migrate { .. } = &event.operation {
        return case.migrate_again(refuted);
    }
    case.take_again(refuted)
}

/// A step and what it is judged against.
struct Case<'a> {
    document: &'a UserDocument,
    versions: &'a dyn Versions,
    now: UnixMs,
    event: &'a Event,
    asked: Asked<'a>,
    /// The state of its own flow that the record carries.
    recorded: &'a FlowStateDocument,
    /// The ledger's.
    known: Option<&'a FlowStateDocument>,
    standing: Standing<'a>,
}

impl Case<'_> {
    /// Whether whoever is asked for this state does not begin anew.
    fn is_known(&self, state: &FlowStateDocument) -> bool {
        find(self.document, state).is_some()
            || self
                .standing
                .comes_from_elsewhere(&state.flow, state.version)
    }

    /// Whether triggers of the step acted on flows that the ledger knows and
    /// that its edge, which could not ask, may have taken for new ones.
    fn touches_others_it_knew_nothing_of(&self) -> bool {
        let mut others = self
            .event
            .states
            .iter()
            .filter(|own| !self.asked.is_at(own));
        rests_on_an_assumption(self.event) && others.any(|own| self.is_known(own))
    }

    /// Takes the states of the record over.
    fn as_recorded(&self, is_current: bool) -> Verdict {
        let outcomes = self.event.outcomes.iter();
        let outcomes: Vec<_> = outcomes.map(|own| own.to_outcome()).collect();
        self.put(&self.event.states, &outcomes, is_current)
    }

    /// Carries over what the ledger has, unless the target is there already: no
    /// strategy acts twice.
    fn migrate_again(&self, refuted: &mut BTreeSet<String>) -> Verdict {
        if self.known.is_some() {
            return Verdict::Already;
        }
        let (flow, version) = (self.asked.flow, self.asked.version);
        match self.standing.made_again(flow, version) {
            Ok(state) => self.put(&[state], &[], false),
            Err(why)
                if self.standing.has_source(flow, version) || self.asked.conversation.is_some() =>
            {
                refute(refuted, self.event);
                Verdict::Superseded(why)
            }
            Err(why) => Verdict::Dead(why.to_owned()),
        }
    }

    /// Judges a step that was decided on something older.
    fn take_again(&self, refuted: &mut BTreeSet<String>) -> Verdict {
        let (asked, recorded) = (&self.asked, self.recorded);
        if self.known.is_none() && self.is_known(recorded) {
            // An edge that had seen it would have migrated first.
            refute(refuted, self.event);
            return Verdict::Superseded("a version before left something its edge had not seen");
        }
        if self.known.is_none() && self.goes_on_in_a_conversation() {
            refute(refuted, self.event);
            return Verdict::Superseded("its conversation has ended");
        }
        let generation = self.known.map_or(0, |state| state.generation);
        if generation > asked.generation {
            return Verdict::Superseded("the flow was reset since");
        }
        // What it triggered was applied together with it, and may have moved on.
        if self
            .known
            .is_some_and(|known| known.to_state() == recorded.to_state())
        {
            return Verdict::Already;
        }
        if generation < asked.generation {
            return Verdict::Dead(format!(
                "decided in generation {} (the ledger knows up to {generation})",
                asked.generation
            ));
        }
        match run_again(&self.standing, asked, self.event) {
            Again::To { states, outcomes } => {
                if rests_on_an_assumption(self.event) {
                    self.refute_others(refuted, &states);
                }
                self.put(&states, &outcomes, false)
            }
            Again::Nothing if self.known.is_none() => {
                // It is what other versions left that the step leads nowhere
                // from: its effect is not there, nor is what the edge builds
                // on it.
                refute(refuted, self.event);
                Verdict::Superseded("what the user left in other versions has moved on")
            }
            Again::Nothing => Verdict::Already,
            Again::Illegal(why) => Verdict::Dead(why),
        }
    }

    /// Whether the step builds on a state of a conversation: where there is
    /// none, the conversation has ended since. An intent on a flow that never
    /// began presupposes nothing.
    fn goes_on_in_a_conversation(&self) -> bool {
        let presupposes = match &self.event.operation {
            Operation::Transition { .. } | Operation::Migrate { .. } => true,
            Operation::Intent {
                intent: Intent::Stop | Intent::Finish,
                ..
            } => self.asked.generation > 0 || self.recorded.started,
            Operation::Intent { .. } | Operation::Start { .. } => self.asked.generation > 0,
            Operation::Membership
            | Operation::Identify { .. }
            | Operation::IdentifyGroup { .. } => false,
        };
        presupposes && self.asked.conversation.is_some()
    }

    /// What the edge goes on building on a state that came out otherwise
    /// builds on nothing.
    fn refute_others(&self, refuted: &mut BTreeSet<String>, states: &[FlowStateDocument]) {
        let differs = |own: &&FlowStateDocument| {
            let same_place = states.iter().find(|state| is_same(state, own));
            let stands = same_place.or_else(|| find(self.document, own));
            stands.is_none_or(|stands| stands.to_state() != own.to_state())
        };
        let others = self.event.states.iter().filter(differs);
        refuted.extend(others.map(place_of));
    }

    fn put(
        &self,
        states: &[FlowStateDocument],
        outcomes: &[LogicOutcome],
        as_recorded: bool,
    ) -> Verdict {
        let place = (self.document, self.versions, self.now);
        let id = self.event.id;
        apply(place, (states, outcomes), &self.asked, id, as_recorded)
    }
}

/// What an event id that was met before makes of a step, or a step before it
/// that was superseded.
fn met_before(
    document: &UserDocument,
    refuted: &mut BTreeSet<String>,
    asked: &Asked<'_>,
    event: &Event,
) -> Option<Verdict> {
    // What is made of a refuted state is as refuted.
    let source = match &event.operation {
        Operation::Migrate { flow, from, .. } => Some(place(flow, *from, asked.conversation)),
        _ => None,
    };
    let mut places = source.into_iter().chain([asked.place()]);
    let is_refuted = places.any(|place| refuted.contains(&place));
    match seen_before(document, asked, event.id) {
        Some(Seen::Same) => {
            // The step itself was taken before, but what the edge built on it
            // started from a user who had moved on.
            if rests_on_an_assumption(event) && !stands_as_recorded(document, event) {
                refute(refuted, event);
            }
            Some(Verdict::Already)
        }
        Some(Seen::OtherBody) if rests_on_an_assumption(event) || is_refuted => {
            // The edge could not know of the key.
            refute(refuted, event);
            Some(Verdict::Superseded(
                "its idempotency key was used before, unknown to the edge",
            ))
        }
        Some(Seen::OtherBody) => Some(Verdict::Dead(
            "its idempotency key was used for another step".to_owned(),
        )),
        None if is_refuted => {
            refute(refuted, event);
            Some(Verdict::Superseded(
                "it builds on a step that was superseded",
            ))
        }
        None => None,
    }
}

/// Whatever builds on a state of this record builds on nothing.
fn refute(refuted: &mut BTreeSet<String>, event: &Event) {
    refuted.extend(event.states.iter().map(place_of));
}

/// Names the place of a state.
pub(super) fn place_of(state: &FlowStateDocument) -> String {
    place(&state.flow, state.version, state.conversation.as_deref())
}

/// Names a state. The conversation stands last, because it alone may hold any
/// character.
fn place(flow: &str, version: u32, conversation: Option<&str>) -> String {
    format!("{flow}/{version}/{}", conversation.unwrap_or_default())
}

/// Whether the edge could not ask for the user's document.
pub(super) fn rests_on_an_assumption(event: &Event) -> bool {
    event.assumed != Assumption::Nothing || event.base == Base::Absent
}

/// What a record asks for, whatever its kind.
pub(super) struct Asked<'a> {
    pub(super) flow: &'a str,
    pub(super) version: u32,
    pub(super) conversation: Option<&'a str>,
    pub(super) generation: u32,
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
            }
            | Operation::Migrate {
                flow,
                version,
                generation,
                ..
            } => (flow, *version, *generation),
            Operation::Membership
            | Operation::Identify { .. }
            | Operation::IdentifyGroup { .. } => return None,
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

    fn place(&self) -> String {
        place(self.flow, self.version, self.conversation)
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

/// Whether two states stand in one place.
pub(super) fn is_same(one: &FlowStateDocument, other: &FlowStateDocument) -> bool {
    one.flow == other.flow && one.version == other.version && one.conversation == other.conversation
}

/// Puts states in their places and the event id into its ring; `outcomes` are
/// those of the run that led to the states.
fn apply(
    (document, versions, now): (&UserDocument, &dyn Versions, UnixMs),
    (states, outcomes): (&[FlowStateDocument], &[LogicOutcome]),
    asked: &Asked<'_>,
    id: Option<EventId>,
    as_recorded: bool,
) -> Verdict {
    let before = states_bytes(document);
    let mut document = document.clone();
    for state in states {
        let at = document.flows.iter().position(|own| is_same(own, state));
        let mut next = state.clone();
        // By our clock, because it is ours that ends conversations.
        next.touched_ms = Some(now);
        next.enrolled = enrolling::of_run(&document, state);
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
    let bytes = states_bytes(&document);
    if bytes > limits::USER_DOCUMENT_BYTES_MAX && bytes > before {
        return Verdict::Dead(format!(
            "the user's progress would have about {bytes} bytes (expected at most {})",
            limits::USER_DOCUMENT_BYTES_MAX
        ));
    }
    Verdict::Apply {
        document: Box::new(document),
        groups: Vec::new(),
        webhooks: effects::passed(asked.flow, asked.version, outcomes, versions),
        as_recorded,
    }
}

/// About how large the states of a document are, as its readers will see them.
fn states_bytes(document: &UserDocument) -> usize {
    let sizes = document.flows.iter().map(|own| {
        let names = own.blocks.iter().map(|block| block.taken.len());
        state_bytes(own.conversation.as_deref(), names)
    });
    sizes.sum()
}
