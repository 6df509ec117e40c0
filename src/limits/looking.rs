//! How much of the ledger may one question of an author look at?
//!
//! Such questions read users one by one. None may keep a connection to the
//! database for long, however many users there are: an answer says where the
//! next question goes on.

/// Users that one preview of a deployment looks at.
pub const PREVIEW_USERS_MAX: usize = 1_000;

/// Users a preview looks at unless it is told otherwise.
pub const PREVIEW_USERS: usize = 250;

/// Examples of each kind that one preview tells.
pub const PREVIEW_EXAMPLES_MAX: usize = 50;

/// Examples of each kind unless it is told otherwise.
pub const PREVIEW_EXAMPLES: usize = 5;

/// Ways one user is looked at (once without a conversation, and in each of
/// theirs): somebody with more is judged in the first of them.
pub const PREVIEW_VIEWS_PER_USER_MAX: usize = 16;

/// Users that one search looks through, hits or not: their documents are read
/// one by one.
pub const USER_SEARCH_SCANNED_MAX: usize = 5_000;

/// Users one search tells of unless it is told otherwise.
pub const USERS_PER_ANSWER: usize = 50;

/// Users one search tells of at the most.
pub const USERS_PER_ANSWER_MAX: usize = 500;

/// Flows that are judged for one user in one answer: each is compiled for it.
pub const USER_FLOWS_PER_ANSWER: usize = 100;

/// A preview holds at most this many users at once.
const _: () = assert!(PREVIEW_USERS <= PREVIEW_USERS_MAX);
