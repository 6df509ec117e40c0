//! How is a subject read that is not in memory?
//!
//! Workers hand a job to this task on the control runtime over a bounded
//! channel and wait. Jobs for one subject are answered by one call to the
//! ledger. While the ledger is away, further calls are not even tried for a
//! moment, so that a dead upstream costs a request nothing but its miss.

use std::{collections::HashMap, sync::Arc, time::Duration};

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
    /// Where the answer goes.
    pub(super) answer: oneshot::Sender<Answer>,
}

/// What the ledger said, and the generation of the subject's shard before it
/// was asked: an entry that left since may be missing in the answer.
#[derive(Clone)]
pub(super) enum Answer {
    /// A user's document.
    User(Arc<Known>, u64),
    /// A group's record.
    Group(Arc<Profile>, u64),
    /// It could not be asked.
    Away,
}

/// The task that reads; runs on the control runtime.
pub struct Reader {
    pub(super) jobs: mpsc::Receiver<Job>,
    pub(super) ledger: Arc<dyn ProgressLedger>,
    pub(super) memory: Arc<Memory>,
}

/// The channel between workers and the reader.
pub(super) fn channel() -> (mpsc::Sender<Job>, mpsc::Receiver<Job>) {
    mpsc::channel(READ_QUEUE_MAX)
}

impl Reader {
    /// Answers until every worker is gone.
    pub async fn run(mut self) {
        let mut waiting: HashMap<Box<[u8]>, Vec<oneshot::Sender<Answer>>> = HashMap::new();
        let mut reads = FuturesUnordered::new();
        let mut away_until: Option<Instant> = None;
        loop {
            tokio::select! {
                job = self.jobs.recv(), if reads.len() < READS_IN_FLIGHT_MAX => {
                    let Some(job) = job else { return };
                    if let Some(others) = waiting.get_mut(&job.key) {
                        others.push(job.answer);
                        continue;
                    }
                    if away_until.is_some_and(|until| Instant::now() < until) {
                        answer(vec![job.answer], &Answer::Away);
                        continue;
                    }
                    waiting.insert(job.key.clone(), vec![job.answer]);
                    reads.push(read(
                        self.ledger.clone(),
                        self.memory.clone(),
                        job.key,
                        job.kind,
                        job.environment,
                        job.id,
                    ));
                }
                Some((key, result)) = reads.next() => {
                    let result = result.unwrap_or_else(|error| {
                        tracing::warn!(%error, "a subject could not be read from the ledger");
                        away_until = Some(Instant::now() + AWAY_PAUSE);
                        Answer::Away
                    });
                    answer(waiting.remove(&key).unwrap_or_default(), &result);
                }
            }
        }
    }
}

async fn read(
    ledger: Arc<dyn ProgressLedger>,
    memory: Arc<Memory>,
    key: Box<[u8]>,
    kind: Kind,
    environment: Box<str>,
    id: Box<str>,
) -> (Box<[u8]>, Result<Answer, LedgerError>) {
    let entries = match kind {
        Kind::User => &memory.pending,
        Kind::Group => &memory.groups,
    };
    let generation = entries.generation(&key);
    let result = match kind {
        Kind::User => ledger
            .user(&environment, &id)
            .await
            .map(|document| Answer::User(Arc::new(Known::of(&document)), generation)),
        Kind::Group => ledger
            .group(&environment, &id)
            .await
            .map(|record| Answer::Group(Arc::new(profile_of(record)), generation)),
    };
    if let Ok(answer) = &result {
        // Under the lock, so that an entry cannot leave between check and insert.
        let locked = entries.lock(&key);
        if locked.is_generation(generation) {
            match answer {
                Answer::User(known, _) => memory.subjects.keep_user(&key, known.clone()),
                Answer::Group(profile, _) => memory.subjects.keep_group(&key, profile.clone()),
                Answer::Away => {}
            }
        }
    }
    (key, result)
}

fn answer(waiting: Vec<oneshot::Sender<Answer>>, answer: &Answer) {
    for sender in waiting {
        // Whoever asked may have hung up since; that is their right.
        drop(sender.send(answer.clone()));
    }
}
