//! What does the edge run with?
//!
//! [`EdgeConfig`] as the rest of the program uses it. Each file here has the
//! keys of its sections, each with default, unit and reason, what is made of
//! them, and the rules between them. Ceilings that protect the process and are
//! the same everywhere are in `limits`; what stands here is a choice.

mod changes;
mod distribution;
mod environment;
mod journal;
mod limits;
mod process;
mod socket;
mod tls;
mod upstream;
mod usage;

use std::{
    num::NonZeroUsize,
    path::{Path, PathBuf},
    time::Duration,
};

pub use self::{
    changes::ChangesConfig,
    environment::{EnvironmentConfig, OldSnapshot},
    journal::{Ack, JournalConfig, SubjectsConfig},
    limits::{CorsOrigins, LimitsConfig},
    process::{StopConfig, UnknownSubject},
    socket::SocketConfig,
    tls::UpstreamTls,
    upstream::{SnapshotOrigin, UpstreamConfig},
    usage::UsageConfig,
};
use super::{
    ListenerTls, LogConfig, ProxiesConfig, TracesConfig, fault::Faults, key::Surface, log, proxies,
    reader::Reader, settings::Settings, telemetry, tls as shared_tls,
};
use crate::address::Address;

/// Everything that can be set on `flowgate edge`.
pub const EDGE: Surface = Surface {
    name: "edge",
    about: "Settings of `flowgate edge`, the evaluation proxy, each with its default.",
    keys: &[
        process::KEYS,
        process::ADMIN_KEYS,
        tls::ADMIN_KEYS,
        upstream::KEYS,
        tls::UPSTREAM_KEYS,
        environment::KEYS,
        distribution::ENVIRONMENT_KEYS,
        distribution::KEYS,
        journal::KEYS,
        journal::SUBJECT_KEYS,
        limits::KEYS,
        shared_tls::KEYS,
        proxies::KEYS,
        changes::KEYS,
        socket::KEYS,
        usage::KEYS,
        process::STOP_KEYS,
        limits::CORS_KEYS,
        telemetry::KEYS,
        log::KEYS,
    ],
};

/// Settings of an edge that cannot break a rule.
#[derive(Clone, Debug)]
pub struct EdgeConfig {
    listen: Address,
    tls: Option<ListenerTls>,
    admin_listen: Address,
    admin_tls: Option<ListenerTls>,
    proxies: ProxiesConfig,
    data: PathBuf,
    workers: usize,
    on_unknown_subject: UnknownSubject,
    environments: Vec<EnvironmentConfig>,
    upstream: UpstreamConfig,
    distribution: bool,
    journal: JournalConfig,
    subjects: SubjectsConfig,
    limits: LimitsConfig,
    changes: ChangesConfig,
    socket: SocketConfig,
    usage: UsageConfig,
    stop: StopConfig,
    cors_origins: CorsOrigins,
    traces: Option<TracesConfig>,
    log: LogConfig,
}

impl EdgeConfig {
    /// Checks settings; the error holds every fault.
    pub fn build(settings: Settings) -> Result<Self, Faults> {
        let mut reader = Reader::new(settings);
        let upstream = upstream::read(&mut reader);
        let (listen, admin_listen) = (reader.address("listen"), reader.address("admin.listen"));
        let config = Self {
            tls: tls::listener(&mut reader, ("listen", &listen), "tls."),
            listen,
            admin_tls: tls::listener(&mut reader, ("admin.listen", &admin_listen), "admin.tls_"),
            admin_listen,
            proxies: proxies::read(&mut reader),
            data: reader.path("data"),
            workers: reader.count("workers"),
            on_unknown_subject: process::on_unknown_subject(&mut reader),
            environments: environment::read(&mut reader, upstream.needs_keys()),
            upstream,
            distribution: reader.truth("distribution.serve"),
            journal: journal::read(&mut reader),
            subjects: journal::subjects(&mut reader),
            limits: limits::read(&mut reader),
            changes: changes::read(&mut reader),
            socket: socket::read(&mut reader),
            usage: usage::read(&mut reader),
            stop: process::stop(&mut reader),
            cors_origins: limits::origins(&mut reader),
            traces: telemetry::read(&mut reader),
            log: reader.log(),
        };
        if config.listen.is_same(&config.admin_listen) {
            reader.broken(
                "admin.listen",
                "is the same address as listen (each needs its own)",
            );
        }
        reader.finish(config)
    }

    /// Checks settings of an edge that lives from a file of flags: it has no
    /// upstream, and so nothing may be said of one.
    pub fn offline(mut settings: Settings, features: &Path) -> Result<Self, Faults> {
        settings.refuse(
            &["upstream.", "environment.", "distribution.", "usage."],
            "is not read with --features: an edge that lives from a file has no upstream (leave it out)",
        );
        let path = features.to_string_lossy();
        // What an edge with an upstream cannot do without.
        let settings = settings
            .set("upstream.kind", "file")
            .set("upstream.path", &path)
            .set("upstream.trust_root", &path)
            .set("environment.default.required", "true");
        Self::build(settings)
    }

    /// How often a file that may change is looked at.
    pub fn reread(&self) -> Duration {
        match &self.upstream.origin {
            SnapshotOrigin::File { reread, .. } => *reread,
            SnapshotOrigin::Http(_) => self.upstream.poll_wait,
        }
    }

    /// Where applications connect.
    pub fn listen(&self) -> &Address {
        &self.listen
    }

    /// How the public listener shows who it is; none in the clear.
    pub fn tls(&self) -> Option<&ListenerTls> {
        self.tls.as_ref()
    }

    /// Where health and metrics are served.
    pub fn admin_listen(&self) -> &Address {
        &self.admin_listen
    }

    /// How the admin listener shows who it is; none in the clear.
    pub fn admin_tls(&self) -> Option<&ListenerTls> {
        self.admin_tls.as_ref()
    }

    /// Which proxies are believed.
    pub fn proxies(&self) -> &ProxiesConfig {
        &self.proxies
    }

    /// The data folder.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Threads that serve requests: as set, or one for each core.
    pub fn workers(&self) -> NonZeroUsize {
        NonZeroUsize::new(self.workers)
            .unwrap_or_else(|| std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN))
    }

    /// What an unknown user gets while upstream is away.
    pub fn on_unknown_subject(&self) -> UnknownSubject {
        self.on_unknown_subject
    }

    /// The environments served, sorted by name; at least one.
    pub fn environments(&self) -> &[EnvironmentConfig] {
        &self.environments
    }

    /// The way to the control plane.
    pub fn upstream(&self) -> &UpstreamConfig {
        &self.upstream
    }

    /// Whether other edges may pull snapshots from here.
    pub fn distribution(&self) -> bool {
        self.distribution
    }

    /// The journal.
    pub fn journal(&self) -> JournalConfig {
        self.journal
    }

    /// Bounds of memory for users.
    pub fn subjects(&self) -> SubjectsConfig {
        self.subjects
    }

    /// Bounds of what applications may take.
    pub fn limits(&self) -> LimitsConfig {
        self.limits
    }

    /// Tickets for streams of changes.
    pub fn changes(&self) -> &ChangesConfig {
        &self.changes
    }

    /// Sockets of Dopt's clients.
    pub fn socket(&self) -> SocketConfig {
        self.socket
    }

    /// What is kept of the use of flags.
    pub fn usage(&self) -> UsageConfig {
        self.usage
    }

    /// Deadlines of a stop.
    pub fn stop(&self) -> StopConfig {
        self.stop
    }

    /// Who may call from a browser.
    pub fn cors_origins(&self) -> &CorsOrigins {
        &self.cors_origins
    }

    /// Where traces go; nowhere by default.
    pub fn traces(&self) -> Option<&TracesConfig> {
        self.traces.as_ref()
    }

    /// The log.
    pub fn log(&self) -> &LogConfig {
        &self.log
    }
}
