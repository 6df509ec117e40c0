//! Which rule did a document break?
//!
//! One variant a rule, so that a metric label, a status line and a test can
//! all name it. Text says what was found and what was expected; what lies
//! deeper is in `source()`.

use super::root::RootFault;
use crate::{
    clock::UnixMs,
    snapshot::{
        JsonError,
        envelope::{EnvelopeError, Role},
    },
};

/// Why a document is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(
    missing_docs,
    reason = "`found` and `expected` of each rule are explained by its text"
)]
pub enum TrustError {
    /// Not an envelope, or not signed as its role demands.
    #[error("the {document} file is not signed as its role demands")]
    Envelope {
        document: Role,
        source: EnvelopeError,
    },
    /// Signed, but not a document of its kind.
    #[error("the {document} document does not have its form")]
    Malformed { document: Role, source: JsonError },
    /// A root document that contradicts itself.
    #[error("the root document is not usable")]
    Root(#[source] RootFault),

    /// Roots count up by exactly one.
    #[error("found root version {found}, expected {expected}")]
    RootVersion { found: u64, expected: u64 },
    /// A bound on what one trust root can lead to.
    #[error(
        "more than {expected} root documents follow the configured one (configure a newer trust root)"
    )]
    RootSteps { expected: usize },
    /// What was accepted under a newer root is not judged by an older one.
    #[error("found root version {found} in force, expected at least {expected}")]
    RootRollback { found: u64, expected: u64 },
    /// Nothing new is accepted under an expired root.
    #[error("the root expired at {found} ms, now is {now_ms} ms (publish a new root)")]
    RootExpired { found: UnixMs, now_ms: UnixMs },
    /// The root names nobody for this environment.
    #[error("the root has no {role} rule for environment {environment:?}, expected one")]
    NoRule { role: Role, environment: String },
    /// Two rules of equal rank apply.
    #[error(
        "{role} rules {first:?} and {second:?} both apply to environment {environment:?}, expected one"
    )]
    AmbiguousRule {
        role: Role,
        environment: String,
        first: String,
        second: String,
    },

    /// Signed for another environment.
    #[error("the {document} is for environment {found:?}, expected {expected:?}")]
    Environment {
        document: Role,
        found: String,
        expected: String,
    },
    /// Same name, other environment: it was deleted and created anew.
    #[error("the {document} is for environment uid {found:?}, expected {expected:?}")]
    EnvironmentUid {
        document: Role,
        found: String,
        expected: String,
    },
    /// Only the root says which epoch an environment is in.
    #[error("the {document} is of epoch {found}, expected {expected}")]
    Epoch {
        document: Role,
        found: u32,
        expected: u32,
    },
    /// Epochs never go back.
    #[error("found epoch {found}, expected at least {expected}, accepted before")]
    EpochRollback { found: u32, expected: u32 },

    /// A replayed timestamp.
    #[error("found serial {found}, expected at least {expected}, accepted before")]
    SerialRollback { found: u64, expected: u64 },
    /// Two timestamps with one serial.
    #[error("timestamp serial {serial} has other content (SHA-256 {found}, expected {expected})")]
    SerialReused {
        serial: u64,
        found: String,
        expected: String,
    },
    /// A newer timestamp that names an older state.
    #[error("found revision {found}, expected at least {expected}, accepted before")]
    RevisionRollback { found: u64, expected: u64 },
    /// Two states with one revision.
    #[error("revision {revision} names another {document} than the one accepted before")]
    RevisionReused { document: Role, revision: u64 },
    /// issued ≤ fresh until ≤ expires.
    #[error(
        "times are issued {issued_ms}, fresh until {fresh_until_ms}, expires {expires_ms}, expected ascending"
    )]
    TimesDisordered {
        issued_ms: UnixMs,
        fresh_until_ms: UnixMs,
        expires_ms: UnixMs,
    },
    /// The root bounds how long a captured timestamp stays of use.
    #[error("the timestamp lives {found} ms, expected at most {expected}")]
    LifeTooLong { found: u64, expected: u64 },
    /// A fetched timestamp that replaces nothing.
    #[error("the timestamp expired at {found} ms, now is {now_ms} ms")]
    TimestampExpired { found: UnixMs, now_ms: UnixMs },
    /// A clock problem: ours is behind, or the publisher's ahead.
    #[error(
        "the timestamp is issued at {found} ms, now is {now_ms} ms (check this machine's clock)"
    )]
    IssuedInFuture { found: UnixMs, now_ms: UnixMs },
    /// A clock problem: expiry cannot be judged by a clock that is wrong.
    #[error(
        "the {document} was made at {found} ms, now is {now_ms} ms (check this machine's clock)"
    )]
    ClockBehind {
        document: Role,
        found: UnixMs,
        now_ms: UnixMs,
    },

    /// A hash or length in the timestamp that cannot be one.
    #[error(
        "the timestamp refers to the {document} by hash {found:?} and length {length}, expected 64 hexadecimal digits and at most {expected} bytes"
    )]
    Reference {
        document: Role,
        found: String,
        length: u64,
        expected: usize,
    },
    /// Not the file the timestamp means.
    #[error("the {document} file has {found} bytes, expected {expected}")]
    Length {
        document: Role,
        found: u64,
        expected: u64,
    },
    /// Not the file the timestamp means.
    #[error("the {document} file has SHA-256 {found}, expected {expected}")]
    Hash {
        document: Role,
        found: String,
        expected: String,
    },
    /// Timestamp and document disagree.
    #[error("the {document} has version {found}, expected {expected} as the timestamp says")]
    Version {
        document: Role,
        found: u64,
        expected: u64,
    },
    /// Versions never go back within an epoch.
    #[error("found {document} version {found}, expected at least {expected}, accepted before")]
    VersionRollback {
        document: Role,
        found: u64,
        expected: u64,
    },
    /// Two documents with one version.
    #[error(
        "{document} version {version} has SHA-256 {found}, expected {expected}, accepted before"
    )]
    VersionReused {
        document: Role,
        version: u64,
        found: String,
        expected: String,
    },
    /// The successor of what we accepted says that it follows something else:
    /// two histories exist, signed by the same keys.
    #[error("release {version} follows {found:?}, expected {expected}, accepted before")]
    Fork {
        version: u64,
        found: Option<String>,
        expected: String,
    },
    /// Content this build would misread.
    #[error("the release needs reader {found}, this build is reader {expected} (upgrade)")]
    MinReader { found: u32, expected: u32 },
}

impl TrustError {
    /// A stable label for metrics and status.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Envelope { source, .. } => source.name(),
            Self::Malformed { .. } => "document_malformed",
            Self::Root(_) => "root_invalid",
            Self::RootVersion { .. } => "root_version",
            Self::RootSteps { .. } => "root_steps",
            Self::RootRollback { .. } => "root_rollback",
            Self::RootExpired { .. } => "root_expired",
            Self::NoRule { .. } => "no_rule",
            Self::AmbiguousRule { .. } => "ambiguous_rule",
            Self::Environment { .. } => "wrong_environment",
            Self::EnvironmentUid { .. } => "wrong_environment_uid",
            Self::Epoch { .. } => "wrong_epoch",
            Self::EpochRollback { .. } => "epoch_rollback",
            Self::SerialRollback { .. } => "serial_rollback",
            Self::SerialReused { .. } => "serial_reused",
            Self::RevisionRollback { .. } => "revision_rollback",
            Self::RevisionReused { .. } => "revision_reused",
            Self::TimesDisordered { .. } => "times_disordered",
            Self::LifeTooLong { .. } => "life_too_long",
            Self::TimestampExpired { .. } => "timestamp_expired",
            Self::IssuedInFuture { .. } => "issued_in_future",
            Self::ClockBehind { .. } => "clock_behind",
            Self::Reference { .. } => "reference_malformed",
            Self::Length { .. } => "wrong_length",
            Self::Hash { .. } => "wrong_hash",
            Self::Version { .. } => "wrong_version",
            Self::VersionRollback { .. } => "version_rollback",
            Self::VersionReused { .. } => "version_reused",
            Self::Fork { .. } => "fork",
            Self::MinReader { .. } => "min_reader",
        }
    }

    /// Whether a wrong clock, here or at the publisher, is the likely cause.
    pub fn is_clock_problem(&self) -> bool {
        matches!(self, Self::IssuedInFuture { .. } | Self::ClockBehind { .. })
    }
}
