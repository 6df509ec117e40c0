//! An upstream in memory that counts what it is asked for.

use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use crate::{
    clock::{Ambient, Clock, Entropy, LongWork, UnixMs},
    current::Current,
    disk::{keep::Keep, memory::MemoryDisk},
    refresh::{
        Beside, Blobs, FetchedTimestamp, Guard, Refreshed, Refresher, SnapshotSource, SourceError,
        SourceFuture,
    },
    snapshot::{
        Snapshot,
        fixture::{self, ENVIRONMENT, Part},
        parts::build_index,
        wire::{Blob, ControlDocument},
    },
};

/// What an upstream has, and what was asked of it.
pub(super) struct Upstream {
    pub(super) world: fixture::World,
    /// Hashes of every blob that was asked for, call by call.
    pub(super) asked: Vec<Vec<String>>,
    pub(super) bytes: usize,
}

/// A source that can be looked at while it is used.
#[derive(Clone)]
pub(super) struct Shared(pub(super) Arc<Mutex<Upstream>>);

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, Upstream> {
        self.0.lock().expect("nobody panicked")
    }
}

impl SnapshotSource for Shared {
    fn root<'a>(&'a self, _: &'a str, _: u64) -> SourceFuture<'a, Option<Vec<u8>>> {
        Box::pin(async { Ok(None) })
    }

    fn timestamp<'a>(
        &'a self,
        _: &'a str,
        _: Option<&'a str>,
        _: Duration,
    ) -> SourceFuture<'a, Option<FetchedTimestamp>> {
        let file = self.lock().world.pack().timestamp;
        let validator = None;
        Box::pin(async { Ok(Some(FetchedTimestamp { file, validator })) })
    }

    fn release<'a>(&'a self, _: &'a str, _: u64, _: u64) -> SourceFuture<'a, Vec<u8>> {
        let file = self.lock().world.release_file();
        Box::pin(async { Ok(file) })
    }

    fn control<'a>(&'a self, _: &'a str, _: u64, _: u64) -> SourceFuture<'a, Vec<u8>> {
        let file = self.lock().world.control_file();
        Box::pin(async { Ok(file) })
    }

    fn parts<'a>(&'a self, _: &'a str, wanted: &'a [Blob]) -> SourceFuture<'a, Blobs> {
        let mut own = self.lock();
        let names = wanted.iter().map(|blob| blob.sha256.clone());
        own.asked.push(names.collect());
        let mut found = Blobs::new();
        for blob in wanted {
            let Some(bytes) = own.world.blobs.get(&blob.sha256).cloned() else {
                let text = format!("no part {}", blob.sha256);
                return Box::pin(async { Err(SourceError::Refused(text)) });
            };
            own.bytes += bytes.len();
            found.insert(blob.sha256.clone(), bytes);
        }
        Box::pin(async { Ok(found) })
    }
}

struct Stopped;

impl Clock for Stopped {
    fn now_ms(&self) -> UnixMs {
        fixture::NOW
    }
}

struct Even;

impl Entropy for Even {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(1);
    }
}

/// One edge's supply on a disk in memory.
pub(super) struct Edge {
    pub(super) upstream: Shared,
    pub(super) disk: MemoryDisk,
    pub(super) current: Arc<Current>,
    pub(super) refresher: Refresher,
    guard: Option<Guard>,
}

impl Edge {
    /// Below an upstream with these parts; nothing is fetched yet.
    pub(super) fn new(parts: Vec<Part>) -> Self {
        Self::guarded(parts, None)
    }

    /// The same under a guard.
    pub(super) fn guarded(parts: Vec<Part>, guard: Option<Guard>) -> Self {
        let mut world = fixture::World::new();
        publish(&mut world, parts);
        let upstream = Shared(Arc::new(Mutex::new(Upstream {
            world,
            asked: Vec::new(),
            bytes: 0,
        })));
        Self::boot(upstream, MemoryDisk::new(1), guard)
    }

    fn boot(upstream: Shared, disk: MemoryDisk, guard: Option<Guard>) -> Self {
        let current = Arc::new(Current::default());
        let folder = Path::new("/data/snapshots");
        let keep = Keep::open(Arc::new(disk.clone()), folder, ENVIRONMENT).expect("a folder");
        let root = upstream.lock().world.root_file();
        let ambient = Ambient {
            clock: Arc::new(Stopped),
            entropy: Arc::new(Even),
            long_work: LongWork::OnThreads,
        };
        let (refresher, problem) = Refresher::boot(
            ENVIRONMENT,
            &root,
            Arc::new(upstream.clone()),
            current.clone(),
            Arc::new(keep),
            ambient,
            Beside {
                guard: guard.clone(),
                shelf: None,
            },
        )
        .expect("it boots");
        assert!(problem.is_none(), "{problem:?}");
        Self {
            upstream,
            disk,
            current,
            refresher,
            guard,
        }
    }

    /// The same edge, started again on its disk.
    pub(super) fn restarted(self) -> Self {
        let guard = self.guard.clone();
        self.restarted_with(guard)
    }

    /// The same under another guard.
    pub(super) fn restarted_with(self, guard: Option<Guard>) -> Self {
        Self::boot(self.upstream, self.disk, guard)
    }

    /// Publishes these parts as the next release.
    pub(super) fn publish(&self, parts: Vec<Part>) {
        let mut upstream = self.upstream.lock();
        upstream.world.advance();
        publish(&mut upstream.world, parts);
    }

    /// Publishes this control document as the next one.
    pub(super) fn control(&self, change: impl FnOnce(&mut ControlDocument)) {
        let mut upstream = self.upstream.lock();
        upstream.world.advance_control();
        change(&mut upstream.world.control);
        upstream.world.pack();
    }

    /// One question to upstream.
    pub(super) async fn step(&mut self) -> Refreshed {
        let stepped = self.refresher.step(Duration::ZERO).await;
        stepped.expect("it is taken in")
    }

    pub(super) fn live(&self) -> Arc<Snapshot> {
        let live = self.current.load();
        live.named(ENVIRONMENT)
            .expect("it is live")
            .snapshot
            .clone()
    }

    /// Blobs asked for since the last time, call by call.
    pub(super) fn asked(&self) -> Vec<Vec<String>> {
        std::mem::take(&mut self.upstream.lock().asked)
    }
}

fn publish(world: &mut fixture::World, parts: Vec<Part>) {
    let built = build_index(parts).expect("it is built");
    world.release.index = built.index;
    // Upstream keeps what was published before for a while.
    world.blobs.extend(built.blobs);
    world.pack();
}
