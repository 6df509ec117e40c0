//! How do the records of earlier runs come back into memory?
//!
//! At boot every record the ledger may not have is put into the pending map
//! under its user, unread; the first request for that user lays them over the
//! ledger's document. A record carries the state it led to, so that this works
//! with upstream dead.

use std::sync::Arc;

use super::{
    event::{Event, Operation},
    known::{IDENTIFY, Known},
    merge::merged,
    pending::{Entry, Recovered},
    stepping::Progress,
    subjects::{Kind, SubjectKey},
};
use crate::{current::EnvironmentSlot, evaluate::Subject, limits::SUBJECT_ID_BYTES_MAX};

/// Puts one record of an earlier run back. Records of one journal come in
/// order, journals in the order in which they were begun.
pub fn restore(
    progress: &Progress,
    slot: EnvironmentSlot,
    journal: &Arc<str>,
    seq: u64,
    event: Event,
) {
    if event.user.len() > SUBJECT_ID_BYTES_MAX {
        // Never written by us; the ledger will say what is wrong with it.
        return;
    }
    let key = SubjectKey::new(Kind::User, slot, &event.user);
    let mut locked = progress.memory.pending.lock(key.bytes());
    if locked.caught_up(key.bytes(), &progress.journal).is_none() {
        locked.insert(key.bytes(), Entry::Recovered(Recovered::default()));
    }
    if let Some(Entry::Recovered(recovered)) = locked.caught_up(key.bytes(), &progress.journal) {
        recovered.records.push((journal.clone(), seq, event));
        recovered.outstanding.count += 1;
        progress.memory.pending.count_record();
    }
}

/// The user after these records.
pub(super) fn laid_over(below: &Known, records: &[(Arc<str>, u64, Event)]) -> Known {
    let mut known = below.clone();
    // What the ledger says it took last need not be laid over it again.
    let taken = below.taken.as_ref().and_then(|(journal, seq)| {
        let at = records
            .iter()
            .rposition(|(own, own_seq, _)| own == journal && own_seq <= seq)?;
        Some(at + 1)
    });
    for (journal, seq, event) in &records[taken.unwrap_or(0)..] {
        let mut subject: Subject = (*known.subject).clone();
        if let Operation::Identify { properties, .. } = &event.operation
            && let Ok(profile) = merged(&subject.profile, properties, event.decided_ms)
        {
            subject.profile = Arc::new(profile);
        }
        let mut flow = IDENTIFY;
        for state in &event.states {
            flow = crate::snapshot::FlowKey::of(&state.flow);
            Known::lay(&mut subject, state);
        }
        known = known.after(subject, flow, event.id, (journal.clone(), *seq));
    }
    known
}
