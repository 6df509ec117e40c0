//! How much is kept of what was changed, and told at a time?
//!
//! The audit log lies in the database beside what it is about, and is read by
//! people.

/// What a caller may call a request of theirs; ids of tracing systems have at
/// most a few dozen characters.
pub const REQUEST_ID_BYTES_MAX: usize = 128;

/// One state of one thing in an entry; a version of some hundred blocks fits.
/// Of what is longer its length is kept; the versions themselves stay.
pub const AUDIT_STATE_BYTES_MAX: usize = 64 * 1024;

/// All states of one entry together, before the rest is told by name alone: an
/// import of thousands of flows must not double what it writes.
pub const AUDIT_ENTRY_BYTES_MAX: usize = 1024 * 1024;

/// Things one entry names; of more their number is kept.
pub const AUDIT_CHANGES_MAX: usize = 1_000;

/// Entries of an answer, when nobody says how many.
pub const AUDIT_PER_ANSWER: usize = 50;

/// Entries of one answer: each may hold a megabyte.
pub const AUDIT_PER_ANSWER_MAX: usize = 200;

/// Entries in which the change is looked for that somebody was too late for:
/// most are the newest one, and the answer can do without.
pub const LATE_ENTRIES_MAX: usize = 20;

/// Entries one sweep forgets; the writer is held meanwhile.
pub const AUDIT_SWEEP_MAX: usize = 256;

const _: () = assert!(AUDIT_PER_ANSWER <= AUDIT_PER_ANSWER_MAX);
const _: () = assert!(LATE_ENTRIES_MAX <= AUDIT_PER_ANSWER_MAX);
const _: () = assert!(AUDIT_STATE_BYTES_MAX * 2 <= AUDIT_ENTRY_BYTES_MAX);
