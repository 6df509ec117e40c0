//! What did earlier runs leave behind?
//!
//! At boot every journal found is read once from end to end. The first bad
//! record of a journal's last segment is a torn tail: a commit that was under
//! way, never acknowledged. Anywhere else something durable is gone: a copy of
//! the segment goes to `quarantine/`, it is counted, and reading resumes with
//! the next segment. Nothing that holds a record is removed here, and no
//! content of a segment makes a start fail.

use std::{io, path::Path};

use super::{
    super::Disk,
    index::{Index, Noting, Spot},
    quarantine::{QUARANTINE, Quarantine},
    record::JournalId,
    segment::{self, Cursor, Found, Head, Header},
};
use crate::snapshot::hex;

/// A journal of an earlier run. Its records are read with a
/// [`JournalReader`](super::JournalReader).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// Journal id.
    pub journal: String,
    /// The first seq that is there (0 without records).
    pub first: u64,
    /// The last seq that is there, or was and is settled.
    pub last: Option<u64>,
    /// How many records are there.
    pub records: u64,
    /// The last segment ends in a commit that was not completed.
    pub torn_tail: bool,
    /// Segments in which something durable is damaged.
    pub quarantined: u32,
    /// What was found, for the log: one sentence each.
    pub problems: Vec<String>,
}

/// All that recovery found.
pub(super) struct Recovery {
    /// Oldest first.
    pub(super) journals: Vec<Recovered>,
    /// Above that of every journal found.
    pub(super) next_ordinal: u64,
    /// Bytes of all segments that stay.
    pub(super) bytes: u64,
}

/// Reads what is there. Fails only when the folder cannot be listed.
pub(super) fn recover(
    disk: &dyn Disk,
    folder: &Path,
    index: &Index,
    quarantine: &Quarantine,
) -> io::Result<Recovery> {
    let mut journals = Vec::new();
    let mut bytes = 0;
    let mut highest = 0;
    for (journal, numbers) in segment::list(disk, folder)? {
        let mut walk = Walk::new(disk, folder, (index, quarantine), journal);
        walk.open(&numbers);
        bytes += walk.bytes;
        if !walk.segments.is_empty() || walk.found.quarantined > 0 {
            walk.read();
            highest = highest.max(walk.ordinal);
            journals.push((walk.ordinal, walk.found));
        }
    }
    journals.sort_by_key(|(ordinal, _)| *ordinal);
    Ok(Recovery {
        journals: journals.into_iter().map(|(_, found)| found).collect(),
        next_ordinal: highest.saturating_add(1),
        bytes,
    })
}

/// Reading one journal.
struct Walk<'a> {
    disk: &'a dyn Disk,
    folder: &'a Path,
    index: &'a Index,
    copies: &'a Quarantine,
    journal: JournalId,
    ordinal: u64,
    bytes: u64,
    segments: Vec<(u32, Option<Header>, Cursor)>,
    found: Recovered,
}

/// How a segment ended.
enum End {
    /// At a record that a later segment calls void.
    Void,
    /// In space that was never written.
    Blank,
    /// At something that is not a record.
    Bad(String),
    /// The device did not give what stands there.
    Unreadable(String),
}

impl<'a> Walk<'a> {
    fn new(
        disk: &'a dyn Disk,
        folder: &'a Path,
        (index, copies): (&'a Index, &'a Quarantine),
        journal: JournalId,
    ) -> Self {
        Self {
            disk,
            folder,
            index,
            copies,
            journal,
            ordinal: 0,
            bytes: 0,
            segments: Vec::new(),
            found: Recovered {
                journal: hex(&journal),
                first: 0,
                last: None,
                records: 0,
                torn_tail: false,
                quarantined: 0,
                problems: Vec::new(),
            },
        }
    }

    /// Opens all segments, reads their headers, and removes those that were
    /// made ahead and never begun.
    fn open(&mut self, numbers: &[u32]) {
        for &number in numbers {
            let path = self.folder.join(segment::file_name(&self.journal, number));
            let length = self.disk.open(&path).and_then(|file| file.length());
            match segment::open(self.disk, self.folder, &self.journal, number) {
                Ok((Head::Blank, _)) => {
                    // One that cannot be removed costs space and nothing else.
                    if self.disk.remove(&path).is_ok() {
                        continue;
                    }
                }
                Ok((Head::Valid(header), cursor)) => {
                    self.ordinal = self.ordinal.max(header.ordinal);
                    self.segments.push((number, Some(header), cursor));
                }
                Ok((Head::Bad, cursor)) => self.segments.push((number, None, cursor)),
                Err(error) => self.quarantine(number, &format!("cannot be read: {error}")),
            }
            self.bytes += length.unwrap_or(0);
        }
    }

    fn read(&mut self) {
        let segments = std::mem::take(&mut self.segments);
        // For each segment what the next valid header says.
        let mut bounds = vec![None; segments.len()];
        for index in (1..segments.len()).rev() {
            bounds[index - 1] = match &segments[index].1 {
                Some(header) => Some(header.durable_before),
                None => bounds[index],
            };
        }
        // The highest seq read; segments before the first one were retired.
        let mut last = None;
        for ((number, header, mut cursor), bound) in segments.into_iter().zip(bounds) {
            if last.is_none() {
                last = begin(header, &mut cursor);
            }
            let Some(last) = &mut last else {
                continue;
            };
            let records = self.found.records;
            let end = self.read_segment((number, &mut cursor), bound, last);
            if let Some(damage) = self.judge(number, end, bound, *last) {
                self.quarantine(number, &damage);
            } else if header.is_none() && self.found.records > records {
                // Without records it is a header whose write failed: the
                // segment was given up before anything stood in it.
                self.quarantine(number, "it has records and no valid header");
            }
        }
    }

    /// Counts the records up to the bound.
    fn read_segment(
        &mut self,
        (number, cursor): (u32, &mut Cursor),
        bound: Option<u64>,
        last: &mut u64,
    ) -> End {
        let mut noting = Noting::default();
        loop {
            let offset = cursor.offset();
            let (seq, is_record) = match cursor.peek() {
                Ok(Found::Record(record)) => (record.seq, true),
                Ok(Found::Gap { through, .. }) => (through, false),
                Ok(Found::Blank) => return End::Blank,
                Ok(Found::Bad(reason)) => {
                    return End::Bad(format!("{reason} at byte {}", cursor.offset()));
                }
                Err(error) => {
                    let offset = cursor.offset();
                    return End::Unreadable(format!("byte {offset} cannot be read: {error}"));
                }
            };
            if bound.is_some_and(|bound| seq > bound) {
                return End::Void;
            }
            cursor.take();
            if is_record {
                let spot = Spot { number, offset };
                noting.record(self.index, self.journal, seq, spot);
            }
            // A segment without header may stand for one that was read before.
            if seq > *last {
                *last = seq;
                self.found.last = Some(seq);
                if is_record && self.found.records == 0 {
                    self.found.first = seq;
                }
                self.found.records += u64::from(is_record);
            }
        }
    }

    /// Says what is damaged, if the end of a segment means that something is.
    fn judge(&mut self, number: u32, end: End, bound: Option<u64>, last: u64) -> Option<String> {
        let Some(bound) = bound else {
            // Nothing says where the last segment ends.
            return match end {
                End::Blank | End::Void => None,
                End::Unreadable(reason) => Some(reason),
                End::Bad(reason) => {
                    self.found.torn_tail = true;
                    let name = segment::file_name(&self.journal, number);
                    let problem = format!("segment {name} ends in a torn tail: {reason}");
                    self.found.problems.push(problem);
                    None
                }
            };
        };
        if last >= bound {
            return None;
        }
        let found = match end {
            End::Bad(reason) | End::Unreadable(reason) => reason,
            End::Blank => "no further record".to_owned(),
            End::Void => "a record of a failed commit".to_owned(),
        };
        Some(format!(
            "{found} found behind seq {last}, seqs through {bound} expected"
        ))
    }

    /// Counts a damaged segment and keeps a copy of it for whoever looks into
    /// the damage, since the segment itself goes when its journal is finished.
    fn quarantine(&mut self, number: u32, what: &str) {
        let name = segment::file_name(&self.journal, number);
        self.found.quarantined += 1;
        self.found
            .problems
            .push(format!("segment {name} is damaged: {what}"));
        if let Err(error) = self.copies.copy(&name) {
            self.found.problems.push(format!(
                "segment {name} cannot be copied to {QUARANTINE}: {error}"
            ));
        }
    }
}

/// The seq behind which a journal's first segment begins. None: it was given
/// up before anything stood in it.
fn begin(header: Option<Header>, cursor: &mut Cursor) -> Option<u64> {
    if let Some(header) = header {
        return Some(header.durable_before);
    }
    match cursor.peek() {
        Ok(Found::Record(record)) => Some(record.seq.saturating_sub(1)),
        Ok(Found::Gap { first, .. }) => Some(first.saturating_sub(1)),
        Ok(Found::Blank | Found::Bad(_)) => None,
        // Reading it again says what is wrong.
        Err(_) => Some(0),
    }
}

/// Removes the segments whose every record is at or below `through`; returns
/// the bytes they took. A segment's last seq is known from its successor's
/// header, so the segment that is being written is never removed.
pub(super) fn retire(
    disk: &dyn Disk,
    folder: &Path,
    (journal, index): (&JournalId, &Index),
    through: u64,
) -> io::Result<u64> {
    let mut freed = 0;
    for number in segment::list_after(disk, folder, journal, None)? {
        match segment::bound(disk, folder, journal, number)? {
            Some(last) if last <= through => {
                freed += remove(disk, folder, (journal, index), number)?;
            }
            _ => break,
        }
    }
    Ok(freed)
}

/// Removes all segments of a journal; returns the bytes they took.
pub(super) fn remove_all(
    disk: &dyn Disk,
    folder: &Path,
    (journal, index): (&JournalId, &Index),
) -> io::Result<u64> {
    let mut freed = 0;
    for number in segment::list_after(disk, folder, journal, None)? {
        freed += remove(disk, folder, (journal, index), number)?;
    }
    Ok(freed)
}

/// Removes one segment. Each removal is synced before the next, so that a
/// crash never leaves a hole in a journal.
fn remove(
    disk: &dyn Disk,
    folder: &Path,
    (journal, index): (&JournalId, &Index),
    number: u32,
) -> io::Result<u64> {
    let path = folder.join(segment::file_name(journal, number));
    let length = disk.open(&path)?.length()?;
    disk.remove(&path)?;
    index.forget(*journal, number);
    disk.sync_dir(folder)?;
    Ok(length)
}
