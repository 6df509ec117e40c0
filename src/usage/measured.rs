//! How does keeping and shipping the use of flags go, in words and in numbers?
//!
//! For `/status` and for a scrape, looked up when somebody asks.

use std::{
    fmt,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};

use super::{shipping::Shipping, told::UsageCounters};

/// What `/status` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsageFacts {
    /// Whether there is a store to ship to; without one nothing is kept.
    pub has_store: bool,
    /// Whether the journal takes records.
    pub writable: bool,
    /// Sums and reports that are in memory alone.
    pub pending: u64,
    /// Records of the journal that wait for the store.
    pub backlog_records: u64,
    /// Bytes of the journal on disk.
    pub journal_bytes: u64,
    /// What they may take.
    pub journal_bytes_max: u64,
    /// What is not kept, by reason.
    pub dropped: Vec<(&'static str, u64)>,
    /// Why nothing goes out, or in; none while all is well.
    pub error: Option<String>,
}

/// Who knows.
#[derive(Clone)]
pub struct UsageWatch {
    counters: Arc<UsageCounters>,
    shipping: Option<Arc<Shipping>>,
}

impl UsageWatch {
    /// Without shipping nothing is kept.
    pub fn new(counters: &Arc<UsageCounters>, shipping: Option<Arc<Shipping>>) -> Self {
        Self {
            counters: Arc::clone(counters),
            shipping,
        }
    }

    /// The facts now.
    pub fn facts(&self) -> UsageFacts {
        let dropped = self.counters.all_dropped().collect();
        let Some(shipping) = &self.shipping else {
            return UsageFacts {
                dropped,
                ..UsageFacts::default()
            };
        };
        let journal = shipping.journal();
        let status = journal.status();
        let unwritten = status.last_error.or(status.segment_error);
        UsageFacts {
            has_store: true,
            writable: status.writable,
            pending: self.counters.unsynced(),
            backlog_records: shipping.backlog(),
            journal_bytes: status.used_bytes,
            journal_bytes_max: journal.total_bytes_max(),
            dropped,
            error: unwritten.or_else(|| shipping.error()),
        }
    }
}

impl fmt::Debug for UsageWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UsageWatch").finish_non_exhaustive()
    }
}

impl Collector for UsageWatch {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let facts = self.facts();
        let reports = [
            ("taken", self.counters.reports.load(Relaxed)),
            ("busy", self.counters.busy.load(Relaxed)),
        ];
        let encoder = &mut encoder;
        let help = "Reports of clients about their use of flags";
        by_label(
            encoder,
            ("usage_reports", help),
            "outcome",
            reports.into_iter(),
        )?;
        let help = "Counts and instances that are not kept";
        let dropped = facts.dropped.into_iter();
        by_label(encoder, ("usage_dropped", help), "why", dropped)?;
        let help = "Batches for the store";
        let sent = self.counters.all_sent();
        by_label(encoder, ("usage_batches", help), "outcome", sent)?;
        let help = "Counts under a name that stands for too many applications";
        let folded = self.counters.folded.load(Relaxed);
        let family = encoder.encode_descriptor("usage_folded", help, None, MetricType::Counter)?;
        ConstCounter::new(folded).encode(family)?;
        for (name, help, value) in [
            (
                "usage_pending",
                "Sums and reports that are in memory alone",
                facts.pending,
            ),
            (
                "usage_backlog_records",
                "Records of the journal that wait for the store",
                facts.backlog_records,
            ),
            (
                "usage_journal_bytes",
                "Bytes of the journal on disk",
                facts.journal_bytes,
            ),
            (
                "usage_journal_bytes_max",
                "What they may take",
                facts.journal_bytes_max,
            ),
        ] {
            let value = i64::try_from(value).unwrap_or(i64::MAX);
            let family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            ConstGauge::<i64>::new(value).encode(family)?;
        }
        Ok(())
    }
}

/// A counter for each value of one label.
fn by_label(
    encoder: &mut DescriptorEncoder<'_>,
    (name, help): (&str, &str),
    label: &str,
    values: impl Iterator<Item = (&'static str, u64)>,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (word, value) in values {
        ConstCounter::new(value).encode(family.encode_family(&[(label, word)])?)?;
    }
    Ok(())
}
