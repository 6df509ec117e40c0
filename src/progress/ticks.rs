//! Has another edge changed what we hold of a subject?
//!
//! A fixed table of counters, one for every so many subjects. The change
//! stream raises the counter of whatever it names; a document in memory keeps
//! the count at which its read began, and is current while that stands. Two
//! subjects that share a counter cost each other a read and nothing worse.
//!
//! What would surprise: the count is taken before the ledger is asked. Taken
//! with the answer, it would hide a change that was made while the answer was
//! on its way.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters: 1 MiB. With a thousand foreign changes a second, fewer than one
/// document in a hundred is read again each second for nothing. Simulations
/// begin a thousand runs and want collisions.
const TICKS: usize = if cfg!(test) { 256 } else { 131_072 };

/// The table.
pub(super) struct Ticks {
    table: Box<[AtomicU64]>,
    /// Added to every counter: raises all of them at once.
    all: AtomicU64,
}

/// A counter and how far it had come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tick {
    at: u32,
    count: u64,
}

impl Tick {
    /// Whether a read that began at `other` has seen whatever this one has.
    pub(super) fn is_covered_by(self, other: Self) -> bool {
        self.at == other.at && self.count <= other.count
    }
}

impl Ticks {
    /// Nothing has changed yet.
    pub(super) fn new() -> Self {
        Self {
            table: std::iter::repeat_with(AtomicU64::default)
                .take(TICKS)
                .collect(),
            all: AtomicU64::new(0),
        }
    }

    /// The count of this subject, to be taken before it is read. The hash is
    /// [`super::event::subject_hash`]'s.
    pub(super) fn now(&self, subject: u64) -> Tick {
        let at = (subject % TICKS as u64) as u32;
        self.again(Tick { at, count: 0 })
    }

    /// The same counter as it stands now.
    pub(super) fn again(&self, tick: Tick) -> Tick {
        // Both only grow, so the sum is the same only if both are.
        let own = self.table[tick.at as usize].load(Ordering::Acquire);
        Tick {
            at: tick.at,
            count: own + self.all.load(Ordering::Acquire),
        }
    }

    /// Whether nothing was heard of since.
    pub(super) fn is_current(&self, tick: Tick) -> bool {
        self.again(tick) == tick
    }

    /// This subject was changed by somebody else.
    pub(super) fn raise(&self, subject: u64) {
        let at = (subject % TICKS as u64) as usize;
        self.table[at].fetch_add(1, Ordering::Release);
    }

    /// Anything may have changed.
    pub(super) fn raise_all(&self) {
        self.all.fetch_add(1, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_makes_old_only_what_it_names_and_a_gap_everything() {
        let ticks = Ticks::new();
        let (ann, bob) = (ticks.now(7), ticks.now(8));
        ticks.raise(7);
        assert!(!ticks.is_current(ann) && ticks.is_current(bob));
        let again = ticks.again(ann);
        assert!(ticks.is_current(again));
        assert!(ann.is_covered_by(again) && !again.is_covered_by(ann));
        ticks.raise_all();
        assert!(!ticks.is_current(again) && !ticks.is_current(bob));
    }

    #[test]
    fn any_hash_has_its_place() {
        let ticks = Ticks::new();
        for subject in [0, u64::MAX, TICKS as u64] {
            let tick = ticks.now(subject);
            ticks.raise(subject);
            assert!(!ticks.is_current(tick));
        }
    }
}
