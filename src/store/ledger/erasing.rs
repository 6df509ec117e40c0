//! What does it mean that somebody was erased?
//!
//! In the place of the document stays an empty one, newer than the old, that
//! says when. Records that were decided before, or on what stood there before,
//! are superseded, and so is whatever their journals build on them: nothing of
//! it comes back, however late it is shipped. Records that came about later
//! begin with nothing, like those of somebody nobody knew.

use super::{
    Run,
    acting::end,
    counting::{self, Counts},
    unseen,
};
use crate::{
    clock::UnixMs,
    progress::event::{
        Base, Change, Erased, Event, GroupDocument, GroupRecord, Outcome, RecordOutcome,
        ShippedRecord, UserDocument, subject_hash,
    },
    store::{
        AuditEntry,
        engine::{Engine, EngineError, LedgerTransaction, MembershipKey},
        workspace::Environment,
    },
};

/// Stands among the places of a user in which a journal's records rest on
/// something wrong, and means all of them. No place has this name.
const EVERYTHING: &str = "*";

/// What was erased.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Gone {
    /// Whether the ledger knew the user or group.
    pub(crate) known: bool,
    /// Percentage decisions.
    pub(crate) memberships: usize,
    /// Webhooks, and records that did not fit.
    pub(crate) traces: usize,
}

/// Which memberships are the user's, of those under an id they go by.
pub(crate) trait Theirs {
    /// Ids the user goes by, besides their own.
    fn ids(&self, user: &UserDocument) -> Vec<String>;
    /// Whether a decision under this key is about this user.
    fn is_theirs(&self, user: &UserDocument, key: &MembershipKey) -> bool;
}

/// Erases a user, and leaves a tombstone, also of one who is not known: what
/// edges have not shipped yet speaks of them.
pub(crate) fn erase_user(
    engine: &dyn Engine,
    environment: &Environment,
    user: &str,
    theirs: &dyn Theirs,
    (entry, now): (Option<&AuditEntry>, UnixMs),
) -> Result<Gone, EngineError> {
    let mut gone = Gone::default();
    engine.ledger(&environment.uid, &mut |rows| {
        // An engine may begin again.
        gone = Gone::default();
        let document = rows.user(user)?.unwrap_or_else(|| unseen(user));
        gone.known = document.doc_rev > 0 && document.tombstone_ms().is_none();
        let mut ids = theirs.ids(&document);
        ids.push(user.to_owned());
        ids.sort_unstable();
        ids.dedup();
        let mut counts = Counts::new();
        counting::user(&document, &unseen(user), true, &mut counts);
        for id in &ids {
            for (key, record) in rows.memberships_of(id)? {
                if theirs.is_theirs(&document, &key) {
                    let doc_rev = next_rev(rows, record.doc_rev)?;
                    rows.forget_membership(&key, doc_rev)?;
                    counting::membership((&key, &record), -1, &mut counts);
                    gone.memberships += 1;
                }
            }
        }
        rows.count(&counts)?;
        gone.traces = rows.forget_traces(user)?;
        let doc_rev = next_rev(rows, document.doc_rev)?;
        rows.put_user(&UserDocument {
            doc_rev,
            erased: Some(Erased {
                at_ms: now,
                doc_rev,
            }),
            ..unseen(user)
        })?;
        for journal in rows.journals()? {
            let everything = [EVERYTHING.to_owned()].into();
            rows.put_refuted(&journal, user, &everything, now)?;
        }
        note(rows, "user", (user, doc_rev))?;
        end(rows, entry)
    })?;
    Ok(gone)
}

/// Erases a group: what is known of it, not that users name it.
pub(crate) fn erase_group(
    engine: &dyn Engine,
    environment: &Environment,
    group: &str,
    (entry, now): (Option<&AuditEntry>, UnixMs),
) -> Result<Gone, EngineError> {
    let mut gone = Gone::default();
    engine.ledger(&environment.uid, &mut |rows| {
        gone = Gone::default();
        let record = rows.group(group)?.unwrap_or_default();
        gone.known = record.doc_rev > 0 && record.tombstone_ms().is_none();
        let doc_rev = next_rev(rows, record.doc_rev)?;
        rows.put_group(&GroupRecord {
            identifier: group.to_owned(),
            doc_rev,
            erased: Some(Erased {
                at_ms: now,
                doc_rev,
            }),
            ..GroupRecord::default()
        })?;
        note(rows, "group", (group, doc_rev))?;
        end(rows, entry)
    })?;
    Ok(gone)
}

/// Above every revision whose document was forgotten.
pub(super) fn next_rev(rows: &mut dyn LedgerTransaction, rev: u64) -> Result<u64, EngineError> {
    Ok(rev.max(rows.forgotten_rev()?) + 1)
}

/// Tells every edge.
pub(super) fn note(
    rows: &mut dyn LedgerTransaction,
    kind: &'static str,
    (id, doc_rev): (&str, u64),
) -> Result<(), EngineError> {
    rows.note(&Change {
        subject: format!("{:016x}", subject_hash(kind, &[id])),
        doc_rev,
        // Nobody's: every edge reads again.
        journal: String::new(),
    })
}

/// Whether a mention of a group is from before the group was erased.
pub(super) fn is_of_erased(record: &GroupRecord, decided_ms: UnixMs) -> bool {
    record.erased.is_some_and(|own| decided_ms <= own.at_ms)
}

impl Run<'_> {
    /// The outcome of a record that speaks of somebody who was erased since.
    pub(super) fn superseded_by_erasure(
        &mut self,
        record: &ShippedRecord,
    ) -> Result<Option<RecordOutcome>, EngineError> {
        let event = &record.event;
        if event.user.is_empty() {
            return Ok(None);
        }
        let Some(erased) = self.known(&event.user)?.document.erased else {
            return Ok(None);
        };
        if !self.predates(event, erased)? {
            return Ok(None);
        }
        // The next record of this journal builds on this one.
        let mut places = self.transaction.refuted(self.journal, &event.user)?;
        if places.insert(EVERYTHING.to_owned()) {
            let (journal, now) = (self.journal, self.now);
            self.transaction
                .put_refuted(journal, &event.user, &places, now)?;
        }
        let doc_rev = self.known(&event.user)?.document.doc_rev;
        let why = Some("the user was erased since".to_owned());
        let mut outcome = super::outcome(record, Outcome::Superseded, doc_rev, false, why);
        if let Some(membership) = &event.membership {
            let key = MembershipKey::of(membership);
            outcome.membership = Some(self.transaction.membership(&key)?.unwrap_or_default());
        }
        Ok(Some(outcome))
    }

    fn predates(&mut self, event: &Event, erased: Erased) -> Result<bool, EngineError> {
        if event.decided_ms <= erased.at_ms {
            return Ok(true);
        }
        // The clock of its edge may be ahead of ours.
        match &event.base {
            Base::Document(rev) => Ok(*rev > 0 && *rev < erased.doc_rev),
            Base::Record { journal, .. } => {
                let places = self.transaction.refuted(journal, &event.user)?;
                Ok(places.contains(EVERYTHING))
            }
            Base::Absent => Ok(false),
        }
    }

    /// Mentions of groups that still mean something, with their records.
    pub(super) fn living<'g>(
        &mut self,
        groups: &'g [GroupDocument],
        decided_ms: UnixMs,
    ) -> Result<(Vec<&'g GroupDocument>, Vec<GroupRecord>), EngineError> {
        let mut living = (Vec::with_capacity(groups.len()), Vec::new());
        for group in groups {
            let known = self.transaction.group(&group.identifier)?;
            let known = known.unwrap_or_default();
            if !is_of_erased(&known, decided_ms) {
                living.0.push(group);
                living.1.push(known);
            }
        }
        Ok(living)
    }
}
