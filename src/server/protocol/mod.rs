//! Which languages do applications speak to the edge?
//!
//! One folder for each protocol: request shapes in, answer shapes out. What is
//! decided is decided elsewhere, so all protocols agree.

mod batch;
pub(crate) mod distribution;
pub(crate) mod dopt;
pub(crate) mod flows;
pub(crate) mod unleash;

/// Appends a JSON string.
pub(crate) fn write_text(out: &mut Vec<u8>, text: &str) {
    // Writing text into memory cannot fail.
    let written = serde_json::to_writer(out, text);
    debug_assert!(written.is_ok());
}
