//! One run of an edge, every part of which moves only when told.
//!
//! Futures are polled by hand with a waker that does nothing: whatever order
//! a test wants is the order that happens.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
};

use super::{
    ledger::SimLedger,
    world::{ENVIRONMENT, World},
};
use crate::{
    clock::{Ambient, Entropy},
    disk::{
        journal::{Committer, Durability, Journal, JournalOptions, Recovered},
        memory::{MemoryDisk, Random},
    },
    progress::{
        OnUnknownSubject, Progress, ProgressOptions, Watcher,
        event::Event,
        note_journal, restore,
        shipper::{Lane, Shipped},
        stepping::Flaw,
    },
};

/// A future in a box.
pub(super) type Task<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Lets a task come as far as it can.
pub(super) fn poll<T>(task: &mut Task<T>) -> Option<T> {
    match task.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

/// Gives up the turn once.
pub(super) async fn turn() {
    let mut given = false;
    std::future::poll_fn(|_| match std::mem::replace(&mut given, true) {
        true => Poll::Ready(()),
        false => Poll::Pending,
    })
    .await;
}

/// How an edge is set up.
#[derive(Clone, Copy)]
pub(super) struct Setup {
    pub(super) on_unknown: OnUnknownSubject,
    pub(super) records_max: usize,
    pub(super) resident_max: usize,
    pub(super) durability: Durability,
    pub(super) flaw: Option<Flaw>,
    /// Tells the journals of several edges apart.
    pub(super) seat: u64,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            on_unknown: OnUnknownSubject::ServeAsNew,
            records_max: 1_000,
            resident_max: 1_000,
            durability: Durability::Disk,
            flaw: None,
            seat: 0,
        }
    }
}

/// A running edge.
pub(super) struct SimEdge {
    pub(super) journal: Journal,
    pub(super) committer: Committer,
    pub(super) progress: Progress,
    pub(super) recovered: Vec<Recovered>,
    reader: Task<()>,
    shipping: Task<()>,
    watching: Task<()>,
}

impl SimEdge {
    /// Recovers what the disk holds and is ready for requests.
    pub(super) fn boot(disk: &MemoryDisk, ledger: &SimLedger, world: &World, setup: Setup) -> Self {
        let options = JournalOptions {
            folder: "/data/journal".into(),
            segment_bytes: 8192,
            total_bytes_max: 1 << 20,
            owners: 1,
            owner_bytes_max: u64::MAX,
            durability: setup.durability,
        };
        let ambient = Ambient {
            entropy: Arc::new(Counted(AtomicU64::new(
                disk.operations() + (setup.seat << 32),
            ))),
            ..Ambient::system()
        };
        let (journal, committer, recovered) =
            Journal::open(Arc::new(disk.clone()), options, &ambient).expect("it opens");
        let live = journal.clone();
        ledger.look().journals.insert(setup.seat, live);
        let shared = Arc::new(ledger.clone());
        let (progress, reader) = Progress::flawed(
            journal.clone(),
            shared.clone(),
            ProgressOptions {
                users_max: 1_000,
                resident_max: setup.resident_max,
                records_max: setup.records_max,
                on_unknown: setup.on_unknown,
                edge: "edge".to_owned(),
                environments: vec![ENVIRONMENT.to_owned()],
            },
            setup.flaw,
        );
        for old in &recovered {
            put_back(&progress, &journal, world, old);
        }
        let watcher = Watcher::new(&progress, shared, ENVIRONMENT, ambient);
        let lanes = Lanes {
            progress: progress.clone(),
            journal: journal.clone(),
            ledger: ledger.clone(),
            world: world.clone(),
        };
        Self {
            shipping: Box::pin(lanes.run(recovered.clone())),
            reader: Box::pin(reader.run()),
            watching: Box::pin(watch(watcher)),
            journal,
            committer,
            progress,
            recovered,
        }
    }

    /// One commit, or an attempt to write again.
    pub(super) fn commit(&mut self) {
        self.committer.step();
        if !self.journal.writable() {
            // The error is in the journal's status.
            drop(self.committer.probe());
        }
    }

    pub(super) fn turn_reader(&mut self) {
        poll(&mut self.reader);
    }

    /// Hears what others have changed.
    pub(super) fn turn_watching(&mut self) {
        poll(&mut self.watching);
    }

    pub(super) fn turn_shipping(&mut self) {
        poll(&mut self.shipping);
    }

    /// Runs a request to its end with everything moving.
    pub(super) fn finish<T>(&mut self, mut task: Task<T>) -> T {
        for _ in 0..100 {
            if let Some(value) = poll(&mut task) {
                return value;
            }
            self.turn_reader();
            self.commit();
        }
        panic!("the request never ends");
    }

    /// Ships until nothing moves.
    pub(super) fn ship(&mut self) {
        for _ in 0..100 {
            self.turn_shipping();
        }
    }
}

async fn watch(mut watcher: Watcher) {
    loop {
        // A call that fails is made again at the next turn.
        drop(watcher.step(std::time::Duration::ZERO).await);
        turn().await;
    }
}

fn put_back(progress: &Progress, journal: &Journal, world: &World, old: &Recovered) {
    note_journal(progress, &old.journal);
    let Some(last) = old.last else { return };
    let mut reader = journal.reader(&old.journal).expect("it opens");
    loop {
        let records = reader.read(last, 100, 1 << 20).expect("it reads");
        if records.is_empty() {
            return;
        }
        for record in records {
            let event: Event = serde_json::from_slice(&record.body).expect("a record");
            let slot = world.current.slot(&event.environment_uid);
            let place = (old.journal.as_str(), record.seq);
            restore(progress, slot, place, record.body.len(), &event);
        }
    }
}

/// Shipping in the order the program has it: earlier journals first.
struct Lanes {
    progress: Progress,
    journal: Journal,
    ledger: SimLedger,
    world: World,
}

impl Lanes {
    fn lane(&self, journal: &str) -> Lane {
        Lane::new(
            self.progress.clone(),
            Arc::new(self.ledger.clone()),
            ENVIRONMENT,
            self.world.current.clone(),
            journal,
            self.journal.reader(journal).expect("it opens"),
        )
    }

    /// Removes what is done with; a disk that fails keeps its files.
    fn clear(&self, finished: &mut Vec<String>, live: Option<u64>) {
        while let Some(oldest) = finished.first() {
            if self.journal.remove_finished(oldest).is_err() {
                return;
            }
            finished.remove(0);
        }
        if let Some(through) = live {
            drop(self.journal.retire(self.journal.id(), through));
        }
    }

    async fn run(self, recovered: Vec<Recovered>) {
        let mut finished = Vec::new();
        for old in recovered {
            if let Some(last) = old.last {
                let mut lane = self.lane(&old.journal);
                loop {
                    if let Ok(Shipped::Idle) = lane.step(last).await
                        && lane.close().await.is_ok()
                    {
                        break;
                    }
                    turn().await;
                }
            }
            // In order, as the program does.
            finished.push(old.journal);
            self.clear(&mut finished, None);
        }
        let id = self.journal.id().to_owned();
        let mut lane = self.lane(&id);
        loop {
            if let Ok(Shipped::Moved { .. }) = lane.step(self.journal.synced()).await {
                self.clear(&mut finished, Some(lane.done_through()));
            }
            turn().await;
        }
    }
}

/// Journal ids that differ and can be repeated.
struct Counted(AtomicU64);

impl Entropy for Counted {
    fn fill(&self, buffer: &mut [u8]) {
        let mut random = Random(self.0.fetch_add(1, Ordering::Relaxed) ^ 0xf10a);
        buffer.fill_with(|| random.next() as u8);
    }
}
