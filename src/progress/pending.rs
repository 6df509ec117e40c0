//! Which steps does the ledger not have yet?
//!
//! A bounded, sharded map from subject to the newest state that our own
//! records made. It lies over whatever the cache holds. A step is decided
//! under its user's shard, which is what serialises the steps of one user; the
//! lock is held for one pure transition and one enqueue, never over an await.
//!
//! What would surprise: a writer sees the newest state, durable or not, and a
//! reader only what is durable. When a commit fails, everything decided on it
//! is dropped before anyone can build on it: the journal's era has moved on.

use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasher, RandomState},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use super::{event::Event, known::Known};
use crate::{disk::journal::Journal, evaluate::Profile};

/// Enough that two busy workers rarely meet in one shard.
const SHARDS: usize = 64;

/// The map.
pub(super) struct Pending {
    shards: Box<[Shard]>,
    hasher: RandomState,
    /// Records outstanding over all shards; the cap is back-pressure.
    records: AtomicUsize,
}

/// One part of the map with its own lock.
pub(super) struct Shard {
    /// Entries inside. Zero lets a reader pass without taking the lock.
    occupied: AtomicUsize,
    /// Grows whenever an entry leaves: what was read from the ledger before
    /// that may lack its effect and is refused.
    generation: AtomicU64,
    entries: Mutex<HashMap<Box<[u8]>, Entry>>,
}

/// A subject with records outstanding.
pub(super) enum Entry {
    /// A user with records of earlier runs that nobody has asked for yet: the
    /// ledger's document is still to be read below them.
    Recovered(Recovered),
    /// A user whose whole state is here.
    Live(Live),
    /// A group that was upserted by identify calls.
    Group(Outstanding, Arc<Profile>),
}

/// Records of earlier runs.
#[derive(Default)]
pub(super) struct Recovered {
    /// In order: journal, seq, record.
    pub(super) records: Vec<(Arc<str>, u64, Event)>,
    /// Until the last of them is settled.
    pub(super) outstanding: Outstanding,
}

/// A user whose newest state our records made.
pub(super) struct Live {
    /// What readers see.
    durable: Arc<Known>,
    /// Newer states that wait for their sync: seq and state.
    undurable: VecDeque<(u64, Arc<Known>)>,
    /// The era in which `undurable` was decided.
    era: u64,
    outstanding: Outstanding,
}

/// How many records the ledger still has to settle.
#[derive(Clone, Debug, Default)]
pub(super) struct Outstanding {
    /// Records not settled.
    pub(super) count: usize,
    /// The ledger's state differs from what we decided.
    pub(super) diverged: bool,
    /// The ledger's revision after the last settled record.
    pub(super) doc_rev: u64,
}

impl Live {
    /// A user all of whose records are durable.
    pub(super) fn new(durable: Arc<Known>, outstanding: Outstanding, era: u64) -> Self {
        Self {
            durable,
            undurable: VecDeque::new(),
            era,
            outstanding,
        }
    }

    /// Moves what was synced to `durable`, drops what a failed commit voided.
    /// Returns how many records were dropped.
    fn catch_up(&mut self, journal: &Journal) -> usize {
        // Read before the end of our era is: an era that ends in between is
        // then caught up with the next time, and not cut short now.
        let era = journal.era();
        let synced = journal.durable_through(self.era);
        while let Some((seq, _)) = self.undurable.front() {
            if *seq > synced {
                break;
            }
            if let Some((_, known)) = self.undurable.pop_front() {
                self.durable = known;
            }
        }
        if self.era == era {
            return 0;
        }
        let void = self.undurable.len();
        self.undurable.clear();
        self.outstanding.count -= void.min(self.outstanding.count);
        self.era = era;
        void
    }

    /// The state a new step is decided on. Call `Locked::caught_up` first.
    pub(super) fn newest(&self) -> &Arc<Known> {
        self.undurable
            .back()
            .map_or(&self.durable, |(_, known)| known)
    }

    /// Whether the newest state still waits for its sync.
    pub(super) fn is_waiting(&self) -> bool {
        !self.undurable.is_empty()
    }

    /// Adds a record that was just queued.
    pub(super) fn push(&mut self, seq: u64, known: Arc<Known>) {
        self.undurable.push_back((seq, known));
        self.outstanding.count += 1;
    }
}

/// A shard under its lock.
pub(super) struct Locked<'a> {
    pending: &'a Pending,
    shard: &'a Shard,
    entries: MutexGuard<'a, HashMap<Box<[u8]>, Entry>>,
}

/// What became of an entry whose last record was settled.
pub(super) enum Left {
    /// The ledger has exactly this state.
    Known(Arc<Known>),
    /// Read it again.
    Unknown,
}

impl Pending {
    pub(super) fn new() -> Self {
        let shard = || Shard {
            occupied: AtomicUsize::new(0),
            generation: AtomicU64::new(0),
            entries: Mutex::default(),
        };
        Self {
            shards: std::iter::repeat_with(shard).take(SHARDS).collect(),
            hasher: RandomState::new(),
            records: AtomicUsize::new(0),
        }
    }

    /// Records outstanding.
    pub(super) fn records(&self) -> usize {
        self.records.load(Ordering::Relaxed)
    }

    /// Counts one more record.
    pub(super) fn count_record(&self) {
        self.records.fetch_add(1, Ordering::Relaxed);
    }

    fn discount(&self, records: usize) {
        self.records.fetch_sub(records, Ordering::Relaxed);
    }

    fn shard(&self, key: &[u8]) -> &Shard {
        // Fewer shards than any integer type holds.
        &self.shards[self.hasher.hash_one(key) as usize % SHARDS]
    }

    /// The generation to hand back when inserting what is read from now on.
    pub(super) fn generation(&self, key: &[u8]) -> u64 {
        self.shard(key).generation.load(Ordering::Acquire)
    }

    /// Whether nothing of this subject can be pending; takes no lock.
    pub(super) fn is_clear(&self, key: &[u8]) -> bool {
        self.shard(key).occupied.load(Ordering::Acquire) == 0
    }

    /// Takes the subject's shard.
    pub(super) fn lock(&self, key: &[u8]) -> Locked<'_> {
        let shard = self.shard(key);
        Locked {
            pending: self,
            shard,
            entries: shard.entries.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }
}

impl Locked<'_> {
    /// Whether an entry left since the generation was taken.
    pub(super) fn is_generation(&self, generation: u64) -> bool {
        self.shard.generation.load(Ordering::Acquire) == generation
    }

    /// The entry, caught up with the journal.
    pub(super) fn caught_up(&mut self, key: &[u8], journal: &Journal) -> Option<&mut Entry> {
        let entry = self.entries.get_mut(key)?;
        let mut emptied = false;
        if let Entry::Live(live) = entry {
            let void = live.catch_up(journal);
            if void > 0 {
                self.pending.discount(void);
                // Nothing of ours is left: what the ledger says counts again.
                emptied = live.outstanding.count == 0;
            }
        }
        if emptied {
            self.remove(key);
            return None;
        }
        self.entries.get_mut(key)
    }

    /// The durable state, for readers.
    pub(super) fn durable(&mut self, key: &[u8], journal: &Journal) -> Option<Arc<Known>> {
        match self.caught_up(key, journal)? {
            Entry::Live(live) => Some(live.durable.clone()),
            Entry::Recovered(_) | Entry::Group(..) => None,
        }
    }

    /// Puts an entry in place.
    pub(super) fn insert(&mut self, key: &[u8], entry: Entry) {
        if self.entries.insert(key.into(), entry).is_none() {
            self.shard.occupied.fetch_add(1, Ordering::Release);
        }
    }

    /// Whether nothing of this subject is here.
    pub(super) fn is_absent(&self, key: &[u8]) -> bool {
        !self.entries.contains_key(key)
    }

    /// What is being read from the ledger at this moment may be old.
    pub(super) fn outdate(&self) {
        self.shard.generation.fetch_add(1, Ordering::Release);
    }

    /// Takes an entry out.
    pub(super) fn remove(&mut self, key: &[u8]) -> Option<Entry> {
        let entry = self.entries.remove(key)?;
        self.shard.occupied.fetch_sub(1, Ordering::Release);
        self.shard.generation.fetch_add(1, Ordering::Release);
        Some(entry)
    }

    /// One record of this subject has its terminal outcome. Returns what is to
    /// be done with the cache when it was the last one.
    pub(super) fn settle(
        &mut self,
        key: &[u8],
        journal: &Journal,
        doc_rev: u64,
        as_recorded: bool,
    ) -> Option<Left> {
        let outstanding = match self.caught_up(key, journal)? {
            Entry::Recovered(recovered) => &mut recovered.outstanding,
            Entry::Live(live) => &mut live.outstanding,
            Entry::Group(outstanding, _) => outstanding,
        };
        outstanding.count = outstanding.count.saturating_sub(1);
        outstanding.diverged |= !as_recorded;
        outstanding.doc_rev = doc_rev;
        let finished = outstanding.count == 0;
        self.pending.discount(1);
        if !finished {
            return None;
        }
        Some(match self.remove(key)? {
            Entry::Live(live) if !live.outstanding.diverged && !live.durable.assumed => {
                Left::Known(Arc::new(Known {
                    doc_rev: live.outstanding.doc_rev,
                    last: None,
                    ..(*live.durable).clone()
                }))
            }
            _ => Left::Unknown,
        })
    }
}
