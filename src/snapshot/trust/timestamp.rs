//! What does a timestamp have to pass, in order?
//!
//! A [`CheckedTimestamp`] can only come out of [`CheckedTimestamp::check`]. It
//! remembers the time and the origin it was judged by, so that the documents
//! it refers to are judged alike.

use super::{Marks, Origin, Trust, TrustError};
use crate::{
    clock::UnixMs,
    limits::{CLOCK_SKEW_MS_MAX, DOCUMENT_BYTES_MAX},
    snapshot::{
        Revision,
        envelope::Role,
        is_sha256_hex,
        wire::{DocumentReference, TimestampDocument},
    },
};

/// A timestamp that passed.
#[derive(Clone, Debug)]
pub struct CheckedTimestamp {
    document: TimestampDocument,
    /// Of the signed payload.
    sha256: String,
    now: UnixMs,
    origin: Origin,
    clock_problem: Option<TrustError>,
}

impl CheckedTimestamp {
    /// What it says.
    pub fn document(&self) -> &TimestampDocument {
        &self.document
    }

    /// The revision it makes current.
    pub fn revision(&self) -> Revision {
        Revision {
            epoch: self.document.epoch,
            number: self.document.revision,
        }
    }

    /// Set when our clock is behind the document (only from disk; a fetched
    /// one is refused for it): expiry cannot be judged then.
    pub fn clock_problem(&self) -> Option<&TrustError> {
        self.clock_problem.as_ref()
    }

    /// SHA-256 of the signed payload.
    pub(super) fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Everything but the signature.
    pub(super) fn check(
        trust: &Trust,
        document: TimestampDocument,
        sha256: String,
        now: UnixMs,
        origin: Origin,
    ) -> Result<Self, TrustError> {
        let mut checked = Self {
            document,
            sha256,
            now,
            origin,
            clock_problem: None,
        };
        checked.check_binding(trust)?;
        for (role, reference) in [
            (Role::Release, &checked.document.release),
            (Role::Control, &checked.document.control),
        ] {
            check_reference(role, reference)?;
        }
        checked.check_root(trust)?;
        checked.check_marks(trust)?;
        checked.check_times(trust)?;
        checked.clock_problem = checked.check_clock()?;
        Ok(checked)
    }

    /// Is it for this environment, in its epoch?
    fn check_binding(&self, trust: &Trust) -> Result<(), TrustError> {
        let document = &self.document;
        let role = Role::Timestamp;
        #[cfg(test)]
        if trust.has(super::Flaw::ForgetEnvironment) {
            return Ok(());
        }
        same_environment(role, &document.environment, &trust.environment)?;
        let found = &document.environment_uid;
        let known = trust.marks.as_ref().map(|m| m.environment_uid.as_str());
        if found.is_empty() || known.is_some_and(|known| found != known) {
            return Err(TrustError::EnvironmentUid {
                document: role,
                found: found.clone(),
                expected: known.unwrap_or("a uid").to_owned(),
            });
        }
        same_epoch(role, document.epoch, trust.root.epoch(found))
    }

    /// May anything new be accepted under the root in force?
    fn check_root(&self, trust: &Trust) -> Result<(), TrustError> {
        let root = trust.root();
        let mark = trust.marks.as_ref().map_or(0, |marks| marks.root_version);
        if self.origin != Origin::Fallback && root.version < mark {
            return Err(TrustError::RootRollback {
                found: root.version,
                expected: mark,
            });
        }
        if self.origin == Origin::Fetched && self.now > root.expires_ms {
            return Err(TrustError::RootExpired {
                found: root.expires_ms,
                now_ms: self.now,
            });
        }
        Ok(())
    }

    /// Is it at least as new as what was accepted before?
    fn check_marks(&self, trust: &Trust) -> Result<(), TrustError> {
        let Some(marks) = self.marks(trust) else {
            return Ok(());
        };
        let document = &self.document;
        if document.epoch < marks.epoch {
            return Err(TrustError::EpochRollback {
                found: document.epoch,
                expected: marks.epoch,
            });
        }
        // A raised epoch is the one way to start counting again.
        if document.epoch > marks.epoch {
            return Ok(());
        }
        if document.serial < marks.serial {
            return Err(TrustError::SerialRollback {
                found: document.serial,
                expected: marks.serial,
            });
        }
        if document.serial == marks.serial && self.sha256 != marks.timestamp_sha256 {
            return Err(TrustError::SerialReused {
                serial: document.serial,
                found: self.sha256.clone(),
                expected: marks.timestamp_sha256.clone(),
            });
        }
        #[cfg(test)]
        if trust.has(super::Flaw::OlderRevision) {
            return Ok(());
        }
        if document.revision < marks.revision {
            return Err(TrustError::RevisionRollback {
                found: document.revision,
                expected: marks.revision,
            });
        }
        for (role, found, expected) in [
            (
                Role::Release,
                &document.release.sha256,
                &marks.release_sha256,
            ),
            (
                Role::Control,
                &document.control.sha256,
                &marks.control_sha256,
            ),
        ] {
            if document.revision == marks.revision && found != expected {
                return Err(TrustError::RevisionReused {
                    document: role,
                    revision: document.revision,
                });
            }
        }
        Ok(())
    }

    /// Do its own times make sense, and does it live no longer than allowed?
    fn check_times(&self, trust: &Trust) -> Result<(), TrustError> {
        let document = &self.document;
        let (issued_ms, fresh_until_ms, expires_ms) = (
            document.issued_ms,
            document.fresh_until_ms,
            document.expires_ms,
        );
        if !(issued_ms <= fresh_until_ms && fresh_until_ms <= expires_ms) {
            return Err(TrustError::TimesDisordered {
                issued_ms,
                fresh_until_ms,
                expires_ms,
            });
        }
        let (found, expected) = (expires_ms - issued_ms, trust.root().timestamp_life_ms_max);
        if found > expected {
            return Err(TrustError::LifeTooLong { found, expected });
        }
        Ok(())
    }

    /// Is it in force by our clock? From disk a wrong clock is only told:
    /// refusing to start would punish users for a flat battery.
    fn check_clock(&self) -> Result<Option<TrustError>, TrustError> {
        let (document, now_ms) = (&self.document, self.now);
        if document.issued_ms > now_ms.saturating_add(CLOCK_SKEW_MS_MAX) {
            return self.clock_verdict(TrustError::IssuedInFuture {
                found: document.issued_ms,
                now_ms,
            });
        }
        if self.origin == Origin::Fetched && now_ms > document.expires_ms {
            return Err(TrustError::TimestampExpired {
                found: document.expires_ms,
                now_ms,
            });
        }
        Ok(None)
    }

    /// Refused when fetched, reported when from disk.
    fn clock_verdict(&self, problem: TrustError) -> Result<Option<TrustError>, TrustError> {
        match self.origin {
            Origin::Fetched => Err(problem),
            Origin::Disk | Origin::Fallback => Ok(Some(problem)),
        }
    }

    /// A document made later than our clock says it is.
    pub(super) fn check_created(
        &self,
        role: Role,
        created_ms: UnixMs,
    ) -> Result<Option<TrustError>, TrustError> {
        if created_ms <= self.now.saturating_add(CLOCK_SKEW_MS_MAX) {
            return Ok(None);
        }
        self.clock_verdict(TrustError::ClockBehind {
            document: role,
            found: created_ms,
            now_ms: self.now,
        })
    }

    /// The marks that bind documents of this origin.
    fn marks<'t>(&self, trust: &'t Trust) -> Option<&'t Marks> {
        #[cfg(test)]
        if trust.has(super::Flaw::SkipHighWater) {
            return None;
        }
        let marks = trust.marks.as_ref();
        marks.filter(|_| self.origin != Origin::Fallback)
    }

    /// The marks that bind versions: those of the same epoch.
    pub(super) fn marks_of_epoch<'t>(&self, trust: &'t Trust) -> Option<&'t Marks> {
        self.marks(trust)
            .filter(|marks| marks.epoch == self.document.epoch)
    }
}

pub(super) fn same_environment(role: Role, found: &str, expected: &str) -> Result<(), TrustError> {
    if found == expected {
        return Ok(());
    }
    Err(TrustError::Environment {
        document: role,
        found: found.to_owned(),
        expected: expected.to_owned(),
    })
}

pub(super) fn same_epoch(role: Role, found: u32, expected: u32) -> Result<(), TrustError> {
    if found == expected {
        return Ok(());
    }
    Err(TrustError::Epoch {
        document: role,
        found,
        expected,
    })
}

/// A reference that a file can meet; the length is what a source may read.
fn check_reference(role: Role, reference: &DocumentReference) -> Result<(), TrustError> {
    if is_sha256_hex(&reference.sha256) && reference.length <= DOCUMENT_BYTES_MAX as u64 {
        return Ok(());
    }
    Err(TrustError::Reference {
        document: role,
        found: reference.sha256.clone(),
        length: reference.length,
        expected: DOCUMENT_BYTES_MAX,
    })
}
