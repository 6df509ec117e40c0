//! Which journals hold records of ours, and in which order were they begun?
//!
//! Earlier runs' journals are noted at boot, the live one is the last of all.
//! So a record's place is an index and a seq, and places compare in the order
//! in which their records were made. Where somebody else writes under the id of
//! a journal of ours, its records travel under an alias ([`Alias`]), and that
//! leads back to the same place.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::disk::journal::Alias;

/// The index of the live journal, above that of any earlier one.
const LIVE: u32 = u32::MAX;

/// The journals this edge has records in.
pub(super) struct Journals {
    live: Arc<str>,
    /// In the order in which they were begun; written at boot only.
    earlier: Mutex<Vec<Arc<str>>>,
    /// In the order in which they were given.
    aliases: Mutex<Vec<Alias>>,
}

/// Where a record of ours stands. Sixteen bytes, because there may be very
/// many of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RecordPlace {
    journal: u32,
    pub(super) seq: u64,
}

impl RecordPlace {
    /// In the live journal.
    pub(super) fn live(seq: u64) -> Self {
        Self { journal: LIVE, seq }
    }
}

impl Journals {
    pub(super) fn new(live: Arc<str>, aliases: Vec<Alias>) -> Self {
        Self {
            live,
            earlier: Mutex::default(),
            aliases: Mutex::new(aliases),
        }
    }

    /// Records travel under another name from now on.
    pub(super) fn rename(&self, alias: Alias) {
        self.aliases().push(alias);
    }

    /// The last name that an environment's records of a journal were given.
    pub(super) fn alias(&self, environment: &str, journal: &str) -> Option<Alias> {
        let aliases = self.aliases();
        let is_it = |own: &&Alias| own.environment == environment && own.journal == journal;
        aliases.iter().rev().find(is_it).cloned()
    }

    /// The name a record travels under, if it is not its journal's id.
    pub(super) fn name_of_record(
        &self,
        environment: &str,
        journal: &str,
        seq: u64,
    ) -> Option<String> {
        let aliases = self.aliases();
        let is_it = |own: &&Alias| {
            own.environment == environment && own.journal == journal && own.after < seq
        };
        aliases.iter().rev().find(is_it).map(|own| own.id.clone())
    }

    /// One of an earlier run, the next in the order in which they were begun.
    pub(super) fn note(&self, journal: &str) {
        self.earlier().push(journal.into());
    }

    /// Where a record stands; none if it is in no journal of ours.
    pub(super) fn place(&self, journal: &str, seq: u64) -> Option<RecordPlace> {
        let behind = {
            let aliases = self.aliases();
            let alias = aliases.iter().find(|own| own.id == journal);
            alias.map(|own| own.journal.clone())
        };
        let journal = behind.as_deref().unwrap_or(journal);
        if *self.live == *journal {
            return Some(RecordPlace::live(seq));
        }
        let at = self.earlier().iter().position(|own| **own == *journal)?;
        let journal = u32::try_from(at).ok()?;
        Some(RecordPlace { journal, seq })
    }

    /// The journal of a place.
    pub(super) fn name(&self, place: RecordPlace) -> Option<Arc<str>> {
        if place.journal == LIVE {
            return Some(self.live.clone());
        }
        let at = usize::try_from(place.journal).ok()?;
        self.earlier().get(at).cloned()
    }

    /// Whether records under this name are ours alone.
    pub(super) fn is_own(&self, journal: &str) -> bool {
        let is_forked = self.aliases().iter().any(|own| own.journal == journal);
        !is_forked && self.place(journal, 0).is_some()
    }

    fn aliases(&self) -> MutexGuard<'_, Vec<Alias>> {
        // As below.
        self.aliases.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn earlier(&self) -> MutexGuard<'_, Vec<Arc<str>>> {
        // No code under this lock panics half-way through a change.
        self.earlier.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_compare_in_the_order_in_which_records_were_made() {
        let journals = Journals::new("live".into(), Vec::new());
        journals.note("old");
        journals.note("newer");
        let place = |journal, seq| journals.place(journal, seq).unwrap();
        let made = [
            place("old", 9),
            place("newer", 1),
            place("newer", 2),
            place("live", 1),
        ];
        assert!(made.is_sorted());
        let names = made.map(|place| journals.name(place).unwrap());
        assert_eq!(
            names.map(|name| name.to_string()),
            ["old", "newer", "newer", "live"]
        );
        assert_eq!(journals.place("another", 1), None);
        assert!(journals.is_own("old") && !journals.is_own("another"));
        // Kept once for every record outstanding.
        assert_eq!(size_of::<RecordPlace>(), 16);
    }

    #[test]
    fn an_alias_leads_to_its_journal_and_what_it_forked_from_is_not_ours_alone() {
        let alias = |after, id: &str| Alias {
            environment: "production".to_owned(),
            journal: "live".to_owned(),
            after,
            id: id.to_owned(),
        };
        let journals = Journals::new("live".into(), vec![alias(5, "first")]);
        journals.rename(alias(9, "second"));
        let name = |seq| journals.name_of_record("production", "live", seq);
        assert_eq!(name(5), None);
        assert_eq!(name(9).as_deref(), Some("first"));
        assert_eq!(name(10).as_deref(), Some("second"));
        assert_eq!(journals.name_of_record("development", "live", 10), None);
        assert_eq!(journals.place("first", 7), journals.place("live", 7));
        assert!(journals.is_own("first") && !journals.is_own("live"));
    }
}
