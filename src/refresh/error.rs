//! Why was a published revision not taken in?
//!
//! One variant for each stage it can fail at; the name of each is a label that
//! stays, for metrics and status.

use super::SourceError;
use crate::{
    disk::keep::KeepError,
    snapshot::{
        compile::CompileError,
        pack::PackError,
        parts::PartsError,
        trust::{TrustError, VerifyError},
    },
};

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
    /// The compiling thread died.
    #[error("compiling the snapshot panicked")]
    Panicked,
}

impl RefreshError {
    /// A stable label for metrics and status.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Source(SourceError::Away(_)) => "upstream_away",
            Self::Source(_) => "upstream_refused",
            Self::Trust(error) => error.name(),
            Self::Verify(error) => error.name(),
            Self::Parts(error) => error.name(),
            Self::Pack(error) => error.name(),
            Self::Compile(_) => "compile",
            Self::Keep(_) => "data_folder",
            Self::Panicked => "panicked",
        }
    }
}
