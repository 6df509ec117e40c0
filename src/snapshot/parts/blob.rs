//! How do bytes become something that can be named by their hash, and back?
//!
//! Order on the way in: form of the blob, length, hash, decoding with a cap,
//! decoded length. So nothing is decompressed that the signed chain of hashes
//! does not name, and never into more memory than the chain admits to.

use super::PartsError;
use crate::snapshot::{
    hex, is_sha256_hex, sha256, sha256_hex, sha256_of_hex,
    wire::{Blob, Encoding},
};

/// zstd's own default: higher levels cost publishing time for a few percent.
const ZSTD_LEVEL: i32 = 3;

/// Encodes bytes as a blob (zstd where it helps) and its address.
pub fn encode(bytes: &[u8]) -> (Blob, Vec<u8>) {
    // Compression fails for want of memory only, and need not happen.
    let compressed = zstd::bulk::compress(bytes, ZSTD_LEVEL)
        .ok()
        .filter(|compressed| compressed.len() < bytes.len());
    let (encoding, encoded) = match compressed {
        Some(compressed) => (Encoding::Zstd, compressed),
        None => (Encoding::Identity, bytes.to_vec()),
    };
    let blob = Blob {
        sha256: sha256_hex(&encoded),
        length: encoded.len() as u64,
        encoding,
        decoded_length: bytes.len() as u64,
    };
    (blob, encoded)
}

/// Decodes blob after blob. A decompressor takes longer to make than a usual
/// part takes to decompress, and so does memory that is asked for anew.
pub(super) struct Decoder {
    zstd: zstd::zstd_safe::DCtx<'static>,
    decoded: Vec<u8>,
}

impl Decoder {
    pub(super) fn new() -> Self {
        Self {
            zstd: zstd::zstd_safe::DCtx::create(),
            decoded: Vec::new(),
        }
    }

    /// Checks length and hash and decodes, within `bytes_max` decoded bytes.
    pub(super) fn decode<'d>(
        &'d mut self,
        blob: &Blob,
        encoded: &'d [u8],
        bytes_max: usize,
    ) -> Result<&'d [u8], PartsError> {
        let decoded_length = check(blob, bytes_max)?;
        let found = encoded.len() as u64;
        if found != blob.length {
            return Err(PartsError::Length {
                sha256: blob.sha256.clone(),
                found,
                expected: blob.length,
            });
        }
        let hash = sha256(encoded);
        if sha256_of_hex(&blob.sha256) != Some(hash) {
            return Err(PartsError::Hash {
                found: hex(&hash),
                expected: blob.sha256.clone(),
            });
        }
        match blob.encoding {
            Encoding::Identity => Ok(encoded),
            Encoding::Zstd => self.decompress(blob, encoded, decoded_length),
        }
    }

    /// Exactly one frame of exactly this many bytes. The output buffer is the
    /// cap: a frame that holds more fails when the buffer is full.
    fn decompress(
        &mut self,
        blob: &Blob,
        encoded: &[u8],
        decoded_length: usize,
    ) -> Result<&[u8], PartsError> {
        let undecodable = || PartsError::Undecodable {
            sha256: blob.sha256.clone(),
            expected: blob.decoded_length,
        };
        let frame =
            zstd::zstd_safe::find_frame_compressed_size(encoded).map_err(|_| undecodable())?;
        if frame != encoded.len() {
            // Further frames would be decoded silently as one with the first.
            return Err(PartsError::Trailing {
                sha256: blob.sha256.clone(),
                found: encoded.len(),
                expected: frame,
            });
        }
        if self.decoded.len() < decoded_length {
            self.decoded.resize(decoded_length, 0);
        }
        let decoded = &mut self.decoded[..decoded_length];
        let found = self.zstd.decompress(decoded, encoded);
        let found = found.map_err(|_| undecodable())?;
        if found != decoded_length {
            return Err(PartsError::DecodedLength {
                sha256: blob.sha256.clone(),
                found: found as u64,
                expected: blob.decoded_length,
            });
        }
        Ok(&self.decoded[..decoded_length])
    }
}

/// Whether a blob can be what it says, within `bytes_max` bytes encoded and
/// decoded; its decoded length. What passes may be fetched.
pub(super) fn check(blob: &Blob, bytes_max: usize) -> Result<usize, PartsError> {
    if !is_sha256_hex(&blob.sha256) {
        return Err(PartsError::Address {
            found: blob.sha256.clone(),
        });
    }
    let longest = blob.length.max(blob.decoded_length);
    let decoded_length = usize::try_from(blob.decoded_length).unwrap_or(usize::MAX);
    if longest > bytes_max as u64 || decoded_length > bytes_max {
        return Err(PartsError::TooLong {
            sha256: blob.sha256.clone(),
            found: longest,
            expected: bytes_max,
        });
    }
    if blob.encoding == Encoding::Identity && blob.length != blob.decoded_length {
        return Err(PartsError::DecodedLength {
            sha256: blob.sha256.clone(),
            found: blob.length,
            expected: blob.decoded_length,
        });
    }
    Ok(decoded_length)
}
