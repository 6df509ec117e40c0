//! Who is in a rollout, and what is remembered of it?
//!
//! A [`Membership`] is one recorded percentage decision. [`enrolment`] says
//! under which key a subject's decision is looked up and kept, before anything
//! is decided: whoever decides reads the record first.

use std::{borrow::Cow, sync::Arc};

use serde_json::{Number, Value};

use super::subject::{SubjectView, can_name};
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

/// An id as a percentage hashes it.
#[derive(Clone, Copy, Debug)]
pub(super) enum RolloutText<'u> {
    Text(&'u str),
    /// Hashed as decimal digits.
    Whole(i128),
}

impl<'u> RolloutText<'u> {
    /// The text that is hashed.
    pub(super) fn text<'b>(self, digits: &'b mut itoa::Buffer) -> &'b str
    where
        'u: 'b,
    {
        match self {
            Self::Text(text) => text,
            Self::Whole(number) => digits.format(number),
        }
    }

    /// The text, to be kept.
    pub(super) fn into_text(self) -> Cow<'u, str> {
        match self {
            Self::Text(text) => Cow::Borrowed(text),
            Self::Whole(number) => Cow::Owned(number.to_string()),
        }
    }
}

/// The id a deployment's percentage goes by; none when it is missing. What no
/// subject could be called (an empty or very long text, control characters) is
/// no id either: a record is filed under it.
pub(super) fn rollout_id<'u>(
    deployment: &Deployment,
    subject: &SubjectView<'u>,
) -> Option<RolloutText<'u>> {
    let text = |text| RolloutText::Text(text);
    let id = match &deployment.id {
        RolloutSource::User => text(&*subject.user.profile.identifier),
        RolloutSource::Group => text(&*subject.group?.identifier),
        RolloutSource::Attribute(name) => match &**name {
            "user.identifier" => text(&*subject.user.profile.identifier),
            "group.identifier" => text(&*subject.group?.identifier),
            name => match attribute(name, subject)? {
                // Identifiers were looked at when they came in.
                Value::String(own) if can_name(own) => text(own),
                Value::Number(own) => RolloutText::Whole(whole(own)?),
                _ => return None,
            },
        },
    };
    match id {
        RolloutText::Text(text) if text.is_empty() || text.len() > SUBJECT_ID_BYTES_MAX => None,
        id => Some(id),
    }
}

/// A property as rules find it: of the group when it says so, else of the
/// request and then of the user.
fn attribute<'u>(name: &str, subject: &SubjectView<'u>) -> Option<&'u Value> {
    if let Some(name) = name.strip_prefix("group.") {
        return subject.group?.properties.get(name);
    }
    let of_request = subject.attributes.and_then(|own| own.get(name));
    of_request.or_else(|| subject.user.profile.properties.get(name))
}

/// A whole number. `42.0` is one: some languages write every number so.
fn whole(number: &Number) -> Option<i128> {
    /// Beyond it neighbouring whole numbers have the same float.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let exact = number.as_i64().map(i128::from);
    exact
        .or_else(|| number.as_u64().map(i128::from))
        .or_else(|| {
            let float = number.as_f64()?;
            (float.fract() == 0.0 && float.abs() < EXACT).then_some(float as i128)
        })
}
