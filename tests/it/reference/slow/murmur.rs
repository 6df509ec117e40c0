//! Where does an id fall?
//!
//! murmur3 x86 32 as its author describes it, byte by byte.

/// The bucket of an id under a salt.
pub(super) fn bucket(salt: &str, id: &str) -> u16 {
    (hash(format!("{salt}:{id}").as_bytes()) % 10_000) as u16
}

fn hash(data: &[u8]) -> u32 {
    let scramble = |k: u32| {
        k.wrapping_mul(0xcc9e_2d51)
            .rotate_left(15)
            .wrapping_mul(0x1b87_3593)
    };
    let mut h = 0_u32;
    for chunk in data.chunks(4) {
        let k = chunk
            .iter()
            .rev()
            .fold(0, |k, byte| k << 8 | u32::from(*byte));
        h ^= scramble(k);
        if chunk.len() == 4 {
            h = h.rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64);
        }
    }
    h ^= data.len() as u32;
    h = (h ^ (h >> 16)).wrapping_mul(0x85eb_ca6b);
    h = (h ^ (h >> 13)).wrapping_mul(0xc2b2_ae35);
    h ^ (h >> 16)
}

#[test]
fn the_reference_hash_is_murmur3() {
    // Test values of the algorithm's own test suite for seed 0.
    assert_eq!(hash(b""), 0);
    assert_eq!(hash(b"test"), 0xba6b_d213);
    assert_eq!(hash(b"Hello, world!"), 0xc036_3e43);
}
