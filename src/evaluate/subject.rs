//! For whom is a decision made?
//!
//! A [`Subject`] is what is stored about a user; a [`SubjectView`] is what one
//! request looks at: the user, the group it names and the attributes it
//! carries. Both are plain data; where they come from is `progress`'s matter.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::state::{FlowProgress, FlowState};
use crate::{clock::UnixMs, snapshot::FlowKey};

/// Whether a text of fitting length can be an id: ids travel on as a segment
/// of a path, where no url can carry `.` and `..`, and nobody would see a
/// control character in a log or a listing. An id that upstream could not be
/// asked about would look like an upstream that is away, to everybody.
pub(crate) fn can_name(text: &str) -> bool {
    !matches!(text, "." | "..") && !text.chars().any(char::is_control)
}

/// Stored facts about a user or a group.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Profile {
    /// As the application calls it.
    pub identifier: Box<str>,
    /// First seen; none when only assumed (upstream away).
    pub created_ms: Option<UnixMs>,
    /// Last identify.
    pub updated_ms: Option<UnixMs>,
    /// Merged properties.
    pub properties: Map<String, Value>,
}

/// A user with all progress.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Subject {
    /// Who. Shared, because every step makes a new `Subject` and few change
    /// the properties.
    pub profile: Arc<Profile>,
    /// Sorted by (flow, version, conversation).
    pub flows: Vec<FlowProgress>,
}

impl Subject {
    /// A user nobody has seen yet.
    pub fn unseen(identifier: &str) -> Self {
        Self {
            profile: Arc::new(Profile {
                identifier: identifier.into(),
                ..Profile::default()
            }),
            flows: Vec::new(),
        }
    }

    /// Whether nothing was ever stored about them: no step, no property, no
    /// first time they were seen.
    pub fn is_new(&self) -> bool {
        self.flows.is_empty() && self.profile.created_ms.is_none()
    }

    /// The stored state, if this version was ever visited.
    pub fn state(
        &self,
        flow: FlowKey,
        version: u32,
        conversation: Option<&str>,
    ) -> Option<&FlowState> {
        let at = self.position(flow, version, conversation).ok()?;
        Some(&self.flows[at].state)
    }

    /// The states in versions of one flow, those of one conversation or those
    /// of none, ascending by version.
    pub fn visited<'u>(
        &'u self,
        flow: FlowKey,
        conversation: Option<&str>,
    ) -> impl DoubleEndedIterator<Item = (u32, &'u FlowState)> + Clone {
        let begin = self.flows.partition_point(|own| own.flow < flow);
        let of_flow = self.flows[begin..].partition_point(|own| own.flow == flow);
        self.flows[begin..begin + of_flow]
            .iter()
            .filter(move |own| own.conversation.as_deref() == conversation)
            .map(|own| (own.version, &own.state))
    }

    /// Stores a state in its place.
    pub fn set_state(
        &mut self,
        flow: FlowKey,
        version: u32,
        conversation: Option<&str>,
        state: FlowState,
    ) {
        match self.position(flow, version, conversation) {
            Ok(at) => self.flows[at].state = state,
            Err(at) => self.flows.insert(
                at,
                FlowProgress {
                    flow,
                    version,
                    conversation: conversation.map(Into::into),
                    state,
                },
            ),
        }
    }

    fn position(
        &self,
        flow: FlowKey,
        version: u32,
        conversation: Option<&str>,
    ) -> Result<usize, usize> {
        self.flows.binary_search_by(|p| {
            (p.flow, p.version, p.conversation.as_deref()).cmp(&(flow, version, conversation))
        })
    }
}

/// What one request looks at.
#[derive(Clone, Copy, Debug)]
pub struct SubjectView<'a> {
    /// The user.
    pub user: &'a Subject,
    /// The group the request names; without one `group.*` is null.
    pub group: Option<&'a Profile>,
    /// Request attributes (only from `server` keys), laid over the user's properties.
    pub attributes: Option<&'a Map<String, Value>>,
    /// The conversation the request names.
    pub conversation: Option<&'a str>,
}
