//! How is a step decided, stored and acknowledged?
//!
//! [`Progress`] is what request handlers call. Reading is synchronous whenever
//! memory has the subject. A step takes its user's shard for one pure
//! transition and one enqueue, then waits for the sync outside of it. A
//! handler may be dropped at any wait: what it queued goes its way without it.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use tokio::sync::{mpsc, watch};

use super::{
    OnUnknownSubject, ProgressLedger, ProgressOptions, Reader,
    enrolling::KnownMembership,
    event::GroupDocument,
    gathering::{GatheringCounts, ReadCounts},
    journals::Journals,
    keys::{Kind, SubjectKey},
    known::{Known, KnownGroup},
    listening::{Listener, Listening, ListeningCounts, News},
    pending::Pending,
    reading::{self, Job},
    request::{StepRequest, Stepped, WriteError},
    seats::Seats,
    subjects::Subjects,
    ticks::Ticks,
    tokens::{self, Tokens, Wait},
};
use crate::{
    disk::journal::{AppendError, Journal, Owner, Pressure, Ticket},
    limits::{READS_WAITING_MAX, READS_WAITING_PER_KEY_MAX, STEP_TRIES_MAX},
};

/// What is in memory, shared by workers, reader and shipper.
pub(crate) struct Memory {
    pub(super) subjects: Arc<Subjects>,
    /// Users with records outstanding.
    pub(super) pending: Pending<Known>,
    /// Groups with records outstanding; apart, because they are locked while
    /// a user's shard is held.
    pub(super) groups: Pending<KnownGroup>,
    /// Percentage decisions that are not settled; locked while a user's shard
    /// is held, like groups, and never together with those.
    pub(super) memberships: Pending<KnownMembership>,
    /// What others have changed.
    pub(super) ticks: Ticks,
    /// Which journals records of ours are in.
    pub(super) journals: Journals,
    /// What is known of tokens that clients show.
    pub(super) tokens: Tokens,
    /// Calls for users, counted.
    pub(super) gathered: Arc<GatheringCounts>,
    /// Reads that wait for the ledger.
    pub(super) reads: Seats,
    /// Who is told of changes.
    pub(super) listening: Arc<Listening>,
    /// Counts batches that a ledger has taken.
    pub(super) taken: AtomicU64,
    /// Counts gaps in the change streams, for whoever ships.
    pub(super) gaps: watch::Sender<u64>,
    #[cfg(test)]
    pub(super) flaw: Option<Flaw>,
}

/// The face of this folder.
#[derive(Clone)]
pub struct Progress {
    pub(super) memory: Arc<Memory>,
    pub(super) journal: Journal,
    pub(super) jobs: mpsc::Sender<Job>,
    pub(super) waits: mpsc::Sender<Wait>,
    /// Records outstanding before a write is refused.
    pub(super) records_max: usize,
    /// Names of environments; the index is the journal's owner.
    environments: Arc<[String]>,
    pub(super) on_unknown: OnUnknownSubject,
    /// Name of this edge in records.
    pub(super) edge: Arc<str>,
    /// Steps whose logic blocks were stopped at their limit.
    pub(super) capped: Arc<AtomicU64>,
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
    /// What another edge changed goes unheard.
    SkipTick,
    /// A document is as new as its answer, not as its question.
    LateTick,
    /// A gap in the change stream is taken for silence.
    CalmGap,
    /// Records that are only on disk are not laid over what the ledger says.
    ForgetTail,
}

/// What one try at a write came to.
pub(super) enum Attempt<A> {
    /// A subject changed between reading and deciding.
    Raced,
    /// Decided; wait for the ticket before saying so.
    Decided {
        /// What the caller is told.
        told: A,
        /// None when nothing had to be stored and nothing is on its way.
        ticket: Option<Ticket>,
    },
}

impl Memory {
    /// Records outstanding.
    pub(super) fn records(&self) -> usize {
        self.pending.records() + self.groups.records() + self.memberships.records()
    }

    fn new(
        (users_max, resident_max): (u64, usize),
        journal: &Journal,
        #[cfg(test)] flaw: Option<Flaw>,
    ) -> Arc<Self> {
        let subjects = Arc::new(Subjects::new(users_max));
        Arc::new(Self {
            pending: Pending::new(
                subjects.clone(),
                resident_max,
                #[cfg(test)]
                flaw,
            ),
            groups: Pending::new(
                subjects.clone(),
                resident_max,
                #[cfg(test)]
                flaw,
            ),
            memberships: Pending::new(
                subjects.clone(),
                resident_max,
                #[cfg(test)]
                flaw,
            ),
            ticks: Ticks::new(),
            journals: Journals::new(journal.shared_id(), journal.aliases()),
            listening: Listening::new(),
            tokens: Tokens::new(),
            gathered: Arc::default(),
            reads: Seats::new(READS_WAITING_MAX, READS_WAITING_PER_KEY_MAX),
            taken: AtomicU64::new(0),
            gaps: watch::Sender::new(0),
            subjects,
            #[cfg(test)]
            flaw,
        })
    }
}

impl Progress {
    /// The face, and the task that reads for it on the control runtime.
    pub fn new(
        journal: Journal,
        ledger: Arc<dyn ProgressLedger>,
        options: ProgressOptions,
    ) -> (Self, Reader) {
        let memory = Memory::new(
            (options.users_max, options.resident_max),
            &journal,
            #[cfg(test)]
            None,
        );
        let (sender, jobs) = reading::channel();
        let (waits, waiting) = tokens::channel();
        let progress = Self {
            memory: memory.clone(),
            journal: journal.clone(),
            jobs: sender,
            waits,
            records_max: options.records_max,
            environments: options.environments.into(),
            on_unknown: options.on_unknown,
            edge: options.edge.into(),
            capped: Arc::default(),
            #[cfg(test)]
            flaw: None,
        };
        (
            progress,
            Reader::new((jobs, waiting), ledger, memory, journal),
        )
    }

    /// Takes a step and returns when it is durable.
    pub async fn step(&self, request: StepRequest<'_>) -> Result<Stepped, WriteError> {
        self.sweep();
        let place = &request.place;
        let group = match request.group {
            Some(group) => {
                let key = SubjectKey::new(Kind::Group, place.slot, group);
                Some(self.group(place, &key, group).await?.cached.document)
            }
            None => None,
        };
        let group = group.as_ref().map(|group| &*group.profile);
        let key = SubjectKey::new(Kind::User, place.slot, request.user);
        for _ in 0..STEP_TRIES_MAX {
            let decided = match &request.membership {
                Some(membership) => self.decided(place, membership).await?,
                None => None,
            };
            let found = self.user(place, &key, request.user).await?;
            match self.attempt_step(&request, &key, &found, group, decided.as_ref())? {
                Attempt::Raced => {}
                Attempt::Decided { told, ticket } => {
                    let news = self.news(request.user, &[]);
                    return self.acknowledged(told, ticket, news).await;
                }
            }
        }
        Err(WriteError::Unavailable("the user changes too quickly"))
    }

    /// Why no write is taken at the moment; none when writes are.
    pub fn refuses(&self) -> Option<Refuses> {
        let status = self.journal.status();
        if !status.writable {
            Some(Refuses::Disk)
        } else if status.pressure == Pressure::Full {
            Some(Refuses::Quota)
        } else if self.backlog() >= self.records_max {
            Some(Refuses::Backlog)
        } else {
            None
        }
    }

    /// Whose records those of an environment are for the journal.
    pub(super) fn owner(&self, environment: &str) -> Owner {
        let mut names = self.environments.iter();
        let at = names.position(|own| own == environment);
        Owner(at.and_then(|at| u16::try_from(at).ok()).unwrap_or(u16::MAX))
    }

    /// Lets go of states while too many are pinned.
    pub(super) fn relieve(&self) {
        self.memory.pending.relieve(&self.journal);
        self.memory.groups.relieve(&self.journal);
        self.memory.memberships.relieve(&self.journal);
    }

    /// Users with records outstanding: those whose state is pinned, and those
    /// of whom only the places of records are.
    pub fn users_outstanding(&self) -> (usize, usize) {
        let resident = self.memory.pending.resident();
        let all = self.memory.pending.entries();
        (resident, all.saturating_sub(resident))
    }

    /// Records the ledger has not settled yet, each counted for every subject
    /// it is about: user, groups, percentage decision.
    pub fn backlog(&self) -> usize {
        self.sweep();
        self.memory.records()
    }

    /// Forgets everywhere what a failed commit has voided. Nothing is done
    /// unless one has failed.
    pub(super) fn sweep(&self) {
        self.memory.pending.sweep(&self.journal);
        self.memory.groups.sweep(&self.journal);
        self.memory.memberships.sweep(&self.journal);
    }

    /// Users in memory.
    pub fn users_cached(&self) -> u64 {
        self.memory.subjects.count()
    }

    /// Steps stored so far whose logic blocks were stopped at their limit.
    pub fn steps_capped(&self) -> u64 {
        self.capped.load(Ordering::Relaxed)
    }

    /// A listener is woken whenever this user, or this group, may have changed.
    pub fn listen(&self, user: &str, group: Option<&str>) -> Listener {
        self.memory.listening.listen(user, group)
    }

    /// Lets whoever follows this user on this edge say again what holds: a
    /// client may have assumed that a step was taken that was not.
    pub fn remind(&self, user: &str) {
        self.memory.listening.remind(user);
    }

    /// What the hub of listeners has counted.
    pub fn listening(&self) -> ListeningCounts {
        self.memory.listening.counts()
    }

    /// What was counted of calls for users.
    pub fn reads(&self) -> ReadCounts {
        self.memory.gathered.get()
    }

    /// Waits until what was queued up to `seq` is synced. For ever, when a
    /// commit failed and nothing follows it.
    pub async fn synced(&self, seq: u64) {
        // The journal outlives whoever waits for it.
        drop(
            self.journal
                .watch_synced()
                .wait_for(|synced| *synced >= seq)
                .await,
        );
    }

    /// What is to be told of a write about these.
    pub(super) fn news<'a>(&'a self, user: &'a str, groups: &'a [GroupDocument]) -> News<'a> {
        News {
            listening: &self.memory.listening,
            user,
            groups,
            unsynced: 0,
        }
    }

    /// Told whenever a change stream has had a gap: what the ledger is known to
    /// have may have to be asked again.
    pub fn watch_gaps(&self) -> watch::Receiver<u64> {
        self.memory.gaps.subscribe()
    }

    /// Waits for the sync, then says so, also to who listens.
    pub(super) async fn acknowledged<A>(
        &self,
        told: A,
        ticket: Option<Ticket>,
        mut news: News<'_>,
    ) -> Result<A, WriteError> {
        #[cfg(test)]
        if self.flaw == Some(Flaw::AcknowledgeEarly) {
            return Ok(told);
        }
        if let Some(ticket) = ticket {
            news.unsynced = ticket.seq;
            ticket.durable().await.map_err(|_| WriteError::Unclear)?;
            news.unsynced = 0;
            self.relieve();
        }
        drop(news);
        Ok(told)
    }
}

#[cfg(test)]
impl Progress {
    /// As [`Progress::new`], making one mistake, and without a pause after a
    /// call to the ledger has failed: a simulation has no clock to wait for.
    pub(super) fn flawed(
        journal: Journal,
        ledger: Arc<dyn ProgressLedger>,
        options: ProgressOptions,
        flaw: Option<Flaw>,
    ) -> (Self, Reader) {
        let bounds = (options.users_max, options.resident_max);
        let memory = Memory::new(bounds, &journal, flaw);
        let (mut progress, mut reader) = Self::new(journal, ledger, options);
        progress.memory = memory;
        progress.flaw = flaw;
        reader.memory = progress.memory.clone();
        reader.away_pause = std::time::Duration::ZERO;
        (progress, reader)
    }
}

/// Why no write is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refuses {
    /// The disk failed several times in a row, or the edge stops.
    Disk,
    /// The journal has reached its cap.
    Quota,
    /// As many records are outstanding as may be.
    Backlog,
}

impl Refuses {
    /// Its name in status and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Disk => "disk",
            Self::Quota => "quota",
            Self::Backlog => "backlog",
        }
    }
}

/// What the caller of a write hears when the journal does not take a record.
pub(super) fn refused(error: AppendError) -> WriteError {
    match error {
        AppendError::Full => WriteError::Unavailable("too many steps wait for the disk"),
        AppendError::Quota => WriteError::Unavailable("the journal has reached its size limit"),
        AppendError::Share => WriteError::Share,
        AppendError::TooLarge => WriteError::TooMuch(error.to_string()),
        AppendError::NotWritable => WriteError::Unavailable("the journal cannot be written"),
        AppendError::Failed => WriteError::Unclear,
    }
}
