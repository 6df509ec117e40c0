//! Where does an id fall in a rollout?
//!
//! murmur3 x86 32 with seed 0 over `salt:id`, modulo 10 000. Anybody can compute
//! it with the salt at hand, so that other systems may agree with ours.

use std::num::NonZeroU32;

/// Buckets there are; basis points count them.
pub(super) const BUCKETS: u16 = 10_000;

/// The bucket of an id: 0..10000. The salt comes with its colon.
pub fn bucket(salt: &str, id: &str) -> u16 {
    (Salted::of(0, salt).hash_of(id) % u32::from(BUCKETS)) as u16
}

/// A hash that has read a salt and waits for an id. Written out because the
/// library's reads from a stream, which takes longer than the rest of a
/// rollout, and begins with the salt each time; a test compares the two.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Salted {
    hash: u32,
    /// Bytes that make no whole word yet, the first one lowest.
    odd: u32,
    /// How many bits of it there are: fewer than 32.
    bits: u32,
    length: u32,
}

impl Salted {
    /// With this seed, behind this salt, which comes with its colon.
    pub(crate) fn of(seed: u32, salt: &str) -> Self {
        let begun = Self {
            hash: seed,
            odd: 0,
            bits: 0,
            length: 0,
        };
        begun.behind(salt.as_bytes())
    }

    /// Where an id falls among `of` places, counted from 1, as Unleash's
    /// clients compute it.
    pub(super) fn place(self, id: &str, of: NonZeroU32) -> u32 {
        self.hash_of(id) % of + 1
    }

    fn hash_of(self, id: &str) -> u32 {
        let whole = self.behind(id.as_bytes());
        // Left-over bytes change the hash without turning it; none are zero,
        // which changes nothing.
        finish(whole.hash ^ scrambled(whole.odd), whole.length)
    }

    fn behind(mut self, bytes: &[u8]) -> Self {
        self.length = self.length.wrapping_add(bytes.len() as u32);
        let (words, odd) = bytes.as_chunks();
        let mut waiting = u64::from(self.odd);
        for word in words {
            waiting |= u64::from(u32::from_le_bytes(*word)) << self.bits;
            self.hash = stir(self.hash, waiting as u32);
            waiting >>= 32;
        }
        self.odd = waiting as u32;
        for byte in odd {
            self.odd |= u32::from(*byte) << self.bits;
            self.bits += 8;
            if self.bits == 32 {
                self.hash = stir(self.hash, self.odd);
                (self.odd, self.bits) = (0, 0);
            }
        }
        self
    }
}

fn scrambled(word: u32) -> u32 {
    word.wrapping_mul(0xcc9e_2d51)
        .rotate_left(15)
        .wrapping_mul(0x1b87_3593)
}

fn stir(hash: u32, word: u32) -> u32 {
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

    use super::{Salted, bucket};

    /// The values that Unleash publishes for those who write clients.
    #[test]
    fn places_are_those_of_unleash() {
        let place =
            |seed, group, id, of: u32| Salted::of(seed, group).place(id, of.try_into().unwrap());
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
