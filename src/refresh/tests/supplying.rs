//! Does a refresher notice what is no failure of a call?
//!
//! An upstream that repeats itself, a root that has ended, a clock that is
//! behind, and somebody who cannot wait for the next turn.

use std::{
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use super::super::*;
use crate::{
    clock::{Ambient, Clock, UnixMs},
    current::{Age, Current},
    disk::{keep::Keep, memory::MemoryDisk},
    snapshot::fixture::{ENVIRONMENT, HOUR, NOW, World},
};

/// A clock that a test moves.
struct HandClock(AtomicU64);

impl Clock for HandClock {
    fn now_ms(&self) -> UnixMs {
        self.0.load(Ordering::SeqCst)
    }
}

/// What upstream does when it is asked for the timestamp.
#[derive(Clone)]
enum Mood {
    Honest,
    Away,
    /// The same file, whatever the edge has.
    Frozen(Vec<u8>),
}

struct Upstream {
    world: Mutex<World>,
    mood: Mutex<Mood>,
    asked: AtomicUsize,
}

impl Upstream {
    fn world<T>(&self, work: impl FnOnce(&mut World) -> T) -> T {
        work(&mut self.world.lock().expect("no panic"))
    }

    fn set(&self, mood: Mood) {
        *self.mood.lock().expect("no panic") = mood;
    }

    fn file(&self) -> Vec<u8> {
        self.world(|world| world.pack().timestamp)
    }

    /// Signs the timestamp again, at this time.
    fn sign(&self, now: UnixMs) {
        self.world(|world| {
            world.timestamp.serial += 1;
            world.timestamp.issued_ms = now;
            world.timestamp.fresh_until_ms = now + HOUR;
            world.timestamp.expires_ms = now + 24 * HOUR;
        });
    }
}

impl SnapshotSource for Upstream {
    fn root<'a>(&'a self, _: &'a str, version: u64) -> SourceFuture<'a, Option<Vec<u8>>> {
        let file = self.world(|world| (world.root.version >= version).then(|| world.root_file()));
        Box::pin(async move { Ok(file) })
    }

    fn timestamp<'a>(
        &'a self,
        _: &'a str,
        unless: Option<&'a str>,
        wait: Duration,
    ) -> SourceFuture<'a, Option<FetchedTimestamp>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mood = self.mood.lock().expect("no panic").clone();
        let file = self.file();
        let validator = crate::snapshot::sha256_hex(&file);
        let known = unless == Some(&validator);
        Box::pin(async move {
            match mood {
                Mood::Away => Err(SourceError::Away("a test".to_owned())),
                Mood::Frozen(file) => Ok(Some(FetchedTimestamp {
                    file,
                    validator: None,
                })),
                Mood::Honest if known => {
                    // Longer than any test takes, when it is asked to wait.
                    tokio::time::sleep(wait).await;
                    Ok(None)
                }
                Mood::Honest => Ok(Some(FetchedTimestamp {
                    file,
                    validator: Some(validator),
                })),
            }
        })
    }

    fn release<'a>(&'a self, _: &'a str, _: u64, _: u64) -> SourceFuture<'a, Vec<u8>> {
        let file = self.world(|world| world.release_file());
        Box::pin(async move { Ok(file) })
    }

    fn control<'a>(&'a self, _: &'a str, _: u64, _: u64) -> SourceFuture<'a, Vec<u8>> {
        let file = self.world(|world| world.control_file());
        Box::pin(async move { Ok(file) })
    }

    fn parts<'a>(&'a self, _: &'a str, _: &'a [Blob]) -> SourceFuture<'a, Blobs> {
        let blobs = self.world(|world| world.blobs.clone());
        Box::pin(async move { Ok(blobs) })
    }
}

/// An edge's half of the way from upstream to evaluators.
struct Scene {
    upstream: Arc<Upstream>,
    clock: Arc<HandClock>,
    disk: MemoryDisk,
    root: Vec<u8>,
}

impl Scene {
    fn set() -> Self {
        let world = World::new();
        Self {
            root: world.root_file(),
            upstream: Arc::new(Upstream {
                world: Mutex::new(world),
                mood: Mutex::new(Mood::Honest),
                asked: AtomicUsize::default(),
            }),
            clock: Arc::new(HandClock(AtomicU64::new(NOW))),
            disk: MemoryDisk::new(1),
        }
    }

    fn at(&self, now: UnixMs) {
        self.clock.0.store(now, Ordering::SeqCst);
    }

    fn boot(&self, patience: Duration) -> (Refresher, Arc<Current>) {
        let current = Arc::new(Current::expecting(1).patient(patience));
        let folder = Path::new("/data/snapshots");
        let keep = Keep::open(Arc::new(self.disk.clone()), folder, ENVIRONMENT);
        let ambient = Ambient {
            clock: self.clock.clone(),
            ..Ambient::system()
        };
        let (refresher, problem) = Refresher::boot(
            ENVIRONMENT,
            &self.root,
            self.upstream.clone(),
            current.clone(),
            Arc::new(keep.expect("it opens")),
            ambient,
            Beside::default(),
        )
        .expect("it boots");
        assert!(problem.is_none(), "{problem:?}");
        (refresher, current)
    }

    fn age(&self, current: &Current) -> Age {
        let live = current.load();
        let live = live.named(ENVIRONMENT).expect("it is live");
        live.freshness.age(self.clock.now_ms())
    }
}

fn status(refresher: &Refresher) -> SupplyStatus {
    refresher.status().lock().expect("no panic").clone()
}

#[tokio::test]
async fn an_upstream_that_repeats_itself_confirms_nothing_past_fresh_until() {
    let scene = Scene::set();
    let (mut refresher, current) = scene.boot(Duration::ZERO);
    refresher.step(Duration::ZERO).await.expect("it publishes");
    assert_eq!(status(&refresher).confirmed_ms, Some(NOW));
    // "Nothing new" confirms as long as what there is may be the newest.
    let later = NOW + HOUR / 2;
    scene.at(later);
    let same = refresher.step(Duration::ZERO).await;
    assert!(matches!(same, Ok(Refreshed::Unchanged)), "{same:?}");
    assert_eq!(status(&refresher).confirmed_ms, Some(later));
    // First a 304, then, without the validator, a copy.
    for hour in [2, 3] {
        scene.at(NOW + hour * HOUR);
        let old = refresher.step(Duration::ZERO).await;
        assert!(matches!(old, Err(RefreshError::Old { .. })), "{old:?}");
    }
    scene.upstream.set(Mood::Frozen(scene.upstream.file()));
    let old = refresher.step(Duration::ZERO).await;
    assert!(matches!(old, Err(RefreshError::Old { .. })), "{old:?}");
    let seen = status(&refresher);
    assert_eq!(seen.error.expect("a reason").name, "upstream_old");
    assert_eq!(seen.failures_in_a_row, 3);
    assert_eq!(seen.confirmed_ms, Some(later), "its age grows");
    assert_eq!(scene.age(&current), Age::Stale, "and it serves on");
    scene.upstream.set(Mood::Honest);
    scene.upstream.sign(NOW + 3 * HOUR);
    let fresher = refresher.step(Duration::ZERO).await;
    assert!(matches!(fresher, Ok(Refreshed::Fresher)), "{fresher:?}");
    let seen = status(&refresher);
    assert_eq!((seen.error, seen.failures_in_a_row), (None, 0));
    assert_eq!(seen.confirmed_ms, Some(NOW + 3 * HOUR));
}

#[tokio::test]
async fn a_store_that_went_back_in_time_has_a_reason_of_its_own() {
    let scene = Scene::set();
    scene.upstream.sign(NOW);
    let old = scene.upstream.file();
    scene.upstream.sign(NOW + 1);
    let (mut refresher, current) = scene.boot(Duration::ZERO);
    refresher.step(Duration::ZERO).await.expect("it publishes");
    scene.upstream.set(Mood::Frozen(old));
    scene.at(NOW + 60_000);
    for _ in 0..3 {
        refresher.step(Duration::ZERO).await.expect_err("a replay");
    }
    let seen = status(&refresher);
    assert_eq!(seen.error.expect("a reason").name, "serial_rollback");
    assert_eq!(seen.failures["serial_rollback"], 3);
    assert_eq!(seen.refused["serial_rollback"], 3);
    assert_eq!(seen.confirmed_ms, Some(NOW));
    assert_eq!(scene.age(&current), Age::Fresh);
}

#[tokio::test]
async fn what_is_old_when_it_comes_is_taken_and_not_confirmed() {
    let scene = Scene::set();
    scene.at(NOW + 2 * HOUR);
    let (mut refresher, current) = scene.boot(Duration::ZERO);
    let taken = refresher.step(Duration::ZERO).await;
    assert!(matches!(taken, Ok(Refreshed::Published(_))), "{taken:?}");
    assert_eq!(scene.age(&current), Age::Stale);
    assert_eq!(status(&refresher).confirmed_ms, None);
}

#[tokio::test]
async fn under_an_expired_root_nothing_new_is_taken_until_there_is_another() {
    let scene = Scene::set();
    let (mut refresher, current) = scene.boot(Duration::ZERO);
    refresher.step(Duration::ZERO).await.expect("it publishes");
    let ends = scene.upstream.world(|world| world.root.expires_ms);
    assert_eq!(status(&refresher).root_expires_ms, Some(ends));
    scene.at(ends + 1);
    scene.upstream.world(World::advance);
    scene.upstream.sign(ends + 1);
    let refused = refresher.step(Duration::ZERO).await.expect_err("expired");
    assert_eq!(refused.name(), "root_expired");
    assert_eq!(status(&refresher).refused["root_expired"], 1);
    let live = current.revision(ENVIRONMENT).expect("it serves on");
    assert_eq!(live.number, 1);
    scene.upstream.world(|world| {
        world.root.version += 1;
        world.root.expires_ms = ends + 1000 * HOUR;
    });
    let taken = refresher.step(Duration::ZERO).await;
    assert!(matches!(taken, Ok(Refreshed::Published(_))), "{taken:?}");
    let seen = status(&refresher);
    assert_eq!(seen.root_expires_ms, Some(ends + 1000 * HOUR));
    assert_eq!(current.revision(ENVIRONMENT).expect("live").number, 2);
}

#[tokio::test]
async fn a_clock_that_is_behind_is_told_and_not_believed() {
    let scene = Scene::set();
    let (mut refresher, _) = scene.boot(Duration::ZERO);
    refresher.step(Duration::ZERO).await.expect("it is kept");
    drop(refresher);
    // The battery was flat.
    scene.at(0);
    let (mut refresher, current) = scene.boot(Duration::ZERO);
    assert_eq!(scene.age(&current), Age::Unjudged);
    let seen = status(&refresher);
    let problem = seen.clock_problem.expect("it is told");
    assert!(problem.contains("clock"), "{problem}");
    assert!(seen.from_disk);
    scene.upstream.sign(NOW + 1);
    let refused = refresher.step(Duration::ZERO).await.expect_err("a future");
    assert!(refused.is_clock_problem(), "{refused}");
    assert!(status(&refresher).clock_problem.is_some());
    scene.at(NOW + 2);
    refresher
        .step(Duration::ZERO)
        .await
        .expect("time came back");
    assert_eq!(status(&refresher).clock_problem, None);
    assert_eq!(scene.age(&current), Age::Fresh);
}

/// Longer than any test takes.
const LONG: Duration = Duration::from_secs(600);

#[tokio::test]
async fn who_wants_a_newer_revision_ends_a_long_poll_and_is_heard_in_an_outage() {
    let scene = Scene::set();
    let (mut refresher, current) = scene.boot(LONG);
    refresher.step(Duration::ZERO).await.expect("it publishes");
    let wanted = |number| Revision { epoch: 0, number };
    let task = refresher.run(LONG, Duration::from_millis(1), LONG);
    let story = async {
        let asked = || scene.upstream.asked.load(Ordering::SeqCst);
        // It hangs in a long poll that nothing will answer.
        while asked() < 2 {
            tokio::task::yield_now().await;
        }
        scene.upstream.world(World::advance);
        scene.upstream.sign(NOW + 1);
        let arrived = current.at_least(ENVIRONMENT, wanted(2), &[0; 32]).await;
        arrived.expect("it was fetched");
        // Upstream goes, and the refresher pauses again and again.
        let before = asked();
        scene.upstream.set(Mood::Away);
        current.asked(ENVIRONMENT).notify_one();
        while asked() < before + 2 {
            tokio::task::yield_now().await;
        }
        scene.upstream.set(Mood::Honest);
        scene.upstream.world(World::advance);
        scene.upstream.sign(NOW + 2);
        let arrived = current.at_least(ENVIRONMENT, wanted(3), &[0; 32]).await;
        arrived.expect("it was fetched");
    };
    tokio::select! {
        () = task => panic!("it runs for ever"),
        () = story => {}
        () = tokio::time::sleep(Duration::from_secs(60)) => panic!("nobody asked upstream"),
    }
}
