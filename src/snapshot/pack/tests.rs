//! Packs come back as they were written, or are refused by name.

use proptest::prelude::*;

use super::*;
use crate::snapshot::fixture::World;

fn pack() -> Pack {
    let mut world = World::new();
    let root = world.root_file();
    Pack {
        roots: vec![root.clone(), root],
        ..world.pack()
    }
}

/// Head and trailer made right around any sections.
fn framed(sections: &[(u8, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (tag, content) in sections {
        body.push(*tag);
        body.extend_from_slice(&(content.len() as u64).to_le_bytes());
        body.extend_from_slice(content);
    }
    around(&body)
}

fn around(body: &[u8]) -> Vec<u8> {
    let total = HEAD_BYTES + body.len() + TRAILER_BYTES;
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&FORMAT.to_le_bytes());
    bytes.extend_from_slice(&(total as u64).to_le_bytes());
    bytes.extend_from_slice(body);
    let trailer = sha256(&bytes);
    bytes.extend_from_slice(&trailer);
    bytes
}

fn name(bytes: &[u8]) -> &'static str {
    Pack::parse(bytes).unwrap_err().name()
}

#[test]
fn a_pack_comes_back_as_it_was() {
    let pack = pack();
    let bytes = pack.to_bytes();
    assert_eq!(Pack::parse(&bytes).unwrap(), pack);
    assert_eq!(pack.to_bytes(), bytes);
}

#[test]
fn every_truncation_of_a_pack_is_named() {
    let bytes = pack().to_bytes();
    for length in 0..bytes.len() {
        assert_eq!(name(&bytes[..length]), "pack_truncated", "{length}");
    }
}

#[test]
fn an_appended_byte_is_refused() {
    let mut bytes = pack().to_bytes();
    bytes.push(0);
    assert_eq!(name(&bytes), "pack_trailing");
}

#[test]
fn another_format_and_another_file_are_told_apart() {
    let mut bytes = pack().to_bytes();
    bytes[8] = 2;
    assert_eq!(name(&bytes), "pack_format");
    bytes[0] = b'X';
    assert_eq!(name(&bytes), "pack_not_a_pack");
}

#[test]
fn a_section_longer_than_the_file_is_refused() {
    let mut body = vec![Section::Timestamp as u8];
    body.extend_from_slice(&u64::MAX.to_le_bytes());
    assert_eq!(name(&around(&body)), "pack_section_length");
    assert_eq!(name(&around(&[2, 0, 0])), "pack_section_length");
}

#[test]
fn an_oversized_section_is_refused() {
    let long = vec![0; DOCUMENT_BYTES_MAX + 1];
    let bytes = framed(&[(2, &long), (3, b"r"), (4, b"c")]);
    assert_eq!(name(&bytes), "pack_section_too_long");
}

#[test]
fn sections_come_once_and_in_order() {
    let (t, r, c): (_, _, (u8, &[u8])) = ((2, &b"t"[..]), (3, &b"r"[..]), (4, b"c"));
    assert!(Pack::parse(&framed(&[t, r, c])).is_ok());
    for wrong in [vec![r, t, c], vec![t, t, r, c], vec![t, r, c, (1, b"root")]] {
        assert_eq!(name(&framed(&wrong)), "pack_section_order");
    }
    assert_eq!(name(&framed(&[t, r, c, (6, b"?")])), "pack_section_order");
    assert_eq!(name(&framed(&[t, r])), "pack_section_missing");
    assert_eq!(
        name(&framed(&[t, r, c, (5, b"b"), (5, b"b")])),
        "pack_duplicate_blob"
    );
}

#[test]
fn more_roots_than_steps_are_refused() {
    let many = Pack {
        roots: vec![b"root".to_vec(); ROOT_STEPS_MAX + 1],
        ..pack()
    };
    assert_eq!(name(&many.to_bytes()), "pack_too_many_roots");
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_pack_with_one_bit_changed_is_refused(at in any::<prop::sample::Index>(), bit in 0..8u32) {
        let mut bytes = pack().to_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(Pack::parse(&bytes).is_err());
    }

    /// With the trailer made right again, so that the framing is reached.
    #[test]
    fn mutated_sections_never_panic(
        at in any::<prop::sample::Index>(),
        remove in 0..32usize,
        insert in prop::collection::vec(any::<u8>(), 0..32),
    ) {
        let bytes = pack().to_bytes();
        let mut body = bytes[HEAD_BYTES..bytes.len() - TRAILER_BYTES].to_vec();
        let at = at.index(body.len());
        let end = (at + remove).min(body.len());
        body.splice(at..end, insert);
        let bytes = around(&body);
        if let Ok(pack) = Pack::parse(&bytes) {
            prop_assert_eq!(Pack::parse(&pack.to_bytes()), Ok(pack));
        }
    }
}
