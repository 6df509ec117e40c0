//! How are webhooks doing?
//!
//! Attempts by what followed from them, and how many webhooks wait: for
//! whoever scrapes the store.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};

use crate::store::engine::Attempted;

/// Outcomes as they are told; a failed attempt is followed by another one.
const OUTCOMES: [&str; 3] = ["delivered", "failed", "given_up"];

/// What an outbox counts.
#[derive(Clone, Debug, Default)]
pub struct OutboxCounts(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    /// As in [`OUTCOMES`].
    attempts: [AtomicU64; 3],
    waiting: AtomicU64,
}

impl OutboxCounts {
    /// An attempt is over.
    pub(super) fn count(&self, attempted: &Attempted) {
        let [delivered, failed, given_up] = &self.0.attempts;
        let counter = match attempted {
            Attempted::Delivered => delivered,
            Attempted::Later { .. } => failed,
            Attempted::Dead => given_up,
        };
        counter.fetch_add(1, Relaxed);
    }

    /// So many wait.
    pub(super) fn set_waiting(&self, waiting: u64) {
        self.0.waiting.store(waiting, Relaxed);
    }
}

impl Collector for OutboxCounts {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Attempts to deliver a webhook, by what came of them";
        let kind = MetricType::Counter;
        let mut family = encoder.encode_descriptor("webhook_attempts", help, None, kind)?;
        for (word, count) in OUTCOMES.into_iter().zip(&self.0.attempts) {
            let labels = [("outcome", word)];
            ConstCounter::new(count.load(Relaxed)).encode(family.encode_family(&labels)?)?;
        }
        let help = "Webhooks that are not delivered yet, as of some seconds ago";
        let kind = MetricType::Gauge;
        let family = encoder.encode_descriptor("webhooks_waiting", help, None, kind)?;
        let waiting = i64::try_from(self.0.waiting.load(Relaxed)).unwrap_or(i64::MAX);
        ConstGauge::<i64>::new(waiting).encode(family)
    }
}
