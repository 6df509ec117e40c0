//! What is live right now?
//!
//! The only ArcSwap of the program: the live snapshots of all environments and
//! one merged index of key hashes. A request loads it exactly once and never
//! holds the guard over an await. Publishing one environment copies a short
//! vector of `Arc`s; the publisher frees the old value on its own thread. How
//! old it may be is judged in [`freshness`], who waits for the next one stands
//! in [`waiting`].

mod freshness;
#[cfg(test)]
mod tests;
mod waiting;

pub use self::{
    freshness::{Age, Freshness, Policies, Policy},
    waiting::{NotHere, OUTCOMES as WAIT_OUTCOMES},
};

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::{ArcSwap, Guard};
use rustc_hash::FxHashMap;
use subtle::ConstantTimeEq;

use crate::{
    clock::UnixMs,
    snapshot::{Key, Revision, Snapshot, flags::FlagHistory},
};

/// A small number for an environment uid, stable for the life of the process;
/// subjects in memory are keyed by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EnvironmentSlot(pub u32);

/// A small number for a key, the same for as long as the key stays live;
/// what is counted by key is counted under it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeySlot(pub u32);

/// One environment as it is served.
#[derive(Debug)]
pub struct Environment {
    /// For keys in memory.
    pub slot: EnvironmentSlot,
    /// What is evaluated against.
    pub snapshot: Arc<Snapshot>,
    /// Of the timestamp in force.
    pub freshness: Freshness,
    /// The newest revision, when its release is held back: no wait brings it.
    pub held: Option<Revision>,
    /// What is done when that is old.
    pub policies: Policies,
    /// What has changed of the flags until now.
    pub flag_history: Arc<FlagHistory>,
}

impl Environment {
    /// Whether this revision, or one before it, is held back here.
    pub fn is_held(&self, revision: Revision) -> bool {
        let held = self.held.filter(|held| revision <= *held);
        held.is_some() && revision > self.snapshot.revision
    }

    /// How old it is by this clock, and what is done about it.
    pub fn judged(&self, now: UnixMs) -> (Age, Policy) {
        let age = self.freshness.age(now);
        (age, self.policies.at(age))
    }
}

/// All environments: the one value a request reads.
#[derive(Debug, Default)]
pub struct Environments {
    list: Vec<Arc<Environment>>,
    /// How many there are to be.
    expected: usize,
    keys: FxHashMap<[u8; 32], KeyPlace>,
    /// Slots given to keys so far.
    slots: u32,
}

/// Where a key stands: positions in `list` and in that snapshot's keys.
#[derive(Clone, Copy, Debug)]
struct KeyPlace {
    environment: u32,
    key: u32,
    slot: KeySlot,
}

/// What a key opens.
#[derive(Clone, Copy, Debug)]
pub struct Opened<'e> {
    /// Its environment.
    pub environment: &'e Arc<Environment>,
    /// The key itself.
    pub key: &'e Key,
    /// What is counted by key is counted under this.
    pub slot: KeySlot,
}

impl Environments {
    /// The environment and key with this hash. The map finds the candidate; the
    /// comparison that counts takes the same time wherever the hashes differ.
    pub fn key(&self, sha256: &[u8; 32]) -> Option<Opened<'_>> {
        let place = self.keys.get(sha256)?;
        let environment = &self.list[place.environment as usize];
        let key = &environment.snapshot.keys[place.key as usize];
        let opened = Opened {
            environment,
            key,
            slot: place.slot,
        };
        bool::from(words(&key.sha256).ct_eq(&words(sha256))).then_some(opened)
    }

    /// The environment with this name.
    pub fn named(&self, name: &str) -> Option<&Arc<Environment>> {
        self.list
            .iter()
            .find(|environment| &*environment.snapshot.environment == name)
    }

    /// All of them, in the order in which they first appeared.
    pub fn all(&self) -> &[Arc<Environment>] {
        &self.list
    }

    /// Whether every environment this edge is to serve is live. Until then a
    /// key that is not found may belong to one that is not here yet.
    pub fn is_complete(&self) -> bool {
        self.list.len() >= self.expected
    }

    /// Follows on what was live before: a key that stays keeps its slot.
    fn after(&self, list: Vec<Arc<Environment>>) -> Self {
        let mut keys = FxHashMap::default();
        let mut slots = self.slots;
        for (position, environment) in list.iter().enumerate() {
            for (key_position, key) in environment.snapshot.keys.iter().enumerate() {
                let known = self.keys.get(&key.sha256).map(|place| place.slot);
                let slot = known.unwrap_or_else(|| {
                    slots = slots.wrapping_add(1);
                    KeySlot(slots)
                });
                let place = KeyPlace {
                    environment: position as u32,
                    key: key_position as u32,
                    slot,
                };
                keys.insert(key.sha256, place);
            }
        }
        Self {
            list,
            expected: self.expected,
            keys,
            slots,
        }
    }
}

/// The holder of the live value.
#[derive(Debug)]
pub struct Current {
    live: ArcSwap<Environments>,
    /// Serialises publishers and remembers which uid has which slot. Readers
    /// never touch it.
    slots: Mutex<Vec<Box<str>>>,
    published: tokio::sync::watch::Sender<u64>,
    /// By environment name; who is not named has the defaults.
    policies: BTreeMap<Box<str>, Policies>,
    waiting: waiting::Waiting,
}

impl Default for Current {
    fn default() -> Self {
        Self {
            live: ArcSwap::from_pointee(Environments::default()),
            slots: Mutex::default(),
            published: tokio::sync::watch::Sender::new(0),
            policies: BTreeMap::new(),
            waiting: waiting::Waiting::default(),
        }
    }
}

impl Current {
    /// With nothing live yet, to serve this many environments.
    pub fn expecting(environments: usize) -> Self {
        let empty = Environments {
            expected: environments,
            ..Environments::default()
        };
        Self {
            live: ArcSwap::from_pointee(empty),
            ..Self::default()
        }
    }

    /// The same, where this is done when an environment is old.
    #[must_use]
    pub fn governed(mut self, environment: &str, policies: Policies) -> Self {
        self.policies.insert(environment.into(), policies);
        self
    }

    /// The live value. Load it once per request.
    pub fn load(&self) -> Guard<Arc<Environments>> {
        self.live.load()
    }

    /// Puts a snapshot in the place of its environment's old one and returns
    /// what was live before, for the caller to free off the request threads.
    pub fn publish(&self, snapshot: Arc<Snapshot>, freshness: Freshness) -> Arc<Environments> {
        self.publish_beside(snapshot, freshness, None)
    }

    /// The same, while a newer revision is held back.
    pub fn publish_beside(
        &self,
        snapshot: Arc<Snapshot>,
        freshness: Freshness,
        held: Option<Revision>,
    ) -> Arc<Environments> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let policies = self.policies.get(&*snapshot.environment);
        // Publishers go one after the other, so this stays what is live.
        let live = self.live.load_full();
        let environment = Arc::new(Environment {
            slot: slot_in(&mut slots, &snapshot.environment_uid),
            policies: policies.copied().unwrap_or_default(),
            flag_history: history(live.named(&snapshot.environment), &snapshot),
            snapshot,
            freshness,
            held,
        });
        let mut list = live.list.clone();
        let name = &environment.snapshot.environment;
        match list
            .iter_mut()
            .find(|live| live.snapshot.environment == *name)
        {
            Some(place) => *place = environment,
            None => list.push(environment),
        }
        let old = self.live.swap(Arc::new(live.after(list)));
        drop(slots);
        self.published.send_modify(|count| *count += 1);
        old
    }

    /// The slot of an environment uid, also before its first snapshot: records
    /// of earlier runs name environments by uid.
    pub fn slot(&self, environment_uid: &str) -> EnvironmentSlot {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slot_in(&mut slots, environment_uid)
    }

    /// A receiver that changes with every publish.
    pub fn watch(&self) -> tokio::sync::watch::Receiver<u64> {
        self.published.subscribe()
    }

    /// The revision in force for an environment.
    pub fn revision(&self, environment: &str) -> Option<Revision> {
        self.load()
            .named(environment)
            .map(|environment| environment.snapshot.revision)
    }
}

/// How the flags of a snapshot came about: the same under a newer timestamp,
/// unless its control document has switched flags off while a release is held.
fn history(live: Option<&Arc<Environment>>, snapshot: &Arc<Snapshot>) -> Arc<FlagHistory> {
    match live {
        Some(live)
            if live.snapshot.revision == snapshot.revision
                && live.snapshot.environment_uid == snapshot.environment_uid
                && live.snapshot.flag_mark == snapshot.flag_mark
                && live.snapshot.flags.fingerprint() == snapshot.flags.fingerprint() =>
        {
            live.flag_history.clone()
        }
        Some(live) => Arc::new(live.flag_history.after(&live.snapshot, snapshot)),
        None => Arc::new(FlagHistory::begin(snapshot)),
    }
}

/// A hash by the word: comparing it byte by byte, in constant time, would be
/// among the dearest parts of a request.
fn words(sha256: &[u8; 32]) -> [u64; 4] {
    let (words, _) = sha256.as_chunks::<8>();
    std::array::from_fn(|at| u64::from_le_bytes(words[at]))
}

fn slot_in(slots: &mut Vec<Box<str>>, environment_uid: &str) -> EnvironmentSlot {
    let position = slots
        .iter()
        .position(|uid| **uid == *environment_uid)
        .unwrap_or_else(|| {
            slots.push(environment_uid.into());
            slots.len() - 1
        });
    EnvironmentSlot(position as u32)
}
