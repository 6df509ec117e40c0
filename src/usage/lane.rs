//! How does the use of flags in one environment come to the store, once?
//!
//! Records of a journal are merged into a batch that says where it begins and
//! ends; the store takes it if it stands at its beginning, and else says where
//! it stands, from where the lane goes on. So an answer that was lost, a crash
//! between two steps and a store from a backup all come to the same sums.

use std::{collections::BTreeMap, collections::VecDeque, future::Future, io, pin::Pin, sync::Arc};

use super::{
    HourCount, Sighting, Tally, UsageBatch, UsageRecord, UsageTaken,
    told::{Dropped, Sent, UsageCounters},
};
use crate::{
    clock::UnixMs,
    disk::journal::JournalReader,
    limits::{
        USAGE_BATCH_BYTES_MAX, USAGE_BATCH_COUNTS_MAX, USAGE_RECORD_BYTES_MAX,
        USAGE_RECORD_ROWS_MAX,
    },
};

/// Bodies of records that are merged into one batch. Together they take no more
/// room than apart, but for numbers that grow.
const MERGED_BYTES_MAX: usize = USAGE_BATCH_BYTES_MAX / 2;

/// Records read at a time.
const READ_AT_ONCE: usize = 64;

/// A boxed future: the trait is used as `dyn` on the control path only.
pub type SinkFuture<'a> = Pin<Box<dyn Future<Output = Result<UsageTaken, SinkError>> + Send + 'a>>;

/// Who takes the use of flags in the end.
pub trait UsageSink: Send + Sync + 'static {
    /// Takes a batch, or says where it stands.
    fn take<'a>(&'a self, environment: &'a str, batch: &'a UsageBatch) -> SinkFuture<'a>;
}

/// Why a batch was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SinkError {
    /// Not reached, too busy, or the key is not good: try again later.
    #[error("the store cannot be reached: {0}")]
    Away(String),
    /// It answers, and knows of no such thing.
    #[error("the store is of an older release and takes no use of flags")]
    Older,
    /// It will never take this batch.
    #[error("the store refused: {0}")]
    Refused(String),
}

/// Why a step came to nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum LaneError {
    /// The store.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// The journal.
    #[error("the journal of the use of flags cannot be read: {0}")]
    Read(#[from] io::Error),
}

/// What a step did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Moved {
    /// There is nothing to ship.
    Idle,
    /// The store has come further.
    On,
    /// The store will never take it, so it is given up; in its words.
    GivenUp(String),
}

/// One environment's records of one journal, on their way.
pub(super) struct Lane {
    environment: String,
    /// All that are served; records of others are nobody's.
    environments: Arc<[String]>,
    journal: String,
    reader: JournalReader,
    sink: Arc<dyn UsageSink>,
    counters: Arc<UsageCounters>,
    /// Where the store stands.
    mark: u64,
    /// Read and not shipped: seq, bytes of the body, and what it says.
    ahead: VecDeque<(u64, usize, UsageRecord)>,
}

impl Lane {
    /// At the beginning of a journal; the store says how far it has come.
    pub(super) fn new(
        (environment, environments): (&str, &Arc<[String]>),
        (journal, reader): (&str, JournalReader),
        sink: Arc<dyn UsageSink>,
        counters: Arc<UsageCounters>,
    ) -> Self {
        Self {
            environment: environment.to_owned(),
            environments: Arc::clone(environments),
            journal: journal.to_owned(),
            reader,
            sink,
            counters,
            mark: 0,
            ahead: VecDeque::new(),
        }
    }

    /// Everything up to here is shipped, or nobody's.
    pub(super) fn done_through(&self) -> u64 {
        match self.ahead.front() {
            Some((seq, ..)) => seq - 1,
            None => self.reader.position(),
        }
    }

    /// Ships one batch of what is in the journal up to `through`.
    pub(super) async fn step(&mut self, through: u64) -> Result<Moved, LaneError> {
        self.read(through)?;
        let (records, rows, batch) = self.batch();
        if records == 0 {
            return Ok(Moved::Idle);
        }
        match self.sink.take(&self.environment, &batch).await {
            Ok(taken) if taken.taken => {
                self.counters.sent(Sent::Taken);
                self.counters.dropped(Dropped::LeftOut, taken.left_out);
                self.mark = batch.through;
                self.ahead.drain(..records);
                Ok(Moved::On)
            }
            Ok(taken) if taken.through == batch.after => {
                self.counters.sent(Sent::Failed);
                let text = format!(
                    "it stands at {} and does not take what follows",
                    taken.through
                );
                Err(SinkError::Away(text).into())
            }
            Ok(taken) => {
                self.counters.sent(Sent::Elsewhere);
                self.mark = taken.through;
                self.reader.seek_after(taken.through);
                self.ahead.clear();
                Ok(Moved::On)
            }
            Err(SinkError::Refused(why)) => {
                self.counters.sent(Sent::Refused);
                self.counters.dropped(Dropped::Refused, rows);
                self.ahead.drain(..records);
                Ok(Moved::GivenUp(why))
            }
            Err(error) => {
                self.counters.sent(Sent::Failed);
                Err(error.into())
            }
        }
    }

    /// Reads on until there is enough for a batch, or nothing more.
    fn read(&mut self, through: u64) -> io::Result<()> {
        while self.ahead.iter().map(|(_, bytes, _)| bytes).sum::<usize>() < MERGED_BYTES_MAX {
            let records = self.reader.read(through, READ_AT_ONCE, MERGED_BYTES_MAX)?;
            if records.is_empty() {
                break;
            }
            for record in records {
                let (seq, bytes) = (record.seq, record.body.len());
                match serde_json::from_slice::<UsageRecord>(&record.body) {
                    Ok(own) if own.environment == self.environment => {
                        self.ahead.push_back((seq, bytes, own));
                    }
                    Ok(other) if self.environments.contains(&other.environment) => {}
                    // All lanes come by here; one of them counts it.
                    _ if self.environments.first() != Some(&self.environment) => {}
                    Ok(other) => {
                        let rows = other.counts.len() + other.seen.len();
                        self.counters
                            .dropped(Dropped::OtherEnvironment, rows as u64);
                    }
                    Err(_) => self.counters.dropped(Dropped::Unreadable, 1),
                }
            }
        }
        Ok(())
    }

    /// Merges the first records: how many, into how many rows, and the batch.
    fn batch(&self) -> (usize, u64, UsageBatch) {
        let mut counts: BTreeMap<(UnixMs, &str, &str), (UnixMs, Tally)> = BTreeMap::new();
        let mut seen: BTreeMap<(&str, &str, &str, &str), Sighting> = BTreeMap::new();
        let (mut records, mut bytes, mut through) = (0, 0, 0);
        for (seq, own_bytes, record) in &self.ahead {
            let rows = counts.len().max(seen.len());
            let fits = bytes + own_bytes <= MERGED_BYTES_MAX
                && rows + record.counts.len().max(record.seen.len()) <= USAGE_BATCH_COUNTS_MAX;
            if records > 0 && !fits {
                break;
            }
            for own in &record.counts {
                let place = (own.hour_ms, own.app.as_str(), own.flag.as_str());
                let (seen_ms, tally) = counts.entry(place).or_default();
                *seen_ms = own.seen_ms.max(*seen_ms);
                tally.add(&own.counts);
            }
            for own in &record.seen {
                seen.entry(own.place())
                    .or_insert_with(|| own.clone())
                    .add(own);
            }
            (records, bytes, through) = (records + 1, bytes + own_bytes, *seq);
        }
        let counts = counts.into_iter();
        let counts = counts.map(|((hour_ms, app, flag), (seen_ms, counts))| HourCount {
            hour_ms,
            app: app.to_owned(),
            flag: flag.to_owned(),
            seen_ms,
            counts,
        });
        let batch = UsageBatch {
            journal: self.journal.clone(),
            after: self.mark,
            through,
            counts: counts.collect(),
            seen: seen.into_values().collect(),
        };
        let rows = batch.counts.len() + batch.seen.len();
        (records, rows as u64, batch)
    }
}

// A single record always fits.
const _: () = {
    assert!(USAGE_RECORD_ROWS_MAX <= USAGE_BATCH_COUNTS_MAX);
    assert!(USAGE_RECORD_BYTES_MAX <= MERGED_BYTES_MAX);
};
