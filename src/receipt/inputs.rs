//! What was a decision made of?
//!
//! Everything [`crate::evaluate::explain`] reads besides the snapshot, in names
//! that people know and that outlive the process. What a receipt says is
//! computed from this form, never from what lay in memory, so that whoever has
//! the file and the snapshot comes to the same end.

use std::{str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::names;
use crate::{
    clock::UnixMs,
    evaluate::{Ask, Membership, Profile, Subject, SubjectView, Tag},
    progress::event::FlowStateDocument,
    snapshot::{Flow, FlowKey, Revision, Snapshot},
};

/// Raised when a member changes its meaning.
pub(crate) const FORMAT: u32 = 1;

/// Everything needed to decide again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Inputs {
    /// [`FORMAT`].
    pub(crate) format: u32,
    /// Environment name.
    pub(crate) environment: String,
    /// Environment uid.
    pub(crate) environment_uid: String,
    /// Revision of the snapshot, `epoch.N`.
    pub(crate) revision: String,
    /// The flow's sid.
    pub(crate) flow: String,
    /// `latest`, `uncommitted` or a number, as text.
    pub(crate) tag: String,
    /// The channel of the request or of its key.
    pub(crate) channel: Option<String>,
    /// Projects the key sees; empty means all.
    pub(crate) projects: Vec<String>,
    /// The time of the decision.
    pub(crate) now_ms: UnixMs,
    /// Upstream could not be asked: what is stored may be more than this.
    pub(crate) assumed: bool,
    /// The user as stored.
    pub(crate) subject: ProfileDocument,
    /// The group the request names, as stored.
    pub(crate) group: Option<ProfileDocument>,
    /// Attributes of the request, over the user's properties.
    pub(crate) attributes: Option<Map<String, Value>>,
    /// The conversation the request names.
    pub(crate) conversation: Option<String>,
    /// Every stored state of this flow.
    pub(crate) states: Vec<FlowStateDocument>,
    /// The recorded percentage decision under the subject's key.
    pub(crate) membership: Option<MembershipInput>,
}

/// A user or group as stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProfileDocument {
    /// Id.
    pub(crate) identifier: String,
    /// First seen.
    pub(crate) created_ms: Option<UnixMs>,
    /// Identified last.
    pub(crate) updated_ms: Option<UnixMs>,
    /// Merged properties.
    pub(crate) properties: Map<String, Value>,
}

/// A recorded percentage decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MembershipInput {
    /// In, or out.
    #[serde(rename = "in")]
    pub(crate) is_in: bool,
    /// The percentage it was judged at; 0..=10000.
    pub(crate) basis_points: u16,
}

/// What a request asks to be explained, before the snapshot is looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question<'a> {
    /// The flow and how its version is named; the membership in it is what is
    /// recorded.
    pub(crate) ask: Ask<'a>,
    /// Projects the key sees; empty means all.
    pub(crate) projects: &'a [Box<str>],
    /// The time of the decision.
    pub(crate) now: UnixMs,
    /// Upstream could not be asked.
    pub(crate) assumed: bool,
}

impl Inputs {
    /// The inputs of this question about this subject.
    pub(crate) fn of(snapshot: &Snapshot, view: &SubjectView<'_>, question: &Question<'_>) -> Self {
        let ask = &question.ask;
        // Of a flow that the key does not see nothing is told.
        let sees = |flow: &&Arc<Flow>| {
            let mut projects = question.projects.iter();
            question.projects.is_empty() || projects.any(|own| *own == flow.project)
        };
        let flow = snapshot.flows.get(ask.sid).filter(sees);
        Self {
            format: FORMAT,
            environment: snapshot.environment.to_string(),
            environment_uid: snapshot.environment_uid.to_string(),
            revision: snapshot.revision.to_string(),
            flow: ask.sid.to_owned(),
            tag: tag_text(ask.tag),
            channel: ask.channel.map(ToOwned::to_owned),
            projects: question.projects.iter().map(ToString::to_string).collect(),
            now_ms: question.now,
            assumed: question.assumed,
            subject: ProfileDocument::of(&view.user.profile),
            group: view.group.map(ProfileDocument::of),
            attributes: view.attributes.cloned(),
            conversation: view.conversation.map(ToOwned::to_owned),
            states: flow.map_or_else(Vec::new, |flow| names::documents(flow, view.user)),
            membership: ask.membership.map(|record| MembershipInput {
                is_in: record.is_in,
                basis_points: record.basis_points,
            }),
        }
    }

    /// The user with the states of this flow.
    pub(crate) fn user(&self, flow: Option<&Flow>) -> Result<Subject, InputsError> {
        let mut user = Subject {
            profile: Arc::new(self.subject.to_profile()),
            flows: Vec::new(),
        };
        for document in &self.states {
            if let Some(flow) = flow.filter(|flow| *flow.uid != *document.flow) {
                return Err(InputsError::State {
                    found: document.flow.clone(),
                    expected: flow.uid.to_string(),
                });
            }
            user.set_state(
                FlowKey::of(&document.flow),
                document.version,
                document.conversation.as_deref(),
                names::state(document),
            );
        }
        Ok(user)
    }

    /// The revision of the snapshot that is needed.
    pub(crate) fn revision(&self) -> Result<Revision, InputsError> {
        self.revision.parse().map_err(|_| InputsError::Revision {
            found: self.revision.clone(),
        })
    }

    pub(crate) fn tag(&self) -> Result<Tag, InputsError> {
        Tag::from_str(&self.tag).map_err(|_| InputsError::Tag {
            found: self.tag.clone(),
        })
    }

    pub(crate) fn record(&self) -> Option<Membership> {
        self.membership.map(|record| Membership {
            is_in: record.is_in,
            basis_points: record.basis_points,
        })
    }
}

impl ProfileDocument {
    fn of(profile: &Profile) -> Self {
        Self {
            identifier: profile.identifier.to_string(),
            created_ms: profile.created_ms,
            updated_ms: profile.updated_ms,
            properties: profile.properties.clone(),
        }
    }

    pub(crate) fn to_profile(&self) -> Profile {
        Profile {
            identifier: self.identifier.as_str().into(),
            created_ms: self.created_ms,
            updated_ms: self.updated_ms,
            properties: self.properties.clone(),
        }
    }
}

/// Why nothing can be computed from inputs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InputsError {
    /// Written by another version of the program.
    #[error("the inputs have format {found}, format {FORMAT} is expected")]
    Format {
        /// Its format.
        found: u32,
    },
    /// Not `epoch.N`.
    #[error("the inputs name revision {found:?}, a revision such as 0.17 is expected")]
    Revision {
        /// As written.
        found: String,
    },
    /// Not a tag.
    #[error("the inputs name the tag {found:?}, a number, latest or uncommitted is expected")]
    Tag {
        /// As written.
        found: String,
    },
    /// Another snapshot.
    #[error("the inputs are of {what} {expected:?}, and the snapshot is of {found:?}")]
    Snapshot {
        /// Environment, its uid or revision.
        what: &'static str,
        /// Of the snapshot.
        found: String,
        /// Of the inputs.
        expected: String,
    },
    /// A state of another flow.
    #[error(
        "the inputs hold a state of flow uid {found:?}, only those of {expected:?} are expected"
    )]
    State {
        /// Its flow's uid.
        found: String,
        /// The flow's uid.
        expected: String,
    },
    /// What was read is no longer what was written.
    #[error("the inputs cannot be written as JSON: {0}")]
    Json(String),
}

pub(crate) fn tag_text(tag: Tag) -> String {
    match tag {
        Tag::Latest => "latest".to_owned(),
        Tag::Number(0) => "uncommitted".to_owned(),
        Tag::Number(number) => number.to_string(),
    }
}
