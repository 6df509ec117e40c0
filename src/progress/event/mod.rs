//! What stands in a progress record, in a batch, and in a user document?
//!
//! The serialisable forms of progress: a record is written to the journal as
//! one JSON object and travels to the ledger unchanged. Members may be added;
//! unknown members are ignored. The contract between edge and ledger.

mod batch;
mod change;
mod document;
mod membership;
mod outcome;
mod reads;
mod record;
mod report;

pub use batch::{Batch, BatchAnswer, Outcome, RecordOutcome, ShippedRecord, chain_hash, next_hash};
pub use change::{Change, Changes, membership_hash, subject_hash};
pub(crate) use document::state_bytes;
pub use document::{
    BlockStateDocument, EnrolledDocument, Erased, FlowStateDocument, GroupRecord, UserDocument,
};
pub use membership::{MembershipDocument, MembershipRecord};
pub use outcome::{OutcomeDocument, TargetDocument};
pub use reads::{UserAfter, UsersAnswer, UsersQuestion};
pub use record::{Assumption, Base, Event, EventId, GroupDocument, Intent, Operation};
pub use report::EdgeReport;
