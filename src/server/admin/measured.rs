//! What is measured when somebody scrapes?
//!
//! Values that are the state of something, looked up at the scrape, beside
//! what was counted while it happened.

use std::{fmt, sync::Arc};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};

use super::{
    Admin, age_s,
    facts::{EnvironmentFacts, OUTCOMES, ProgressFacts, REFUSES},
    supply,
};
use crate::{
    clock::UnixMs,
    current::{Age, Environment, WAIT_OUTCOMES},
    snapshot::wire::KeyKind,
};

/// What is looked up at the scrape instead of being counted.
pub(super) struct Measured(pub(super) Admin);

impl fmt::Debug for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Measured").finish_non_exhaustive()
    }
}

/// A gauge of an environment: its name, its help and where its value stands.
type EnvironmentRow = (&'static str, &'static str, fn(&Environment, UnixMs) -> u64);

const ENVIRONMENT_ROWS: [EnvironmentRow; 6] = [
    ("snapshot_epoch", "Epoch of the revision", |live, _| {
        u64::from(live.snapshot.revision.epoch)
    }),
    (
        "snapshot_clock_behind",
        "1 while the clock is behind what was signed, so that expiry is not judged",
        |live, now| u64::from(live.freshness.age(now) == Age::Unjudged),
    ),
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
        encode_states(&mut encoder, live.all(), now)?;
        supply::encode(&mut encoder, &facts.environments, now)?;
        let help = "Keys that open something, by kind";
        let mut family = encoder.encode_descriptor("keys", help, None, MetricType::Gauge)?;
        for environment in live.all() {
            for kind in KeyKind::ALL {
                let keys = environment.snapshot.keys.iter();
                let count = keys.filter(|key| key.kind == kind).count() as u64;
                let labels = [
                    ("environment", &*environment.snapshot.environment),
                    ("kind", kind.name()),
                ];
                gauge(count).encode(family.encode_family(&labels)?)?;
            }
        }
        let mut family = encoder.encode_descriptor(
            "min_revision_waits",
            "Requests that asked for a revision that was not here, by what came of it",
            None,
            MetricType::Counter,
        )?;
        for (outcome, count) in WAIT_OUTCOMES.into_iter().zip(self.0.current.waits()) {
            ConstCounter::new(count).encode(family.encode_family(&[("outcome", outcome)])?)?;
        }
        encode_guard(&mut encoder, &facts.environments)?;
        encode_progress(&mut encoder, &facts.progress)
    }
}

/// What the guard says: its name, its help and where its value stands.
type GuardRow = (&'static str, &'static str, fn(&EnvironmentFacts) -> u64);

fn encode_guard(
    encoder: &mut DescriptorEncoder<'_>,
    environments: &[EnvironmentFacts],
) -> Result<(), fmt::Error> {
    let rows: [GuardRow; 2] = [
        (
            "release_held",
            "1 while the newest release is held back",
            |own| u64::from(own.refresh.held.is_some()),
        ),
        (
            "release_changed_percent",
            "Of the flow of which the release judged last changes most decisions",
            |own| {
                let worst = own.refresh.verdict.first();
                worst.map_or(0, |flow| flow.changed * 100 / flow.judged.max(1))
            },
        ),
    ];
    for (name, help, of) in rows {
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for environment in environments {
            let labels = [("environment", environment.name.as_str())];
            gauge(of(environment)).encode(family.encode_family(&labels)?)?;
        }
    }
    Ok(())
}

/// One of each environment's states is 1.
fn encode_states(
    encoder: &mut DescriptorEncoder<'_>,
    live: &[Arc<Environment>],
    now: UnixMs,
) -> Result<(), fmt::Error> {
    let help = "1 for what the signed times and the clock make of what is live";
    let mut family = encoder.encode_descriptor("snapshot_state", help, None, MetricType::Gauge)?;
    for environment in live {
        let age = environment.freshness.age(now);
        for state in Age::ALL {
            let labels = [
                ("environment", &*environment.snapshot.environment),
                ("state", state.name()),
            ];
            gauge(u64::from(age == state)).encode(family.encode_family(&labels)?)?;
        }
    }
    Ok(())
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

pub(super) fn gauge(value: u64) -> ConstGauge<i64> {
    ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX))
}
