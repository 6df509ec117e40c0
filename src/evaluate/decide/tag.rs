//! How does a request name a version, and what fixes it in the end?
//!
//! A tag is what the request says; the source says whether it counted.

use std::str::FromStr;

/// How a request names a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Tag {
    /// A fixed version; 0 is the draft.
    Number(u32),
    /// The newest committed version.
    #[default]
    Latest,
}

/// The text was not a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a version number, uncommitted or latest")]
pub struct TagError;

impl FromStr for Tag {
    type Err = TagError;

    fn from_str(text: &str) -> Result<Self, TagError> {
        match text {
            "latest" => Ok(Self::Latest),
            "uncommitted" => Ok(Self::Number(0)),
            digits if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => {
                digits.parse().map(Self::Number).map_err(|_| TagError)
            }
            _ => Err(TagError),
        }
    }
}

/// What fixed the version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionSource {
    /// The request's tag.
    Tag,
    /// The deployment's version policy.
    Policy,
    /// The conversation (or, under `stay`, the user) has begun this version.
    Pin,
    /// The state shown was made from that of another version.
    Migration,
}

impl VersionSource {
    /// As it stands in answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tag => "tag",
            Self::Policy => "policy",
            Self::Pin => "pin",
            Self::Migration => "migration",
        }
    }
}
