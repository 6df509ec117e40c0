//! What is to be told next?
//!
//! Every event is the difference between what a connection was told and what
//! holds now. So a wake that is lost or comes once for a hundred changes
//! loses nothing: whatever was not told yet differs still. Pure, but for the
//! counting of events.

use std::sync::Arc;

use super::{
    super::{state_json, write_text},
    counts::{ChangeCounts, Event},
    ticket::Followed,
};
use crate::{
    evaluate::{FlowProgress, FlowState, Profile, Subject},
    progress::Read,
    server::auth::Access,
    snapshot::{Flow, FlowKey, Key, Revision, Snapshot},
};

/// How long a browser waits before it connects again.
const RETRY_MS: u32 = 2_000;

/// What one connection was told last.
pub(super) struct Told {
    /// None before the first event.
    last: Option<Last>,
    /// Events so far, for their ids.
    events: u64,
}

/// How everything stood when it was told.
struct Last {
    revision: Revision,
    subject: Arc<Subject>,
    group: Option<Arc<Profile>>,
    /// Flows with states that could not be told: they were not in the
    /// snapshot, or not for the key.
    untold: Vec<FlowKey>,
    stale: bool,
}

/// What holds now.
pub(super) struct Now<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) key: &'a Key,
    pub(super) subject: Arc<Subject>,
    pub(super) group: Option<Arc<Profile>>,
    /// Upstream could not be asked.
    assumed: bool,
    /// That, or the snapshot is old.
    stale: bool,
}

impl<'a> Now<'a> {
    /// As it was read, against a snapshot that may be old.
    pub(super) fn new(access: Access<'a>, read: &Read, is_old: bool) -> Self {
        let assumed = read.assumed || read.behind;
        Self {
            snapshot: &access.environment.snapshot,
            key: access.key,
            subject: Arc::clone(&read.subject),
            group: read.group.clone(),
            assumed,
            stale: assumed || is_old,
        }
    }

    /// The flow, if it is there for this key.
    fn flow(&self, key: FlowKey) -> Option<&Flow> {
        let flow = self.snapshot.flows_by_key.get(&key)?;
        self.key.sees(&flow.project).then_some(flow)
    }

    /// Nobody forgets what they have told because upstream is away: a subject
    /// who had to be assumed has the states and properties that were told, and
    /// whatever was read lies over them.
    fn remember(&mut self, last: &Last) {
        let mut subject = (*last.subject).clone();
        for own in &self.subject.flows {
            let (flow, version) = (own.flow, own.version);
            let conversation = own.conversation.as_deref();
            subject.set_state(flow, version, conversation, own.state.clone());
        }
        self.subject = Arc::new(subject);
        self.group.clone_from(&last.group);
    }
}

impl Told {
    /// Nothing.
    pub(super) fn nothing() -> Self {
        Self {
            last: None,
            events: 0,
        }
    }

    /// Whether anything of the subject was told or known so far.
    pub(super) fn knows_subject(&self) -> bool {
        self.last
            .as_ref()
            .is_some_and(|last| !last.subject.is_new())
    }

    /// The events that lead from what was told to what holds now, none when
    /// nothing differs.
    pub(super) fn tell(
        &mut self,
        mut now: Now<'_>,
        followed: &Followed,
        counts: &ChangeCounts,
    ) -> Vec<u8> {
        let mut out = Vec::new();
        let revision = now.snapshot.revision;
        let Some(last) = self.last.take() else {
            out.extend_from_slice(format!("retry: {RETRY_MS}\n").as_bytes());
            let mut flows = Flows::default();
            for own in now
                .subject
                .flows
                .iter()
                .filter(|own| followed.includes(own))
            {
                flows.push(&now, own, &own.state);
            }
            self.event(&mut out, Event::Hello, revision, counts, |data| {
                flows.write(data, now.stale);
            });
            self.last = Some(Last::of(&now, revision, flows.untold));
            return out;
        };
        // A connection is never told of an older revision.
        if revision > last.revision {
            self.event(&mut out, Event::Revision, revision, counts, |_| {});
        }
        if now.assumed {
            now.remember(&last);
        }
        let flows = last.differences(&now, followed);
        let identified = last.is_identified(&now);
        if flows.count > 0 || identified || last.stale != now.stale {
            self.event(
                &mut out,
                Event::Change,
                revision.max(last.revision),
                counts,
                |data| {
                    flows.write(data, now.stale);
                    if identified {
                        data.extend_from_slice(b",\"properties\":true");
                    }
                },
            );
        }
        self.last = Some(Last::of(&now, revision.max(last.revision), flows.untold));
        out
    }

    /// The last event of a stream.
    pub(super) fn close(&mut self, reason: &str, counts: &ChangeCounts) -> Vec<u8> {
        let mut out = Vec::new();
        let revision = self
            .last
            .as_ref()
            .map_or_else(Revision::default, |last| last.revision);
        self.event(&mut out, Event::Closed, revision, counts, |data| {
            data.extend_from_slice(b",\"reason\":");
            write_text(data, reason);
        });
        out
    }

    /// Appends one event.
    fn event(
        &mut self,
        out: &mut Vec<u8>,
        event: Event,
        revision: Revision,
        counts: &ChangeCounts,
        members: impl FnOnce(&mut Vec<u8>),
    ) {
        counts.told(event);
        self.events += 1;
        let head = format!(
            "id: {revision}-{}\nevent: {}\ndata: {{\"revision\":\"{revision}\",\"epoch\":{}",
            self.events,
            event.name(),
            revision.epoch,
        );
        out.extend_from_slice(head.as_bytes());
        members(out);
        out.extend_from_slice(b"}\n\n");
    }
}

impl Last {
    fn of(now: &Now<'_>, revision: Revision, untold: Vec<FlowKey>) -> Self {
        Self {
            revision,
            subject: Arc::clone(&now.subject),
            group: now.group.clone(),
            untold,
            stale: now.stale,
        }
    }

    /// States that are not as they were told. Both lists are sorted alike.
    /// What is not there any more (after an erasure) is told as not begun.
    fn differences(&self, now: &Now<'_>, followed: &Followed) -> Flows {
        let mut flows = Flows::default();
        let includes = |own: &&FlowProgress| followed.includes(own);
        let mut before = self.subject.flows.iter().filter(includes).peekable();
        let gone = FlowState::default();
        for own in now.subject.flows.iter().filter(includes) {
            while let Some(old) = before.next_if(|old| place(old) < place(own)) {
                flows.push(now, old, &gone);
            }
            let old = before.next_if(|old| place(old) == place(own));
            let is_untold = self.untold.contains(&own.flow);
            if is_untold || old.is_none_or(|old| old.state != own.state) {
                flows.push(now, own, &own.state);
            }
        }
        for old in before {
            flows.push(now, old, &gone);
        }
        flows
    }

    /// Whether stored properties differ, and decisions with them.
    fn is_identified(&self, now: &Now<'_>) -> bool {
        let same = |one: &Profile, other: &Profile| {
            one.updated_ms == other.updated_ms && one.properties == other.properties
        };
        let same_group = match (&self.group, &now.group) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other) || same(one, other),
            (one, other) => one.is_none() && other.is_none(),
        };
        let (one, other) = (&self.subject.profile, &now.subject.profile);
        !(same_group && (Arc::ptr_eq(one, other) || same(one, other)))
    }
}

/// What the list of states is sorted by.
fn place(own: &FlowProgress) -> (FlowKey, u32, Option<&str>) {
    (own.flow, own.version, own.conversation.as_deref())
}

/// States as they are told.
#[derive(Default)]
struct Flows {
    json: Vec<u8>,
    count: usize,
    untold: Vec<FlowKey>,
}

impl Flows {
    /// The state that is told of this place.
    fn push(&mut self, now: &Now<'_>, own: &FlowProgress, state: &FlowState) {
        let Some(flow) = now.flow(own.flow) else {
            self.untold.push(own.flow);
            return;
        };
        self.count += 1;
        let out = &mut self.json;
        if !out.is_empty() {
            out.push(b',');
        }
        out.extend_from_slice(b"{\"sid\":");
        write_text(out, &flow.sid);
        out.extend_from_slice(b",\"version\":");
        out.extend_from_slice(itoa::Buffer::new().format(own.version).as_bytes());
        if let Some(conversation) = &own.conversation {
            out.extend_from_slice(b",\"conversation\":");
            write_text(out, conversation);
        }
        out.extend_from_slice(b",\"state\":");
        out.extend_from_slice(state_json(Some(state)).as_bytes());
        out.push(b'}');
    }

    fn write(&self, out: &mut Vec<u8>, stale: bool) {
        let stale: &[u8] = if stale { b"true" } else { b"false" };
        out.extend_from_slice(b",\"stale\":");
        out.extend_from_slice(stale);
        out.extend_from_slice(b",\"flows\":[");
        out.extend_from_slice(&self.json);
        out.push(b']');
    }
}

impl Followed {
    /// Whether this state is told: those of the conversation, and those of
    /// none.
    fn includes(&self, own: &FlowProgress) -> bool {
        let named = own.conversation.as_deref();
        named.is_none() || named == self.conversation.as_deref()
    }
}
