//! Who makes the next segment while the present one is written?
//!
//! Filling a segment with zeroes takes as long as many commits, so a thread
//! beside the committer's does it; and a full disk is noticed by it while the
//! present segment still has room. Without the thread (in a simulation, or
//! when it could not be started) the committer makes segments itself.

use std::{
    io,
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, TryRecvError, sync_channel},
    },
    thread::{Builder, JoinHandle},
};

use super::{
    super::Disk,
    segment::{Blank, Mould},
};

/// The maker of segments.
pub(super) enum Ahead {
    /// There is none.
    Inline,
    /// A thread that makes one segment at a time.
    Thread(Thread),
}

/// The thread's ends.
pub(super) struct Thread {
    /// None only while it is dropped.
    orders: Option<SyncSender<u32>>,
    made: Receiver<io::Result<Blank>>,
    busy: bool,
    handle: Option<JoinHandle<()>>,
}

impl Ahead {
    /// Starts the thread.
    pub(super) fn start(disk: Arc<dyn Disk>, mould: &Mould) -> Self {
        let mould = mould.clone();
        // One order at a time, so neither end ever waits to send.
        let (orders, numbers) = sync_channel::<u32>(1);
        let (results, made) = sync_channel(1);
        let body = move || {
            for number in numbers {
                if results.send(mould.make(disk.as_ref(), number)).is_err() {
                    return;
                }
            }
        };
        match Builder::new()
            .name("journal-segments".to_owned())
            .spawn(body)
        {
            Ok(handle) => Self::Thread(Thread {
                orders: Some(orders),
                made,
                busy: false,
                handle: Some(handle),
            }),
            // Commits are then slower at the end of a segment, nothing else.
            Err(_) => Self::Inline,
        }
    }

    /// Whether a segment is being made.
    pub(super) fn busy(&self) -> bool {
        matches!(self, Self::Thread(thread) if thread.busy)
    }

    /// Has a segment made; false if the caller must do it.
    pub(super) fn order(&mut self, number: u32) -> bool {
        let Self::Thread(thread) = self else {
            return false;
        };
        let orders = thread.orders.as_ref();
        thread.busy = orders.is_some_and(|orders| orders.send(number).is_ok());
        thread.busy
    }

    /// What was made since the last order; with `wait`, when it is.
    pub(super) fn collect(&mut self, wait: bool) -> Option<io::Result<Blank>> {
        let Self::Thread(thread) = self else {
            return None;
        };
        if !thread.busy {
            return None;
        }
        let made = if wait {
            thread.made.recv().ok()
        } else {
            match thread.made.try_recv() {
                Ok(made) => Some(made),
                Err(TryRecvError::Empty) => return None,
                Err(TryRecvError::Disconnected) => None,
            }
        };
        thread.busy = false;
        Some(made.unwrap_or_else(|| Err(io::Error::other("the segment thread has ended"))))
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        // Closing both channels ends the thread; it is waited for so that
        // nothing writes into the folder after its lock was released.
        self.orders = None;
        if let Some(handle) = self.handle.take() {
            // A panic in there was seen as a closed channel.
            handle.join().ok();
        }
    }
}
