//! How many may wait at a time, in all and of one kind?
//!
//! Whoever waits for something (a stream of changes, an answer of upstream)
//! takes a [`Seat`] first and gives it back by dropping it. Nobody queues for
//! a seat: where none is free the caller says so at once. Counting takes no
//! lock and no memory: those who share a place of a fixed table share its
//! allowance, which happens by chance to few and never lets more in.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use crate::limits::SEAT_COUNTS;

/// On whose behalf somebody waits: a few bits of the hash of their key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asker(usize);

impl Asker {
    /// Of the SHA-256 of a key.
    pub fn of(sha256: &[u8; 32]) -> Self {
        Self(usize::from(u16::from_le_bytes([sha256[0], sha256[1]])) % SEAT_COUNTS)
    }
}

/// Seats for one purpose. Cloning shares them.
#[derive(Clone, Debug)]
pub struct Seats(Arc<Room>);

#[derive(Debug)]
struct Room {
    all_max: usize,
    own_max: usize,
    all: AtomicUsize,
    own: Box<[AtomicUsize]>,
}

/// One place, until it is dropped.
#[derive(Debug)]
pub struct Seat {
    room: Arc<Room>,
    asker: Asker,
}

impl Seats {
    /// So many in all, and so many for one asker.
    pub fn new(all_max: usize, own_max: usize) -> Self {
        let own = std::iter::repeat_with(AtomicUsize::default);
        Self(Arc::new(Room {
            all_max,
            own_max,
            all: AtomicUsize::new(0),
            own: own.take(SEAT_COUNTS).collect(),
        }))
    }

    /// A seat, if one is free.
    pub fn take(&self, asker: Asker) -> Option<Seat> {
        let room = &self.0;
        if !enter(&room.all, room.all_max) {
            return None;
        }
        if !enter(&room.own[asker.0], room.own_max) {
            room.all.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        Some(Seat {
            room: Arc::clone(room),
            asker,
        })
    }

    /// Seats that are taken.
    pub fn taken(&self) -> usize {
        self.0.all.load(Ordering::Relaxed)
    }
}

/// Counts one more unless there are as many as there may be.
fn enter(count: &AtomicUsize, max: usize) -> bool {
    let more = |now: usize| (now < max).then_some(now + 1);
    let relaxed = Ordering::Relaxed;
    count.fetch_update(relaxed, relaxed, more).is_ok()
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.room.own[self.asker.0].fetch_sub(1, Ordering::Relaxed);
        self.room.all.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats_are_counted_in_all_and_for_each_asker_and_come_back() {
        let seats = Seats::new(3, 2);
        let (one, other) = (Asker::of(&[1; 32]), Asker::of(&[2; 32]));
        let first = seats.take(one);
        let second = seats.take(one);
        assert!(first.is_some() && second.is_some());
        assert!(seats.take(one).is_none(), "it has its two");
        assert_eq!(seats.taken(), 2, "a refusal leaves nothing behind");
        let third = seats.take(other);
        assert!(third.is_some());
        assert!(seats.take(other).is_none(), "three in all");
        drop(first);
        assert!(seats.take(one).is_some(), "its seat came back");
        drop((second, third));
        assert_eq!(seats.taken(), 0);
    }
}
