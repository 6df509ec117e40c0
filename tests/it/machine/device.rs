//! What does a disk hold when its power is cut?
//!
//! A disk with a volatile write cache, under our control: a file whose reads,
//! writes and flushes this process answers (FUSE), which the kernel's loop
//! driver makes a block device of. What was written before a flush is there
//! after a cut; of what was written since, any part may be, down to single
//! sectors of one write. So a cut leaves more than a copy of the file would
//! miss, and never an order that a disk could not leave.

use std::{
    ffi::OsStr,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    time::{Duration, UNIX_EPOCH},
};

use fuser::{
    BackgroundSession, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, Generation,
    INodeNo, LockOwner, OpenFlags, ReplyAttr, ReplyData, ReplyEmpty, ReplyEntry, ReplyWrite,
    Request, WriteFlags,
};

use crate::{harness::DEADLINE, reference::Dice};

/// What a disk writes whole or not at all.
const SECTOR: usize = 512;

const NAME: &str = "disk.img";
const FILE: INodeNo = INodeNo(2);
/// The kernel may keep what it was told; nobody else changes the file.
const TTL: Duration = Duration::from_secs(3600);

/// How much of what was not flushed is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// Nothing.
    Flushed,
    /// Everything up to some write, which is torn.
    Prefix,
    /// Each sector by chance.
    Scattered,
    /// Everything: the cache was written back in time.
    Everything,
}

impl Cut {
    pub(super) const ALL: [Self; 4] = [
        Self::Scattered,
        Self::Flushed,
        Self::Prefix,
        Self::Everything,
    ];
}

/// What a cut left.
pub(super) struct Left<T> {
    /// The whole disk.
    pub(super) image: Vec<u8>,
    /// Writes that were in the cache.
    pub(super) cached: usize,
    /// What was asked when the power failed.
    pub(super) sampled: T,
}

/// A disk of some bytes, mounted as a file until it is dropped.
pub(super) struct Device {
    folder: tempfile::TempDir,
    platter: Arc<Mutex<Platter>>,
    // Ends the session when dropped.
    _session: BackgroundSession,
}

/// Takes what a cut leaves.
type Taker = Box<dyn FnOnce(&Platter) + Send>;

/// What is on the disk and in its cache.
struct Platter {
    /// As reads see it.
    live: Vec<u8>,
    /// As of the last flush.
    flushed: Vec<u8>,
    /// Since then, in order.
    cached: Vec<(usize, Vec<u8>)>,
    /// Whether flushes are answered and not done.
    lies: bool,
    /// The power fails when so many writes are in the cache; what is done then.
    armed: Option<(usize, Taker)>,
}

impl Platter {
    /// What a cut leaves.
    fn left(&self, cut: Cut, dice: &mut Dice) -> Vec<u8> {
        let mut left = self.flushed.clone();
        let end = match cut {
            Cut::Flushed => 0,
            Cut::Prefix => dice.below(self.cached.len() + 1),
            Cut::Scattered | Cut::Everything => self.cached.len(),
        };
        for (number, (offset, bytes)) in self.cached[..end].iter().enumerate() {
            let is_torn = cut == Cut::Scattered || (cut == Cut::Prefix && number + 1 == end);
            for (at, sector) in bytes.chunks(SECTOR).enumerate() {
                if !is_torn || dice.percent(50) {
                    let begin = offset + at * SECTOR;
                    left[begin..begin + sector.len()].copy_from_slice(sector);
                }
            }
        }
        left
    }

    /// One more write is in the cache.
    fn fail_if_armed(&mut self) {
        match self.armed.take() {
            Some((writes, take)) if self.cached.len() >= writes => take(self),
            waiting => self.armed = waiting,
        }
    }
}

impl Device {
    /// A disk with this content, or why the machine cannot have one.
    pub(super) fn holding(content: Vec<u8>) -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let platter = Arc::new(Mutex::new(Platter {
            live: content.clone(),
            flushed: content,
            cached: Vec::new(),
            lies: false,
            armed: None,
        }));
        let served = Served(Arc::clone(&platter));
        let session = fuser::spawn_mount(served, folder.path(), &Config::default());
        let session = session.map_err(|error| format!("FUSE cannot be mounted: {error}"))?;
        Ok(Self {
            folder,
            platter,
            _session: session,
        })
    }

    /// The file that stands for the disk.
    pub(super) fn file(&self) -> PathBuf {
        self.folder.path().join(NAME)
    }

    /// From now on flushes are answered and not done.
    pub(super) fn lie(&self) {
        self.lock().lies = true;
    }

    /// Cuts the power when so many writes are in the cache. What is sampled is
    /// asked at that moment, before any later write.
    pub(super) fn cut_at<T: Send + 'static>(
        &self,
        writes: usize,
        cut: Cut,
        mut dice: Dice,
        sample: impl FnOnce() -> T + Send + 'static,
    ) -> Left<T> {
        let (sender, receiver) = mpsc::channel();
        let take = move |platter: &Platter| {
            let sampled = sample();
            let left = Left {
                image: platter.left(cut, &mut dice),
                cached: platter.cached.len(),
                sampled,
            };
            // Whoever asked has given up if nobody listens.
            sender.send(left).ok();
        };
        self.lock().armed = Some((writes, Box::new(take)));
        let left = receiver.recv_timeout(DEADLINE);
        left.expect("the disk is written to")
    }

    fn lock(&self) -> MutexGuard<'_, Platter> {
        self.platter.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The file system with the one file.
struct Served(Arc<Mutex<Platter>>);

impl Served {
    fn lock(&self) -> MutexGuard<'_, Platter> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn attributes(&self, ino: INodeNo) -> FileAttr {
        let is_file = ino == FILE;
        let size = if is_file { self.lock().live.len() } else { 0 } as u64;
        FileAttr {
            ino,
            size,
            blocks: size / SECTOR as u64,
            atime: UNIX_EPOCH,
            mtime: UNIX_EPOCH,
            ctime: UNIX_EPOCH,
            crtime: UNIX_EPOCH,
            kind: if is_file {
                FileType::RegularFile
            } else {
                FileType::Directory
            },
            perm: if is_file { 0o600 } else { 0o700 },
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            blksize: SECTOR as u32,
            flags: 0,
        }
    }
}

impl Filesystem for Served {
    fn lookup(&self, _: &Request, _: INodeNo, name: &OsStr, reply: ReplyEntry) {
        match name.to_str() {
            Some(NAME) => reply.entry(&TTL, &self.attributes(FILE), Generation(0)),
            _ => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        reply.attr(&TTL, &self.attributes(ino));
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let platter = self.lock();
        let begin = platter.live.len().min(offset as usize);
        let end = platter.live.len().min(begin + size as usize);
        reply.data(&platter.live[begin..end]);
    }

    fn write(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let (mut platter, begin) = (self.lock(), offset as usize);
        let Some(place) = platter.live.get_mut(begin..begin + data.len()) else {
            return reply.error(Errno::ENOSPC);
        };
        place.copy_from_slice(data);
        platter.cached.push((begin, data.to_vec()));
        platter.fail_if_armed();
        reply.written(data.len() as u32);
    }

    /// A flush of the disk's cache: the loop driver asks for it where the file
    /// system sends one.
    fn fsync(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        let mut platter = self.lock();
        let platter = &mut *platter;
        if platter.lies {
            return reply.ok();
        }
        for (offset, bytes) in platter.cached.drain(..) {
            platter.flushed[offset..offset + bytes.len()].copy_from_slice(&bytes);
        }
        reply.ok();
    }
}
