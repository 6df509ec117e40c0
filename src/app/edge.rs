//! How does an edge start and stop?
//!
//! Start, bind early and be ready late: data folder and its lock → journal
//! recovered → last good snapshots, verified again and published → records of
//! earlier runs back in memory → listeners → tasks. Stop: not ready → grace →
//! no new connections, running requests finish → sources end → journal synced
//! → a last attempt to ship → end. Every wait has its deadline.

use std::{
    collections::{BTreeSet, HashMap},
    num::NonZeroUsize,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use tokio::sync::watch;

use super::{
    Addresses, StartError,
    control::Control,
    facts::Watched,
    shipping::{Shipping, ShippingParts},
};
use crate::{
    clock::Ambient,
    config::{Ack, EdgeConfig},
    current::Current,
    disk::{
        Disk, RealDisk,
        folder::DataFolder,
        journal::{Durability, Journal, JournalOptions, Recovered},
        keep::Keep,
    },
    http::{self, Deadlines, Listener, Options},
    progress::{Progress, event::Event, note_journal, restore},
    refresh::Refresher,
    server,
    telemetry::metrics::Metrics,
    upstream::{HttpUpstream, HttpUpstreamOptions},
};

/// Largest file taken as a trust root.
const TRUST_ROOT_BYTES_MAX: u64 = crate::limits::DOCUMENT_BYTES_MAX as u64;

/// The admin listener answers a handful of probes and scrapers.
const ADMIN_CONNECTIONS_MAX: usize = 256;

/// A running edge.
pub struct Edge {
    public: http::Server,
    admin: http::Server,
    control: Control,
    stopping: Arc<AtomicBool>,
    stop_shipping: watch::Sender<bool>,
    /// Closed when every lane has ended.
    shipped: tokio::sync::mpsc::Receiver<()>,
    journal: Journal,
    committer: JoinHandle<()>,
    current: Arc<Current>,
    watched: Arc<Watched>,
    grace: Duration,
    drain: Duration,
    /// Released last: nobody else may use the folder before everything ended.
    folder: DataFolder,
}

impl Edge {
    /// Starts everything; returns when the listeners are bound.
    pub fn start(config: EdgeConfig, ambient: Ambient) -> Result<Self, StartError> {
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let folder = DataFolder::open(&*disk, config.data())?;
        let (journal, committer, recovered) = open_journal(&config, &folder, &disk, &ambient)?;
        let upstream = Arc::new(upstream(&config)?);
        let current = Arc::new(Current::default());
        let (progress, reader) = Progress::new(
            journal.clone(),
            upstream.clone(),
            config.subjects().cached_max,
            config.subjects().pending_max,
            config.on_unknown_subject(),
            &edge_name(&ambient),
        );
        let mut watched = Watched::new(&config, current.clone(), &progress, &journal);
        let mut refreshers = Vec::new();
        for environment in config.environments() {
            let refresher = boot(
                &config,
                &folder,
                &disk,
                &ambient,
                &upstream,
                &current,
                &environment.name,
            )?;
            watched.supply(&environment.name, refresher.status());
            refreshers.push(refresher);
        }
        let kept = put_back(&progress, &journal, &current, &recovered, &names(&config));

        let public_listener = Listener::bind(config.listen())?;
        let admin_listener = Listener::bind(config.admin_listen())?;
        let committer = std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || committer.run())
            .map_err(StartError::Thread)?;
        let mut control = Control::start("edge-control").map_err(StartError::Thread)?;
        let shipping = Shipping::new(ShippingParts {
            progress: progress.clone(),
            ledger: upstream,
            current: current.clone(),
            journal: journal.clone(),
            recovered,
            kept,
            environments: names(&config),
            ambient: ambient.clone(),
            pause_first: config.upstream().backoff_min,
            pause_max: config.upstream().backoff_max,
        });
        watched.shipping(shipping.status.clone(), control.panics());
        let watched = Arc::new(watched);

        let metrics = Metrics::new();
        let edge = server::Edge {
            current: current.clone(),
            progress,
            ambient: ambient.clone(),
            metrics: metrics.clone(),
            origins: config.cors_origins().clone(),
        };
        let public = http::serve(
            public_listener,
            public_options(&config),
            &metrics,
            move |_| edge.service(),
        )?;
        let admin = server::Admin {
            current: current.clone(),
            ambient: ambient.clone(),
            metrics: metrics.clone(),
            status: watched.clone(),
        };
        admin.register();
        let admin = http::serve(admin_listener, admin_options(), &metrics, move |_| {
            admin.service()
        })?;

        control.spawn("read-through", reader.run());
        for refresher in refreshers {
            let wait = config.upstream().poll_wait;
            let (first, longest) = (config.upstream().backoff_min, config.upstream().backoff_max);
            control.spawn("refresh", refresher.run(wait, first, longest));
        }
        let (stop_shipping, stop) = watch::channel(false);
        let (alive, shipped) = tokio::sync::mpsc::channel(1);
        for name in names(&config) {
            let lane = shipping.clone().run(name, stop.clone());
            let alive = alive.clone();
            control.spawn("shipping", async move {
                lane.await;
                drop(alive);
            });
        }
        Ok(Self {
            public,
            admin,
            control,
            stopping: watched.stopping(),
            stop_shipping,
            shipped,
            journal,
            committer,
            current,
            watched,
            grace: config.stop().grace,
            drain: config.stop().drain,
            folder,
        })
    }

    /// Bound addresses.
    pub fn addresses(&self) -> Addresses {
        Addresses {
            edge: Some(self.public.address()),
            admin: Some(self.admin.address()),
            store: None,
        }
    }

    /// Whether every required environment answers evaluations.
    pub(super) fn is_ready(&self) -> bool {
        self.watched.not_ready().is_none()
    }

    /// What stands in the way of readiness.
    pub(super) fn why_not_ready(&self) -> String {
        self.watched
            .not_ready()
            .unwrap_or_else(|| "it is ready now".to_owned())
    }

    /// Waits for the next snapshot, for at most this long.
    pub(super) fn wait_for_publish(&self, longest: Duration) {
        let mut published = self.current.watch();
        self.control.run(async move {
            // Either is reason enough to look again.
            drop(tokio::time::timeout(longest, published.changed()).await);
        });
    }

    /// Stops everything in order; returns when it is done.
    pub fn stop(self) {
        let Self {
            public,
            admin,
            control,
            stopping,
            stop_shipping,
            mut shipped,
            journal,
            committer,
            grace,
            drain,
            folder,
            ..
        } = self;
        stopping.store(true, Ordering::Release);
        std::thread::sleep(grace);
        // None only when the control thread has died; then nothing runs there.
        control.run(async move { public.drain(drain).await });
        journal.shutdown();
        if committer.join().is_err() {
            tracing::error!("the journal's thread had panicked");
        }
        stop_shipping.send_replace(true);
        control.run(async move {
            if tokio::time::timeout(drain, shipped.recv()).await.is_err() {
                tracing::warn!("steps are left in the journal; the next start ships them");
            }
            admin.drain(Duration::from_secs(1)).await;
        });
        control.stop();
        drop(folder);
    }
}

fn open_journal(
    config: &EdgeConfig,
    folder: &DataFolder,
    disk: &Arc<dyn Disk>,
    ambient: &Ambient,
) -> Result<(Journal, crate::disk::journal::Committer, Vec<Recovered>), StartError> {
    let settings = config.journal();
    let options = JournalOptions {
        folder: folder.journal(),
        segment_bytes: settings.segment_bytes,
        total_bytes_max: settings.total_bytes_max,
        durability: match settings.ack {
            Ack::Disk => Durability::Disk,
            Ack::Memory => Durability::Memory,
        },
    };
    let opened = Journal::open(disk.clone(), options, ambient);
    let (journal, committer, recovered) = opened.map_err(|cause| StartError::Journal {
        folder: folder.journal(),
        cause,
    })?;
    for old in &recovered {
        tracing::info!(journal = %old.journal, records = old.records, torn_tail = old.torn_tail,
            quarantined = old.quarantined, "a journal of an earlier run was recovered");
        for problem in &old.problems {
            tracing::warn!(journal = %old.journal, problem, "found while recovering");
        }
    }
    Ok((journal, committer, recovered))
}

fn upstream(config: &EdgeConfig) -> Result<HttpUpstream, StartError> {
    let keys: HashMap<String, String> = config
        .environments()
        .iter()
        .map(|environment| {
            let key = environment.key.expose().to_owned();
            (environment.name.clone(), key)
        })
        .collect();
    Ok(HttpUpstream::new(HttpUpstreamOptions {
        url: config.upstream().url.clone(),
        keys,
        timeout: config.upstream().timeout,
    })?)
}

/// The last good snapshot of one environment, verified again and in force.
fn boot(
    config: &EdgeConfig,
    folder: &DataFolder,
    disk: &Arc<dyn Disk>,
    ambient: &Ambient,
    upstream: &Arc<HttpUpstream>,
    current: &Arc<Current>,
    environment: &str,
) -> Result<Refresher, StartError> {
    let root = read_root(&**disk, &config.upstream().trust_root)?;
    let keep = Keep::open(disk.clone(), &folder.snapshots(), environment);
    let keep = keep.map_err(|cause| StartError::Keep {
        environment: environment.to_owned(),
        cause,
    })?;
    let booted = Refresher::boot(
        environment,
        &root,
        upstream.clone(),
        current.clone(),
        Arc::new(keep),
        ambient.clone(),
    );
    let (refresher, problem) = booted.map_err(|cause| StartError::Trust {
        environment: environment.to_owned(),
        cause,
    })?;
    if let Some(error) = problem {
        tracing::error!(environment, reason = error.name(), %error,
            "the kept snapshot was refused; waiting for upstream");
    }
    Ok(refresher)
}

fn read_root(disk: &dyn Disk, path: &Path) -> Result<Vec<u8>, StartError> {
    disk.read(path, TRUST_ROOT_BYTES_MAX)
        .map_err(|cause| StartError::File {
            path: path.to_owned(),
            cause,
        })
}

/// Every record the ledger may not have, back under its user. Returns the
/// journals that hold records nobody here will ship.
fn put_back(
    progress: &Progress,
    journal: &Journal,
    current: &Current,
    recovered: &[Recovered],
    environments: &[String],
) -> BTreeSet<String> {
    let mut kept = BTreeSet::new();
    for old in recovered {
        note_journal(progress, &old.journal);
        let Some(last) = old.last else { continue };
        let id = old.journal.as_str();
        let restored = put_back_journal(progress, journal, current, (id, last), environments);
        match restored {
            Ok(0) => {}
            Ok(strangers) => {
                tracing::warn!(
                    journal = id,
                    records = strangers,
                    "records of environments that are not configured, or of a newer release, stay in the journal"
                );
                kept.insert(old.journal.clone());
            }
            // Shipping reads it again and says more.
            Err(error) => {
                tracing::error!(journal = id, %error, "a recovered journal cannot be read");
            }
        }
    }
    kept
}

/// Returns how many records are not for this edge to ship.
fn put_back_journal(
    progress: &Progress,
    journal: &Journal,
    current: &Current,
    (id, last): (&str, u64),
    environments: &[String],
) -> std::io::Result<u64> {
    const AT_ONCE: usize = 1_024;
    let name: Arc<str> = id.into();
    let mut reader = journal.reader(id)?;
    let mut strangers = 0;
    loop {
        let records = reader.read(last, AT_ONCE, crate::limits::SHIP_BYTES_MAX)?;
        if records.is_empty() {
            return Ok(strangers);
        }
        for record in records {
            match serde_json::from_slice::<Event>(&record.body) {
                Ok(event) if environments.contains(&event.environment) => {
                    let slot = current.slot(&event.environment_uid);
                    restore(progress, slot, &name, record.seq, event);
                }
                _ => strangers += 1,
            }
        }
    }
}

fn names(config: &EdgeConfig) -> Vec<String> {
    let environments = config.environments().iter();
    environments.map(|own| own.name.clone()).collect()
}

/// Names this run of this edge in its records.
fn edge_name(ambient: &Ambient) -> String {
    format!("edge-{}", ambient.hex::<4>())
}

fn public_options(config: &EdgeConfig) -> Options {
    Options {
        name: "edge",
        workers: config.workers(),
        connections_max: config.limits().connections_max,
        connections_per_address_max: config.limits().connections_per_address_max,
        deadlines: Deadlines::default(),
    }
}

fn admin_options() -> Options {
    Options {
        name: "admin",
        workers: NonZeroUsize::MIN,
        connections_max: ADMIN_CONNECTIONS_MAX,
        connections_per_address_max: ADMIN_CONNECTIONS_MAX,
        deadlines: Deadlines::default(),
    }
}
