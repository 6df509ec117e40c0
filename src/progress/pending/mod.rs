//! Which steps does the ledger not have yet?
//!
//! A bounded, sharded map from subject to the newest state our own records
//! made, which lies over whatever the cache holds. A step is decided under its
//! user's shard, held for one pure transition and one enqueue, never over an
//! await. Only so many states are pinned here: of other subjects the places of
//! their records are enough, to be read back from disk ([`super::tail`]).
//! What would surprise: a writer sees the newest state, a reader only what is
//! durable; and readers pass without the lock, so when an entry leaves the
//! order of three stores matters (see `Locked::leave`).

mod live;
mod locked;

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

pub(super) use self::{
    live::{Live, Outstanding},
    locked::Locked,
};
#[cfg(test)]
use super::stepping::Flaw;
use super::{
    event::Event,
    journals::RecordPlace,
    subjects::{Kept, Subjects},
};
use crate::disk::journal::Journal;

/// Enough that two busy workers rarely meet in one shard.
const SHARDS: usize = 64;

/// Generations of one shard. A subject shares its generation with few others:
/// whenever one of them leaves, what was being read for the others is read
/// again, and with a far ledger that must stay rare under load. Takes 8 KiB.
const GENERATIONS: usize = 1_024;

/// The map, for one kind of subject.
pub(super) struct Pending<T> {
    shards: Box<[Shard<T>]>,
    hasher: RandomState,
    /// Told what an entry was before it leaves.
    subjects: Arc<Subjects>,
    /// Records outstanding over all shards; the cap is back-pressure.
    records: AtomicUsize,
    /// Subjects whose whole state is pinned here, and how many may be.
    resident: AtomicUsize,
    resident_max: usize,
    /// The shard that is looked at next for one that need not be.
    hand: AtomicUsize,
    /// Every entry has dropped what was void before this era.
    swept: AtomicU64,
    #[cfg(test)]
    flaw: Option<Flaw>,
}

/// One part of the map with its own lock.
struct Shard<T> {
    /// Entries inside. Zero lets a reader pass without taking the lock.
    occupied: AtomicUsize,
    /// One grows whenever an entry leaves: what was read from the ledger
    /// before that may lack its effect and is refused.
    generations: Box<[AtomicU64]>,
    entries: Mutex<Entries<T>>,
}

/// Subjects with records outstanding, each in one of the two.
struct Entries<T> {
    /// Those whose whole state is here.
    live: HashMap<Box<[u8]>, Live<T>>,
    /// Those of whom the records must be read first.
    on_disk: HashMap<Box<[u8]>, OnDisk>,
}

impl<T> Default for Entries<T> {
    fn default() -> Self {
        Self {
            live: HashMap::new(),
            on_disk: HashMap::new(),
        }
    }
}

/// A subject with records outstanding.
pub(super) enum Entry<'a, T> {
    /// What the ledger says, and then the records, are still to be read.
    OnDisk(&'a mut OnDisk),
    /// One whose whole state is here.
    Live(&'a mut Live<T>),
}

/// Journal, seq and record.
pub(super) type RecoveredRecord = (Arc<str>, u64, Arc<Event>);

/// A subject of whom only the places of records are here, all of them durable:
/// one of an earlier run, or one that made room.
#[derive(Default)]
pub(super) struct OnDisk {
    /// In order. They stay, settled or not, as long as this does, so that they
    /// can be laid over an answer of the ledger that was read at any time.
    pub(super) records: Vec<RecordPlace>,
    /// Until the last of them is settled.
    pub(super) outstanding: Outstanding,
}

impl OnDisk {
    /// The places of what is not settled: settling goes in order.
    fn unsettled(&self) -> &[RecordPlace] {
        let settled = self.records.len().saturating_sub(self.outstanding.count);
        self.records.get(settled..).unwrap_or_default()
    }
}

/// Where a subject is kept.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Slot {
    shard: usize,
    generation: usize,
}

impl<T: Kept> Pending<T> {
    pub(super) fn new(
        subjects: Arc<Subjects>,
        resident_max: usize,
        #[cfg(test)] flaw: Option<Flaw>,
    ) -> Self {
        let generations = || std::iter::repeat_with(AtomicU64::default).take(GENERATIONS);
        let shard = || Shard {
            occupied: AtomicUsize::new(0),
            generations: generations().collect(),
            entries: Mutex::default(),
        };
        Self {
            shards: std::iter::repeat_with(shard).take(SHARDS).collect(),
            hasher: RandomState::new(),
            subjects,
            records: AtomicUsize::new(0),
            resident: AtomicUsize::new(0),
            resident_max,
            hand: AtomicUsize::new(0),
            swept: AtomicU64::new(0),
            #[cfg(test)]
            flaw,
        }
    }

    /// Records outstanding.
    pub(super) fn records(&self) -> usize {
        self.records.load(Ordering::Relaxed)
    }

    /// Subjects with records outstanding.
    pub(super) fn entries(&self) -> usize {
        let occupied = |shard: &Shard<T>| shard.occupied.load(Ordering::Acquire);
        self.shards.iter().map(occupied).sum()
    }

    /// Those of them whose whole state is pinned.
    pub(super) fn resident(&self) -> usize {
        self.resident.load(Ordering::Relaxed)
    }

    /// Lets go of states while too many are pinned. Call it without holding a
    /// shard, after records became durable: what waits for its sync stays, so
    /// the bound is exceeded by no more than is on its way to the disk.
    pub(super) fn relieve(&self, journal: &Journal) {
        for _ in 0..SHARDS {
            if self.resident() <= self.resident_max {
                return;
            }
            let hand = self.hand.fetch_add(1, Ordering::Relaxed);
            self.lock_shard(hand % SHARDS)
                .relieve(hand / SHARDS, journal);
        }
    }

    fn count(&self, records: usize) {
        self.records.fetch_add(records, Ordering::Relaxed);
    }

    fn discount(&self, records: usize) {
        self.records.fetch_sub(records, Ordering::Relaxed);
    }

    fn slot(&self, key: &[u8]) -> Slot {
        // Both counts are powers of two that fit any integer type.
        let hash = self.hasher.hash_one(key) as usize;
        Slot {
            shard: hash % SHARDS,
            generation: hash / SHARDS % GENERATIONS,
        }
    }

    fn generation_at(&self, slot: Slot) -> &AtomicU64 {
        &self.shards[slot.shard].generations[slot.generation]
    }

    /// To be taken before the cache is looked at or the ledger is asked:
    /// whether an entry has left since proves what was found current.
    pub(super) fn generation(&self, key: &[u8]) -> u64 {
        self.generation_at(self.slot(key)).load(Ordering::Acquire)
    }

    /// Whether nothing of this subject can be pending; takes no lock.
    pub(super) fn is_clear(&self, key: &[u8]) -> bool {
        let shard = &self.shards[self.slot(key).shard];
        shard.occupied.load(Ordering::Acquire) == 0
    }

    /// Takes the subject's shard, unless nothing of it can be pending.
    pub(super) fn lock_occupied(&self, key: &[u8]) -> Option<Locked<'_, T>> {
        let at = self.slot(key).shard;
        let is_clear = self.shards[at].occupied.load(Ordering::Acquire) == 0;
        (!is_clear).then(|| self.lock_shard(at))
    }

    /// Takes the subject's shard.
    pub(super) fn lock(&self, key: &[u8]) -> Locked<'_, T> {
        self.lock_shard(self.slot(key).shard)
    }

    /// Takes the shards of several subjects, in an order that everybody takes
    /// them in. [`Locked`] answers for the subjects of its own shard.
    pub(super) fn lock_all<'a>(&self, keys: impl Iterator<Item = &'a [u8]>) -> Vec<Locked<'_, T>> {
        let mut shards: Vec<usize> = keys.map(|key| self.slot(key).shard).collect();
        shards.sort_unstable();
        shards.dedup();
        shards.into_iter().map(|at| self.lock_shard(at)).collect()
    }

    fn lock_shard(&self, at: usize) -> Locked<'_, T> {
        let entries = self.shards[at].entries.lock();
        // No code under this lock panics half-way through a change.
        let entries = entries.unwrap_or_else(PoisonError::into_inner);
        Locked::new(self, at, entries)
    }

    /// Drops everywhere what a failed commit voided. A subject that nobody
    /// asks for again would otherwise be counted, and kept, for ever. Call it
    /// without holding a shard; nothing is done unless a commit has failed.
    pub(super) fn sweep(&self, journal: &Journal) {
        let era = journal.era();
        if self.swept.load(Ordering::Acquire) >= era {
            return;
        }
        for at in 0..self.shards.len() {
            self.lock_shard(at).catch_up_all(journal);
        }
        self.swept.fetch_max(era, Ordering::Release);
    }
}
