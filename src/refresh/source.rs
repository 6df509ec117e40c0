//! Where do signed documents come from?
//!
//! The consumer-owned trait towards whatever has been published: upstream over
//! HTTP, a folder, a test. All calls are made from the control runtime, and
//! nothing a source returns is trusted.

use std::{collections::BTreeMap, future::Future, pin::Pin, time::Duration};

use crate::snapshot::wire::Blob;

/// A boxed future: the trait is used as `dyn` on the control path only.
pub type SourceFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, SourceError>> + Send + 'a>>;

/// Encoded bytes by their SHA-256.
pub type Blobs = BTreeMap<String, Vec<u8>>;

/// Where signed documents come from. Nothing it returns is trusted.
pub trait SnapshotSource: Send + Sync + 'static {
    /// The root document file with this version, if there is one.
    fn root<'a>(&'a self, environment: &'a str, version: u64) -> SourceFuture<'a, Option<Vec<u8>>>;
    /// The timestamp file and its validator; none when it still is the one
    /// `unless` names after waiting for at most `wait`.
    fn timestamp<'a>(
        &'a self,
        environment: &'a str,
        unless: Option<&'a str>,
        wait: Duration,
    ) -> SourceFuture<'a, Option<FetchedTimestamp>>;
    /// A release file of at most this many bytes.
    fn release<'a>(
        &'a self,
        environment: &'a str,
        version: u64,
        bytes_max: u64,
    ) -> SourceFuture<'a, Vec<u8>>;
    /// A control file of at most this many bytes.
    fn control<'a>(
        &'a self,
        environment: &'a str,
        version: u64,
        bytes_max: u64,
    ) -> SourceFuture<'a, Vec<u8>>;
    /// The encoded bytes of these blobs.
    fn parts<'a>(&'a self, environment: &'a str, wanted: &'a [Blob]) -> SourceFuture<'a, Blobs>;
}

/// A timestamp as fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedTimestamp {
    /// The envelope file.
    pub file: Vec<u8>,
    /// Validator for the next call.
    pub validator: Option<String>,
}

/// Why a source did not deliver.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// Not reached, too slow, or 5xx.
    #[error("upstream cannot be reached: {0}")]
    Away(String),
    /// It answered and refused, or answered nonsense.
    #[error("upstream refused: {0}")]
    Refused(String),
    /// More bytes than were announced or are allowed.
    #[error("upstream sent more than {bytes_max} bytes for {what}")]
    TooLarge {
        /// Which document.
        what: String,
        /// The cap.
        bytes_max: u64,
    },
}
