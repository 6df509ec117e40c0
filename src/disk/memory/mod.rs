//! What is left after the power fails?
//!
//! [`MemoryDisk`] is the simulated disk: it keeps beside what the program sees
//! what a power cut would leave. Unsynced sectors of a file may survive, be
//! lost or be torn, each on its own; so may unsynced names of a folder. A
//! failed sync behaves as on Linux: the pages count as clean afterwards,
//! whether they reached the disk or not, so a second sync that succeeds proves
//! nothing. Everything follows from a seed and the order of operations.

mod state;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeSet,
    io,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use self::state::{Change, Inode, State};
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

impl MemoryDisk {
    /// An empty disk whose chances follow from the seed.
    pub fn new(seed: u64) -> Self {
        Self {
            state: Arc::new(Mutex::new(State::new(seed))),
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

    /// Forgets every fault that was planned: the disk is sound from now on.
    pub fn mend(&self) {
        let mut state = self.state();
        state.faults.clear();
        state.broken = None;
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

    /// Another disk that holds what this one holds, as copying it file by file
    /// makes it; all of it durable.
    pub fn copied(&self, seed: u64) -> Self {
        let state = self.state();
        let mut copy = State::new(seed);
        copy.folders.clone_from(&state.folders);
        for (path, file) in &state.names {
            if let Some(inode) = state.files.get(*file) {
                copy.names.insert(path.clone(), copy.files.len());
                copy.files.push(Inode::durable(inode.live.clone()));
            }
        }
        copy.durable_names.clone_from(&copy.names);
        Self {
            state: Arc::new(Mutex::new(copy)),
        }
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

    fn file_system_bytes(&self, _path: &Path) -> io::Result<Option<u64>> {
        Ok(self.state().capacity)
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
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// The next 64 bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// A number below `end`, which is above 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    /// True once in `of` times.
    pub(crate) fn chance(&mut self, of: usize) -> bool {
        self.below(of) == 0
    }
}
