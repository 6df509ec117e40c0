//! How does the edge face the control plane?
//!
//! Implementations of the traits that `refresh` and `progress` own. All of
//! them run on the control runtime: a client shared between runtimes hangs.

mod absent;
mod client;
mod features;
mod file;
mod http;
mod reads;
mod reporting;
#[cfg(test)]
mod tests;
mod usage;

pub use absent::NoLedger;
pub use client::HttpUpstreamError;
pub use features::FeaturesFile;
pub use file::FileUpstream;
pub use http::{HttpUpstream, HttpUpstreamOptions};
pub use reporting::UpstreamVersion;
