//! How is room given back that is held by a few records?
//!
//! One environment whose ledger is away would keep whole segments with the
//! settled records of all others. Thinning writes such a segment anew: what is
//! still needed byte for byte, and between that gap records which name the seqs
//! they stand for. Nothing moves and no seq changes, so readers, tokens and the
//! damage checks of recovery go on as before. The new file takes the old one's
//! name only when it is synced; whoever has the old one open reads on in it.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{
    super::{Disk, DiskFile},
    index::{Index, Noting, Spot},
    record::{JournalId, Record, encode, gap},
    segment::{self, Cursor, DATA_START, Found, Head, Header},
};

/// What is written at once.
const CHUNK_BYTES: usize = 256 * 1024;

/// Says whether a record is still needed.
pub(super) type Keep<'a> = &'a dyn Fn(&Record) -> bool;

/// What one segment came to.
enum Thinned {
    /// It has so many bytes less.
    Freed(u64),
    /// Nothing in it can go.
    Needed,
    /// It is being written, or damaged.
    Untouchable,
}

/// Thins one journal's segments, oldest first; returns the bytes that were
/// given back. Stops at the first that cannot be thinned: of what is settled,
/// earlier records go before later ones, as they do when segments are removed.
pub(super) fn thin(
    disk: &dyn Disk,
    folder: &Path,
    (journal, index): (&JournalId, &Index),
    keep: Keep<'_>,
) -> io::Result<u64> {
    let mut freed = 0;
    for number in segment::list_after(disk, folder, journal, None)? {
        let room = Room {
            disk,
            folder,
            journal,
            index,
            number,
        };
        match room.thin(keep)? {
            Thinned::Freed(bytes) => freed += bytes,
            Thinned::Needed => {}
            Thinned::Untouchable => break,
        }
    }
    Ok(freed)
}

/// Removes what a crash left half-written.
pub(super) fn tidy(disk: &dyn Disk, folder: &Path) -> io::Result<()> {
    for name in disk.list(folder)? {
        let whose = name.strip_suffix(PARTIAL).and_then(segment::parse_name);
        if whose.is_some() {
            disk.remove(&folder.join(name))?;
        }
    }
    Ok(())
}

/// Behind the name of the segment that is written anew.
const PARTIAL: &str = ".tmp";

/// One segment and where it stands.
struct Room<'a> {
    disk: &'a dyn Disk,
    folder: &'a Path,
    journal: &'a JournalId,
    index: &'a Index,
    number: u32,
}

impl Room<'_> {
    fn thin(&self, keep: Keep<'_>) -> io::Result<Thinned> {
        let Some(bound) = segment::bound(self.disk, self.folder, self.journal, self.number)? else {
            return Ok(Thinned::Untouchable);
        };
        // Once to see whether it is worth it and whole, once to write.
        let mut settled = 0_u64;
        let (header, whole) = self.walk(bound, &mut |piece| {
            settled += u64::from(matches!(piece, Piece::Record(record) if !keep(record)));
            Ok(())
        })?;
        let Some(header) = header.filter(|_| whole) else {
            return Ok(Thinned::Untouchable);
        };
        if settled == 0 {
            return Ok(Thinned::Needed);
        }
        let path = self.path("");
        let before = self.disk.open(&path)?.length()?;
        let partial = self.path(PARTIAL);
        let written = self.write(&partial, header, bound, keep);
        let (after, spots) = written.inspect_err(|_| {
            // The first error is the one to report; a start removes the rest.
            self.disk.remove(&partial).ok();
        })?;
        self.disk.rename(&partial, &path)?;
        self.disk.sync_dir(self.folder)?;
        // Whoever asks in between is led astray, notices, and searches.
        self.index.replace(*self.journal, self.number, spots);
        Ok(Thinned::Freed(before.saturating_sub(after)))
    }

    /// Writes what is kept, synced; returns its length and where records stand.
    fn write(
        &self,
        partial: &Path,
        header: Header,
        bound: u64,
        keep: Keep<'_>,
    ) -> io::Result<(u64, Vec<(u64, Spot)>)> {
        if self.disk.exists(partial)? {
            self.disk.remove(partial)?;
        }
        let file = self.disk.create_new(partial)?;
        file.write_all_at(&header.encode_thinned(), 0)?;
        let mut copy = Copy {
            file: file.as_ref(),
            journal: self.journal,
            number: self.number,
            buffer: Vec::new(),
            offset: DATA_START,
            gap: None,
            noting: Noting::default(),
            spots: Vec::new(),
        };
        let (_, whole) = self.walk(bound, &mut |piece| match piece {
            Piece::Record(record) if keep(record) => copy.record(record),
            Piece::Record(record) => {
                copy.widen(record.seq, record.seq);
                Ok(())
            }
            Piece::Gap { first, through } => {
                copy.widen(first, through);
                Ok(())
            }
        })?;
        if !whole {
            return Err(io::Error::other("the segment changed while it was read"));
        }
        let length = copy.finish()?;
        let spots = copy.spots;
        file.sync_all()?;
        Ok((length, spots))
    }

    /// Shows everything up to the bound; says what the header is and whether
    /// all of it was there.
    fn walk(
        &self,
        bound: u64,
        show: &mut dyn FnMut(Piece<'_>) -> io::Result<()>,
    ) -> io::Result<(Option<Header>, bool)> {
        let (head, mut cursor) = segment::open(self.disk, self.folder, self.journal, self.number)?;
        let Head::Valid(header) = head else {
            return Ok((None, false));
        };
        let mut last = header.first_seq.saturating_sub(1);
        while last < bound {
            match self.piece(&mut cursor, bound, show)? {
                Some(through) => last = through,
                None => break,
            }
        }
        Ok((Some(header), last >= bound))
    }

    fn piece(
        &self,
        cursor: &mut Cursor,
        bound: u64,
        show: &mut dyn FnMut(Piece<'_>) -> io::Result<()>,
    ) -> io::Result<Option<u64>> {
        let through = match cursor.peek()? {
            Found::Record(record) if record.seq <= bound => {
                show(Piece::Record(record))?;
                record.seq
            }
            Found::Gap { first, through } => {
                show(Piece::Gap { first, through })?;
                through
            }
            Found::Record(_) | Found::Blank | Found::Bad(_) => return Ok(None),
        };
        cursor.take();
        Ok(Some(through))
    }

    fn path(&self, suffix: &str) -> PathBuf {
        let name = segment::file_name(self.journal, self.number);
        self.folder.join(name + suffix)
    }
}

/// What stands in a segment.
enum Piece<'a> {
    Record(&'a Record),
    Gap { first: u64, through: u64 },
}

/// The new file while it is written.
struct Copy<'a> {
    file: &'a dyn DiskFile,
    journal: &'a JournalId,
    number: u32,
    buffer: Vec<u8>,
    /// Of the buffer, in the file.
    offset: u64,
    /// First and last seq of what was left out since the last record.
    gap: Option<(u64, u64)>,
    noting: Noting,
    spots: Vec<(u64, Spot)>,
}

impl Copy<'_> {
    fn widen(&mut self, first: u64, through: u64) {
        let first = self.gap.map_or(first, |(first, _)| first);
        self.gap = Some((first, through));
    }

    fn record(&mut self, record: &Record) -> io::Result<()> {
        self.close_gap();
        let spot = Spot {
            number: self.number,
            offset: self.offset + self.buffer.len() as u64,
        };
        if self.noting.is_due(spot) {
            self.spots.push((record.seq, spot));
        }
        encode(self.journal, record, &mut self.buffer);
        if self.buffer.len() >= CHUNK_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    fn close_gap(&mut self) {
        if let Some((first, through)) = self.gap.take() {
            encode(self.journal, &gap(first, through), &mut self.buffer);
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.write_all_at(&self.buffer, self.offset)?;
        self.offset += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    fn finish(&mut self) -> io::Result<u64> {
        self.close_gap();
        self.flush()?;
        Ok(self.offset)
    }
}
