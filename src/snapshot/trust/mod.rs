//! May this document replace what we have?
//!
//! The order of checks of The Update Framework's client workflow (5.3–5.7), as
//! a value: [`Trust`] holds the root and the high-water marks; each document
//! that passes becomes a type that only this folder can make, and
//! [`Trust::accept`] raises the marks when all of one revision have passed.
//! Checking never changes the marks, so a refused document leaves no trace.

mod document;
mod error;
mod root;
#[cfg(test)]
mod tests;
mod timestamp;
mod verify;

use self::root::Root;
pub use self::{
    document::{CheckedControl, CheckedRelease},
    error::TrustError,
    root::RootFault,
    timestamp::CheckedTimestamp,
    verify::{Checked, CheckedDocuments, VerifyError, verify_documents, verify_pack},
};
use super::{
    envelope::{EnvelopeError, Role, Unverified, VerifiedBytes},
    json,
    wire::{RootDocument, TimestampDocument},
};
use crate::{clock::UnixMs, limits::ROOT_STEPS_MAX};

/// The highest things ever accepted for one environment; kept in the manifest.
/// All counters are of `epoch`: a raised epoch lets them start again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// Bound by the first timestamp ever accepted, never changed.
    pub environment_uid: String,
    /// Version of the root under which the last timestamp was accepted.
    pub root_version: u64,
    /// Epoch of everything below.
    pub epoch: u32,
    /// The `N` of the revision `epoch.N`.
    pub revision: u64,
    /// Of the timestamp.
    pub serial: u64,
    /// SHA-256 of the timestamp's signed payload, in hexadecimal: a serial
    /// never stands for two contents.
    pub timestamp_sha256: String,
    /// Of the release.
    pub release_version: u64,
    /// SHA-256 of the release's envelope file, in hexadecimal.
    pub release_sha256: String,
    /// Of the control document.
    pub control_version: u64,
    /// SHA-256 of the control document's envelope file, in hexadecimal.
    pub control_sha256: String,
}

/// Where documents come from, and so what is asked of their age. Signatures
/// are asked of all of them alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// From upstream: must be in force right now.
    Fetched,
    /// Our own last good pack: may have expired, and serves on, marked so; and
    /// a clock problem is reported instead of refused.
    Disk,
    /// Our own previous pack, the last good one being damaged: like `Disk`,
    /// and it may be older than the marks. Only for a pack whose hash the
    /// manifest names; the marks stay where they are.
    Fallback,
}

/// Trust in one environment's documents.
#[derive(Clone, Debug)]
pub struct Trust {
    environment: String,
    root: Root,
    /// The trust root as configured, then every root file stepped through.
    root_files: Vec<Vec<u8>>,
    marks: Option<Marks>,
    /// SHA-256 of the payload of the timestamp accepted last in this process.
    in_force: Option<String>,
    #[cfg(test)]
    flaw: Option<Flaw>,
}

/// Mistakes that the simulation must notice.
#[cfg(test)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// A signature counts whatever the role of its key.
    WrongRole,
    /// What was accepted before is not asked for.
    SkipHighWater,
    /// A lower revision is good under a new timestamp.
    OlderRevision,
    /// A document may be for any environment.
    ForgetEnvironment,
}

impl Trust {
    /// Starts from a trust root file (an envelope file of a root document,
    /// trusted because the operator configured it) and the marks kept so far.
    /// The file must be signed as it demands itself: a damaged or half-written
    /// one is noticed here and not at the next root.
    pub fn new(
        environment: &str,
        root_file: &[u8],
        marks: Option<Marks>,
    ) -> Result<Self, TrustError> {
        let envelope = parse(Role::Root, root_file)?;
        let root = Root::parse(envelope.unverified_payload())?;
        envelope
            .verify(Role::Root, root.root_signers())
            .map_err(|source| refused(Role::Root, source))?;
        Ok(Self {
            environment: environment.to_owned(),
            root,
            root_files: vec![root_file.to_vec()],
            marks,
            in_force: None,
            #[cfg(test)]
            flaw: None,
        })
    }

    /// The root in force.
    pub fn root(&self) -> &RootDocument {
        self.root.document()
    }

    /// Bytes of the root file in force.
    pub fn root_file(&self) -> &[u8] {
        // The configured root is always there.
        self.root_files.last().map_or(&[], Vec::as_slice)
    }

    /// Every root file from the configured one on, up to the one in force.
    pub fn root_files(&self) -> &[Vec<u8>] {
        &self.root_files
    }

    /// Every root file after the configured one, up to the one in force: what
    /// [`Pack::roots`](super::pack::Pack::roots) holds.
    pub fn root_chain(&self) -> &[Vec<u8>] {
        self.root_files.get(1..).unwrap_or_default()
    }

    /// Marks in force.
    pub fn marks(&self) -> Option<&Marks> {
        self.marks.as_ref()
    }

    /// One root step, N to N+1: signed by enough keys of *both*. Expiry is not
    /// asked of a step, because the newest root alone decides about that.
    pub fn step_root(&mut self, file: &[u8]) -> Result<(), TrustError> {
        if self.root_files.len() > ROOT_STEPS_MAX {
            return Err(TrustError::RootSteps {
                expected: ROOT_STEPS_MAX,
            });
        }
        let refused = |source| refused(Role::Root, source);
        let envelope = parse(Role::Root, file)?;
        let verified = envelope
            .verify(Role::Root, self.root.root_signers())
            .map_err(refused)?;
        let next = Root::parse(verified.payload())?;
        envelope
            .verify(Role::Root, next.root_signers())
            .map_err(refused)?;
        let (found, expected) = (
            next.document().version,
            self.root().version.saturating_add(1),
        );
        if found != expected {
            return Err(TrustError::RootVersion { found, expected });
        }
        self.root = next;
        self.root_files.push(file.to_vec());
        Ok(())
    }

    /// Steps through the roots of a pack. Those that the configured trust root
    /// has overtaken are passed over unverified, so an operator may configure a
    /// newer root than the pack's at any time.
    pub fn follow_roots(&mut self, files: &[Vec<u8>]) -> Result<(), TrustError> {
        for file in files {
            // Looking at an unsigned version is safe here: a false one only
            // makes us skip a step, and the next step then fails.
            let envelope = parse(Role::Root, file)?;
            let claimed = Root::parse(envelope.unverified_payload())?;
            if claimed.document().version > self.root().version {
                self.step_root(file)?;
            }
        }
        Ok(())
    }

    /// Checks a timestamp. `Ok(None)`: it is the one in force.
    pub fn timestamp(
        &self,
        file: &[u8],
        now: UnixMs,
        origin: Origin,
    ) -> Result<Option<CheckedTimestamp>, TrustError> {
        let (document, sha256) = self.open_timestamp(file)?;
        if self.in_force.as_deref() == Some(&sha256) {
            return Ok(None);
        }
        CheckedTimestamp::check(self, document, sha256, now, origin).map(Some)
    }

    /// Signature, form, and SHA-256 of the payload.
    fn open_timestamp(&self, file: &[u8]) -> Result<(TimestampDocument, String), TrustError> {
        let verified = self.verified(Role::Timestamp, file)?;
        let document = json::parse(verified.payload()).map_err(|source| TrustError::Malformed {
            document: Role::Timestamp,
            source,
        })?;
        Ok((document, super::sha256_hex(verified.payload())))
    }

    /// Checks the release a timestamp refers to.
    pub fn release(
        &self,
        timestamp: &CheckedTimestamp,
        file: &[u8],
    ) -> Result<CheckedRelease, TrustError> {
        CheckedRelease::check(self, timestamp, file)
    }

    /// Checks the control document a timestamp refers to.
    pub fn control(
        &self,
        timestamp: &CheckedTimestamp,
        file: &[u8],
    ) -> Result<CheckedControl, TrustError> {
        CheckedControl::check(self, timestamp, file)
    }

    /// Raises the marks: everything of this revision has passed and compiled.
    /// Takes all three documents, so that a timestamp alone never raises a
    /// mark: whoever holds only its online key could otherwise push the marks
    /// out of reach. Never lowers one (a fallback leaves them as they are).
    ///
    /// # Panics
    /// If the release or the control document was checked under another
    /// timestamp: that would be a mistake of the caller, not of upstream.
    pub fn accept(
        &mut self,
        timestamp: &CheckedTimestamp,
        release: &CheckedRelease,
        control: &CheckedControl,
    ) {
        assert!(
            release.under() == timestamp.sha256() && control.under() == timestamp.sha256(),
            "release and control are accepted under the timestamp they were checked under"
        );
        self.in_force = Some(timestamp.sha256().to_owned());
        let document = timestamp.document();
        let root_version = self.root().version;
        if let Some(marks) = &mut self.marks {
            marks.root_version = marks.root_version.max(root_version);
            if (document.epoch, document.serial) < (marks.epoch, marks.serial) {
                return;
            }
        }
        self.marks = Some(Marks {
            environment_uid: document.environment_uid.clone(),
            root_version: self
                .marks
                .as_ref()
                .map_or(root_version, |marks| marks.root_version),
            epoch: document.epoch,
            revision: document.revision,
            serial: document.serial,
            timestamp_sha256: timestamp.sha256().to_owned(),
            release_version: document.release.version,
            release_sha256: document.release.sha256.clone(),
            control_version: document.control.version,
            control_sha256: document.control.sha256.clone(),
        });
    }

    /// Makes one mistake from now on.
    #[cfg(test)]
    pub(crate) fn be_flawed(&mut self, flaw: Flaw) {
        self.flaw = Some(flaw);
    }

    #[cfg(test)]
    fn has(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }

    /// The payload of a file signed by the keys of a role for this environment.
    fn verified(&self, role: Role, file: &[u8]) -> Result<VerifiedBytes, TrustError> {
        #[cfg(test)]
        if self.has(Flaw::WrongRole) {
            for other in [Role::Release, Role::Timestamp, Role::Control] {
                let signers = self.root.signers(other, &self.environment)?;
                if let Ok(verified) = parse(role, file)?.verify(role, signers) {
                    return Ok(verified);
                }
            }
        }
        let signers = self.root.signers(role, &self.environment)?;
        parse(role, file)?
            .verify(role, signers)
            .map_err(|source| refused(role, source))
    }
}

fn parse(role: Role, file: &[u8]) -> Result<Unverified, TrustError> {
    Unverified::parse(file).map_err(|source| refused(role, source))
}

fn refused(document: Role, source: EnvelopeError) -> TrustError {
    TrustError::Envelope { document, source }
}
