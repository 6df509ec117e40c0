//! What do we evaluate against?
//!
//! Pure: bytes in, values out; no I/O, clock, randomness, logging or async.
//! Bytes become meaning in stages, each its own type, so that an unverified
//! snapshot cannot be evaluated: [`envelope`] turns a file into
//! verified bytes, [`trust`] applies the order of checks against what was
//! accepted before, [`parts`] resolves the two-level index, [`compile`] makes
//! the [`Snapshot`]. [`wire`] is the format, [`pack`] one revision as one file.

pub mod compile;
pub mod envelope;
#[cfg(any(test, fuzzing))]
pub(crate) mod fixture;
pub mod flags;
mod fragment;
pub mod frame;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod json;
pub mod layout;
mod model;
pub mod pack;
pub mod parts;
pub mod trust;
pub mod wire;
mod workers;

pub use fragment::{flow_bytes_max, write_block, write_empty_flow, write_flow};
pub use json::{JsonError, check as check_part};
pub use model::{
    AccessRules, Alternative, Audience, Block, BlockFlows, BlockIndex, BlockKey, Channel,
    Deployment, DeploymentKey, Entry, Flow, FlowKey, Incoming, Key, NameKey, Revision,
    RevisionError, RolloutSource, Rule, Scheduled, SetAside, Snapshot, Special, Target, Transition,
    Trigger, Unsigned, UserKey, Version, VersionSlot,
};
pub use workers::{InTurn, Workers};

use sha2::{Digest, Sha256};

/// Lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(DIGITS[usize::from(byte >> 4)] as char);
        text.push(DIGITS[usize::from(byte & 15)] as char);
    }
    text
}

/// Whether a text is a SHA-256 as documents write it: 64 lower-case
/// hexadecimal digits. Only one spelling, because hashes are compared as text.
pub(crate) fn is_sha256_hex(text: &str) -> bool {
    text.len() == 64 && is_lower_hex(text)
}

/// The bytes that a SHA-256 as documents write it stands for.
pub fn sha256_of_hex(text: &str) -> Option<[u8; 32]> {
    if !is_sha256_hex(text) {
        return None;
    }
    let mut hash = [0; 32];
    for (byte, pair) in hash.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let value = |digit: u8| match digit {
            b'0'..=b'9' => digit - b'0',
            _ => digit - b'a' + 10,
        };
        *byte = value(pair[0]) << 4 | value(pair[1]);
    }
    Some(hash)
}

/// Whether a text has lower-case hexadecimal digits only.
fn is_lower_hex(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// SHA-256 of some bytes.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// SHA-256 in hexadecimal, the form in which documents name each other.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(&sha256(bytes))
}

/// 64 bits of a name: the lower half of murmur3 x64 128 with seed 0. Stable
/// across releases, because it never leaves memory but is compared with values
/// computed at other times of the same run.
pub(crate) fn name_hash(name: &str) -> u64 {
    // Reading from a slice cannot fail.
    murmur3::murmur3_x64_128(&mut name.as_bytes(), 0).map_or(0, |hash| hash as u64)
}
