//! What is counted about streams of changes?
//!
//! Streams of all workers count into the same few atomics: events are rare
//! beside requests, and tickets that are refused rarer still.

use std::sync::atomic::{AtomicU64, Ordering};

/// Names of events, by [`Event`].
pub(crate) const EVENT_NAMES: [&str; 4] = ["hello", "change", "revision", "closed"];

/// What is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// How everything stands.
    Hello,
    /// What differs from what was told last.
    Change,
    /// A new revision is in force.
    Revision,
    /// Nothing follows.
    Closed,
}

impl Event {
    /// As it stands in the stream.
    pub(super) fn name(self) -> &'static str {
        EVENT_NAMES[self as usize]
    }
}

/// The counters.
#[derive(Debug, Default)]
pub(crate) struct ChangeCounts {
    events: [AtomicU64; 4],
    refused_streams: AtomicU64,
    sold: AtomicU64,
    refused_tickets: AtomicU64,
}

impl ChangeCounts {
    pub(super) fn told(&self, event: Event) {
        self.events[event as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn stream_refused(&self) {
        self.refused_streams.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn ticket_sold(&self) {
        self.sold.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn ticket_refused(&self) {
        self.refused_tickets.fetch_add(1, Ordering::Relaxed);
    }

    /// Events told, in the order of [`EVENT_NAMES`].
    pub(crate) fn events(&self) -> [u64; 4] {
        [0, 1, 2, 3].map(|at: usize| self.events[at].load(Ordering::Relaxed))
    }

    /// Streams refused because there were enough.
    pub(crate) fn streams_refused(&self) -> u64 {
        self.refused_streams.load(Ordering::Relaxed)
    }

    /// Tickets given and tickets refused.
    pub(crate) fn tickets(&self) -> [u64; 2] {
        [&self.sold, &self.refused_tickets].map(|count| count.load(Ordering::Relaxed))
    }
}
