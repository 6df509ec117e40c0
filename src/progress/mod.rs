//! Where does each subject stand, and how does a step become durable?
//!
//! [`Progress`] is the one face of this folder: reads come from memory (or
//! through to the ledger), writes are decided on the newest state of the user,
//! appended to the journal, and acknowledged only when synced. The
//! shipper carries the journal to the [`ProgressLedger`].

pub mod event;
mod face;
mod ledger;

pub use face::{
    Action, IdentifyRequest, Place, Progress, Read, ReadError, StepRequest, Stepped, Token,
    WriteError,
};
pub use ledger::{LedgerError, LedgerFuture, ProgressLedger};
