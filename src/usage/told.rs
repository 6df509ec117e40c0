//! How does what requests tell reach those who keep it, without a wait?
//!
//! [`Intake`] hands a report over a bounded channel and a bounded number of
//! bytes; what finds either full is refused, and the client tells it again. The
//! counters beside it say what became of everything that was told.

use std::sync::{
    Arc,
    atomic::{
        AtomicU64, AtomicUsize,
        Ordering::{Acquire, Relaxed, Release},
    },
};

use tokio::sync::mpsc;

use super::{
    HourCount, Sighting,
    evaluations::{Evaluating, Evaluations},
};
use crate::{
    limits::{USAGE_QUEUE_BYTES_MAX, USAGE_QUEUE_MAX},
    snapshot::flags::Flags,
};

/// What one request told, as far as its key may tell it.
#[derive(Debug, Default)]
pub struct Report {
    /// Environment name.
    pub environment: String,
    /// The use of flags that are there.
    pub counts: Vec<HourCount>,
    /// And of names that no flag has.
    pub unknown: Vec<HourCount>,
    /// Who told.
    pub seen: Vec<Sighting>,
    /// Of the body it came in.
    pub bytes: usize,
}

/// What comes over the channel.
pub(super) enum Told {
    Report(Report),
    /// Counters of a worker that begins with them now.
    Evaluations(Arc<str>, Arc<Evaluations>),
}

/// Too much waits to be kept: the client is to come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// Why something that was told is not kept, by its name in metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// There is nobody to ship it to.
    NoStore,
    /// Of a flag in a project that the key does not see.
    OtherProject,
    /// Too many names that no flag has, within the hour.
    UnknownFlag,
    /// Too many counts or instances wait for the journal.
    Memory,
    /// The store refused the batch for what it says.
    Refused,
    /// The store took the batch and left this out.
    LeftOut,
    /// Found in the journal, for an environment that is not served any more.
    OtherEnvironment,
    /// Found in the journal, and written by another release.
    Unreadable,
}

impl Dropped {
    /// All of them, by name.
    pub(super) const NAMES: [&'static str; 8] = [
        "no_store",
        "other_project",
        "unknown_flag",
        "memory",
        "refused",
        "left_out",
        "other_environment",
        "unreadable",
    ];
}

/// What became of a batch, by its name in metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    Taken,
    /// The store stood elsewhere: an answer had been lost.
    Elsewhere,
    Refused,
    Failed,
}

impl Sent {
    pub(super) const NAMES: [&'static str; 4] = ["taken", "elsewhere", "refused", "failed"];
}

/// What was told and what became of it.
#[derive(Debug, Default)]
pub struct UsageCounters {
    /// Reports that were taken.
    pub(super) reports: AtomicU64,
    /// Reports that were refused because too much waited.
    pub(super) busy: AtomicU64,
    /// Counts under a name that stands for too many applications.
    pub(super) folded: AtomicU64,
    dropped: [AtomicU64; Dropped::NAMES.len()],
    sent: [AtomicU64; Sent::NAMES.len()],
    /// Reports that were taken and are not merged yet.
    queued: AtomicU64,
    /// Counts and instances that were merged and are not synced yet.
    pending: AtomicU64,
}

impl UsageCounters {
    /// Counts what is not kept.
    pub fn dropped(&self, why: Dropped, count: u64) {
        self.dropped[why as usize].fetch_add(count, Relaxed);
    }

    /// A report was merged; so much waits now.
    pub(super) fn merged(&self, pending: usize) {
        self.waits(pending);
        // Behind the other, so that nobody sees neither.
        self.queued.fetch_sub(1, Release);
    }

    /// So much waits for the journal, and for its sync.
    pub(super) fn waits(&self, pending: usize) {
        self.pending.store(pending as u64, Release);
    }

    /// What was taken and is in memory alone.
    pub(super) fn unsynced(&self) -> u64 {
        let queued = self.queued.load(Acquire);
        queued + self.pending.load(Acquire)
    }

    pub(super) fn sent(&self, outcome: Sent) {
        self.sent[outcome as usize].fetch_add(1, Relaxed);
    }

    /// What was not kept so far, by reason.
    pub(super) fn all_dropped(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = self.dropped.iter().map(|count| count.load(Relaxed));
        Dropped::NAMES.into_iter().zip(counts)
    }

    /// Batches so far, by outcome.
    pub(super) fn all_sent(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = self.sent.iter().map(|count| count.load(Relaxed));
        Sent::NAMES.into_iter().zip(counts)
    }
}

/// Where requests leave what they were told; cheap to clone.
#[derive(Clone)]
pub struct Intake {
    /// None where nothing is kept.
    sender: Option<mpsc::Sender<Told>>,
    queued_bytes: Arc<AtomicUsize>,
    counters: Arc<UsageCounters>,
    counts_evaluations: bool,
}

/// The other end.
pub(super) struct Outlet {
    pub(super) receiver: mpsc::Receiver<Told>,
    pub(super) queued_bytes: Arc<AtomicUsize>,
    pub(super) counters: Arc<UsageCounters>,
}

impl Intake {
    /// Keeps nothing: there is no store that would want it.
    pub fn closed() -> Self {
        Self {
            sender: None,
            queued_bytes: Arc::default(),
            counters: Arc::default(),
            counts_evaluations: false,
        }
    }

    pub(super) fn open(counts_evaluations: bool) -> (Self, Outlet) {
        let (sender, receiver) = mpsc::channel(USAGE_QUEUE_MAX);
        let intake = Self {
            sender: Some(sender),
            queued_bytes: Arc::default(),
            counters: Arc::default(),
            counts_evaluations,
        };
        let outlet = Outlet {
            receiver,
            queued_bytes: Arc::clone(&intake.queued_bytes),
            counters: Arc::clone(&intake.counters),
        };
        (intake, outlet)
    }

    /// Where it is counted what became of everything.
    pub fn counters(&self) -> &Arc<UsageCounters> {
        &self.counters
    }

    /// Leaves a report. Never waits.
    pub fn offer(&self, report: Report) -> Result<(), Full> {
        let Some(sender) = &self.sender else {
            let count = report.counts.len() + report.unknown.len() + report.seen.len();
            self.counters.dropped(Dropped::NoStore, count as u64);
            return Ok(());
        };
        let bytes = report.bytes;
        let before = self.queued_bytes.fetch_add(bytes, Relaxed);
        self.counters.queued.fetch_add(1, Relaxed);
        let fits = before + bytes <= USAGE_QUEUE_BYTES_MAX;
        if fits && sender.try_send(Told::Report(report)).is_ok() {
            self.counters.reports.fetch_add(1, Relaxed);
            return Ok(());
        }
        self.counters.queued.fetch_sub(1, Relaxed);
        self.queued_bytes.fetch_sub(bytes, Relaxed);
        self.counters.busy.fetch_add(1, Relaxed);
        Err(Full)
    }

    /// Counters of one worker for its own evaluations; none where these are not
    /// counted.
    pub fn evaluating(&self) -> Option<Evaluating> {
        self.counts_evaluations
            .then(|| Evaluating::new(self.clone()))
    }

    /// New counters for flags that a worker evaluates from now on; none when
    /// there is no room to announce them at this moment.
    pub(super) fn announce(
        &self,
        environment: &str,
        flags: &Arc<Flags>,
    ) -> Option<Arc<Evaluations>> {
        let counters = Arc::new(Evaluations::new(Arc::clone(flags)));
        let told = Told::Evaluations(environment.into(), Arc::clone(&counters));
        self.sender.as_ref()?.try_send(told).ok()?;
        Some(counters)
    }
}
