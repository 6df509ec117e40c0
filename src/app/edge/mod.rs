//! How does an edge start and stop?
//!
//! Start, bind early and be ready late: data folder and its lock → journal
//! recovered → last good snapshots, verified again and published → records of
//! earlier runs back in memory → listeners → tasks. Stop: not ready → grace →
//! no new connections, running requests finish → sources end → journal synced
//! → a last attempt to ship → end. Every wait has its deadline.

mod ground;
mod offline;
#[cfg(test)]
mod simulation;
mod supply;

pub use offline::Offline;

use std::{
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use tokio::sync::{mpsc, watch};

use super::{
    Addresses, StartError,
    control::Control,
    facts::Watched,
    reporting::Reporting,
    shipping::{Shipping, ShippingParts},
    tls::{Secured, proxies},
    usage::{Keeping, Usage},
};
use crate::{
    clock::Ambient,
    config::{CorsOrigins, EdgeConfig, Secret},
    current::Current,
    disk::{
        RealDisk,
        folder::DataFolder,
        journal::{Journal, Pressure},
    },
    guard::{Collector, Context, Reservoirs},
    http::{self, Deadlines, Listener, Options},
    limits::GUARD_QUEUE_MAX,
    progress::{Progress, ProgressLedger, Watcher},
    refresh::Refresher,
    server,
    telemetry::metrics::Metrics,
    usage::UsageSink,
};
use ground::{Ground, Outside};
use supply::Supply;

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
    shipped: mpsc::Receiver<()>,
    journal: Journal,
    committer: JoinHandle<()>,
    /// None where the use of flags is kept nowhere.
    usage: Option<Keeping>,
    current: Arc<Current>,
    watched: Arc<Watched>,
    supply: Supply,
    secured: Secured,
    grace: Duration,
    drain: Duration,
    /// Released last: nobody else may use the folder before everything ended.
    folder: DataFolder,
}

impl Edge {
    /// Starts everything; returns when the listeners are bound.
    pub fn start(config: EdgeConfig, ambient: Ambient) -> Result<Self, StartError> {
        let mut secured = Secured::new(&ambient);
        let tls = secured.listener("edge", config.tls())?;
        let admin_tls = secured.listener("admin", config.admin_tls())?;
        let outside = Outside::real(&config, &mut secured)?;
        let ground = Ground::lay(&config, outside, &ambient)?;
        let public = Listener::open(config.listen())?.secured(tls);
        let public = public.behind(proxies(config.proxies()));
        let admin = Listener::open(config.admin_listen())?.secured(admin_tls);
        let Ground {
            folder,
            journal,
            committer,
            recovered,
            kept,
            supply,
            current,
            progress,
            reader,
            refreshers,
            reservoirs,
            mut watched,
            identity,
        } = ground;
        let following = supply.follow_tls();
        let watchers = match &supply.ledger {
            Some(ledger) => watchers(&config, &progress, ledger, &ambient, &mut watched),
            None => Vec::new(),
        };
        let committer = std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || committer.run())
            .map_err(StartError::Thread)?;
        let mut control = Control::start("edge-control").map_err(StartError::Thread)?;
        let shipping = Shipping::new(ShippingParts {
            progress: progress.clone(),
            ledger: supply.ledger_or_none(),
            current: current.clone(),
            journal: journal.clone(),
            recovered,
            kept,
            environments: names(&config),
            ambient: ambient.clone(),
            pause_first: config.upstream().backoff_min,
            pause_max: config.upstream().backoff_max,
        });
        control.spawn("certificates", secured.follow());
        for following in following {
            control.spawn("upstream certificates", following);
        }
        watched.shipping(shipping.status.clone(), control.panics());
        let usage = usage(&config, &folder, &supply, &ambient)?;
        watched.usage(usage.watch());
        watched.ledger(supply.ledger.is_some());
        let watched = Arc::new(watched);
        let (samples, collector) = sampling(&current, reservoirs);
        let reporting = supply.store.clone().map(|store| Reporting {
            watched: watched.clone(),
            current: current.clone(),
            store,
            ambient: ambient.clone(),
            edge: identity,
            status: watched.reports(),
        });
        let service = server::Edge {
            current: current.clone(),
            samples,
            progress,
            changes: changes(&config, &ambient),
            sockets: sockets(&config),
            ambient,
            metrics: Metrics::new(),
            origins: origins(&config),
            limits: limits(&config),
            distribution: supply.distribution(&config),
            traces_per_million: config.traces().map(|traces| traces.per_million),
            segment: segment(&config),
            usage: usage.intake(),
        };
        secured.measure(&service.metrics);
        usage.measure(&service.metrics);
        let (public, admin) = serve(&config, service, watched.clone(), public, admin)?;

        let usage = usage.run(&mut control)?;
        control.spawn("read-through", reader.run());
        control.spawn("journal-pressure", say_pressure(journal.clone()));
        if let Some(collector) = collector {
            control.spawn("sampling", collector.run());
        }
        if let Some(reporting) = reporting {
            control.spawn("reporting", reporting.run());
        }
        listen(&config, refreshers, watchers, &mut control);
        let lanes = supply
            .ledger
            .as_ref()
            .map_or(Vec::new(), |_| names(&config));
        let (stop_shipping, shipped) = ship(lanes, &shipping, &mut control);
        Ok(Self {
            public,
            admin,
            control,
            stopping: watched.stopping(),
            stop_shipping,
            shipped,
            journal,
            committer,
            usage,
            current,
            watched,
            supply,
            secured,
            grace: config.stop().grace,
            drain: config.stop().drain,
            folder,
        })
    }

    /// Bound addresses.
    pub fn addresses(&self) -> Addresses {
        Addresses {
            edge: Some(self.public.url().to_owned()),
            admin: Some(self.admin.url().to_owned()),
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

    /// Reads certificates again.
    pub fn renew(&self) {
        self.secured.renew();
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
            usage,
            supply,
            grace,
            drain,
            folder,
            ..
        } = self;
        stopping.store(true, Ordering::Release);
        std::thread::sleep(grace);
        supply.end();
        // None only when the control thread has died; then nothing runs there.
        control.run(async move { public.drain(drain).await });
        if let Some(usage) = usage {
            usage.stop(&control, drain);
        }
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

/// Puts both listeners into service.
fn serve(
    config: &EdgeConfig,
    service: server::Edge,
    status: Arc<dyn server::StatusSource>,
    public: Listener,
    admin: Listener,
) -> Result<(http::Server, http::Server), StartError> {
    let metrics = service.metrics.clone();
    let operators = server::Admin {
        current: service.current.clone(),
        ambient: service.ambient.clone(),
        metrics: metrics.clone(),
        status,
    };
    operators.register();
    service.register();
    let public = http::serve(public, public_options(config), &metrics, move |_| {
        service.service()
    })?;
    let admin = http::serve(admin, admin_options(), &metrics, move |_| {
        operators.service()
    })?;
    Ok((public, admin))
}

/// What is kept of the use of flags, if there is a store for it.
fn usage(
    config: &EdgeConfig,
    folder: &DataFolder,
    supply: &Supply,
    ambient: &Ambient,
) -> Result<Usage, StartError> {
    let sink = supply
        .store
        .clone()
        .map(|store| store as Arc<dyn UsageSink>);
    Usage::open(config, &folder.usage(), Arc::new(RealDisk), sink, ambient)
}

/// The way of sampled contexts to where releases are judged by them; none where
/// nothing is guarded.
fn sampling(
    current: &Arc<Current>,
    reservoirs: Reservoirs,
) -> (Option<mpsc::Sender<Context>>, Option<Collector>) {
    if reservoirs.is_empty() {
        return (None, None);
    }
    let (samples, contexts) = mpsc::channel(GUARD_QUEUE_MAX);
    let collector = Collector::new(current.clone(), reservoirs, contexts);
    (Some(samples), Some(collector))
}

/// Who hears of the changes of other edges, one for each environment.
fn watchers(
    config: &EdgeConfig,
    progress: &Progress,
    ledger: &Arc<dyn ProgressLedger>,
    ambient: &Ambient,
    watched: &mut Watched,
) -> Vec<Watcher> {
    let environments = config.environments().iter().map(|environment| {
        let name = &environment.name;
        let watcher = Watcher::new(progress, ledger.clone(), name, ambient.clone());
        watched.changes(name, watcher.status());
        watcher
    });
    environments.collect()
}

/// Starts whatever waits for news from upstream.
fn listen(
    config: &EdgeConfig,
    refreshers: Vec<Refresher>,
    watchers: Vec<Watcher>,
    control: &mut Control,
) {
    let wait = config.upstream().poll_wait;
    let (first, longest) = (config.upstream().backoff_min, config.upstream().backoff_max);
    for refresher in refreshers {
        control.spawn("refresh", refresher.run(wait, first, longest));
    }
    for watcher in watchers {
        control.spawn("watching", watcher.run(wait, first, longest));
    }
}

/// Says once how full the journal is whenever that changes.
async fn say_pressure(journal: Journal) {
    let mut pressure = journal.watch_pressure();
    while pressure.changed().await.is_ok() {
        let now = *pressure.borrow_and_update();
        let (bytes, bytes_max) = (journal.status().occupied_bytes, journal.total_bytes_max());
        match now {
            Pressure::Low => tracing::info!(bytes, bytes_max, "the journal has room again"),
            Pressure::High => tracing::warn!(
                bytes,
                bytes_max,
                "the journal is nearly full: upstream takes less than is written"
            ),
            Pressure::Full => tracing::error!(
                bytes,
                bytes_max,
                "the journal is full: no steps are taken until upstream has some of them"
            ),
        }
    }
}

/// Starts a lane for each environment: how to stop them, and a channel that
/// closes when all have ended.
fn ship(
    environments: Vec<String>,
    shipping: &Arc<Shipping>,
    control: &mut Control,
) -> (watch::Sender<bool>, mpsc::Receiver<()>) {
    let (stop_shipping, stop) = watch::channel(false);
    let (alive, shipped) = mpsc::channel(1);
    for name in environments {
        let lane = shipping.clone().run(name, stop.clone());
        let alive = alive.clone();
        control.spawn("shipping", async move {
            lane.await;
            drop(alive);
        });
    }
    (stop_shipping, shipped)
}

/// What streams of changes share.
fn changes(config: &EdgeConfig, ambient: &Ambient) -> server::Changes {
    let options = server::ChangesOptions {
        streams_max: config.limits().streams_max,
        streams_per_key_max: config.limits().streams_per_key_max,
        ticket_life: config.changes().ticket_life,
        ticket_secret: config.changes().ticket_secret.as_ref().map(Secret::expose),
    };
    server::Changes::new(options, ambient)
}

/// What sockets share.
fn sockets(config: &EdgeConfig) -> server::Sockets {
    server::Sockets::new(server::SocketOptions {
        ping_interval: config.socket().ping_interval,
        ping_timeout: config.socket().ping_timeout,
    })
}

/// How Segment's webhooks are believed.
fn segment(config: &EdgeConfig) -> server::SegmentSecrets {
    let environments = config.environments().iter();
    server::SegmentSecrets::new(environments.filter_map(|own| {
        let secret = own.segment_secret.as_ref()?;
        Some((own.name.as_str(), secret.expose()))
    }))
}

fn origins(config: &EdgeConfig) -> server::Origins {
    match config.cors_origins() {
        CorsOrigins::Any => server::Origins::Any,
        CorsOrigins::List(list) => server::Origins::List(list.clone()),
    }
}

fn limits(config: &EdgeConfig) -> server::Limits {
    let limits = config.limits();
    let settings = server::LimitSettings {
        requests_per_s_per_key: limits.requests_per_s_per_key,
        requests_burst: limits.requests_burst,
        unseen_users_per_s: limits.unseen_users_per_s,
        unseen_users_burst: limits.unseen_users_burst,
        in_flight_max: limits.in_flight_max,
        queue_ms_max: limits.queue_ms_max,
    };
    server::Limits::new(settings, config.workers())
}

fn names(config: &EdgeConfig) -> Vec<String> {
    let environments = config.environments().iter();
    environments.map(|own| own.name.clone()).collect()
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
