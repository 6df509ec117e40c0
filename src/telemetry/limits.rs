//! What was refused because it was too much, and how full is it?
//!
//! Counted by the worker that refuses, summed at the scrape. The names of
//! reasons and classes are those of whoever counts.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use prometheus_client::{
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};

use super::metrics::Counter;

/// What one worker counts of its limits.
#[derive(Debug)]
pub struct LimitCounters {
    names: &'static LimitNames,
    limited: Box<[Counter]>,
    shed: Box<[Counter]>,
    /// Requests under way.
    pub in_flight: Gauge,
    /// Classes of requests given up.
    pub level: Gauge,
}

/// Reasons and classes, in the order of their numbers.
#[derive(Debug)]
pub struct LimitNames {
    /// Why a request was refused: the reason and the status it is told with.
    pub reasons: &'static [(&'static str, &'static str)],
    /// What is given up first, and so on.
    pub classes: &'static [&'static str],
}

/// A number that one thread sets and any thread reads.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// Sets it.
    pub fn set(&self, value: u64) {
        self.0.store(value, Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

impl LimitCounters {
    pub(super) fn new(names: &'static LimitNames) -> Self {
        let counters = |count: usize| (0..count).map(|_| Counter::default()).collect();
        Self {
            names,
            limited: counters(names.reasons.len()),
            shed: counters(names.classes.len()),
            in_flight: Gauge::default(),
            level: Gauge::default(),
        }
    }

    /// Counts a refused request, by the number of its reason.
    pub fn limited(&self, reason: usize) {
        if let Some(counter) = self.limited.get(reason) {
            counter.add(1);
        }
    }

    /// Counts what was given up, by the number of its class.
    pub fn shed(&self, class: usize) {
        if let Some(counter) = self.shed.get(class) {
            counter.add(1);
        }
    }
}

/// Writes the sums over all workers.
pub(super) fn encode(
    encoder: &mut DescriptorEncoder<'_>,
    workers: &[Arc<LimitCounters>],
) -> fmt::Result {
    let Some(first) = workers.first() else {
        return Ok(());
    };
    let sum = |of: &dyn Fn(&LimitCounters) -> u64| -> u64 { workers.iter().map(|w| of(w)).sum() };
    let mut family = encoder.encode_descriptor(
        "requests_limited",
        "Requests refused because they were too many, by reason and status",
        None,
        MetricType::Counter,
    )?;
    for (at, (why, status)) in first.names.reasons.iter().enumerate() {
        let value = ConstCounter::new(sum(&|w| w.limited[at].get()));
        value.encode(family.encode_family(&[("why", *why), ("status", *status)])?)?;
    }
    let mut family = encoder.encode_descriptor(
        "shed",
        "What was given up under too much load, by class",
        None,
        MetricType::Counter,
    )?;
    for (at, class) in first.names.classes.iter().enumerate() {
        let value = ConstCounter::new(sum(&|w| w.shed[at].get()));
        value.encode(family.encode_family(&[("class", *class)])?)?;
    }
    let behind = workers.iter().map(|w| w.level.get()).max().unwrap_or(0);
    for (name, help, value) in [
        (
            "requests_in_flight",
            "Requests under way",
            sum(&|w| w.in_flight.get()),
        ),
        (
            "shed_level",
            "Classes given up by the worker that is most behind",
            behind,
        ),
    ] {
        let metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX)).encode(metric)?;
    }
    Ok(())
}
