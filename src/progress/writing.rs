//! How does a decision become the newest state?
//!
//! Under the shards of whatever it changes: the record is queued, and memory
//! has its effect before anybody else can look. Everything a record says is
//! made known at once, however many flows it touched.

use std::sync::Arc;

use super::{
    enrolling::Deciding,
    event::{Event, state_bytes},
    finding::Found,
    known::{Known, Place},
    pending::{Entry, Locked},
    request::{StepRequest, Token, WriteError},
    stepping::{Attempt, Progress, refused},
    subjects::{Cached, Kept},
};
use crate::{
    disk::journal::{AppendError, Ticket},
    evaluate::{Effect, FlowState, Subject, Touched},
    limits::{FLOW_STATES_PER_USER_MAX, RECORD_BYTES_MAX, USER_DOCUMENT_BYTES_MAX},
};

/// About how large the states of a user's document are.
fn bytes_of(subject: &Subject) -> usize {
    let sizes = subject.flows.iter().map(|own| {
        let names = own.state.blocks.iter().map(|block| block.taken.len());
        state_bytes(own.conversation.as_deref(), names)
    });
    sizes.sum()
}

/// What most records take: one that outgrows it is copied.
const RECORD_BYTES_USUAL: usize = 1_024;

/// The kind byte of progress records in the journal.
const RECORD_KIND: u8 = 1;

/// A subject as a write finds it under its shard.
pub(super) struct Newest<T> {
    /// The state to decide on.
    pub(super) cached: Cached<T>,
    /// It waits for its sync, and so does every answer that rests on it.
    pub(super) waiting: bool,
}

/// A user under their shard.
pub(super) struct Writing<'a> {
    locked: Locked<'a, Known>,
    key: &'a [u8],
    /// Whatever is decided is void when a commit fails in it.
    pub(super) era: u64,
    pub(super) newest: Newest<Known>,
}

/// The record of a step and the states it leads to.
pub(super) struct Change<'a> {
    event: Event,
    state: &'a FlowState,
    others: &'a [Touched],
}

impl<'a> Change<'a> {
    /// The record of this effect.
    pub(super) fn of(event: Event, effect: &'a Effect) -> Self {
        Self {
            event,
            state: &effect.state,
            others: &effect.others,
        }
    }
}

impl Progress {
    /// Takes the user's shard; none when they changed since they were found.
    pub(super) fn writing<'a>(
        &'a self,
        era: u64,
        key: &'a [u8],
        found: &Found<Known>,
    ) -> Option<Writing<'a>> {
        let mut locked = self.memory.pending.lock(key);
        let newest = self.newest(&mut locked, key, found)?;
        Some(Writing {
            locked,
            key,
            era,
            newest,
        })
    }

    /// Queues a step's record and makes its states the newest, and with them
    /// the percentage decision it carries; none when a commit failed since the
    /// user was looked at.
    pub(super) fn write(
        &self,
        writing: &mut Writing<'_>,
        request: &StepRequest<'_>,
        change: Change<'_>,
        deciding: Option<&mut Deciding<'_>>,
    ) -> Result<Option<Ticket>, WriteError> {
        let below = &writing.newest.cached;
        let (flow, version) = (request.flow.key, request.version.number);
        let mut subject = (*below.document.subject).clone();
        below.document.first_seen(&mut subject, request.now);
        subject.set_state(flow, version, request.conversation, change.state.clone());
        for other in change.others {
            let (flow, version) = (other.version.flow_key, other.version.number);
            subject.set_state(flow, version, request.conversation, other.state.clone());
        }
        if subject.flows.len() > FLOW_STATES_PER_USER_MAX {
            return Err(WriteError::TooMuch(format!(
                "the user would have {} states (one for each flow version and conversation); \
                 at most {FLOW_STATES_PER_USER_MAX} are kept",
                subject.flows.len()
            )));
        }
        let bytes = bytes_of(&subject);
        // Whoever is above it (by other edges' steps) may still become smaller.
        if bytes > USER_DOCUMENT_BYTES_MAX && bytes > bytes_of(&below.document.subject) {
            return Err(WriteError::TooMuch(format!(
                "the user's progress would have about {bytes} bytes; \
                 at most {USER_DOCUMENT_BYTES_MAX} are kept"
            )));
        }
        let Some(ticket) = self.enqueue(writing.era, request.now, &change.event)? else {
            return Ok(None);
        };
        let last = (self.journal.shared_id(), ticket.seq);
        let mut after = below.document.after(subject, last.clone());
        if let Some(id) = change.event.id {
            after.note(Place::new(flow, version, request.conversation), id);
        }
        let (era, after) = (writing.era, Arc::new(after));
        writing
            .locked
            .push(writing.key, era, below, ticket.seq, after);
        if let (Some(deciding), Some(carried)) = (deciding, &change.event.membership) {
            deciding.push(era, last, carried);
        }
        Ok(Some(ticket))
    }

    /// The subject a write is decided on; none when it changed since it was
    /// found.
    pub(super) fn newest<T: Kept>(
        &self,
        locked: &mut Locked<'_, T>,
        key: &[u8],
        found: &Found<T>,
    ) -> Option<Newest<T>> {
        match locked.recall(key, &self.journal) {
            Some(Entry::Live(live)) => Some(Newest {
                cached: live.newest(),
                waiting: live.is_waiting(&self.journal),
            }),
            Some(Entry::OnDisk(_)) => None,
            None => locked.is_generation(key, found.generation).then(|| Newest {
                cached: found.cached.clone(),
                waiting: false,
            }),
        }
    }

    /// A no-op rests on what is on its way to the disk, so its answer waits too.
    pub(super) fn unchanged<A>(
        &self,
        era: u64,
        waiting: bool,
        told: A,
    ) -> Result<Attempt<A>, WriteError> {
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
        Ok(Attempt::Decided { told, ticket })
    }

    /// Names a record of this run.
    pub(super) fn token(&self, seq: u64) -> Token {
        Token {
            journal: self.journal.shared_id(),
            seq,
        }
    }

    /// Queues a record; none when a commit failed since the subject was looked
    /// at.
    pub(super) fn enqueue(
        &self,
        era: u64,
        now: u64,
        event: &Event,
    ) -> Result<Option<Ticket>, WriteError> {
        if self.memory.records() >= self.records_max {
            return Err(WriteError::Unavailable("too many steps wait for upstream"));
        }
        let mut body = Vec::with_capacity(RECORD_BYTES_USUAL);
        serde_json::to_writer(&mut body, event).map_err(|error| {
            WriteError::TooMuch(format!("the record cannot be written: {error}"))
        })?;
        if body.len() > RECORD_BYTES_MAX {
            return Err(WriteError::TooMuch(format!(
                "the record would have {} bytes; at most {RECORD_BYTES_MAX} are kept",
                body.len()
            )));
        }
        let owner = self.owner(&event.environment);
        match self.journal.append(era, (owner, RECORD_KIND), now, body) {
            Ok(ticket) => Ok(Some(ticket)),
            Err(AppendError::Failed) => Ok(None),
            Err(error) => Err(refused(error)),
        }
    }
}
