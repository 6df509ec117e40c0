//! Where in which file does a record stand, roughly?
//!
//! A sparse index over all journals of the folder: one entry for every so many
//! bytes, noted while records are written or recovered. It saves a search from
//! the beginning of a segment and proves nothing: whoever goes there still
//! checks what stands there.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::record::JournalId;

/// Bytes of a segment between two entries: read and checked in well under a
/// millisecond, and the index of the largest usual journal stays below 4 MiB.
const STEP_BYTES: u64 = 256 * 1024;

/// The index; shared by everybody who writes, reads or removes segments.
#[derive(Default)]
pub(super) struct Index {
    entries: Mutex<BTreeMap<(JournalId, u64), Spot>>,
}

/// Where a record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spot {
    /// Its segment.
    pub(super) number: u32,
    /// In the file.
    pub(super) offset: u64,
}

/// Notes the records of one segment in order.
#[derive(Default)]
pub(super) struct Noting {
    next: u64,
}

impl Noting {
    /// A record stands here; noted if the last one noted is far enough away.
    pub(super) fn record(&mut self, index: &Index, journal: JournalId, seq: u64, spot: Spot) {
        if self.is_due(spot) {
            index.entries().insert((journal, seq), spot);
        }
    }

    /// Whether the record that stands here is to be noted.
    pub(super) fn is_due(&mut self, spot: Spot) -> bool {
        let due = spot.offset >= self.next;
        if due {
            self.next = spot.offset + STEP_BYTES;
        }
        due
    }
}

impl Index {
    /// The last place noted at or before this record, and which record stands
    /// there.
    pub(super) fn find(&self, journal: JournalId, seq: u64) -> Option<(u64, Spot)> {
        let entries = self.entries();
        let mut before = entries.range((journal, 0)..=(journal, seq));
        before.next_back().map(|((_, seq), spot)| (*seq, *spot))
    }

    /// These segments of a journal are gone: this one and those before it.
    pub(super) fn forget(&self, journal: JournalId, through: u32) {
        let mut entries = self.entries();
        let gone: Vec<_> = entries
            .range((journal, 0)..=(journal, u64::MAX))
            .take_while(|(_, spot)| spot.number <= through)
            .map(|(key, _)| *key)
            .collect();
        for key in gone {
            entries.remove(&key);
        }
    }

    /// One segment was written anew: its records stand here now.
    pub(super) fn replace(&self, journal: JournalId, number: u32, spots: Vec<(u64, Spot)>) {
        let mut entries = self.entries();
        let gone: Vec<_> = entries
            .range((journal, 0)..=(journal, u64::MAX))
            .filter(|(_, spot)| spot.number == number)
            .map(|(key, _)| *key)
            .collect();
        for key in gone {
            entries.remove(&key);
        }
        entries.extend(spots.into_iter().map(|(seq, spot)| ((journal, seq), spot)));
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<(JournalId, u64), Spot>> {
        // No code under this lock panics half-way through a change.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_finds_the_last_place_before_a_record_in_its_own_journal() {
        let index = Index::default();
        let spot = |number, offset| Spot { number, offset };
        let mut noting = Noting::default();
        for seq in 1..=10 {
            let spot = spot(0, 4096 + (seq - 1) * STEP_BYTES / 4);
            noting.record(&index, [1; 16], seq, spot);
        }
        Noting::default().record(&index, [1; 16], 11, spot(1, 4096));
        Noting::default().record(&index, [2; 16], 3, spot(0, 4096));
        assert_eq!(index.find([1; 16], 4), Some((1, spot(0, 4096))));
        assert_eq!(
            index.find([1; 16], 8),
            Some((5, spot(0, 4096 + STEP_BYTES)))
        );
        assert_eq!(index.find([1; 16], 90), Some((11, spot(1, 4096))));
        assert_eq!(index.find([2; 16], 2), None);
        index.forget([1; 16], 0);
        assert_eq!(index.find([1; 16], 10), None);
        assert_eq!(index.find([1; 16], 11), Some((11, spot(1, 4096))));
        assert!(index.find([2; 16], 3).is_some());
    }
}
