//! How is a step decided?
//!
//! One try under the user's shard: check that the user is still the one that
//! was read, decide on the newest state, enqueue the record, and remember its
//! effect as newer than everything before. No await, no I/O. What the caller
//! is told waits for the sync outside.

use std::sync::Arc;

use super::{
    event::{Event, EventId},
    known::{Known, Place},
    pending::{Entry, Locked},
    recording::{event_id, step_event},
    request::{Action, StepRequest, Stepped, Token, WriteError},
    stepping::{Attempt, Found, Progress, refused},
    subjects::SubjectKey,
};
use crate::{
    disk::journal::{AppendError, Ticket},
    evaluate::{FlowState, LiveJudge, Profile, Step, SubjectView, reconcile, transition},
    limits::{FLOW_STATES_PER_USER_MAX, RECORD_BYTES_MAX},
};

/// A flow's new state and the record of it.
struct Change<'a> {
    era: u64,
    newest: &'a Arc<Known>,
    event: Event,
    state: FlowState,
    id: Option<EventId>,
}

/// A user as a write finds them under the shard.
pub(super) struct Newest {
    /// The state to decide on.
    pub(super) known: Arc<Known>,
    /// It waits for its sync, and so does every answer that rests on it.
    pub(super) waiting: bool,
}

/// The kind byte of progress records in the journal.
pub(super) const RECORD_KIND: u8 = 1;

impl Progress {
    /// One try at a step.
    pub(super) fn attempt_step(
        &self,
        request: &StepRequest<'_>,
        key: &SubjectKey,
        found: &Found<Known>,
        group: Option<&Profile>,
    ) -> Result<Attempt, WriteError> {
        let era = self.journal.era();
        let mut locked = self.memory.pending.lock(key.bytes());
        let Some(newest) = self.newest(&mut locked, key, found) else {
            return Ok(Attempt::Raced);
        };
        let known = &newest.known;
        let before = state_of(request, known);
        let mut judge = LiveJudge {
            snapshot: &request.place.snapshot,
            view: SubjectView {
                user: &known.subject,
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
            let stored = Change {
                era,
                newest: known,
                event: step_event(self, &restart, known, &before, &effect, None),
                state: effect.state,
                id: None,
            };
            return self
                .store(&mut locked, key, &restart, stored)
                .map(|_| Attempt::Raced);
        }
        let id = event_id(request, &before);
        if let Some(id) = id
            && let Some(body) = known.seen(request.flow.key, id.key)
        {
            if body != id.body {
                return Err(WriteError::KeyReused);
            }
            return self.unchanged(era, &newest, before);
        }
        let effect = transition(
            request.version,
            &before,
            &step_of(&request.action),
            &mut judge,
        )?;
        if !effect.changed {
            return self.unchanged(era, &newest, before);
        }
        let change = Change {
            era,
            newest: known,
            event: step_event(self, request, known, &before, &effect, id),
            state: effect.state.clone(),
            id,
        };
        let Some((ticket, token)) = self.store(&mut locked, key, request, change)? else {
            return Ok(Attempt::Raced);
        };
        let stepped = Stepped {
            changed: true,
            before,
            state: effect.state,
            others: effect.others,
            token: Some(token),
        };
        Ok(Attempt::Decided {
            stepped,
            ticket: Some(ticket),
        })
    }

    /// Queues a flow's new state and makes it the newest; none when a commit
    /// failed since the user was looked at.
    fn store(
        &self,
        locked: &mut Locked<'_>,
        key: &SubjectKey,
        request: &StepRequest<'_>,
        change: Change<'_>,
    ) -> Result<Option<(Ticket, Token)>, WriteError> {
        let (flow, version) = (request.flow.key, request.version.number);
        let mut subject = (*change.newest.subject).clone();
        change.newest.first_seen(&mut subject, request.now);
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
        let last = (self.journal.shared_id(), ticket.seq);
        let mut after = change.newest.after(subject, last);
        if let Some(id) = change.id {
            after.note(Place::new(flow, version, request.conversation), id);
        }
        let below = change.newest;
        locked.push_user(key.bytes(), change.era, below, ticket.seq, Arc::new(after));
        let token = self.token(ticket.seq);
        Ok(Some((ticket, token)))
    }

    /// The user a write is decided on; none when the user changed since they
    /// were found.
    pub(super) fn newest(
        &self,
        locked: &mut Locked<'_>,
        key: &SubjectKey,
        found: &Found<Known>,
    ) -> Option<Newest> {
        match locked.entry(key.bytes(), &self.journal) {
            Some(Entry::User(live)) => Some(Newest {
                known: live.newest().clone(),
                waiting: live.is_waiting(&self.journal),
            }),
            Some(_) => None,
            None => locked
                .is_generation(key.bytes(), found.generation)
                .then(|| Newest {
                    known: found.subject.clone(),
                    waiting: false,
                }),
        }
    }

    /// A no-op rests on what is on its way to the disk, so its answer waits too.
    pub(super) fn unchanged(
        &self,
        era: u64,
        newest: &Newest,
        state: FlowState,
    ) -> Result<Attempt, WriteError> {
        let waiting = newest.waiting;
        #[cfg(test)]
        let waiting = waiting && self.flaw != Some(super::stepping::Flaw::HastyNoOps);
        let ticket = if waiting {
            match self.journal.barrier(era) {
                Ok(ticket) => Some(ticket),
                // What it rests on is void: decide anew.
                Err(AppendError::Failed) => return Ok(Attempt::Raced),
                Err(error) => return Err(refused(error)),
            }
        } else {
            None
        };
        let last = newest.known.last.clone();
        let stepped = Stepped {
            changed: false,
            before: state.clone(),
            state,
            others: Vec::new(),
            token: last.map(|(journal, seq)| Token { journal, seq }),
        };
        Ok(Attempt::Decided { stepped, ticket })
    }

    /// Names a record of this run.
    pub(super) fn token(&self, seq: u64) -> Token {
        Token {
            journal: self.journal.shared_id(),
            seq,
        }
    }

    /// Queues a record; none when a commit failed since the user was looked at.
    pub(super) fn enqueue(
        &self,
        era: u64,
        now: u64,
        event: &Event,
    ) -> Result<Option<Ticket>, WriteError> {
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

fn state_of(request: &StepRequest<'_>, known: &Known) -> FlowState {
    let (flow, version) = (request.flow.key, request.version.number);
    let state = known.subject.state(flow, version, request.conversation);
    state.cloned().unwrap_or_default()
}

fn step_of<'a>(action: &Action<'a>) -> Step<'a> {
    match action {
        Action::AutoStart | Action::Migrate => Step::Start { force: false },
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
