//! What must hold of a journal, whatever stands in its segments?
//!
//! Targets of `crate::fuzzing`. A start never fails for what a segment holds;
//! what recovery counts is what the shipper reads; looking twice finds the
//! same; and a record that comes back is one that was written, with everything
//! before the first damage.

use std::{
    collections::BTreeMap,
    ops::Range,
    path::{Path, PathBuf},
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{
    Durability, Journal, JournalOptions, JournalReader, Owner, Record, Recovered, StepOutcome,
    record::{self, HEAD_BYTES, JournalId},
    segment::{self, DATA_START},
};
use crate::{
    clock::{Ambient, Entropy},
    disk::{
        Disk,
        memory::{MemoryDisk, Random},
    },
};

const FOLDER: &str = "/data/journal";
const SEGMENT_BYTES: u64 = 8192;
const HEADER_BYTES: usize = 64;
/// The flag of records that stand for settled ones.
const GAP: u8 = 1;
/// Where records begin.
const RECORDS: usize = DATA_START as usize;
/// The journal whose segments are given.
const GIVEN: JournalId = [0xc4; 16];

/// Journal ids that differ and can be repeated.
struct Counted(AtomicU64);

impl Entropy for Counted {
    fn fill(&self, buffer: &mut [u8]) {
        let mut random = Random(self.0.fetch_add(1, Ordering::Relaxed));
        buffer.fill_with(|| random.next() as u8);
    }
}

fn open(disk: &MemoryDisk, run: u64) -> (Journal, super::Committer, Vec<Recovered>) {
    let options = JournalOptions {
        folder: FOLDER.into(),
        segment_bytes: SEGMENT_BYTES,
        total_bytes_max: 1 << 20,
        owners: 1,
        owner_bytes_max: u64::MAX,
        durability: Durability::Disk,
    };
    let ambient = Ambient {
        entropy: Arc::new(Counted(AtomicU64::new(run))),
        ..Ambient::system()
    };
    let opened = Journal::open(Arc::new(disk.clone()), options, &ambient);
    opened.expect("no content of a segment makes a start fail")
}

fn read(disk: &MemoryDisk, journal: &str) -> Vec<Record> {
    let disk = Arc::new(disk.clone());
    let reader = JournalReader::open(disk, Path::new(FOLDER), journal);
    let mut reader = reader.expect("recovery names journals by their ids");
    let read = reader.read(u64::MAX, usize::MAX, usize::MAX);
    read.expect("the disk is sound")
}

/// What recovery counted is what is read.
fn check_counts(disk: &MemoryDisk, found: &Recovered) -> Vec<Record> {
    let records = read(disk, &found.journal);
    assert_eq!(found.records, records.len() as u64, "{found:?}");
    // Settled records that were given back count for the last seq alone.
    assert!(found.last >= records.last().map(|record| record.seq));
    let seqs = records.iter().map(|record| record.seq);
    assert!(seqs.is_sorted_by(|one, next| one < next), "{found:?}");
    records
}

/// Segments of one journal with any bytes. The first byte says whether they are
/// mended, since checksums would keep nearly every change out; then for each
/// segment come its number, the lengths of its head and of its records
/// (little-endian), and these.
pub(crate) fn segments(bytes: &[u8]) {
    let Some((mode, mut rest)) = bytes.split_first() else {
        return;
    };
    let mut files = BTreeMap::new();
    while let Some((sizes, after)) = rest.split_first_chunk::<5>() {
        let length = |at: usize| usize::from(u16::from_le_bytes([sizes[at], sizes[at + 1]]));
        let (head, after) = after.split_at(length(1).min(HEADER_BYTES).min(after.len()));
        let (records, after) = after.split_at(length(3).min(after.len()));
        rest = after;
        let mut file = vec![0; SEGMENT_BYTES as usize];
        file[..head.len()].copy_from_slice(head);
        let end = (RECORDS + records.len()).min(file.len());
        file[RECORDS..end].copy_from_slice(&records[..end - RECORDS]);
        files.insert(u32::from(sizes[0]), file);
    }
    let disk = MemoryDisk::new(1);
    let folder = Path::new(FOLDER);
    disk.create_dir_all(folder).expect("a folder");
    let mut last = 0;
    for (number, mut file) in files {
        if mode & 1 == 1 {
            mend(&mut file, &mut last);
        }
        let new = disk.create_new(&folder.join(segment::file_name(&GIVEN, number)));
        let new = new.expect("one number names one segment");
        new.write_all_at(&file, 0).expect("it has room");
    }
    let (_, _, first) = open(&disk, 1);
    let before: Vec<Vec<Record>> = first.iter().map(|one| check_counts(&disk, one)).collect();
    // A second start finds the same records, and not less.
    let (_, _, second) = open(&disk, 2);
    for (found, before) in first.iter().zip(&before) {
        let again = second.iter().find(|again| again.journal == found.journal);
        let again = again.map_or_else(Vec::new, |again| check_counts(&disk, again));
        assert_eq!(&again, before, "a start takes nothing away");
    }
}

/// Makes the checksums right, and the seqs what a journal can have: they grow,
/// and a header does not call void what stands behind it.
fn mend(file: &mut [u8], last: &mut u64) {
    let before = *last;
    let mut at = RECORDS;
    while at + HEAD_BYTES <= file.len() {
        let length = record::u32_at(file, at) as usize;
        let end = (at + 8).saturating_add(length);
        if length == 0 || end > file.len() {
            break;
        }
        let after = last.saturating_add(1);
        let seq = record::u64_at(file, at + 8).max(after);
        *last = seq;
        file[at + 8..at + 16].copy_from_slice(&seq.to_le_bytes());
        let is_gap = file[at + HEAD_BYTES - 1] == GAP && end == at + HEAD_BYTES + 8;
        if is_gap {
            // It stands for all since the record before it.
            let first = record::u64_at(file, at + HEAD_BYTES).clamp(after, seq);
            file[at + HEAD_BYTES..end].copy_from_slice(&first.to_le_bytes());
        }
        let covered = crc32c::crc32c_append(crc32c::crc32c(&GIVEN), &file[at + 8..end]);
        file[at + 4..at + 8].copy_from_slice(&covered.to_le_bytes());
        at = end;
    }
    if file[..HEADER_BYTES].iter().any(|&byte| byte != 0) {
        let first = match record::u32_at(file, RECORDS) {
            0 => before.saturating_add(1),
            _ if file[RECORDS + HEAD_BYTES - 1] == GAP => {
                record::u64_at(file, RECORDS + HEAD_BYTES)
            }
            _ => record::u64_at(file, RECORDS + 8),
        };
        let void_above = record::u64_at(file, 48).min(first.saturating_sub(1));
        // Also where no record of its own can be read.
        *last = (*last).max(first.saturating_sub(1));
        file[40..48].copy_from_slice(&first.to_le_bytes());
        file[48..56].copy_from_slice(&void_above.to_le_bytes());
        let crc = crc32c::crc32c(&file[..60]);
        file[60..64].copy_from_slice(&crc.to_le_bytes());
    }
}

/// A journal of several segments as it was written.
struct Written {
    disk: MemoryDisk,
    journal: String,
    segments: Vec<(PathBuf, Vec<Range<usize>>)>,
    records: Vec<Record>,
}

static WRITTEN: LazyLock<Written> = LazyLock::new(|| {
    let disk = MemoryDisk::new(1);
    let (journal, mut committer, _) = open(&disk, 1);
    for of in 1..=24_u64 {
        let body = vec![of as u8; 40 + (of as usize * 97) % 900];
        let ticket = journal.append(journal.era(), (Owner(0), 1), 1000 + of, body);
        ticket.expect("it has room");
        while committer.step().outcome == StepOutcome::Committed {}
    }
    let id = segment::parse_id(journal.id()).expect("an id");
    let numbers = segment::list_after(&disk, Path::new(FOLDER), &id, None).expect("a folder");
    let paths = numbers.into_iter().map(|number| {
        let path = Path::new(FOLDER).join(segment::file_name(&id, number));
        let file = disk.contents(&path).expect("it is there");
        (path, places(&file))
    });
    // A segment that was made ahead holds nothing that could be damaged.
    let segments: Vec<_> = paths.filter(|(_, places)| !places.is_empty()).collect();
    assert!(segments.len() >= 3, "several segments are written");
    Written {
        records: read(&disk, journal.id()),
        journal: journal.id().to_owned(),
        segments,
        disk,
    }
});

/// Where records stand in a sound segment.
fn places(file: &[u8]) -> Vec<Range<usize>> {
    let mut places = Vec::new();
    let mut at = RECORDS;
    while record::u32_at(file, at) != 0 {
        let end = at + 8 + record::u32_at(file, at) as usize;
        places.push(at..end);
        at = end;
    }
    places
}

/// Damage to a sound journal, four bytes each: segment, place (little-endian),
/// and what is changed there.
pub(crate) fn damage(edits: &[u8]) {
    let written = &*WRITTEN;
    let disk = written.disk.copied(1);
    let mut sound = written.records.len();
    for edit in edits.as_chunks::<4>().0.iter().take(64) {
        let number = usize::from(edit[0]) % written.segments.len();
        let (path, places) = &written.segments[number];
        let at = usize::from(u16::from_le_bytes([edit[1], edit[2]])) % SEGMENT_BYTES as usize;
        let before: usize = written.segments[..number]
            .iter()
            .map(|(_, own)| own.len())
            .sum();
        // A record behind the damage of its own segment may be gone; a header
        // says only what stands elsewhere as well.
        let whole = places.iter().filter(|place| place.end <= at).count();
        if at >= RECORDS {
            sound = sound.min(before + whole);
        }
        for bit in 0..8 {
            if edit[3] & 1 << bit != 0 {
                disk.flip_bit(path, at, bit);
            }
        }
    }
    let (_, _, found) = open(&disk, 2);
    let found = found.iter().find(|found| found.journal == written.journal);
    let records = found.map_or_else(Vec::new, |found| check_counts(&disk, found));
    let mut known = written.records.iter();
    for record in &records {
        let is_known = known.any(|known| known == record);
        assert!(is_known, "seq {} was not written like this", record.seq);
    }
    let start = written.records.get(..sound);
    assert_eq!(
        records.get(..sound),
        start,
        "what lies before the damage is there"
    );
}
