//! How does a percentage decision become a document?
//!
//! In the transaction of the record that brings it, by the rules in
//! `membership`. What stands afterwards goes back to the edge with the outcome.

use super::{
    Run,
    membership::{self, Ruling},
};
use crate::{
    progress::event::{
        MembershipDocument, MembershipRecord, Outcome, RecordOutcome, ShippedRecord,
    },
    store::engine::{EngineError, MembershipKey},
};

impl Run<'_> {
    /// A percentage decision by itself. The user's document stays as it is.
    pub(super) fn enrol(
        &mut self,
        record: &ShippedRecord,
        membership: &MembershipDocument,
    ) -> Result<RecordOutcome, EngineError> {
        let (ruling, standing) = self.put_membership(record, membership, false)?;
        let doc_rev = self.known(&record.event.user)?.document.doc_rev;
        let as_recorded = standing.membership.as_ref() == Some(membership);
        let (outcome, why) = match ruling {
            Ruling::Replaces => (Outcome::Applied, None),
            Ruling::Repeats => (Outcome::Already, None),
            Ruling::Loses => (
                Outcome::Superseded,
                Some("an earlier decision stands".to_owned()),
            ),
        };
        Ok(RecordOutcome {
            membership: Some(standing),
            ..super::outcome(record, outcome, doc_rev, as_recorded, why)
        })
    }

    /// Rules on a decision and says what stands afterwards.
    pub(super) fn put_membership(
        &mut self,
        record: &ShippedRecord,
        membership: &MembershipDocument,
        started: bool,
    ) -> Result<(Ruling, MembershipRecord), EngineError> {
        let key = MembershipKey::of(membership);
        let mut standing = self.transaction.membership(&key)?.unwrap_or_default();
        let ruling = membership::rule(standing.membership.as_ref(), membership, started);
        let before = standing.clone();
        if ruling == Ruling::Replaces {
            standing.membership = Some(membership.clone());
            standing.decided_ms = record.event.decided_ms;
        }
        let is_in = standing.membership.as_ref().is_some_and(|own| own.is_in);
        standing.started |= started && is_in;
        if standing != before {
            // The key may have been forgotten: an edge that still has its old
            // record must not take that one for the newer.
            standing.doc_rev = self.next_rev(standing.doc_rev)?;
            standing.last = Some((self.journal.to_owned(), record.seq));
            self.notes.insert(key.subject(), standing.doc_rev);
        }
        // Also unchanged: the key was heard of, so its conversation goes on.
        self.transaction.put_membership(&key, &standing, self.now)?;
        Ok((ruling, standing))
    }
}
