//! Which journals are shipped, in which order, and when is one forgotten?
//!
//! One task per environment. Journals of earlier runs go first, oldest first,
//! because later records rest on them; each is closed at the ledger when it is
//! empty. A segment is removed when every environment's records in it have
//! their terminal outcome. Where one environment's do not get theirs, the
//! others' are taken out of its segments once they hold too much room.

mod upkeep;

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicBool},
    time::Duration,
};

use tokio::sync::watch;
use tracing::Instrument as _;

use crate::{
    clock::Ambient,
    current::Current,
    disk::journal::{Journal, Recovered},
    progress::{
        LedgerError, Progress, ProgressLedger,
        shipper::{Lane, ShipError, Shipped},
    },
    telemetry::traces,
};

/// Everything the lanes of one edge share.
pub(super) struct Shipping {
    pub(super) progress: Progress,
    pub(super) ledger: Arc<dyn ProgressLedger>,
    pub(super) current: Arc<Current>,
    pub(super) journal: Journal,
    pub(super) recovered: Vec<Recovered>,
    pub(super) environments: Vec<String>,
    pub(super) ambient: Ambient,
    pub(super) pause_first: Duration,
    pub(super) pause_max: Duration,
    pub(super) status: Arc<Mutex<ShippingStatus>>,
    /// Journals with records that nobody here ships: they are never removed.
    kept: Mutex<BTreeSet<String>>,
    /// Journals of earlier runs that are gone.
    removed: Mutex<BTreeSet<String>>,
    /// Through which seq of a journal an environment's records have their
    /// outcome.
    settled: Mutex<BTreeMap<(String, String), u64>>,
    /// Something that may go is still there, because the disk refused.
    is_cluttered: AtomicBool,
}

/// What `/status` and the metrics say about shipping.
#[derive(Clone, Debug, Default)]
pub(super) struct ShippingStatus {
    /// Outcomes so far: applied, already, superseded, dead.
    pub(super) outcomes: [u64; 4],
    /// The last failure until the next success, by environment.
    pub(super) errors: BTreeMap<String, String>,
    /// How often somebody else wrote under the id of a journal of ours.
    pub(super) forks: u64,
    /// Journals of earlier runs that are not empty yet.
    pub(super) journals_open: usize,
}

/// The parts of [`Shipping`] that are handed in.
pub(super) struct ShippingParts {
    pub(super) progress: Progress,
    pub(super) ledger: Arc<dyn ProgressLedger>,
    pub(super) current: Arc<Current>,
    pub(super) journal: Journal,
    pub(super) recovered: Vec<Recovered>,
    /// Journals that hold records of environments this edge does not serve.
    pub(super) kept: BTreeSet<String>,
    pub(super) environments: Vec<String>,
    pub(super) ambient: Ambient,
    pub(super) pause_first: Duration,
    pub(super) pause_max: Duration,
}

impl Shipping {
    /// Nothing is sent before [`Self::run`].
    pub(super) fn new(parts: ShippingParts) -> Arc<Self> {
        let status = ShippingStatus {
            journals_open: parts.recovered.len(),
            ..ShippingStatus::default()
        };
        Arc::new(Self {
            progress: parts.progress,
            ledger: parts.ledger,
            current: parts.current,
            journal: parts.journal,
            recovered: parts.recovered,
            environments: parts.environments,
            ambient: parts.ambient,
            pause_first: parts.pause_first,
            pause_max: parts.pause_max,
            status: Arc::new(Mutex::new(status)),
            kept: Mutex::new(parts.kept),
            removed: Mutex::default(),
            settled: Mutex::default(),
            is_cluttered: AtomicBool::new(false),
        })
    }

    /// Ships one environment's records until told to stop; then sends what is
    /// left, as far as the ledger takes it at the first try.
    pub(super) async fn run(self: Arc<Self>, environment: String, mut stop: watch::Receiver<bool>) {
        for recovered in &self.recovered {
            let Some(last) = recovered.last else {
                self.forget(&recovered.journal, &environment, u64::MAX)
                    .await;
                continue;
            };
            if !self
                .empty(&recovered.journal, last, &environment, &mut stop)
                .await
            {
                return;
            }
        }
        let id = self.journal.id().to_owned();
        let mut lane = match self.lane(&environment, &id) {
            Ok(lane) => lane,
            Err(error) => return self.unreadable(&id, &error),
        };
        let mut synced = self.journal.watch_synced();
        let mut gaps = self.progress.watch_gaps();
        let mut failures = 0;
        loop {
            let stopping = *stop.borrow();
            let through = *synced.borrow_and_update();
            let span = traces::task("ship", &environment);
            match lane.step(through).instrument(span).await {
                Ok(Shipped::Moved { outcomes }) => {
                    failures = 0;
                    self.moved(&environment, outcomes);
                    self.forget(&id, &environment, lane.done_through()).await;
                }
                Ok(Shipped::Forked(_)) => {
                    failures += 1;
                    self.forked(failures, &mut stop).await;
                }
                Ok(Shipped::Idle) if stopping => return,
                Ok(Shipped::Idle) => {
                    tokio::select! {
                        changed = synced.changed() => if changed.is_err() { return },
                        // The lane knows why it was woken.
                        _ = gaps.changed() => {}
                        _ = stop.changed() => {}
                        () = tokio::time::sleep(self.pause_max), if self.is_cluttered() => {
                            self.upkeep(None).await;
                        }
                    }
                }
                Err(_) if stopping => return,
                Err(error) => {
                    failures += 1;
                    self.pause(&environment, &error, failures, &mut stop).await;
                }
            }
        }
    }

    /// Ships all of an earlier journal and closes it. False when told to stop.
    async fn empty(
        &self,
        journal: &str,
        last: u64,
        environment: &str,
        stop: &mut watch::Receiver<bool>,
    ) -> bool {
        let mut lane = match self.lane(environment, journal) {
            Ok(lane) => lane,
            Err(error) => {
                // The others go on; its files stay for somebody to look at.
                self.unreadable(journal, &error);
                return true;
            }
        };
        let mut failures = 0;
        loop {
            let span = traces::task("ship", environment);
            let result = match lane.step(last).instrument(span).await {
                Ok(Shipped::Moved { outcomes }) => {
                    failures = 0;
                    self.moved(environment, outcomes);
                    continue;
                }
                Ok(Shipped::Forked(_)) => {
                    failures += 1;
                    self.forked(failures, stop).await;
                    continue;
                }
                // What this release cannot read another one will ship.
                Ok(Shipped::Idle) if lane.unread() > 0 => {
                    let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
                    kept.insert(journal.to_owned());
                    Ok(())
                }
                Ok(Shipped::Idle) => lane.close().await.map_err(ShipError::from),
                Err(error) => Err(error),
            };
            let stopping = *stop.borrow();
            match result {
                Ok(()) => {
                    self.forget(journal, environment, u64::MAX).await;
                    return true;
                }
                Err(_) if stopping => return false,
                Err(error) => {
                    failures += 1;
                    self.pause(environment, &error, failures, stop).await;
                }
            }
        }
    }

    fn lane(&self, environment: &str, journal: &str) -> io::Result<Lane> {
        Ok(Lane::new(
            self.progress.clone(),
            self.ledger.clone(),
            environment,
            self.current.clone(),
            journal,
            self.journal.reader(journal)?,
        ))
    }

    fn unreadable(&self, journal: &str, error: &io::Error) {
        tracing::error!(journal, %error, "a journal cannot be opened for shipping; its records stay on disk");
    }

    fn moved(&self, environment: &str, outcomes: [u64; 4]) {
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        for (sum, more) in status.outcomes.iter_mut().zip(outcomes) {
            *sum += more;
        }
        if status.errors.remove(environment).is_some() {
            tracing::info!(environment, "the ledger takes records again");
        }
    }

    /// Records are sent under another name next; at once, unless that was
    /// refused as well.
    async fn forked(&self, failures: u32, stop: &mut watch::Receiver<bool>) {
        {
            let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
            status.forks += 1;
        }
        if failures > 1 {
            self.wait(failures, self.pause_max, stop).await;
        }
    }

    async fn pause(
        &self,
        environment: &str,
        error: &ShipError,
        failures: u32,
        stop: &mut watch::Receiver<bool>,
    ) {
        let first = {
            let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
            status
                .errors
                .insert(environment.to_owned(), error.to_string())
                .is_none()
        };
        if first {
            tracing::warn!(environment, %error, "records cannot be shipped; they stay in the journal");
        }
        // Whoever is stuck here is in the way of the others.
        self.upkeep(None).await;
        // A refusal does not go away by asking often.
        let first = match error {
            ShipError::Ledger(LedgerError::Fork(_) | LedgerError::Refused(_)) => self.pause_max,
            _ => self.pause_first,
        };
        self.wait(failures, first, stop).await;
    }

    async fn wait(&self, failures: u32, first: Duration, stop: &mut watch::Receiver<bool>) {
        let pause = self.ambient.backoff(failures, first, self.pause_max);
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = stop.changed() => {}
        }
    }
}
