//! How is one record found that was written long ago?
//!
//! By its seq: from the place the index knows before it, or from the beginning
//! of its segment. What is asked for in order is read in one go. Only durable
//! records that are not settled are asked for, so they are there; one that is
//! not is an error and never another record.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    super::Disk,
    index::Index,
    known_id,
    record::{JournalId, Record},
    segment::{self, Cursor, Found, Head},
};
use crate::snapshot::hex;

/// Finds records of one journal.
pub struct Lookup {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    journal: JournalId,
    index: Arc<Index>,
    current: Option<(u32, Cursor)>,
    /// The seq that was found last in `current`.
    last: u64,
}

impl Lookup {
    pub(super) fn open(
        disk: Arc<dyn Disk>,
        folder: &Path,
        journal: &str,
        index: Arc<Index>,
    ) -> io::Result<Self> {
        Ok(Self {
            disk,
            folder: folder.to_owned(),
            journal: known_id(journal)?,
            index,
            current: None,
            last: 0,
        })
    }

    /// The record with this seq.
    pub fn record(&mut self, seq: u64) -> io::Result<Record> {
        let found = self.search(seq);
        if !matches!(found, Ok(Some(_))) {
            self.current = None;
        }
        found?.ok_or_else(|| {
            let text = format!(
                "record {seq} of journal {} is not there",
                hex(&self.journal)
            );
            io::Error::new(io::ErrorKind::NotFound, text)
        })
    }

    fn search(&mut self, seq: u64) -> io::Result<Option<Record>> {
        let hint = self.index.find(self.journal, seq);
        let goes_on = match (&self.current, hint) {
            (Some((number, _)), Some((from, spot))) => {
                *number == spot.number && self.last < seq && from <= self.last + 1
            }
            (Some(_), None) => self.last < seq,
            (None, _) => false,
        };
        if goes_on && let Some(record) = self.walk(seq)? {
            return Ok(Some(record));
        }
        if let Some((from, spot)) = hint {
            self.open_at(spot.number, Some((from, spot.offset)))?;
            if let Some(record) = self.walk(seq)? {
                return Ok(Some(record));
            }
        }
        self.search_everywhere(seq)
    }

    /// Without the index, or where it led astray.
    fn search_everywhere(&mut self, seq: u64) -> io::Result<Option<Record>> {
        let disk = self.disk.as_ref();
        for number in segment::list_after(disk, &self.folder, &self.journal, None)? {
            let bound = segment::bound(self.disk.as_ref(), &self.folder, &self.journal, number)?;
            if bound.is_some_and(|bound| bound < seq) {
                continue;
            }
            self.open_at(number, None)?;
            if let Some(record) = self.walk(seq)? {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }

    fn open_at(&mut self, number: u32, spot: Option<(u64, u64)>) -> io::Result<()> {
        let disk = self.disk.as_ref();
        let (head, mut cursor) = segment::open(disk, &self.folder, &self.journal, number)?;
        if let Some((seq, offset)) = spot {
            cursor.go_to(offset, seq);
        }
        self.last = 0;
        self.current = (head != Head::Blank).then_some((number, cursor));
        Ok(())
    }

    /// Goes on to this record in the segment that is open.
    fn walk(&mut self, seq: u64) -> io::Result<Option<Record>> {
        let Some((_, cursor)) = &mut self.current else {
            return Ok(None);
        };
        // It may have been written since.
        cursor.forget();
        loop {
            match cursor.peek()? {
                Found::Record(record) if record.seq <= seq => {}
                Found::Gap { through, .. } if through < seq => {}
                Found::Record(_) | Found::Gap { .. } | Found::Blank | Found::Bad(_) => {
                    return Ok(None);
                }
            }
            let Some(record) = cursor.take() else {
                return Ok(None);
            };
            self.last = record.seq;
            if record.seq == seq {
                return Ok(Some(record));
            }
        }
    }
}
