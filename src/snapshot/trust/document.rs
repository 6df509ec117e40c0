//! What do a release and a control document have to pass, in order?
//!
//! [`CheckedRelease`] and [`CheckedControl`] can only come out of the check in
//! their `impl`. Both are bound to the timestamp they were checked under, so
//! that documents of two revisions cannot be mixed.

use serde::de::DeserializeOwned;

use super::{
    CheckedTimestamp, Trust, TrustError,
    timestamp::{same_environment, same_epoch},
};
use crate::snapshot::{
    envelope::Role,
    json, sha256_hex,
    wire::{Blob, ControlDocument, DocumentReference, READER, ReleaseDocument},
};

/// A release that passed under one timestamp.
#[derive(Clone, Debug)]
pub struct CheckedRelease {
    document: ReleaseDocument,
    sha256: String,
    under: String,
    clock_problem: Option<TrustError>,
}

impl CheckedRelease {
    /// What it says.
    pub fn document(&self) -> &ReleaseDocument {
        &self.document
    }

    /// Where its content starts.
    pub fn index(&self) -> &Blob {
        &self.document.index
    }

    /// SHA-256 of the envelope file.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Set when our clock is behind the document (only from disk).
    pub fn clock_problem(&self) -> Option<&TrustError> {
        self.clock_problem.as_ref()
    }

    /// The timestamp it was checked under.
    pub(super) fn under(&self) -> &str {
        &self.under
    }

    pub(super) fn check(
        trust: &Trust,
        timestamp: &CheckedTimestamp,
        file: &[u8],
    ) -> Result<Self, TrustError> {
        let role = Role::Release;
        let reference = &timestamp.document().release;
        let document: ReleaseDocument = open(trust, role, reference, file)?;
        let bound = Bound {
            environment: &document.environment,
            environment_uid: &document.environment_uid,
            epoch: document.epoch,
            version: document.version,
        };
        bound.check(role, timestamp, reference)?;
        if let Some(marks) = timestamp.marks_of_epoch(trust) {
            let (version, sha256) = (marks.release_version, &marks.release_sha256);
            not_lower(role, reference, version, sha256)?;
            let follows = document.version == version.saturating_add(1);
            if follows && document.previous_sha256.as_ref() != Some(sha256) {
                return Err(TrustError::Fork {
                    version: document.version,
                    found: document.previous_sha256,
                    expected: sha256.clone(),
                });
            }
        }
        if document.min_reader > READER {
            return Err(TrustError::MinReader {
                found: document.min_reader,
                expected: READER,
            });
        }
        Ok(Self {
            sha256: reference.sha256.clone(),
            under: timestamp.sha256().to_owned(),
            clock_problem: timestamp.check_created(role, document.created_ms)?,
            document,
        })
    }
}

/// A control document that passed under one timestamp.
#[derive(Clone, Debug)]
pub struct CheckedControl {
    document: ControlDocument,
    under: String,
    clock_problem: Option<TrustError>,
}

impl CheckedControl {
    /// What it says.
    pub fn document(&self) -> &ControlDocument {
        &self.document
    }

    /// Set when our clock is behind the document (only from disk).
    pub fn clock_problem(&self) -> Option<&TrustError> {
        self.clock_problem.as_ref()
    }

    /// The timestamp it was checked under.
    pub(super) fn under(&self) -> &str {
        &self.under
    }

    pub(super) fn check(
        trust: &Trust,
        timestamp: &CheckedTimestamp,
        file: &[u8],
    ) -> Result<Self, TrustError> {
        let role = Role::Control;
        let reference = &timestamp.document().control;
        let document: ControlDocument = open(trust, role, reference, file)?;
        let bound = Bound {
            environment: &document.environment,
            environment_uid: &document.environment_uid,
            epoch: document.epoch,
            version: document.version,
        };
        bound.check(role, timestamp, reference)?;
        if let Some(marks) = timestamp.marks_of_epoch(trust) {
            not_lower(
                role,
                reference,
                marks.control_version,
                &marks.control_sha256,
            )?;
        }
        Ok(Self {
            under: timestamp.sha256().to_owned(),
            clock_problem: timestamp.check_created(role, document.created_ms)?,
            document,
        })
    }
}

/// What release and control have in common with their timestamp.
struct Bound<'d> {
    environment: &'d str,
    environment_uid: &'d str,
    epoch: u32,
    version: u64,
}

impl Bound<'_> {
    fn check(
        &self,
        role: Role,
        timestamp: &CheckedTimestamp,
        reference: &DocumentReference,
    ) -> Result<(), TrustError> {
        let expected = timestamp.document();
        same_environment(role, self.environment, &expected.environment)?;
        if self.environment_uid != expected.environment_uid {
            return Err(TrustError::EnvironmentUid {
                document: role,
                found: self.environment_uid.to_owned(),
                expected: expected.environment_uid.clone(),
            });
        }
        same_epoch(role, self.epoch, expected.epoch)?;
        if self.version != reference.version {
            return Err(TrustError::Version {
                document: role,
                found: self.version,
                expected: reference.version,
            });
        }
        Ok(())
    }
}

/// Length and hash before the first byte is parsed, then the signature.
fn open<T: DeserializeOwned>(
    trust: &Trust,
    role: Role,
    reference: &DocumentReference,
    file: &[u8],
) -> Result<T, TrustError> {
    let found = file.len() as u64;
    if found != reference.length {
        return Err(TrustError::Length {
            document: role,
            found,
            expected: reference.length,
        });
    }
    let found = sha256_hex(file);
    if found != reference.sha256 {
        return Err(TrustError::Hash {
            document: role,
            found,
            expected: reference.sha256.clone(),
        });
    }
    let verified = trust.verified(role, file)?;
    json::parse(verified.payload()).map_err(|source| TrustError::Malformed {
        document: role,
        source,
    })
}

/// A version at least as high as the mark; an equal one is the same file.
fn not_lower(
    role: Role,
    reference: &DocumentReference,
    version: u64,
    sha256: &str,
) -> Result<(), TrustError> {
    if reference.version < version {
        return Err(TrustError::VersionRollback {
            document: role,
            found: reference.version,
            expected: version,
        });
    }
    if reference.version == version && reference.sha256 != sha256 {
        return Err(TrustError::VersionReused {
            document: role,
            version,
            found: reference.sha256.clone(),
            expected: sha256.to_owned(),
        });
    }
    Ok(())
}
