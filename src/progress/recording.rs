//! What stands in the record of a decision?
//!
//! Pure construction: a decision and what it was based on become the [`Event`]
//! that goes to the journal and, unchanged, to the ledger.

use serde_json::Map;

use super::{
    deciding::Before,
    enrolling::KnownMembership,
    event::{
        Assumption, Base, Event, EventId, FlowStateDocument, Intent, Operation, OutcomeDocument,
    },
    known::{Known, base_of},
    request::{Action, EnrolRequest, GroupRequest, IdentifyRequest, Place, StepRequest},
    stepping::Progress,
};
use crate::{
    evaluate::{Effect, FlowState},
    snapshot::name_hash,
};

/// An automatic start, like what migration makes, has the same id on every
/// edge and for every duplicated mount, so that it happens once.
pub(super) fn event_id(request: &StepRequest<'_>, before: &FlowState) -> Option<EventId> {
    let what = match request.action {
        Action::AutoStart => format!("start\n{}", before.generation),
        Action::Migrate => "migrate".to_owned(),
        _ => return request.id,
    };
    let name = format!(
        "{}\n{}\n{}\n{}\n{}\n{what}",
        request.place.snapshot.environment_uid,
        request.user,
        request.conversation.unwrap_or(""),
        request.flow.uid,
        request.version.number,
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
        ..event(
            progress,
            &request.place,
            &request.user,
            request.now,
            based(progress, newest),
        )
    }
}

/// The record of a call for a group alone. Groups have no history that a
/// record could build on: properties merge in the order of arrival.
pub(super) fn group_event(progress: &Progress, request: &GroupRequest) -> Event {
    let operation = Operation::IdentifyGroup {
        group: request.group.clone(),
    };
    Event {
        operation,
        ..event(progress, &request.place, "", request.now, Base::Document(0))
    }
}

/// The record of a percentage decision without a step. It is based on what is
/// known of the decision, not of the user.
pub(super) fn membership_event(
    progress: &Progress,
    request: &EnrolRequest<'_>,
    newest: &KnownMembership,
) -> Event {
    let base = base_of(newest.last.as_ref(), newest.doc_rev);
    Event {
        group: request.group.map(ToOwned::to_owned),
        conversation: request.membership.conversation.clone(),
        operation: Operation::Membership,
        membership: Some(request.membership.clone()),
        ..event(progress, &request.place, request.user, request.now, base)
    }
}

/// What a record of this user is based on.
fn based(_progress: &Progress, newest: &Known) -> Base {
    #[cfg(test)]
    if _progress.flaw == Some(super::stepping::Flaw::ForgetOwnRecords) {
        return Base::Document(newest.doc_rev);
    }
    newest.base()
}

/// The members every record has.
fn event(progress: &Progress, place: &Place, user: &str, now: u64, base: Base) -> Event {
    Event {
        environment: owned(&place.snapshot.environment),
        environment_uid: owned(&place.snapshot.environment_uid),
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
        edge: owned(&progress.edge),
    }
}

/// A copy. `to_string` of a boxed text goes through its formatting, and a record
/// has ten such texts.
fn owned(text: &str) -> String {
    text.to_owned()
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
    before: &Before,
    effect: &Effect,
) -> Event {
    let outcomes = effect.outcomes.iter().map(OutcomeDocument::of);
    let conversation = request.conversation;
    let own = (&*request.flow.uid, request.version, &effect.state);
    let others = effect.others.iter();
    let others = others.map(|other| (&*other.version.flow_uid, &other.version, &other.state));
    let states = std::iter::once(own).chain(others);
    let states = states
        .map(|(flow, version, state)| FlowStateDocument::of(flow, version, conversation, state));
    Event {
        group: request.group.map(ToOwned::to_owned),
        conversation: conversation.map(ToOwned::to_owned),
        operation: operation(request, before, effect),
        outcomes: outcomes.collect(),
        states: states.collect(),
        id: event_id(request, &before.state),
        assumed: assumption(request, newest),
        ..event(
            progress,
            &request.place,
            request.user,
            request.now,
            based(progress, newest),
        )
    }
}

/// What was done.
fn operation(request: &StepRequest<'_>, before: &Before, effect: &Effect) -> Operation {
    let generation = before.state.generation;
    let version = request.version;
    let flow = owned(&request.flow.uid);
    let intent = |intent, force| Operation::Intent {
        flow: owned(&request.flow.uid),
        version: version.number,
        generation,
        intent,
        force,
        restarted: effect.state.started,
    };
    let start = |force| Operation::Start {
        flow: owned(&request.flow.uid),
        version: version.number,
        generation,
        force,
    };
    match &request.action {
        Action::AutoStart => start(false),
        Action::Migrate => Operation::Migrate {
            flow,
            version: version.number,
            generation: effect.state.generation,
            from: before.made.map_or(0, |made| made.from),
        },
        Action::Start { force } => start(*force),
        Action::Reset { force } => intent(Intent::Reset, *force),
        Action::Stop => intent(Intent::Stop, false),
        Action::Finish => intent(Intent::Finish, false),
        Action::Transition { block, names } => {
            let block = version.block(*block);
            let known = names.iter().filter_map(|name| block.transition(*name));
            Operation::Transition {
                flow,
                version: version.number,
                generation,
                block: owned(&block.uid),
                names: known.map(|transition| owned(transition.name())).collect(),
            }
        }
    }
}
