//! Where does each subject stand, and how does a step become durable?
//!
//! [`Progress`] is the one face. A subject is in memory or read through
//! ([`finding`], [`subjects`], [`reading`]); a step is decided on the newest
//! state under its user's shard ([`deciding`], [`identifying`], [`enrolling`]),
//! appended as a record ([`recording`], [`writing`]) and acknowledged when synced
//! ([`stepping`]). Until the ledger has it, [`pending`] lies over what was read.
//! [`shipper`] carries the journal to the [`ProgressLedger`], [`watching`] hears
//! what others changed there ([`ticks`]), [`recovery`] restores at boot.
//! Whoever follows a subject is woken by [`listening`].

mod batching;
mod deciding;
mod enrolling;
pub mod event;
mod finding;
mod forking;
mod gathering;
mod identifying;
mod journals;
mod keys;
mod known;
mod ledger;
mod listening;
mod options;
mod pending;
mod reading;
mod recording;
mod recovery;
mod request;
mod seats;
pub mod shipper;
mod stepping;
mod subjects;
mod tail;
#[cfg(test)]
mod tests;
mod ticks;
mod tokens;
mod watching;
mod writing;

pub use gathering::ReadCounts;
pub use ledger::{LedgerError, LedgerFuture, ProgressLedger};
pub use listening::{Listener, ListeningCounts, Woken};
pub use options::ProgressOptions;
pub use reading::{OnUnknownSubject, Reader};
pub use recovery::{note_journal, restore};
pub use request::{
    Action, BatchError, EnrolRequest, GroupRequest, IdentifyRequest, Place, Read, ReadError,
    Remembered, StepRequest, Stepped, Token, TokenFault, WriteError,
};
pub use seats::{Asker, Seat, Seats};
pub use stepping::{Progress, Refuses};
pub use tokens::TOKEN_OUTCOMES;
pub use watching::{WatchStatus, Watcher};
