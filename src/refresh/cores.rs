//! On which threads is a release read?
//!
//! On as many as there are cores, for the time of one call: a cold start and a
//! first fetch have everything to read, and who waits for them would wait for
//! one core while the others idle. For a release that changes little, starting
//! threads costs some tens of microseconds more than it saves. A piece that
//! panics ends the call with a panic, which whoever compiles off the control
//! runtime turns into an error.

use std::{
    num::NonZero,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    thread,
};

use crate::{limits::READING_THREADS_MAX, snapshot::Workers};

/// All cores, up to a limit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cores;

impl Workers for Cores {
    fn each(&self, pieces: usize, piece: &(dyn Fn(usize) + Sync)) {
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        let threads = cores.min(READING_THREADS_MAX).min(pieces);
        let next = AtomicUsize::new(0);
        let work = || {
            loop {
                let at = next.fetch_add(1, Relaxed);
                if at >= pieces {
                    break;
                }
                piece(at);
            }
        };
        thread::scope(|scope| {
            for _ in 1..threads {
                // Where no thread can be had, this one does the work.
                let named = thread::Builder::new().name("reading".to_owned());
                drop(named.spawn_scoped(scope, work));
            }
            work();
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn every_piece_is_done_once() {
        for pieces in [0, 1, 2, 300] {
            let done = Mutex::new(Vec::new());
            Cores.each(pieces, &|at| done.lock().unwrap().push(at));
            let mut done = done.into_inner().unwrap();
            done.sort_unstable();
            assert_eq!(done, (0..pieces).collect::<Vec<_>>());
        }
    }
}
