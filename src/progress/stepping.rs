//! How is a step decided, stored and acknowledged?
//!
//! [`Progress`] is what request handlers call. Reading is synchronous whenever
//! memory has the subject. A step takes its user's shard for one pure
//! transition and one enqueue, then waits for the sync outside of it. A
//! handler may be dropped at any wait: what it queued goes its way without it.

use std::sync::{Arc, Mutex};

use tokio::sync::{mpsc, oneshot};

use super::{
    OnUnknownSubject, ProgressLedger, Reader,
    identifying::FoundGroup,
    known::Known,
    pending::{Entry, Pending},
    reading::{self, Answer, Below, Job},
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
    pub(super) subjects: Arc<Subjects>,
    /// Users with records outstanding.
    pub(super) pending: Pending,
    /// Groups with records outstanding; apart, because they are locked while
    /// a user's shard is held.
    pub(super) groups: Pending,
    /// Journals of earlier runs in the order in which they were begun; written
    /// at boot only.
    pub(super) earlier: Mutex<Vec<Arc<str>>>,
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
    #[cfg(test)]
    pub(super) flaw: Option<Flaw>,
}

/// Mistakes that the simulation must notice.
#[cfg(test)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// Records are shipped as soon as they stand in the file.
    ShipUnsynced,
    /// A success is answered before its record is synced.
    AcknowledgeEarly,
    /// An answer that changes nothing does not wait for what it rests on.
    HastyNoOps,
    /// Every record claims to rest on the ledger's document.
    ForgetOwnRecords,
    /// An entry leaves and nobody is told.
    KeepGeneration,
    /// Records of a failed commit stay in memory.
    SkipEra,
}

/// A subject as it was found, and the generation that proves it current.
pub(super) struct Found<T> {
    pub(super) subject: Arc<T>,
    pub(super) generation: u64,
}

/// What one try at a write found.
pub(super) enum Attempt {
    /// The subject changed between reading and deciding.
    Raced,
    /// Decided; wait for the ticket before saying so.
    Decided {
        stepped: Stepped,
        /// None when nothing had to be stored and nothing is on its way.
        ticket: Option<Ticket>,
    },
}

impl Memory {
    /// Where subjects of this kind have their records.
    pub(super) fn entries(&self, kind: Kind) -> &Pending {
        match kind {
            Kind::User => &self.pending,
            Kind::Group => &self.groups,
        }
    }

    fn new(users_max: u64, #[cfg(test)] flaw: Option<Flaw>) -> Arc<Self> {
        let subjects = Arc::new(Subjects::new(users_max));
        let pending = || {
            Pending::new(
                subjects.clone(),
                #[cfg(test)]
                flaw,
            )
        };
        Arc::new(Self {
            pending: pending(),
            groups: pending(),
            earlier: Mutex::default(),
            subjects,
        })
    }
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
        let memory = Memory::new(
            users_max,
            #[cfg(test)]
            None,
        );
        let (sender, jobs) = reading::channel();
        let progress = Self {
            memory: memory.clone(),
            journal,
            jobs: sender,
            records_max,
            on_unknown,
            edge: edge.into(),
            #[cfg(test)]
            flaw: None,
        };
        (progress, Reader::new(jobs, ledger, memory))
    }

    /// The fast path: what memory holds, without waiting. None on any miss.
    pub fn cached(&self, slot: EnvironmentSlot, user: &str, group: Option<&str>) -> Option<Read> {
        let key = SubjectKey::new(Kind::User, slot, user);
        let known = self.user_now(&key)?;
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
        let known = self.user(place, &key, user).await?.subject;
        let group = match group {
            Some(group) => Some(self.group(place, group).await?.found.subject),
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
        self.memory.pending.sweep(&self.journal);
        let group = match request.group {
            Some(group) => Some(self.group(&request.place, group).await?.found.subject),
            None => None,
        };
        let key = SubjectKey::new(Kind::User, request.place.slot, request.user);
        for _ in 0..STEP_TRIES_MAX {
            let found = self.user(&request.place, &key, request.user).await?;
            match self.attempt_step(&request, &key, &found, group.as_deref())? {
                Attempt::Raced => {}
                Attempt::Decided { stepped, ticket } => {
                    return self.acknowledged(stepped, ticket).await;
                }
            }
        }
        Err(WriteError::Unavailable("the user changes too quickly"))
    }

    /// Merges properties and returns when durable.
    pub async fn identify(&self, request: IdentifyRequest) -> Result<Option<Token>, WriteError> {
        self.memory.groups.sweep(&self.journal);
        let key = SubjectKey::new(Kind::User, request.place.slot, &request.user);
        for _ in 0..STEP_TRIES_MAX {
            let mut groups = Vec::with_capacity(request.groups.len());
            for group in &request.groups {
                groups.push(self.group(&request.place, &group.identifier).await?);
            }
            let found = self.user(&request.place, &key, &request.user).await?;
            match self.attempt_identify(&request, &key, &found, &groups)? {
                Attempt::Raced => {}
                Attempt::Decided { stepped, ticket } => {
                    return Ok(self.acknowledged(stepped, ticket).await?.token);
                }
            }
        }
        Err(WriteError::Unavailable("the user changes too quickly"))
    }

    /// Whether writes are taken at the moment.
    pub fn writable(&self) -> bool {
        self.journal.writable() && self.backlog() < self.records_max
    }

    /// Records the ledger has not settled yet.
    pub fn backlog(&self) -> usize {
        self.memory.pending.sweep(&self.journal);
        self.memory.groups.sweep(&self.journal);
        self.memory.pending.records()
    }

    /// Users in memory.
    pub fn users_cached(&self) -> u64 {
        self.memory.subjects.count()
    }

    /// The user as readers see them, if memory has them.
    fn user_now(&self, key: &SubjectKey) -> Option<Arc<Known>> {
        let pending = &self.memory.pending;
        if !pending.is_clear(key.bytes()) {
            match pending.lock(key.bytes()).entry(key.bytes(), &self.journal) {
                Some(Entry::User(live)) => return Some(live.seen(&self.journal).clone()),
                // What lies below is still to be read: not a hit.
                Some(_) => return None,
                None => {}
            }
        }
        self.memory.subjects.user(key)
    }

    fn group_now(&self, key: &SubjectKey) -> Option<Arc<Profile>> {
        let groups = &self.memory.groups;
        if !groups.is_clear(key.bytes()) {
            match groups.lock(key.bytes()).entry(key.bytes(), &self.journal) {
                Some(Entry::Group(live)) => return Some(live.seen(&self.journal).clone()),
                Some(_) => return None,
                None => {}
            }
        }
        self.memory.subjects.group(key)
    }

    /// A user from memory or from the ledger, with recovered records laid over.
    pub(super) async fn user(
        &self,
        place: &Place,
        key: &SubjectKey,
        user: &str,
    ) -> Result<Found<Known>, ReadError> {
        for _ in 0..STEP_TRIES_MAX {
            let generation = self.memory.pending.generation(key.bytes());
            if let Some(subject) = self.user_now(key) {
                return Ok(Found {
                    subject,
                    generation,
                });
            }
            let answer = self.ask(place, key, user, generation).await?;
            let nobody = || Below::User(Arc::new(Known::unseen(user, true)));
            let below = self.or_assumed(key, answer, nobody)?;
            if let Some(Below::User(subject)) = self.raise(key, below, generation) {
                return Ok(Found {
                    subject,
                    generation,
                });
            }
        }
        Err(ReadError::Busy)
    }

    /// The same for a group.
    pub(super) async fn group(&self, place: &Place, group: &str) -> Result<FoundGroup, ReadError> {
        let key = SubjectKey::new(Kind::Group, place.slot, group);
        for _ in 0..STEP_TRIES_MAX {
            let generation = self.memory.groups.generation(key.bytes());
            let mut subject = self.group_now(&key);
            if subject.is_none() {
                let answer = self.ask(place, &key, group, generation).await?;
                let nobody = || {
                    let profile = Profile {
                        identifier: group.into(),
                        ..Profile::default()
                    };
                    Below::Group(Arc::new(profile), None)
                };
                let below = self.or_assumed(&key, answer, nobody)?;
                if let Some(Below::Group(raised, _)) = self.raise(&key, below, generation) {
                    subject = Some(raised);
                }
            }
            if let Some(subject) = subject {
                let found = Found {
                    subject,
                    generation,
                };
                return Ok(FoundGroup { key, found });
            }
        }
        Err(ReadError::Busy)
    }

    /// What the ledger said, or what the operator wants when it could not be
    /// asked. Whoever has records of ours is known, even if not completely.
    fn or_assumed(
        &self,
        key: &SubjectKey,
        answer: Answer,
        nobody: impl FnOnce() -> Below,
    ) -> Result<Below, ReadError> {
        if let Some(below) = answer {
            return Ok(below);
        }
        let mut locked = self.memory.entries(key.kind()).lock(key.bytes());
        let is_ours = locked.entry(key.bytes(), &self.journal).is_some();
        if self.on_unknown == OnUnknownSubject::Refuse && !is_ours {
            return Err(ReadError::Unknown);
        }
        Ok(nobody())
    }

    async fn ask(
        &self,
        place: &Place,
        key: &SubjectKey,
        id: &str,
        generation: u64,
    ) -> Result<Answer, ReadError> {
        let (sender, answer) = oneshot::channel();
        let job = Job {
            key: key.bytes().into(),
            kind: key.kind(),
            environment: place.snapshot.environment.clone(),
            id: id.into(),
            generation,
            answer: sender,
        };
        self.jobs.try_send(job).map_err(|_| ReadError::Busy)?;
        // The reader ends only when the process stops.
        Ok(answer.await.unwrap_or(None))
    }

    /// Waits for the sync, then says so.
    async fn acknowledged(
        &self,
        stepped: Stepped,
        ticket: Option<Ticket>,
    ) -> Result<Stepped, WriteError> {
        #[cfg(test)]
        if self.flaw == Some(Flaw::AcknowledgeEarly) {
            return Ok(stepped);
        }
        if let Some(ticket) = ticket {
            ticket.durable().await.map_err(|_| WriteError::Unclear)?;
        }
        Ok(stepped)
    }
}

#[cfg(test)]
impl Progress {
    /// As [`Progress::new`], making one mistake, and without a pause after a
    /// call to the ledger has failed: a simulation has no clock to wait for.
    pub(super) fn flawed(
        journal: Journal,
        ledger: Arc<dyn ProgressLedger>,
        records_max: usize,
        on_unknown: OnUnknownSubject,
        flaw: Option<Flaw>,
    ) -> (Self, Reader) {
        let (mut progress, mut reader) =
            Self::new(journal, ledger, 1_000, records_max, on_unknown, "edge");
        progress.memory = Memory::new(1_000, flaw);
        progress.flaw = flaw;
        reader.memory = progress.memory.clone();
        reader.away_pause = std::time::Duration::ZERO;
        (progress, reader)
    }
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
