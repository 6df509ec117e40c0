//! What is counted about streams of flags?
//!
//! What was told, and how streams ended; those that are open are counted with
//! the streams of changes, whose places they take.

use std::sync::atomic::{AtomicU64, Ordering};

/// Names of what is told, by [`Event`].
pub(crate) const TOLD_NAMES: [&str; 3] = ["hydration", "resumed", "updated"];

/// Names of endings, by [`Ending`].
pub(crate) const ENDING_NAMES: [&str; 4] = ["gone", "slow", "refused", "old"];

/// What is told at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// Everything.
    Hydration,
    /// To a client that comes again: what it has missed.
    Resumed,
    /// What has changed.
    Updated,
}

/// How a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The client went, or serving did.
    Gone,
    /// It did not take what it was told.
    Slow,
    /// Its key is good no more, or the environment is not here.
    Refused,
    /// What is in force is too old to be served.
    Old,
}

/// The counters.
#[derive(Debug, Default)]
pub(crate) struct FlagStreamCounts {
    told: [AtomicU64; 3],
    endings: [AtomicU64; 4],
}

impl FlagStreamCounts {
    pub(super) fn tells(&self, event: Event) {
        self.told[event as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn ended(&self, ending: Ending) {
        self.endings[ending as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// What was told, in the order of [`TOLD_NAMES`].
    pub(crate) fn told(&self) -> [u64; 3] {
        [0, 1, 2].map(|at: usize| self.told[at].load(Ordering::Relaxed))
    }

    /// Endings, in the order of [`ENDING_NAMES`].
    pub(crate) fn endings(&self) -> [u64; 4] {
        [0, 1, 2, 3].map(|at: usize| self.endings[at].load(Ordering::Relaxed))
    }
}
