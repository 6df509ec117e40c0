//! What does the edge run with?
//!
//! [`EdgeConfig`] as the rest of the program uses it. Each file here has the
//! keys of its sections, each with default, unit and reason, what is made of
//! them, and the rules between them. Ceilings that protect the process and are
//! the same everywhere are in `limits`; what stands here is a choice.

mod environment;
mod journal;
mod limits;
mod process;
mod upstream;

use std::{
    net::SocketAddr,
    num::NonZeroUsize,
    path::{Path, PathBuf},
};

pub use self::{
    environment::EnvironmentConfig,
    journal::{Ack, JournalConfig, SubjectsConfig},
    limits::{CorsOrigins, LimitsConfig},
    process::{StopConfig, UnknownSubject},
    upstream::UpstreamConfig,
};
use super::{
    LogConfig, TracesConfig, fault::Faults, key::Surface, log, reader::Reader, settings::Settings,
    telemetry,
};

/// Everything that can be set on `flowgate edge`.
pub const EDGE: Surface = Surface {
    name: "edge",
    about: "Settings of `flowgate edge`, the evaluation proxy, each with its default.",
    keys: &[
        process::KEYS,
        process::ADMIN_KEYS,
        upstream::KEYS,
        environment::KEYS,
        journal::KEYS,
        journal::SUBJECT_KEYS,
        limits::KEYS,
        process::STOP_KEYS,
        limits::CORS_KEYS,
        telemetry::KEYS,
        log::KEYS,
    ],
};

/// Settings of an edge that cannot break a rule.
#[derive(Clone, Debug)]
pub struct EdgeConfig {
    listen: SocketAddr,
    admin_listen: SocketAddr,
    data: PathBuf,
    workers: usize,
    on_unknown_subject: UnknownSubject,
    environments: Vec<EnvironmentConfig>,
    upstream: UpstreamConfig,
    journal: JournalConfig,
    subjects: SubjectsConfig,
    limits: LimitsConfig,
    stop: StopConfig,
    cors_origins: CorsOrigins,
    traces: Option<TracesConfig>,
    log: LogConfig,
}

impl EdgeConfig {
    /// Checks settings; the error holds every fault.
    pub fn build(settings: Settings) -> Result<Self, Faults> {
        let mut reader = Reader::new(settings);
        let config = Self {
            listen: reader.address("listen"),
            admin_listen: reader.address("admin.listen"),
            data: reader.path("data"),
            workers: reader.count("workers"),
            on_unknown_subject: process::on_unknown_subject(&mut reader),
            environments: environment::read(&mut reader),
            upstream: upstream::read(&mut reader),
            journal: journal::read(&mut reader),
            subjects: journal::subjects(&mut reader),
            limits: limits::read(&mut reader),
            stop: process::stop(&mut reader),
            cors_origins: limits::origins(&mut reader),
            traces: telemetry::read(&mut reader),
            log: reader.log(),
        };
        if config.listen == config.admin_listen && config.listen.port() != 0 {
            reader.broken(
                "admin.listen",
                "is the same address as listen (each needs its own)",
            );
        }
        reader.finish(config)
    }

    /// Where applications connect.
    pub fn listen(&self) -> SocketAddr {
        self.listen
    }

    /// Where health and metrics are served.
    pub fn admin_listen(&self) -> SocketAddr {
        self.admin_listen
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

    /// The journal.
    pub fn journal(&self) -> JournalConfig {
        self.journal
    }

    /// Bounds of memory for users.
    pub fn subjects(&self) -> SubjectsConfig {
        self.subjects
    }

    /// Bounds of connections.
    pub fn limits(&self) -> LimitsConfig {
        self.limits
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
