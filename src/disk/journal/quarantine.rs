//! What is put aside for whoever looks into damage or a fork?
//!
//! Copies of segments, in a folder of their own inside the journal's. Nothing
//! reads them again, so they are bounded: the oldest make room for a new one.
//! A copy is a courtesy: that one could not be made stops nothing.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{
    super::{Disk, DiskFile, read_full},
    record::JournalId,
    segment::{self, Head},
};
use crate::limits::QUARANTINE_BYTES_MAX;

/// The folder's name.
pub(super) const QUARANTINE: &str = "quarantine";

/// The copies of one journal folder.
#[derive(Clone)]
pub(super) struct Quarantine {
    disk: Arc<dyn Disk>,
    /// The journal's.
    folder: PathBuf,
    bytes_max: u64,
    bytes: Arc<AtomicU64>,
}

impl Quarantine {
    /// Counts what is there and keeps to its bound: a quarter of the journal's
    /// own cap where that is less than the usual one.
    pub(super) fn open(disk: Arc<dyn Disk>, folder: &Path, journal_bytes_max: u64) -> Self {
        let own = Self {
            disk,
            folder: folder.to_owned(),
            bytes_max: QUARANTINE_BYTES_MAX.min(journal_bytes_max / 4),
            bytes: Arc::default(),
        };
        // A folder that cannot be read is found out by the next copy.
        own.make_room(0).ok();
        own
    }

    /// Bytes of the copies.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Copies a segment, once: the name is the segment's, and a copy that was
    /// cut short has another name.
    pub(super) fn copy(&self, name: &str) -> io::Result<()> {
        let (disk, quarantine) = (self.disk.as_ref(), self.folder.join(QUARANTINE));
        let target = quarantine.join(name);
        disk.create_dir_all(&quarantine)?;
        if disk.exists(&target)? {
            return Ok(());
        }
        let partial = quarantine.join(format!("{name}.tmp"));
        if disk.exists(&partial)? {
            disk.remove(&partial)?;
        }
        let from = disk.open(&self.folder.join(name))?;
        let length = from.length()?;
        if length > self.bytes_max {
            let text = format!(
                "it has {length} bytes, and {} are kept of all copies",
                self.bytes_max
            );
            return Err(io::Error::other(text));
        }
        self.make_room(length)?;
        let to = disk.create_new(&partial)?;
        copy_bytes(from.as_ref(), to.as_ref())?;
        to.sync_all()?;
        disk.rename(&partial, &target)?;
        disk.sync_dir(&quarantine)?;
        self.bytes.fetch_add(length, Ordering::Relaxed);
        Ok(())
    }

    /// Removes the oldest copies until so much more fits. How old one is, its
    /// header says; one that lost its header goes first.
    fn make_room(&self, more: u64) -> io::Result<()> {
        let (disk, quarantine) = (self.disk.as_ref(), self.folder.join(QUARANTINE));
        if !disk.exists(&quarantine)? {
            return Ok(());
        }
        let mut copies = Vec::new();
        let mut bytes = 0;
        for name in disk.list(&quarantine)? {
            let length = disk.open(&quarantine.join(&name))?.length()?;
            bytes += length;
            copies.push((self.age(&name), name, length));
        }
        copies.sort_unstable();
        for (_, name, length) in copies {
            if bytes + more <= self.bytes_max {
                break;
            }
            disk.remove(&quarantine.join(&name))?;
            bytes -= length;
        }
        self.bytes.store(bytes, Ordering::Relaxed);
        disk.sync_dir(&quarantine)
    }

    /// Which run of the edge, and which of its segments.
    fn age(&self, name: &str) -> (u64, u32) {
        let quarantine = self.folder.join(QUARANTINE);
        let Some((journal, number)) = segment::parse_name(name) else {
            return (0, 0);
        };
        match segment::open(self.disk.as_ref(), &quarantine, &journal, number) {
            Ok((Head::Valid(header), _)) => (header.ordinal, number),
            _ => (0, number),
        }
    }

    /// Copies the segments of a journal that hold records above this seq.
    pub(super) fn copy_after(&self, journal: &JournalId, seq: u64) -> io::Result<()> {
        let disk = self.disk.as_ref();
        for number in segment::list_after(disk, &self.folder, journal, None)? {
            let bound = segment::bound(disk, &self.folder, journal, number)?;
            let (head, _) = segment::open(disk, &self.folder, journal, number)?;
            if head != Head::Blank && bound.is_none_or(|bound| bound > seq) {
                self.copy(&segment::file_name(journal, number))?;
            }
        }
        Ok(())
    }
}

fn copy_bytes(from: &dyn DiskFile, to: &dyn DiskFile) -> io::Result<()> {
    let mut piece = vec![0; 256 * 1024];
    let mut offset = 0;
    loop {
        let count = read_full(from, &mut piece, offset)?;
        if count == 0 {
            return Ok(());
        }
        to.write_all_at(&piece[..count], offset)?;
        offset += count as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::{super::segment::Header, *};
    use crate::disk::memory::MemoryDisk;

    #[test]
    fn the_oldest_copies_make_room_and_what_never_fits_is_refused() {
        let disk = MemoryDisk::new(1);
        let folder = Path::new("/data/journal");
        disk.create_dir_all(folder).unwrap();
        let segment = |id: u8, ordinal: u64, bytes: usize| {
            let header = Header {
                journal: [id; 16],
                number: 0,
                ordinal,
                first_seq: 1,
                durable_before: 0,
            };
            let name = segment::file_name(&[id; 16], 0);
            let file = disk.create_new(&folder.join(&name)).unwrap();
            file.write_all_at(&vec![0; bytes], 0).unwrap();
            file.write_all_at(&header.encode(), 0).unwrap();
            name
        };
        let open = || Quarantine::open(Arc::new(disk.clone()), folder, 40_000);
        let copies = open();
        // Named against the order in which they were begun.
        let names = [
            segment(9, 1, 4_000),
            segment(5, 2, 4_000),
            segment(1, 3, 4_000),
        ];
        for name in &names {
            copies.copy(name).unwrap();
            copies.copy(name).unwrap();
        }
        let held = || disk.list(&folder.join(QUARANTINE)).unwrap();
        assert_eq!(held(), [names[2].clone(), names[1].clone()]);
        assert_eq!(copies.bytes(), 8_000);
        assert_eq!(open().bytes(), 8_000);
        let huge = segment(7, 4, 10_001);
        assert!(copies.copy(&huge).is_err());
        assert_eq!(held().len(), 2);
    }
}
