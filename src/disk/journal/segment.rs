//! What is a segment file, and what does its header promise?
//!
//! `<journal id>-<number>.seg`: zero-filled when made, so that a commit writes
//! no metadata; then a header in a page of its own, synced before the first
//! record; then records with consecutive seqs, where gap records stand for those
//! that were given back. The header's `durable_before` is the highest seq of the
//! journal that had been synced when the segment was begun: whatever stands above
//! it in earlier segments belongs to a commit that failed and is void. So it
//! tells a broken end that is harmless from one that lost something.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use super::{
    super::{Disk, DiskFile, read_full},
    record::{HEAD_BYTES, JournalId, Parsed, Record, gap_from, parse, u32_at, u64_at},
};
use crate::{limits::RECORD_BYTES_MAX, snapshot::hex};

/// Where records begin: a page, the unit in which file systems write.
pub(super) const DATA_START: u64 = 4096;

const MAGIC: &[u8; 8] = b"FLOWGJNL";
const FORMAT: u32 = 1;
/// Of a segment with gap records, which earlier releases cannot read.
const FORMAT_THINNED: u32 = 2;
const HEADER_BYTES: usize = 64;
/// Zeroes are written in pieces of this size: large enough to be quick, small
/// enough not to hold a device's queue against a commit that runs meanwhile.
const FILL_BYTES: usize = 256 * 1024;
/// What a cursor reads at once.
const CHUNK_BYTES: usize = 128 * 1024;

/// What a segment says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// The journal.
    pub(super) journal: JournalId,
    /// As in the file's name.
    pub(super) number: u32,
    /// The journal's place among those of this folder: later runs are higher.
    pub(super) ordinal: u64,
    /// The seq of its first record.
    pub(super) first_seq: u64,
    /// Records of earlier segments above this seq are void.
    pub(super) durable_before: u64,
}

/// What stands where a header is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Head {
    /// The segment was prepared and never begun.
    Blank,
    /// A header that passed its checks.
    Valid(Header),
    /// Something else.
    Bad,
}

impl Header {
    /// The header's bytes.
    pub(super) fn encode(&self) -> [u8; HEADER_BYTES] {
        self.encode_as(FORMAT)
    }

    /// The header's bytes once the segment has gap records.
    pub(super) fn encode_thinned(&self) -> [u8; HEADER_BYTES] {
        self.encode_as(FORMAT_THINNED)
    }

    fn encode_as(&self, format: u32) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&format.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.number.to_le_bytes());
        bytes[16..32].copy_from_slice(&self.journal);
        bytes[32..40].copy_from_slice(&self.ordinal.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.first_seq.to_le_bytes());
        bytes[48..56].copy_from_slice(&self.durable_before.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[..60]);
        bytes[60..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    fn parse(journal: &JournalId, number: u32, bytes: &[u8]) -> Head {
        if bytes.iter().all(|&byte| byte == 0) {
            return Head::Blank;
        }
        let header = Self {
            journal: *journal,
            number: u32_at(bytes, 12),
            ordinal: u64_at(bytes, 32),
            first_seq: u64_at(bytes, 40),
            durable_before: u64_at(bytes, 48),
        };
        // Comparing the whole encoding checks magic, format, id and checksum.
        let is_whole = header.encode() == *bytes || header.encode_thinned() == *bytes;
        if header.number == number && is_whole {
            Head::Valid(header)
        } else {
            Head::Bad
        }
    }
}

/// A segment that was made ahead and not begun.
pub(super) struct Blank {
    pub(super) number: u32,
    pub(super) file: Box<dyn DiskFile>,
    pub(super) length: u64,
}

/// What making a segment needs to know.
#[derive(Clone)]
pub(super) struct Mould {
    pub(super) folder: PathBuf,
    pub(super) journal: JournalId,
    pub(super) length: u64,
    /// False only where a test proves that leaving the sync out is noticed.
    pub(super) sync_folder: bool,
}

impl Mould {
    /// Makes a zero-filled segment, durable with its name. Leaves nothing
    /// behind when it fails, so that a full disk does not get fuller.
    pub(super) fn make(&self, disk: &dyn Disk, number: u32) -> io::Result<Blank> {
        let path = self.folder.join(file_name(&self.journal, number));
        let file = disk.create_new(&path)?;
        match self.fill(disk, file.as_ref()) {
            Ok(()) => Ok(Blank {
                number,
                file,
                length: self.length,
            }),
            Err(error) => {
                // The first error is the one to report; a blank segment that
                // stays is removed when the folder is recovered.
                disk.remove(&path).ok();
                Err(error)
            }
        }
    }

    fn fill(&self, disk: &dyn Disk, file: &dyn DiskFile) -> io::Result<()> {
        let zeroes = vec![0; FILL_BYTES];
        let mut offset = 0;
        while offset < self.length {
            let piece = (self.length - offset).min(FILL_BYTES as u64);
            file.write_all_at(&zeroes[..piece as usize], offset)?;
            offset += piece;
        }
        file.sync_all()?;
        if self.sync_folder {
            disk.sync_dir(&self.folder)?;
        }
        Ok(())
    }
}

/// The name of a segment's file.
pub(super) fn file_name(journal: &JournalId, number: u32) -> String {
    format!("{}-{number:08}.seg", hex(journal))
}

/// The id in bytes, from the 32 digits of its text.
pub(super) fn parse_id(text: &str) -> Option<JournalId> {
    if text.len() != 32 || !text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    u128::from_str_radix(text, 16).ok().map(u128::to_be_bytes)
}

/// The journal and the number in a segment's name.
pub(super) fn parse_name(name: &str) -> Option<(JournalId, u32)> {
    let (id, number) = name.strip_suffix(".seg")?.split_once('-')?;
    if number.len() != 8 || !number.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some((parse_id(id)?, number.parse().ok()?))
}

/// The segments of every journal in the folder, by number. Other files are
/// not ours to judge.
pub(super) fn list(disk: &dyn Disk, folder: &Path) -> io::Result<BTreeMap<JournalId, Vec<u32>>> {
    let mut journals: BTreeMap<JournalId, Vec<u32>> = BTreeMap::new();
    for name in disk.list(folder)? {
        if let Some((journal, number)) = parse_name(&name) {
            journals.entry(journal).or_default().push(number);
        }
    }
    Ok(journals)
}

/// The numbers of one journal's segments above `after`, ascending.
pub(super) fn list_after(
    disk: &dyn Disk,
    folder: &Path,
    journal: &JournalId,
    after: Option<u32>,
) -> io::Result<Vec<u32>> {
    let mut numbers = list(disk, folder)?.remove(journal).unwrap_or_default();
    numbers.retain(|&number| after.is_none_or(|after| number > after));
    Ok(numbers)
}

/// Opens a segment and reads its header. A file without header but with a
/// record is damaged, not blank.
pub(super) fn open(
    disk: &dyn Disk,
    folder: &Path,
    journal: &JournalId,
    number: u32,
) -> io::Result<(Head, Cursor)> {
    let file = disk.open(&folder.join(file_name(journal, number)))?;
    let mut bytes = [0; HEADER_BYTES];
    // A file shorter than a header was cut while it was made: the rest of the
    // buffer stays zero, and so it is blank.
    read_full(file.as_ref(), &mut bytes, 0)?;
    let head = Header::parse(journal, number, &bytes);
    let expected = match head {
        Head::Valid(header) => Some(header.first_seq),
        Head::Blank | Head::Bad => None,
    };
    let mut cursor = Cursor {
        file,
        journal: *journal,
        offset: DATA_START,
        expected,
        buffer: Vec::new(),
        start: 0,
        ready: None,
    };
    if head == Head::Blank {
        // Looked at often, by a reader that waits for the next segment: a few
        // bytes tell a prepared segment from one that lost its header.
        let mut first = [0; HEAD_BYTES];
        read_full(cursor.file.as_ref(), &mut first, DATA_START)?;
        if first != [0; HEAD_BYTES] && cursor.peek()?.is_written() {
            return Ok((Head::Bad, cursor));
        }
    }
    Ok((head, cursor))
}

/// The seq above which records of segment `after` are void: what the next
/// segment with a valid header says, if there is one.
pub(super) fn bound(
    disk: &dyn Disk,
    folder: &Path,
    journal: &JournalId,
    after: u32,
) -> io::Result<Option<u64>> {
    for number in list_after(disk, folder, journal, Some(after))? {
        if let (Head::Valid(header), _) = open(disk, folder, journal, number)? {
            return Ok(Some(header.durable_before));
        }
    }
    Ok(None)
}

/// Reads the records of one segment in order.
pub(super) struct Cursor {
    file: Box<dyn DiskFile>,
    journal: JournalId,
    /// Of the next record.
    offset: u64,
    /// The seq the next record must have; unknown at first without header.
    expected: Option<u64>,
    /// Bytes of the file; those from `start` on stand at `offset`.
    buffer: Vec<u8>,
    start: usize,
    ready: Option<Record>,
}

/// What stands at the cursor.
#[derive(Debug)]
pub(super) enum Found<'a> {
    Record(&'a Record),
    /// Records from the one seq through the other were settled and given back.
    Gap {
        first: u64,
        through: u64,
    },
    /// Never written: the end so far.
    Blank,
    /// Not a record; nothing can be said about what follows.
    Bad(&'static str),
}

impl Found<'_> {
    /// Whether a commit or a thinning wrote it.
    pub(super) fn is_written(&self) -> bool {
        matches!(self, Self::Record(_) | Self::Gap { .. })
    }
}

impl Cursor {
    /// Where the cursor stands in the file.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Goes to a place where a record is known to stand.
    pub(super) fn go_to(&mut self, offset: u64, seq: u64) {
        self.forget();
        self.offset = offset;
        self.expected = Some(seq);
    }

    /// Drops what was read ahead: in a segment that is still written it may
    /// have been read before its records were complete.
    pub(super) fn forget(&mut self) {
        self.buffer.clear();
        self.start = 0;
        self.ready = None;
    }

    /// Looks at what stands here.
    pub(super) fn peek(&mut self) -> io::Result<Found<'_>> {
        if self.ready.is_none() {
            match self.parse()? {
                Parsed::Record(record) if self.is_next(&record) => {
                    self.ready = Some(record);
                }
                Parsed::Record(_) => return Ok(Found::Bad("a seq out of order")),
                Parsed::Blank => return Ok(Found::Blank),
                Parsed::Bad(reason) => return Ok(Found::Bad(reason)),
                Parsed::Short(_) => return Ok(Found::Bad("a record cut short")),
            }
        }
        let Some(record) = &self.ready else {
            return Ok(Found::Blank);
        };
        Ok(match gap_from(record) {
            Some(first) => Found::Gap {
                first,
                through: record.seq,
            },
            None => Found::Record(record),
        })
    }

    fn is_next(&self, record: &Record) -> bool {
        let first = gap_from(record).unwrap_or(record.seq);
        first <= record.seq && self.expected.is_none_or(|seq| seq == first)
    }

    /// Takes what was looked at, a record or a gap, and goes on behind it.
    pub(super) fn take(&mut self) -> Option<Record> {
        let record = self.ready.take()?;
        let bytes = HEAD_BYTES + record.body.len();
        self.start += bytes;
        self.offset += bytes as u64;
        self.expected = record.seq.checked_add(1);
        Some(record)
    }

    /// Parses at the cursor, reading on until there is enough to tell.
    fn parse(&mut self) -> io::Result<Parsed> {
        loop {
            let ahead = self.buffer.get(self.start..).unwrap_or_default();
            let needed = match parse(&self.journal, ahead) {
                Parsed::Short(needed) => needed,
                parsed => return Ok(parsed),
            };
            // What was passed goes once per chunk, not once per record.
            self.buffer.drain(..self.start.min(self.buffer.len()));
            self.start = 0;
            let held = self.buffer.len();
            self.buffer.resize(needed.max(CHUNK_BYTES), 0);
            let end = self.offset + held as u64;
            let count = read_full(self.file.as_ref(), &mut self.buffer[held..], end)?;
            self.buffer.truncate(held + count);
            if self.buffer.len() >= needed {
                continue;
            }
            // The end of the file. Less than a record's head is still blank
            // when it is zero, as it is at the end of every full segment.
            let blank = self.buffer.len() < HEAD_BYTES && self.buffer.iter().all(|&b| b == 0);
            return Ok(if blank {
                Parsed::Blank
            } else {
                Parsed::Short(needed)
            });
        }
    }
}

// A cursor's buffer holds one record of any size.
const _: () = assert!(HEAD_BYTES + RECORD_BYTES_MAX < u32::MAX as usize);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_others_left_alone() {
        let name = file_name(&[0xc4; 16], 12);
        assert_eq!(name, format!("{}-00000012.seg", "c4".repeat(16)));
        assert_eq!(parse_name(&name), Some(([0xc4; 16], 12)));
        let id = "c4".repeat(16);
        for other in [
            "lock".to_owned(),
            format!("{id}-12.seg"),
            format!("{id}-+0000012.seg"),
            format!("{}-00000012.seg", id.to_uppercase()),
            format!("{name}.tmp"),
        ] {
            assert_eq!(parse_name(&other), None, "{other}");
        }
    }

    #[test]
    fn every_flipped_bit_of_a_header_is_noticed() {
        let header = Header {
            journal: [5; 16],
            number: 3,
            ordinal: 2,
            first_seq: 70,
            durable_before: 66,
        };
        let bytes = header.encode();
        assert_eq!(Header::parse(&[5; 16], 3, &bytes), Head::Valid(header));
        assert_eq!(Header::parse(&[5; 16], 4, &bytes), Head::Bad);
        assert_eq!(Header::parse(&[6; 16], 3, &bytes), Head::Bad);
        assert_eq!(Header::parse(&[5; 16], 3, &[0; 64]), Head::Blank);
        for at in 0..bytes.len() * 8 {
            let mut flipped = bytes;
            flipped[at / 8] ^= 1 << (at % 8);
            assert_eq!(Header::parse(&[5; 16], 3, &flipped), Head::Bad, "bit {at}");
        }
    }
}
