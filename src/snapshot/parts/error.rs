//! What is wrong with a release's content as a whole?
//!
//! Everything here refuses the release. A single part that is intact but does
//! not parse is no error: it is named in `Content::broken`, and the rest serves.

use crate::snapshot::JsonError;

/// Why content is refused. Text says what was found and what was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(
    missing_docs,
    reason = "`found` and `expected` of each rule are explained by its text"
)]
pub enum PartsError {
    /// An address nothing can have.
    #[error("found address {found:?}, expected a SHA-256 in 64 lower-case hexadecimal digits")]
    Address { found: String },
    /// Above the limit for its kind, encoded or decoded.
    #[error("blob {sha256} has {found} bytes, expected at most {expected}")]
    TooLong {
        sha256: String,
        found: u64,
        expected: usize,
    },
    /// Everything together is above the limit.
    #[error("the content has more than {expected} bytes decoded")]
    TotalTooLong { expected: usize },
    /// Not at hand; `missing` names what to fetch.
    #[error("blob {sha256} is missing")]
    Missing { sha256: String },
    /// Truncated, or something appended.
    #[error("blob {sha256} has {found} bytes, expected {expected}")]
    Length {
        sha256: String,
        found: u64,
        expected: u64,
    },
    /// Other bytes than the ones named.
    #[error("found bytes with SHA-256 {found}, expected {expected}")]
    Hash { found: String, expected: String },
    /// Not a zstd frame, or one that holds more than it should.
    #[error("blob {sha256} does not decode to {expected} bytes")]
    Undecodable { sha256: String, expected: u64 },
    /// Decoded to fewer bytes, or not encoded and of two lengths.
    #[error("blob {sha256} decodes to {found} bytes, expected {expected}")]
    DecodedLength {
        sha256: String,
        found: u64,
        expected: u64,
    },
    /// Something after the one frame.
    #[error("blob {sha256} has {found} bytes, expected its one frame of {expected}")]
    Trailing {
        sha256: String,
        found: usize,
        expected: usize,
    },

    /// The index or a shard is not JSON of its form.
    #[error("the {level} does not have its form")]
    Malformed {
        level: &'static str,
        source: JsonError,
    },
    /// Shards are numbered 00 to ff.
    #[error("found shard {found:?}, expected two lower-case hexadecimal digits")]
    ShardName { found: String },
    /// Empty shards are left out.
    #[error("shard {shard} is empty, expected it to be left out")]
    EmptyShard { shard: String },
    /// A part in a shard it does not hash to.
    #[error("part {part} is in shard {found:02x}, expected {expected:02x}")]
    WrongShard {
        part: String,
        found: u8,
        expected: u8,
    },
    /// Out of order, or twice.
    #[error("part {part} does not come after {before}, expected ascending kind and id")]
    Unsorted { part: String, before: String },
    /// An id its kind cannot have.
    #[error("part {part} has an id its kind cannot have, expected {expected}")]
    Id {
        part: String,
        expected: &'static str,
    },

    /// Every environment has settings.
    #[error("there is no settings part, expected one")]
    NoSettings,
    /// Without settings nothing can be served.
    #[error("the settings part does not have its form")]
    Settings { source: JsonError },
    /// More keys than an edge looks up among.
    #[error("found {found} keys, expected at most {expected}")]
    TooManyKeys { found: usize, expected: usize },
    /// More flags or segments than an edge evaluates.
    #[error("found {found} {what}, expected at most {expected}")]
    TooManyFlags {
        what: &'static str,
        found: usize,
        expected: usize,
    },
    /// A flow names a version that is not there.
    #[error("flow {flow} lists version {number}, expected a part for it")]
    VersionMissing { flow: String, number: u32 },
    /// A version that its flow does not name.
    #[error("version {number} of flow {flow} is there, expected the flow to list it")]
    VersionUnlisted { flow: String, number: u32 },
    /// A version of nothing.
    #[error("version {number} is of flow {flow}, expected a part for that flow")]
    VersionWithoutFlow { flow: String, number: u32 },
}

impl PartsError {
    /// A stable label for metrics and status.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Address { .. } => "blob_address",
            Self::TooLong { .. } => "blob_too_long",
            Self::TotalTooLong { .. } => "content_too_long",
            Self::Missing { .. } => "blob_missing",
            Self::Length { .. } => "blob_length",
            Self::Hash { .. } => "blob_hash",
            Self::Undecodable { .. } => "blob_undecodable",
            Self::DecodedLength { .. } => "blob_decoded_length",
            Self::Trailing { .. } => "blob_trailing",
            Self::Malformed { .. } => "index_malformed",
            Self::ShardName { .. } => "shard_name",
            Self::EmptyShard { .. } => "shard_empty",
            Self::WrongShard { .. } => "part_wrong_shard",
            Self::Unsorted { .. } => "part_unsorted",
            Self::Id { .. } => "part_id",
            Self::NoSettings => "settings_missing",
            Self::Settings { .. } => "settings_malformed",
            Self::TooManyKeys { .. } => "too_many_keys",
            Self::TooManyFlags { .. } => "too_many_flags",
            Self::VersionMissing { .. } => "version_missing",
            Self::VersionUnlisted { .. } => "version_unlisted",
            Self::VersionWithoutFlow { .. } => "version_without_flow",
        }
    }
}
