//! How does a client hear what changes, instead of asking again and again?
//!
//! `GET /v1/changes` answers with server-sent events about one subject and the
//! revisions of its environment; `POST /v1/changes/tickets` gives the address
//! of such a stream to pages whose `EventSource` cannot send a key. What is
//! told is in [`told`], when in [`follow`], for whom in [`ticket`].

mod counts;
mod follow;
#[cfg(any(test, fuzzing))]
mod fuzzing;
mod hear;
mod ticket;
mod told;

pub(crate) use counts::{ChangeCounts, EVENT_NAMES};
#[cfg(any(test, fuzzing))]
pub(crate) use fuzzing::ticket as fuzz_ticket;
pub(crate) use hear::{event_stream, hear, sell};
pub(crate) use ticket::{Office, TicketError};

use std::{sync::Arc, time::Duration};

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::{
    clock::{Ambient, UnixMs},
    limits::STREAM_READS_MAX,
    progress::{Asker, Seat, Seats},
    server::protocol::unleash::FlagStreamCounts,
};

/// How streams of changes are bounded and tickets sealed.
#[derive(Clone, Copy, Debug)]
pub struct ChangesOptions<'a> {
    /// Streams in all.
    pub streams_max: usize,
    /// Streams with one key.
    pub streams_per_key_max: usize,
    /// How long a ticket is good for.
    pub ticket_life: Duration,
    /// What tickets are sealed with; none: a secret of this process.
    pub ticket_secret: Option<&'a str>,
}

/// What all streams of changes of a process share. Cloning shares it.
#[derive(Clone)]
pub struct Changes {
    seats: Seats,
    office: Arc<Office>,
    /// Streams read the ledger so many at a time, or a gap in the changes of
    /// other edges would leave no room for requests.
    reads: Arc<Semaphore>,
    counts: Arc<ChangeCounts>,
    flags: Arc<FlagStreamCounts>,
}

impl Changes {
    /// With no stream open.
    pub fn new(options: ChangesOptions<'_>, ambient: &Ambient) -> Self {
        Self {
            seats: Seats::new(options.streams_max, options.streams_per_key_max),
            office: Arc::new(Office::new(
                options.ticket_secret,
                options.ticket_life,
                ambient,
            )),
            reads: Arc::new(Semaphore::new(STREAM_READS_MAX)),
            counts: Arc::default(),
            flags: Arc::default(),
        }
    }

    /// Streams that are open.
    pub(crate) fn open(&self) -> usize {
        self.seats.taken()
    }

    /// What was counted.
    pub(crate) fn counts(&self) -> &ChangeCounts {
        &self.counts
    }

    /// What was counted of those that tell of flags.
    pub(crate) fn flag_counts(&self) -> &FlagStreamCounts {
        &self.flags
    }

    fn now(&self) -> UnixMs {
        self.office.now()
    }

    /// A place for one more stream or socket.
    pub(crate) fn seat(&self, key: &[u8; 32]) -> Option<Seat> {
        self.seats.take(Asker::of(key))
    }

    /// A turn to read the ledger, until it is dropped.
    pub(crate) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        // The semaphore is never closed.
        self.reads.acquire().await.ok()
    }
}
