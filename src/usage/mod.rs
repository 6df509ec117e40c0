//! How are flags used, and how does the store come to know?
//!
//! What clients tell an edge of their use, and what the edge counts itself, is
//! summed by application, flag and hour, kept in a journal of its own, and
//! shipped to the store in batches that are taken once ([`wire`]). Nobody's
//! answer waits for any of this, and all of it has a bound.

mod wire;

pub use wire::{HOUR_MS, HourCount, Sighting, Tally, UsageBatch, UsageTaken, hour_of};
