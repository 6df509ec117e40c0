//! What must hold of the use of flags on its way, whatever it says?
//!
//! Targets of `crate::fuzzing`. What is written is read again; sums and lists
//! stay within their bounds; records stay within the journal's, and hold all
//! that was told.

use std::sync::Arc;

use super::{
    Report, Tally, UsageBatch, UsageCounters, UsageRecord, gather::records, pending::Pending,
};
use crate::{
    clock::UnixMs,
    limits::{RECORD_BYTES_MAX, USAGE_RECORD_ROWS_MAX, USAGE_SUM_MAX, USAGE_VARIANTS_MAX},
};

/// A record of the journal, or a batch of an edge, JSON.
pub(crate) fn record(bytes: &[u8]) {
    if let Ok(batch) = serde_json::from_slice::<UsageBatch>(bytes) {
        let written = serde_json::to_vec(&batch).expect("it is written");
        assert_eq!(
            serde_json::from_slice::<UsageBatch>(&written).ok(),
            Some(batch)
        );
    }
    let Ok(record) = serde_json::from_slice::<UsageRecord>(bytes) else {
        return;
    };
    let written = serde_json::to_vec(&record).expect("it is written");
    let again = serde_json::from_slice::<UsageRecord>(&written).ok();
    assert_eq!(again.as_ref(), Some(&record));
    let mut all = Tally::default();
    for count in &record.counts {
        all.add(&count.counts);
        all.add(&count.counts);
    }
    assert!(all.variants.len() <= USAGE_VARIANTS_MAX);
    let sums = all.variants.values().chain([&all.yes, &all.no]);
    assert!(sums.max() <= Some(&USAGE_SUM_MAX));
    // As if it could not be written, and is written again.
    let counters = Arc::<UsageCounters>::default();
    let mut pending = Pending::default();
    pending.put_back(record, &counters);
    check(&mut pending);
}

/// A report that was taken: it is merged and becomes records.
pub(crate) fn kept(report: Report, now: UnixMs) {
    let counters = Arc::<UsageCounters>::default();
    let mut pending = Pending::default();
    pending.report(report, &counters, now);
    check(&mut pending);
}

fn check(pending: &mut Pending) {
    let (counts, seen) = pending.take();
    let rows = (counts.len(), seen.len());
    let written = records("development", (counts, seen));
    let count = |of: fn(&UsageRecord) -> usize| written.iter().map(of).sum::<usize>();
    assert_eq!(
        (count(|own| own.counts.len()), count(|own| own.seen.len())),
        rows
    );
    for record in &written {
        assert!(record.counts.len() + record.seen.len() <= USAGE_RECORD_ROWS_MAX);
        let body = serde_json::to_vec(record).expect("it is written");
        assert!(body.len() <= RECORD_BYTES_MAX, "{} bytes", body.len());
    }
}
