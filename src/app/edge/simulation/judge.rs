//! What was seen, and may that be?
//!
//! Everybody in a simulation tells the judge: clients what they were told, the
//! store what it made of records, the weather what it did. What must never
//! happen is kept with the name of the rule it breaks, and what did happen is
//! counted, because a simulation in which nothing happens proves nothing.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// How often things happened.
pub(super) type Tally = BTreeMap<&'static str, u64>;

/// Lines that a failure comes with.
const TOLD_MAX: usize = 300;

/// Shared by everybody; clones are the same one.
#[derive(Clone, Default)]
pub(super) struct Judge(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    tally: Tally,
    wrong: Option<String>,
    /// The highest revision an edge has answered with, over all its lives.
    revisions: BTreeMap<usize, u64>,
    /// What clients were told is stored.
    acknowledged: BTreeSet<(String, u64)>,
    /// What happened last, with its time.
    story: VecDeque<String>,
    /// One number made of everything that happened, in its order.
    digest: u64,
}

impl Judge {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something happened.
    pub(super) fn count(&self, what: &'static str) {
        *self.seen().tally.entry(what).or_default() += 1;
        self.mix(what.as_bytes());
    }

    pub(super) fn add(&self, what: &'static str, more: u64) {
        *self.seen().tally.entry(what).or_default() += more;
    }

    pub(super) fn tally(&self) -> Tally {
        self.seen().tally.clone()
    }

    /// Something broke a rule, which the text begins with. The first one counts.
    pub(super) fn wrong(&self, text: String) {
        self.seen().wrong.get_or_insert(text);
    }

    pub(super) fn verdict(&self) -> Result<(), String> {
        self.seen().wrong.clone().map_or(Ok(()), Err)
    }

    /// Something that helps whoever looks into a failure.
    pub(super) fn tell(&self, what: &str) {
        let at_ms = turmoil::sim_elapsed().unwrap_or_default().as_millis();
        let mut seen = self.seen();
        if seen.story.len() == TOLD_MAX {
            seen.story.pop_front();
        }
        seen.story.push_back(format!("{at_ms:>6} ms  {what}"));
    }

    /// What happened last.
    pub(super) fn story(&self) -> String {
        let story: Vec<String> = self.seen().story.iter().cloned().collect();
        story.join("\n")
    }

    /// Notes what happened for [`Self::digest`].
    pub(super) fn mix(&self, bytes: &[u8]) {
        let mut seen = self.seen();
        for byte in bytes {
            // FNV-1a.
            seen.digest = (seen.digest ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    /// The same for two runs in which the same happened in the same order.
    pub(super) fn digest(&self) -> u64 {
        self.seen().digest
    }

    /// The least revision that an edge may answer with from now on.
    pub(super) fn floor(&self, edge: usize) -> u64 {
        self.seen().revisions.get(&edge).copied().unwrap_or(0)
    }

    /// An edge has answered with this revision.
    pub(super) fn revision(&self, edge: usize, found: u64) {
        let mut seen = self.seen();
        let highest = seen.revisions.entry(edge).or_default();
        *highest = (*highest).max(found);
    }

    pub(super) fn acknowledged(&self, place: (String, u64)) {
        self.seen().acknowledged.insert(place);
    }

    pub(super) fn all_acknowledged(&self) -> BTreeSet<(String, u64)> {
        self.seen().acknowledged.clone()
    }
}
