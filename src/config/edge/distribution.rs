//! Does the edge pass its snapshots on to other edges, and to which?
//!
//! The section `distribution`, and of each environment the hashes of the keys
//! that other edges come with. Nothing that opens the way upstream is among
//! them, and nothing that stands here could be used to ask for anything.

use crate::config::{
    key::{Key, Kind, Preset},
    reader::Reader,
};

/// Of the section.
pub(super) const KEYS: &[Key] = &[Key {
    name: "distribution.serve",
    flag: "distribution-serve",
    kind: Kind::Truth,
    preset: Preset::Value("false"),
    secret: None,
    doc: "Whether other edges may pull snapshots from the public listener, under /edge/v1. Keeps the encoded parts of \
          every environment with downstream keys in memory: about what its pack takes on disk.",
}];

/// Of each environment's section.
pub(super) const ENVIRONMENT_KEYS: &[Key] = &[Key {
    name: "environment.*.downstream_key_hashes",
    flag: "environment-downstream-key-hashes",
    kind: Kind::Words,
    preset: Preset::Value("[]"),
    secret: None,
    doc: "SHA-256, in hexadecimal, of the keys by which other edges may pull this environment's snapshots from here; \
          `flowgate key hash` prints them. Only used with distribution.serve.",
}];

/// Downstream keys of one edge and environment: a fleet below one edge, two
/// secrets each while they are replaced.
const DOWNSTREAM_KEYS_MAX: usize = 2_000;

/// The hashes of one environment.
pub(super) fn downstream(reader: &mut Reader, environment: &str) -> Vec<[u8; 32]> {
    let name = format!("environment.{environment}.downstream_key_hashes");
    let words = reader.words(&name);
    if words.len() > DOWNSTREAM_KEYS_MAX {
        let rule = format!(
            "has {} hashes (expected at most {DOWNSTREAM_KEYS_MAX})",
            words.len()
        );
        reader.broken(&name, &rule);
    }
    let mut hashes = Vec::with_capacity(words.len());
    for word in words {
        match hash(&word) {
            Some(hash) => hashes.push(hash),
            // It may be a key that somebody put here instead of its hash.
            None => reader.broken_unshown(
                &name,
                "has a word that is no SHA-256 (expected 64 hexadecimal digits, as `flowgate key hash` prints them)",
            ),
        }
    }
    hashes
}

/// The bytes that 64 hexadecimal digits stand for.
fn hash(word: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if word.len() != 64 || !word.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(word.get(at * 2..at * 2 + 2)?, 16).ok()?;
    }
    Some(bytes)
}
