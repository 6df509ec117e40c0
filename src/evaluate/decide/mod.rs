//! Which version does the subject see, and why?
//!
//! The order of a decision (key and environment are settled before): flow
//! known → deployment and pin → status → deployment and version there →
//! deployment active → record, audience, percentage → migration → entry
//! condition → state. A version that does not exist is unknown in a disabled
//! flow too, because that is a mistake of the request. Allocates
//! nothing, except where a state has to be made from another version's; what
//! should be written is returned, not done.

mod rollout;
mod tag;
#[cfg(test)]
mod tests;
mod trace;
mod version;

pub use tag::{Tag, TagError, VersionSource};
pub(super) use trace::Trace;

use std::{borrow::Cow, sync::Arc};

use super::{
    Membership, Reason, membership::deployed, migrate::made_for, state::FlowState,
    subject::SubjectView, transition::needs_repair,
};
use crate::{
    clock::UnixMs,
    snapshot::{Deployment, Flow, Snapshot, Version},
};

/// What is asked about one flow.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ask<'a> {
    /// The flow.
    pub sid: &'a str,
    /// Counts only where no deployment decides.
    pub tag: Tag,
    /// The channel of the request or of its key.
    pub channel: Option<&'a str>,
    /// The record under the key that [`super::enrolment`] names, if there is one.
    pub membership: Option<Membership>,
}

/// How a percentage decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Enrolled {
    /// In, or out.
    pub is_in: bool,
    /// Where the id falls: 0..10000.
    pub bucket: u16,
    /// The percentage it was judged at: that of the record if one counts, else
    /// the one in force.
    pub basis_points: u16,
    /// A record decided, not the hash.
    pub recorded: bool,
    /// What a caller that may save has to record now; none when nothing is to
    /// be remembered or the record stands.
    pub to_record: Option<Membership>,
}

/// A state that was made from that of another version, and is not stored yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Migrated {
    /// The version whose state it was made from.
    pub from: u32,
    /// Whether a caller that may save stores it now; otherwise it is stored
    /// with the first step that changes it.
    pub save: bool,
}

/// The answer for one flow. `'s` lives in the snapshot, `'u` in the subject.
#[derive(Clone, Debug)]
pub struct Decision<'s, 'u> {
    /// The step that fixed it.
    pub reason: Reason,
    /// None only for `UnknownFlow`.
    pub flow: Option<&'s Arc<Flow>>,
    /// None for `UnknownFlow`, `UnknownVersion`, `EmptyVersion`,
    /// `DeploymentRequired`, `SetAside`, and for `Disabled` in their place.
    pub version: Option<&'s Arc<Version>>,
    /// The resolved number; 0 for an empty flow.
    pub number: u32,
    /// What fixed the number.
    pub version_source: VersionSource,
    /// The deployment that decided.
    pub deployment: Option<&'s Arc<Deployment>>,
    /// What its percentage came to, if it was asked.
    pub enrolled: Option<Enrolled>,
    /// The subject gets something of the flow: it is running or over for them,
    /// or would start.
    pub served: bool,
    /// The stored state, or the one migration makes of another version's.
    /// Blocks are active only when `reason` is `Started`. It is here also when
    /// nothing is served: whoever is kept out gets to see none of it.
    pub state: Option<Cow<'u, FlowState>>,
    /// Set when `state` is not stored yet.
    pub migrated: Option<Migrated>,
    /// The flow is enabled, and either the entry condition holds and it is not
    /// started, or the state needs a step that nobody takes (`reconcile`): a
    /// caller that may save starts it now.
    pub may_start: bool,
}

/// Decides one flow for one subject. `sees` says whether the caller's key
/// sees a project; a flow of another project is unknown to it.
pub fn decide<'s, 'u>(
    snapshot: &'s Snapshot,
    subject: &SubjectView<'u>,
    ask: &Ask<'_>,
    sees: impl Fn(&str) -> bool,
    now: UnixMs,
) -> Decision<'s, 'u> {
    decide_traced(snapshot, subject, ask, sees, now, &mut ())
}

/// The same, reporting what it meets.
pub(super) fn decide_traced<'s, 'u, T: Trace<'s, 'u>>(
    snapshot: &'s Snapshot,
    subject: &SubjectView<'u>,
    ask: &Ask<'_>,
    sees: impl Fn(&str) -> bool,
    now: UnixMs,
    trace: &mut T,
) -> Decision<'s, 'u> {
    let mut decision = Decision {
        reason: Reason::UnknownFlow,
        flow: None,
        version: None,
        number: 0,
        version_source: VersionSource::Tag,
        deployment: None,
        enrolled: None,
        served: false,
        state: None,
        migrated: None,
        may_start: false,
    };
    let flow = snapshot.flows.get(ask.sid);
    let Some(flow) = flow.filter(|flow| sees(&flow.project)) else {
        return decision;
    };
    decision.flow = Some(flow);
    decision.deployment = deployed(snapshot, flow, ask.channel);
    let deployment = decision.deployment.map(|own| &**own);
    if deployment.is_none() && flow.deployments_only {
        decision.reason = unless_disabled(flow, Reason::DeploymentRequired);
        return decision;
    }
    let (source, slot) = version::choose(flow, deployment, subject, ask.tag, trace);
    decision.version_source = source;
    let slot = match slot {
        Ok(slot) => slot,
        Err((reason, number)) => {
            let reason = match reason {
                Reason::EmptyVersion => unless_disabled(flow, reason),
                _ => reason,
            };
            return Decision {
                reason,
                number,
                ..decision
            };
        }
    };
    decision.number = slot.number;
    let Some(version) = &slot.version else {
        decision.reason = Reason::SetAside;
        return decision;
    };
    decision.version = Some(version);
    let stored = subject
        .user
        .state(flow.key, slot.number, subject.conversation);
    decision.state = stored.map(Cow::Borrowed);
    if !flow.enabled {
        decision.reason = Reason::Disabled;
        return decision;
    }
    if deployment.is_some_and(|own| !own.active) {
        decision.reason = Reason::Inactive;
        return decision;
    }
    // The last step that lets the subject in is the reason of a flow that
    // would start.
    let mut by = Reason::EntryCondition;
    if source == VersionSource::Pin {
        by = Reason::Pinned;
    } else if let Some(deployment) = deployment {
        let admission = rollout::admit(deployment, subject, ask.membership, now, trace);
        decision.enrolled = admission.enrolled;
        by = admission.by;
        if !admission.is_in {
            decision.reason = by;
            return decision;
        }
    }
    if stored.is_none() {
        let made = made_for(flow, version, subject.user, subject.conversation, trace);
        if let Some((migrated, state)) = made {
            decision.version_source = VersionSource::Migration;
            decision.migrated = Some(migrated);
            decision.state = Some(Cow::Owned(state));
        }
    }
    enter(decision, version, by, subject, now, trace)
}

/// The reason of an empty flow: that it is disabled stands before that.
fn unless_disabled(flow: &Flow, reason: Reason) -> Reason {
    if flow.enabled {
        reason
    } else {
        Reason::Disabled
    }
}

/// The last steps: entry condition and state of a version that is served.
fn enter<'s, 'u, T: Trace<'s, 'u>>(
    mut decision: Decision<'s, 'u>,
    version: &'s Version,
    by: Reason,
    subject: &SubjectView<'u>,
    now: UnixMs,
    trace: &mut T,
) -> Decision<'s, 'u> {
    let begun = decision.state.as_deref().filter(|state| state.started);
    let (reason, may_start) = match begun {
        Some(state) if state.finished => (Reason::Finished, false),
        Some(state) if state.stopped => (Reason::Stopped, false),
        Some(state) => (Reason::Started, needs_repair(version, state)),
        None => {
            let holds = version.entry.holds(subject, now);
            trace.entry(&version.entry, holds);
            (if holds { by } else { Reason::EntryCondition }, holds)
        }
    };
    decision.served = begun.is_some() || may_start;
    decision.reason = reason;
    decision.may_start = may_start;
    decision
}
