//! What does the text of a new key look like?
//!
//! Its kind and environment, for people, and a secret that nobody can guess.

use super::workspace::StoredKeyKind;
use crate::clock::Ambient;

/// Random bytes of a key: 160 bits, so that with the characters that listings
/// show more than 128 stay unknown.
const SECRET_BYTES: usize = 20;

/// The text of a new key.
pub fn key_text(kind: StoredKeyKind, environment: Option<&str>, ambient: &Ambient) -> String {
    let secret = base32(&ambient.bytes::<SECRET_BYTES>());
    match environment {
        Some(environment) => format!("{}-{environment}-{secret}", kind.name()),
        None => format!("{}-{secret}", kind.name()),
    }
}

/// Lower-case base 32 (RFC 4648 alphabet): survives mails, shells and double
/// clicks. Exact for multiples of five bytes, which secrets are.
fn base32(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let mut text = String::with_capacity(bytes.len() * 8 / 5);
    let (mut bits, mut held) = (0_u32, 0_u32);
    for byte in bytes {
        held = (held << 8) | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(ALPHABET[((held >> bits) & 31) as usize] as char);
        }
    }
    text
}

const _: () = assert!(SECRET_BYTES.is_multiple_of(5));
