//! Which journals of the use of flags are shipped, and when is one forgotten?
//!
//! One task per environment: journals of earlier runs first, then the one of
//! this run, a batch every few seconds. A segment goes when every environment
//! is done with it, a journal of an earlier run as a whole. An environment
//! whose store is away keeps what is its own, within the journal's bound.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::watch;

use super::{
    lane::{Lane, LaneError, Moved, UsageSink},
    told::UsageCounters,
};
use crate::{
    clock::Ambient,
    disk::journal::{Journal, Recovered},
};

/// Between the end of one shipment and the next: what comes meanwhile is
/// merged, and nobody looks at these sums by the second.
const SHIP_EVERY: Duration = Duration::from_secs(2);

/// What the tasks of one edge share.
pub struct Shipping {
    journal: Journal,
    recovered: Vec<Recovered>,
    environments: Arc<[String]>,
    sink: Arc<dyn UsageSink>,
    counters: Arc<UsageCounters>,
    ambient: Ambient,
    /// Before another try, at first and at the most.
    pauses: (Duration, Duration),
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// By journal and environment: through where it is done.
    done: BTreeMap<(String, String), u64>,
    /// The last failure until the next success, by environment.
    errors: BTreeMap<String, String>,
}

/// How far a journal was shipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shipped {
    /// To its end.
    All,
    /// As far as there was time.
    Stopped,
    /// Not at all.
    Unreadable,
}

impl Shipping {
    /// Nothing is sent before [`Self::run`].
    pub fn new(
        (journal, recovered): (Journal, Vec<Recovered>),
        environments: Vec<String>,
        (sink, counters): (Arc<dyn UsageSink>, Arc<UsageCounters>),
        ambient: Ambient,
        pauses: (Duration, Duration),
    ) -> Arc<Self> {
        Arc::new(Self {
            journal,
            recovered,
            environments: environments.into(),
            sink,
            counters,
            ambient,
            pauses,
            state: Mutex::default(),
        })
    }

    /// Names of the tasks' environments.
    pub fn environments(&self) -> &[String] {
        &self.environments
    }

    /// Ships one environment's records until told to stop; then sends what is
    /// left, as far as the store takes it at the first try.
    pub async fn run(self: Arc<Self>, environment: String, mut stop: watch::Receiver<bool>) {
        for old in &self.recovered {
            let shipped = match old.last {
                Some(last) => {
                    self.ship(&old.journal, Some(last), &environment, &mut stop)
                        .await
                }
                None => Shipped::All,
            };
            match shipped {
                Shipped::All => self.done(&old.journal, &environment, u64::MAX),
                Shipped::Stopped => return,
                Shipped::Unreadable => {}
            }
        }
        let id = self.journal.id().to_owned();
        self.ship(&id, None, &environment, &mut stop).await;
    }

    /// Ships a journal up to its last record, or for as long as it grows.
    async fn ship(
        &self,
        journal: &str,
        last: Option<u64>,
        environment: &str,
        stop: &mut watch::Receiver<bool>,
    ) -> Shipped {
        let mut lane = match self.lane(journal, environment) {
            Ok(lane) => lane,
            Err(error) => {
                // Its files stay for somebody to look at.
                tracing::error!(journal, %error, "a journal of the use of flags cannot be opened");
                return Shipped::Unreadable;
            }
        };
        let mut synced = self.journal.watch_synced();
        let mut failures = 0;
        loop {
            let stopping = *stop.borrow_and_update();
            let through = last.unwrap_or_else(|| *synced.borrow_and_update());
            let moved = lane.step(through).await;
            self.done(journal, environment, lane.done_through());
            match moved {
                Ok(Moved::On) => {
                    failures = 0;
                    self.recovered_from(environment);
                }
                Ok(Moved::GivenUp(why)) => {
                    tracing::error!(
                        environment,
                        why,
                        "the store will never take a part of the use of flags; it is given up"
                    );
                }
                Ok(Moved::Idle) if last.is_some() => return Shipped::All,
                Ok(Moved::Idle) if stopping => return Shipped::Stopped,
                Ok(Moved::Idle) => {
                    tokio::select! {
                        changed = synced.changed() => if changed.is_err() { return Shipped::Stopped },
                        _ = stop.changed() => continue,
                    }
                    wait(SHIP_EVERY, stop).await;
                }
                Err(_) if stopping => return Shipped::Stopped,
                Err(error) => {
                    failures += 1;
                    self.failed(environment, &error);
                    let (first, longest) = self.pauses;
                    wait(self.ambient.backoff(failures, first, longest), stop).await;
                }
            }
        }
    }

    fn lane(&self, journal: &str, environment: &str) -> io::Result<Lane> {
        Ok(Lane::new(
            (environment, &self.environments),
            (journal, self.journal.reader(journal)?),
            Arc::clone(&self.sink),
            Arc::clone(&self.counters),
        ))
    }

    /// Takes note of how far an environment is done with a journal, and removes
    /// what all are done with. A few files, so nobody waits for it.
    fn done(&self, journal: &str, environment: &str, through: u64) {
        let by_all = {
            let mut state = self.state();
            let place = (journal.to_owned(), environment.to_owned());
            if state.done.insert(place, through) == Some(through) {
                return;
            }
            self.by_all(&state, journal)
        };
        let removed = match by_all {
            0 => return,
            u64::MAX => self.journal.remove_finished(journal),
            // Earlier journals go as a whole.
            _ if journal != self.journal.id() => return,
            through => self.journal.retire(journal, through),
        };
        match removed {
            Ok(_) => {}
            // They cost space, and the store takes nothing twice.
            Err(error) => {
                tracing::warn!(%error, "what is shipped of the use of flags could not be removed");
            }
        }
    }

    /// Through which seq of a journal everybody is done.
    fn by_all(&self, state: &State, journal: &str) -> u64 {
        let through = self.environments.iter().map(|environment| {
            let place = (journal.to_owned(), environment.clone());
            state.done.get(&place).copied().unwrap_or(0)
        });
        through.min().unwrap_or(0)
    }

    fn failed(&self, environment: &str, error: &LaneError) {
        let mut state = self.state();
        let text = error.to_string();
        if state.errors.insert(environment.to_owned(), text).is_none() {
            tracing::warn!(environment, %error, "the use of flags cannot be shipped; it waits in its journal");
        }
    }

    fn recovered_from(&self, environment: &str) {
        if self.state().errors.remove(environment).is_some() {
            tracing::info!(environment, "the store takes the use of flags again");
        }
    }

    /// Records that some environment is not done with.
    pub(super) fn backlog(&self) -> u64 {
        let last = self.journal.status().last_seq;
        let state = self.state();
        let live = last.saturating_sub(self.by_all(&state, self.journal.id()));
        let earlier = self.recovered.iter();
        let earlier = earlier.filter(|old| self.by_all(&state, &old.journal) < u64::MAX);
        live + earlier.map(|old| old.records).sum::<u64>()
    }

    /// Why nothing goes out, if nothing does.
    pub(super) fn error(&self) -> Option<String> {
        let state = self.state();
        let errors = state.errors.iter();
        let errors: Vec<String> = errors
            .map(|(name, error)| format!("{name}: {error}"))
            .collect();
        (!errors.is_empty()).then(|| errors.join("; "))
    }

    pub(super) fn journal(&self) -> &Journal {
        &self.journal
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn wait(pause: Duration, stop: &mut watch::Receiver<bool>) {
    tokio::select! {
        () = tokio::time::sleep(pause) => {}
        _ = stop.changed() => {}
    }
}
