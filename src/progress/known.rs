//! What does this edge know of a user, and on what does it rest?
//!
//! One immutable value per user and moment: the subject, the ledger revision
//! it came from, and the last record of ours that went into it. Every record
//! makes a new one.

use std::sync::Arc;

use moka::sync::Cache;
use serde_json::{Map, Value};

use super::{
    event::{Base, Event, EventId, FlowStateDocument, GroupRecord, Operation, UserDocument},
    keys::Name,
    pending::{Pending, RecoveredRecord},
    stepping::Memory,
    subjects::{Below, Cached, Kept, Subjects},
};
use crate::{
    clock::UnixMs,
    evaluate::{FlowState, Profile, Subject},
    limits::{EVENT_RING, PROPERTIES_BYTES_MAX, PROPERTIES_MAX},
    snapshot::{FlowKey, name_hash},
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
    /// Records of ours lie over a document that is newer than the one they
    /// were decided on: of what it includes they may hide something.
    pub(super) is_covered: bool,
    /// Ids of the last events by place, oldest first.
    pub(super) recent: Arc<[(Place, EventId)]>,
    /// Groups the user belongs to.
    pub(super) groups: Arc<[Box<str>]>,
}

/// Where events are counted: the ledger keeps a ring of ids for each of these,
/// so we forget an id no sooner than it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    flow: FlowKey,
    version: u32,
    /// Hash of the conversation; 0 without one.
    conversation: u64,
}

impl Place {
    /// Of a flow's state.
    pub(super) fn new(flow: FlowKey, version: u32, conversation: Option<&str>) -> Self {
        Self {
            flow,
            version,
            conversation: conversation.map_or(0, name_hash),
        }
    }

    /// Of identify calls, which are about no flow.
    pub(super) fn identify() -> Self {
        Self::new(IDENTIFY, 0, None)
    }

    fn of(state: &FlowStateDocument) -> Self {
        let flow = FlowKey::of(&state.flow);
        Self::new(flow, state.version, state.conversation.as_deref())
    }
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
            is_covered: false,
            recent: Arc::default(),
            groups: Arc::default(),
        }
    }

    /// The ledger's document in compact form.
    pub(super) fn of(document: &UserDocument) -> Self {
        let recent = document.flows.iter().flat_map(|flow| {
            let place = Place::of(flow);
            flow.recent.iter().map(move |id| (place, *id))
        });
        let identified = document.recent.iter();
        let identified = identified.map(|id| (Place::identify(), *id));
        Self {
            recent: recent.chain(identified).collect(),
            subject: Arc::new(document.to_subject()),
            doc_rev: document.doc_rev,
            assumed: false,
            last: None,
            taken: document
                .last
                .as_ref()
                .map(|(journal, seq)| (journal.as_str().into(), *seq)),
            is_covered: false,
            groups: document.groups.iter().map(|g| g.as_str().into()).collect(),
        }
    }

    /// What a new record for this user is based on.
    pub(super) fn base(&self) -> Base {
        match &self.last {
            None if self.assumed => Base::Absent,
            last => base_of(last.as_ref(), self.doc_rev),
        }
    }

    /// The body hash under which this event id was seen before for this flow,
    /// in whatever version or conversation.
    pub(super) fn seen(&self, flow: FlowKey, key: u64) -> Option<u32> {
        let seen = |(at, id): &&(Place, EventId)| at.flow == flow && id.key == key;
        self.recent.iter().find(seen).map(|(_, id)| id.body)
    }

    /// The same user after a record of ours.
    pub(super) fn after(&self, subject: Subject, last: (Arc<str>, u64)) -> Self {
        Self {
            subject: Arc::new(subject),
            last: Some(last),
            ..self.clone()
        }
    }

    /// Notes that this event was taken there.
    pub(super) fn note(&mut self, place: Place, id: EventId) {
        let mut ring = self.recent.to_vec();
        ring.push((place, id));
        let own = ring.iter().filter(|(at, _)| *at == place).count();
        if own > EVENT_RING
            && let Some(oldest) = ring.iter().position(|(at, _)| *at == place)
        {
            ring.remove(oldest);
        }
        self.recent = ring.into();
    }

    /// Notes that the user belongs to these groups. Returns how many there are.
    pub(super) fn join<'g>(&mut self, groups: impl Iterator<Item = &'g str>) -> usize {
        let mut joined = self.groups.to_vec();
        for group in groups {
            if !joined.iter().any(|own| **own == *group) {
                joined.push(group.into());
            }
        }
        if joined.len() > self.groups.len() {
            self.groups = joined.into();
        }
        self.groups.len()
    }

    /// First seen with this record, unless seen before. Of a user who is only
    /// assumed to be new nobody can say.
    pub(super) fn first_seen(&self, subject: &mut Subject, when: UnixMs) {
        if !self.assumed && subject.profile.created_ms.is_none() {
            let mut profile = (*subject.profile).clone();
            profile.created_ms = Some(when);
            subject.profile = Arc::new(profile);
        }
    }

    /// The user after a record of an earlier run.
    pub(super) fn laid_under(&self, journal: &Arc<str>, seq: u64, event: &Event) -> Self {
        let mut subject: Subject = (*self.subject).clone();
        self.first_seen(&mut subject, event.decided_ms);
        if let Operation::Identify { properties, .. } = &event.operation
            && let Ok(profile) = merged(&subject.profile, properties, event.decided_ms)
        {
            subject.profile = Arc::new(profile);
        }
        for state in &event.states {
            Self::lay(&mut subject, state);
        }
        let mut after = self.after(subject, (journal.clone(), seq));
        if let Some(id) = event.id {
            let place = event.states.first().map_or_else(Place::identify, Place::of);
            after.note(place, id);
        }
        let groups = event.operation.groups();
        after.join(groups.iter().map(|group| group.identifier.as_str()));
        after
    }

    /// Whether this is what a record was decided on, as far as the ledger has it.
    fn is_base_of(&self, event: &Event) -> bool {
        match &event.base {
            Base::Document(rev) => *rev == self.doc_rev,
            Base::Record { journal, seq } => {
                let is_it = |own: &(Arc<str>, u64)| *own.0 == **journal && own.1 == *seq;
                self.taken.as_ref().is_some_and(is_it)
            }
            Base::Absent => false,
        }
    }

    /// Lays a recorded state over this user, as recovery does.
    fn lay(subject: &mut Subject, document: &FlowStateDocument) {
        let state: FlowState = document.to_state();
        subject.set_state(
            FlowKey::of(&document.flow),
            document.version,
            document.conversation.as_deref(),
            state,
        );
    }
}

impl Kept for Known {
    fn pending(memory: &Memory) -> &Pending<Self> {
        &memory.pending
    }

    fn cache(subjects: &Subjects) -> &Cache<Box<[u8]>, Cached<Self>> {
        &subjects.users
    }

    fn assumed(name: &Name<'_>) -> Self {
        Self::unseen(name.id(), true)
    }

    fn taken(&self) -> Option<&(Arc<str>, u64)> {
        self.taken.as_ref()
    }

    fn rev(&self) -> u64 {
        self.doc_rev
    }

    fn after_recovered(&self, records: &[RecoveredRecord]) -> Self {
        let mut known = self.clone();
        let first = records.first().map(|(_, _, event)| event);
        known.is_covered |= first.is_some_and(|event| !self.is_base_of(event));
        for (journal, seq, event) in records {
            known = known.laid_under(journal, *seq, event);
        }
        known
    }

    fn settled(&self, doc_rev: u64) -> Option<Self> {
        let known = || Self {
            doc_rev,
            last: None,
            is_covered: false,
            ..self.clone()
        };
        (!self.assumed).then(known)
    }

    fn of_below(below: Below) -> Option<Cached<Self>> {
        match below {
            Below::User(cached) => Some(cached),
            _ => None,
        }
    }
}

/// A group as this edge knows it.
#[derive(Clone, Debug)]
pub(super) struct KnownGroup {
    /// For evaluation.
    pub(super) profile: Arc<Profile>,
    /// The last record of any journal that the ledger's record includes.
    taken: Option<(Arc<str>, u64)>,
}

impl KnownGroup {
    /// The ledger's record in the form evaluation reads.
    pub(super) fn of(record: GroupRecord) -> Self {
        let taken = record.last.clone();
        Self {
            profile: Arc::new(record.into_profile()),
            taken: taken.map(|(journal, seq)| (journal.as_str().into(), seq)),
        }
    }

    /// The group after merging properties; null removes.
    pub(super) fn merged(&self, properties: &Map<String, Value>, now: u64) -> Result<Self, String> {
        Ok(Self {
            profile: Arc::new(merged(&self.profile, properties, now)?),
            taken: self.taken.clone(),
        })
    }
}

impl Kept for KnownGroup {
    fn pending(memory: &Memory) -> &Pending<Self> {
        &memory.groups
    }

    fn cache(subjects: &Subjects) -> &Cache<Box<[u8]>, Cached<Self>> {
        &subjects.groups
    }

    fn assumed(name: &Name<'_>) -> Self {
        Self::of(GroupRecord {
            identifier: name.id().to_owned(),
            ..GroupRecord::default()
        })
    }

    fn taken(&self) -> Option<&(Arc<str>, u64)> {
        self.taken.as_ref()
    }

    fn after_recovered(&self, records: &[RecoveredRecord]) -> Self {
        let mut group = self.clone();
        for (_, _, event) in records {
            // A call that names the group twice is here twice as well, once for
            // each mention and so more often than needed; merging again changes
            // nothing.
            for own in event.operation.groups() {
                if *own.identifier == *group.profile.identifier
                    && let Ok(after) = group.merged(&own.properties, event.decided_ms)
                {
                    group = after;
                }
            }
        }
        group
    }

    /// The ledger does not say what it made of a group, so it is read again.
    fn settled(&self, _doc_rev: u64) -> Option<Self> {
        None
    }

    fn of_below(below: Below) -> Option<Cached<Self>> {
        match below {
            Below::Group(cached) => Some(cached),
            _ => None,
        }
    }
}

/// What a record is based on: our own last one, or the ledger's document.
pub(super) fn base_of(last: Option<&(Arc<str>, u64)>, doc_rev: u64) -> Base {
    match last {
        Some((journal, seq)) => Base::Record {
            journal: journal.to_string(),
            seq: *seq,
        },
        None => Base::Document(doc_rev),
    }
}

/// A profile after merging properties; null removes.
pub(super) fn merged(
    profile: &Profile,
    properties: &Map<String, Value>,
    now: u64,
) -> Result<Profile, String> {
    let mut merged = profile.clone();
    for (name, value) in properties {
        if value.is_null() {
            merged.properties.remove(name);
        } else {
            merged.properties.insert(name.clone(), value.clone());
        }
    }
    if merged.properties.len() > PROPERTIES_MAX {
        return Err(format!(
            "{} properties after merging; at most {PROPERTIES_MAX} are kept",
            merged.properties.len()
        ));
    }
    let bytes = serde_json::to_vec(&merged.properties).map_or(usize::MAX, |text| text.len());
    if bytes > PROPERTIES_BYTES_MAX {
        return Err(format!(
            "properties of {bytes} bytes after merging; at most {PROPERTIES_BYTES_MAX} are kept"
        ));
    }
    merged.created_ms.get_or_insert(now);
    merged.updated_ms = Some(now);
    Ok(merged)
}
