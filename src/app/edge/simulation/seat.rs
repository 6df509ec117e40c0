//! What runs on a simulated edge?
//!
//! The ground and the parts of the real one, put together in the same order:
//! journal, last good snapshots, progress, shipping, refresh, the change
//! stream, and the service behind the worker's own connection code. The disk
//! and the clock are the seat's own and outlive every crash.

use std::{
    cell::RefCell,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::{
    sync::{mpsc, watch},
    task::{JoinHandle, spawn_local},
    time::sleep,
};

use super::{judge::Judge, publisher::Publisher, upstream::Upstream};
use crate::{
    app::{
        edge::{
            changes,
            ground::{Ground, Outside},
            limits, origins, segment, sockets,
            supply::Supply,
        },
        shipping::{Shipping, ShippingParts, ShippingStatus},
    },
    clock::{Ambient, Clock, Entropy, LongWork, UnixMs},
    config::{EDGE, EdgeConfig, Settings},
    disk::{
        Disk,
        folder::DataFolder,
        journal::{self, Committer, Journal},
        memory::{MemoryDisk, Random},
    },
    http::{Simulated, serve_here},
    progress::{Progress, Watcher},
    refresh::SupplyStatus,
    server,
    snapshot::{
        fixture::{ENVIRONMENT, NOW},
        trust,
    },
    telemetry::metrics::{HttpCounters, Metrics},
};

/// Where it listens.
pub(super) const PORT: u16 = 80;
/// How much fits on its disk; the journal takes at most half of that.
const DISK_BYTES: u64 = 512 * 1024;
/// What the store may hold a call for, and the pauses after failures.
const WAIT: Duration = Duration::from_secs(3);
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// How edges are set up in one simulation.
#[derive(Clone)]
pub(super) struct Setup {
    pub(super) config: EdgeConfig,
    pub(super) mistake: Option<Mistake>,
}

/// What an edge does wrong.
#[derive(Clone, Copy, Debug)]
pub(super) enum Mistake {
    Trust(trust::Flaw),
    Journal(journal::Flaw),
}

impl Setup {
    /// Unknown users are refused while the store is away, or served as new.
    pub(super) fn new(on_unknown: &str, mistake: Option<Mistake>) -> Self {
        // Settings are checked against the real disk; only the path is used.
        let root = tempfile::NamedTempFile::new().expect("a file");
        let settings = Settings::new(&EDGE)
            .set("upstream.url", "http://store/")
            .set("upstream.trust_root", &root.path().to_string_lossy())
            .set("data", "/data")
            .set("workers", "1")
            .set("on_unknown_subject", on_unknown)
            // It is real time that is measured for it.
            .set("limits.queue_ms_max", "0")
            .set("environment.production.key", "edge-production-simulated");
        let config = EdgeConfig::build(settings).expect("the settings fit");
        Self { config, mistake }
    }
}

/// One edge, through all its lives.
#[derive(Clone)]
pub(super) struct Seat {
    pub(super) number: usize,
    pub(super) disk: MemoryDisk,
    /// How wrong its clock is.
    pub(super) clock_off_ms: Arc<AtomicI64>,
    entropy: Arc<AtomicU64>,
    setup: Setup,
    judge: Judge,
    /// What runs, while it does.
    pub(super) live: Rc<RefCell<Option<Live>>>,
}

/// What others look at.
pub(super) struct Live {
    pub(super) journal: Journal,
    pub(super) progress: Progress,
    shipping: Arc<std::sync::Mutex<ShippingStatus>>,
    supply: Arc<std::sync::Mutex<SupplyStatus>>,
    http: Arc<HttpCounters>,
}

impl Seat {
    pub(super) fn new(
        number: usize,
        seed: u64,
        publisher: &Publisher,
        setup: &Setup,
        judge: &Judge,
    ) -> Self {
        let disk = MemoryDisk::new(seed ^ number as u64);
        let root = &setup.config.upstream().trust_root;
        let folder = root.parent().expect("a path of a file");
        let written = disk.create_dir_all(folder).and_then(|()| {
            let file = disk.create_new(root)?;
            file.write_all_at(&publisher.root(), 0)?;
            file.sync_all()?;
            disk.sync_dir(folder)
        });
        written.expect("a new disk");
        disk.set_capacity(Some(DISK_BYTES));
        Self {
            number,
            disk,
            clock_off_ms: Arc::default(),
            entropy: Arc::new(AtomicU64::new(
                seed.wrapping_mul(31) ^ ((number as u64) << 40),
            )),
            setup: setup.clone(),
            judge: judge.clone(),
            live: Rc::default(),
        }
    }

    /// Its name in the network.
    pub(super) fn name(&self) -> String {
        name(self.number)
    }

    /// Nothing is left to ship, and nothing of earlier lives.
    pub(super) fn is_drained(&self) -> bool {
        let live = self.live.borrow();
        live.as_ref().is_some_and(|live| {
            let shipping = live.shipping.lock().expect("nobody panicked");
            live.progress.backlog() == 0 && shipping.journals_open == 0
        })
    }

    /// How it is, for whoever looks into a failure.
    pub(super) fn tell(&self) {
        if let Some(live) = &*self.live.borrow() {
            let shipping = live.shipping.lock().expect("nobody panicked");
            let supply = live.supply.lock().expect("nobody panicked");
            let (name, status) = (self.name(), live.journal.status());
            self.judge
                .tell(&format!("{name}: {status:?} {shipping:?} {supply:?}"));
        }
    }

    /// The host has crashed, or the simulation is over: what is known of this
    /// life is counted.
    pub(super) fn end(&self) {
        let Some(live) = self.live.borrow_mut().take() else {
            return;
        };
        let supply = live.supply.lock().expect("nobody panicked");
        for (name, times) in &supply.refused {
            self.judge.add("documents refused", *times);
            self.judge.add(name, *times);
        }
        let status = live.journal.status();
        self.judge.add("commits", status.commits);
        self.judge.add("failed commits", status.failed_commits);
        if live.http.panics.get() > 0 {
            self.judge.wrong("panic: a handler panicked".to_owned());
        }
    }

    /// Boots, and serves until the host crashes. Where booting fails it is
    /// tried again, as whoever supervises a process does.
    pub(super) async fn run(self) -> turmoil::Result {
        loop {
            let supply = Supply::simulated(Arc::new(Upstream), Arc::new(Upstream));
            let disk: Arc<dyn Disk> = Arc::new(self.disk.clone());
            let laid = DataFolder::simulated(&*disk, self.setup.config.data())
                .map_err(|error| error.to_string())
                .and_then(|folder| {
                    let outside = Outside {
                        disk,
                        folder,
                        supply,
                    };
                    Ground::lay(&self.setup.config, outside, &self.ambient()).map_err(|error| {
                        format!("{error}: {:?}", std::error::Error::source(&error))
                    })
                });
            match laid {
                Ok(ground) => return self.serve(ground).await,
                Err(error) => {
                    self.judge.count("failed boots");
                    self.judge
                        .tell(&format!("{} cannot boot: {error}", self.name()));
                    sleep(PAUSE_MAX).await;
                }
            }
        }
    }

    async fn serve(self, ground: Ground) -> turmoil::Result {
        let ambient = self.ambient();
        let config = &self.setup.config;
        let recovered: u64 = ground.recovered.iter().map(|old| old.records).sum();
        self.judge.add("records recovered", recovered);
        let torn = ground.recovered.iter().filter(|old| old.torn_tail).count();
        self.judge.add("torn tails", torn as u64);
        let metrics = Metrics::new();
        let Ground {
            journal,
            committer,
            recovered,
            kept,
            supply,
            current,
            progress,
            reader,
            refreshers,
            ..
        } = ground;
        let shipping = Shipping::new(ShippingParts {
            progress: progress.clone(),
            ledger: supply.ledger_or_none(),
            current: current.clone(),
            journal: journal.clone(),
            recovered,
            kept,
            environments: vec![ENVIRONMENT.to_owned()],
            ambient: ambient.clone(),
            pause_first: PAUSE_FIRST,
            pause_max: PAUSE_MAX,
        });
        let counters = metrics.http("edge");
        let supply_status = refreshers[0].status();
        *self.live.borrow_mut() = Some(Live {
            journal: journal.clone(),
            progress: progress.clone(),
            shipping: shipping.status.clone(),
            supply: supply_status,
            http: counters.clone(),
        });
        let mut committer = committer;
        if let Some(Mistake::Journal(flaw)) = self.setup.mistake {
            committer.be_flawed(flaw);
        }
        let tasks = FuturesUnordered::new();
        let task = |name: &'static str, task: JoinHandle<()>| async move { (name, task.await) };
        tasks.push(task(
            "journal",
            spawn_local(commit(committer, journal, self.entropy.clone())),
        ));
        tasks.push(task("reader", spawn_local(reader.run())));
        let watcher = Watcher::new(
            &progress,
            supply.ledger_or_none(),
            ENVIRONMENT,
            ambient.clone(),
        );
        tasks.push(task(
            "watching",
            spawn_local(watcher.run(WAIT, PAUSE_FIRST, PAUSE_MAX)),
        ));
        for mut refresher in refreshers {
            if let Some(Mistake::Trust(flaw)) = self.setup.mistake {
                refresher.be_flawed(flaw);
            }
            tasks.push(task(
                "refresh",
                spawn_local(refresher.run(WAIT, PAUSE_FIRST, PAUSE_MAX)),
            ));
        }
        let (stop, stopped) = watch::channel(false);
        tasks.push(task(
            "shipping",
            spawn_local(shipping.run(ENVIRONMENT.to_owned(), stopped)),
        ));
        let edge = server::Edge {
            current,
            samples: None,
            progress,
            changes: changes(config, &ambient),
            sockets: sockets(config),
            ambient,
            metrics,
            origins: origins(config),
            limits: limits(config),
            distribution: None,
            traces_per_million: None,
            segment: segment(config),
            usage: crate::usage::Intake::closed(),
        };
        let (sender, connections) = mpsc::channel(16);
        tasks.push(task(
            "serving",
            spawn_local(serve_here(edge.service(), connections, counters)),
        ));
        tasks.push(task("accepting", spawn_local(accept(sender))));
        let mut tasks = tasks;
        let ended = tasks.next().await;
        drop(stop);
        // None of them ends by itself.
        self.judge
            .wrong(format!("panic: a task has ended: {ended:?}"));
        Ok(())
    }

    fn ambient(&self) -> Ambient {
        Ambient {
            clock: Arc::new(SeatClock(self.clock_off_ms.clone())),
            entropy: Arc::new(Counted(self.entropy.clone())),
            long_work: LongWork::InPlace,
        }
    }
}

/// An edge's name in the network.
pub(super) fn name(number: usize) -> String {
    format!("edge-{number}")
}

/// What the time is everywhere, as long as a clock is right.
pub(super) fn now_ms() -> UnixMs {
    let elapsed = turmoil::sim_elapsed().unwrap_or_default();
    NOW + elapsed.as_millis() as u64
}

async fn accept(sender: mpsc::Sender<Simulated<turmoil::net::TcpStream>>) {
    let Ok(listener) = turmoil::net::TcpListener::bind(("0.0.0.0", PORT)).await else {
        return;
    };
    while let Ok((stream, peer)) = listener.accept().await {
        if sender.send(Simulated { stream, peer }).await.is_err() {
            return;
        }
    }
}

/// Drives the journal's steps; each sync takes its time.
async fn commit(mut committer: Committer, journal: Journal, entropy: Arc<AtomicU64>) {
    let mut random = Random(entropy.fetch_add(1, Ordering::Relaxed));
    loop {
        sleep(Duration::from_millis(1 + random.below(8) as u64)).await;
        committer.step();
        if !journal.writable() && random.chance(20) {
            // The error is in the journal's status.
            committer.probe().ok();
        }
    }
}

struct SeatClock(Arc<AtomicI64>);

impl Clock for SeatClock {
    fn now_ms(&self) -> UnixMs {
        now_ms().saturating_add_signed(self.0.load(Ordering::Relaxed))
    }
}

/// Bytes that differ and can be repeated.
struct Counted(Arc<AtomicU64>);

impl Entropy for Counted {
    fn fill(&self, buffer: &mut [u8]) {
        let mut random = Random(self.0.fetch_add(1, Ordering::Relaxed));
        buffer.fill_with(|| random.next() as u8);
    }
}
