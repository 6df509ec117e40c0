//! How does the shipper read what was written?
//!
//! In order, from the segments of one journal, by the same rules as recovery:
//! a record above the bound of a later segment is void, a bad record ends its
//! segment. A reader of the live journal is told how far it may go
//! (`through`, taken from [`Journal::synced`](super::Journal::synced) before
//! the call), because what is not synced must never be shipped.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    super::Disk,
    known_id,
    record::{JournalId, Record},
    segment::{self, Cursor, Found, Head},
};

/// Reads one journal from its beginning, or from a place it was sent to.
pub struct JournalReader {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    journal: JournalId,
    current: Option<Current>,
    /// The last segment that was read to its end.
    passed: Option<u32>,
    /// The highest seq returned or skipped.
    last: u64,
}

struct Current {
    number: u32,
    cursor: Cursor,
    /// From the next segment, once there is one.
    bound: Option<u64>,
}

/// Why reading a segment stopped.
enum Stop {
    /// At the caller's limits.
    Enough,
    /// The segment has nothing more to give: at its end so far, at damage, or
    /// at records that are void.
    End,
}

impl JournalReader {
    /// A reader at the beginning of a journal.
    pub fn open(disk: Arc<dyn Disk>, folder: &Path, journal: &str) -> io::Result<Self> {
        Ok(Self {
            disk,
            folder: folder.to_owned(),
            journal: known_id(journal)?,
            current: None,
            passed: None,
            last: 0,
        })
    }

    /// The highest seq returned or passed over so far, or the one it was sent
    /// behind.
    pub fn position(&self) -> u64 {
        self.last
    }

    /// Goes to the first record above `seq`, in either direction.
    pub fn seek_after(&mut self, seq: u64) {
        self.current = None;
        self.passed = None;
        self.last = seq;
    }

    /// The next records with seqs up to `through`: at most `records_max`, and
    /// bodies of at most `bytes_max` together (a single larger one comes
    /// alone). Empty when there is nothing more up to there.
    pub fn read(
        &mut self,
        through: u64,
        records_max: usize,
        bytes_max: usize,
    ) -> io::Result<Vec<Record>> {
        let mut batch = Batch {
            through,
            records_max,
            bytes_max,
            records: Vec::new(),
            bytes: 0,
        };
        if let Some(current) = &mut self.current {
            current.cursor.forget();
        }
        // An error leaves the reader where it was: nothing is returned, so
        // nothing may be passed over.
        let before = (self.last, self.passed);
        if let Err(error) = self.fill(&mut batch) {
            self.current = None;
            (self.last, self.passed) = before;
            return Err(error);
        }
        Ok(batch.records)
    }

    fn fill(&mut self, batch: &mut Batch) -> io::Result<()> {
        while self.last < batch.through {
            if self.current.is_none() && !self.open_next()? {
                break;
            }
            let Some(current) = &mut self.current else {
                break;
            };
            if current.bound.is_none() {
                current.bound = segment::bound(
                    self.disk.as_ref(),
                    &self.folder,
                    &self.journal,
                    current.number,
                )?;
            }
            match current.read(&mut self.last, batch)? {
                Stop::Enough => break,
                Stop::End => {
                    let (number, bound) = (current.number, current.bound);
                    // Without a successor more may still be written here.
                    if bound.is_none() && !self.headless_follows(number)? {
                        break;
                    }
                    self.passed = Some(number);
                    self.current = None;
                }
            }
        }
        Ok(())
    }

    /// Whether a segment follows that lost its header and kept its records.
    fn headless_follows(&self, number: u32) -> io::Result<bool> {
        let disk = self.disk.as_ref();
        for number in segment::list_after(disk, &self.folder, &self.journal, Some(number))? {
            let (head, mut cursor) = segment::open(disk, &self.folder, &self.journal, number)?;
            if head == Head::Bad && cursor.peek()?.is_written() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Opens the next segment that was begun and has records above `last`.
    fn open_next(&mut self) -> io::Result<bool> {
        let disk = self.disk.as_ref();
        for number in segment::list_after(disk, &self.folder, &self.journal, self.passed)? {
            let (head, cursor) = match segment::open(disk, &self.folder, &self.journal, number) {
                // Retired since it was listed.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                opened => opened?,
            };
            if head == Head::Blank {
                continue;
            }
            let bound = segment::bound(disk, &self.folder, &self.journal, number)?;
            if bound.is_some_and(|bound| bound <= self.last) {
                self.passed = Some(number);
                continue;
            }
            self.current = Some(Current {
                number,
                cursor,
                bound,
            });
            return Ok(true);
        }
        Ok(false)
    }
}

/// What one call gathers, and its limits.
struct Batch {
    through: u64,
    records_max: usize,
    bytes_max: usize,
    records: Vec<Record>,
    bytes: usize,
}

impl Batch {
    fn takes(&self, record: &Record) -> bool {
        let bytes = self.bytes + record.body.len();
        self.records.len() < self.records_max
            && (self.records.is_empty() || bytes <= self.bytes_max)
    }
}

impl Current {
    fn read(&mut self, last: &mut u64, batch: &mut Batch) -> io::Result<Stop> {
        loop {
            let record = match self.cursor.peek()? {
                Found::Record(record) => record,
                // Nobody needs what stood here, whoever asks.
                Found::Gap { through, .. } => {
                    *last = through.max(*last);
                    self.cursor.take();
                    continue;
                }
                Found::Blank | Found::Bad(_) => return Ok(Stop::End),
            };
            if self.bound.is_some_and(|bound| record.seq > bound) {
                return Ok(Stop::End);
            }
            let skip = record.seq <= *last;
            if !skip && (record.seq > batch.through || !batch.takes(record)) {
                return Ok(Stop::Enough);
            }
            let Some(record) = self.cursor.take() else {
                return Ok(Stop::End);
            };
            if !skip {
                *last = record.seq;
                batch.bytes += record.body.len();
                batch.records.push(record);
            }
        }
    }
}
