//! How do many blobs travel in one answer?
//!
//! `POST …/parts` asks with a JSON array of hashes and is answered with frames
//! (see [`FrameWriter`]), one blob each, back to back until the end of the
//! body. They come in the order asked for. What the store does not have, and
//! what would make the answer longer than `limits::PARTS_ANSWER_BYTES_MAX`, is
//! left out; the first one it has always comes, so that asking again makes
//! progress. Nothing here is believed: the reader hashes every blob.

use super::hex;
use crate::limits;

/// Bytes before each blob.
const HEAD_BYTES: usize = 32 + 8;

/// An answer that is not a row of whole frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The body ends inside a frame.
    #[error("the frame at byte {at} needs {needed} bytes (found {found})")]
    Truncated {
        /// Where the frame starts.
        at: usize,
        /// Of it.
        needed: u64,
        /// Left in the body.
        found: usize,
    },
    /// More frames than anybody may ask for.
    #[error("more than {} frames", limits::PARTS_PER_REQUEST_MAX)]
    TooMany,
}

/// Puts blobs (hash and bytes) into one body, a frame each:
///
/// ```text
/// SHA-256 of the bytes   32 bytes
/// length                  8 bytes, big-endian
/// the bytes              as stored, encoded
/// ```
#[derive(Clone, Debug, Default)]
pub struct FrameWriter {
    body: Vec<u8>,
    count: usize,
}

impl FrameWriter {
    /// Adds a blob; false when the answer is full, and then nothing was added.
    pub fn push(&mut self, sha256: &[u8; 32], bytes: &[u8]) -> bool {
        let after = self.body.len() + HEAD_BYTES + bytes.len();
        if self.count > 0 && after > limits::PARTS_ANSWER_BYTES_MAX {
            return false;
        }
        self.body.extend_from_slice(&head(sha256, bytes.len()));
        self.body.extend_from_slice(bytes);
        self.count += 1;
        true
    }

    /// The body.
    pub fn finish(self) -> Vec<u8> {
        self.body
    }
}

/// What stands before each blob.
pub fn head(sha256: &[u8; 32], length: usize) -> [u8; HEAD_BYTES] {
    let mut head = [0; HEAD_BYTES];
    let (hash, rest) = head.split_at_mut(32);
    hash.copy_from_slice(sha256);
    rest.copy_from_slice(&(length as u64).to_be_bytes());
    head
}

/// Takes a body apart: the claimed hash (hexadecimal) and the bytes of each blob.
pub fn frames(body: &[u8]) -> Result<Vec<(String, &[u8])>, FrameError> {
    let mut found = Vec::new();
    let mut rest = body;
    while !rest.is_empty() {
        let at = body.len() - rest.len();
        let truncated = |needed| FrameError::Truncated {
            at,
            needed,
            found: rest.len(),
        };
        let (hash, tail) = rest
            .split_first_chunk::<32>()
            .ok_or_else(|| truncated(HEAD_BYTES as u64))?;
        let (length, tail) = tail
            .split_first_chunk::<8>()
            .ok_or_else(|| truncated(HEAD_BYTES as u64))?;
        let length = u64::from_be_bytes(*length);
        let needed = truncated(length.saturating_add(HEAD_BYTES as u64));
        let (bytes, tail) = usize::try_from(length)
            .ok()
            .and_then(|length| tail.split_at_checked(length))
            .ok_or(needed)?;
        if found.len() == limits::PARTS_PER_REQUEST_MAX {
            return Err(FrameError::TooMany);
        }
        found.push((hex(hash), bytes));
        rest = tail;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::{sha256, sha256_hex};

    fn body(blobs: &[&[u8]]) -> Vec<u8> {
        let mut writer = FrameWriter::default();
        for blob in blobs {
            assert!(writer.push(&sha256(blob), blob));
        }
        writer.finish()
    }

    #[test]
    fn frames_come_back_as_they_were_put_in() {
        let body = body(&[b"one", b"", b"three"]);
        let found = frames(&body).unwrap();
        let expected: Vec<(String, &[u8])> = [b"one".as_slice(), b"", b"three"]
            .into_iter()
            .map(|blob| (sha256_hex(blob), blob))
            .collect();
        assert_eq!(found, expected);
        assert!(frames(&[]).unwrap().is_empty());
    }

    #[test]
    fn a_body_cut_anywhere_inside_a_frame_is_refused() {
        let whole = body(&[b"one", b"two"]);
        let between = HEAD_BYTES + 3;
        for length in (1..whole.len()).filter(|length| *length != between) {
            assert!(frames(&whole[..length]).is_err(), "cut at {length}");
        }
    }

    #[test]
    fn a_length_beyond_any_memory_is_refused() {
        let mut body = vec![0; 32];
        body.extend_from_slice(&u64::MAX.to_be_bytes());
        assert!(matches!(frames(&body), Err(FrameError::Truncated { .. })));
    }

    #[test]
    fn a_full_answer_takes_no_more_but_always_one() {
        let large = vec![0; limits::PARTS_ANSWER_BYTES_MAX];
        let mut writer = FrameWriter::default();
        assert!(writer.push(&[0; 32], &large));
        assert!(!writer.push(&[1; 32], b"more"));
        assert_eq!(frames(&writer.finish()).unwrap().len(), 1);
    }
}
