//! What does the simulated disk hold, and what would a power cut leave of it?
//!
//! Plain state and the rules that change it: what is visible, what is durable,
//! and what lies between the two.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
};

use super::{Fault, Random, not_found};

/// All of a disk.
pub(super) struct State {
    /// All files ever made; a file's index is its identity.
    pub(super) files: Vec<Inode>,
    pub(super) names: BTreeMap<PathBuf, usize>,
    pub(super) durable_names: BTreeMap<PathBuf, usize>,
    /// Made, renamed and removed names since their folder was synced.
    pub(super) changes: Vec<Change>,
    pub(super) folders: BTreeSet<PathBuf>,
    pub(super) operations: u64,
    pub(super) faults: BTreeMap<u64, Fault>,
    pub(super) broken: Option<Fault>,
    pub(super) off: bool,
    pub(super) boot: u64,
    pub(super) capacity: Option<u64>,
    pub(super) random: Random,
}

/// One file.
#[derive(Default)]
pub(super) struct Inode {
    pub(super) live: Vec<u8>,
    pub(super) durable: Vec<u8>,
    /// Sectors written since the last sync.
    dirty: BTreeSet<usize>,
    /// Whether the length changed since the last sync.
    resized: bool,
}

/// A change of names.
pub(super) enum Change {
    Made(PathBuf, usize),
    Renamed(PathBuf, PathBuf, usize),
    Removed(PathBuf),
}

/// The unit that a device writes as a whole.
const SECTOR: usize = 512;

impl State {
    /// Nothing, and no fault planned.
    pub(super) fn new(seed: u64) -> Self {
        Self {
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
        }
    }

    /// Counts an operation and says what goes wrong at it.
    fn begin(&mut self) -> io::Result<Option<Fault>> {
        self.powered()?;
        self.operations += 1;
        let fault = self.faults.remove(&self.operations).or(self.broken);
        self.off = fault == Some(Fault::PowerLoss);
        Ok(fault)
    }

    pub(super) fn powered(&self) -> io::Result<()> {
        if self.off {
            return Err(Fault::PowerLoss.error());
        }
        Ok(())
    }

    pub(super) fn file(&self, path: &Path) -> io::Result<usize> {
        self.powered()?;
        self.names.get(path).copied().ok_or_else(|| not_found(path))
    }

    /// Does a change of names, or leaves it when a fault says so. Losing power
    /// leaves open whether the change was begun.
    pub(super) fn change(&mut self, change: Change) -> io::Result<()> {
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

    pub(super) fn write(&mut self, file: usize, bytes: &[u8], offset: usize) -> io::Result<()> {
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

    pub(super) fn sync(&mut self, file: usize) -> io::Result<()> {
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

    pub(super) fn sync_names(&mut self, folder: &Path) -> io::Result<()> {
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

    pub(super) fn crash(&mut self) {
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
    /// One that was synced.
    pub(super) fn durable(bytes: Vec<u8>) -> Self {
        Self {
            durable: bytes.clone(),
            live: bytes,
            ..Self::default()
        }
    }

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
