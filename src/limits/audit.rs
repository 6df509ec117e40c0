//! How much is kept of what was changed?

/// What a caller may call a request of theirs; ids of tracing systems have at
/// most a few dozen characters.
pub const REQUEST_ID_BYTES_MAX: usize = 128;
