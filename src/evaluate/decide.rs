//! Which version does the subject see, and why?
//!
//! The order of a decision (key and environment are settled before): flow
//! known → version known → status → entry condition → state; a version that
//! does not exist is unknown in a disabled flow too. Allocates nothing; what
//! should be written (an automatic start) is returned, not done.

use std::{borrow::Cow, str::FromStr, sync::Arc};

use super::{
    Membership, Reason, state::FlowState, subject::SubjectView, transition::lost_its_place,
};
use crate::{
    clock::UnixMs,
    snapshot::{Deployment, Flow, Snapshot, Version},
};

/// How a request names a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Tag {
    /// A fixed version; 0 is the draft.
    Number(u32),
    /// The newest committed version.
    #[default]
    Latest,
}

/// The text was not a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a version number, uncommitted or latest")]
pub struct TagError;

impl FromStr for Tag {
    type Err = TagError;

    fn from_str(text: &str) -> Result<Self, TagError> {
        match text {
            "latest" => Ok(Self::Latest),
            "uncommitted" => Ok(Self::Number(0)),
            digits if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => {
                digits.parse().map(Self::Number).map_err(|_| TagError)
            }
            _ => Err(TagError),
        }
    }
}

/// What fixed the version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionSource {
    /// The request's tag.
    Tag,
    /// The deployment's version policy.
    Policy,
    /// The conversation (or, under `stay`, the user) has begun this version.
    Pin,
    /// The state shown was made from that of another version.
    Migration,
}

impl VersionSource {
    /// As it stands in answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tag => "tag",
            Self::Policy => "policy",
            Self::Pin => "pin",
            Self::Migration => "migration",
        }
    }
}

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
    /// None for `UnknownFlow`, `UnknownVersion`, `EmptyVersion`, `SetAside`.
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
    /// Blocks are active only when `reason` is `Started`.
    pub state: Option<Cow<'u, FlowState>>,
    /// Set when `state` is not stored yet.
    pub migrated: Option<Migrated>,
    /// The flow is enabled, and either the entry condition holds and it is not
    /// started, or an edit of the draft took away where the user stood: a
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
    let Ask { sid, tag, .. } = *ask;
    let unknown = Decision {
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
    let Some(flow) = snapshot.flows.get(sid).filter(|flow| sees(&flow.project)) else {
        return unknown;
    };
    let decision = Decision {
        flow: Some(flow),
        ..unknown
    };
    let slot = match tag {
        Tag::Number(number) => flow.version(number).ok_or((Reason::UnknownVersion, number)),
        Tag::Latest => flow.latest().ok_or((Reason::EmptyVersion, 0)),
    };
    let slot = match slot {
        Ok(slot) => slot,
        Err((reason, number)) => {
            return Decision {
                reason,
                number,
                ..decision
            };
        }
    };
    let decision = Decision {
        number: slot.number,
        ..decision
    };
    let Some(version) = &slot.version else {
        return Decision {
            reason: Reason::SetAside,
            ..decision
        };
    };
    let state = subject
        .user
        .state(flow.key, slot.number, subject.conversation);
    let started = state.filter(|state| state.started);
    let may_start = flow.enabled
        && match started {
            None => version.entry.holds(subject, now),
            Some(state) => lost_its_place(version, state),
        };
    let reason = match started {
        _ if !flow.enabled => Reason::Disabled,
        None => Reason::EntryCondition,
        Some(state) if state.finished => Reason::Finished,
        Some(state) if state.stopped => Reason::Stopped,
        Some(_) => Reason::Started,
    };
    Decision {
        reason,
        version: Some(version),
        served: match reason {
            Reason::Started | Reason::Finished | Reason::Stopped => true,
            Reason::EntryCondition => may_start,
            _ => false,
        },
        state: state.map(Cow::Borrowed),
        may_start,
        ..decision
    }
}
