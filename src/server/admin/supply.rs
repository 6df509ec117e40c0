//! How is each environment kept up to date, in numbers?
//!
//! Ages instead of events wherever silence is the fault: a task that has died
//! or a stream that is open and says nothing counts nothing, but its age grows.

use std::fmt;

use prometheus_client::{
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};

use super::{EnvironmentFacts, RefreshFacts, measured::gauge, seconds_since};
use crate::clock::UnixMs;

/// A gauge of an environment's supply; none where there is nothing to say yet.
type SupplyRow = (
    &'static str,
    &'static str,
    fn(&EnvironmentFacts, UnixMs) -> Option<u64>,
);

const ROWS: [SupplyRow; 8] = [
    (
        "refresh_last_attempt_age_seconds",
        "Since upstream was asked last",
        |own, now| Some(seconds_since(own.refresh.last_attempt_ms?, now)),
    ),
    (
        "refresh_last_confirmed_age_seconds",
        "Since upstream confirmed or replaced what is live with something fresh",
        |own, now| Some(seconds_since(own.refresh.last_success_ms?, now)),
    ),
    (
        "refresh_silent",
        "1 when the last attempt is longer ago than any attempt takes",
        |own, now| Some(own.is_silent(own.refresh.last_attempt_ms, now).into()),
    ),
    (
        "refresh_consecutive_failures",
        "Failed attempts since the last success",
        |own, _| Some(own.refresh.failures_in_a_row),
    ),
    (
        "snapshot_from_disk",
        "1 while what is live came from disk and upstream has not confirmed it",
        |own, _| Some(own.refresh.from_disk.into()),
    ),
    (
        "snapshot_fell_back",
        "1 when the newest kept snapshot was damaged and the one before it was taken",
        |own, _| Some(own.refresh.fell_back.into()),
    ),
    (
        "changes_last_answer_age_seconds",
        "Since the ledger answered last what other edges changed",
        |own, now| Some(seconds_since(own.changes.last_answer_ms?, now)),
    ),
    (
        "changes_silent",
        "1 when that is longer ago than any answer takes",
        |own, now| Some(own.is_silent(own.changes.last_answer_ms, now).into()),
    ),
];

/// Counters by reason.
type ReasonRow = (
    &'static str,
    &'static str,
    fn(&RefreshFacts) -> &[(&'static str, u64)],
);

const REASON_ROWS: [ReasonRow; 2] = [
    (
        "refresh_failures",
        "Failed attempts to refresh, by reason",
        |refresh| &refresh.failures,
    ),
    (
        "documents_refused",
        "Documents and parts that came and were refused, by reason",
        |refresh| &refresh.refused,
    ),
];

/// Writes all of them.
pub(super) fn encode(
    encoder: &mut DescriptorEncoder<'_>,
    environments: &[EnvironmentFacts],
    now: UnixMs,
) -> Result<(), fmt::Error> {
    for (name, help, of) in ROWS {
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for own in environments {
            if let Some(value) = of(own, now) {
                let labels = [("environment", own.name.as_str())];
                gauge(value).encode(family.encode_family(&labels)?)?;
            }
        }
    }
    for (name, help, of) in REASON_ROWS {
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for own in environments {
            for (reason, count) in of(&own.refresh) {
                let labels = [("environment", own.name.as_str()), ("reason", reason)];
                ConstCounter::new(*count).encode(family.encode_family(&labels)?)?;
            }
        }
    }
    let help = "Until the root in force expires; below 0 when it has";
    let name = "root_expires_in_seconds";
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for own in environments {
        if let Some(expires_ms) = own.refresh.root_expires_ms {
            let labels = [("environment", own.name.as_str())];
            let left = ConstGauge::new(seconds_between(now, expires_ms));
            left.encode(family.encode_family(&labels)?)?;
        }
    }
    Ok(())
}

fn seconds_between(from: UnixMs, to: UnixMs) -> i64 {
    let seconds = |ms: u64| i64::try_from(ms / 1_000).unwrap_or(i64::MAX);
    seconds(to) - seconds(from)
}
