//! Which version is it about?
//!
//! A pin stands before the deployment's policy, and that before the tag. Only
//! what decides has to exist: a tag that nobody goes by may name anything.

use super::{Tag, Trace, VersionSource};
use crate::{
    evaluate::{Reason, receipt::Pin, subject::SubjectView},
    snapshot::{
        Deployment, Flow, VersionSlot,
        wire::{OnVersionChange, VersionPolicy},
    },
};

/// A version, or why there is none, with the number that was meant.
pub(super) type Chosen<'s> = (VersionSource, Result<&'s VersionSlot, (Reason, u32)>);

/// The version of a request.
pub(super) fn choose<'s, 'u, T: Trace<'s, 'u>>(
    flow: &'s Flow,
    deployment: Option<&Deployment>,
    subject: &SubjectView<'u>,
    tag: Tag,
    trace: &mut T,
) -> Chosen<'s> {
    let (source, tag) = match (pin(flow, deployment, subject), deployment) {
        (Some(pin), _) => {
            trace.pin(pin);
            (VersionSource::Pin, Tag::Number(pin.version))
        }
        (None, Some(deployment)) => match deployment.policy {
            VersionPolicy::Latest => (VersionSource::Policy, Tag::Latest),
            VersionPolicy::Pinned(number) => (VersionSource::Policy, Tag::Number(number)),
        },
        (None, None) => (VersionSource::Tag, tag),
    };
    let slot = match tag {
        Tag::Number(number) => flow.version(number).ok_or((Reason::UnknownVersion, number)),
        Tag::Latest => flow.latest().ok_or((Reason::EmptyVersion, 0)),
    };
    (source, slot)
}

/// What holds the subject to the version they began: a state of any kind, so
/// that finishing or resetting lets nobody slip into another one.
fn pin<'u>(
    flow: &Flow,
    deployment: Option<&Deployment>,
    subject: &SubjectView<'u>,
) -> Option<Pin<'u>> {
    let stays = match deployment.and_then(|deployment| deployment.on_version_change) {
        Some(OnVersionChange::Stay) => true,
        Some(OnVersionChange::Migrate) => false,
        None => subject.conversation.is_some(),
    };
    if !stays {
        return None;
    }
    let mut visited = subject.user.visited(flow.key, subject.conversation);
    let (version, _) = visited.next_back()?;
    Some(Pin {
        version,
        conversation: subject.conversation,
    })
}
