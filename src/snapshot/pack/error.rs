//! Which rule of the framing does a file break?
//!
//! Damage has a name of its own, told apart from truncation, so that an
//! operator knows whether to suspect the disk or a copy that was cut short.

/// Why bytes are not a pack.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PackError {
    /// Above the limit for any pack.
    #[error("found {found} bytes, expected at most {expected}")]
    TooLong {
        /// Length of the file.
        found: usize,
        /// The limit.
        expected: usize,
    },
    /// Another kind of file.
    #[error("the file does not start as a pack does")]
    NotAPack,
    /// Written by a newer release.
    #[error("found pack format {found}, expected {expected}")]
    Format {
        /// As the file says.
        found: u32,
        /// What this build reads.
        expected: u32,
    },
    /// The end is missing.
    #[error("found {found} bytes, expected {expected} (truncated)")]
    Truncated {
        /// Length of the file.
        found: usize,
        /// Length it says it has, or the shortest that a pack can have.
        expected: u64,
    },
    /// Something follows the end.
    #[error("found {found} bytes, expected {expected} (something was appended)")]
    Trailing {
        /// Length of the file.
        found: usize,
        /// Length it says it has.
        expected: u64,
    },
    /// Bytes changed since the pack was written.
    #[error("found SHA-256 {found}, expected {expected} as its trailer says")]
    Damaged {
        /// Of the bytes.
        found: String,
        /// As the trailer says.
        expected: String,
    },
    /// A section's frame goes beyond the end.
    #[error("the section at byte {at} does not fit into the file")]
    SectionLength {
        /// Where its frame starts.
        at: usize,
    },
    /// A section above the limit for its kind.
    #[error("the {section} section has {found} bytes, expected at most {expected}")]
    SectionTooLong {
        /// What it holds.
        section: &'static str,
        /// Its length.
        found: usize,
        /// The limit.
        expected: usize,
    },
    /// A section that is unknown or not at its place.
    #[error(
        "found section tag {found} at byte {at}, expected roots, timestamp, release, control, blobs"
    )]
    SectionOrder {
        /// Where its frame starts.
        at: usize,
        /// Its tag.
        found: u8,
    },
    /// A document is not there.
    #[error("the {section} section is missing")]
    SectionMissing {
        /// Which one.
        section: &'static str,
    },
    /// More root steps than one trust root may lead to.
    #[error("found more than {expected} roots")]
    TooManyRoots {
        /// The limit.
        expected: usize,
    },
    /// One blob twice.
    #[error("blob {sha256} is there twice, expected once")]
    DuplicateBlob {
        /// Its address.
        sha256: String,
    },
}

impl PackError {
    /// A stable label for metrics and status.
    pub fn name(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "pack_too_long",
            Self::NotAPack => "pack_not_a_pack",
            Self::Format { .. } => "pack_format",
            Self::Truncated { .. } => "pack_truncated",
            Self::Trailing { .. } => "pack_trailing",
            Self::Damaged { .. } => "pack_damaged",
            Self::SectionLength { .. } => "pack_section_length",
            Self::SectionTooLong { .. } => "pack_section_too_long",
            Self::SectionOrder { .. } => "pack_section_order",
            Self::SectionMissing { .. } => "pack_section_missing",
            Self::TooManyRoots { .. } => "pack_too_many_roots",
            Self::DuplicateBlob { .. } => "pack_duplicate_blob",
        }
    }
}
