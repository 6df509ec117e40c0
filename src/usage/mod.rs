//! How are flags used, and how does the store come to know?
//!
//! What clients tell an edge of their use ([`told`]), and what the edge counts
//! itself ([`evaluations`]), is summed by application, flag and hour
//! ([`pending`]), written once a second to a journal of its own ([`gather`]),
//! and shipped to the store in batches that are taken once ([`lane`],
//! [`shipping`]). Nobody's answer waits for any of this, and all of it has a
//! bound.

mod evaluations;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod gather;
mod lane;
mod measured;
mod pending;
mod shipping;
#[cfg(test)]
mod tests;
mod told;
mod wire;

pub use evaluations::{Evaluating, Evaluations};
pub use gather::Gatherer;
pub use lane::{SinkError, SinkFuture, UsageSink};
pub use measured::{UsageFacts, UsageWatch};
pub use pending::{OTHERS, hour_of_report};
pub use shipping::Shipping;
pub use told::{Dropped, Full, Intake, Report, UsageCounters};
pub use wire::{HOUR_MS, HourCount, Sighting, Tally, UsageBatch, UsageRecord, UsageTaken, hour_of};

/// The application under which an edge counts its own evaluations.
pub const COUNTED_HERE: &str = "(edge)";
