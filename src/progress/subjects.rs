//! Which subjects are in memory?
//!
//! A bounded cache of what came from the ledger. Steps of ours that the ledger
//! does not have yet are never only here: eviction may forget anything in this
//! file at any time, and `pending` lies over it.

use std::sync::Arc;

use moka::sync::Cache;

use super::known::Known;
use crate::{current::EnvironmentSlot, evaluate::Profile, limits::SUBJECT_ID_BYTES_MAX};

/// Whether a key names a user or a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A user.
    User,
    /// A group.
    Group,
}

/// Key bytes of a subject, built on the stack so that a hit allocates nothing:
/// kind, environment slot, id.
pub(super) struct SubjectKey {
    bytes: [u8; 5 + SUBJECT_ID_BYTES_MAX],
    length: usize,
}

impl SubjectKey {
    /// The key of this id. Longer ids are refused at the door; here they would
    /// be cut, which two users must never notice, so it is asserted.
    pub(super) fn new(kind: Kind, slot: EnvironmentSlot, id: &str) -> Self {
        assert!(id.len() <= SUBJECT_ID_BYTES_MAX, "the id was not checked");
        let mut bytes = [0; 5 + SUBJECT_ID_BYTES_MAX];
        bytes[0] = kind as u8;
        bytes[1..5].copy_from_slice(&slot.0.to_le_bytes());
        bytes[5..5 + id.len()].copy_from_slice(id.as_bytes());
        Self {
            bytes,
            length: 5 + id.len(),
        }
    }

    /// Whose key it is.
    pub(super) fn kind(&self) -> Kind {
        if self.bytes[0] == Kind::User as u8 {
            Kind::User
        } else {
            Kind::Group
        }
    }

    /// As the maps compare it.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// The cache. Ids come from outside, so the maps keep the default keyed hash.
pub(super) struct Subjects {
    users: Cache<Box<[u8]>, Arc<Known>>,
    groups: Cache<Box<[u8]>, Arc<Profile>>,
}

impl Subjects {
    /// Holds at most this many users, and as many groups.
    pub(super) fn new(users_max: u64) -> Self {
        Self {
            users: Cache::new(users_max),
            groups: Cache::new(users_max),
        }
    }

    /// A user.
    pub(super) fn user(&self, key: &SubjectKey) -> Option<Arc<Known>> {
        self.users.get(key.bytes())
    }

    /// A group.
    pub(super) fn group(&self, key: &SubjectKey) -> Option<Arc<Profile>> {
        self.groups.get(key.bytes())
    }

    /// Keeps a user.
    pub(super) fn keep_user(&self, key: &[u8], known: Arc<Known>) {
        self.users.insert(key.into(), known);
    }

    /// Keeps a group.
    pub(super) fn keep_group(&self, key: &[u8], profile: Arc<Profile>) {
        self.groups.insert(key.into(), profile);
    }

    /// Forgets a subject, so that the next read asks the ledger.
    pub(super) fn forget(&self, key: &[u8]) {
        if key.first() == Some(&(Kind::User as u8)) {
            self.users.invalidate(key);
        } else {
            self.groups.invalidate(key);
        }
    }

    /// Users in memory. The cache counts lazily, so it is asked to catch up;
    /// that is for status and metrics, never for a request.
    pub(super) fn count(&self) -> u64 {
        self.users.run_pending_tasks();
        self.users.entry_count()
    }
}
