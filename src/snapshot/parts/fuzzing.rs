//! What must hold of compressed bytes, whatever they are?
//!
//! A target of `crate::fuzzing`, here because only this room decodes.

use super::blob::{Decoder, encode};
use crate::{
    limits::PART_BYTES_MAX,
    snapshot::{
        sha256_hex,
        wire::{Blob, Encoding},
    },
};

/// The first four bytes promise a length, the rest is encoded.
pub(in crate::snapshot) fn blob(bytes: &[u8]) {
    let mut decoder = Decoder::new();
    if let Some((promised, encoded)) = bytes.split_first_chunk::<4>() {
        // Small enough to be tried often, and with the limit within reach.
        let decoded_length = u64::from(u32::from_le_bytes(*promised) % (1 << 18));
        for encoding in [Encoding::Zstd, Encoding::Identity] {
            let blob = Blob {
                sha256: sha256_hex(encoded),
                length: encoded.len() as u64,
                encoding,
                decoded_length,
            };
            if let Ok(decoded) = decoder.decode(&blob, encoded, PART_BYTES_MAX) {
                assert_eq!(decoded.len() as u64, decoded_length);
            }
        }
    }
    let (address, encoded) = encode(bytes);
    let again = decoder.decode(&address, &encoded, PART_BYTES_MAX);
    assert_eq!(again.ok(), Some(bytes), "what is encoded comes back");
}
