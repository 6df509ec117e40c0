//! How does the journal reach the ledger?
//!
//! One [`Lane`] for each journal and environment: it asks where the ledger
//! stands, then sends what follows in hash-chained batches, one at a time, and
//! repeats a batch unchanged until it has a definite answer. Each step is one
//! call, driven from outside, so that a simulation can interleave them. Only
//! synced records are ever sent. A ledger that has less than it said before was
//! restored from a backup: the lane goes back with it. What happens when
//! somebody else writes under the same journal id stands in [`super::forking`].

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, atomic::Ordering},
};

use tokio::sync::watch;

use super::{
    LedgerError, ProgressLedger,
    enrolling::KnownMembership,
    event::{Base, Batch, BatchAnswer, Event, Outcome, RecordOutcome, ShippedRecord},
    keys::{Kind, MembershipKey, MembershipName, SubjectKey},
    known::{Known, KnownGroup},
    stepping::Progress,
    subjects::Kept,
};
use crate::{
    current::Current,
    disk::journal::{Alias, JournalReader, Record},
    limits::{SHIP_BYTES_MAX, SHIP_RECORDS_MAX, SUBJECT_ID_BYTES_MAX},
};

/// Carries the records of one environment out of one journal.
pub struct Lane {
    pub(super) progress: Progress,
    ledger: Arc<dyn ProgressLedger>,
    pub(super) environment: Box<str>,
    current: Arc<Current>,
    pub(super) journal: Arc<str>,
    /// The name its records travel under, if that is not the journal's id.
    pub(super) alias: Option<Alias>,
    pub(super) reader: JournalReader,
    /// The ledger's chain hash; none until it has been asked.
    pub(super) previous: Option<String>,
    /// What the ledger is known to have of this journal.
    pub(super) watermark: u64,
    /// What was read and is not settled.
    pub(super) load: Option<Load>,
    /// Everything up to this seq has been dealt with here.
    pub(super) done_through: u64,
    /// Up to this seq memory was told what became of our records. Above
    /// `done_through` after the ledger has gone back.
    told_through: u64,
    /// What was dealt with before the ledger went back; it may be gone here.
    gone_through: u64,
    /// The ledger may not be the one that was asked.
    is_doubtful: bool,
    /// Told of gaps in the change stream.
    gaps: watch::Receiver<u64>,
    /// Bytes of what was read and memory was not told of, by seq.
    lengths: BTreeMap<u64, usize>,
    /// Records that this release cannot read; they stay on disk.
    unread: u64,
}

/// What was read from the journal in one go.
pub(super) struct Load {
    /// Without `records` until it is known what it follows on. Then it stays
    /// as it is until there is a definite answer: repeated unchanged, it
    /// cannot be applied twice and cannot look like a fork.
    pub(super) batch: Batch,
    /// The last seq read, whoever's record it was.
    last: u64,
    /// Whether the batch has been made up.
    pub(super) ready: bool,
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
    /// Somebody else writes under the same name: what is not settled will be
    /// sent under another one.
    Forked(Alias),
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
    /// Synced records are not where they were written.
    #[error("records through seq {through} were synced, none is found behind seq {position}")]
    Missing {
        /// Synced up to here.
        through: u64,
        /// Read up to here.
        position: u64,
    },
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
            alias: progress.memory.journals.alias(environment, journal),
            gaps: progress.watch_gaps(),
            lengths: BTreeMap::new(),
            progress,
            ledger,
            environment: environment.into(),
            current,
            journal: journal.into(),
            reader,
            previous: None,
            watermark: 0,
            load: None,
            done_through: 0,
            told_through: 0,
            gone_through: 0,
            is_doubtful: false,
            unread: 0,
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

    /// Records that could not be read and were passed over.
    pub fn unread(&self) -> u64 {
        self.unread
    }

    /// Sends at most one batch of what is synced up to `through`. May be
    /// dropped at any wait: the next call goes on from there.
    pub async fn step(&mut self, through: u64) -> Result<Shipped, ShipError> {
        #[cfg(test)]
        let through = match self.progress.flaw {
            Some(super::stepping::Flaw::ShipUnsynced) => self.progress.journal.status().last_seq,
            _ => through,
        };
        self.progress.sweep();
        self.is_doubtful |= self.gaps.has_changed().unwrap_or(false);
        if self.is_doubtful {
            self.ask_again().await?;
        }
        if self.load.is_none() {
            if self.done_through >= through {
                return Ok(Shipped::Idle);
            }
            self.load = self.read(through)?;
        }
        // The ledger is not bothered with what concerns other environments.
        if self.load.is_none() {
            return Ok(Shipped::Moved { outcomes: [0; 4] });
        }
        if self.previous.is_none() {
            self.ask().await?;
        }
        self.make_up_batch();
        let Some(load) = &self.load else {
            return Ok(Shipped::Moved { outcomes: [0; 4] });
        };
        let answer = match self.ledger.ship(&self.environment, &load.batch).await {
            Ok(answer) => answer,
            Err(LedgerError::Fork(why)) => return self.forked(&why).await,
            Err(error) => return Err(error.into()),
        };
        if answer.outcomes.len() != load.batch.records.len() {
            return Err(ShipError::Answer {
                found: answer.outcomes.len(),
                expected: load.batch.records.len(),
            });
        }
        self.progress.memory.taken.fetch_add(1, Ordering::Release);
        let mut outcomes = [0; 4];
        if let Some(Load { batch, last, .. }) = self.load.take() {
            for (record, outcome) in batch.records.iter().zip(&answer.outcomes) {
                outcomes[outcome.outcome as usize] += 1;
                self.settle(&record.event, outcome);
                self.watermark = record.seq;
            }
            self.done_through = last;
        }
        self.previous = Some(answer.hash);
        Ok(Shipped::Moved { outcomes })
    }

    /// Tells the ledger that nothing follows in this journal, unless it never
    /// heard of it.
    pub async fn close(&mut self) -> Result<(), LedgerError> {
        let Some(hash) = &self.previous else {
            return Ok(());
        };
        let closed = self.ledger.close(&self.environment, self.name(), hash);
        let closed = closed.await;
        self.is_doubtful |= matches!(closed, Err(LedgerError::Fork(_)));
        closed
    }

    /// The name records travel under.
    fn name(&self) -> &str {
        let alias = self.alias.as_ref();
        alias.map_or(&*self.journal, |alias| &alias.id)
    }

    /// Asks where the ledger stands with this journal.
    async fn ask(&mut self) -> Result<(), LedgerError> {
        let answer = self.question().await?;
        self.watermark = self.found(&answer);
        self.previous = Some(answer.hash);
        Ok(())
    }

    /// What the ledger has under this name.
    pub(super) async fn question(&self) -> Result<BatchAnswer, LedgerError> {
        let question = Batch {
            journal: self.name().to_owned(),
            previous: String::new(),
            records: Vec::new(),
        };
        self.ledger.ship(&self.environment, &question).await
    }

    /// Up to where the answer to a question says that there is nothing to send.
    pub(super) fn found(&self, answer: &BatchAnswer) -> u64 {
        // What came before the alias was settled.
        let before = self.alias.as_ref().map_or(0, |alias| alias.after);
        answer.watermark.unwrap_or(0).max(before)
    }

    /// Asks a ledger again that was asked before and may be another one since.
    async fn ask_again(&mut self) -> Result<(), LedgerError> {
        self.gaps.mark_unchanged();
        if self.previous.is_some() {
            // A call that is dropped or fails leaves the doubt.
            self.is_doubtful = true;
            let answer = self.question().await?;
            let found = self.found(&answer);
            if found < self.watermark {
                self.rewind(found);
            }
            // Above what it was told somebody else writes under our id. While
            // there is something to send, the refusal of that leads on; of an
            // earlier journal that has nothing left, all is there.
            let is_empty = self.load.is_none() && *self.journal != *self.progress.journal.id();
            if found <= self.watermark || is_empty {
                self.watermark = found;
                self.previous = Some(answer.hash);
                if let Some(load) = &mut self.load {
                    load.ready = false;
                }
            }
        }
        self.is_doubtful = false;
        Ok(())
    }

    /// The ledger has only what stands up to here, as after a restore: sends
    /// again what follows, as far as it is still on our disk.
    pub(super) fn rewind(&mut self, watermark: u64) {
        tracing::warn!(journal = %self.journal, environment = %self.environment,
            had = self.watermark, has = watermark,
            "the ledger has gone back; records it lacks are sent again, as far as they are still here");
        self.gone_through = self.gone_through.max(self.done_through);
        self.done_through = self.done_through.min(watermark);
        self.reader.seek_after(watermark);
        self.load = None;
    }

    /// Makes up the batch of what was read, unless it was sent before. What
    /// the ledger took in an earlier life of this edge is settled here; what
    /// it made of it is read again.
    fn make_up_batch(&mut self) {
        let Some(mut load) = self.load.take_if(|load| !load.ready) else {
            return;
        };
        let records = std::mem::take(&mut load.batch.records);
        let (taken, rest): (Vec<_>, Vec<_>) = records
            .into_iter()
            .partition(|one| one.seq <= self.watermark);
        for record in &taken {
            let outcome = RecordOutcome {
                seq: record.seq,
                outcome: Outcome::Already,
                doc_rev: 0,
                as_recorded: false,
                membership: None,
                why: None,
            };
            self.settle(&record.event, &outcome);
        }
        if rest.is_empty() {
            self.done_through = load.last;
            return;
        }
        load.batch.records = rest;
        load.batch.previous = self.previous.clone().unwrap_or_default();
        load.ready = true;
        self.load = Some(load);
    }

    /// The next records of this environment; none when there are none in what
    /// was read.
    fn read(&mut self, through: u64) -> Result<Option<Load>, ShipError> {
        let position = self.reader.position();
        let records = self
            .reader
            .read(through, SHIP_RECORDS_MAX, SHIP_BYTES_MAX / 2)?;
        let Some(last) = records.last().map(|record| record.seq) else {
            if through <= self.gone_through {
                // The ledger had it once and it was removed here.
                self.done_through = through;
                return Ok(None);
            }
            if self.reader.position() > position {
                // Settled records stood there, whose room was given back.
                self.done_through = self.reader.position();
                return Ok(None);
            }
            return Err(ShipError::Missing { through, position });
        };
        let mut own = Vec::with_capacity(records.len());
        for record in &records {
            if let Some(event) = self.own(record) {
                if record.seq > self.told_through {
                    self.lengths.insert(record.seq, record.body.len());
                }
                own.push(ShippedRecord {
                    seq: record.seq,
                    wall_ms: record.wall_ms,
                    event,
                });
            }
        }
        if own.is_empty() {
            self.done_through = last;
            return Ok(None);
        }
        let batch = Batch {
            journal: self.name().to_owned(),
            previous: String::new(),
            records: own,
        };
        Ok(Some(Load {
            batch,
            last,
            ready: false,
        }))
    }

    /// The record's event if it belongs to this lane.
    pub(super) fn own(&mut self, record: &Record) -> Option<Event> {
        let mut event: Event = serde_json::from_slice(&record.body)
            .inspect_err(|error| {
                // Its checksum fits, so a newer release wrote it, and that
                // release can ship it.
                self.unread += 1;
                tracing::error!(journal = %self.journal, seq = record.seq, %error,
                    "a journal record cannot be read and is passed over");
            })
            .ok()?;
        if event.environment != *self.environment {
            return None;
        }
        // What it rests on may have travelled under another name.
        if let Base::Record { journal, seq } = &mut event.base {
            let journals = &self.progress.memory.journals;
            let name = journals.name_of_record(&self.environment, journal, *seq);
            *journal = name.unwrap_or_else(|| std::mem::take(journal));
        }
        Some(event)
    }

    /// Tells memory what became of a record.
    fn settle(&mut self, event: &Event, outcome: &RecordOutcome) {
        if matches!(outcome.outcome, Outcome::Dead | Outcome::Superseded) {
            tracing::warn!(journal = %self.journal, seq = outcome.seq, outcome = ?outcome.outcome,
                why = outcome.why.as_deref().unwrap_or(""), "a record was not applied");
        }
        if outcome.seq <= self.told_through {
            // Sent again: memory counts it no more, and may have read what the
            // ledger had without it.
            return self.progress.read_again(event);
        }
        self.told_through = outcome.seq;
        let owner = self.progress.owner(&self.environment);
        let bytes = self.lengths.remove(&outcome.seq);
        self.progress.journal.discharge(owner, bytes.into_iter());
        let slot = self.current.slot(&event.environment_uid);
        // A longer id was never written by us, and nothing was put back for it.
        let fits = |id: &str| id.len() <= SUBJECT_ID_BYTES_MAX;
        let (doc_rev, as_recorded) = (outcome.doc_rev, outcome.as_recorded);
        if event.operation.is_of_user() && fits(&event.user) {
            let key = SubjectKey::new(Kind::User, slot, &event.user);
            self.settle_subject::<Known>(key.bytes(), doc_rev, as_recorded);
        }
        let groups = event.operation.groups();
        for group in groups.iter().filter(|group| fits(&group.identifier)) {
            let key = SubjectKey::new(Kind::Group, slot, &group.identifier);
            self.settle_subject::<KnownGroup>(key.bytes(), 0, false);
        }
        let name = event.membership.as_ref().map(MembershipName::of);
        if let Some(key) = name.and_then(|name| MembershipKey::new(slot, &name)) {
            // Kept when the ledger has just this; otherwise it is read again.
            let stands = outcome.membership.as_ref();
            let as_recorded = stands.is_some_and(|stands| stands.membership == event.membership);
            let doc_rev = stands.map_or(0, |stands| stands.doc_rev);
            self.settle_subject::<KnownMembership>(key.bytes(), doc_rev, as_recorded);
        }
        // What the ledger made of it, and what others changed while it lay
        // over that, can be read from here on.
        drop(self.progress.news(&event.user, groups));
    }

    fn settle_subject<T: Kept>(&self, key: &[u8], doc_rev: u64, as_recorded: bool) {
        let mut locked = T::pending(&self.progress.memory).lock(key);
        locked.settle(key, &self.progress.journal, doc_rev, as_recorded);
    }
}
