//! How is a subject read that is not in memory?
//!
//! Workers hand a job to this task on the control runtime over a bounded
//! channel and wait. Jobs for one subject are answered by one call to the
//! ledger, unless a record of the subject was settled after the call began:
//! whoever asks later must not be given an answer from before. While the
//! ledger is away, further calls are not even tried for a moment, so that a
//! dead upstream costs a request nothing but its miss.

use std::{
    collections::HashMap,
    future::Future,
    pin::{Pin, pin},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};
use tracing::{Instrument as _, Span};

use super::{
    ProgressLedger,
    enrolling::KnownMembership,
    gathering::Gathering,
    keys::OwnedName,
    known::{Known, KnownGroup},
    ledger::LedgerError,
    stepping::Memory,
    subjects::{Below, Cached, Kept},
    tail::{self, Tail},
    ticks::Tick,
    tokens::{self, Wait},
};
use crate::{
    disk::journal::Journal,
    limits::{READS_IN_FLIGHT_MAX, READS_WAITING_MAX},
};

/// After a failed call: long enough to spare a dead upstream a storm of
/// connects, short enough that nobody notices its return.
const AWAY_PAUSE: Duration = Duration::from_millis(500);

/// What an unknown user gets while upstream is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnUnknownSubject {
    /// Served as if new; every step is journaled, depending on a start that
    /// holds only if the user really was new.
    ServeAsNew,
    /// Refused with 503.
    Refuse,
}

/// One subject somebody waits for.
pub(super) struct Job {
    /// As in the maps.
    pub(super) key: Box<[u8]>,
    /// Environment name.
    pub(super) environment: Box<str>,
    /// Which subject.
    pub(super) name: OwnedName,
    /// The subject's generation when it was missed: an answer read in an
    /// earlier one does not do.
    pub(super) generation: u64,
    /// Nor does one whose read began before this.
    pub(super) tick: Tick,
    /// Of the request that waits, where that is traced.
    pub(super) span: Span,
    /// Where the answer goes.
    pub(super) answer: oneshot::Sender<Answer>,
}

/// What the ledger said.
#[derive(Clone)]
pub(super) enum Answer {
    /// The document, and the subject's records if they are only on disk.
    Known(Below, Option<Tail>),
    /// It could not be asked; such records are good without it.
    Away(Option<Tail>),
    /// Such records could not be read.
    Unreadable,
    /// It was asked, and gave no document: nothing may be assumed of the
    /// subject, who may well be known.
    Refused,
}

/// The task that reads; runs on the control runtime.
pub struct Reader {
    pub(super) jobs: mpsc::Receiver<Job>,
    pub(super) waits: mpsc::Receiver<Wait>,
    pub(super) ledger: Arc<dyn ProgressLedger>,
    pub(super) memory: Arc<Memory>,
    pub(super) journal: Journal,
    pub(super) away_pause: Duration,
}

/// One call under way and who waits for it.
struct Reading {
    generation: u64,
    tick: Tick,
    answers: Vec<oneshot::Sender<Answer>>,
    /// They asked in a later generation, or know of a change since.
    later: Vec<Job>,
}

/// What a call came to: what the ledger said, if it was asked, and the records
/// that are only on disk.
struct Done {
    key: Box<[u8]>,
    said: Option<Result<Below, LedgerError>>,
    tail: std::io::Result<Option<Tail>>,
}

type Call = Pin<Box<dyn Future<Output = Done> + Send>>;

/// What is under way.
struct Desk {
    gathering: Arc<Gathering>,
    ledger: Arc<dyn ProgressLedger>,
    memory: Arc<Memory>,
    journal: Journal,
    readings: HashMap<Box<[u8]>, Reading>,
    calls: FuturesUnordered<Call>,
    /// The ledger was away: until when that is believed, and what it had taken
    /// by then.
    away: Option<(Instant, u64)>,
}

/// The channel between workers and the reader.
pub(super) fn channel() -> (mpsc::Sender<Job>, mpsc::Receiver<Job>) {
    // As many as there are seats.
    mpsc::channel(READS_WAITING_MAX)
}

impl Reader {
    pub(super) fn new(
        (jobs, waits): (mpsc::Receiver<Job>, mpsc::Receiver<Wait>),
        ledger: Arc<dyn ProgressLedger>,
        memory: Arc<Memory>,
        journal: Journal,
    ) -> Self {
        Self {
            jobs,
            waits,
            ledger,
            memory,
            journal,
            away_pause: AWAY_PAUSE,
        }
    }

    /// Answers until every worker is gone.
    pub async fn run(mut self) {
        let (ledger, memory) = (self.ledger.clone(), self.memory.clone());
        let mut waiting = pin!(tokens::serve(self.waits, ledger.clone(), memory.clone()));
        let gathered = memory.gathered.clone();
        let mut desk = Desk {
            gathering: Arc::new(Gathering::new(ledger, gathered)),
            ledger: self.ledger,
            memory,
            journal: self.journal,
            readings: HashMap::new(),
            calls: FuturesUnordered::new(),
            away: None,
        };
        loop {
            tokio::select! {
                // Answers first: there are only so many, and each may spare a
                // call.
                biased;
                Some(done) = desk.calls.next() => {
                    if let Some(Err(LedgerError::Away(_))) = &done.said {
                        let taken = desk.memory.taken.load(Ordering::Acquire);
                        desk.away = Some((Instant::now() + self.away_pause, taken));
                    }
                    desk.answer(done);
                }
                () = &mut waiting => return,
                job = self.jobs.recv(), if desk.calls.len() < READS_IN_FLIGHT_MAX => {
                    let Some(job) = job else { return };
                    desk.take(job);
                }
            }
        }
    }
}

impl Desk {
    /// Joins a call that is under way, or begins one.
    fn take(&mut self, job: Job) {
        if let Some(reading) = self.readings.get_mut(&job.key) {
            if job.generation <= reading.generation && job.tick.is_covered_by(reading.tick) {
                reading.answers.push(job.answer);
            } else {
                reading.later.push(job);
            }
            return;
        }
        let is_away = self.is_away();
        if is_away && !self.is_on_disk(&job) {
            tell(vec![job.answer], &Answer::Away(None));
            return;
        }
        // Before the call: the answer holds for these or later ones.
        let generation = match job.name {
            OwnedName::User(_) => self.memory.pending.generation(&job.key),
            OwnedName::Group(_) => self.memory.groups.generation(&job.key),
            OwnedName::Membership(..) => self.memory.memberships.generation(&job.key),
        };
        let tick = self.memory.ticks.again(job.tick);
        let reading = Reading {
            generation,
            tick,
            answers: vec![job.answer],
            later: Vec::new(),
        };
        self.readings.insert(job.key.clone(), reading);
        let read = Read {
            memory: self.memory.clone(),
            journal: self.journal.clone(),
            key: job.key,
            generation,
            tick,
        };
        let ledger = (!is_away).then(|| (self.ledger.clone(), self.gathering.clone()));
        // In the trace of who asked first; those who join have spans of their
        // own, which last as long.
        let reading = read.run(ledger, job.environment, job.name);
        self.calls.push(Box::pin(reading.instrument(job.span)));
    }

    fn is_on_disk(&self, job: &Job) -> bool {
        let (memory, journal, key) = (&self.memory, &self.journal, &job.key);
        match job.name {
            OwnedName::User(_) => tail::is_on_disk::<Known>(memory, journal, key),
            OwnedName::Group(_) => tail::is_on_disk::<KnownGroup>(memory, journal, key),
            OwnedName::Membership(..) => tail::is_on_disk::<KnownMembership>(memory, journal, key),
        }
    }

    /// Whether it is spared the next call. A ledger that has taken records since
    /// is back, and what was settled by that must be read from it: nobody may be
    /// taken for new whose steps were acknowledged.
    fn is_away(&self) -> bool {
        let taken = self.memory.taken.load(Ordering::Acquire);
        self.away
            .is_some_and(|(until, before)| taken == before && Instant::now() < until)
    }

    fn answer(&mut self, done: Done) {
        let Some(reading) = self.readings.remove(&done.key) else {
            return;
        };
        let answer = match (done.tail, done.said) {
            (Err(error), _) => {
                tracing::error!(%error, "a subject's records cannot be read back, which is not served");
                Answer::Unreadable
            }
            (Ok(tail), Some(Ok(below))) => Answer::Known(below, tail),
            (Ok(tail), None) => Answer::Away(tail),
            (Ok(tail), Some(Err(error @ LedgerError::Away(_)))) => {
                tracing::warn!(%error, "a subject could not be read from the ledger");
                Answer::Away(tail)
            }
            (Ok(_), Some(Err(error))) => {
                tracing::error!(%error, "the ledger does not give a subject, which is not served");
                Answer::Refused
            }
        };
        tell(reading.answers, &answer);
        for job in reading.later {
            self.take(job);
        }
    }
}

/// One call to the ledger, and when it began.
struct Read {
    memory: Arc<Memory>,
    journal: Journal,
    key: Box<[u8]>,
    generation: u64,
    tick: Tick,
}

impl Read {
    async fn run(
        self,
        ledger: Option<(Arc<dyn ProgressLedger>, Arc<Gathering>)>,
        environment: Box<str>,
        name: OwnedName,
    ) -> Done {
        let (memory, journal, key) = (&*self.memory, &self.journal, &self.key);
        let tail = match &name {
            OwnedName::User(_) => tail::read::<Known>(memory, journal, key).await,
            OwnedName::Group(_) => tail::read::<KnownGroup>(memory, journal, key).await,
            OwnedName::Membership(..) => tail::read::<KnownMembership>(memory, journal, key).await,
        };
        let said = match ledger {
            Some((ledger, gathering)) => {
                let ledger = (&*ledger, &*gathering);
                Some(self.ask(ledger, &environment, &name).await)
            }
            None => None,
        };
        Done {
            key: self.key,
            said,
            tail,
        }
    }

    async fn ask(
        &self,
        (ledger, gathering): (&dyn ProgressLedger, &Gathering),
        environment: &str,
        name: &OwnedName,
    ) -> Result<Below, LedgerError> {
        match name {
            OwnedName::User(id) => {
                let read = gathering.user(environment, id).await;
                read.map(|user| Below::User(self.keep(Known::of(&user))))
            }
            OwnedName::Group(id) => {
                let read = ledger.group(environment, id).await;
                read.map(|group| Below::Group(self.keep(KnownGroup::of(group))))
            }
            OwnedName::Membership(deployment, id, conversation) => {
                let conversation = conversation.as_deref();
                let read = ledger.membership(environment, deployment, id, conversation);
                let read = read.await;
                read.map(|record| Below::Membership(self.keep(KnownMembership::of(&record))))
            }
        }
    }

    fn keep<T: Kept>(&self, document: T) -> Cached<T> {
        let begun = (self.generation, self.tick);
        keep(&self.memory, &self.key, begun, document)
    }
}

/// Keeps what was read, unless records of ours were settled since it was begun.
pub(super) fn keep<T: Kept>(
    memory: &Memory,
    key: &[u8],
    (generation, tick): (u64, Tick),
    document: T,
) -> Cached<T> {
    #[cfg(test)]
    let tick = match memory.flaw {
        Some(super::stepping::Flaw::LateTick) => memory.ticks.again(tick),
        _ => tick,
    };
    let cached = Cached {
        document: Arc::new(document),
        tick,
        through: None,
    };
    // Under the lock, so that an entry cannot leave between check and insert.
    let locked = T::pending(memory).lock(key);
    if locked.is_generation(key, generation) {
        let cache = T::cache(&memory.subjects);
        // Of two reads that began alike the ledger may have answered the one
        // that comes last before the other.
        let newer = cache
            .get(key)
            .filter(|held| held.tick == tick && held.through.is_none())
            .filter(|held| held.document.rev() > cached.document.rev());
        if let Some(newer) = newer {
            return newer;
        }
        cache.insert(key.into(), cached.clone());
    }
    cached
}

fn tell(waiting: Vec<oneshot::Sender<Answer>>, answer: &Answer) {
    for sender in waiting {
        // Whoever asked may have hung up since; that is their right.
        drop(sender.send(answer.clone()));
    }
}
