//! Who waits for news of an environment, and how do they hear of it?
//!
//! Environments come and go while edges wait for them. For each there is one
//! signal for what is published and one for progress, so that no edge is woken
//! for another environment. With an environment its signals go, which ends
//! every wait for it.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use tokio::sync::watch;

use super::{Current, Environment};

/// The signals of all environments.
#[derive(Debug, Default)]
pub(super) struct Following {
    /// By environment uid: a name may come back and mean another one.
    by_uid: RwLock<BTreeMap<String, Signals>>,
    /// Counts the batches of all environments.
    everywhere: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Signals {
    current: watch::Sender<Arc<Current>>,
    /// Counts batches that changed something.
    progress: watch::Sender<u64>,
}

impl Following {
    /// Makes signals for what has none; nothing is published there yet.
    pub(super) fn welcome(&self, environments: &[Environment]) {
        let is_new = |own: &&Environment| !self.read().contains_key(&own.uid);
        let new: Vec<&Environment> = environments.iter().filter(is_new).collect();
        if !new.is_empty() {
            let mut by_uid = self.write();
            for own in new {
                by_uid.entry(own.uid.clone()).or_default();
            }
        }
    }

    /// Ends the waits for what is not there any more.
    pub(super) fn dismiss(&self, environments: &[Environment]) {
        if self.read().len() > environments.len() {
            let is_there = |uid: &String| environments.iter().any(|own| own.uid == *uid);
            self.write().retain(|uid, _| is_there(uid));
        }
    }

    /// What is published and what will be.
    pub(super) fn current(&self, uid: &str) -> Option<watch::Receiver<Arc<Current>>> {
        Some(self.read().get(uid)?.current.subscribe())
    }

    /// Something else is published from now on.
    pub(super) fn announce(&self, uid: &str, current: Current) {
        if let Some(signals) = self.read().get(uid) {
            signals.current.send_replace(Arc::new(current));
        }
    }

    /// A signal for every batch that changed something in one environment.
    pub(super) fn progress(&self, uid: &str) -> Option<watch::Receiver<u64>> {
        Some(self.read().get(uid)?.progress.subscribe())
    }

    /// A signal for every batch that changed something, wherever.
    pub(super) fn all_progress(&self) -> watch::Receiver<u64> {
        self.everywhere.subscribe()
    }

    /// Whoever waits for anything looks again.
    pub(super) fn look(&self) {
        self.everywhere.send_modify(|count| *count += 1);
    }

    /// Something changed in an environment, and is committed.
    pub(super) fn taken(&self, uid: &str) {
        if let Some(signals) = self.read().get(uid) {
            signals.progress.send_modify(|count| *count += 1);
        }
        self.look();
    }

    /// Nothing panics while it holds the lock, and the map is sound if it did.
    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<String, Signals>> {
        self.by_uid.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<String, Signals>> {
        self.by_uid.write().unwrap_or_else(PoisonError::into_inner)
    }
}
