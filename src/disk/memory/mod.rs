//! What is left after the power fails?
//!
//! [`MemoryDisk`] is the simulated disk: it keeps beside what the program sees
//! what a power cut would leave. Unsynced sectors of a file may survive, be
//! lost or be torn, each on its own; so may unsynced names of a folder. A
//! failed sync behaves as on Linux: the pages count as clean afterwards,
//! whether they reached the disk or not, so a second sync that succeeds proves
//! nothing. Everything follows from a seed and the order of operations.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{Disk, DiskFile, too_large};

/// What goes wrong at one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No space is left on the device.
    NoSpace,
    /// The device reports an error.
    Io,
    /// The power fails: this and every later operation is refused until
    /// [`MemoryDisk::crash`] brings the disk back.
    PowerLoss,
}

/// A disk in memory that can fail and crash. Clones share the content.
#[derive(Clone)]
pub struct MemoryDisk {
    state: Arc<Mutex<State>>,
}

struct State {
    /// All files ever made; a file's index is its identity.
    files: Vec<Inode>,
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    /// Made, renamed and removed names since their folder was synced.
    changes: Vec<Change>,
    folders: BTreeSet<PathBuf>,
    operations: u64,
    faults: BTreeMap<u64, Fault>,
    broken: Option<Fault>,
    off: bool,
    boot: u64,
    capacity: Option<u64>,
    random: Random,
}

#[derive(Default)]
struct Inode {
    live: Vec<u8>,
    durable: Vec<u8>,
    /// Sectors written since the last sync.
    dirty: BTreeSet<usize>,
    /// Whether the length changed since the last sync.
    resized: bool,
}

enum Change {
    Made(PathBuf, usize),
    Renamed(PathBuf, PathBuf, usize),
    Removed(PathBuf),
}

/// The unit that a device writes as a whole.
const SECTOR: usize = 512;

impl MemoryDisk {
    /// An empty disk whose chances follow from the seed.
    pub fn new(seed: u64) -> Self {
        Self {
            state: Arc::new(Mutex::new(State {
                files: Vec::new(),
                names: BTreeMap::new(),
                durable_names: BTreeMap::new(),
                changes: Vec::new(),
                folders: BTreeSet::new(),
                operations: 0,
                faults: BTreeMap::new(),
                broken: None,
                off: false,
                boot: 0,
                capacity: None,
                random: Random(seed),
            })),
        }
    }

    /// Operations so far that could change something.
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// Lets the operation fail that comes after `after` more of them.
    pub fn fail_after(&self, after: u64, fault: Fault) {
        let mut state = self.state();
        let at = state.operations + after + 1;
        state.faults.insert(at, fault);
    }

    /// Lets every changing operation fail until it is told otherwise.
    pub fn set_broken(&self, fault: Option<Fault>) {
        self.state().broken = fault;
    }

    /// Lets files together hold at most this many bytes.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.state().capacity = bytes;
    }

    /// Cuts the power and brings the disk back as it may be found then. Open
    /// files of the time before are refused, planned faults are forgotten.
    pub fn crash(&self, seed: u64) {
        let mut state = self.state();
        state.random = Random(seed);
        state.crash();
    }

    /// Whether the power is on: no [`Fault::PowerLoss`] since the last crash.
    pub fn powered(&self) -> bool {
        !self.state().off
    }

    /// What a file holds at the moment, for tests that look at it.
    pub fn contents(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.state();
        let file = *state.names.get(path)?;
        Some(state.files.get(file)?.live.clone())
    }

    /// Flips one bit of a file for good; false if there is no such byte.
    pub fn flip_bit(&self, path: &Path, offset: usize, bit: u8) -> bool {
        let mut state = self.state();
        let Some(&file) = state.names.get(path) else {
            return false;
        };
        let Some(inode) = state.files.get_mut(file) else {
            return false;
        };
        let mask = 1 << (bit % 8);
        if let Some(byte) = inode.durable.get_mut(offset) {
            *byte ^= mask;
        }
        match inode.live.get_mut(offset) {
            Some(byte) => {
                *byte ^= mask;
                true
            }
            None => false,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // The content stays usable when a test's thread panicked.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Counts an operation and says what goes wrong at it.
    fn begin(&mut self) -> io::Result<Option<Fault>> {
        self.powered()?;
        self.operations += 1;
        let fault = self.faults.remove(&self.operations).or(self.broken);
        self.off = fault == Some(Fault::PowerLoss);
        Ok(fault)
    }

    fn powered(&self) -> io::Result<()> {
        if self.off {
            return Err(Fault::PowerLoss.error());
        }
        Ok(())
    }

    fn file(&self, path: &Path) -> io::Result<usize> {
        self.powered()?;
        self.names.get(path).copied().ok_or_else(|| not_found(path))
    }

    /// Does a change of names, or leaves it when a fault says so. Losing power
    /// leaves open whether the change was begun.
    fn change(&mut self, change: Change) -> io::Result<()> {
        let fault = self.begin()?;
        let done = match fault {
            None => true,
            Some(Fault::PowerLoss) => self.random.chance(2),
            Some(Fault::NoSpace | Fault::Io) => false,
        };
        if done {
            change.apply(&mut self.names);
            self.changes.push(change);
        }
        fault.map_or(Ok(()), |fault| Err(fault.error()))
    }

    fn write(&mut self, file: usize, bytes: &[u8], offset: usize) -> io::Result<()> {
        let mut fault = self.begin()?;
        let held: usize = self
            .names
            .values()
            .filter_map(|&file| self.files.get(file))
            .map(|inode| inode.live.len())
            .sum();
        let Some(inode) = self.files.get_mut(file) else {
            return Err(Fault::Io.error());
        };
        let growth = (offset + bytes.len()).saturating_sub(inode.live.len());
        if fault.is_none()
            && growth > 0
            && self
                .capacity
                .is_some_and(|max| (held + growth) as u64 > max)
        {
            fault = Some(Fault::NoSpace);
        }
        let done = match fault {
            None | Some(Fault::PowerLoss) => bytes.len(),
            // A failed write may have written a part.
            Some(Fault::NoSpace | Fault::Io) if growth == 0 => self.random.below(bytes.len() + 1),
            Some(Fault::NoSpace | Fault::Io) => 0,
        };
        inode.write(&bytes[..done], offset);
        fault.map_or(Ok(()), |fault| Err(fault.error()))
    }

    fn sync(&mut self, file: usize) -> io::Result<()> {
        let fault = self.begin()?;
        let random = &mut self.random;
        let Some(inode) = self.files.get_mut(file) else {
            return Err(Fault::Io.error());
        };
        match fault {
            None => inode.settle(|| Fate::New),
            Some(Fault::PowerLoss) => {}
            Some(Fault::NoSpace | Fault::Io) => {
                inode.settle(|| {
                    if random.chance(2) {
                        Fate::New
                    } else {
                        Fate::Old
                    }
                });
            }
        }
        fault.map_or(Ok(()), |fault| Err(fault.error()))
    }

    fn sync_names(&mut self, folder: &Path) -> io::Result<()> {
        let fault = self.begin()?;
        if let Some(fault) = fault {
            return Err(fault.error());
        }
        let changes = std::mem::take(&mut self.changes);
        for change in changes {
            if change.folder() == Some(folder) {
                change.apply(&mut self.durable_names);
            } else {
                self.changes.push(change);
            }
        }
        Ok(())
    }

    fn crash(&mut self) {
        let random = &mut self.random;
        // Most file systems keep the order of names; the rest may do anything.
        let ordered = random.chance(2);
        let kept = random.below(self.changes.len() + 1);
        for (index, change) in self.changes.drain(..).enumerate() {
            if (ordered && index < kept) || (!ordered && random.chance(2)) {
                change.apply(&mut self.durable_names);
            }
        }
        self.names = self.durable_names.clone();
        for inode in &mut self.files {
            inode.settle(|| match random.below(8) {
                0..=3 => Fate::New,
                4..=6 => Fate::Old,
                _ => Fate::Torn(random.below(SECTOR)),
            });
            inode.live = inode.durable.clone();
        }
        self.faults.clear();
        self.broken = None;
        self.off = false;
        self.boot += 1;
    }
}

/// What becomes of one unsynced sector.
enum Fate {
    New,
    Old,
    /// New up to here.
    Torn(usize),
}

impl Inode {
    fn write(&mut self, bytes: &[u8], offset: usize) {
        let end = offset + bytes.len();
        if bytes.is_empty() {
            return;
        }
        if self.live.len() < end {
            self.live.resize(end, 0);
            self.resized = true;
        }
        self.live[offset..end].copy_from_slice(bytes);
        self.dirty.extend(offset / SECTOR..=(end - 1) / SECTOR);
    }

    /// Decides each unsynced sector, and the length as if it were one more.
    fn settle(&mut self, mut fate: impl FnMut() -> Fate) {
        if self.resized && matches!(fate(), Fate::New) {
            self.durable.resize(self.live.len(), 0);
        }
        for sector in std::mem::take(&mut self.dirty) {
            let start = sector * SECTOR;
            let end = (start + SECTOR).min(self.live.len());
            let end = match fate() {
                Fate::New => end,
                Fate::Old => start,
                Fate::Torn(at) => end.min(start + at),
            };
            let end = end.min(self.durable.len());
            if start < end {
                self.durable[start..end].copy_from_slice(&self.live[start..end]);
            }
        }
        self.resized = false;
    }
}

impl Change {
    fn apply(&self, names: &mut BTreeMap<PathBuf, usize>) {
        match self {
            Self::Made(path, file) => {
                names.insert(path.clone(), *file);
            }
            Self::Renamed(from, to, file) => {
                names.remove(from);
                names.insert(to.clone(), *file);
            }
            Self::Removed(path) => {
                names.remove(path);
            }
        }
    }

    fn folder(&self) -> Option<&Path> {
        match self {
            Self::Made(path, _) | Self::Renamed(_, path, _) | Self::Removed(path) => path.parent(),
        }
    }
}

impl Fault {
    fn error(self) -> io::Error {
        match self {
            Self::NoSpace => io::Error::new(io::ErrorKind::StorageFull, "simulated: no space"),
            Self::Io => io::Error::other("simulated: device error"),
            Self::PowerLoss => io::Error::other("simulated: the power is off"),
        }
    }
}

fn not_found(path: &Path) -> io::Error {
    io::Error::new(
        io::ErrorKind::NotFound,
        format!("{} does not exist", path.display()),
    )
}

impl Disk for MemoryDisk {
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.powered()?;
        state.folders.extend(path.ancestors().map(Path::to_owned));
        Ok(())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let state = self.state();
        state.powered()?;
        if !state.folders.contains(path) {
            return Err(not_found(path));
        }
        let entries = state.names.keys().chain(&state.folders);
        let names: BTreeSet<String> = entries
            .filter(|entry| entry.parent() == Some(path))
            .filter_map(|entry| entry.file_name()?.to_str().map(str::to_owned))
            .collect();
        Ok(names.into_iter().collect())
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        let state = self.state();
        state.powered()?;
        Ok(state.names.contains_key(path) || state.folders.contains(path))
    }

    fn read(&self, path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
        let state = self.state();
        let file = state.file(path)?;
        let bytes = state.files.get(file).map_or(&[][..], |inode| &inode.live);
        if bytes.len() as u64 > bytes_max {
            return Err(too_large(path, bytes.len() as u64, bytes_max));
        }
        Ok(bytes.to_vec())
    }

    fn create_new(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.state();
        if state.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        if !path
            .parent()
            .is_some_and(|folder| state.folders.contains(folder))
        {
            return Err(not_found(path));
        }
        let file = state.files.len();
        state.change(Change::Made(path.to_owned(), file))?;
        state.files.push(Inode::default());
        Ok(self.handle(file, &state))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let state = self.state();
        let file = state.file(path)?;
        Ok(self.handle(file, &state))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        let file = state.file(from)?;
        state.change(Change::Renamed(from.to_owned(), to.to_owned(), file))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.file(path)?;
        state.change(Change::Removed(path.to_owned()))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.state().sync_names(path)
    }
}

impl MemoryDisk {
    fn handle(&self, file: usize, state: &State) -> Box<dyn DiskFile> {
        Box::new(MemoryFile {
            disk: self.clone(),
            file,
            boot: state.boot,
        })
    }
}

struct MemoryFile {
    disk: MemoryDisk,
    file: usize,
    boot: u64,
}

impl MemoryFile {
    /// The disk, unless this file was opened before the last crash.
    fn state(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.disk.state();
        if state.boot != self.boot {
            return Err(Fault::PowerLoss.error());
        }
        Ok(state)
    }
}

impl DiskFile for MemoryFile {
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        self.state()?.write(self.file, bytes, offset)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let state = self.state()?;
        state.powered()?;
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        let live = state
            .files
            .get(self.file)
            .map_or(&[][..], |file| &file.live);
        let rest = live.get(offset..).unwrap_or(&[]);
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn length(&self) -> io::Result<u64> {
        let state = self.state()?;
        state.powered()?;
        Ok(state
            .files
            .get(self.file)
            .map_or(0, |file| file.live.len() as u64))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.state()?.sync(self.file)
    }

    fn sync_all(&self) -> io::Result<()> {
        self.state()?.sync(self.file)
    }
}

/// Chances that follow from a seed (splitmix64): a simulation must be
/// repeatable, so it never asks the system for randomness.
pub(super) struct Random(pub(super) u64);

impl Random {
    /// The next 64 bits.
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// A number below `end`, which is above 0.
    pub(super) fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    /// True once in `of` times.
    pub(super) fn chance(&mut self, of: usize) -> bool {
        self.below(of) == 0
    }
}

#[cfg(test)]
mod tests;
