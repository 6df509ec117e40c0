//! How does a percentage decision become a document?
//!
//! In the transaction of the record that brings it, by the rules in
//! `membership`. What stands afterwards goes back to the edge with the outcome.

use super::{
    Run, counting,
    judge::is_same,
    membership::{self, Ruling},
};
use crate::{
    progress::event::{
        EnrolledDocument, Event, FlowStateDocument, MembershipDocument, MembershipRecord, Outcome,
        RecordOutcome, ShippedRecord, UserDocument,
    },
    store::engine::{EngineError, MembershipKey},
};

/// The decision on which the run of a state began. Records do not say it, and a
/// version that took over from another goes on with that one's.
pub(super) fn of_run(
    document: &UserDocument,
    state: &FlowStateDocument,
) -> Option<EnrolledDocument> {
    let own = document.flows.iter().find(|own| is_same(own, state));
    if let Some(own) = own {
        return own.enrolled.clone();
    }
    let mut of_run = document
        .flows
        .iter()
        .filter(|own| own.flow == state.flow && own.conversation == state.conversation);
    of_run.find_map(|own| own.enrolled.clone())
}

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
        counting::membership((&key, &before), -1, &mut self.counts);
        counting::membership((&key, &standing), 1, &mut self.counts);
        // Also unchanged: the key was heard of, so its conversation goes on.
        self.transaction.put_membership(&key, &standing, self.now)?;
        Ok((ruling, standing))
    }

    /// Notes on which decision the run of a start rests, counts what became of
    /// the user's runs, and keeps for [`Run::note_finished`] which ended.
    pub(super) fn count_runs(
        &mut self,
        event: &Event,
        document: &mut UserDocument,
    ) -> Result<(), EngineError> {
        let starts = membership::starts(&event.operation);
        let own = event.membership.as_ref().filter(|own| starts && own.is_in);
        if let (Some(own), Some(first)) = (own, event.states.first())
            && let Some(state) = document.flows.iter_mut().find(|own| is_same(own, first))
        {
            state.enrolled = Some(EnrolledDocument {
                deployment: own.deployment.clone(),
                id: own.id.clone(),
                conversation: own.conversation.clone(),
            });
        }
        let mut counts = std::mem::take(&mut self.counts);
        let before = &self.known(&event.user)?.document;
        counting::user(before, document, false, &mut counts);
        let was_finished = |state: &FlowStateDocument| {
            let mut known = before.flows.iter();
            known.any(|own| is_same(own, state) && own.finished)
        };
        let ended = document
            .flows
            .iter()
            .filter(|own| own.finished && !was_finished(own));
        let ended: Vec<MembershipKey> = ended
            .filter_map(|own| own.enrolled.as_ref())
            .map(MembershipKey::enrolled)
            .collect();
        self.finished.extend(ended);
        self.counts = counts;
        Ok(())
    }

    /// Notes at their percentage decisions that runs came to their end. Edges
    /// do not look at it, so it makes no new revision.
    pub(super) fn note_finished(&mut self) -> Result<(), EngineError> {
        for key in std::mem::take(&mut self.finished) {
            let Some(before) = self.transaction.membership(&key)? else {
                continue;
            };
            if before.finished {
                continue;
            }
            let mut after = before.clone();
            after.finished = true;
            counting::membership((&key, &before), -1, &mut self.counts);
            counting::membership((&key, &after), 1, &mut self.counts);
            self.transaction.put_membership(&key, &after, self.now)?;
        }
        Ok(())
    }
}
