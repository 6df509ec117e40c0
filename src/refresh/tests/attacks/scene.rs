//! An edge whose upstream, or whose data folder, somebody else has taken over.
//!
//! The edge has accepted two revisions. What comes third is the attacker's: a
//! [`Lie`] that begins as the honest third revision and is then spoilt. The
//! same lie is told twice, by upstream and by the data folder.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};

use super::super::super::*;
use crate::{
    clock::{Ambient, Clock, Entropy, UnixMs},
    current::{Age, Current},
    disk::{Disk, DiskFile, keep::Keep, memory::MemoryDisk},
    snapshot::{
        envelope::{Role, SigningKey},
        fixture::{self, ENVIRONMENT, ENVIRONMENT_UID, NOW, World, file, ids, key, public},
        pack::Pack,
        parts::build_index,
        trust::Marks,
        wire::{Blob, EnvelopeFile},
    },
};

/// What the edge stands on before it is attacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ground {
    /// One key a role.
    Plain,
    /// A release needs both of its keys.
    Two,
    /// A second root took the first timestamp key away.
    Rotated,
    /// A second root raised the environment's epoch.
    Raised,
}

impl Ground {
    /// Its honest revision `number`, and the roots that follow the first.
    pub(super) fn revision(self, number: u64) -> (World, BTreeMap<u64, Vec<u8>>) {
        let mut world = World::new();
        let mut roots = BTreeMap::new();
        if self == Self::Two {
            let second = key(22);
            world.root.keys.extend(public([&second]));
            world.root.roles.release[0].keyids.push(second.id());
            world.root.roles.release[0].threshold = 2;
            world.release_keys.push(second);
        }
        if self == Self::Rotated {
            world.timestamp_keys = vec![key(12)];
            world.root.keys.extend(public([&key(12)]));
            world.root.roles.timestamp[0].keyids = ids(&world.timestamp_keys);
            roots.insert(2, next_root(&mut world));
        }
        if self == Self::Raised {
            world.root.epochs.insert(ENVIRONMENT_UID.to_owned(), 1);
            roots.insert(2, next_root(&mut world));
            for epoch in [
                &mut world.timestamp.epoch,
                &mut world.release.epoch,
                &mut world.control.epoch,
            ] {
                *epoch = 1;
            }
        }
        for at in 1..=number {
            if at > 1 {
                world.advance();
                world.control.version += 1;
            }
            // Something else in each, so that hashes differ.
            let mut parts = fixture::parts();
            parts.push(fixture::key_part(&format!("blocks-of-revision-{at}")));
            let built = build_index(parts).expect("it is built");
            world.release.index = built.index;
            world.blobs = built.blobs;
        }
        (world, roots)
    }

    /// The root an operator configured.
    fn trust_root(self) -> Vec<u8> {
        match self {
            Self::Two => self.revision(1).0.root_file(),
            _ => World::new().root_file(),
        }
    }
}

/// The next root with what was changed in the document.
pub(super) fn next_root(world: &mut World) -> Vec<u8> {
    world.root.version += 1;
    world.root_file()
}

/// What is served or planted instead of the third revision.
pub(super) struct Lie {
    /// The honest third revision with every key there is, for what takes a
    /// stolen one.
    pub(super) world: World,
    /// As it is served.
    pub(super) pack: Pack,
    /// Roots that follow the first.
    pub(super) roots: BTreeMap<u64, Vec<u8>>,
    /// What was captured earlier.
    pub(super) first: Pack,
    /// See `first`.
    pub(super) second: Pack,
    /// The clock while it is told.
    pub(super) now: UnixMs,
    /// Upstream says this instead of answering.
    pub(super) says: Option<SourceError>,
    /// Blobs that nobody asked for.
    pub(super) beside: Blobs,
}

impl Lie {
    fn about(ground: Ground) -> Self {
        let (mut world, roots) = ground.revision(3);
        Self {
            pack: world.pack(),
            world,
            roots,
            first: ground.revision(1).0.pack(),
            second: ground.revision(2).0.pack(),
            now: NOW,
            says: None,
            beside: Blobs::new(),
        }
    }

    /// Signs what the documents say now with the keys of their roles.
    pub(super) fn reseal(&mut self) {
        self.pack = self.world.pack();
    }

    /// A timestamp, by whoever has its online key, that refers to release and
    /// control document as they are in the pack.
    pub(super) fn refer(&mut self) {
        let timestamp = &mut self.world.timestamp;
        let version = timestamp.release.version;
        timestamp.release = fixture::reference(version, &self.pack.release);
        let version = timestamp.control.version;
        timestamp.control = fixture::reference(version, &self.pack.control);
        self.pack.timestamp = self.world.timestamp_file();
    }

    /// Serves this root as the next one.
    pub(super) fn root(&mut self, file: Vec<u8>) {
        let next = self.roots.keys().next_back().map_or(2, |last| last + 1);
        self.roots.insert(next, file);
    }

    fn planted(&self) -> Pack {
        Pack {
            roots: self.roots.values().cloned().collect(),
            ..self.pack.clone()
        }
    }
}

/// As bytes stand in a document.
pub(super) fn encoded(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Changes an envelope file without signing it again.
pub(super) fn edit(file: &mut Vec<u8>, change: impl FnOnce(&mut EnvelopeFile)) {
    let mut envelope = serde_json::from_slice(file).expect("an envelope");
    change(&mut envelope);
    *file = serde_json::to_vec(&envelope).expect("it serialises");
}

/// Changes a payload as text under the signatures it has.
pub(super) fn edit_payload(file: &mut Vec<u8>, from: &str, to: &str) {
    edit(file, |envelope| {
        let payload = STANDARD.decode(&envelope.payload).expect("base64");
        let text = String::from_utf8(payload).expect("text");
        assert!(text.contains(from), "{from} in {text}");
        envelope.payload = STANDARD.encode(text.replacen(from, to, 1));
    });
}

/// Changes a payload as text and signs it with these keys.
pub(super) fn sign_payload(
    (role, bytes): (Role, &mut Vec<u8>),
    (from, to): (&str, &str),
    keys: &[SigningKey],
) {
    edit_payload(bytes, from, to);
    let envelope: EnvelopeFile = serde_json::from_slice(bytes).expect("an envelope");
    let payload = STANDARD.decode(envelope.payload).expect("base64");
    let keys: Vec<_> = keys.iter().collect();
    *bytes = crate::snapshot::envelope::seal(role, &payload, &keys);
}

/// A document of a role, signed by somebody the root does not know.
pub(super) fn by_stranger(role: Role, document: &impl serde::Serialize) -> Vec<u8> {
    file(role, document, &[key(99)])
}

struct HandClock(AtomicU64);

impl Clock for HandClock {
    fn now_ms(&self) -> UnixMs {
        self.0.load(Ordering::SeqCst)
    }
}

struct Even;

impl Entropy for Even {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(1);
    }
}

/// An upstream that answers whatever it was given.
struct Mirror(Mutex<Lie>);

impl Mirror {
    fn answer<'a, T: Send + 'a>(&self, answer: impl FnOnce(&Lie) -> T) -> SourceFuture<'a, T> {
        let lie = self.0.lock().expect("no panic");
        let answer = match &lie.says {
            Some(error) => Err(error.clone()),
            None => Ok(answer(&lie)),
        };
        Box::pin(async { answer })
    }
}

impl SnapshotSource for Mirror {
    fn root<'a>(&'a self, _: &'a str, version: u64) -> SourceFuture<'a, Option<Vec<u8>>> {
        self.answer(|lie| lie.roots.get(&version).cloned())
    }

    fn timestamp<'a>(
        &'a self,
        _: &'a str,
        _: Option<&'a str>,
        _: Duration,
    ) -> SourceFuture<'a, Option<FetchedTimestamp>> {
        self.answer(|lie| {
            let file = lie.pack.timestamp.clone();
            let validator = None;
            Some(FetchedTimestamp { file, validator })
        })
    }

    fn release<'a>(&'a self, _: &'a str, _: u64, _: u64) -> SourceFuture<'a, Vec<u8>> {
        self.answer(|lie| lie.pack.release.clone())
    }

    fn control<'a>(&'a self, _: &'a str, _: u64, _: u64) -> SourceFuture<'a, Vec<u8>> {
        self.answer(|lie| lie.pack.control.clone())
    }

    fn parts<'a>(&'a self, _: &'a str, wanted: &'a [Blob]) -> SourceFuture<'a, Blobs> {
        self.answer(|lie| {
            let mut found = lie.beside.clone();
            for Blob { sha256, .. } in wanted {
                // What is not there is left out without a word.
                if let Some(bytes) = lie.pack.blobs.get(sha256) {
                    found.insert(sha256.clone(), bytes.clone());
                }
            }
            found
        })
    }
}

/// The edge under attack.
pub(super) struct Scene {
    ground: Ground,
    mirror: Arc<Mirror>,
    clock: Arc<HandClock>,
    current: Arc<Current>,
    disk: MemoryDisk,
    refresher: Refresher,
    /// What was wrong with its disk when it started.
    pub(super) problem: Option<&'static str>,
}

const FOLDER: &str = "/data/snapshots";

fn keep_on(disk: &MemoryDisk) -> Keep {
    Keep::open(Arc::new(disk.clone()), Path::new(FOLDER), ENVIRONMENT).expect("a folder")
}

impl Scene {
    /// After two honest revisions.
    pub(super) async fn set(ground: Ground) -> Self {
        let mut scene = Self::boot(ground, MemoryDisk::new(1), Lie::about(ground));
        assert_eq!(scene.problem, None);
        for number in [1, 2] {
            scene.serve_honest(number);
            assert!(matches!(scene.step().await, Ok(Refreshed::Published(_))));
        }
        scene
    }

    /// On this disk, below whoever tells this.
    fn boot(ground: Ground, disk: MemoryDisk, lie: Lie) -> Self {
        let clock = Arc::new(HandClock(AtomicU64::new(lie.now)));
        let mirror = Arc::new(Mirror(Mutex::new(lie)));
        let current = Arc::new(Current::default());
        let ambient = Ambient {
            clock: clock.clone(),
            entropy: Arc::new(Even),
            ..Ambient::system()
        };
        let (refresher, problem) = Refresher::boot(
            ENVIRONMENT,
            &ground.trust_root(),
            mirror.clone(),
            current.clone(),
            Arc::new(keep_on(&disk)),
            ambient,
            Beside::default(),
        )
        .expect("the trust root and the marks are good");
        Self {
            ground,
            mirror,
            clock,
            current,
            disk,
            refresher,
            problem: problem.map(|problem| problem.name()),
        }
    }

    /// What somebody makes of the third revision here.
    pub(super) fn lie(&self, tell: impl FnOnce(&mut Lie)) -> Lie {
        let mut lie = Lie::about(self.ground);
        tell(&mut lie);
        lie
    }

    pub(super) fn serve(&self, lie: Lie) {
        self.clock.0.store(lie.now, Ordering::SeqCst);
        *self.mirror.0.lock().expect("no panic") = lie;
    }

    pub(super) fn serve_honest(&self, number: u64) {
        let (mut world, roots) = self.ground.revision(number);
        let pack = world.pack();
        self.serve(Lie {
            world,
            pack,
            roots,
            ..Lie::about(self.ground)
        });
    }

    /// One question to upstream.
    pub(super) async fn step(&mut self) -> Result<Refreshed, RefreshError> {
        self.refresher.step(Duration::ZERO).await
    }

    /// What `/status` calls the last failure.
    pub(super) fn named(&self) -> Option<&'static str> {
        let status = self.refresher.status();
        let status = status.lock().expect("no panic");
        status.error.as_ref().map(|failure| failure.name)
    }

    /// Whether what serves is the pack before the one that was damaged.
    pub(super) fn fell_back(&self) -> bool {
        let status = self.refresher.status();
        status.lock().expect("no panic").fell_back
    }

    /// The number of the revision that serves.
    pub(super) fn serves(&self) -> Option<u64> {
        self.current
            .revision(ENVIRONMENT)
            .map(|revision| revision.number)
    }

    /// Whether an operator can see that what serves is not as it should be.
    pub(super) fn is_marked(&self) -> bool {
        let now = self.clock.now_ms();
        let live = self.current.load();
        let aged = live
            .named(ENVIRONMENT)
            .is_some_and(|live| live.freshness.age(now) != Age::Fresh);
        let status = self.refresher.status();
        let status = status.lock().expect("no panic");
        let root_ended = status.root_expires_ms.is_some_and(|end| end < now);
        aged || root_ended || status.clock_problem.is_some()
    }

    /// The marks as they are on disk.
    pub(super) fn marks(&self) -> Marks {
        let marks = keep_on(&self.disk).marks().expect("a manifest");
        marks.expect("something was accepted")
    }

    /// Blobs in the pack on disk.
    pub(super) fn kept_blobs(&self) -> Blobs {
        let kept = keep_on(&self.disk).load().expect("a manifest");
        let pack = kept.and_then(|kept| kept.pack).expect("a pack");
        Pack::parse(&pack).expect("a pack").blobs
    }

    /// Started again on a copy of the disk, in which somebody put the lie in
    /// the place of the newest pack and made the manifest name it.
    pub(super) fn planted(&self, lie: Lie) -> Self {
        let disk = self.disk.copied(1);
        let planted = lie.planted().to_bytes();
        let kept = keep_on(&disk).store(&self.marks(), &planted);
        kept.expect("it is written");
        Self::boot(self.ground, disk, lie)
    }

    /// The same, with the manifest as it was. None when the lie is what the
    /// disk holds anyway.
    pub(super) fn overwritten(&self, lie: Lie) -> Option<Self> {
        let disk = self.disk.copied(1);
        let kept = keep_on(&disk).load().expect("a manifest");
        let current = kept.and_then(|kept| kept.pack).expect("a pack");
        let planted = lie.planted().to_bytes();
        if planted == current {
            return None;
        }
        let folder = Path::new(FOLDER).join(ENVIRONMENT);
        let names = disk.list(&folder).expect("a folder");
        let name = names
            .iter()
            .find(|name| disk.contents(&folder.join(name)).as_ref() == Some(&current));
        let path = folder.join(name.expect("the pack is there"));
        disk.remove(&path).expect("it is removed");
        let file: Box<dyn DiskFile> = disk.create_new(&path).expect("it is made");
        file.write_all_at(&planted, 0).expect("it is written");
        Some(Self::boot(self.ground, disk, lie))
    }
}
