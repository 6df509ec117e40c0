//! How much may authors bring in at once?
//!
//! Project files, files of users, and what edges say of themselves
//! to those who look after them.

/// One project file, and one import: thousands of flows with their copy text.
pub const IMPORT_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Values (texts, numbers, lists, tables) of one import after YAML's aliases
/// are followed: without it a page of aliases would fill the memory. The
/// largest honest import has some 20 bytes a value.
pub const IMPORT_NODES_MAX: usize = 2 * 1024 * 1024;

/// Faults one import reports; a file with more has one cause, said often.
pub const IMPORT_FAULTS_MAX: usize = 200;

/// What one fault says: names and differences that are longer are cut.
pub const IMPORT_FAULT_BYTES_MAX: usize = 4 * 1024;

/// Body of every other authoring call.
pub const ADMIN_BODY_BYTES_MAX: usize = 64 * 1024;

/// One line of a file of users: the largest properties of a user and of a few
/// groups, written with escapes.
pub const USER_LINE_BYTES_MAX: usize = 512 * 1024;

/// Lines of such a file in one call: one transaction of the ledger, for which
/// edges that ship wait.
pub const USER_LINES_MAX: usize = 256;

/// Bytes of the lines of one call, and so (with room for its frame) the
/// store's body cap for it.
pub const USER_LINES_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Lines that cannot be taken before an import gives the file up: one with
/// more has one cause, said often.
pub const USER_LINES_BAD_MAX: usize = 100;

/// Edges of one environment of which a store remembers what they reported:
/// large fleets, and some hundred kilobytes.
pub const EDGES_KEPT_MAX: usize = 1_024;

/// A name or word in an edge's report; ours are shorter.
pub const REPORT_WORD_BYTES_MAX: usize = 64;

/// Longest time a request may wait for the next timestamp.
pub const LONG_POLL_MS_MAX: u64 = 60_000;

// Whoever waits for a write asks upstream no longer than that answers.
const _: () = assert!(super::TOKEN_WAIT_MS <= LONG_POLL_MS_MAX);
