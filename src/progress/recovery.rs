//! How do the records of earlier runs come back into memory?
//!
//! At boot the place of every record the ledger may not have is put into the
//! pending map under its user, its groups and its percentage decision; the
//! first request for them reads the records and lays them over what the ledger
//! says. A record carries the states it led to, so that this works with
//! upstream dead.

use std::sync::Arc;

use super::{
    enrolling::KnownMembership,
    event::Event,
    journals::RecordPlace,
    keys::{Kind, MembershipKey, MembershipName, SubjectKey},
    known::{Known, KnownGroup},
    pending::{Entry, RecoveredRecord},
    stepping::Progress,
    subjects::{Cached, Kept},
    tail::Tail,
};
use crate::{current::EnvironmentSlot, limits::SUBJECT_ID_BYTES_MAX};

/// Says that a journal of an earlier run is still there, whether or not it holds
/// records; in the order in which they were begun, before any of their records.
/// A journal that is gone was begun before all of these.
pub fn note_journal(progress: &Progress, journal: &str) {
    progress.memory.journals.note(journal);
}

/// Puts one record of an earlier run back. Records of one journal come in
/// order, journals in the order in which they were begun, and all of them
/// before the first request.
pub fn restore(
    progress: &Progress,
    slot: EnvironmentSlot,
    (journal, seq): (&str, u64),
    bytes: usize,
    event: &Event,
) {
    let owner = progress.owner(&event.environment);
    progress.journal.charge(owner, std::iter::once(bytes));
    let Some(place) = progress.memory.journals.place(journal, seq) else {
        return;
    };
    // A longer id was never written by us; the ledger will say what is wrong
    // with it, and settling leaves it out as well.
    let fits = |id: &str| id.len() <= SUBJECT_ID_BYTES_MAX;
    if event.operation.is_of_user() && fits(&event.user) {
        let key = SubjectKey::new(Kind::User, slot, &event.user);
        put::<Known>(progress, key.bytes(), place);
    }
    let groups = event.operation.groups();
    for group in groups.iter().filter(|group| fits(&group.identifier)) {
        let key = SubjectKey::new(Kind::Group, slot, &group.identifier);
        put::<KnownGroup>(progress, key.bytes(), place);
    }
    let name = event.membership.as_ref().map(MembershipName::of);
    if let Some(key) = name.and_then(|name| MembershipKey::new(slot, &name)) {
        put::<KnownMembership>(progress, key.bytes(), place);
    }
}

fn put<T: Kept>(progress: &Progress, key: &[u8], place: RecordPlace) {
    let mut locked = T::pending(&progress.memory).lock(key);
    locked.push_recovered(key, place);
}

impl Progress {
    /// What a reader sees of a subject, given what the ledger said of it: the
    /// records that are only on disk, as they were read beside it, are laid
    /// over that. None when an entry of the subject left or made room since
    /// `generation` was taken: what was read may lack something.
    pub(super) fn raise<T: Kept>(
        &self,
        key: &[u8],
        below: Cached<T>,
        tail: Option<Tail>,
        generation: u64,
    ) -> Option<Cached<T>> {
        let mut locked = T::pending(&self.memory).lock(key);
        match locked.entry(key, &self.journal) {
            // Somebody else did it, or wrote, in the meantime.
            Some(Entry::Live(live)) => return Some(live.seen(&self.journal)),
            Some(Entry::OnDisk(_)) => {}
            None => {
                let current = locked.is_generation(key, generation);
                return current.then_some(below);
            }
        }
        // Places do not change while they are all there is of a subject, and
        // the generation says that they were all the time.
        let tail = tail.filter(|_| locked.is_generation(key, generation))?;
        let new = self.not_taken(&tail, below.document.taken());
        #[cfg(test)]
        let new = match self.flaw {
            Some(super::stepping::Flaw::ForgetTail) => &[],
            _ => new,
        };
        let raised = Cached {
            document: Arc::new(below.document.after_recovered(new)),
            tick: below.tick,
            through: None,
        };
        locked.raise(key, raised.clone(), self.journal.era());
        Some(raised)
    }

    /// The records behind the one that the ledger took last. Journals are
    /// shipped, and removed, in the order in which they were begun.
    fn not_taken<'r>(
        &self,
        records: &'r [RecoveredRecord],
        taken: Option<&(Arc<str>, u64)>,
    ) -> &'r [RecoveredRecord] {
        let journals = &self.memory.journals;
        let taken = taken.and_then(|(journal, seq)| journals.place(journal, *seq));
        let Some(taken) = taken else {
            return records;
        };
        let is_in = |record: &&RecoveredRecord| {
            let place = journals.place(&record.0, record.1);
            place.is_none_or(|place| place <= taken)
        };
        let count = records.iter().take_while(is_in).count();
        records.get(count..).unwrap_or_default()
    }
}
