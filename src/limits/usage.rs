//! How much may be told of the use of flags?
//!
//! Whoever has a public key may tell anything, so everything here is bounded
//! twice: for each request, and for what an edge or a store keeps of all.

use super::{FLAG_NAME_BYTES_MAX, FLAGS_AUTHORED_MAX, RECORD_BYTES_MAX, SHIP_BYTES_MAX};

/// Body of one report: a client with five thousand flags.
pub const USAGE_BODY_BYTES_MAX: usize = 512 * 1024;

/// Flags, applications or strategies of one report.
pub const USAGE_LIST_MAX: usize = 10_000;

/// Name of an application, instance, library, strategy or variant.
pub const USAGE_WORD_BYTES_MAX: usize = FLAG_NAME_BYTES_MAX;

/// Evaluations of one flag in one report: more than a client can make in the
/// time a report is about.
pub const USAGE_COUNT_MAX: u64 = u32::MAX as u64;

/// A sum of counts where it is kept; two of them still fit into what SQLite
/// calls a number.
pub const USAGE_SUM_MAX: u64 = 1 << 61;

/// Variants that are told apart for one flag, application and hour, by an edge
/// and by a store.
pub const USAGE_VARIANTS_MAX: usize = 128;

/// Strategies that are kept of an application, and likewise those it came by.
pub const USAGE_STRATEGIES_MAX: usize = 64;

/// How old a report may be and still count for its own hours; what is older,
/// or of a clock that is ahead, counts for the hour in which it came.
pub const USAGE_LATE_MS_MAX: u64 = 24 * 60 * 60 * 1000;

/// Reports that wait to be merged, and the bytes of their bodies: more than is
/// merged in a second. What finds this full is told again by its client.
pub const USAGE_QUEUE_MAX: usize = 4_096;

/// See [`USAGE_QUEUE_MAX`]; in memory a body takes a few times as much.
pub const USAGE_QUEUE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Applications that an edge tells apart in an environment and hour. Further
/// ones count under one name.
pub const USAGE_APPS_MAX: usize = 256;

/// Names that no flag has, of which an edge keeps the use in an environment and
/// hour: flags that are gone and still asked for, and not whatever is made up.
pub const USAGE_UNKNOWN_FLAGS_MAX: usize = 256;

/// Instances that an edge notes in an environment within ten minutes.
pub const USAGE_MET_MAX: usize = 2_000;

/// Sums, instances and the names within them that wait in an environment for
/// the journal: some megabytes, and nothing but a moment's while it takes them.
pub const USAGE_PENDING_MAX: usize = 50_000;

/// Rows of one record of the journal.
pub const USAGE_RECORD_ROWS_MAX: usize = 1_000;

/// Bytes of one record, unless a single row has more.
pub const USAGE_RECORD_BYTES_MAX: usize = 256 * 1024;

/// Batch of an edge, and so the store's body cap for it.
pub const USAGE_BATCH_BYTES_MAX: usize = 1024 * 1024;

/// Counts of one batch: one transaction, for which others wait.
pub const USAGE_BATCH_COUNTS_MAX: usize = 4_000;

/// Counts a store keeps of one environment and hour. What comes on top is left
/// out and counted as such.
pub const USAGE_HOUR_ROWS_MAX: u64 = 100_000;

/// How many of these only flags of the store may have, so that whatever is made
/// up leaves room for what somebody authored.
pub const USAGE_HOUR_ROWS_OF_FLAGS: u64 = 50_000;

/// Counts of variants a store keeps of one environment and hour: more than most
/// flags have of them, and far less than each could be told to have.
pub const USAGE_HOUR_VARIANTS_MAX: u64 = 200_000;

/// How many of these only flags of the store may have.
pub const USAGE_HOUR_VARIANTS_OF_FLAGS: u64 = 100_000;

/// Names of which a store knows in one environment when they were asked for
/// last: they stay for longer than anything else that is told.
pub const USAGE_SEEN_MAX: u64 = 20_000;

/// How many names that no flag has are let go at once for others that come
/// later: as many as one edge lets in for an hour.
pub const USAGE_SEEN_FORGOTTEN: usize = USAGE_UNKNOWN_FLAGS_MAX;

/// How many of these only flags of the store may have: twice as many as there
/// can be at one time, because others were deleted.
pub const USAGE_SEEN_OF_FLAGS: u64 = 2 * FLAGS_AUTHORED_MAX as u64;

/// Applications a store keeps of one environment.
pub const USAGE_APPLICATIONS_KEPT_MAX: u64 = 1_000;

/// Instances it keeps of one of them.
pub const USAGE_INSTANCES_KEPT_MAX: u64 = 1_000;

/// How long a store knows when a flag was asked for last: longer than the hours
/// are kept, because it says which flags nobody needs any more.
pub const USAGE_SEEN_KEPT_MS: u64 = 400 * 24 * 60 * 60 * 1000;

/// Flags or applications of one answer, unless it is asked for fewer or more.
pub const USAGE_PER_ANSWER: usize = 100;

/// And at the most.
pub const USAGE_PER_ANSWER_MAX: usize = 500;

/// Hours one answer may sum: a year and a day.
pub const USAGE_HOURS_MAX: u64 = 366 * 24;

const _: () = {
    assert!(USAGE_BATCH_BYTES_MAX <= SHIP_BYTES_MAX);
    assert!(USAGE_PER_ANSWER <= USAGE_PER_ANSWER_MAX);
    assert!(USAGE_COUNT_MAX < USAGE_SUM_MAX);
    assert!(USAGE_HOUR_ROWS_OF_FLAGS < USAGE_HOUR_ROWS_MAX);
    assert!(USAGE_HOUR_VARIANTS_OF_FLAGS < USAGE_HOUR_VARIANTS_MAX);
    assert!(USAGE_SEEN_OF_FLAGS < USAGE_SEEN_MAX);
    assert!(USAGE_BODY_BYTES_MAX * 4 <= USAGE_QUEUE_BYTES_MAX);
    assert!(USAGE_RECORD_BYTES_MAX * 2 <= RECORD_BYTES_MAX);
    // A row with every name at its longest, each byte escaped, is one record.
    assert!((USAGE_VARIANTS_MAX + 4) * (USAGE_WORD_BYTES_MAX * 6 + 64) <= USAGE_RECORD_BYTES_MAX);
};
