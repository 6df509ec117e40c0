//! How is one revision kept as one file?
//!
//! Magic, format, total length; framed sections; SHA-256 of everything before
//! it. All numbers are little-endian. The trailer finds damage, not attacks:
//! whoever can write the file can write the trailer, so everything inside goes
//! through `trust` again. Parsing is total: any bytes give a pack or a named
//! error, and no length is believed before the bytes are there.

mod error;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub use self::error::PackError;
use super::{sha256, sha256_hex};
use crate::limits::{DOCUMENT_BYTES_MAX, PACK_BYTES_MAX, PART_BYTES_MAX, ROOT_STEPS_MAX};

/// First bytes of every pack.
const MAGIC: &[u8; 8] = b"FLOWPACK";

/// Raised when the framing changes; what the documents say has versions of its own.
const FORMAT: u32 = 1;

/// Magic, format, total length.
const HEAD_BYTES: usize = 8 + 4 + 8;

/// SHA-256.
const TRAILER_BYTES: usize = 32;

/// Tag and length before each section's bytes.
const FRAME_BYTES: usize = 1 + 8;

/// The documents and blobs of one revision, as fetched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pack {
    /// Every root file after the configured trust root, up to the one in
    /// force; empty when the configured one is in force itself.
    pub roots: Vec<Vec<u8>>,
    /// The timestamp file.
    pub timestamp: Vec<u8>,
    /// The release file.
    pub release: Vec<u8>,
    /// The control file.
    pub control: Vec<u8>,
    /// By SHA-256 of the encoded bytes.
    pub blobs: BTreeMap<String, Vec<u8>>,
}

/// What a section holds, in the order of the file. Roots and blobs repeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Section {
    Root = 1,
    Timestamp = 2,
    Release = 3,
    Control = 4,
    Blob = 5,
}

impl Section {
    fn of(tag: u8) -> Option<Self> {
        [
            Self::Root,
            Self::Timestamp,
            Self::Release,
            Self::Control,
            Self::Blob,
        ]
        .into_iter()
        .find(|section| *section as u8 == tag)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Timestamp => "timestamp",
            Self::Release => "release",
            Self::Control => "control",
            Self::Blob => "blob",
        }
    }

    fn repeats(self) -> bool {
        matches!(self, Self::Root | Self::Blob)
    }

    fn bytes_max(self) -> usize {
        match self {
            Self::Blob => PART_BYTES_MAX,
            _ => DOCUMENT_BYTES_MAX,
        }
    }
}

impl Pack {
    /// The bytes of the file. Blobs are written without their addresses, which
    /// reading computes again.
    pub fn to_bytes(&self) -> Vec<u8> {
        let roots = self.roots.iter().map(|root| (Section::Root, root));
        let documents = [
            (Section::Timestamp, &self.timestamp),
            (Section::Release, &self.release),
            (Section::Control, &self.control),
        ];
        let blobs = self.blobs.values().map(|blob| (Section::Blob, blob));
        let sections: Vec<_> = roots.chain(documents).chain(blobs).collect();
        let framed: usize = sections.iter().map(|(_, b)| FRAME_BYTES + b.len()).sum();
        let total = HEAD_BYTES + framed + TRAILER_BYTES;
        let mut bytes = Vec::with_capacity(total);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&FORMAT.to_le_bytes());
        bytes.extend_from_slice(&(total as u64).to_le_bytes());
        for (section, content) in sections {
            bytes.push(section as u8);
            bytes.extend_from_slice(&(content.len() as u64).to_le_bytes());
            bytes.extend_from_slice(content);
        }
        let trailer = sha256(&bytes);
        bytes.extend_from_slice(&trailer);
        bytes
    }

    /// Reads a file within its limits.
    pub fn parse(bytes: &[u8]) -> Result<Self, PackError> {
        let mut rest = sections(bytes)?;
        let mut pack = Self::default();
        let mut last = None;
        while !rest.is_empty() {
            let at = bytes.len() - TRAILER_BYTES - rest.len();
            let (section, content) = next_section(&mut rest, at)?;
            let in_order =
                last.is_none_or(|last| section > last || (section == last && section.repeats()));
            if !in_order {
                return Err(PackError::SectionOrder {
                    at,
                    found: section as u8,
                });
            }
            last = Some(section);
            pack.take(section, content)?;
        }
        for (section, document) in [
            (Section::Timestamp, &pack.timestamp),
            (Section::Release, &pack.release),
            (Section::Control, &pack.control),
        ] {
            // An empty document is none: no signed file is empty.
            if document.is_empty() {
                return Err(PackError::SectionMissing {
                    section: section.name(),
                });
            }
        }
        Ok(pack)
    }

    fn take(&mut self, section: Section, content: &[u8]) -> Result<(), PackError> {
        if content.len() > section.bytes_max() {
            return Err(PackError::SectionTooLong {
                section: section.name(),
                found: content.len(),
                expected: section.bytes_max(),
            });
        }
        let content = content.to_vec();
        match section {
            Section::Root if self.roots.len() == ROOT_STEPS_MAX => {
                return Err(PackError::TooManyRoots {
                    expected: ROOT_STEPS_MAX,
                });
            }
            Section::Root => self.roots.push(content),
            Section::Timestamp => self.timestamp = content,
            Section::Release => self.release = content,
            Section::Control => self.control = content,
            Section::Blob => {
                let address = sha256_hex(&content);
                if self.blobs.insert(address.clone(), content).is_some() {
                    return Err(PackError::DuplicateBlob { sha256: address });
                }
            }
        }
        Ok(())
    }
}

/// What lies between head and trailer, when both are right.
fn sections(bytes: &[u8]) -> Result<&[u8], PackError> {
    let found = bytes.len();
    if found > PACK_BYTES_MAX {
        return Err(PackError::TooLong {
            found,
            expected: PACK_BYTES_MAX,
        });
    }
    let mut head = bytes;
    let truncated = |expected| PackError::Truncated { found, expected };
    let shortest = (HEAD_BYTES + TRAILER_BYTES) as u64;
    let magic: [u8; 8] = take(&mut head).ok_or_else(|| truncated(shortest))?;
    if magic != *MAGIC {
        return Err(PackError::NotAPack);
    }
    let format = u32::from_le_bytes(take(&mut head).ok_or_else(|| truncated(shortest))?);
    if format != FORMAT {
        return Err(PackError::Format {
            found: format,
            expected: FORMAT,
        });
    }
    let expected = u64::from_le_bytes(take(&mut head).ok_or_else(|| truncated(shortest))?);
    if (found as u64) < expected.max(shortest) {
        return Err(truncated(expected.max(shortest)));
    }
    if found as u64 > expected {
        return Err(PackError::Trailing { found, expected });
    }
    // At least head and trailer are there, so neither split is out of range.
    let (covered, trailer) = bytes.split_at(found - TRAILER_BYTES);
    let hash = sha256(covered);
    if hash[..] != *trailer {
        return Err(PackError::Damaged {
            found: super::hex(&hash),
            expected: super::hex(trailer),
        });
    }
    Ok(&covered[HEAD_BYTES..])
}

fn next_section<'b>(rest: &mut &'b [u8], at: usize) -> Result<(Section, &'b [u8]), PackError> {
    let misfit = || PackError::SectionLength { at };
    let [tag] = take(rest).ok_or_else(misfit)?;
    let section = Section::of(tag).ok_or(PackError::SectionOrder { at, found: tag })?;
    let length = u64::from_le_bytes(take(rest).ok_or_else(misfit)?);
    let length = usize::try_from(length).map_err(|_| misfit())?;
    let (content, after) = rest.split_at_checked(length).ok_or_else(misfit)?;
    *rest = after;
    Ok((section, content))
}

/// The next `N` bytes, if they are there.
fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*taken)
}
