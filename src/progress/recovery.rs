//! How do the records of earlier runs come back into memory?
//!
//! At boot every record the ledger may not have is put into the pending map
//! under its user, its groups and its percentage decision, unread; the first
//! request for them lays the records over what the ledger says. A record
//! carries the states it led to, so that this works with upstream dead.

use std::sync::{Arc, PoisonError};

use super::{
    enrolling::KnownMembership,
    event::{Event, Operation},
    keys::{Kind, MembershipKey, MembershipName, SubjectKey},
    known::{Known, KnownGroup},
    pending::{Entry, Live, Recovered, RecoveredRecord},
    stepping::Progress,
    subjects::{Cached, Kept},
};
use crate::{current::EnvironmentSlot, limits::SUBJECT_ID_BYTES_MAX};

/// Says that a journal of an earlier run is still there, whether or not it holds
/// records; in the order in which they were begun, before any of their records.
/// A journal that is gone was begun before all of these.
pub fn note_journal(progress: &Progress, journal: &str) {
    let earlier = progress.memory.earlier.lock();
    earlier
        .unwrap_or_else(PoisonError::into_inner)
        .push(journal.into());
}

/// Puts one record of an earlier run back. Records of one journal come in
/// order, journals in the order in which they were begun, and all of them
/// before the first request.
pub fn restore(
    progress: &Progress,
    slot: EnvironmentSlot,
    journal: &Arc<str>,
    seq: u64,
    event: Event,
) {
    let event = Arc::new(event);
    let record = (journal, seq, &event);
    // A longer id was never written by us; the ledger will say what is wrong
    // with it, and settling leaves it out as well.
    let fits = |id: &str| id.len() <= SUBJECT_ID_BYTES_MAX;
    if event.operation != Operation::Membership && fits(&event.user) {
        let key = SubjectKey::new(Kind::User, slot, &event.user);
        put::<Known>(progress, key.bytes(), record);
    }
    if let Operation::Identify { groups, .. } = &event.operation {
        for group in groups.iter().filter(|group| fits(&group.identifier)) {
            let key = SubjectKey::new(Kind::Group, slot, &group.identifier);
            put::<KnownGroup>(progress, key.bytes(), record);
        }
    }
    let name = event.membership.as_ref().map(MembershipName::of);
    if let Some(key) = name.and_then(|name| MembershipKey::new(slot, &name)) {
        put::<KnownMembership>(progress, key.bytes(), record);
    }
}

fn put<T: Kept>(progress: &Progress, key: &[u8], record: (&Arc<str>, u64, &Arc<Event>)) {
    let (journal, seq, event) = record;
    let mut locked = T::pending(&progress.memory).lock(key);
    locked.push_recovered(key, journal, seq, event);
}

impl Progress {
    /// What a reader sees of a subject, given what the ledger said of it:
    /// recovered records are laid over that. None when an entry of the subject
    /// left since `generation` was taken: what the ledger said may lack it.
    pub(super) fn raise<T: Kept>(
        &self,
        key: &[u8],
        below: Cached<T>,
        generation: u64,
    ) -> Option<Cached<T>> {
        let mut locked = T::pending(&self.memory).lock(key);
        let recovered = match locked.entry(key, &self.journal) {
            Some(Entry::Recovered(recovered)) => std::mem::take(recovered),
            // Somebody else did it, or wrote, in the meantime.
            Some(Entry::Live(live)) => return Some(live.seen(&self.journal)),
            None => {
                let current = locked.is_generation(key, generation);
                return current.then_some(below);
            }
        };
        let Recovered {
            records,
            outstanding,
        } = recovered;
        let era = self.journal.era();
        let new = self.not_taken(&records, below.document.taken());
        let raised = Cached {
            document: Arc::new(below.document.after_recovered(new)),
            tick: below.tick,
        };
        let entry = Entry::Live(Live::new(raised.clone(), outstanding, era));
        locked.raise(key, entry);
        Some(raised)
    }

    /// The records behind the one that the ledger took last. Journals are
    /// shipped, and removed, in the order in which they were begun.
    fn not_taken<'r>(
        &self,
        records: &'r [RecoveredRecord],
        taken: Option<&(Arc<str>, u64)>,
    ) -> &'r [RecoveredRecord] {
        let earlier = self.memory.earlier.lock();
        let earlier = earlier.unwrap_or_else(PoisonError::into_inner);
        let place = |journal: &Arc<str>| earlier.iter().position(|own| own == journal);
        let Some((last, seq)) = taken.and_then(|(journal, seq)| Some((place(journal)?, *seq)))
        else {
            return records;
        };
        let is_in = |record: &&RecoveredRecord| {
            let at = place(&record.0).unwrap_or(0);
            at < last || (at == last && record.1 <= seq)
        };
        let count = records.iter().take_while(is_in).count();
        records.get(count..).unwrap_or_default()
    }
}
