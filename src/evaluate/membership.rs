//! Who is in a rollout, and what is remembered of it?
//!
//! A [`Membership`] is one recorded percentage decision. [`enrolment`] says
//! under which key a subject's decision is looked up and kept, before anything
//! is decided: whoever decides reads the record first.

use std::{borrow::Cow, sync::Arc};

use super::{
    predicate::AskedId,
    subject::{SubjectView, can_name},
};
use crate::{
    limits::SUBJECT_ID_BYTES_MAX,
    snapshot::{Deployment, Flow, RolloutSource, Snapshot, wire::Remember},
};

/// A recorded percentage decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Membership {
    /// In, or out.
    pub is_in: bool,
    /// The percentage it was judged at; 0..=10000.
    pub basis_points: u16,
}

/// Under which key a subject's percentage decision is remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enrolment<'s, 'u> {
    /// Uid of the deployment.
    pub deployment: &'s str,
    /// The id that is hashed.
    pub id: Cow<'u, str>,
    /// Set when the decision stands for one conversation only.
    pub conversation: Option<&'u str>,
}

/// The deployment that decides for requests over this channel, if any.
pub fn deployment_of<'s>(
    snapshot: &'s Snapshot,
    sid: &str,
    channel: Option<&str>,
) -> Option<&'s Arc<Deployment>> {
    deployed(snapshot, snapshot.flows.get(sid)?, channel)
}

/// The same, when the flow is known.
pub(super) fn deployed<'s>(
    snapshot: &'s Snapshot,
    flow: &Flow,
    channel: Option<&str>,
) -> Option<&'s Arc<Deployment>> {
    snapshot.channels.get(channel?)?.by_flow.get(&flow.key)
}

/// The key of the record that counts for this subject; none where nothing is
/// remembered or the id is missing.
pub fn enrolment<'s, 'u>(
    deployment: &'s Deployment,
    subject: &SubjectView<'u>,
) -> Option<Enrolment<'s, 'u>> {
    if deployment.remember == Remember::Nothing {
        return None;
    }
    Some(Enrolment {
        deployment: &deployment.uid,
        id: rollout_id(deployment, subject)?.into_text(),
        conversation: remembered_for(deployment, subject),
    })
}

/// The conversation that a decision is remembered for, if for one.
pub(super) fn remembered_for<'u>(
    deployment: &Deployment,
    subject: &SubjectView<'u>,
) -> Option<&'u str> {
    match deployment.remember {
        Remember::Conversation => subject.conversation,
        Remember::User | Remember::Nothing => None,
    }
}

/// The id a deployment's percentage goes by; none when it is missing. What no
/// subject could be called (an empty or very long text, control characters) is
/// no id either: a record is filed under it.
pub(super) fn rollout_id<'u>(
    deployment: &Deployment,
    subject: &SubjectView<'u>,
) -> Option<AskedId<'u>> {
    let id = match &deployment.id {
        RolloutSource::User => AskedId::Text(&subject.user.profile.identifier),
        RolloutSource::Group => AskedId::Text(&subject.group?.identifier),
        RolloutSource::Attribute(asked) => match asked.id_of(subject)? {
            // Identifiers were looked at when they came in.
            AskedId::Text(text) if !can_name(text) => return None,
            id => id,
        },
    };
    match id {
        AskedId::Text(text) if text.is_empty() || text.len() > SUBJECT_ID_BYTES_MAX => None,
        id => Some(id),
    }
}
