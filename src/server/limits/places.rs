//! Is there room for one more request, and for whose?
//!
//! Each worker has so many places for requests that are under way. The fuller
//! it is, the fewer classes of requests still get one, and no key gets more
//! than its share, so that others find room beside it. Counted by the one
//! thread that serves them: plain cells.

use std::cell::Cell;

use super::Class;
use crate::{current::KeySlot, limits::KEY_SLOTS};

/// Places of one worker.
#[derive(Debug)]
pub(super) struct Places {
    max: u32,
    used: Cell<u32>,
    /// By slot of the key.
    by_key: Box<[Cell<u32>]>,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoPlace {
    /// The key has its share.
    OfKey,
    /// All of what this class may have is in use.
    AtAll,
}

impl Places {
    /// So many in all; at least one.
    pub(super) fn new(max: usize) -> Self {
        Self {
            max: u32::try_from(max.max(1)).unwrap_or(u32::MAX),
            used: Cell::new(0),
            by_key: vec![Cell::new(0); KEY_SLOTS].into(),
        }
    }

    /// Takes a place.
    pub(super) fn enter(&self, key: KeySlot, class: Class) -> Result<(), NoPlace> {
        if !self.has_room(class) {
            return Err(NoPlace::AtAll);
        }
        let own = self.of(key);
        // Also within its share a key's steps outlive its reads.
        if own.get() >= class.share_of(share_of_key(self.max)) {
            return Err(NoPlace::OfKey);
        }
        own.set(own.get() + 1);
        self.used.set(self.used.get() + 1);
        Ok(())
    }

    /// Gives a place back.
    pub(super) fn leave(&self, key: KeySlot) {
        let own = self.of(key);
        own.set(own.get().saturating_sub(1));
        self.used.set(self.used.get().saturating_sub(1));
    }

    /// Whether something of this class would be let in now.
    pub(super) fn has_room(&self, class: Class) -> bool {
        self.used.get() < class.share_of(self.max)
    }

    /// Whether a request that has a place may be of this class after all.
    pub(super) fn has_room_beside(&self, class: Class) -> bool {
        self.used.get() <= class.share_of(self.max)
    }

    /// Places in use.
    pub(super) fn used(&self) -> u64 {
        self.used.get().into()
    }

    fn of(&self, key: KeySlot) -> &Cell<u32> {
        &self.by_key[key.0 as usize % self.by_key.len()]
    }
}

/// Three quarters: a single key is hardly held back by it, and the last quarter
/// is always somebody else's.
fn share_of_key(max: u32) -> u32 {
    (max / 4 * 3 + max % 4 * 3 / 4).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(places: &Places, key: KeySlot, class: Class) -> (u32, NoPlace) {
        let mut taken = 0;
        loop {
            match places.enter(key, class) {
                Ok(()) => taken += 1,
                Err(why) => return (taken, why),
            }
        }
    }

    #[test]
    fn one_key_cannot_take_all_places() {
        let places = Places::new(100);
        let (greedy, modest) = (KeySlot(1), KeySlot(2));
        assert_eq!(fill(&places, greedy, Class::Writes), (75, NoPlace::OfKey));
        assert_eq!(places.enter(modest, Class::Evaluations), Ok(()));
        assert_eq!(fill(&places, modest, Class::Writes), (24, NoPlace::AtAll));
        for _ in 0..75 {
            places.leave(greedy);
        }
        assert_eq!(places.enter(modest, Class::Lists), Ok(()));
    }

    #[test]
    fn the_fuller_it_is_the_fewer_classes_get_a_place() {
        let places = Places::new(100);
        let mut before = 0;
        for class in Class::ALL {
            // A key each, so that no share is the limit.
            let mut taken = 0;
            while places.enter(KeySlot(before + taken), class).is_ok() {
                taken += 1;
            }
            assert!(
                taken > 0,
                "{class:?} is sacrificed before the class above it"
            );
            before += taken;
        }
        assert_eq!(before, 100);
        let least = Places::new(0);
        assert_eq!(least.enter(KeySlot(0), Class::Writes), Ok(()));
        assert_eq!(least.enter(KeySlot(1), Class::Writes), Err(NoPlace::AtAll));
    }
}
