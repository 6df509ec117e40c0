//! How does a published revision reach the evaluators?
//!
//! One [`Refresher`] per environment: fetch → verify → compile → keep on disk
//! → publish. Whatever fails, the snapshot in force keeps serving, the failure
//! has a name in `/status` and the metrics, and the next try comes after a
//! jittered pause. This file has what others implement ([`SnapshotSource`])
//! and what they see; the work is in [`refresher`], [`boot`], [`taking`] and [`holding`].

mod boot;
mod cores;
mod holding;
mod refresher;
mod supply;
mod taking;
#[cfg(test)]
mod tests;

pub use holding::{Guard, HeldStatus};
pub use refresher::{Beside, Refresher};
pub use supply::{Failure, SupplyStatus};

use std::{collections::BTreeMap, future::Future, pin::Pin, time::Duration};

use crate::{
    disk::keep::KeepError,
    snapshot::{
        Revision,
        compile::CompileError,
        pack::PackError,
        parts::PartsError,
        trust::{TrustError, VerifyError},
        wire::Blob,
    },
};

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
    /// It was reached, and its certificate is not good.
    #[error("upstream does not prove who it is: {0}")]
    Untrusted(String),
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

/// Why a refresh failed.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// The source did not deliver.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A document was refused.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The pack on disk was refused.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// A blob was refused.
    #[error(transparent)]
    Parts(#[from] PartsError),
    /// The pack on disk cannot be read.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// The content as a whole cannot be used.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// The data folder failed.
    #[error(transparent)]
    Keep(#[from] KeepError),
    /// Upstream answers, but only with what it said before, and that is past
    /// the time until which it called itself fresh: a frozen cache, or a store
    /// that no longer signs.
    #[error(
        "upstream says nothing newer than {age_s} s ago, which it called fresh for {fresh_s} s \
         (a frozen cache, or a store that cannot sign)"
    )]
    Old {
        /// Since it was signed.
        age_s: u64,
        /// How long it was to be fresh.
        fresh_s: u64,
    },
    /// The compiling thread died.
    #[error("compiling the snapshot panicked")]
    Panicked,
}

impl RefreshError {
    /// A stable label for metrics and status.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Source(SourceError::Away(_)) => "upstream_away",
            Self::Source(SourceError::Untrusted(_)) => "upstream_untrusted",
            Self::Source(_) => "upstream_refused",
            Self::Trust(error) => error.name(),
            Self::Verify(error) => error.name(),
            Self::Parts(error) => error.name(),
            Self::Pack(error) => error.name(),
            Self::Compile(_) => "compile",
            Self::Keep(_) => "data_folder",
            Self::Old { .. } => "upstream_old",
            Self::Panicked => "panicked",
        }
    }

    /// Whether something came and was refused, rather than nothing came or we
    /// failed ourselves.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Trust(_)
            | Self::Verify(_)
            | Self::Parts(_)
            | Self::Pack(_)
            | Self::Compile(_) => true,
            Self::Source(SourceError::TooLarge { .. }) => true,
            Self::Source(_) | Self::Old { .. } | Self::Keep(_) | Self::Panicked => false,
        }
    }

    /// Whether a wrong clock is the likely cause.
    pub fn is_clock_problem(&self) -> bool {
        match self {
            Self::Trust(error) | Self::Verify(VerifyError::Trust(error)) => {
                error.is_clock_problem()
            }
            _ => false,
        }
    }
}

/// What one step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refreshed {
    /// Nothing new within the wait.
    Unchanged,
    /// The same revision, signed again.
    Fresher,
    /// A new revision is live.
    Published(Revision),
    /// Its control document is in force, and its release is held back.
    Held(Revision),
}
