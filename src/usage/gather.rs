//! How does what was told come into the journal?
//!
//! [`Gatherer`] merges reports as they come, and once a second writes what it
//! has as records of the journal: so much a crash may cost at the most. What
//! the journal does not take, or fails to sync, is merged back and tried again;
//! a record that failed is void once another one is written, so nothing counts
//! twice.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use tokio::{sync::watch, time::MissedTickBehavior};

use super::{
    COUNTED_HERE, HourCount, Sighting, UsageRecord,
    evaluations::Evaluations,
    hour_of,
    pending::Pending,
    told::{Intake, Outlet, Told},
};
use crate::{
    clock::{Ambient, UnixMs},
    disk::journal::{Journal, Owner, Ticket},
    limits::{USAGE_RECORD_BYTES_MAX, USAGE_RECORD_ROWS_MAX},
};

/// Between two writes: what was acknowledged and a crash may lose.
pub(super) const WRITE_EVERY: Duration = Duration::from_secs(1);

/// The kind of the journal's records; there is one.
const KIND: u8 = 1;

/// All records are of one owner, who has no share: the journal is theirs alone.
const OWNER: Owner = Owner(0);

/// Merges and writes. A step function: [`Gatherer::run`] drives it.
pub struct Gatherer {
    outlet: Outlet,
    /// By environment.
    pending: BTreeMap<String, Pending>,
    rows: Vec<Row>,
    writing: Vec<(Ticket, UsageRecord)>,
    journal: Journal,
    ambient: Ambient,
}

/// What a worker counts, and how much of it is known.
struct Row {
    environment: Arc<str>,
    counters: Arc<Evaluations>,
    seen: Vec<u64>,
}

impl Gatherer {
    /// Over a journal that holds nothing else, and where requests leave what
    /// they are told.
    pub fn new(journal: Journal, ambient: Ambient, counts_evaluations: bool) -> (Self, Intake) {
        let (intake, outlet) = Intake::open(counts_evaluations);
        let gatherer = Self {
            outlet,
            pending: BTreeMap::new(),
            rows: Vec::new(),
            writing: Vec::new(),
            journal,
            ambient,
        };
        (gatherer, intake)
    }

    /// Merges and writes until told to stop; then writes what is left.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let mut beat = tokio::time::interval(WRITE_EVERY);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                told = self.outlet.receiver.recv() => match told {
                    Some(told) => self.take(told),
                    None => break,
                },
                _ = beat.tick() => {
                    self.write();
                    self.settle().await;
                }
                // Either way it is over.
                _ = stop.changed() => break,
            }
        }
        self.take_all();
        self.write();
        self.settle().await;
    }

    /// Merges everything that was handed over.
    pub(super) fn take_all(&mut self) {
        while let Ok(told) = self.outlet.receiver.try_recv() {
            self.take(told);
        }
    }

    fn take(&mut self, told: Told) {
        match told {
            Told::Report(report) => {
                self.outlet.queued_bytes.fetch_sub(report.bytes, Relaxed);
                let now = self.ambient.now_ms();
                // Names of environments are the configuration's.
                let pending = self.pending.entry(report.environment.clone()).or_default();
                pending.report(report, &self.outlet.counters, now);
                self.outlet.counters.merged(self.unsynced());
            }
            Told::Evaluations(environment, counters) => self.rows.push(Row {
                environment,
                counters,
                seen: Vec::new(),
            }),
        }
    }

    /// Hands everything that waits to the journal, unless something is still on
    /// its way there.
    pub(super) fn write(&mut self) {
        let now = self.ambient.now_ms();
        self.count_evaluations(now);
        if !self.writing.is_empty() {
            return;
        }
        let era = self.journal.era();
        for (environment, pending) in &mut self.pending {
            for record in records(environment, pending.take()) {
                let body = serde_json::to_vec(&record).unwrap_or_default();
                match self.journal.append(era, (OWNER, KIND), now, body) {
                    Ok(ticket) => self.writing.push((ticket, record)),
                    Err(_) => pending.put_back(record, &self.outlet.counters),
                }
            }
        }
        self.outlet.counters.waits(self.unsynced());
    }

    /// Waits for what is on its way; what did not arrive waits again.
    pub(super) async fn settle(&mut self) {
        for (ticket, record) in std::mem::take(&mut self.writing) {
            if ticket.durable().await.is_err() {
                let pending = self.pending.entry(record.environment.clone()).or_default();
                pending.put_back(record, &self.outlet.counters);
            }
        }
        self.outlet.counters.waits(self.unsynced());
    }

    /// What is in memory alone: merged, or on its way to the disk.
    fn unsynced(&self) -> usize {
        let pending: usize = self.pending.values().map(Pending::weight).sum();
        let writing = self.writing.iter();
        let writing = writing.map(|(_, record)| record.counts.len() + record.seen.len());
        pending + writing.sum::<usize>()
    }

    /// Takes what workers counted since the last time. Rows that no worker has
    /// any more go.
    fn count_evaluations(&mut self, now: UnixMs) {
        let (pending, counters) = (&mut self.pending, &self.outlet.counters);
        self.rows.retain_mut(|row| {
            // Asked before the last look: what is counted later is in no row
            // that was given up.
            let is_given_up = Arc::get_mut(&mut row.counters).is_some();
            let name = &*row.environment;
            let mut own: Vec<HourCount> = Vec::new();
            row.counters.since(&mut row.seen, |flag, counts| {
                own.push(HourCount {
                    hour_ms: hour_of(now),
                    app: COUNTED_HERE.to_owned(),
                    flag: flag.to_owned(),
                    seen_ms: now,
                    counts,
                });
            });
            if !own.is_empty() {
                let pending = pending.entry(name.to_owned()).or_default();
                own.into_iter().for_each(|own| pending.count(own, counters));
            }
            !is_given_up
        });
    }
}

/// Splits what waits into records of a bounded size.
pub(super) fn records(
    environment: &str,
    (counts, seen): (Vec<HourCount>, Vec<Sighting>),
) -> Vec<UsageRecord> {
    let mut records: Vec<UsageRecord> = Vec::new();
    let mut room = (0, 0);
    let mut record = |bytes: usize| {
        let (rows, left) = room;
        if rows == 0 || left < bytes {
            records.push(UsageRecord {
                environment: environment.to_owned(),
                ..UsageRecord::default()
            });
            room = (USAGE_RECORD_ROWS_MAX, USAGE_RECORD_BYTES_MAX);
        }
        room = (room.0 - 1, room.1.saturating_sub(bytes));
        records.len() - 1
    };
    let places: Vec<usize> = counts
        .iter()
        .map(|own| record(bytes_of_count(own)))
        .collect();
    let met: Vec<usize> = seen
        .iter()
        .map(|own| record(bytes_of_sighting(own)))
        .collect();
    for (at, count) in places.into_iter().zip(counts) {
        records[at].counts.push(count);
    }
    for (at, sighting) in met.into_iter().zip(seen) {
        records[at].seen.push(sighting);
    }
    records
}

/// At the most, as JSON: every byte of a name may be escaped.
fn bytes_of_count(own: &HourCount) -> usize {
    let variants = own.counts.variants.keys();
    let variants = variants.map(|name| name.len() * 6 + 32);
    (own.app.len() + own.flag.len()) * 6 + variants.sum::<usize>() + 192
}

fn bytes_of_sighting(own: &Sighting) -> usize {
    let words = [&own.app, &own.instance, &own.sdk, &own.platform];
    let words = words.into_iter().chain(&own.strategies).chain(&own.via);
    words.map(|word| word.len() * 6 + 16).sum::<usize>() + 128
}
