//! What is measured when somebody scrapes?
//!
//! Values that are the state of something, looked up at the scrape, beside
//! what was counted while it happened.

use std::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};

use super::{
    Admin, age_s,
    facts::{OUTCOMES, ProgressFacts, REFUSES},
};
use crate::{clock::UnixMs, current::Environment};

/// What is looked up at the scrape instead of being counted.
pub(super) struct Measured(pub(super) Admin);

impl fmt::Debug for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Measured").finish_non_exhaustive()
    }
}

/// A gauge of an environment: its name, its help and where its value stands.
type EnvironmentRow = (&'static str, &'static str, fn(&Environment, UnixMs) -> u64);

const ENVIRONMENT_ROWS: [EnvironmentRow; 4] = [
    ("snapshot_revision", "Number of the revision", |live, _| {
        live.snapshot.revision.number
    }),
    ("snapshot_age_seconds", "Since it was signed", age_s),
    (
        "snapshot_stale",
        "1 past its fresh-until time",
        |live, now| u64::from(live.freshness.is_stale(now)),
    ),
    (
        "snapshot_set_aside",
        "Flows and versions left out",
        |live, _| live.snapshot.set_aside.len() as u64,
    ),
];

impl Collector for Measured {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let facts = self.0.status.facts();
        let now = self.0.ambient.now_ms();
        let live = self.0.current.load();
        for (name, help, of) in ENVIRONMENT_ROWS {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for environment in live.all() {
                let labels = [("environment", &*environment.snapshot.environment)];
                gauge(of(environment, now)).encode(family.encode_family(&labels)?)?;
            }
        }
        let mut family = encoder.encode_descriptor(
            "refresh_failures",
            "Failed attempts to refresh",
            None,
            MetricType::Counter,
        )?;
        for environment in &facts.environments {
            let labels = [("environment", environment.name.as_str())];
            let value = ConstCounter::new(environment.refresh.failures);
            value.encode(family.encode_family(&labels)?)?;
        }
        encode_progress(&mut encoder, &facts.progress)
    }
}

fn encode_progress(
    encoder: &mut DescriptorEncoder<'_>,
    progress: &ProgressFacts,
) -> Result<(), fmt::Error> {
    let gauges = [
        (
            "progress_writable",
            "1 while writes are taken",
            u64::from(progress.refuses.is_none()),
        ),
        (
            "progress_backlog_records",
            "Not applied upstream yet",
            progress.backlog_records,
        ),
        (
            "journal_bytes",
            "Bytes of the journal on disk",
            progress.journal.bytes,
        ),
        (
            "journal_bytes_max",
            "What they may take",
            progress.journal.bytes_max,
        ),
        (
            "journal_occupied_bytes",
            "Of these, written or given up",
            progress.journal.occupied_bytes,
        ),
        (
            "journal_quarantined_bytes",
            "Of copies that were put aside",
            progress.journal.quarantined_bytes,
        ),
        (
            "journal_environment_bytes_max",
            "What the unsettled records of one environment may take",
            progress.journal.environment_bytes_max,
        ),
        (
            "journals_open",
            "Journals of earlier runs that are not shipped completely",
            progress.journals_open,
        ),
        ("users_cached", "Users in memory", progress.users_cached),
        (
            "users_resident",
            "Users with records outstanding whose state is pinned in memory",
            progress.users_resident,
        ),
        (
            "users_on_disk",
            "Users with records outstanding of whom only the places of records are in memory",
            progress.users_on_disk,
        ),
    ];
    for (name, help, value) in gauges {
        let metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        gauge(value).encode(metric)?;
    }
    let counters = [
        (
            "journal_failed_commits",
            "Commits that failed",
            progress.journal.failed_commits,
        ),
        (
            "journal_forks",
            "How often somebody else shipped under the id of a journal of this edge",
            progress.forks,
        ),
        (
            "steps_capped",
            "Steps whose logic blocks were stopped at their limit",
            progress.steps_capped,
        ),
        (
            "task_panics",
            "Background tasks that panicked",
            progress.task_panics,
        ),
    ];
    for (name, help, value) in counters {
        let metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        ConstCounter::new(value).encode(metric)?;
    }
    let mut family = encoder.encode_descriptor(
        "journal_unsettled_bytes",
        "Of records that are not applied upstream",
        None,
        MetricType::Gauge,
    )?;
    for (environment, bytes) in &progress.journal.unsettled_bytes {
        let labels = [("environment", environment.as_str())];
        gauge(*bytes).encode(family.encode_family(&labels)?)?;
    }
    let mut family = encoder.encode_descriptor(
        "progress_refuses",
        "1 for the reason why no write is taken",
        None,
        MetricType::Gauge,
    )?;
    for reason in REFUSES {
        let labels = [("reason", reason)];
        let is_it = progress.refuses == Some(reason);
        gauge(u64::from(is_it)).encode(family.encode_family(&labels)?)?;
    }
    let mut family = encoder.encode_descriptor(
        "records",
        "Records the ledger has settled",
        None,
        MetricType::Counter,
    )?;
    for (outcome, value) in OUTCOMES.into_iter().zip(progress.outcomes) {
        let labels = [("outcome", outcome)];
        ConstCounter::new(value).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

fn gauge(value: u64) -> ConstGauge<i64> {
    ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX))
}
