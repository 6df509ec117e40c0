//! What is counted about sockets?
//!
//! Sockets of all workers count into the same few atomics: what they do is
//! rare beside requests.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// Names of what is pushed, by [`Pushed`].
pub(crate) const PUSHED_NAMES: [&str; 3] = ["blocks", "flow", "error"];

/// Names of how sockets end, by [`Ending`].
pub(crate) const ENDING_NAMES: [&str; 8] = [
    "left",
    "stopping",
    "malformed",
    "silent",
    "refused",
    "full",
    "flood",
    "revoked",
];

/// What is pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pushed {
    Blocks,
    Flow,
    Error,
}

/// How a socket ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The client went, or was cut.
    Left,
    /// Serving ends.
    Stopping,
    /// It wrote what no client writes.
    Malformed,
    /// It did not answer, or never connected.
    Silent,
    /// Its key is not good.
    Refused,
    /// There are enough sockets.
    Full,
    /// It wrote too much.
    Flood,
    /// Its key is not good any more.
    Revoked,
}

/// The counters.
#[derive(Debug, Default)]
pub(crate) struct SocketCounts {
    open: AtomicUsize,
    pushed: [AtomicU64; 3],
    ended: [AtomicU64; 8],
}

impl SocketCounts {
    pub(super) fn opened(&self) {
        self.open.fetch_add(1, Relaxed);
    }

    pub(super) fn pushed(&self, what: Pushed) {
        self.pushed[what as usize].fetch_add(1, Relaxed);
    }

    pub(super) fn ended(&self, how: Ending) {
        self.open.fetch_sub(1, Relaxed);
        self.ended[how as usize].fetch_add(1, Relaxed);
    }

    /// Websockets that are open, connected or not.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Relaxed)
    }

    /// Events pushed, in the order of [`PUSHED_NAMES`].
    pub(crate) fn events(&self) -> [u64; 3] {
        [0, 1, 2].map(|at: usize| self.pushed[at].load(Relaxed))
    }

    /// Sockets that ended, in the order of [`ENDING_NAMES`].
    pub(crate) fn endings(&self) -> [u64; 8] {
        [0, 1, 2, 3, 4, 5, 6, 7].map(|at: usize| self.ended[at].load(Relaxed))
    }
}
