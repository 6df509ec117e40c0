//! What does a shipped batch do to the users it speaks of?
//!
//! A batch is one transaction. Its place in the journal is checked first (the
//! hash chain), then every record gets exactly one terminal outcome; one
//! record that does not fit never stops the others. The rules for a single
//! record stand in `judge`, `identify` and `membership`, all pure; storage is
//! the engine's.

mod acting;
mod again;
mod chain;
pub(crate) mod changes;
mod counting;
mod effects;
mod enrolling;
mod erasing;
mod identify;
mod importing;
mod judge;
mod local;
mod membership;
#[cfg(any(test, fuzzing))]
pub(crate) mod memory;
mod retention;
#[cfg(test)]
mod tests;

pub(crate) use acting::{Place, act, put};
pub(crate) use chain::close;
use chain::fork;
#[cfg(any(test, fuzzing))]
use chain::other_end;
pub use changes::CursorError;
pub(crate) use erasing::{Gone, Theirs, erase_group, erase_user};
pub use importing::{ImportedUsers, Refused, Tally};
pub(crate) use importing::{Telling, import};
pub use local::LocalLedger;
pub use retention::Retention;
pub(crate) use retention::sweep;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::{Map, Value};

use counting::Counts;

use super::{
    engine::{
        DeadLetter, Ending, Engine, EngineError, JournalMark, LedgerTransaction, MembershipKey,
    },
    workspace::Environment,
};
use crate::{
    clock::UnixMs,
    progress::event::{
        Base, Batch, BatchAnswer, Change, Event, GroupDocument, Operation, Outcome, RecordOutcome,
        ShippedRecord, UserDocument, chain_hash, subject_hash,
    },
    snapshot::Version,
};

/// Finds the compiled versions that legality is judged against.
pub(crate) trait Versions {
    /// A version of a flow, if the store has it and it compiles.
    fn version(&self, flow_uid: &str, number: u32) -> Option<Arc<Version>>;
}

/// Why a whole batch is not taken. Nothing of it has any effect then.
#[derive(Debug, thiserror::Error)]
pub enum ShipError {
    /// Two edges write under one journal id.
    #[error("{0}")]
    Fork(String),
    /// It cannot be read as a batch.
    #[error("{0}")]
    Refused(String),
    /// Storage failed: the batch may be sent again.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// What becomes of one record.
enum Verdict {
    /// Store this.
    Apply {
        /// Boxed: the other verdicts are a word or two.
        document: Box<UserDocument>,
        groups: Vec<crate::progress::event::GroupRecord>,
        /// Webhooks the applied run passed.
        webhooks: Vec<effects::Passed>,
        /// The edge knew the document it was decided on.
        as_recorded: bool,
    },
    /// Nothing to do.
    Already,
    /// Something newer made it meaningless.
    Superseded(&'static str),
    /// It does not fit.
    Dead(String),
}

/// What a batch came to.
pub(crate) struct Shipped {
    /// For the edge.
    pub(crate) answer: BatchAnswer,
    /// Whether documents changed, so that others want to hear of it.
    pub(crate) changed: bool,
}

/// Applies a batch, or (with no records) says where the journal stands.
pub(crate) fn ship(
    engine: &dyn Engine,
    environment: &Environment,
    batch: &Batch,
    versions: &dyn Versions,
    (retention, now): (&Retention, UnixMs),
) -> Result<Shipped, ShipError> {
    if batch.journal.is_empty() || batch.journal.len() > 64 {
        return Err(ShipError::Refused(
            "the journal id is empty or too long (expected 32 hexadecimal digits)".to_owned(),
        ));
    }
    let hash = chain_hash(batch).map_err(|error| ShipError::Refused(error.to_string()))?;
    let mut answer = None;
    engine.ledger(&environment.uid, &mut |transaction| {
        let result = apply(
            transaction,
            environment,
            (batch, &hash),
            versions,
            (retention, now),
        )?;
        let ending = if result.is_ok() && !batch.records.is_empty() {
            Ending::Commit
        } else {
            Ending::RollBack
        };
        answer = Some(result);
        Ok(ending)
    })?;
    // An engine that succeeded has run the work.
    answer.unwrap_or_else(|| Err(ShipError::Refused("the ledger did nothing".to_owned())))
}

/// What a batch does inside one transaction.
fn apply(
    transaction: &mut dyn LedgerTransaction,
    environment: &Environment,
    (batch, hash): (&Batch, &str),
    versions: &dyn Versions,
    (retention, now): (&Retention, UnixMs),
) -> Result<Result<Shipped, ShipError>, EngineError> {
    let mut run = Run {
        transaction,
        environment,
        versions,
        retention,
        now,
        journal: &batch.journal,
        users: BTreeMap::new(),
        notes: BTreeMap::new(),
        counts: Counts::new(),
        finished: Vec::new(),
        forgotten_rev: None,
    };
    let answer = run.batch(batch, hash)?;
    let changed = !run.notes.is_empty();
    Ok(answer.map(|answer| Shipped { answer, changed }))
}

/// One pass over one batch.
struct Run<'a> {
    transaction: &'a mut dyn LedgerTransaction,
    environment: &'a Environment,
    versions: &'a dyn Versions,
    retention: &'a Retention,
    now: UnixMs,
    journal: &'a str,
    /// Users of this batch as they are now; most batches name a user often.
    users: BTreeMap<String, Known>,
    /// Hashes of the documents that changed, with their last revision.
    notes: BTreeMap<u64, u64>,
    /// By how much counters change.
    counts: Counts,
    /// Percentage decisions that a run of this record began on and ended.
    finished: Vec<MembershipKey>,
    /// As the engine says; none until it was asked.
    forgotten_rev: Option<u64>,
}

/// A user as this batch has seen and changed it.
struct Known {
    document: UserDocument,
    changed: bool,
}

impl Run<'_> {
    fn batch(
        &mut self,
        batch: &Batch,
        hash: &str,
    ) -> Result<Result<BatchAnswer, ShipError>, EngineError> {
        let mut mark = self.transaction.mark(self.journal)?.unwrap_or_default();
        if batch.records.is_empty() {
            return Ok(Ok(answer(&mark, Vec::new())));
        }
        if *hash == mark.hash {
            return Ok(Ok(answer(&mark, self.resent(batch)?)));
        }
        if let Some(fork) = fork(batch, &mark) {
            return Ok(Err(fork));
        }
        let mut outcomes = Vec::with_capacity(batch.records.len());
        for record in &batch.records {
            let outcome = if mark.watermark.is_some_and(|mark| record.seq <= mark) {
                self.already(record)?
            } else {
                mark.watermark = Some(record.seq);
                self.record(record)?
            };
            outcomes.push(outcome);
        }
        for known in self.users.values().filter(|known| known.changed) {
            let document = &known.document;
            self.transaction.put_user(document)?;
            let subject = subject_hash("user", &[&document.identifier]);
            self.notes.insert(subject, document.doc_rev);
        }
        for (subject, doc_rev) in &self.notes {
            self.transaction.note(&Change {
                subject: format!("{subject:016x}"),
                doc_rev: *doc_rev,
                journal: self.journal.to_owned(),
            })?;
        }
        self.transaction.count(&self.counts)?;
        hash.clone_into(&mut mark.hash);
        self.transaction.put_mark(self.journal, &mark)?;
        Ok(Ok(answer(&mark, outcomes)))
    }

    /// The answer to a batch got lost and it came again: nothing is applied.
    fn resent(&mut self, batch: &Batch) -> Result<Vec<RecordOutcome>, EngineError> {
        let records = batch.records.iter();
        records.map(|record| self.already(record)).collect()
    }

    fn already(&mut self, record: &ShippedRecord) -> Result<RecordOutcome, EngineError> {
        let journal = self.journal;
        let document = &self.known(&record.event.user)?.document;
        let as_recorded = judge::is_as_the_edge_knows(document, journal, record.seq);
        let doc_rev = document.doc_rev;
        let mut outcome = outcome(record, Outcome::Already, doc_rev, as_recorded, None);
        if let Some(membership) = &record.event.membership
            && membership::fault(&record.event).is_none()
        {
            let key = MembershipKey::of(membership);
            let standing = self.transaction.membership(&key)?.unwrap_or_default();
            if record.event.operation == Operation::Membership {
                outcome.as_recorded = standing.membership.as_ref() == Some(membership);
            }
            outcome.membership = Some(standing);
        }
        Ok(outcome)
    }

    /// Gives one record its terminal outcome.
    fn record(&mut self, record: &ShippedRecord) -> Result<RecordOutcome, EngineError> {
        let event = &record.event;
        let fault = judge::foreign(event, self.environment).or_else(|| membership::fault(event));
        if let Some(why) = fault {
            return self.settle(record, Verdict::Dead(why));
        }
        if let Some(outcome) = self.superseded_by_erasure(record)? {
            return Ok(outcome);
        }
        match (&event.operation, &event.membership) {
            (Operation::Membership, Some(membership)) => self.enrol(record, membership),
            (Operation::IdentifyGroup { group }, _) => self.identify_group(record, group),
            (_, membership) => {
                let verdict = self.verdict(record)?;
                let mut outcome = self.settle(record, verdict)?;
                // A record that does not fit brings nothing.
                if let Some(membership) = membership
                    && outcome.outcome != Outcome::Dead
                {
                    let started =
                        outcome.outcome == Outcome::Applied && membership::starts(&event.operation);
                    let (_, standing) = self.put_membership(record, membership, started)?;
                    outcome.membership = Some(standing);
                }
                self.note_finished()?;
                Ok(outcome)
            }
        }
    }

    /// Carries a verdict out.
    fn settle(
        &mut self,
        record: &ShippedRecord,
        verdict: Verdict,
    ) -> Result<RecordOutcome, EngineError> {
        let event = &record.event;
        match verdict {
            Verdict::Apply {
                mut document,
                mut groups,
                webhooks,
                as_recorded,
            } => {
                document.identifier.clone_from(&event.user);
                document.doc_rev = self.next_rev(document.doc_rev)?;
                document.created_ms.get_or_insert(event.decided_ms);
                document.last = Some((self.journal.to_owned(), record.seq));
                self.count_runs(event, &mut document)?;
                // What ends here ended unseen by the edge: it reads again.
                let as_recorded = !self.end_conversations(&mut document) && as_recorded;
                document.mixed = !as_recorded;
                if let Some(conversation) = &event.conversation {
                    let now = self.now;
                    self.transaction.touch_conversation(conversation, now)?;
                }
                for group in &mut groups {
                    group.doc_rev = self.next_rev(group.doc_rev)?;
                    group.last.clone_from(&document.last);
                    self.transaction.put_group(group)?;
                    let subject = subject_hash("group", &[&group.identifier]);
                    self.notes.insert(subject, group.doc_rev);
                }
                for passed in webhooks.iter().enumerate() {
                    let (id, effect) =
                        effects::effect(self.environment, self.journal, record, passed);
                    self.transaction.post(&id, &effect, self.now)?;
                }
                let doc_rev = document.doc_rev;
                let changed = Known {
                    document: *document,
                    changed: true,
                };
                self.users.insert(event.user.clone(), changed);
                Ok(outcome(
                    record,
                    Outcome::Applied,
                    doc_rev,
                    as_recorded,
                    None,
                ))
            }
            Verdict::Already => {
                let doc_rev = self.known(&event.user)?.document.doc_rev;
                Ok(outcome(record, Outcome::Already, doc_rev, false, None))
            }
            Verdict::Superseded(why) => {
                let doc_rev = self.known(&event.user)?.document.doc_rev;
                let why = Some(why.to_owned());
                Ok(outcome(record, Outcome::Superseded, doc_rev, false, why))
            }
            Verdict::Dead(why) => {
                self.transaction.dead_letter(&DeadLetter {
                    journal: self.journal.to_owned(),
                    seq: record.seq,
                    why: why.clone(),
                    at_ms: self.now,
                    event: event.clone(),
                })?;
                let doc_rev = self.known(&event.user)?.document.doc_rev;
                Ok(outcome(record, Outcome::Dead, doc_rev, false, Some(why)))
            }
        }
    }

    /// The revision after this one: above every revision whose document was
    /// forgotten, because an edge may still hold that one.
    fn next_rev(&mut self, rev: u64) -> Result<u64, EngineError> {
        let forgotten = match self.forgotten_rev {
            Some(forgotten) => forgotten,
            None => *self.forgotten_rev.insert(self.transaction.forgotten_rev()?),
        };
        Ok(rev.max(forgotten) + 1)
    }

    /// An identify call that was not seen before, with its groups' records.
    fn merge(
        &mut self,
        mut document: UserDocument,
        event: &Event,
        properties: &Map<String, Value>,
        groups: &[GroupDocument],
    ) -> Result<Verdict, EngineError> {
        let when = event.decided_ms;
        let (living, records) = self.living(groups, when)?;
        let all_live = living.len() == groups.len();
        let groups = &living[..];
        let current = all_live && judge::is_current(&document, &event.base);
        identify::remember(&mut document, event.id);
        Ok(identify::merge(
            document, properties, groups, records, when, current,
        ))
    }

    fn verdict(&mut self, record: &ShippedRecord) -> Result<Verdict, EngineError> {
        let event = &record.event;
        let document = self.known(&event.user)?.document.clone();
        let mut refuted = self.refuted(event)?;
        let verdict = match &event.operation {
            Operation::Identify { properties, groups } => {
                match identify::seen_before(&document, event) {
                    Some(verdict) => verdict,
                    None => self.merge(document, event, properties, groups)?,
                }
            }
            _ => judge::step(&document, &mut refuted, event, self.versions, self.now),
        };
        // Kept under this journal, because the edge's next record of the user
        // names this one as its base, whatever this one did.
        let own = self.transaction.refuted(self.journal, &event.user)?;
        if own != refuted {
            self.transaction
                .put_refuted(self.journal, &event.user, &refuted, self.now)?;
        }
        Ok(verdict)
    }

    /// Places where records this one builds on were superseded. A record that
    /// was decided on a document has seen the truth: nothing is refuted for it.
    fn refuted(
        &mut self,
        event: &crate::progress::event::Event,
    ) -> Result<BTreeSet<String>, EngineError> {
        match &event.base {
            Base::Document(_) => Ok(BTreeSet::new()),
            Base::Absent => self.transaction.refuted(self.journal, &event.user),
            Base::Record { journal, .. } => self.transaction.refuted(journal, &event.user),
        }
    }

    fn known(&mut self, user: &str) -> Result<&Known, EngineError> {
        if !self.users.contains_key(user) {
            let document = self.transaction.user(user)?.unwrap_or_else(|| unseen(user));
            let known = Known {
                document,
                changed: false,
            };
            self.users.insert(user.to_owned(), known);
        }
        Ok(&self.users[user])
    }
}

/// The document of a user nobody has seen.
pub(crate) fn unseen(user: &str) -> UserDocument {
    UserDocument {
        identifier: user.to_owned(),
        ..UserDocument::default()
    }
}

fn answer(mark: &JournalMark, outcomes: Vec<RecordOutcome>) -> BatchAnswer {
    BatchAnswer {
        watermark: mark.watermark,
        hash: mark.hash.clone(),
        outcomes,
    }
}

fn outcome(
    record: &ShippedRecord,
    outcome: Outcome,
    doc_rev: u64,
    as_recorded: bool,
    why: Option<String>,
) -> RecordOutcome {
    RecordOutcome {
        seq: record.seq,
        outcome,
        doc_rev,
        as_recorded,
        membership: None,
        why,
    }
}
