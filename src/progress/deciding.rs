//! What happens under a user's shard?
//!
//! One try at a write: check that the user is still the one that was read,
//! decide on the newest state, enqueue the record, and remember its effect as
//! newer than everything before. No await, no I/O.

use std::sync::Arc;

use serde_json::Map;

use super::{
    known::{IDENTIFY, Known},
    merge::merged,
    pending::{Entry, Left, Live, Locked, Outstanding},
    recovery,
    request::{Action, IdentifyRequest, StepRequest, Stepped, Token, WriteError},
    stepping::{Attempt, Progress, refused},
    subjects::{Kind, SubjectKey},
};
use crate::{
    disk::journal::{AppendError, Ticket},
    evaluate::{
        Effect, FlowState, LiveJudge, Profile, Side, Step, Subject, SubjectView, reconcile,
        transition,
    },
    limits::{FLOW_STATES_PER_USER_MAX, RECORD_BYTES_MAX},
    progress::event::{Event, EventId, FlowStateDocument, Intent, Operation, OutcomeDocument},
    snapshot::name_hash,
};

/// A record's journal and seq.
type RecordPlace = (Arc<str>, u64);

/// A flow's new state and the record of it.
struct Change<'a> {
    era: u64,
    newest: &'a Arc<Known>,
    event: Event,
    state: FlowState,
    id: Option<EventId>,
}

/// The kind byte of progress records in the journal.
pub(super) const RECORD_KIND: u8 = 1;

impl Progress {
    /// One try at a step.
    pub(super) fn attempt_step(
        &self,
        request: &StepRequest<'_>,
        key: &SubjectKey,
        known: &Arc<Known>,
        generation: u64,
        group: Option<&Profile>,
    ) -> Result<Attempt, WriteError> {
        let era = self.journal.era();
        let mut locked = self.memory.pending.lock(key.bytes());
        let Some((newest, waiting)) = self.newest(&mut locked, key, known, generation) else {
            return Ok(Attempt::Raced);
        };
        let flow = request.flow;
        let before = newest
            .subject
            .state(flow.key, request.version.number, request.conversation)
            .cloned()
            .unwrap_or_default();
        let mut judge = LiveJudge {
            view: SubjectView {
                user: &newest.subject,
                group,
                attributes: request.attributes,
                conversation: request.conversation,
            },
            now: request.now,
        };
        if let Some(effect) = reconcile(request.version, &before, &mut judge) {
            // An edit of the draft took away where the user stood: the restart
            // is a record of its own, and the step is decided on it.
            let restart = StepRequest {
                action: Action::Reset { force: true },
                id: None,
                ..request.clone()
            };
            let event = step_event(self, &restart, &newest, &before, &effect, None);
            let stored = Change {
                era,
                newest: &newest,
                event,
                state: effect.state,
                id: None,
            };
            return self
                .store(&mut locked, key, &restart, stored)
                .map(|_| Attempt::Raced);
        }
        let id = event_id(request, &before);
        let unchanged = |state: FlowState| Stepped {
            changed: false,
            before: state.clone(),
            state,
            token: newest.last.clone().map(token),
        };
        if let Some(id) = id
            && let Some(body) = newest.seen(flow.key, id.key)
        {
            if body != id.body {
                return Err(WriteError::KeyReused);
            }
            let ticket = self.barrier(era, waiting)?;
            return Ok(decided(unchanged(before), ticket));
        }
        let effect = transition(
            request.version,
            &before,
            &step_of(&request.action),
            &mut judge,
        )?;
        if !effect.changed {
            let ticket = self.barrier(era, waiting)?;
            return Ok(decided(unchanged(before), ticket));
        }
        let event = step_event(self, request, &newest, &before, &effect, id);
        let state = effect.state.clone();
        let change = Change {
            era,
            newest: &newest,
            event,
            state,
            id,
        };
        let Some((ticket, last)) = self.store(&mut locked, key, request, change)? else {
            return Ok(Attempt::Raced);
        };
        Ok(decided(
            Stepped {
                changed: true,
                before,
                state: effect.state,
                token: Some(token(last)),
            },
            Some(ticket),
        ))
    }

    /// Queues a flow's new state and makes it the newest; none when a commit
    /// failed since the user was looked at.
    fn store(
        &self,
        locked: &mut Locked<'_>,
        key: &SubjectKey,
        request: &StepRequest<'_>,
        change: Change<'_>,
    ) -> Result<Option<(Ticket, RecordPlace)>, WriteError> {
        let (flow, version) = (request.flow.key, request.version.number);
        let mut subject = (*change.newest.subject).clone();
        subject.set_state(flow, version, request.conversation, change.state);
        if subject.flows.len() > FLOW_STATES_PER_USER_MAX {
            return Err(WriteError::TooLarge(format!(
                "the user has states in {} flow versions; at most {FLOW_STATES_PER_USER_MAX} are kept",
                subject.flows.len()
            )));
        }
        let Some(ticket) = self.enqueue(change.era, request.now, &change.event)? else {
            return Ok(None);
        };
        let last: RecordPlace = (self.journal.id().into(), ticket.seq);
        let after = Arc::new(change.newest.after(subject, flow, change.id, last.clone()));
        self.remember(locked, key, change.era, change.newest, ticket.seq, after);
        Ok(Some((ticket, last)))
    }

    /// One try at an identify call.
    pub(super) fn attempt_identify(
        &self,
        request: &IdentifyRequest,
        key: &SubjectKey,
        known: &Arc<Known>,
        generation: u64,
        groups: &[Arc<Profile>],
    ) -> Result<Attempt, WriteError> {
        let era = self.journal.era();
        let mut locked = self.memory.pending.lock(key.bytes());
        let Some((newest, waiting)) = self.newest(&mut locked, key, known, generation) else {
            return Ok(Attempt::Raced);
        };
        let outcome = |changed, token| Stepped {
            changed,
            before: FlowState::default(),
            state: FlowState::default(),
            token,
        };
        if let Some(id) = request.id
            && let Some(body) = newest.seen(IDENTIFY, id.key)
        {
            if body != id.body {
                return Err(WriteError::KeyReused);
            }
            let ticket = self.barrier(era, waiting)?;
            let last = newest.last.clone().map(token);
            return Ok(decided(outcome(false, last), ticket));
        }
        let profile = merged(&newest.subject.profile, &request.properties, request.now)
            .map_err(WriteError::TooLarge)?;
        for (group, stored) in request.groups.iter().zip(groups) {
            merged(stored, &group.properties, request.now).map_err(WriteError::TooLarge)?;
        }
        let subject = Subject {
            profile: Arc::new(profile),
            flows: newest.subject.flows.clone(),
        };
        let event = Event {
            operation: Operation::Identify {
                properties: request.properties.clone(),
                groups: request.groups.clone(),
            },
            id: request.id,
            ..event(self, &request.place, &request.user, request.now, &newest)
        };
        let Some(ticket) = self.enqueue(era, request.now, &event)? else {
            return Ok(Attempt::Raced);
        };
        let last = (Arc::<str>::from(self.journal.id()), ticket.seq);
        let after = Arc::new(newest.after(subject, IDENTIFY, request.id, last.clone()));
        self.remember(&mut locked, key, era, &newest, ticket.seq, after);
        // Under the user's lock: the shipper settles the user first, so it
        // cannot settle these groups before they are there.
        self.show_groups(request, groups);
        Ok(decided(outcome(true, Some(token(last))), Some(ticket)))
    }

    /// The state to decide on and whether it waits for its sync; none when the
    /// user changed since `known` was read.
    fn newest(
        &self,
        locked: &mut Locked<'_>,
        key: &SubjectKey,
        known: &Arc<Known>,
        generation: u64,
    ) -> Option<(Arc<Known>, bool)> {
        match locked.caught_up(key.bytes(), &self.journal) {
            Some(Entry::Live(live)) => return Some((live.newest().clone(), live.is_waiting())),
            Some(_) => return None,
            None => {}
        }
        locked
            .is_generation(generation)
            .then(|| (known.clone(), false))
    }

    /// Makes what was just queued the newest state.
    fn remember(
        &self,
        locked: &mut Locked<'_>,
        key: &SubjectKey,
        era: u64,
        newest: &Arc<Known>,
        seq: u64,
        after: Arc<Known>,
    ) {
        match locked.caught_up(key.bytes(), &self.journal) {
            Some(Entry::Live(live)) => live.push(seq, after),
            _ => {
                let mut live = Live::new(newest.clone(), Outstanding::default(), era);
                live.push(seq, after);
                locked.insert(key.bytes(), Entry::Live(live));
            }
        }
        self.memory.pending.count_record();
    }

    /// Lays the groups of an identify call over what is cached. They are seen
    /// from now on, a moment before the record is durable; when its commit
    /// fails [`Self::hide_groups`] takes them back.
    fn show_groups(&self, request: &IdentifyRequest, stored: &[Arc<Profile>]) {
        for (group, below) in request.groups.iter().zip(stored) {
            let key = SubjectKey::new(Kind::Group, request.place.slot, &group.identifier);
            let mut locked = self.memory.groups.lock(key.bytes());
            let (mut outstanding, below) = match locked.caught_up(key.bytes(), &self.journal) {
                Some(Entry::Group(outstanding, profile)) => (outstanding.clone(), profile.clone()),
                _ => (Outstanding::default(), below.clone()),
            };
            // Judged against the limits before the record was written; calls
            // that raced past them are judged again by the ledger.
            let profile = merged(&below, &group.properties, request.now).map_or(below, Arc::new);
            outstanding.count += 1;
            self.memory.groups.count_record();
            locked.insert(key.bytes(), Entry::Group(outstanding, profile));
        }
    }

    /// Forgets the groups of an identify call whose commit failed.
    pub(super) fn hide_groups(&self, request: &IdentifyRequest) {
        for group in &request.groups {
            let key = SubjectKey::new(Kind::Group, request.place.slot, &group.identifier);
            let mut locked = self.memory.groups.lock(key.bytes());
            if let Some(Left::Known(_) | Left::Unknown) =
                locked.settle(key.bytes(), &self.journal, 0, false)
            {
                self.memory.subjects.forget(key.bytes());
            }
        }
    }

    /// Lays recovered records over the ledger's document, once it is known;
    /// none when an entry left since the generation it was asked at, because
    /// the document may lack what that entry held.
    pub(super) fn raise_recovered(
        &self,
        key: &SubjectKey,
        below: Arc<Known>,
        generation: u64,
    ) -> Option<Arc<Known>> {
        let mut locked = self.memory.pending.lock(key.bytes());
        match locked.caught_up(key.bytes(), &self.journal) {
            Some(Entry::Recovered(recovered)) => {
                let raised = Arc::new(recovery::laid_over(&below, &recovered.records));
                let live = Live::new(
                    raised.clone(),
                    recovered.outstanding.clone(),
                    self.journal.era(),
                );
                locked.insert(key.bytes(), Entry::Live(live));
                Some(raised)
            }
            // Somebody else did it, or wrote, in the meantime.
            Some(Entry::Live(_)) => locked.durable(key.bytes(), &self.journal),
            Some(Entry::Group(..)) | None => locked.is_generation(generation).then_some(below),
        }
    }

    /// A no-op rests on what is on its way to the disk, so its answer waits too.
    fn barrier(&self, era: u64, waiting: bool) -> Result<Option<Ticket>, WriteError> {
        if !waiting {
            return Ok(None);
        }
        self.journal.barrier(era).map(Some).map_err(refused)
    }

    /// Queues a record; none when a commit failed since the user was looked at.
    fn enqueue(&self, era: u64, now: u64, event: &Event) -> Result<Option<Ticket>, WriteError> {
        if self.memory.pending.records() >= self.records_max {
            return Err(WriteError::Unavailable("too many steps wait for upstream"));
        }
        let body = serde_json::to_vec(event).map_err(|error| {
            WriteError::TooLarge(format!("the record cannot be written: {error}"))
        })?;
        if body.len() > RECORD_BYTES_MAX {
            return Err(WriteError::TooLarge(format!(
                "the record would have {} bytes; at most {RECORD_BYTES_MAX} are kept",
                body.len()
            )));
        }
        match self.journal.append(era, RECORD_KIND, now, body) {
            Ok(ticket) => Ok(Some(ticket)),
            Err(AppendError::Failed) => Ok(None),
            Err(error) => Err(refused(error)),
        }
    }
}

fn decided(stepped: Stepped, ticket: Option<Ticket>) -> Attempt {
    Attempt::Decided { stepped, ticket }
}

fn token((journal, seq): (Arc<str>, u64)) -> Token {
    Token { journal, seq }
}

/// An automatic start has the same id on every edge and for every duplicated
/// mount, so that it happens once.
fn event_id(request: &StepRequest<'_>, before: &FlowState) -> Option<EventId> {
    if !matches!(request.action, Action::AutoStart) {
        return request.id;
    }
    let name = format!(
        "{}\n{}\n{}\n{}\n{}\nstart\n{}",
        request.place.snapshot.environment_uid,
        request.user,
        request.conversation.unwrap_or(""),
        request.flow.uid,
        request.version.number,
        before.generation
    );
    Some(EventId {
        key: name_hash(&name),
        body: 0,
    })
}

fn step_of<'a>(action: &Action<'a>) -> Step<'a> {
    match action {
        Action::AutoStart => Step::Start { force: false },
        Action::Start { force } => Step::Start { force: *force },
        Action::Reset { force } => Step::Reset { force: *force },
        Action::Stop => Step::Stop,
        Action::Finish => Step::Finish,
        Action::Transition { block, names } => Step::Transition {
            block: *block,
            names,
        },
    }
}

/// The members every record has.
fn event(progress: &Progress, place: &super::Place, user: &str, now: u64, newest: &Known) -> Event {
    Event {
        environment: place.snapshot.environment.to_string(),
        environment_uid: place.snapshot.environment_uid.to_string(),
        user: user.to_owned(),
        group: None,
        conversation: None,
        revision: place.snapshot.revision.to_string(),
        decided_ms: now,
        operation: Operation::Identify {
            properties: Map::new(),
            groups: Vec::new(),
        },
        outcomes: Vec::new(),
        base: newest.base(),
        states: Vec::new(),
        id: None,
        edge: progress.edge.to_string(),
    }
}

fn step_event(
    progress: &Progress,
    request: &StepRequest<'_>,
    newest: &Known,
    before: &FlowState,
    effect: &Effect,
    id: Option<EventId>,
) -> Event {
    let version = request.version;
    let flow = request.flow.uid.to_string();
    let intent = |intent, force| Operation::Intent {
        flow: request.flow.uid.to_string(),
        version: version.number,
        generation: before.generation,
        intent,
        force,
        restarted: effect.state.started,
    };
    let start = |force| Operation::Start {
        flow: request.flow.uid.to_string(),
        version: version.number,
        generation: before.generation,
        force,
    };
    let operation = match &request.action {
        Action::AutoStart => start(false),
        Action::Start { force } => start(*force),
        Action::Reset { force } => intent(Intent::Reset, *force),
        Action::Stop => intent(Intent::Stop, false),
        Action::Finish => intent(Intent::Finish, false),
        Action::Transition { block, names } => {
            let block = version.block(*block);
            let known = names.iter().filter_map(|name| block.transition(*name));
            Operation::Transition {
                flow: flow.clone(),
                version: version.number,
                generation: before.generation,
                block: block.uid.to_string(),
                names: known
                    .map(|transition| transition.name.to_string())
                    .collect(),
            }
        }
    };
    let outcomes = effect.branches.iter().map(|branch| OutcomeDocument {
        block: version.block(branch.block).uid.to_string(),
        side: branch.side == Side::True,
    });
    Event {
        group: request.group.map(ToOwned::to_owned),
        conversation: request.conversation.map(ToOwned::to_owned),
        operation,
        outcomes: outcomes.collect(),
        states: vec![FlowStateDocument::of(
            &flow,
            version,
            request.conversation,
            &effect.state,
        )],
        id,
        ..event(progress, &request.place, request.user, request.now, newest)
    }
}
