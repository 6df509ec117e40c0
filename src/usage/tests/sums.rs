//! A store that keeps sums in memory, and what a lane makes of its answers.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{
    clock::{Ambient, Clock, Entropy, UnixMs},
    disk::{
        journal::{Committer, Durability, Journal, JournalOptions, Recovered},
        memory::{MemoryDisk, Random},
    },
    usage::{
        Gatherer, HourCount, Intake, Report, SinkError, SinkFuture, Tally, UsageBatch,
        UsageCounters, UsageSink, UsageTaken, hour_of,
        lane::{Lane, Moved},
    },
};

pub(super) const NOW: UnixMs = 1_800_000_000_000;

struct Still;

impl Clock for Still {
    fn now_ms(&self) -> UnixMs {
        NOW
    }
}

struct Counted(AtomicU64);

impl Entropy for Counted {
    fn fill(&self, buffer: &mut [u8]) {
        let mut random = Random(self.0.fetch_add(1, Ordering::Relaxed));
        buffer.fill_with(|| random.next() as u8);
    }
}

/// Time that stands still, and journal ids that differ by run.
pub(super) fn ambient(run: u64) -> Ambient {
    Ambient {
        clock: Arc::new(Still),
        entropy: Arc::new(Counted(AtomicU64::new(run))),
        ..Ambient::system()
    }
}

/// One run of an edge's keeping of use.
pub(super) struct Run {
    pub(super) journal: Journal,
    pub(super) committer: Committer,
    pub(super) recovered: Vec<Recovered>,
    pub(super) gatherer: Gatherer,
    pub(super) intake: Intake,
}

impl Run {
    /// None when the disk fails already while it is recovered.
    pub(super) fn open(disk: &MemoryDisk, run: u64) -> Option<Self> {
        let options = JournalOptions {
            folder: PathBuf::from("/data/usage"),
            segment_bytes: 16 * 1024,
            total_bytes_max: 256 * 1024,
            owners: 0,
            owner_bytes_max: 0,
            durability: Durability::Disk,
        };
        let ambient = ambient(run);
        let opened = Journal::open(Arc::new(disk.clone()), options, &ambient).ok()?;
        let (journal, committer, recovered) = opened;
        let (gatherer, intake) = Gatherer::new(journal.clone(), ambient, true);
        Some(Self {
            journal,
            committer,
            recovered,
            gatherer,
            intake,
        })
    }
}

/// What a store remembers.
#[derive(Clone, Default)]
pub(super) struct Sums {
    pub(super) counts: BTreeMap<(String, String), u64>,
    marks: BTreeMap<(String, String), u64>,
}

/// How a store answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Mood {
    #[default]
    Well,
    /// Nobody answers.
    Away,
    /// It takes what comes, and its answer is lost.
    Mute,
    /// It refuses what comes.
    Strict,
    /// It has no such call.
    Older,
}

/// A store in memory; clones share it.
#[derive(Clone, Default)]
pub(super) struct Store {
    pub(super) sums: Arc<Mutex<Sums>>,
    pub(super) mood: Arc<Mutex<Mood>>,
    /// A mistake: it looks at no mark.
    pub(super) is_forgetful: bool,
}

impl Store {
    pub(super) fn sums(&self) -> MutexGuard<'_, Sums> {
        self.sums.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn be(&self, mood: Mood) {
        *self.mood.lock().unwrap_or_else(PoisonError::into_inner) = mood;
    }

    fn answer(&self, environment: &str, batch: &UsageBatch) -> Result<UsageTaken, SinkError> {
        let mood = *self.mood.lock().unwrap_or_else(PoisonError::into_inner);
        let away = || Err(SinkError::Away("a test".to_owned()));
        match mood {
            Mood::Away => return away(),
            Mood::Strict => return Err(SinkError::Refused("a test".to_owned())),
            Mood::Older => return Err(SinkError::Older),
            Mood::Well | Mood::Mute => {}
        }
        let mut sums = self.sums();
        let place = (environment.to_owned(), batch.journal.clone());
        let mark = sums.marks.get(&place).copied().unwrap_or(0);
        let taken = mark == batch.after || self.is_forgetful;
        if taken {
            for count in &batch.counts {
                let flag = (environment.to_owned(), count.flag.clone());
                *sums.counts.entry(flag).or_default() += count.counts.yes;
            }
            sums.marks.insert(place, batch.through);
        }
        match mood {
            Mood::Mute => away(),
            _ => Ok(UsageTaken {
                through: if taken { batch.through } else { mark },
                taken,
                left_out: 0,
            }),
        }
    }
}

impl UsageSink for Store {
    fn take<'a>(&'a self, environment: &'a str, batch: &'a UsageBatch) -> SinkFuture<'a> {
        let answer = self.answer(environment, batch);
        Box::pin(async move { answer })
    }
}

/// One evaluation of one flag.
pub(super) fn once(environment: &str, flag: &str) -> Report {
    let counts = Tally {
        yes: 1,
        ..Tally::default()
    };
    Report {
        environment: environment.to_owned(),
        counts: vec![HourCount {
            hour_ms: hour_of(NOW),
            app: "shop".to_owned(),
            flag: flag.to_owned(),
            seen_ms: NOW,
            counts,
        }],
        bytes: 100,
        ..Report::default()
    }
}

/// A lane of an environment of this run, beside another environment.
pub(super) fn lane(
    run: &Run,
    environment: &str,
    journal: &str,
    store: &Store,
    counters: &Arc<UsageCounters>,
) -> Lane {
    let environments: Arc<[String]> = ["a".to_owned(), "b".to_owned()].into();
    let reader = run.journal.reader(journal).expect("an id");
    Lane::new(
        (environment, &environments),
        (journal, reader),
        Arc::new(store.clone()),
        Arc::clone(counters),
    )
}

/// Writes what was told so far; everything is well with the disk.
async fn written(run: &mut Run) {
    run.gatherer.take_all();
    run.gatherer.write();
    run.committer.step();
    run.gatherer.settle().await;
}

fn sum(store: &Store, environment: &str, flag: &str) -> u64 {
    let place = (environment.to_owned(), flag.to_owned());
    store.sums().counts.get(&place).copied().unwrap_or(0)
}

#[tokio::test]
async fn many_records_become_one_batch_and_environments_stay_apart() {
    let mut run = Run::open(&MemoryDisk::new(1), 1).expect("it opens");
    let store = Store::default();
    for _ in 0..5 {
        run.intake.offer(once("a", "cart")).expect("room");
        run.intake.offer(once("b", "cart")).expect("room");
        run.intake.offer(once("gone", "cart")).expect("room");
        written(&mut run).await;
    }
    let through = run.journal.synced();
    assert_eq!(through, 15);
    let counters = run.intake.counters().clone();
    let id = run.journal.id().to_owned();
    let mut a = lane(&run, "a", &id, &store, &counters);
    assert_eq!(a.step(through).await.expect("a step"), Moved::On);
    assert_eq!(a.step(through).await.expect("a step"), Moved::Idle);
    assert_eq!((sum(&store, "a", "cart"), sum(&store, "b", "cart")), (5, 0));
    assert_eq!(a.done_through(), through);
    let mut b = lane(&run, "b", &id, &store, &counters);
    while b.step(through).await.expect("a step") != Moved::Idle {}
    assert_eq!(sum(&store, "b", "cart"), 5);
    // Nobody ships what is of no environment here; it is counted once.
    let dropped: BTreeMap<_, _> = counters.all_dropped().collect();
    assert_eq!(dropped["other_environment"], 5);
}

#[tokio::test]
async fn a_store_that_is_away_or_older_is_waited_for_and_one_that_refuses_is_not() {
    let mut run = Run::open(&MemoryDisk::new(2), 2).expect("it opens");
    let store = Store::default();
    let counters = run.intake.counters().clone();
    let id = run.journal.id().to_owned();
    let mut lane = lane(&run, "a", &id, &store, &counters);
    run.intake.offer(once("a", "cart")).expect("room");
    written(&mut run).await;
    for mood in [Mood::Away, Mood::Older, Mood::Mute] {
        store.be(mood);
        assert!(lane.step(1).await.is_err(), "{mood:?}");
        assert_eq!(lane.done_through(), 0, "{mood:?}");
    }
    store.be(Mood::Well);
    // It had taken what its lost answer was about.
    while lane.step(1).await.expect("a step") != Moved::Idle {}
    assert_eq!((sum(&store, "a", "cart"), lane.done_through()), (1, 1));
    store.be(Mood::Strict);
    run.intake.offer(once("a", "cart")).expect("room");
    written(&mut run).await;
    let moved = lane.step(2).await.expect("a step");
    assert_eq!(moved, Moved::GivenUp("a test".to_owned()));
    store.be(Mood::Well);
    run.intake.offer(once("a", "cart")).expect("room");
    written(&mut run).await;
    assert_eq!(lane.step(3).await.expect("a step"), Moved::On);
    assert_eq!(sum(&store, "a", "cart"), 2, "what came after is taken");
    let dropped: BTreeMap<_, _> = counters.all_dropped().collect();
    assert_eq!(dropped["refused"], 1);
}

#[tokio::test]
async fn a_store_from_a_backup_gets_again_what_it_lost_and_is_still_here() {
    let mut run = Run::open(&MemoryDisk::new(3), 3).expect("it opens");
    let store = Store::default();
    let counters = run.intake.counters().clone();
    let id = run.journal.id().to_owned();
    let mut lane = lane(&run, "a", &id, &store, &counters);
    let mut backup = None;
    for at in 1..=4 {
        run.intake.offer(once("a", "cart")).expect("room");
        written(&mut run).await;
        while lane.step(at).await.expect("a step") != Moved::Idle {}
        if at == 2 {
            backup = Some(store.sums().clone());
        }
    }
    *store.sums() = backup.expect("a backup");
    run.intake.offer(once("a", "cart")).expect("room");
    written(&mut run).await;
    while lane.step(5).await.expect("a step") != Moved::Idle {}
    assert_eq!(sum(&store, "a", "cart"), 5);
}

#[tokio::test]
async fn what_the_journal_does_not_take_waits_in_memory() {
    let disk = MemoryDisk::new(4);
    let mut run = Run::open(&disk, 4).expect("it opens");
    disk.set_broken(Some(crate::disk::memory::Fault::Io));
    run.intake.offer(once("a", "cart")).expect("room");
    written(&mut run).await;
    assert_eq!(run.journal.synced(), 0);
    run.intake.offer(once("a", "cart")).expect("room");
    run.gatherer.take_all();
    disk.mend();
    run.committer.probe().expect("the disk is well");
    written(&mut run).await;
    let through = run.journal.synced();
    assert!(through > 0);
    let store = Store::default();
    let id = run.journal.id().to_owned();
    let counters = run.intake.counters().clone();
    let mut lane = lane(&run, "a", &id, &store, &counters);
    while lane.step(through).await.expect("a step") != Moved::Idle {}
    assert_eq!(sum(&store, "a", "cart"), 2);
}

#[test]
fn what_waits_is_bounded_and_its_client_is_told() {
    let run = Run::open(&MemoryDisk::new(5), 5).expect("it opens");
    let large = || Report {
        bytes: 1024 * 1024,
        ..once("a", "cart")
    };
    let taken = (0..10)
        .filter(|_| run.intake.offer(large()).is_ok())
        .count();
    assert_eq!(taken * 1024 * 1024, crate::limits::USAGE_QUEUE_BYTES_MAX);
    let closed = Intake::closed();
    assert!((0..100_000).all(|_| closed.offer(large()).is_ok()));
    let dropped: BTreeMap<_, _> = closed.counters().all_dropped().collect();
    assert_eq!(dropped["no_store"], 100_000);
}
