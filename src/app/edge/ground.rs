//! What does an edge stand on before anybody can connect?
//!
//! The data folder and its lock, the journal with what earlier runs left in
//! it, the last good snapshots, verified again and in force, and progress with
//! every record of earlier runs back under its user. Nothing here waits for
//! upstream.

use std::{collections::BTreeSet, path::Path, sync::Arc};

use super::{
    super::{StartError, facts::Watched, tls::Secured},
    supply::Supply,
};
use crate::{
    clock::Ambient,
    config::{Ack, EdgeConfig, EnvironmentConfig, OldSnapshot, UnknownSubject},
    current::{Current, Policies, Policy},
    disk::{
        Disk, RealDisk,
        folder::DataFolder,
        journal::{Committer, Durability, Journal, JournalOptions, Quota, Recovered},
        keep::Keep,
    },
    guard::Reservoirs,
    limits::{DOCUMENT_BYTES_MAX, SHIP_BYTES_MAX},
    progress::{
        OnUnknownSubject, Progress, ProgressOptions, Reader, event::Event, note_journal, restore,
    },
    refresh::{Beside, Guard, RefreshError, Refresher},
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
    pub(super) supply: Supply,
    pub(super) current: Arc<Current>,
    pub(super) progress: Progress,
    pub(super) reader: Reader,
    pub(super) refreshers: Vec<Refresher>,
    /// Where sampled contexts go.
    pub(super) reservoirs: Reservoirs,
    pub(super) watched: Watched,
    /// Names the data folder.
    pub(super) identity: String,
}

/// What an edge touches the world with, beside its clock.
pub(super) struct Outside {
    pub(super) disk: Arc<dyn Disk>,
    /// On that disk.
    pub(super) folder: DataFolder,
    pub(super) supply: Supply,
}

impl Outside {
    /// The machine's own disk and network. The folder is locked first.
    pub(super) fn real(config: &EdgeConfig, secured: &mut Secured) -> Result<Self, StartError> {
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let folder = DataFolder::open(&*disk, config.data())?;
        let supply = Supply::of(config, secured.upstream(config.upstream())?.as_ref())?;
        Ok(Self {
            disk,
            folder,
            supply,
        })
    }
}

impl Ground {
    /// In the written order; the first failure ends it and releases the lock.
    pub(super) fn lay(
        config: &EdgeConfig,
        outside: Outside,
        ambient: &Ambient,
    ) -> Result<Self, StartError> {
        let Outside {
            disk,
            folder,
            supply,
        } = outside;
        let (journal, committer, recovered) = open_journal(config, &folder, &disk, ambient)?;
        let identity = folder.identity(&*disk, &edge_name(ambient));
        let identity = identity.map_err(|cause| StartError::File {
            path: folder.path().join("identity"),
            cause,
        })?;
        let current = Arc::new(current(config));
        let (progress, reader) = Progress::new(
            journal.clone(),
            supply.ledger_or_none(),
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
        if let Some(store) = &supply.store {
            watched.upstream(store.upstream_version());
        }
        let root = read_root(&*disk, &config.upstream().trust_root)?;
        let guarded = config.environments().iter();
        let guarded = guarded.map(|own| (own.name.as_str(), own.guard_contexts));
        let reservoirs = Reservoirs::new(guarded);
        let mut refreshers = Vec::new();
        for environment in config.environments() {
            let name = &environment.name;
            let keep = Keep::open(disk.clone(), &folder.snapshots(), name);
            let keep = keep.map_err(|cause| StartError::Keep {
                environment: name.clone(),
                cause,
            })?;
            let guard = reservoirs.of(name).map(|reservoir| Guard {
                reservoir,
                percent: environment.guard_percent,
            });
            let boot = Refresher::boot(
                name,
                &root,
                Arc::clone(&supply.source),
                current.clone(),
                Arc::new(keep),
                ambient.clone(),
                Beside {
                    guard,
                    shelf: supply.shelf(name),
                },
            );
            let refresher = booted(name, boot)?;
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
            supply,
            current,
            progress,
            reader,
            refreshers,
            reservoirs,
            watched,
            identity,
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

/// The refresher with its last good snapshot, verified again and in force.
fn booted(
    environment: &str,
    boot: Result<(Refresher, Option<RefreshError>), RefreshError>,
) -> Result<Refresher, StartError> {
    let (refresher, problem) = boot.map_err(|cause| StartError::Trust {
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

/// Nothing live yet, and what is done when it is and gets old.
fn current(config: &EdgeConfig) -> Current {
    let environments = config.environments();
    let current = Current::expecting(environments.len()).patient(config.limits().min_revision_wait);
    environments.iter().fold(current, |current, own| {
        let policies = Policies {
            on_stale: policy(own.on_stale),
            on_expired: policy(own.on_expired),
        };
        current.governed(&own.name, policies)
    })
}

fn policy(old: OldSnapshot) -> Policy {
    match old {
        OldSnapshot::Serve => Policy::Serve,
        OldSnapshot::RefuseNewUsers => Policy::RefuseNewUsers,
        OldSnapshot::Refuse => Policy::Refuse,
    }
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
