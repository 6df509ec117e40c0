//! Where does each subject stand, and how does a step become durable?
//!
//! [`Progress`] is the one face of this folder. A subject is found in memory or
//! read through from the ledger ([`finding`], [`subjects`], [`reading`]); a step
//! is decided on the newest state of its user under that user's shard
//! ([`deciding`], [`identifying`], [`enrolling`]), appended to the journal as a
//! record ([`recording`], [`writing`]) and acknowledged only when synced
//! ([`stepping`]). Until the ledger has a record, [`pending`] holds its effect
//! and lies over whatever was read. The [`shipper`] carries the journal to the
//! [`ProgressLedger`]; [`watching`] hears what other edges have changed there
//! ([`ticks`]); [`recovery`] puts the records of earlier runs back in place at
//! boot.

mod deciding;
mod enrolling;
pub mod event;
mod finding;
mod identifying;
mod keys;
mod known;
mod ledger;
mod pending;
mod reading;
mod recording;
mod recovery;
mod request;
pub mod shipper;
mod stepping;
mod subjects;
#[cfg(test)]
mod tests;
mod ticks;
mod watching;
mod writing;

pub use ledger::{LedgerError, LedgerFuture, ProgressLedger};
pub use reading::{OnUnknownSubject, Reader};
pub use recovery::{note_journal, restore};
pub use request::{
    Action, EnrolRequest, IdentifyRequest, Place, Read, ReadError, Remembered, StepRequest,
    Stepped, Token, WriteError,
};
pub use stepping::Progress;
pub use watching::{WatchStatus, Watcher};
