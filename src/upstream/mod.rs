//! How does the edge face the control plane?
//!
//! Implementations of the traits that `refresh` and `progress` own. All of
//! them run on the control runtime: a client shared between runtimes hangs.

mod absent;
mod file;
mod http;
#[cfg(test)]
mod tests;

pub use absent::NoLedger;
pub use file::FileUpstream;
pub use http::{HttpUpstream, HttpUpstreamError, HttpUpstreamOptions};
