//! Which subjects are in memory?
//!
//! Bounded caches of what came from the ledger: users, groups, percentage
//! decisions. Steps of ours that the ledger does not have yet are never only
//! here: eviction may forget anything in this file at any time, and `pending`
//! lies over it.

use std::sync::Arc;

use moka::sync::Cache;

use super::{
    enrolling::KnownMembership,
    journals::RecordPlace,
    keys::Name,
    known::{Known, KnownGroup},
    pending::{Pending, RecoveredRecord},
    stepping::Memory,
    ticks::Tick,
};

/// What users, groups and percentage decisions have in common: the ledger has
/// a document of each, and our own records lie over it.
pub(super) trait Kept: Clone + Send + Sync + Sized + 'static {
    /// Where our records of it are.
    fn pending(memory: &Memory) -> &Pending<Self>;

    /// Where the ledger's documents of it are.
    fn cache(subjects: &Subjects) -> &Cache<Box<[u8]>, Cached<Self>>;

    /// One that nobody could be asked about.
    fn assumed(name: &Name<'_>) -> Self;

    /// The last record of any journal that the ledger's document includes.
    fn taken(&self) -> Option<&(Arc<str>, u64)>;

    /// The ledger's revision of the document, where it says one.
    fn rev(&self) -> u64 {
        0
    }

    /// After these records of earlier runs.
    fn after_recovered(&self, records: &[RecoveredRecord]) -> Self;

    /// What the ledger has at this revision when all our records were taken as
    /// they are; none when that must be read.
    fn settled(&self, doc_rev: u64) -> Option<Self>;

    /// The document that was read, if it is of this kind.
    fn of_below(below: Below) -> Option<Cached<Self>>;
}

/// A document of any kind as the ledger had it.
#[derive(Clone)]
pub(super) enum Below {
    /// A user's.
    User(Cached<Known>),
    /// A group's.
    Group(Cached<KnownGroup>),
    /// That of a percentage decision.
    Membership(Cached<KnownMembership>),
}

/// A document as the ledger had it.
#[derive(Debug)]
pub(super) struct Cached<T> {
    pub(super) document: Arc<T>,
    /// When the read began.
    pub(super) tick: Tick,
    /// The last record of ours that is in it, of a state that made room while
    /// its records were outstanding; none in what the ledger said.
    pub(super) through: Option<RecordPlace>,
}

impl<T> Clone for Cached<T> {
    fn clone(&self) -> Self {
        Self {
            document: self.document.clone(),
            tick: self.tick,
            through: self.through,
        }
    }
}

/// The caches. Ids come from outside, so the maps keep the default keyed hash.
pub(super) struct Subjects {
    pub(super) users: Cache<Box<[u8]>, Cached<Known>>,
    pub(super) groups: Cache<Box<[u8]>, Cached<KnownGroup>>,
    pub(super) memberships: Cache<Box<[u8]>, Cached<KnownMembership>>,
}

/// States of flows and blocks that a user has without counting as more than
/// one.
const STATES_PER_WEIGHT: usize = 64;

fn weight(user: &Known) -> u32 {
    let flows = user.subject.flows.iter();
    let states: usize = flows.map(|own| 1 + own.state.blocks.len()).sum();
    u32::try_from(1 + states / STATES_PER_WEIGHT).unwrap_or(u32::MAX)
}

impl Subjects {
    /// Holds at most this many users, and as many of the other kinds. Users
    /// with much progress count as several, or a few thousand of them would
    /// fill the memory.
    pub(super) fn new(users_max: u64) -> Self {
        Self {
            users: Cache::builder()
                .max_capacity(users_max)
                .weigher(|_, cached: &Cached<Known>| weight(&cached.document))
                .build(),
            groups: Cache::new(users_max),
            memberships: Cache::new(users_max),
        }
    }

    /// Users in memory. The cache counts lazily, so it is asked to catch up;
    /// that is for status and metrics, never for a request.
    pub(super) fn count(&self) -> u64 {
        self.users.run_pending_tasks();
        self.users.entry_count()
    }
}
