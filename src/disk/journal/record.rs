//! How does one record stand in a segment?
//!
//! `len u32 | crc32c u32 | seq u64 | wall-ms u64 | kind u8 | flags u8 | body`,
//! little-endian. `len` counts what follows the checksum, so it is never 0 and
//! zero-filled space cannot be read as a record. The checksum covers what
//! follows it and the journal id: a record of another journal, for instance in
//! a file copied by hand, is not taken for ours.

use crate::{clock::UnixMs, limits::RECORD_BYTES_MAX};

/// One record as it stands in a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its place in the journal; from 1, never used twice, gaps are allowed.
    pub seq: u64,
    /// When it was made, by the edge's clock; for display, not for order.
    pub wall_ms: UnixMs,
    /// What the body is; the journal does not look at it.
    pub kind: u8,
    /// The journal's own; 0 in every record that was appended.
    pub flags: u8,
    /// The content.
    pub body: Vec<u8>,
}

/// A journal id as bytes, the form that checksums and headers use.
pub(super) type JournalId = [u8; 16];

/// The flag of a record that stands for settled ones which were given back.
const GAP: u8 = 1;

/// Length and checksum.
const PREFIX_BYTES: usize = 8;
/// What stands between the checksum and the body.
const FIXED_BYTES: usize = 18;
/// Everything before the body.
pub(super) const HEAD_BYTES: usize = PREFIX_BYTES + FIXED_BYTES;

/// What stands at a place in a segment.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Parsed {
    /// A whole record.
    Record(Record),
    /// Zero-filled space: nothing was written here.
    Blank,
    /// More bytes are needed to tell, this many in all.
    Short(usize),
    /// Something that is not a record.
    Bad(&'static str),
}

/// What stands in a segment in the place of records that were given back: its
/// seq is the last of theirs, its body the first.
pub(super) fn gap(first: u64, through: u64) -> Record {
    Record {
        seq: through,
        wall_ms: 0,
        kind: 0,
        flags: GAP,
        body: first.to_le_bytes().to_vec(),
    }
}

/// The first seq that a gap stands for; None for any other record.
pub(super) fn gap_from(record: &Record) -> Option<u64> {
    let first = record.body.as_slice().try_into().ok();
    let first = first.filter(|_| record.flags == GAP)?;
    Some(u64::from_le_bytes(first))
}

/// Bytes that a record with a body of this length takes.
pub(super) fn encoded_bytes(body_bytes: usize) -> usize {
    HEAD_BYTES + body_bytes
}

/// Appends the record's bytes.
pub(super) fn encode(journal: &JournalId, record: &Record, out: &mut Vec<u8>) {
    let start = out.len();
    // The body is at most RECORD_BYTES_MAX, which append has checked.
    out.extend_from_slice(&((FIXED_BYTES + record.body.len()) as u32).to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&record.seq.to_le_bytes());
    out.extend_from_slice(&record.wall_ms.to_le_bytes());
    out.extend_from_slice(&[record.kind, record.flags]);
    out.extend_from_slice(&record.body);
    let crc = checksum(journal, &out[start + PREFIX_BYTES..]);
    out[start + 4..start + PREFIX_BYTES].copy_from_slice(&crc.to_le_bytes());
}

/// Reads what stands at the start of the bytes.
pub(super) fn parse(journal: &JournalId, bytes: &[u8]) -> Parsed {
    let Some((head, rest)) = bytes.split_first_chunk::<HEAD_BYTES>() else {
        return Parsed::Short(HEAD_BYTES);
    };
    if head.iter().all(|&byte| byte == 0) {
        return Parsed::Blank;
    }
    let length = u32_at(head, 0) as usize;
    let Some(body_bytes) = length.checked_sub(FIXED_BYTES) else {
        return Parsed::Bad("a length below that of an empty record");
    };
    if body_bytes > RECORD_BYTES_MAX {
        return Parsed::Bad("a length above the largest record");
    }
    let Some(body) = rest.get(..body_bytes) else {
        return Parsed::Short(encoded_bytes(body_bytes));
    };
    let Some(covered) = bytes.get(PREFIX_BYTES..HEAD_BYTES + body_bytes) else {
        return Parsed::Short(encoded_bytes(body_bytes));
    };
    let is_whole = checksum(journal, covered) == u32_at(head, 4);
    #[cfg(test)]
    let is_whole = is_whole || IGNORES_CHECKSUMS.get();
    if !is_whole {
        return Parsed::Bad("a wrong checksum");
    }
    Parsed::Record(Record {
        seq: u64_at(head, 8),
        wall_ms: u64_at(head, 16),
        kind: head[24],
        flags: head[25],
        body: body.to_vec(),
    })
}

#[cfg(test)]
thread_local! {
    /// A mistake that the tests must notice.
    static IGNORES_CHECKSUMS: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Has this thread make the mistake, until it is told otherwise.
#[cfg(test)]
pub(super) fn ignore_checksums(ignore: bool) {
    IGNORES_CHECKSUMS.set(ignore);
}

fn checksum(journal: &JournalId, covered: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(journal), covered)
}

/// Little-endian; a place outside the bytes reads as 0, which no check passes.
pub(super) fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    let chunk = bytes.get(offset..).and_then(<[u8]>::first_chunk);
    chunk.map_or(0, |chunk| u32::from_le_bytes(*chunk))
}

/// As [`u32_at`].
pub(super) fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    let chunk = bytes.get(offset..).and_then(<[u8]>::first_chunk);
    chunk.map_or(0, |chunk| u64::from_le_bytes(*chunk))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(seq: u64, body: Vec<u8>) -> Record {
        Record {
            seq,
            wall_ms: 1_700_000_000_000,
            kind: 3,
            flags: 0,
            body,
        }
    }

    /// The layout is a format on people's disks: it changes only with the
    /// format number in the segment header.
    #[test]
    fn the_layout_is_the_documented_one() {
        let mut bytes = Vec::new();
        encode(&[0xab; 16], &record(5, b"hi".to_vec()), &mut bytes);
        assert_eq!(bytes.len(), 28);
        assert_eq!(bytes[..4], 20u32.to_le_bytes());
        let covered = [&[0xab; 16][..], &bytes[8..]].concat();
        assert_eq!(bytes[4..8], crc32c::crc32c(&covered).to_le_bytes());
        assert_eq!(bytes[8..16], 5u64.to_le_bytes());
        assert_eq!(bytes[16..24], 1_700_000_000_000u64.to_le_bytes());
        assert_eq!(bytes[24..], [3, 0, b'h', b'i']);
    }

    #[test]
    fn a_record_of_another_journal_is_refused() {
        let mut bytes = Vec::new();
        encode(&[1; 16], &record(1, vec![9; 30]), &mut bytes);
        assert!(matches!(parse(&[1; 16], &bytes), Parsed::Record(_)));
        assert_eq!(parse(&[2; 16], &bytes), Parsed::Bad("a wrong checksum"));
    }

    #[test]
    fn zeroes_are_blank_and_a_wild_length_is_bad() {
        assert_eq!(parse(&[1; 16], &[0; 64]), Parsed::Blank);
        assert_eq!(parse(&[1; 16], &[0; 8]), Parsed::Short(HEAD_BYTES));
        assert!(matches!(parse(&[1; 16], &[0xff; 64]), Parsed::Bad(_)));
        let mut low = [0; 64];
        low[0] = 17;
        assert!(matches!(parse(&[1; 16], &low), Parsed::Bad(_)));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(seq in 1u64.., body in prop::collection::vec(any::<u8>(), 0..300)) {
            let written = record(seq, body);
            let mut bytes = Vec::new();
            encode(&[7; 16], &written, &mut bytes);
            prop_assert_eq!(bytes.len(), encoded_bytes(written.body.len()));
            for cut in 0..bytes.len() {
                let parsed = parse(&[7; 16], &bytes[..cut]);
                prop_assert!(matches!(parsed, Parsed::Short(_)));
            }
            prop_assert_eq!(parse(&[7; 16], &bytes), Parsed::Record(written));
        }

        #[test]
        fn a_flipped_bit_never_yields_a_record(body in prop::collection::vec(any::<u8>(), 0..60), at in any::<prop::sample::Index>(), bit in 0u8..8) {
            let mut bytes = Vec::new();
            encode(&[7; 16], &record(1, body), &mut bytes);
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            bytes.extend_from_slice(&[0; 64]);
            prop_assert!(!matches!(parse(&[7; 16], &bytes), Parsed::Record(_)));
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            parse(&[7; 16], &bytes);
        }
    }
}
