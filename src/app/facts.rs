//! What does a running edge say about itself?
//!
//! Gathers what refresh, journal, progress and shipping know into the one form
//! that the admin listener asks for. Called for each scrape or status request.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use super::{reporting::ReportStatus, shipping::ShippingStatus};
use crate::{
    config::{EdgeConfig, UpstreamConfig},
    current::Current,
    disk::journal::Journal,
    guard::FlowChange,
    progress::{Progress, Refuses, WatchStatus},
    refresh::SupplyStatus,
    server::{
        ChangeFacts, ChangesFacts, EnvironmentFacts, Facts, HeldFacts, JournalFacts, ProgressFacts,
        RefreshFacts, StatusSource, UpstreamFacts,
    },
    upstream::UpstreamVersion,
    usage::UsageWatch,
};

/// Everything there is to look at.
pub(super) struct Watched {
    stopping: Arc<AtomicBool>,
    current: Arc<Current>,
    progress: Progress,
    journal: Journal,
    environments: Vec<WatchedEnvironment>,
    shipping: Option<Arc<Mutex<ShippingStatus>>>,
    has_ledger: bool,
    task_panics: Option<Arc<AtomicU64>>,
    upstream: UpstreamVersion,
    reports: Arc<Mutex<ReportStatus>>,
    usage: Option<UsageWatch>,
}

struct WatchedEnvironment {
    name: String,
    required: bool,
    supply: Option<Arc<Mutex<SupplyStatus>>>,
    changes: Option<Arc<Mutex<WatchStatus>>>,
    silent_after_ms: u64,
}

impl Watched {
    pub(super) fn new(
        config: &EdgeConfig,
        current: Arc<Current>,
        progress: &Progress,
        journal: &Journal,
    ) -> Self {
        let environments = config.environments().iter();
        let silent_after_ms = silent_after_ms(config.upstream());
        Self {
            stopping: Arc::default(),
            current,
            progress: progress.clone(),
            journal: journal.clone(),
            environments: environments
                .map(|own| WatchedEnvironment {
                    name: own.name.clone(),
                    required: own.required,
                    supply: None,
                    changes: None,
                    silent_after_ms,
                })
                .collect(),
            shipping: None,
            has_ledger: true,
            task_panics: None,
            upstream: UpstreamVersion::default(),
            reports: Arc::default(),
            usage: None,
        }
    }

    /// Connects an environment's refresher.
    pub(super) fn supply(&mut self, environment: &str, status: Arc<Mutex<SupplyStatus>>) {
        let mut environments = self.environments.iter_mut();
        if let Some(own) = environments.find(|own| own.name == environment) {
            own.supply = Some(status);
        }
    }

    /// Connects what hears of the changes of other edges.
    pub(super) fn changes(&mut self, environment: &str, status: Arc<Mutex<WatchStatus>>) {
        let mut environments = self.environments.iter_mut();
        if let Some(own) = environments.find(|own| own.name == environment) {
            own.changes = Some(status);
        }
    }

    /// Connects who answers as upstream.
    pub(super) fn upstream(&mut self, version: UpstreamVersion) {
        self.upstream = version;
    }

    /// Where it is noted how reporting to upstream goes.
    pub(super) fn reports(&self) -> Arc<Mutex<ReportStatus>> {
        self.reports.clone()
    }

    /// Connects shipping and the control runtime.
    pub(super) fn shipping(
        &mut self,
        status: Arc<Mutex<ShippingStatus>>,
        task_panics: Arc<AtomicU64>,
    ) {
        self.shipping = Some(status);
        self.task_panics = Some(task_panics);
    }

    /// Connects who knows how the use of flags is kept.
    pub(super) fn usage(&mut self, usage: UsageWatch) {
        self.usage = Some(usage);
    }

    /// Says whether progress is shipped at all.
    pub(super) fn ledger(&mut self, is_there: bool) {
        self.has_ledger = is_there;
    }

    /// Set once the edge is told to stop.
    pub(super) fn stopping(&self) -> Arc<AtomicBool> {
        self.stopping.clone()
    }

    /// What stands in the way of readiness; none when it is ready.
    pub(super) fn not_ready(&self) -> Option<String> {
        let live = self.current.load();
        let mut required = self.environments.iter().filter(|own| own.required);
        let missing = required.find(|own| live.named(&own.name).is_none())?;
        let why = missing.supply.as_ref().and_then(|supply| {
            let supply = supply.lock().unwrap_or_else(PoisonError::into_inner);
            supply.error.as_ref().map(|error| error.text.clone())
        });
        let why = why.unwrap_or_else(|| "no snapshot has come yet".to_owned());
        Some(format!("environment {}: {why}", missing.name))
    }
}

impl StatusSource for Watched {
    fn facts(&self) -> Facts {
        let environments = self.environments.iter().map(|own| EnvironmentFacts {
            name: own.name.clone(),
            required: own.required,
            refresh: own.supply.as_ref().map(refresh_facts).unwrap_or_default(),
            changes: own.changes.as_ref().map(changes_facts).unwrap_or_default(),
            silent_after_ms: own.silent_after_ms,
        });
        Facts {
            stopping: self.stopping.load(Ordering::Acquire),
            environments: environments.collect(),
            progress: self.progress_facts(),
            upstream: self.upstream_facts(),
            usage: self
                .usage
                .as_ref()
                .map(UsageWatch::facts)
                .unwrap_or_default(),
        }
    }
}

impl Watched {
    fn upstream_facts(&self) -> UpstreamFacts {
        let version = self.upstream.lock().unwrap_or_else(PoisonError::into_inner);
        let reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        UpstreamFacts {
            version: version.clone(),
            reported_ms: reports.taken_ms,
            error: reports.error.clone(),
        }
    }

    fn progress_facts(&self) -> ProgressFacts {
        let shipping = self.shipping.as_ref().map(|status| {
            let status = status.lock().unwrap_or_else(PoisonError::into_inner);
            status.clone()
        });
        let shipping = shipping.unwrap_or_default();
        let panics = self.task_panics.as_ref();
        let errors: Vec<String> = shipping
            .errors
            .iter()
            .map(|(environment, error)| format!("{environment}: {error}"))
            .collect();
        let (resident, on_disk) = self.progress.users_outstanding();
        ProgressFacts {
            refuses: self.progress.refuses().map(Refuses::name),
            has_ledger: self.has_ledger,
            backlog_records: self.progress.backlog() as u64,
            journal: self.journal_facts(),
            journals_open: shipping.journals_open as u64,
            outcomes: shipping.outcomes,
            forks: shipping.forks,
            users_cached: self.progress.users_cached(),
            reads_singly: self.progress.reads().singly,
            steps_capped: self.progress.steps_capped(),
            task_panics: panics.map_or(0, |count| count.load(Ordering::Relaxed)),
            users_resident: resident as u64,
            users_on_disk: on_disk as u64,
            error: (!errors.is_empty()).then(|| errors.join("; ")),
        }
    }
}

impl Watched {
    fn journal_facts(&self) -> JournalFacts {
        let status = self.journal.status();
        let names = self.environments.iter().map(|own| own.name.clone());
        JournalFacts {
            bytes: status.used_bytes,
            bytes_max: self.journal.total_bytes_max(),
            occupied_bytes: status.occupied_bytes,
            pressure: status.pressure.name(),
            unsettled_bytes: names.zip(status.unsettled_bytes).collect(),
            environment_bytes_max: self.journal.owner_bytes_max(),
            quarantined_bytes: status.quarantined_bytes,
            failed_commits: status.failed_commits,
            error: status.last_error.or(status.segment_error),
        }
    }
}

fn refresh_facts(supply: &Arc<Mutex<SupplyStatus>>) -> RefreshFacts {
    let supply = supply.lock().unwrap_or_else(PoisonError::into_inner);
    RefreshFacts {
        last_attempt_ms: supply.attempted_ms,
        last_success_ms: supply.confirmed_ms,
        failures: pairs(&supply.failures),
        refused: pairs(&supply.refused),
        failures_in_a_row: supply.failures_in_a_row,
        from_disk: supply.from_disk,
        fell_back: supply.fell_back,
        clock_problem: supply.clock_problem.clone(),
        root_expires_ms: supply.root_expires_ms,
        error: supply
            .error
            .as_ref()
            .map(|error| (error.name, error.text.clone())),
        held: supply.held.as_ref().map(|held| HeldFacts {
            release: held.release,
            revision: held.revision.to_string(),
        }),
        verdict: supply.verdict.iter().map(change_facts).collect(),
    }
}

fn change_facts(flow: &FlowChange) -> ChangeFacts {
    ChangeFacts {
        flow: flow.sid.to_string(),
        judged: flow.judged as u64,
        changed: flow.changed as u64,
        moved: flow.moved as u64,
    }
}

fn pairs(counts: &BTreeMap<&'static str, u64>) -> Vec<(&'static str, u64)> {
    counts.iter().map(|(name, count)| (*name, *count)).collect()
}

/// A try may wait as long as upstream is told to hold it, then fetch root,
/// release, control and two levels of parts, and be followed by the longest
/// pause. What takes longer than that is no try that goes on.
fn silent_after_ms(upstream: &UpstreamConfig) -> u64 {
    const CALLS: u32 = 6;
    let longest = upstream.poll_wait + upstream.timeout * CALLS + upstream.backoff_max;
    u64::try_from(longest.as_millis()).unwrap_or(u64::MAX)
}

fn changes_facts(status: &Arc<Mutex<WatchStatus>>) -> ChangesFacts {
    let status = status.lock().unwrap_or_else(PoisonError::into_inner);
    ChangesFacts {
        connected: status.connected,
        last_answer_ms: status.answered_ms,
        changes: status.changes,
        gaps: status.gaps,
        error: status.error.clone(),
    }
}
