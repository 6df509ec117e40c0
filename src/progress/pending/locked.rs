//! What may be done with a shard while it is held?
//!
//! Entries are looked at only after they have caught up with the journal, and
//! an entry leaves in one way only: the cache first learns what it was.

use std::sync::{Arc, MutexGuard, atomic::Ordering};

#[cfg(test)]
use super::Flaw;
use super::{Entries, Entry, Live, Outstanding, Pending, Recovered};
use crate::{
    disk::journal::Journal,
    progress::{
        event::Event,
        subjects::{Cached, Kept},
    },
};

/// A shard under its lock.
pub(in crate::progress) struct Locked<'a, T> {
    pending: &'a Pending<T>,
    shard: usize,
    entries: MutexGuard<'a, Entries<T>>,
}

impl<'a, T: Kept> Locked<'a, T> {
    pub(super) fn new(
        pending: &'a Pending<T>,
        shard: usize,
        entries: MutexGuard<'a, Entries<T>>,
    ) -> Self {
        Self {
            pending,
            shard,
            entries,
        }
    }

    /// Whether this is the subject's shard.
    pub(in crate::progress) fn holds(&self, key: &[u8]) -> bool {
        self.pending.slot(key).shard == self.shard
    }

    /// Whether no entry left since the generation was taken.
    pub(in crate::progress) fn is_generation(&self, key: &[u8], generation: u64) -> bool {
        self.pending.generation(key) == generation
    }

    /// The entry, caught up with the journal.
    pub(in crate::progress) fn entry(
        &mut self,
        key: &[u8],
        journal: &Journal,
    ) -> Option<&mut Entry<T>> {
        #[cfg(test)]
        if self.pending.flaw == Some(Flaw::SkipEra)
            && let Entry::Live(live) = self.entries.get_mut(key)?
        {
            live.skip_era(journal);
        }
        let (void, left) = match self.entries.get_mut(key)? {
            Entry::Recovered(recovered) => (0, recovered.outstanding.count),
            Entry::Live(live) => (live.catch_up(journal), live.outstanding.count),
        };
        if void > 0 {
            self.pending.discount(void);
            if left == 0 {
                // Nothing of ours is outstanding any more.
                self.leave(key);
            }
        }
        self.entries.get_mut(key)
    }

    pub(super) fn catch_up_all(&mut self, journal: &Journal) {
        let keys: Vec<Box<[u8]>> = self.entries.keys().cloned().collect();
        for key in keys {
            self.entry(&key, journal);
        }
    }

    /// Puts a subject in the place of its recovered records.
    pub(in crate::progress) fn raise(&mut self, key: &[u8], entry: Entry<T>) {
        if let Some(place) = self.entries.get_mut(key) {
            *place = entry;
        }
    }

    /// Makes what a record of this subject has led to the newest state. The
    /// record was queued in `era`, while this lock was held, and the entry has
    /// caught up before: so the entry stands in that very era. It must not
    /// catch up in between, or a record voided since would look like one of
    /// the next era.
    pub(in crate::progress) fn push(
        &mut self,
        key: &[u8],
        era: u64,
        below: &Cached<T>,
        seq: u64,
        after: Arc<T>,
    ) {
        let new = || Entry::Live(Live::new(below.clone(), Outstanding::default(), era));
        if let Entry::Live(live) = self.entry_or(key, new) {
            live.push(seq, after);
            self.pending.count(1);
        }
    }

    /// Adds a record of an earlier run.
    pub(in crate::progress) fn push_recovered(
        &mut self,
        key: &[u8],
        journal: &Arc<str>,
        seq: u64,
        event: &Arc<Event>,
    ) {
        let new = || Entry::Recovered(Recovered::default());
        if let Entry::Recovered(recovered) = self.entry_or(key, new) {
            let record = (journal.clone(), seq, event.clone());
            recovered.records.push(record);
            recovered.outstanding.count += 1;
            self.pending.count(1);
        }
    }

    fn entry_or(&mut self, key: &[u8], new: impl FnOnce() -> Entry<T>) -> &mut Entry<T> {
        let shard = &self.pending.shards[self.shard];
        self.entries.entry(key.into()).or_insert_with(|| {
            shard.occupied.fetch_add(1, Ordering::Release);
            new()
        })
    }

    /// One record of this subject has its terminal outcome.
    pub(in crate::progress) fn settle(
        &mut self,
        key: &[u8],
        journal: &Journal,
        doc_rev: u64,
        as_recorded: bool,
    ) {
        let finished = match self.entry(key, journal) {
            None => return,
            Some(Entry::Recovered(own)) => own.outstanding.settle(doc_rev, as_recorded),
            Some(Entry::Live(live)) => live.settle(doc_rev, as_recorded),
        };
        self.pending.discount(1);
        if finished {
            self.leave(key);
        }
    }

    /// Takes an entry out. Readers look at `occupied` and then at the cache
    /// without this lock, writers take the generation before both. So the
    /// cache is told first, the generation grows then, and only at last is the
    /// shard called empty: whoever sees a later store sees the earlier ones.
    fn leave(&mut self, key: &[u8]) {
        let Some(entry) = self.entries.remove(key) else {
            return;
        };
        let cache = T::cache(&self.pending.subjects);
        match left(&entry) {
            Left::Known(known) => cache.insert(key.into(), known),
            Left::Changed => cache.invalidate(key),
            Left::Untouched => {}
        }
        let slot = self.pending.slot(key);
        let step = 1;
        #[cfg(test)]
        let step = step - u64::from(self.pending.flaw == Some(Flaw::KeepGeneration));
        let generation = self.pending.generation_at(slot);
        generation.fetch_add(step, Ordering::Release);
        let shard = &self.pending.shards[self.shard];
        shard.occupied.fetch_sub(1, Ordering::Release);
    }
}

/// What an entry leaves behind.
enum Left<T> {
    /// The ledger has exactly this state, unless others have changed it since
    /// the read on which it rests.
    Known(Cached<T>),
    /// The ledger took records; what it made of them must be read.
    Changed,
    /// All records were void: what was known before still holds.
    Untouched,
}

fn left<T: Kept>(entry: &Entry<T>) -> Left<T> {
    let outstanding = match entry {
        Entry::Recovered(recovered) => &recovered.outstanding,
        Entry::Live(live) => &live.outstanding,
    };
    let Some(doc_rev) = outstanding.doc_rev else {
        return Left::Untouched;
    };
    match entry {
        Entry::Live(live) if !outstanding.diverged => {
            let Cached { document, tick } = live.durable();
            match document.settled(doc_rev).map(Arc::new) {
                Some(document) => Left::Known(Cached { document, tick }),
                None => Left::Changed,
            }
        }
        _ => Left::Changed,
    }
}
