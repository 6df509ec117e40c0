//! How many rows of a list may one answer tell?
//!
//! Lists of what is authored, and of edges. Those that are read from the
//! ledger, or whose rows are large, have limits of their own beside what they
//! are about.

/// Rows of an answer, unless it is asked for fewer or more: everything that a
/// store of a usual size has, some megabytes at the most.
pub const LISTED_PER_ANSWER: usize = 1_000;

/// Rows of one answer. A row may cost the database a look for each
/// environment, which then takes some tenths of a second.
pub const LISTED_PER_ANSWER_MAX: usize = 5_000;

/// Versions, and deployments, that the answer about one flow tells itself: the
/// newest, as people look for them. All of them are lists.
pub const FLOW_VERSIONS_TOLD_MAX: usize = 100;

const _: () = assert!(LISTED_PER_ANSWER <= LISTED_PER_ANSWER_MAX);
