//! What may be done with a shard while it is held?
//!
//! Entries are looked at only after they have caught up with the journal, and
//! an entry leaves in one way only: the cache first learns what it was.

use std::sync::{
    Arc, MutexGuard,
    atomic::{AtomicUsize, Ordering},
};

#[cfg(test)]
use super::Flaw;
use super::{Entries, Entry, Live, OnDisk, Outstanding, Pending};
use crate::{
    disk::journal::Journal,
    progress::{
        journals::RecordPlace,
        subjects::{Cached, Kept},
    },
};

/// Subjects that are compared before one of them makes room.
const COMPARED: usize = 8;

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
    ) -> Option<Entry<'_, T>> {
        if let Some(live) = self.entries.live.get_mut(key) {
            #[cfg(test)]
            if self.pending.flaw == Some(Flaw::SkipEra) {
                live.skip_era(journal);
            }
            let void = live.catch_up(journal);
            if void > 0 {
                let left = live.outstanding.count;
                self.pending.discount(void);
                if left == 0 {
                    // Nothing of ours is outstanding any more.
                    self.leave(key);
                }
            }
        }
        let Entries { live, on_disk } = &mut *self.entries;
        match live.get_mut(key) {
            Some(live) => Some(Entry::Live(live)),
            None => on_disk.get_mut(key).map(Entry::OnDisk),
        }
    }

    pub(super) fn catch_up_all(&mut self, journal: &Journal) {
        let keys: Vec<Box<[u8]>> = self.entries.live.keys().cloned().collect();
        for key in keys {
            self.entry(&key, journal);
        }
    }

    /// The entry, and if its state went to the cache and is still there, with
    /// that pinned again: nothing has to be read.
    pub(in crate::progress) fn recall(
        &mut self,
        key: &[u8],
        journal: &Journal,
    ) -> Option<Entry<'_, T>> {
        if let Some(own) = self.entries.on_disk.get(key)
            && let Some(whole) = self.whole(key, own)
        {
            self.raise(key, whole, journal.era());
        }
        self.entry(key, journal)
    }

    /// What the cache holds of a subject, if that includes all its records.
    fn whole(&self, key: &[u8], own: &OnDisk) -> Option<Cached<T>> {
        let cached = T::cache(&self.pending.subjects).get(key)?;
        (cached.through.is_some() && cached.through == own.records.last().copied())
            .then_some(cached)
    }

    /// Pins the whole state of a subject whose records were only on disk.
    pub(in crate::progress) fn raise(&mut self, key: &[u8], state: Cached<T>, era: u64) {
        if let Some((key, own)) = self.entries.on_disk.remove_entry(key) {
            let live = Live::new(state, own.unsettled(), own.outstanding.clone(), era);
            self.entries.live.insert(key, live);
            self.pending.resident.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Lets go of the state of one subject that was not written to for long,
    /// compared with a few others; which ones, `turn` says.
    pub(super) fn relieve(&mut self, turn: usize, journal: &Journal) {
        let live = &self.entries.live;
        let from = turn.saturating_mul(COMPARED) % live.len().max(1);
        let compared = live.iter().skip(from).take(COMPARED);
        let may_rest = compared.filter_map(|(key, live)| Some((live.may_rest(journal)?, key)));
        if let Some((_, key)) = may_rest.min() {
            self.put_to_rest(&key.clone(), journal);
        }
    }

    /// The state goes to the cache and its records' places stay. The generation
    /// grows: what is being read from the ledger now may lack records that were
    /// settled before, and their places are gone.
    fn put_to_rest(&mut self, key: &[u8], journal: &Journal) {
        let Some(Entry::Live(live)) = self.entry(key, journal) else {
            return;
        };
        // A commit may have failed since it was chosen.
        let Some(last) = live.may_rest(journal) else {
            return;
        };
        let Some((key, live)) = self.entries.live.remove_entry(key) else {
            return;
        };
        let state = Cached {
            through: Some(last),
            ..live.durable()
        };
        T::cache(&self.pending.subjects).insert(key.clone(), state);
        self.announce(&key);
        let (records, outstanding) = live.into_places();
        let own = OnDisk {
            records,
            outstanding,
        };
        self.entries.on_disk.insert(key, own);
        self.pending.resident.fetch_sub(1, Ordering::Relaxed);
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
        if !self.entries.live.contains_key(key) {
            let live = Live::new(below.clone(), &[], Outstanding::default(), era);
            self.entries.live.insert(key.into(), live);
            self.pending.resident.fetch_add(1, Ordering::Relaxed);
            self.occupied().fetch_add(1, Ordering::Release);
        }
        if let Some(live) = self.entries.live.get_mut(key) {
            live.push(seq, after);
            self.pending.count(1);
        }
    }

    /// Adds a record of an earlier run.
    pub(in crate::progress) fn push_recovered(&mut self, key: &[u8], place: RecordPlace) {
        if !self.entries.on_disk.contains_key(key) {
            self.entries.on_disk.insert(key.into(), OnDisk::default());
            self.occupied().fetch_add(1, Ordering::Release);
        }
        if let Some(own) = self.entries.on_disk.get_mut(key) {
            own.records.push(place);
            own.outstanding.count += 1;
            self.pending.count(1);
        }
    }

    fn occupied(&self) -> &'a AtomicUsize {
        &self.pending.shards[self.shard].occupied
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
            Some(Entry::OnDisk(own)) => own.outstanding.settle(doc_rev, as_recorded),
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
        let left = match (
            self.entries.live.remove(key),
            self.entries.on_disk.remove(key),
        ) {
            (Some(live), _) => {
                self.pending.resident.fetch_sub(1, Ordering::Relaxed);
                left(&live.outstanding, Some(live.durable()))
            }
            (None, Some(own)) => left(&own.outstanding, self.whole(key, &own)),
            (None, None) => return,
        };
        let cache = T::cache(&self.pending.subjects);
        match left {
            Left::Known(known) => cache.insert(key.into(), known),
            Left::Changed => cache.invalidate(key),
            Left::Untouched => {}
        }
        self.announce(key);
        self.occupied().fetch_sub(1, Ordering::Release);
    }

    /// Makes everything void that was read from the ledger until now.
    fn announce(&self, key: &[u8]) {
        let step = 1;
        #[cfg(test)]
        let step = step - u64::from(self.pending.flaw == Some(Flaw::KeepGeneration));
        let generation = self.pending.generation_at(self.pending.slot(key));
        generation.fetch_add(step, Ordering::Release);
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

fn left<T: Kept>(outstanding: &Outstanding, state: Option<Cached<T>>) -> Left<T> {
    let Some(doc_rev) = outstanding.doc_rev else {
        return Left::Untouched;
    };
    let known = state.filter(|_| !outstanding.diverged).and_then(|state| {
        let document = Arc::new(state.document.settled(doc_rev)?);
        Some(Cached {
            document,
            tick: state.tick,
            through: None,
        })
    });
    known.map_or(Left::Changed, Left::Known)
}
