//! May this document replace what we have?
//!
//! The order of checks of The Update Framework's client workflow (5.3–5.7), as
//! a value: [`Trust`] holds the root and the high-water marks; each document
//! that passes becomes a type that only this file can make, and
//! [`Trust::accept`] raises the marks when all of one revision have passed.

use super::{
    envelope::SigningKey,
    model::Revision,
    wire::{Blob, ControlDocument, ReleaseDocument, RootDocument, TimestampDocument},
};
use crate::clock::UnixMs;

/// The highest things ever accepted for one environment; kept in the manifest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    pub environment_uid: String,
    pub root_version: u64,
    pub epoch: u32,
    pub revision: u64,
    pub serial: u64,
    pub release_version: u64,
    pub release_sha256: String,
    pub control_version: u64,
    pub control_sha256: String,
}

/// Trust in one environment's documents.
pub struct Trust {}

/// A timestamp that passed.
#[derive(Clone, Debug)]
pub struct CheckedTimestamp {/* private */}

/// Release and control that passed under one timestamp.
#[derive(Clone, Debug)]
pub struct CheckedRelease {}
#[derive(Clone, Debug)]
pub struct CheckedControl {}

/// Why a document is refused. One variant a rule; text says found and expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {}

/// Whether documents come from upstream or from our own disk (an expired
/// timestamp from disk still serves; a fetched one never replaces anything).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    Fetched,
    Disk,
}

impl Trust {
    /// Starts from a trust root file (an envelope file of a root document,
    /// trusted because the operator configured it) and the marks kept so far.
    pub fn new(
        environment: &str,
        root_file: &[u8],
        marks: Option<Marks>,
    ) -> Result<Self, TrustError> {
        todo!()
    }
    /// The root in force.
    pub fn root(&self) -> &RootDocument {
        todo!()
    }
    /// Bytes of the root file in force (for the pack).
    pub fn root_file(&self) -> &[u8] {
        todo!()
    }
    /// Marks in force.
    pub fn marks(&self) -> Option<&Marks> {
        todo!()
    }
    /// One root step, N to N+1.
    pub fn step_root(&mut self, file: &[u8]) -> Result<(), TrustError> {
        todo!()
    }
    /// Checks a timestamp. `Ok(None)`: it is the one in force.
    pub fn timestamp(
        &self,
        file: &[u8],
        now: UnixMs,
        origin: Origin,
    ) -> Result<Option<CheckedTimestamp>, TrustError> {
        todo!()
    }
    pub fn release(
        &self,
        timestamp: &CheckedTimestamp,
        file: &[u8],
    ) -> Result<CheckedRelease, TrustError> {
        todo!()
    }
    pub fn control(
        &self,
        timestamp: &CheckedTimestamp,
        file: &[u8],
    ) -> Result<CheckedControl, TrustError> {
        todo!()
    }
    /// Raises the marks: everything of this revision has passed and compiled.
    pub fn accept(&mut self, timestamp: &CheckedTimestamp) {
        todo!()
    }
}

impl CheckedTimestamp {
    pub fn document(&self) -> &TimestampDocument {
        todo!()
    }
    pub fn revision(&self) -> Revision {
        todo!()
    }
}
impl CheckedRelease {
    pub fn document(&self) -> &ReleaseDocument {
        todo!()
    }
    pub fn index(&self) -> &Blob {
        todo!()
    }
}
impl CheckedControl {
    pub fn document(&self) -> &ControlDocument {
        todo!()
    }
}
