//! How is a subject read that is not in memory?
//!
//! Workers hand a job to this task on the control runtime over a bounded
//! channel and wait. Jobs for one subject are answered by one call to the
//! ledger, unless a record of the subject was settled after the call began:
//! whoever asks later must not be given an answer from before. While the
//! ledger is away, further calls are not even tried for a moment, so that a
//! dead upstream costs a request nothing but its miss.

use std::{collections::HashMap, future::Future, pin::Pin, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use super::{
    ProgressLedger,
    known::{Known, profile_of},
    ledger::LedgerError,
    stepping::Memory,
    subjects::Kind,
};
use crate::{
    evaluate::Profile,
    limits::{READ_QUEUE_MAX, READS_IN_FLIGHT_MAX},
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
    /// User or group.
    pub(super) kind: Kind,
    /// Environment name.
    pub(super) environment: Box<str>,
    /// User or group id.
    pub(super) id: Box<str>,
    /// The subject's generation when it was missed: an answer read in an
    /// earlier one does not do.
    pub(super) generation: u64,
    /// Where the answer goes.
    pub(super) answer: oneshot::Sender<Answer>,
}

/// A subject as the ledger has it.
#[derive(Clone)]
pub(super) enum Below {
    /// A user's document.
    User(Arc<Known>),
    /// A group's record, and the last of any journal's that it includes.
    Group(Arc<Profile>, Option<(Arc<str>, u64)>),
}

/// What the ledger said; none when it could not be asked.
pub(super) type Answer = Option<Below>;

/// The task that reads; runs on the control runtime.
pub struct Reader {
    pub(super) jobs: mpsc::Receiver<Job>,
    pub(super) ledger: Arc<dyn ProgressLedger>,
    pub(super) memory: Arc<Memory>,
    pub(super) away_pause: Duration,
}

/// One call under way and who waits for it.
struct Reading {
    generation: u64,
    answers: Vec<oneshot::Sender<Answer>>,
    /// They asked in a later generation.
    later: Vec<Job>,
}

type Done = (Box<[u8]>, Result<Below, LedgerError>);
type Call = Pin<Box<dyn Future<Output = Done> + Send>>;

/// What is under way.
struct Desk {
    ledger: Arc<dyn ProgressLedger>,
    memory: Arc<Memory>,
    readings: HashMap<Box<[u8]>, Reading>,
    calls: FuturesUnordered<Call>,
    away_until: Option<Instant>,
}

/// The channel between workers and the reader.
pub(super) fn channel() -> (mpsc::Sender<Job>, mpsc::Receiver<Job>) {
    mpsc::channel(READ_QUEUE_MAX)
}

impl Reader {
    pub(super) fn new(
        jobs: mpsc::Receiver<Job>,
        ledger: Arc<dyn ProgressLedger>,
        memory: Arc<Memory>,
    ) -> Self {
        Self {
            jobs,
            ledger,
            memory,
            away_pause: AWAY_PAUSE,
        }
    }

    /// Answers until every worker is gone.
    pub async fn run(mut self) {
        let mut desk = Desk {
            ledger: self.ledger,
            memory: self.memory,
            readings: HashMap::new(),
            calls: FuturesUnordered::new(),
            away_until: None,
        };
        loop {
            tokio::select! {
                // Answers first: there are only so many, and each may spare a
                // call.
                biased;
                Some((key, result)) = desk.calls.next() => {
                    if let Err(LedgerError::Away(_)) = &result {
                        desk.away_until = Some(Instant::now() + self.away_pause);
                    }
                    desk.answer(&key, result);
                }
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
            if job.generation <= reading.generation {
                reading.answers.push(job.answer);
            } else {
                reading.later.push(job);
            }
            return;
        }
        if self.away_until.is_some_and(|until| Instant::now() < until) {
            tell(vec![job.answer], None);
            return;
        }
        let entries = self.memory.entries(job.kind);
        // Before the call: the answer holds for this generation or later ones.
        let generation = entries.generation(&job.key);
        let reading = Reading {
            generation,
            answers: vec![job.answer],
            later: Vec::new(),
        };
        self.readings.insert(job.key.clone(), reading);
        self.calls.push(Box::pin(read(
            self.ledger.clone(),
            self.memory.clone(),
            (job.key, generation),
            job.kind,
            job.environment,
            job.id,
        )));
    }

    fn answer(&mut self, key: &[u8], result: Result<Below, LedgerError>) {
        let Some(reading) = self.readings.remove(key) else {
            return;
        };
        let answer = result.inspect_err(|error| {
            tracing::warn!(%error, "a subject could not be read from the ledger");
        });
        tell(reading.answers, answer.ok().as_ref());
        for job in reading.later {
            self.take(job);
        }
    }
}

async fn read(
    ledger: Arc<dyn ProgressLedger>,
    memory: Arc<Memory>,
    (key, generation): (Box<[u8]>, u64),
    kind: Kind,
    environment: Box<str>,
    id: Box<str>,
) -> Done {
    let result = match kind {
        Kind::User => ledger
            .user(&environment, &id)
            .await
            .map(|document| Below::User(Arc::new(Known::of(&document)))),
        Kind::Group => ledger.group(&environment, &id).await.map(|mut record| {
            let taken = record.last.take();
            let taken = taken.map(|(journal, seq)| (journal.into(), seq));
            Below::Group(Arc::new(profile_of(record)), taken)
        }),
    };
    if let Ok(below) = &result {
        // Under the lock, so that an entry cannot leave between check and insert.
        let locked = memory.entries(kind).lock(&key);
        if locked.is_generation(&key, generation) {
            match below {
                Below::User(known) => memory.subjects.keep_user(&key, known.clone()),
                Below::Group(profile, _) => memory.subjects.keep_group(&key, profile.clone()),
            }
        }
    }
    (key, result)
}

fn tell(waiting: Vec<oneshot::Sender<Answer>>, answer: Option<&Below>) {
    for sender in waiting {
        // Whoever asked may have hung up since; that is their right.
        drop(sender.send(answer.cloned()));
    }
}
