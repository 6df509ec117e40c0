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

/// A preview holds at most this many users at once.
const _: () = assert!(PREVIEW_USERS <= PREVIEW_USERS_MAX);
