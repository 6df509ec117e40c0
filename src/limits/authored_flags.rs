//! How much may authors say of flags?
//!
//! As much as Unleash's own server takes, unless it is told otherwise. Edges take
//! more, of documents that others made.

use super::DOCUMENT_BYTES_MAX;

/// Flags of one workspace, as many as Unleash's server takes: each of them is
/// in every environment.
pub const FLAGS_AUTHORED_MAX: usize = 5_000;

/// A flag's name in bytes where it is authored, as Unleash's server: each may
/// stand in a control document, and all of them fit.
pub const FLAG_NAME_AUTHORED_BYTES_MAX: usize = 100;

/// Segments of one workspace, as Unleash's server.
pub const SEGMENTS_AUTHORED_MAX: usize = 300;

/// Strategies of one flag in one environment, as Unleash's server. Edges take
/// more, from documents that others made.
pub const STRATEGIES_AUTHORED_MAX: usize = 30;

/// Constraints of one strategy, as Unleash's server.
pub const CONSTRAINTS_AUTHORED_MAX: usize = 30;

/// Values of one constraint of a strategy, as Unleash's server; whoever has
/// more of them makes a segment.
pub const CONSTRAINT_VALUES_AUTHORED_MAX: usize = 250;

/// Values of all constraints of one segment, as Unleash's server.
pub const SEGMENT_VALUES_AUTHORED_MAX: usize = 1_000;

/// Segments of one strategy, as Unleash's server.
pub const SEGMENTS_PER_STRATEGY_MAX: usize = 5;

/// A variant's weight: shares are counted in thousandths.
pub const VARIANT_WEIGHT_MAX: u32 = 1_000;

/// A payload or description: it is sent with every answer, or stands in every
/// document.
pub const FLAG_TEXT_BYTES_MAX: usize = 64 * 1024;

/// Body of a call that says something of one flag or segment: a thousand values
/// of a segment, each as long as a user's id and written with escapes.
pub const FLAG_BODY_BYTES_MAX: usize = 4 * 1024 * 1024;

const _: () = {
    // Names of flags that are off, in quotes with a comma, in base 64.
    let names = FLAGS_AUTHORED_MAX * (FLAG_NAME_AUTHORED_BYTES_MAX + 3) * 4 / 3;
    assert!(names < DOCUMENT_BYTES_MAX / 4 * 3);
};
