//! Where does an id fall in a rollout?
//!
//! murmur3 x86 32 with seed 0 over `salt:id`, modulo 10 000. Anybody can compute
//! it with the salt at hand, so that other systems may agree with ours.

use std::num::NonZeroU32;

/// Buckets there are; basis points count them.
pub(super) const BUCKETS: u16 = 10_000;

/// The bucket of an id: 0..10000. The salt comes with its colon.
pub fn bucket(salt: &str, id: &str) -> u16 {
    (murmur3_32(0, salt.as_bytes(), id.as_bytes()) % u32::from(BUCKETS)) as u16
}

/// Where an id falls among `of` places, counted from 1, as Unleash's clients
/// compute it: the same hash, over a group that comes with its colon.
pub(super) fn place(seed: u32, group: &str, id: &str, of: NonZeroU32) -> u32 {
    murmur3_32(seed, group.as_bytes(), id.as_bytes()) % of + 1
}

/// The hash of one text behind the other. Written out because the library's
/// reads from a stream, which takes longer than the rest of a rollout; a test
/// compares the two.
fn murmur3_32(seed: u32, salt: &[u8], id: &[u8]) -> u32 {
    let length = salt.len().wrapping_add(id.len()) as u32;
    let (words, odd) = salt.as_chunks();
    let mut hash = words.iter().fold(seed, |hash, word| stir(hash, *word));
    // The word that the seam between the two runs through.
    let mut seam = [0; 4];
    let missing = if odd.is_empty() { 0 } else { 4 - odd.len() };
    let (head, id) = id.split_at(missing.min(id.len()));
    for (place, byte) in seam.iter_mut().zip(odd.iter().chain(head)) {
        *place = *byte;
    }
    if missing > 0 && head.len() == missing {
        hash = stir(hash, seam);
        seam = [0; 4];
    }
    let (words, odd) = id.as_chunks();
    hash = words.iter().fold(hash, |hash, word| stir(hash, *word));
    // Either these or the bytes before the seam are left over, never both.
    if !odd.is_empty() {
        seam[..odd.len()].copy_from_slice(odd);
    }
    // Left-over bytes change the hash without turning it; zeros do not.
    finish(hash ^ scrambled(seam), length)
}

fn scrambled(word: [u8; 4]) -> u32 {
    let word = u32::from_le_bytes(word).wrapping_mul(0xcc9e_2d51);
    word.rotate_left(15).wrapping_mul(0x1b87_3593)
}

fn stir(hash: u32, word: [u8; 4]) -> u32 {
    let hash = (hash ^ scrambled(word)).rotate_left(13);
    hash.wrapping_mul(5).wrapping_add(0xe654_6b64)
}

fn finish(hash: u32, length: u32) -> u32 {
    let hash = hash ^ length;
    let hash = (hash ^ (hash >> 16)).wrapping_mul(0x85eb_ca6b);
    let hash = (hash ^ (hash >> 13)).wrapping_mul(0xc2b2_ae35);
    hash ^ (hash >> 16)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use proptest::prelude::*;

    use super::{bucket, place};

    /// The values that Unleash publishes for those who write clients.
    #[test]
    fn places_are_those_of_unleash() {
        let place = |seed, group, id, of: u32| place(seed, group, id, of.try_into().unwrap());
        assert_eq!(place(0, "gr1:", "123", 100), 73);
        assert_eq!(place(0, "groupX:", "999", 100), 25);
        assert_eq!(place(86_028_157, "gr1:", "123", 100), 96);
        assert_eq!(place(86_028_157, "groupX:", "999", 100), 60);
        assert_eq!(place(86_028_157, "gr1:", "123", 1000), 796);
        assert_eq!(place(86_028_157, "groupX:", "999", 1000), 260);
    }

    /// Known values of murmur3 x86 32, so that no other hash slips in.
    #[test]
    fn the_hash_is_the_one_that_everybody_can_compute() {
        assert_eq!(bucket("", ""), 0);
        assert_eq!(bucket("", "test"), (0xba6b_d213_u32 % 10_000) as u16);
        assert_eq!(
            bucket("Hello, ", "world!"),
            (0xc036_3e43_u32 % 10_000) as u16
        );
        let whole = "The quick brown fox jumps over the lazy dog";
        let expected = (0x2e4f_f723_u32 % 10_000) as u16;
        for at in 0..=whole.len() {
            let (salt, id) = whole.split_at(at);
            assert_eq!(bucket(salt, id), expected, "split at {at}");
        }
    }

    proptest! {
        #[test]
        fn the_bucket_is_that_of_the_library(salt in ".{0,9}", id in ".{0,40}") {
            let mut text = salt.as_bytes().chain(id.as_bytes());
            let hash = murmur3::murmur3_32(&mut text, 0).unwrap();
            prop_assert_eq!(u32::from(bucket(&salt, &id)), hash % 10_000);
        }
    }

    /// Chi-square over 100 bins, 99 degrees of freedom: a fair hash stays below
    /// 148.2 in 999 of 1000 salts, and these three are fixed.
    #[test]
    fn a_million_ids_fall_evenly_under_any_salt() {
        const IDS: u32 = 1_000_000;
        for salt in ["", "8f3a1c:", "Ünïcödé:"] {
            let mut bins = [0u32; 100];
            let mut id = itoa::Buffer::new();
            for number in 0..IDS {
                let text = id.format(number);
                bins[usize::from(bucket(salt, text) / 100)] += 1;
            }
            let expected = f64::from(IDS) / 100.0;
            let chi: f64 = bins
                .iter()
                .map(|found| (f64::from(*found) - expected).powi(2) / expected)
                .sum();
            assert!(chi < 148.2, "{salt:?}: {chi}");
            // Far too even would be as wrong: 0.1 % at the other end.
            assert!(chi > 61.1, "{salt:?}: {chi}");
        }
    }
}
