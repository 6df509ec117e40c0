//! What does an edge stand on before anybody can connect?
//!
//! The data folder and its lock, the journal with what earlier runs left in
//! it, the last good snapshots, verified again and in force, and progress with
//! every record of earlier runs back under its user. Nothing here waits for
//! upstream.

use std::{
    collections::{BTreeSet, HashMap},
    path::Path,
    sync::Arc,
};

use super::super::{StartError, facts::Watched};
use crate::{
    clock::Ambient,
    config::{Ack, EdgeConfig, EnvironmentConfig, UnknownSubject},
    current::Current,
    disk::{
        Disk, RealDisk,
        folder::DataFolder,
        journal::{Committer, Durability, Journal, JournalOptions, Quota, Recovered},
        keep::Keep,
    },
    limits::{DOCUMENT_BYTES_MAX, SHIP_BYTES_MAX},
    progress::{
        OnUnknownSubject, Progress, ProgressOptions, Reader, event::Event, note_journal, restore,
    },
    refresh::Refresher,
    upstream::{HttpUpstream, HttpUpstreamOptions},
};

/// Records put back at a time.
const PUT_BACK_AT_ONCE: usize = 1_024;

/// Everything that is ready before the listeners are bound.
pub(super) struct Ground {
    pub(super) folder: DataFolder,
    pub(super) journal: Journal,
    pub(super) committer: Committer,
    pub(super) recovered: Vec<Recovered>,
    /// Journals with records of environments this edge does not serve.
    pub(super) kept: BTreeSet<String>,
    pub(super) upstream: Arc<HttpUpstream>,
    pub(super) current: Arc<Current>,
    pub(super) progress: Progress,
    pub(super) reader: Reader,
    pub(super) refreshers: Vec<Refresher>,
    pub(super) watched: Watched,
}

impl Ground {
    /// In the written order; the first failure ends it and releases the lock.
    pub(super) fn lay(config: &EdgeConfig, ambient: &Ambient) -> Result<Self, StartError> {
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let folder = DataFolder::open(&*disk, config.data())?;
        let (journal, committer, recovered) = open_journal(config, &folder, &disk, ambient)?;
        let upstream = Arc::new(upstream(config)?);
        let current = Arc::new(Current::expecting(config.environments().len()));
        let (progress, reader) = Progress::new(
            journal.clone(),
            upstream.clone(),
            ProgressOptions {
                users_max: config.subjects().cached_max,
                resident_max: config.subjects().resident_max,
                records_max: config.subjects().pending_max,
                on_unknown: on_unknown_subject(config),
                edge: edge_name(ambient),
                environments: names(config),
            },
        );
        let mut watched = Watched::new(config, current.clone(), &progress, &journal);
        let root = read_root(&*disk, &config.upstream().trust_root)?;
        let mut refreshers = Vec::new();
        for environment in config.environments() {
            let name = &environment.name;
            let keep = Keep::open(disk.clone(), &folder.snapshots(), name);
            let keep = keep.map_err(|cause| StartError::Keep {
                environment: name.clone(),
                cause,
            })?;
            let source = upstream.clone();
            let refresher = boot(name, &root, source, current.clone(), keep, ambient)?;
            watched.supply(name, refresher.status());
            refreshers.push(refresher);
        }
        let environments = config.environments();
        let kept = put_back(&progress, &journal, &current, &recovered, environments);
        Ok(Self {
            folder,
            journal,
            committer,
            recovered,
            kept,
            upstream,
            current,
            progress,
            reader,
            refreshers,
            watched,
        })
    }
}

fn open_journal(
    config: &EdgeConfig,
    folder: &DataFolder,
    disk: &Arc<dyn Disk>,
    ambient: &Ambient,
) -> Result<(Journal, Committer, Vec<Recovered>), StartError> {
    let settings = config.journal();
    let quota = quota(config, folder, &**disk)?;
    let owners = config.environments().len();
    let share_percent = match owners {
        1 => 100,
        _ => settings.environment_share_percent,
    };
    let options = JournalOptions {
        folder: folder.journal(),
        segment_bytes: quota.segment_bytes,
        total_bytes_max: quota.total_bytes_max,
        owners,
        owner_bytes_max: quota.total_bytes_max / 100 * share_percent,
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

/// What the journal may take of this file system; said once.
fn quota(config: &EdgeConfig, folder: &DataFolder, disk: &dyn Disk) -> Result<Quota, StartError> {
    let found = disk.file_system_bytes(&folder.journal());
    let found = found.map_err(|cause| StartError::Journal {
        folder: folder.journal(),
        cause,
    })?;
    let wanted = Quota {
        total_bytes_max: config.journal().total_bytes_max,
        segment_bytes: config.journal().segment_bytes,
    };
    let chosen = wanted.fit(found);
    tracing::info!(
        file_system_bytes = found,
        configured_bytes = wanted.total_bytes_max,
        journal_bytes_max = chosen.total_bytes_max,
        segment_bytes = chosen.segment_bytes,
        "the room of the journal"
    );
    Ok(chosen)
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
    environment: &str,
    root: &[u8],
    source: Arc<HttpUpstream>,
    current: Arc<Current>,
    keep: Keep,
    ambient: &Ambient,
) -> Result<Refresher, StartError> {
    let keep = Arc::new(keep);
    let booted = Refresher::boot(environment, root, source, current, keep, ambient.clone());
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
    disk.read(path, DOCUMENT_BYTES_MAX as u64)
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
    environments: &[EnvironmentConfig],
) -> BTreeSet<String> {
    let mut kept = BTreeSet::new();
    for old in recovered {
        note_journal(progress, &old.journal);
        let Some(last) = old.last else { continue };
        let id = old.journal.as_str();
        match put_back_journal(progress, journal, current, (id, last), environments) {
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
    environments: &[EnvironmentConfig],
) -> std::io::Result<u64> {
    let is_ours = |name: &str| environments.iter().any(|own| own.name == name);
    let mut reader = journal.reader(id)?;
    let mut strangers = 0;
    loop {
        let records = reader.read(last, PUT_BACK_AT_ONCE, SHIP_BYTES_MAX)?;
        if records.is_empty() {
            return Ok(strangers);
        }
        for record in records {
            match serde_json::from_slice::<Event>(&record.body) {
                Ok(event) if is_ours(&event.environment) => {
                    let slot = current.slot(&event.environment_uid);
                    restore(progress, slot, (id, record.seq), record.body.len(), &event);
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

fn on_unknown_subject(config: &EdgeConfig) -> OnUnknownSubject {
    match config.on_unknown_subject() {
        UnknownSubject::ServeAsNew => OnUnknownSubject::ServeAsNew,
        UnknownSubject::Refuse => OnUnknownSubject::Refuse,
    }
}

/// Names this run of this edge in its records.
fn edge_name(ambient: &Ambient) -> String {
    format!("edge-{}", ambient.hex::<4>())
}
