//! What stands in the record of a decision?
//!
//! Pure construction: a decision and what it was based on become the [`Event`]
//! that goes to the journal and, unchanged, to the ledger.

use serde_json::Map;

#[cfg(test)]
use super::event::Base;
use super::{
    event::{Assumption, Event, EventId, FlowStateDocument, Intent, Operation, OutcomeDocument},
    known::Known,
    request::{Action, IdentifyRequest, Place, StepRequest},
    stepping::Progress,
};
use crate::{
    evaluate::{Effect, FlowState},
    snapshot::name_hash,
};

/// An automatic start has the same id on every edge and for every duplicated
/// mount, so that it happens once.
pub(super) fn event_id(request: &StepRequest<'_>, before: &FlowState) -> Option<EventId> {
    if !matches!(request.action, Action::AutoStart) {
        return request.id;
    }
    let name = format!(
        "{}\n{}\n{}\n{}\n{}\nstart\n{}",
        request.place.snapshot.environment_uid,
        request.user,
        request.conversation.unwrap_or(""),
        request.flow.uid,
        request.version.number,
        before.generation
    );
    Some(EventId {
        key: name_hash(&name),
        body: 0,
    })
}

/// The record of an identify call.
pub(super) fn identify_event(
    progress: &Progress,
    request: &IdentifyRequest,
    newest: &Known,
) -> Event {
    let assumed = if newest.assumed {
        Assumption::Rest
    } else {
        Assumption::Nothing
    };
    Event {
        operation: Operation::Identify {
            properties: request.properties.clone(),
            groups: request.groups.clone(),
        },
        id: request.id,
        assumed,
        ..event(progress, &request.place, &request.user, request.now, newest)
    }
}

/// The members every record has.
fn event(progress: &Progress, place: &Place, user: &str, now: u64, newest: &Known) -> Event {
    let base = newest.base();
    #[cfg(test)]
    let base = match progress.flaw {
        Some(super::stepping::Flaw::ForgetOwnRecords) => Base::Document(newest.doc_rev),
        _ => base,
    };
    Event {
        environment: place.snapshot.environment.to_string(),
        environment_uid: place.snapshot.environment_uid.to_string(),
        user: user.to_owned(),
        group: None,
        conversation: None,
        revision: place.snapshot.revision.to_string(),
        decided_ms: now,
        operation: Operation::Identify {
            properties: Map::new(),
            groups: Vec::new(),
        },
        outcomes: Vec::new(),
        base,
        assumed: Assumption::Nothing,
        membership: None,
        states: Vec::new(),
        id: None,
        edge: progress.edge.to_string(),
    }
}

/// What this user's record about this flow takes for granted.
fn assumption(request: &StepRequest<'_>, newest: &Known) -> Assumption {
    if !newest.assumed {
        return Assumption::Nothing;
    }
    let (flow, version) = (request.flow.key, request.version.number);
    match newest.subject.state(flow, version, request.conversation) {
        None => Assumption::Unvisited,
        Some(_) => Assumption::Rest,
    }
}

/// The record of a step.
pub(super) fn step_event(
    progress: &Progress,
    request: &StepRequest<'_>,
    newest: &Known,
    before: &FlowState,
    effect: &Effect,
    id: Option<EventId>,
) -> Event {
    let version = request.version;
    let flow = request.flow.uid.to_string();
    let intent = |intent, force| Operation::Intent {
        flow: request.flow.uid.to_string(),
        version: version.number,
        generation: before.generation,
        intent,
        force,
        restarted: effect.state.started,
    };
    let start = |force| Operation::Start {
        flow: request.flow.uid.to_string(),
        version: version.number,
        generation: before.generation,
        force,
    };
    let operation = match &request.action {
        Action::AutoStart => start(false),
        Action::Migrate => Operation::Migrate {
            flow: flow.clone(),
            version: version.number,
            generation: effect.state.generation,
            from: 0,
        },
        Action::Start { force } => start(*force),
        Action::Reset { force } => intent(Intent::Reset, *force),
        Action::Stop => intent(Intent::Stop, false),
        Action::Finish => intent(Intent::Finish, false),
        Action::Transition { block, names } => {
            let block = version.block(*block);
            let known = names.iter().filter_map(|name| block.transition(*name));
            Operation::Transition {
                flow: flow.clone(),
                version: version.number,
                generation: before.generation,
                block: block.uid.to_string(),
                names: known
                    .map(|transition| transition.name.to_string())
                    .collect(),
            }
        }
    };
    let outcomes = effect.outcomes.iter().map(OutcomeDocument::of);
    Event {
        group: request.group.map(ToOwned::to_owned),
        conversation: request.conversation.map(ToOwned::to_owned),
        operation,
        outcomes: outcomes.collect(),
        states: vec![FlowStateDocument::of(
            &flow,
            version,
            request.conversation,
            &effect.state,
        )],
        id,
        assumed: assumption(request, newest),
        ..event(progress, &request.place, request.user, request.now, newest)
    }
}
