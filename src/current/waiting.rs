//! Is a revision here that somebody has to see?
//!
//! Whoever was told of a revision may ask for one at least as new. Usually it
//! is here, and asking costs a comparison. Else upstream is asked at once (a
//! refresher that pauses or waits is woken, however many ask) and the request
//! waits: for a bounded time, beside a bounded number of others. It never
//! waits for what cannot come.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use super::Current;
use crate::{
    limits::{REVISION_WAITERS_MAX, REVISION_WAITERS_PER_KEY_MAX},
    snapshot::Revision,
};

/// Why a revision is not here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotHere {
    /// It did not come in time.
    #[error("revision {wanted} did not come in time; {live} is in force")]
    Late {
        /// As asked.
        wanted: Revision,
        /// In force.
        live: Revision,
    },
    /// No root document this edge knows speaks of such an epoch.
    #[error("revision {wanted} is of an epoch this edge does not know; {live} is in force")]
    Epoch {
        /// As asked.
        wanted: Revision,
        /// In force.
        live: Revision,
    },
    /// Its release is held back: it comes when somebody confirms it.
    #[error("revision {wanted} is held back here; {live} is in force")]
    Held {
        /// As asked.
        wanted: Revision,
        /// In force.
        live: Revision,
    },
    /// As many wait as may.
    #[error("revision {wanted} is not here, and too many wait already; {live} is in force")]
    Crowded {
        /// As asked.
        wanted: Revision,
        /// In force.
        live: Revision,
    },
}

/// How waits for revisions ended.
pub const OUTCOMES: [&str; 5] = ["arrived", "late", "unknown_epoch", "crowded", "held"];

/// The waiting side of [`Current`].
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// How long a request waits at the most.
    pub(super) patience: Duration,
    waiters: Mutex<Waiters>,
    /// Where the refresher of an environment is woken. Made when first asked
    /// for; there are as many as environments.
    asked: Mutex<HashMap<Box<str>, Arc<Notify>>>,
    ended: [AtomicU64; 5],
}

/// Who waits. Only a request that has to wait locks this.
#[derive(Debug, Default)]
struct Waiters {
    all: usize,
    /// By hash of the key; those with nobody waiting are removed.
    by_key: HashMap<[u8; 32], usize>,
}

/// One that waits; dropped with its request, however that ends.
struct Waiter<'w> {
    waiting: &'w Waiting,
    key: [u8; 32],
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let mut waiters = locked(&self.waiting.waiters);
        waiters.all -= 1;
        if let Some(own) = waiters.by_key.get_mut(&self.key) {
            *own -= 1;
            if *own == 0 {
                waiters.by_key.remove(&self.key);
            }
        }
    }
}

impl Waiting {
    fn enter(&self, key: &[u8; 32]) -> Option<Waiter<'_>> {
        let mut waiters = locked(&self.waiters);
        let own = waiters.by_key.get(key).copied().unwrap_or(0);
        if waiters.all >= REVISION_WAITERS_MAX || own >= REVISION_WAITERS_PER_KEY_MAX {
            return None;
        }
        waiters.all += 1;
        waiters.by_key.insert(*key, own + 1);
        Some(Waiter {
            waiting: self,
            key: *key,
        })
    }

    fn count(&self, result: &Result<(), NotHere>) {
        let outcome = match result {
            Ok(()) => 0,
            Err(NotHere::Late { .. }) => 1,
            Err(NotHere::Epoch { .. }) => 2,
            Err(NotHere::Crowded { .. }) => 3,
            Err(NotHere::Held { .. }) => 4,
        };
        self.ended[outcome].fetch_add(1, Relaxed);
    }
}

impl Current {
    /// The same, where requests wait this long for a revision they ask for.
    #[must_use]
    pub fn patient(mut self, patience: Duration) -> Self {
        self.waiting.patience = patience;
        self
    }

    /// Rung when somebody wants something newer of this environment than what
    /// is here. Rings that nobody has heard yet count as one.
    pub fn asked(&self, environment: &str) -> Arc<Notify> {
        let mut asked = locked(&self.waiting.asked);
        if let Some(bell) = asked.get(environment) {
            return bell.clone();
        }
        let bell = Arc::<Notify>::default();
        asked.insert(environment.into(), bell.clone());
        bell
    }

    /// How many waits ended how, in the order of [`OUTCOMES`].
    pub fn waits(&self) -> [u64; 5] {
        std::array::from_fn(|at| self.waiting.ended[at].load(Relaxed))
    }

    /// Returns when this revision of the environment, or a newer one, is in
    /// force; the value to go on with is the one loaded after it.
    pub async fn at_least(
        &self,
        environment: &str,
        wanted: Revision,
        key: &[u8; 32],
    ) -> Result<(), NotHere> {
        if self.is_here(environment, wanted).is_ok() {
            return Ok(());
        }
        let result = self.wait_for(environment, wanted, key).await;
        self.waiting.count(&result);
        result
    }

    /// The live revision when it is older.
    fn is_here(&self, environment: &str, wanted: Revision) -> Result<(), Revision> {
        let live = self.revision(environment).unwrap_or_default();
        if live >= wanted { Ok(()) } else { Err(live) }
    }

    fn is_held(&self, environment: &str, wanted: Revision) -> bool {
        let live = self.load();
        live.named(environment)
            .is_some_and(|own| own.is_held(wanted))
    }

    async fn wait_for(
        &self,
        environment: &str,
        wanted: Revision,
        key: &[u8; 32],
    ) -> Result<(), NotHere> {
        // Before the look: what is published in between is not missed.
        let mut published = self.watch();
        let Err(live) = self.is_here(environment, wanted) else {
            return Ok(());
        };
        // Also when nobody will wait: the next to ask may then find it.
        self.asked(environment).notify_one();
        if wanted.epoch > live.epoch {
            return Err(NotHere::Epoch { wanted, live });
        }
        if self.is_held(environment, wanted) {
            return Err(NotHere::Held { wanted, live });
        }
        let Some(waiter) = self.waiting.enter(key) else {
            return Err(NotHere::Crowded { wanted, live });
        };
        let deadline = Instant::now() + self.waiting.patience;
        let result = loop {
            let Err(live) = self.is_here(environment, wanted) else {
                break Ok(());
            };
            if self.is_held(environment, wanted) {
                break Err(NotHere::Held { wanted, live });
            }
            let next = tokio::time::timeout_at(deadline, published.changed());
            // The sender is ours and lives on: only the deadline ends this.
            if next.await.is_err() {
                break Err(NotHere::Late { wanted, live });
            }
        };
        drop(waiter);
        result
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many wait now.
#[cfg(test)]
pub(super) fn waiters(current: &Current) -> usize {
    let waiters = locked(&current.waiting.waiters);
    assert_eq!(waiters.all, waiters.by_key.values().sum::<usize>());
    waiters.all
}
