//! What do our own records make of one subject?
//!
//! A [`Live`] holds the newest durable state and the states that wait for
//! their sync, each with the seq of the record that made it. When a commit
//! fails, everything decided on it is dropped before anyone can build on it:
//! the journal's era has moved on.

use std::{collections::VecDeque, sync::Arc};

use crate::{
    disk::journal::{Durability, Journal},
    limits::SUBJECT_TAIL_RECORDS_MAX,
    progress::{journals::RecordPlace, subjects::Cached, ticks::Tick},
};

/// A subject whose newest state our records made.
pub(in crate::progress) struct Live<T> {
    durable: Arc<T>,
    /// When the read began on which all of this rests.
    tick: Tick,
    /// Newer states that wait for their sync: seq and state.
    undurable: VecDeque<(u64, Arc<T>)>,
    /// The era in which `undurable` was decided.
    era: u64,
    /// Where the records are that are not settled, in order.
    records: VecDeque<RecordPlace>,
    pub(super) outstanding: Outstanding,
}

/// How many records the ledger still has to settle.
#[derive(Clone, Debug, Default)]
pub(in crate::progress) struct Outstanding {
    /// Records not settled.
    pub(in crate::progress) count: usize,
    /// The ledger's state differs from what we decided.
    pub(in crate::progress) diverged: bool,
    /// The ledger's revision after the last settled record; none so far.
    pub(in crate::progress) doc_rev: Option<u64>,
}

impl<T> Live<T> {
    /// A subject all of whose records, at these places, are durable.
    pub(super) fn new(
        below: Cached<T>,
        records: &[RecordPlace],
        outstanding: Outstanding,
        era: u64,
    ) -> Self {
        Self {
            records: records.iter().copied().collect(),
            durable: below.document,
            tick: below.tick,
            undurable: VecDeque::new(),
            era,
            outstanding,
        }
    }

    /// Moves what was synced to `durable`, drops what a failed commit voided.
    /// Returns how many records were dropped.
    pub(super) fn catch_up(&mut self, journal: &Journal) -> usize {
        // Read before the end of our era is: an era that ends in between is
        // then caught up with the next time, and not cut short now.
        let era = journal.era();
        let synced = journal.durable_through(self.era);
        while let Some((seq, _)) = self.undurable.front() {
            if *seq > synced {
                break;
            }
            if let Some((_, state)) = self.undurable.pop_front() {
                self.durable = state;
            }
        }
        if self.era == era {
            return 0;
        }
        let void = self.undurable.len();
        self.undurable.clear();
        self.records
            .truncate(self.records.len() - void.min(self.records.len()));
        self.outstanding.count -= void.min(self.outstanding.count);
        self.era = era;
        void
    }

    /// The mistake of taking void records for those of the era in force.
    #[cfg(test)]
    pub(super) fn skip_era(&mut self, journal: &Journal) {
        self.era = journal.era();
    }

    /// What readers see: what is as durable as the operator wants it.
    pub(in crate::progress) fn seen(&self, journal: &Journal) -> Cached<T> {
        match journal.durability() {
            Durability::Disk => self.at(&self.durable),
            Durability::Memory => self.newest(),
        }
    }

    /// The state a new record is decided on.
    pub(in crate::progress) fn newest(&self) -> Cached<T> {
        let newest = self.undurable.back();
        self.at(newest.map_or(&self.durable, |(_, state)| state))
    }

    /// What others changed since the tick, also while our records were on
    /// their way, is not in here.
    fn at(&self, document: &Arc<T>) -> Cached<T> {
        Cached {
            document: document.clone(),
            tick: self.tick,
            through: None,
        }
    }

    /// The place of the last record if the state need not be pinned: all of it
    /// is durable, and the records are few enough to be read back.
    pub(super) fn may_rest(&self, journal: &Journal) -> Option<RecordPlace> {
        let waits = match self.undurable.back() {
            Some((seq, _)) => self.era != journal.era() || *seq > journal.synced(),
            None => false,
        };
        let few = self.records.len() <= SUBJECT_TAIL_RECORDS_MAX;
        self.records.back().copied().filter(|_| few && !waits)
    }

    /// What stays of it on disk.
    pub(super) fn into_places(self) -> (Vec<RecordPlace>, Outstanding) {
        (self.records.into(), self.outstanding)
    }

    /// Whether an answer that rests on the newest state must wait.
    pub(in crate::progress) fn is_waiting(&self, journal: &Journal) -> bool {
        journal.durability() == Durability::Disk && !self.undurable.is_empty()
    }

    /// Adds a record that was just queued, in the era of the last catching up:
    /// one that was void since would not have been queued.
    pub(super) fn push(&mut self, seq: u64, state: Arc<T>) {
        self.undurable.push_back((seq, state));
        self.records.push_back(RecordPlace::live(seq));
        self.outstanding.count += 1;
    }

    /// One more record has its terminal outcome; whether none is left.
    pub(super) fn settle(&mut self, doc_rev: u64, as_recorded: bool) -> bool {
        self.records.pop_front();
        self.outstanding.settle(doc_rev, as_recorded)
    }

    /// The last durable state, when nothing is outstanding.
    pub(super) fn durable(&self) -> Cached<T> {
        self.at(&self.durable)
    }
}

impl Outstanding {
    /// One more record has its terminal outcome; whether none is left.
    pub(super) fn settle(&mut self, doc_rev: u64, as_recorded: bool) -> bool {
        self.count = self.count.saturating_sub(1);
        self.diverged |= !as_recorded;
        self.doc_rev = Some(doc_rev);
        self.count == 0
    }
}
