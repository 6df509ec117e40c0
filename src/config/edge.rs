//! What does the edge run with?
//!
//! [`EdgeConfig`] as the rest of the program uses it, and the rules between
//! values. The keys themselves are in `edge_keys`.

use std::{
    net::SocketAddr,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{LogConfig, Secret, fault::Faults, reader::Reader, settings::Settings};
use crate::limits;

/// Bytes of a mebibyte, the unit of sizes on disk.
const MIB: u64 = 1024 * 1024;

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
    log: LogConfig,
}

/// One environment the edge serves.
#[derive(Clone, Debug)]
pub struct EnvironmentConfig {
    /// Its name upstream.
    pub name: String,
    /// The edge key that pulls its snapshots.
    pub key: Secret,
    /// Whether readiness waits for it.
    pub required: bool,
}

/// What a user gets whom the edge does not know while upstream is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownSubject {
    /// Answers as to somebody new.
    ServeAsNew,
    /// 503.
    Refuse,
}

/// Whose pages may call the edge from a browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CorsOrigins {
    /// Every page.
    Any,
    /// Pages of these origins, as browsers write them.
    List(Vec<String>),
}

/// The way to the control plane, over HTTP.
#[derive(Clone, Debug)]
pub struct UpstreamConfig {
    /// Without a trailing slash.
    pub url: String,
    /// An envelope file of a root document.
    pub trust_root: PathBuf,
    /// Of one call, a long poll's wait not counted.
    pub timeout: Duration,
    /// Of one long poll.
    pub poll_wait: Duration,
    /// Before the first repetition.
    pub backoff_min: Duration,
    /// Between repetitions at the most.
    pub backoff_max: Duration,
}

/// The journal of progress.
#[derive(Clone, Copy, Debug)]
pub struct JournalConfig {
    /// Of one file.
    pub segment_bytes: u64,
    /// Of all files.
    pub total_bytes_max: u64,
    /// What a success answer promises.
    pub ack: Ack,
}

/// What a success answer to a step promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ack {
    /// It is synced to this edge's disk.
    Disk,
    /// It is in this process's memory.
    Memory,
}

/// Bounds of memory for users.
#[derive(Clone, Copy, Debug)]
pub struct SubjectsConfig {
    /// Users kept from upstream.
    pub cached_max: u64,
    /// Steps upstream does not have yet.
    pub pending_max: usize,
}

/// Bounds of connections.
#[derive(Clone, Copy, Debug)]
pub struct LimitsConfig {
    /// In all.
    pub connections_max: usize,
    /// From one address.
    pub connections_per_address_max: usize,
}

/// Deadlines of a stop.
#[derive(Clone, Copy, Debug)]
pub struct StopConfig {
    /// Not ready, still accepting.
    pub grace: Duration,
    /// For running requests, and again for the last shipping attempt.
    pub drain: Duration,
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
            on_unknown_subject: match reader.text("on_unknown_subject").as_str() {
                "refuse" => UnknownSubject::Refuse,
                _ => UnknownSubject::ServeAsNew,
            },
            environments: environments(&mut reader),
            upstream: upstream(&mut reader),
            journal: journal(&mut reader),
            subjects: SubjectsConfig {
                cached_max: reader.number("subjects.cached_max"),
                pending_max: reader.count("subjects.pending_max"),
            },
            limits: LimitsConfig {
                connections_max: reader.count("limits.connections_max"),
                connections_per_address_max: reader.count("limits.connections_per_address_max"),
            },
            stop: StopConfig {
                grace: reader.millis("stop.grace_ms"),
                drain: reader.millis("stop.drain_ms"),
            },
            cors_origins: origins(&mut reader),
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

    /// The log.
    pub fn log(&self) -> &LogConfig {
        &self.log
    }
}

fn environments(reader: &mut Reader) -> Vec<EnvironmentConfig> {
    let names = reader.instances("environment");
    if names.is_empty() {
        reader.broken(
            "environment",
            "no environment is configured (add a section [environment.NAME] with its edge key)",
        );
    }
    if names.len() > limits::ENVIRONMENTS_MAX {
        let rule = format!(
            "{} environments are configured, at most {} are served by one edge",
            names.len(),
            limits::ENVIRONMENTS_MAX
        );
        reader.broken("environment", &rule);
    }
    for name in &names {
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.is_empty() || name.len() > limits::SID_BYTES_MAX || !name.chars().all(allowed) {
            let rule = "is not a name of an environment (expected letters, digits, - and _)";
            reader.broken(&format!("environment.{name}"), rule);
        }
    }
    let one = |name: String| EnvironmentConfig {
        key: reader.secret(&format!("environment.{name}.key")),
        required: reader.truth(&format!("environment.{name}.required")),
        name,
    };
    names.into_iter().map(one).collect()
}

fn upstream(reader: &mut Reader) -> UpstreamConfig {
    // Read for its rule; there is one kind so far.
    reader.text("upstream.kind");
    let config = UpstreamConfig {
        url: reader.text("upstream.url"),
        trust_root: reader.path("upstream.trust_root"),
        timeout: reader.millis("upstream.timeout_ms"),
        poll_wait: reader.seconds("upstream.poll_wait_s"),
        backoff_min: reader.millis("upstream.backoff_min_ms"),
        backoff_max: reader.millis("upstream.backoff_max_ms"),
    };
    if config.backoff_min > config.backoff_max {
        reader.broken(
            "upstream.backoff_min_ms",
            "is above upstream.backoff_max_ms",
        );
    }
    config
}

fn journal(reader: &mut Reader) -> JournalConfig {
    let config = JournalConfig {
        segment_bytes: reader.number("journal.segment_mb") * MIB,
        total_bytes_max: reader.number("journal.total_mb") * MIB,
        ack: match reader.text("journal.ack").as_str() {
            "memory" => Ack::Memory,
            _ => Ack::Disk,
        },
    };
    // One file is written while the next is prepared.
    if config.segment_bytes * 2 > config.total_bytes_max {
        reader.broken(
            "journal.total_mb",
            "is below twice journal.segment_mb (one file is written while the next is prepared)",
        );
    }
    config
}

fn origins(reader: &mut Reader) -> CorsOrigins {
    let list = reader.words("cors.origins");
    if list.iter().any(|origin| origin == "*") {
        if list.len() > 1 {
            reader.broken(
                "cors.origins",
                "names \"*\" beside other origins (keep one of the two)",
            );
        }
        return CorsOrigins::Any;
    }
    for origin in &list {
        // What browsers send has a scheme and no path; anything else would
        // never match, silently.
        let scheme = origin.split_once("://").map(|(_, host)| host);
        if scheme.is_none_or(|host| host.is_empty() || host.contains('/')) {
            let rule =
                format!("{origin:?} is not an origin (expected such as https://app.example.com)");
            reader.broken("cors.origins", &rule);
        }
    }
    CorsOrigins::List(list)
}
