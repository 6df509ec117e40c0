//! How does the journal reach the ledger?
//!
//! One [`Lane`] for each journal and environment: it asks where the ledger
//! stands, then sends what follows in hash-chained batches, one at a time, and
//! repeats a batch unchanged until it has a definite answer. Each step is one
//! call, driven from outside, so that a simulation can interleave them. Only
//! synced records are ever sent.

use std::{io, sync::Arc};

use super::{
    LedgerError, ProgressLedger,
    event::{Batch, BatchAnswer, Event, Operation, Outcome, RecordOutcome, ShippedRecord},
    pending::Left,
    stepping::Progress,
    subjects::{Kind, SubjectKey},
};
use crate::{
    current::{Current, EnvironmentSlot},
    disk::journal::{JournalReader, Record},
    limits::{SHIP_BYTES_MAX, SHIP_RECORDS_MAX, SUBJECT_ID_BYTES_MAX},
};

/// Carries the records of one environment out of one journal.
pub struct Lane {
    progress: Progress,
    ledger: Arc<dyn ProgressLedger>,
    environment: Box<str>,
    current: Arc<Current>,
    journal: Arc<str>,
    reader: JournalReader,
    /// The ledger's chain hash; none until it has been asked.
    previous: Option<String>,
    /// Everything up to this seq is settled at the ledger as far as this
    /// environment is concerned.
    watermark: u64,
    /// Sent, and without a definite answer so far.
    in_flight: Option<(Batch, u64)>,
    /// Everything up to this seq has been dealt with here.
    done_through: u64,
}

/// What one step did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shipped {
    /// Nothing to send up to the given end.
    Idle,
    /// More may follow at once.
    Moved {
        /// Outcomes by kind: applied, already, superseded, dead.
        outcomes: [u64; 4],
    },
}

/// Why a step did not get through.
#[derive(Debug, thiserror::Error)]
pub enum ShipError {
    /// The ledger did not take it.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The journal could not be read.
    #[error("the journal cannot be read back")]
    Journal(#[from] io::Error),
    /// The ledger's answer does not fit the batch.
    #[error("the ledger answered {found} outcomes for {expected} records")]
    Answer {
        /// Outcomes in the answer.
        found: usize,
        /// Records in the batch.
        expected: usize,
    },
}

impl Lane {
    /// A lane from the start of a journal.
    pub fn new(
        progress: Progress,
        ledger: Arc<dyn ProgressLedger>,
        environment: &str,
        current: Arc<Current>,
        journal: &str,
        reader: JournalReader,
    ) -> Self {
        Self {
            progress,
            ledger,
            environment: environment.into(),
            current,
            journal: journal.into(),
            reader,
            previous: None,
            watermark: 0,
            in_flight: None,
            done_through: 0,
        }
    }

    /// Everything up to this seq may be forgotten for this environment.
    pub fn done_through(&self) -> u64 {
        self.done_through
    }

    /// The journal this lane empties.
    pub fn journal(&self) -> &str {
        &self.journal
    }

    /// The environment this lane serves.
    pub fn environment(&self) -> &str {
        &self.environment
    }

    /// Sends at most one batch of what is synced up to `through`.
    pub async fn step(&mut self, through: u64) -> Result<Shipped, ShipError> {
        if self.in_flight.is_none() && self.done_through >= through {
            return Ok(Shipped::Idle);
        }
        if self.previous.is_none() {
            let answer = self.send(Vec::new(), String::new()).await?;
            self.watermark = answer.watermark.unwrap_or(0);
            self.previous = Some(answer.hash);
        }
        let (batch, last) = match self.in_flight.take() {
            Some(sent) => sent,
            None => match self.next_batch(through)? {
                Next::Batch(batch, last) => (batch, last),
                Next::Passed(last) => {
                    self.done_through = last;
                    return Ok(Shipped::Moved { outcomes: [0; 4] });
                }
            },
        };
        // Kept until there is a definite answer: repeated unchanged, it cannot
        // be applied twice and cannot look like a fork.
        let result = self.ledger.ship(&self.environment, &batch).await;
        let answer = match result {
            Ok(answer) if answer.outcomes.len() == batch.records.len() => answer,
            Ok(answer) => {
                let error = ShipError::Answer {
                    found: answer.outcomes.len(),
                    expected: batch.records.len(),
                };
                self.in_flight = Some((batch, last));
                return Err(error);
            }
            Err(error) => {
                self.in_flight = Some((batch, last));
                return Err(error.into());
            }
        };
        let mut outcomes = [0; 4];
        for (record, outcome) in batch.records.iter().zip(&answer.outcomes) {
            outcomes[outcome.outcome as usize] += 1;
            self.settle(&record.event, outcome);
        }
        self.watermark = answer.watermark.unwrap_or(last).max(self.watermark);
        self.previous = Some(answer.hash);
        self.done_through = last;
        Ok(Shipped::Moved { outcomes })
    }

    /// Tells the ledger that nothing follows in this journal.
    pub async fn close(&self) -> Result<(), LedgerError> {
        self.ledger.close(&self.environment, &self.journal).await
    }

    async fn send(
        &self,
        records: Vec<ShippedRecord>,
        previous: String,
    ) -> Result<BatchAnswer, LedgerError> {
        let batch = Batch {
            journal: self.journal.to_string(),
            previous,
            records,
        };
        self.ledger.ship(&self.environment, &batch).await
    }

    fn next_batch(&mut self, through: u64) -> Result<Next, ShipError> {
        let records = self
            .reader
            .read(through, SHIP_RECORDS_MAX, SHIP_BYTES_MAX / 2)?;
        let last = records.last().map_or(through, |record| record.seq);
        let mut batch = Vec::with_capacity(records.len());
        for record in &records {
            let Some(event) = self.own(record) else {
                continue;
            };
            if record.seq <= self.watermark {
                // The ledger took it in an earlier life of this edge; what it
                // made of it is read again.
                let outcome = RecordOutcome {
                    seq: record.seq,
                    outcome: Outcome::Already,
                    doc_rev: 0,
                    as_recorded: false,
                    why: None,
                };
                self.settle(&event, &outcome);
                continue;
            }
            batch.push(ShippedRecord {
                seq: record.seq,
                wall_ms: record.wall_ms,
                event,
            });
        }
        if batch.is_empty() {
            return Ok(Next::Passed(last));
        }
        let batch = Batch {
            journal: self.journal.to_string(),
            previous: self.previous.clone().unwrap_or_default(),
            records: batch,
        };
        Ok(Next::Batch(batch, last))
    }

    /// The record's event if it belongs to this lane.
    fn own(&self, record: &Record) -> Option<Event> {
        let event: Event = serde_json::from_slice(&record.body)
            .inspect_err(|error| {
                // Its checksum fits, so a newer release wrote it: it stays on
                // disk only as long as its segment.
                tracing::error!(journal = %self.journal, seq = record.seq, %error,
                    "a journal record cannot be read and is passed over");
            })
            .ok()?;
        (event.environment == *self.environment).then_some(event)
    }

    /// Tells memory what became of a record.
    fn settle(&self, event: &Event, outcome: &RecordOutcome) {
        if matches!(outcome.outcome, Outcome::Dead | Outcome::Superseded) {
            tracing::warn!(journal = %self.journal, seq = outcome.seq, outcome = ?outcome.outcome,
                why = outcome.why.as_deref().unwrap_or(""), "a record was not applied");
        }
        let slot = self.current.slot(&event.environment_uid);
        self.settle_subject(
            slot,
            Kind::User,
            &event.user,
            outcome.doc_rev,
            outcome.as_recorded,
        );
        if let Operation::Identify { groups, .. } = &event.operation {
            for group in groups {
                self.settle_subject(slot, Kind::Group, &group.identifier, 0, false);
            }
        }
    }

    fn settle_subject(
        &self,
        slot: EnvironmentSlot,
        kind: Kind,
        id: &str,
        doc_rev: u64,
        as_recorded: bool,
    ) {
        if id.len() > SUBJECT_ID_BYTES_MAX {
            return;
        }
        let memory = &self.progress.memory;
        let key = SubjectKey::new(kind, slot, id);
        let entries = match kind {
            Kind::User => &memory.pending,
            Kind::Group => &memory.groups,
        };
        let mut locked = entries.lock(key.bytes());
        let left = locked.settle(key.bytes(), &self.progress.journal, doc_rev, as_recorded);
        // Still under the shard's lock, so that nobody reads between.
        match left {
            Some(Left::Known(known)) => memory.subjects.keep_user(key.bytes(), known),
            Some(Left::Unknown) => memory.subjects.forget(key.bytes()),
            // A group of a recovered record has no entry: what was read of it
            // before the ledger took the record is old now.
            None if kind == Kind::Group && locked.is_absent(key.bytes()) => {
                locked.outdate();
                memory.subjects.forget(key.bytes());
            }
            None => {}
        }
    }
}

enum Next {
    /// To be sent; the seq its last record (or a later foreign one) has.
    Batch(Batch, u64),
    /// Nothing of ours up to here.
    Passed(u64),
}
