//! Which languages do applications speak to the edge?
//!
//! One folder for each protocol: request shapes in, answer shapes out. What is
//! decided is decided elsewhere, so all protocols agree.

pub(crate) mod distribution;
pub(crate) mod dopt;
pub(crate) mod flows;
