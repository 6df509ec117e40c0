//! Where does each subject stand, and how does a step become durable?
//!
//! [`Progress`] is the one face of this folder. Reads come from memory or
//! through to the ledger ([`subjects`], [`reading`]); a step is decided on the
//! newest state of its user under that user's shard ([`deciding`]), appended to the journal,
//! and acknowledged only when synced ([`stepping`]). Until the ledger has a
//! record, [`pending`] holds its effect and lies over whatever was read. The
//! [`shipper`] carries the journal to the [`ProgressLedger`]; [`recovery`]
//! puts the records of earlier runs back in place at boot.

mod deciding;
pub mod event;
mod known;
mod ledger;
mod merge;
mod pending;
mod reading;
mod recovery;
mod request;
pub mod shipper;
mod stepping;
mod subjects;

pub use ledger::{LedgerError, LedgerFuture, ProgressLedger};
pub use reading::{OnUnknownSubject, Reader};
pub use recovery::restore;
pub use request::{
    Action, IdentifyRequest, Place, Read, ReadError, StepRequest, Stepped, Token, WriteError,
};
pub use stepping::Progress;
