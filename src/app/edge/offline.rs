//! How does an edge live from a file of flags alone?
//!
//! No control plane, no data folder, no trust root: the operator names a file
//! and the tokens that open it. The file is read again when it changes; one
//! that makes no sense changes nothing and shows in `/status`. Every token's
//! environment gets the same flags. Such an edge takes no steps: no token of it
//! opens a route that makes one.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use super::{
    super::{
        Addresses, StartError,
        control::Control,
        tls::{Secured, proxies},
        usage::Usage,
    },
    changes, limits, origins, serve, sockets,
};
use crate::{
    clock::{Ambient, UnixMs},
    config::EdgeConfig,
    current::{Current, Freshness},
    disk::{
        journal::{Durability, Journal, JournalOptions},
        memory::MemoryDisk,
    },
    http::{self, Listener},
    progress::{OnUnknownSubject, Progress, ProgressOptions},
    server::{self, EnvironmentFacts, Facts, ProgressFacts, RefreshFacts, StatusSource},
    snapshot::{
        Revision, Snapshot,
        flags::{FlagToken, Flags, FlagsDocument},
    },
    telemetry::metrics::Metrics,
    upstream::{FeaturesFile, NoLedger},
};

/// What is logged of one document; one with more has one cause, said often.
const TROUBLES_LOGGED_MAX: usize = 100;

/// A running edge without a control plane.
pub struct Offline {
    public: http::Server,
    admin: http::Server,
    control: Control,
    facts: Arc<Status>,
    secured: Secured,
    grace: Duration,
    drain: Duration,
}

/// What the file came to last.
#[derive(Debug, Default)]
struct Status {
    stopping: AtomicBool,
    environments: Vec<String>,
    read: Mutex<FileStatus>,
}

#[derive(Clone, Debug, Default)]
struct FileStatus {
    attempted_ms: Option<UnixMs>,
    confirmed_ms: Option<UnixMs>,
    error: Option<String>,
    failures_in_a_row: u64,
}

impl Offline {
    /// Starts everything; returns when the listeners are bound. The file has to
    /// be good now: nobody else would notice.
    pub fn start(
        config: &EdgeConfig,
        path: PathBuf,
        tokens: Vec<FlagToken>,
        ambient: Ambient,
    ) -> Result<Self, StartError> {
        let mut secured = Secured::new(&ambient);
        let tls = secured.listener("edge", config.tls())?;
        let admin_tls = secured.listener("admin", config.admin_tls())?;
        let environments: BTreeSet<&str> = tokens.iter().map(FlagToken::environment).collect();
        let environments: Vec<String> = environments.into_iter().map(Into::into).collect();
        let status = Arc::new(Status {
            environments: environments.clone(),
            ..Status::default()
        });
        let mut following = Following {
            file: FeaturesFile::new(path.clone()),
            current: Arc::new(Current::expecting(environments.len())),
            tokens,
            number: 0,
            flags: None,
            ambient: ambient.clone(),
            status: status.clone(),
        };
        following.begin(&path)?;
        let public = Listener::open(config.listen())?.secured(tls);
        let public = public.behind(proxies(config.proxies()));
        let admin = Listener::open(config.admin_listen())?.secured(admin_tls);
        let mut control = Control::start("edge-control").map_err(StartError::Thread)?;
        control.spawn("certificates", secured.follow());
        let usage = Usage::nowhere();
        let service = server::Edge {
            current: following.current.clone(),
            samples: None,
            progress: no_progress(&ambient)?,
            changes: changes(config, &ambient),
            sockets: sockets(config),
            ambient,
            metrics: Metrics::new(),
            origins: origins(config),
            limits: limits(config),
            distribution: None,
            traces_per_million: config.traces().map(|traces| traces.per_million),
            segment: server::SegmentSecrets::default(),
            usage: usage.intake(),
        };
        secured.measure(&service.metrics);
        usage.measure(&service.metrics);
        let (public, admin) = serve(config, service, status.clone(), public, admin)?;
        control.spawn("flags", following.run(config.reread()));
        Ok(Self {
            public,
            admin,
            control,
            facts: status,
            secured,
            grace: config.stop().grace,
            drain: config.stop().drain,
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

    /// Reads certificates again.
    pub fn renew(&self) {
        self.secured.renew();
    }

    /// Stops everything in order; returns when it is done.
    pub fn stop(self) {
        let (public, admin, drain) = (self.public, self.admin, self.drain);
        self.facts.stopping.store(true, Ordering::Release);
        std::thread::sleep(self.grace);
        // None only when the control thread has died; then nothing runs there.
        self.control.run(async move {
            public.drain(drain).await;
            admin.drain(Duration::from_secs(1)).await;
        });
        self.control.stop();
    }
}

/// Who keeps what is served as the file says.
struct Following {
    file: FeaturesFile,
    current: Arc<Current>,
    tokens: Vec<FlagToken>,
    /// Of the revision in force.
    number: u64,
    flags: Option<Arc<Flags>>,
    ambient: Ambient,
    status: Arc<Status>,
}

impl Following {
    /// The first reading.
    fn begin(&mut self, path: &Path) -> Result<(), StartError> {
        let bytes = self.file.read().map_err(|cause| StartError::File {
            path: path.to_owned(),
            cause,
        })?;
        self.take(&bytes).map_err(|cause| StartError::Features {
            path: path.to_owned(),
            cause,
        })?;
        self.note(None);
        Ok(())
    }

    async fn run(mut self, pause: Duration) {
        loop {
            let error = match self.file.look(pause).await {
                Ok(None) if self.status.error().is_some() => continue,
                Ok(None) => None,
                Ok(Some(bytes)) => self.take(&bytes).err().map(|error| error.to_string()),
                Err(error) => Some(error.to_string()),
            };
            if let Some(error) = &error
                && self.status.error().as_ref() != Some(error)
            {
                tracing::error!(%error, "the file of flags is not taken; the flags before it serve on");
            }
            self.note(error);
        }
    }

    /// Puts a document into force in every environment.
    fn take(&mut self, bytes: &[u8]) -> Result<(), crate::snapshot::flags::FlagsError> {
        let flags = Flags::compile(&FlagsDocument::read(bytes)?);
        let same = |own: &Arc<Flags>| own.fingerprint() == flags.fingerprint();
        if self.flags.as_ref().is_some_and(same) {
            return Ok(());
        }
        let flags = Arc::new(flags);
        self.number += 1;
        let revision = Revision {
            epoch: 0,
            number: self.number,
        };
        tell(&flags, revision);
        let now = self.ambient.now_ms();
        for environment in &self.status.environments {
            let snapshot = Snapshot::of_unsigned_flags(environment, revision, &flags, &self.tokens);
            // A file has no last word that could get old.
            let freshness = Freshness {
                issued_ms: now,
                fresh_until_ms: UnixMs::MAX,
                expires_ms: UnixMs::MAX,
            };
            drop(self.current.publish(Arc::new(snapshot), freshness));
        }
        self.flags = Some(flags);
        Ok(())
    }

    fn note(&self, error: Option<String>) {
        let now = self.ambient.now_ms();
        let mut status = self.status.lock();
        status.attempted_ms = Some(now);
        match &error {
            None => {
                status.confirmed_ms = Some(now);
                status.failures_in_a_row = 0;
            }
            Some(_) => status.failures_in_a_row += 1,
        }
        status.error = error;
    }
}

/// Says what is in force, and what its author should look at.
fn tell(flags: &Flags, revision: Revision) {
    let (count, troubles) = (flags.list().len(), flags.troubles());
    tracing::info!(flags = count, %revision, "flags were taken from the file");
    for trouble in troubles.iter().take(TROUBLES_LOGGED_MAX) {
        let (what, why) = (&trouble.what, &trouble.why);
        match trouble.set_aside {
            true => tracing::warn!(%what, %why, "a flag or segment is set aside; the rest serve"),
            false => tracing::warn!(%what, %why, "a part of a flag never holds"),
        }
    }
    if troubles.len() > TROUBLES_LOGGED_MAX {
        let more = troubles.len() - TROUBLES_LOGGED_MAX;
        tracing::warn!(more, "there is more of this kind in the file");
    }
}

impl Status {
    fn lock(&self) -> std::sync::MutexGuard<'_, FileStatus> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn error(&self) -> Option<String> {
        self.lock().error.clone()
    }
}

impl StatusSource for Status {
    fn facts(&self) -> Facts {
        let read = self.lock().clone();
        let environments = self.environments.iter().map(|name| EnvironmentFacts {
            name: name.clone(),
            required: true,
            refresh: RefreshFacts {
                last_attempt_ms: read.attempted_ms,
                last_success_ms: read.confirmed_ms,
                failures_in_a_row: read.failures_in_a_row,
                error: read.error.clone().map(|error| ("features", error)),
                ..RefreshFacts::default()
            },
            ..EnvironmentFacts::default()
        });
        Facts {
            stopping: self.stopping.load(Ordering::Acquire),
            environments: environments.collect(),
            progress: ProgressFacts {
                refuses: Some("offline"),
                ..ProgressFacts::default()
            },
            ..Facts::default()
        }
    }
}

/// Progress that takes nothing: its journal lies in memory, and is closed
/// before anybody could write to it.
fn no_progress(ambient: &Ambient) -> Result<Progress, StartError> {
    const SEGMENT_BYTES: u64 = 16 * 1024;
    let options = JournalOptions {
        folder: PathBuf::from("/journal"),
        segment_bytes: SEGMENT_BYTES,
        total_bytes_max: 2 * SEGMENT_BYTES,
        owners: 1,
        owner_bytes_max: SEGMENT_BYTES,
        durability: Durability::Memory,
    };
    let opened = Journal::open(Arc::new(MemoryDisk::new(0)), options, ambient);
    let (journal, ..) = opened.map_err(|cause| StartError::Journal {
        folder: PathBuf::new(),
        cause,
    })?;
    journal.shutdown();
    let options = ProgressOptions {
        users_max: 1,
        resident_max: 1,
        records_max: 1,
        on_unknown: OnUnknownSubject::Refuse,
        edge: "offline".to_owned(),
        environments: Vec::new(),
    };
    let (progress, _) = Progress::new(journal, Arc::new(NoLedger), options);
    Ok(progress)
}
