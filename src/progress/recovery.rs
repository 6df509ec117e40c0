//! How do the records of earlier runs come back into memory?
//!
//! At boot every record the ledger may not have is put into the pending map
//! under its user and its groups, unread; the first request for them lays the
//! records over what the ledger says. A record carries the state it led to, so
//! that this works with upstream dead.

use std::sync::{Arc, PoisonError};

use super::{
    event::{Event, Operation},
    known::{Known, merged},
    pending::{Entry, Live, Recovered, RecoveredRecord},
    reading::Below,
    stepping::Progress,
    subjects::{Kind, SubjectKey},
};
use crate::{current::EnvironmentSlot, evaluate::Profile, limits::SUBJECT_ID_BYTES_MAX};

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
    let (users, groups) = (&progress.memory.pending, &progress.memory.groups);
    let put = |kind, id: &str| {
        // A longer id was never written by us; the ledger will say what is
        // wrong with it, and settling leaves it out as well.
        if id.len() > SUBJECT_ID_BYTES_MAX {
            return;
        }
        let key = SubjectKey::new(kind, slot, id);
        let entries = match kind {
            Kind::User => users,
            Kind::Group => groups,
        };
        let mut locked = entries.lock(key.bytes());
        locked.push_recovered(key.bytes(), journal, seq, &event);
    };
    put(Kind::User, &event.user);
    if let Operation::Identify { groups, .. } = &event.operation {
        for group in groups {
            put(Kind::Group, &group.identifier);
        }
    }
}

impl Progress {
    /// What a reader sees of a subject, given what the ledger said of it:
    /// recovered records are laid over that. None when an entry of the subject
    /// left since `generation` was taken: what the ledger said may lack it.
    pub(super) fn raise(&self, key: &SubjectKey, below: Below, generation: u64) -> Option<Below> {
        let entries = self.memory.entries(key.kind());
        let mut locked = entries.lock(key.bytes());
        let recovered = match locked.entry(key.bytes(), &self.journal) {
            Some(Entry::Recovered(recovered)) => std::mem::take(recovered),
            // Somebody else did it, or wrote, in the meantime.
            Some(Entry::User(live)) => return Some(Below::User(live.seen(&self.journal).clone())),
            Some(Entry::Group(live)) => {
                return Some(Below::Group(live.seen(&self.journal).clone(), None));
            }
            None => {
                let current = locked.is_generation(key.bytes(), generation);
                return current.then_some(below);
            }
        };
        let Recovered {
            records,
            outstanding,
        } = recovered;
        let era = self.journal.era();
        let (raised, entry) = match below {
            Below::User(known) => {
                let new = self.not_taken(&records, known.taken.as_ref());
                let raised = Arc::new(user_after(&known, new));
                let entry = Entry::User(Live::new(raised.clone(), outstanding, era));
                (Below::User(raised), entry)
            }
            Below::Group(profile, taken) => {
                let new = self.not_taken(&records, taken.as_ref());
                let raised = Arc::new(group_after(&profile, new));
                let entry = Entry::Group(Live::new(raised.clone(), outstanding, era));
                (Below::Group(raised, None), entry)
            }
        };
        locked.raise(key.bytes(), entry);
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

/// The user after these records.
fn user_after(below: &Known, records: &[RecoveredRecord]) -> Known {
    let mut known = below.clone();
    for (journal, seq, event) in records {
        known = known.laid_under(journal, *seq, event);
    }
    known
}

/// The group after these records.
fn group_after(below: &Profile, records: &[RecoveredRecord]) -> Profile {
    let mut profile = below.clone();
    let mut own = Vec::new();
    for (_, _, event) in records {
        if let Operation::Identify { groups, .. } = &event.operation {
            own.extend(groups.iter().map(|group| (group, event.decided_ms)));
        }
    }
    own.retain(|(group, _)| *group.identifier == *profile.identifier);
    // A call that names the group twice is here twice as well, once for each
    // mention and so more often than needed; merging again changes nothing.
    for (group, when) in own {
        if let Ok(after) = merged(&profile, &group.properties, when) {
            profile = after;
        }
    }
    profile
}
