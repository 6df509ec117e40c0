//! How much may be told of the use of flags?
//!
//! Whoever has a public key may tell anything, so everything here is bounded
//! twice: for each request, and for what an edge or a store keeps of all.

use super::{FLAG_NAME_BYTES_MAX, SHIP_BYTES_MAX};

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

/// Variants that are told apart for one flag, application and hour.
pub const USAGE_VARIANTS_MAX: usize = 128;

/// Strategies that are kept of an application, and likewise those it came by.
pub const USAGE_STRATEGIES_MAX: usize = 64;

/// How old a report may be and still count for its own hours; what is older,
/// or of a clock that is ahead, counts for the hour in which it came.
pub const USAGE_LATE_MS_MAX: u64 = 24 * 60 * 60 * 1000;

/// Batch of an edge, and so the store's body cap for it.
pub const USAGE_BATCH_BYTES_MAX: usize = 1024 * 1024;

/// Counts of one batch: one transaction, for which others wait.
pub const USAGE_BATCH_COUNTS_MAX: usize = 4_000;

/// Counts a store keeps of one environment and hour. What comes on top is left
/// out and counted as such.
pub const USAGE_HOUR_ROWS_MAX: u64 = 100_000;

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
};
