//! Does a whole pack hold, from the configured root down to the last part?
//!
//! The same checks as for fetched documents, in the same order, over bytes
//! that are all at hand: at boot, and offline by `flowgate snapshot verify`.

use super::{CheckedControl, CheckedRelease, CheckedTimestamp, Origin, Trust, TrustError};
use crate::{
    clock::UnixMs,
    snapshot::{
        pack::Pack,
        parts::{self, Content, PartsError},
    },
};

/// Everything of one revision, checked and parsed, ready to compile. Fetched
/// documents make the same value: [`Trust::timestamp`], [`Trust::release`],
/// [`Trust::control`], then [`parts::resolve`].
#[derive(Clone, Debug)]
pub struct Checked {
    /// What is current.
    pub timestamp: CheckedTimestamp,
    /// What it contains.
    pub release: CheckedRelease,
    /// What is switched off.
    pub control: CheckedControl,
    /// The release's parts.
    pub content: Content,
}

/// Why a pack is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// One of its documents.
    #[error("a document of the pack is refused")]
    Trust(#[from] TrustError),
    /// Its content.
    #[error("the content of the pack is refused")]
    Parts(#[from] PartsError),
}

impl VerifyError {
    /// A stable label for metrics and status.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Trust(error) => error.name(),
            Self::Parts(error) => error.name(),
        }
    }
}

impl Checked {
    /// The first sign that our clock is behind the documents.
    pub fn clock_problem(&self) -> Option<&TrustError> {
        self.timestamp
            .clock_problem()
            .or(self.release.clock_problem())
            .or(self.control.clock_problem())
    }
}

/// The documents of a pack, checked against each other.
#[derive(Clone, Debug)]
pub struct CheckedDocuments {
    /// What is current.
    pub timestamp: CheckedTimestamp,
    /// What it contains.
    pub release: CheckedRelease,
    /// What is switched off.
    pub control: CheckedControl,
}

impl CheckedDocuments {
    /// The first sign that our clock is behind the documents.
    pub fn clock_problem(&self) -> Option<&TrustError> {
        self.timestamp
            .clock_problem()
            .or(self.release.clock_problem())
            .or(self.control.clock_problem())
    }
}

/// Checks a pack. Steps through its roots, but raises no mark: that is for the
/// caller to do with [`Trust::accept`], when the content has compiled too.
pub fn verify_pack(
    trust: &mut Trust,
    pack: &Pack,
    now: UnixMs,
    origin: Origin,
) -> Result<Checked, VerifyError> {
    let CheckedDocuments {
        timestamp,
        release,
        control,
    } = verify_documents(trust, pack, now, origin)?;
    let content = parts::resolve(&release, |sha256| pack.blobs.get(sha256).map(Vec::as_slice))?;
    Ok(Checked {
        timestamp,
        release,
        control,
        content,
    })
}

/// Checks the documents of a pack and leaves its parts to the caller, who
/// resolves them beside what is compiled already.
pub fn verify_documents(
    trust: &mut Trust,
    pack: &Pack,
    now: UnixMs,
    origin: Origin,
) -> Result<CheckedDocuments, VerifyError> {
    trust.follow_roots(&pack.roots)?;
    let (document, sha256) = trust.open_timestamp(&pack.timestamp)?;
    let timestamp = CheckedTimestamp::check(trust, document, sha256, now, origin)?;
    Ok(CheckedDocuments {
        release: trust.release(&timestamp, &pack.release)?,
        control: trust.control(&timestamp, &pack.control)?,
        timestamp,
    })
}
