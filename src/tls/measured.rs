//! How long do certificates last, and do new ones come in?
//!
//! Looked up at a scrape: an alarm on the seconds left catches a renewal that
//! stopped, whatever the reason.

use std::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};
use std::sync::atomic::Ordering::Relaxed;

use super::{Renewals, renewal::Facts};
use crate::{clock::Ambient, telemetry::metrics::Metrics};

/// Registers what is measured of all renewals.
pub fn measure(renewals: &Renewals, ambient: &Ambient, metrics: &Metrics) {
    let measured = Measured {
        renewals: renewals.clone(),
        ambient: ambient.clone(),
    };
    metrics.register(|registry| registry.register_collector(Box::new(measured)));
}

struct Measured {
    renewals: Renewals,
    ambient: Ambient,
}

impl fmt::Debug for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Measured").finish_non_exhaustive()
    }
}

/// A counter: its name, its help and where its value stands.
type Row = (&'static str, &'static str, fn(&Facts) -> u64);

const ROWS: [Row; 2] = [
    (
        "certificate_reloads",
        "Times new certificates came into force",
        |facts| facts.reloads.load(Relaxed),
    ),
    (
        "certificate_reload_errors",
        "Times new certificates were refused and the old ones stayed",
        |facts| facts.errors.load(Relaxed),
    ),
];

impl Collector for Measured {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        if self.renewals.is_empty() {
            return Ok(());
        }
        let now = i64::try_from(self.ambient.now_ms()).unwrap_or(i64::MAX);
        let mut family = encoder.encode_descriptor(
            "certificate_expires_seconds",
            "Until our certificate expires; negative when it has",
            None,
            MetricType::Gauge,
        )?;
        for (name, facts) in self.renewals.facts() {
            let expires_ms = facts.expires_ms.load(Relaxed);
            if expires_ms > 0 {
                let expires_ms = i64::try_from(expires_ms).unwrap_or(i64::MAX);
                let left = ConstGauge::new(expires_ms.saturating_sub(now) / 1_000);
                left.encode(family.encode_family(&[("of", name)])?)?;
            }
        }
        for (row, help, of) in ROWS {
            let mut family = encoder.encode_descriptor(row, help, None, MetricType::Counter)?;
            for (name, facts) in self.renewals.facts() {
                let value = ConstCounter::new(of(facts));
                value.encode(family.encode_family(&[("of", name)])?)?;
            }
        }
        Ok(())
    }
}
