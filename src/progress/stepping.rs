//! How is a step decided, stored and acknowledged?
//!
//! [`Progress`] is what request handlers call. Reading is synchronous whenever
//! memory has the subject. A step takes its user's shard for one pure
//! transition and one enqueue, then waits for the sync outside of it.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::{
    OnUnknownSubject, ProgressLedger, Reader,
    known::Known,
    pending::{Entry, Pending},
    reading::{self, Answer, Job},
    request::{IdentifyRequest, Place, Read, ReadError, StepRequest, Stepped, Token, WriteError},
    subjects::{Kind, SubjectKey, Subjects},
};
use crate::{
    current::EnvironmentSlot,
    disk::journal::{AppendError, Journal, Ticket},
    evaluate::Profile,
    limits::STEP_TRIES_MAX,
};

/// What is in memory, shared by workers, reader and shipper.
pub(crate) struct Memory {
    pub(super) subjects: Subjects,
    /// Users with records outstanding.
    pub(super) pending: Pending,
    /// Groups with records outstanding; apart, because they are locked while
    /// a user's shard is held.
    pub(super) groups: Pending,
}

/// The face of this folder.
#[derive(Clone)]
pub struct Progress {
    pub(super) memory: Arc<Memory>,
    pub(super) journal: Journal,
    jobs: mpsc::Sender<Job>,
    /// Records outstanding before a write is refused.
    pub(super) records_max: usize,
    on_unknown: OnUnknownSubject,
    /// Name of this edge in records.
    pub(super) edge: Arc<str>,
}

/// What one try at a write found.
pub(super) enum Attempt {
    /// The user changed between reading and deciding.
    Raced,
    /// Decided; wait for the ticket before saying so.
    Decided {
        stepped: Stepped,
        /// None when nothing had to be stored and nothing is on its way.
        ticket: Option<Ticket>,
    },
}

impl Progress {
    /// The face, and the task that reads for it on the control runtime.
    pub fn new(
        journal: Journal,
        ledger: Arc<dyn ProgressLedger>,
        users_max: u64,
        records_max: usize,
        on_unknown: OnUnknownSubject,
        edge: &str,
    ) -> (Self, Reader) {
        let memory = Arc::new(Memory {
            subjects: Subjects::new(users_max),
            pending: Pending::new(),
            groups: Pending::new(),
        });
        let (sender, jobs) = reading::channel();
        let progress = Self {
            memory: memory.clone(),
            journal,
            jobs: sender,
            records_max,
            on_unknown,
            edge: edge.into(),
        };
        let reader = Reader {
            jobs,
            ledger,
            memory,
        };
        (progress, reader)
    }

    /// The fast path: what memory holds, without waiting. None on any miss.
    pub fn cached(&self, slot: EnvironmentSlot, user: &str, group: Option<&str>) -> Option<Read> {
        let key = SubjectKey::new(Kind::User, slot, user);
        let known = self.known_now(&key)?;
        let group = match group {
            Some(group) => Some(self.group_now(&SubjectKey::new(Kind::Group, slot, group))?),
            None => None,
        };
        Some(Read {
            subject: known.subject.clone(),
            group,
            assumed: known.assumed,
        })
    }

    /// Reads through to the ledger on a miss; coalesced and bounded.
    pub async fn read(
        &self,
        place: &Place,
        user: &str,
        group: Option<&str>,
    ) -> Result<Read, ReadError> {
        if let Some(read) = self.cached(place.slot, user, group) {
            return Ok(read);
        }
        let key = SubjectKey::new(Kind::User, place.slot, user);
        let known = match self.known_now(&key) {
            Some(known) => known,
            None => self.read_through(place, &key, user).await?,
        };
        let group = match group {
            Some(group) => Some(self.group(place, group).await?),
            None => None,
        };
        Ok(Read {
            subject: known.subject.clone(),
            group,
            assumed: known.assumed,
        })
    }

    /// Takes a step and returns when it is durable.
    pub async fn step(&self, request: StepRequest<'_>) -> Result<Stepped, WriteError> {
        let group = match request.group {
            Some(group) => Some(self.group(&request.place, group).await?),
            None => None,
        };
        let key = SubjectKey::new(Kind::User, request.place.slot, request.user);
        for _ in 0..STEP_TRIES_MAX {
            let (known, generation) = self.base(&request.place, &key, request.user).await?;
            match self.attempt_step(&request, &key, &known, generation, group.as_deref())? {
                Attempt::Raced => {}
                Attempt::Decided { stepped, ticket } => return acknowledged(stepped, ticket).await,
            }
        }
        Err(WriteError::Unavailable("the user changes too quickly"))
    }

    /// Merges properties and returns when durable.
    pub async fn identify(&self, request: IdentifyRequest) -> Result<Option<Token>, WriteError> {
        let mut groups = Vec::with_capacity(request.groups.len());
        for group in &request.groups {
            groups.push(self.group(&request.place, &group.identifier).await?);
        }
        let key = SubjectKey::new(Kind::User, request.place.slot, &request.user);
        for _ in 0..STEP_TRIES_MAX {
            let (known, generation) = self.base(&request.place, &key, &request.user).await?;
            match self.attempt_identify(&request, &key, &known, generation, &groups)? {
                Attempt::Raced => {}
                Attempt::Decided { stepped, ticket } => {
                    return match acknowledged(stepped, ticket).await {
                        Ok(stepped) => Ok(stepped.token),
                        Err(error) => {
                            self.hide_groups(&request);
                            Err(error)
                        }
                    };
                }
            }
        }
        Err(WriteError::Unavailable("the user changes too quickly"))
    }

    /// Whether writes are taken at the moment.
    pub fn writable(&self) -> bool {
        self.journal.writable() && self.memory.pending.records() < self.records_max
    }

    /// Records the ledger has not settled yet.
    pub fn backlog(&self) -> usize {
        self.memory.pending.records()
    }

    /// Users in memory, about.
    pub fn users_cached(&self) -> u64 {
        self.memory.subjects.count()
    }

    /// The durable state of a user in memory.
    fn known_now(&self, key: &SubjectKey) -> Option<Arc<Known>> {
        let pending = &self.memory.pending;
        if !pending.is_clear(key.bytes()) {
            let mut locked = pending.lock(key.bytes());
            match locked.caught_up(key.bytes(), &self.journal) {
                None => {}
                // Its base is still to be read: not a hit.
                Some(Entry::Recovered(_)) => return None,
                Some(_) => return locked.durable(key.bytes(), &self.journal),
            }
        }
        self.memory.subjects.user(key)
    }

    fn group_now(&self, key: &SubjectKey) -> Option<Arc<Profile>> {
        let pending = &self.memory.groups;
        if !pending.is_clear(key.bytes())
            && let Some(Entry::Group(_, profile)) = pending
                .lock(key.bytes())
                .caught_up(key.bytes(), &self.journal)
        {
            return Some(profile.clone());
        }
        self.memory.subjects.group(key)
    }

    async fn group(&self, place: &Place, group: &str) -> Result<Arc<Profile>, ReadError> {
        let key = SubjectKey::new(Kind::Group, place.slot, group);
        if let Some(profile) = self.group_now(&key) {
            return Ok(profile);
        }
        for _ in 0..STEP_TRIES_MAX {
            match self.ask(place, &key, Kind::Group, group).await? {
                Answer::Group(profile, generation) => {
                    let mut locked = self.memory.groups.lock(key.bytes());
                    if let Some(Entry::Group(_, newest)) =
                        locked.caught_up(key.bytes(), &self.journal)
                    {
                        return Ok(newest.clone());
                    }
                    if locked.is_generation(generation) {
                        return Ok(profile);
                    }
                }
                Answer::User(..) | Answer::Away => {
                    return match self.on_unknown {
                        OnUnknownSubject::Refuse => Err(ReadError::Unknown),
                        OnUnknownSubject::ServeAsNew => Ok(Arc::new(Profile {
                            identifier: group.into(),
                            ..Profile::default()
                        })),
                    };
                }
            }
        }
        Err(ReadError::Busy)
    }

    /// What a write is decided on, and the generation that proves it current.
    async fn base(
        &self,
        place: &Place,
        key: &SubjectKey,
        user: &str,
    ) -> Result<(Arc<Known>, u64), ReadError> {
        let generation = self.memory.pending.generation(key.bytes());
        let known = match self.known_now(key) {
            Some(known) => known,
            None => self.read_through(place, key, user).await?,
        };
        Ok((known, generation))
    }

    /// Reads a user from the ledger and lays recovered records over it.
    async fn read_through(
        &self,
        place: &Place,
        key: &SubjectKey,
        user: &str,
    ) -> Result<Arc<Known>, ReadError> {
        for _ in 0..STEP_TRIES_MAX {
            let asked_at = self.memory.pending.generation(key.bytes());
            let (below, generation) = match self.ask(place, key, Kind::User, user).await? {
                Answer::User(known, generation) => (known, generation),
                Answer::Group(..) | Answer::Away => {
                    let recovered = matches!(
                        self.memory
                            .pending
                            .lock(key.bytes())
                            .caught_up(key.bytes(), &self.journal),
                        Some(Entry::Recovered(_))
                    );
                    // Whoever has records of ours is known, even if not completely.
                    if self.on_unknown == OnUnknownSubject::Refuse && !recovered {
                        return Err(ReadError::Unknown);
                    }
                    (Arc::new(Known::unseen(user, true)), asked_at)
                }
            };
            // What was settled while the ledger answered is in neither of the
            // two: then it is asked again.
            if let Some(known) = self.raise_recovered(key, below, generation) {
                return Ok(known);
            }
        }
        Err(ReadError::Busy)
    }

    async fn ask(
        &self,
        place: &Place,
        key: &SubjectKey,
        kind: Kind,
        id: &str,
    ) -> Result<Answer, ReadError> {
        let (sender, answer) = oneshot::channel();
        let job = Job {
            key: key.bytes().into(),
            kind,
            environment: place.snapshot.environment.clone(),
            id: id.into(),
            answer: sender,
        };
        self.jobs.try_send(job).map_err(|_| ReadError::Busy)?;
        // The reader ends only when the process stops.
        Ok(answer.await.unwrap_or(Answer::Away))
    }
}

/// Waits for the sync, then says so.
async fn acknowledged(stepped: Stepped, ticket: Option<Ticket>) -> Result<Stepped, WriteError> {
    if let Some(ticket) = ticket {
        ticket.durable().await.map_err(|_| WriteError::Unclear)?;
    }
    Ok(stepped)
}

/// What the caller of a write hears when the journal does not take a record.
pub(super) fn refused(error: AppendError) -> WriteError {
    match error {
        AppendError::Full => WriteError::Unavailable("too many steps wait for the disk"),
        AppendError::Quota => WriteError::Unavailable("the journal has reached its size limit"),
        AppendError::TooLarge => WriteError::TooLarge(error.to_string()),
        AppendError::NotWritable => WriteError::Unavailable("the journal cannot be written"),
        AppendError::Failed => WriteError::Unclear,
    }
}
