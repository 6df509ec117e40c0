//! Who is in a rollout, and what is remembered of it?
//!
//! A [`Membership`] is one recorded percentage decision. [`enrolment`] says
//! under which key a subject's decision is looked up and kept, before anything
//! is decided: whoever decides reads the record first.

use std::borrow::Cow;

use super::subject::SubjectView;
use crate::snapshot::{Deployment, Snapshot};

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
) -> Option<&'s std::sync::Arc<Deployment>> {
    let flow = snapshot.flows.get(sid)?;
    snapshot.channels.get(channel?)?.by_flow.get(&flow.key)
}

/// The key of the record that counts for this subject; none where nothing is
/// remembered or the id is missing.
pub fn enrolment<'s, 'u>(
    deployment: &'s Deployment,
    subject: &SubjectView<'u>,
) -> Option<Enrolment<'s, 'u>> {
    use crate::snapshot::{RolloutSource, wire::Remember};
    let id = match &deployment.id {
        RolloutSource::User => Cow::Borrowed(&*subject.user.profile.identifier),
        RolloutSource::Group => Cow::Borrowed(&*subject.group?.identifier),
        RolloutSource::Attribute(_) => return None,
    };
    let conversation = match deployment.remember {
        Remember::Conversation => subject.conversation,
        Remember::User => None,
        Remember::Nothing => return None,
    };
    Some(Enrolment {
        deployment: &deployment.uid,
        id,
        conversation,
    })
}
