//! Where does each subject stand, and how does a step become durable?
//!
//! [`Progress`] is the one face of this folder. Reads come from memory or
//! through to the ledger ([`subjects`], [`reading`]); a step is decided on the
//! newest state of its user under that user's shard ([`deciding`],
//! [`identifying`]), appended to the journal as a record ([`recording`]) and
//! acknowledged only when synced ([`stepping`]). Until the ledger has a
//! record, [`pending`] holds its effect and lies over whatever was read. The
//! [`shipper`] carries the journal to the [`ProgressLedger`]; [`recovery`]
//! puts the records of earlier runs back in place at boot.

mod deciding;
mod enrolling;
pub mod event;
mod identifying;
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

pub use ledger::{LedgerError, LedgerFuture, ProgressLedger};
pub use reading::{OnUnknownSubject, Reader};
pub use recovery::{note_journal, restore};
pub use request::{
    Action, EnrolRequest, IdentifyRequest, Place, Read, ReadError, Remembered, StepRequest,
    Stepped, Token, WriteError,
};
pub use stepping::Progress;
