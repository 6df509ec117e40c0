//! Who does work that falls into pieces?
//!
//! Reading a release falls into shards that know nothing of each other. This
//! core starts no threads: whoever calls brings [`Workers`], and [`InTurn`]
//! does one piece after the other. What comes out is the same.

use std::sync::OnceLock;

/// Does pieces of work that do not wait for each other.
pub trait Workers: Sync {
    /// Calls `piece` once with each number below `pieces`, in any order and on
    /// any threads, and returns when all calls have.
    fn each(&self, pieces: usize, piece: &(dyn Fn(usize) + Sync));
}

/// The calling thread, one piece after the other.
#[derive(Clone, Copy, Debug, Default)]
pub struct InTurn;

impl Workers for InTurn {
    fn each(&self, pieces: usize, piece: &(dyn Fn(usize) + Sync)) {
        (0..pieces).for_each(piece);
    }
}

/// What each piece comes to, in their order; of several errors the first.
pub(super) fn collect<T: Send + Sync, E: Send + Sync>(
    workers: &dyn Workers,
    pieces: usize,
    piece: impl Fn(usize) -> Result<T, E> + Sync,
) -> Result<Vec<T>, E> {
    let done: Vec<OnceLock<Result<T, E>>> = (0..pieces).map(|_| OnceLock::new()).collect();
    workers.each(pieces, &|at| {
        done[at].get_or_init(|| piece(at));
    });
    let each = done.into_iter().enumerate();
    // A piece that was left out is done here.
    each.map(|(at, done)| done.into_inner().unwrap_or_else(|| piece(at)))
        .collect()
}
