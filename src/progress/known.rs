//! What does this edge know of a user, and on what does it rest?
//!
//! One immutable value per user and moment: the subject, the ledger revision
//! it came from, and the last record of ours that went into it. Every step
//! makes a new one.

use std::sync::Arc;

use super::event::{Base, EventId, FlowStateDocument, GroupRecord, UserDocument};
use crate::{
    evaluate::{FlowProgress, FlowState, Profile, Subject},
    limits::EVENT_RING,
    snapshot::FlowKey,
};

/// Where the ids of identify calls stand, which are about no flow.
pub(super) const IDENTIFY: FlowKey = FlowKey(0);

/// A user as this edge knows it.
#[derive(Clone, Debug)]
pub(super) struct Known {
    /// For evaluation.
    pub(super) subject: Arc<Subject>,
    /// The ledger's revision this started from; 0 for a new user.
    pub(super) doc_rev: u64,
    /// Upstream could not be asked: treated as new.
    pub(super) assumed: bool,
    /// The last record of a journal of ours that went into it, unless the
    /// ledger is known to have it.
    pub(super) last: Option<(Arc<str>, u64)>,
    /// The last record of any journal that the ledger's document includes.
    pub(super) taken: Option<(Arc<str>, u64)>,
    /// Ids of the last events by flow, oldest first.
    pub(super) recent: Arc<[(FlowKey, EventId)]>,
}

impl Known {
    /// A user nobody has seen, or (`assumed`) nobody could be asked about.
    pub(super) fn unseen(user: &str, assumed: bool) -> Self {
        Self {
            subject: Arc::new(Subject::unseen(user)),
            doc_rev: 0,
            assumed,
            last: None,
            taken: None,
            recent: Arc::default(),
        }
    }

    /// The ledger's document in compact form.
    pub(super) fn of(document: &UserDocument) -> Self {
        let mut flows: Vec<FlowProgress> = document
            .flows
            .iter()
            .map(|flow| FlowProgress {
                flow: FlowKey::of(&flow.flow),
                version: flow.version,
                conversation: flow.conversation.as_deref().map(Into::into),
                state: flow.to_state(),
            })
            .collect();
        flows.sort_by(|a, b| {
            (a.flow, a.version, &a.conversation).cmp(&(b.flow, b.version, &b.conversation))
        });
        let recent = document.flows.iter().flat_map(|flow| {
            let key = FlowKey::of(&flow.flow);
            flow.recent.iter().map(move |id| (key, *id))
        });
        let identified = document.recent.iter().map(|id| (IDENTIFY, *id));
        Self {
            recent: recent.chain(identified).collect(),
            subject: Arc::new(Subject {
                profile: Arc::new(Profile {
                    identifier: document.identifier.as_str().into(),
                    created_ms: document.created_ms,
                    updated_ms: document.updated_ms,
                    properties: document.properties.clone(),
                }),
                flows,
            }),
            doc_rev: document.doc_rev,
            assumed: false,
            last: None,
            taken: document
                .last
                .as_ref()
                .map(|(journal, seq)| (journal.as_str().into(), *seq)),
        }
    }

    /// What a new record for this user is based on.
    pub(super) fn base(&self) -> Base {
        match &self.last {
            Some((journal, seq)) => Base::Record {
                journal: journal.to_string(),
                seq: *seq,
            },
            None if self.assumed => Base::Absent,
            None => Base::Document(self.doc_rev),
        }
    }

    /// The body hash under which this event id was seen before for this flow.
    pub(super) fn seen(&self, flow: FlowKey, key: u64) -> Option<u32> {
        let seen = |(at, id): &&(FlowKey, EventId)| *at == flow && id.key == key;
        self.recent.iter().find(seen).map(|(_, id)| id.body)
    }

    /// The same user after a record of ours.
    pub(super) fn after(
        &self,
        subject: Subject,
        flow: FlowKey,
        id: Option<EventId>,
        last: (Arc<str>, u64),
    ) -> Self {
        let recent = match id {
            None => self.recent.clone(),
            Some(id) => {
                let mut ring = self.recent.to_vec();
                ring.push((flow, id));
                let own = ring.iter().filter(|(at, _)| *at == flow).count();
                if own > EVENT_RING
                    && let Some(oldest) = ring.iter().position(|(at, _)| *at == flow)
                {
                    ring.remove(oldest);
                }
                ring.into()
            }
        };
        Self {
            subject: Arc::new(subject),
            doc_rev: self.doc_rev,
            assumed: self.assumed,
            last: Some(last),
            taken: self.taken.clone(),
            recent,
        }
    }

    /// Lays a recorded state over this user, as recovery does.
    pub(super) fn lay(subject: &mut Subject, document: &FlowStateDocument) {
        let state: FlowState = document.to_state();
        subject.set_state(
            FlowKey::of(&document.flow),
            document.version,
            document.conversation.as_deref(),
            state,
        );
    }
}

/// A group's record in the form evaluation reads.
pub(super) fn profile_of(record: GroupRecord) -> Profile {
    Profile {
        identifier: record.identifier.into(),
        created_ms: record.created_ms,
        updated_ms: record.updated_ms,
        properties: record.properties,
    }
}
