//! The ledger's own rules over maps, for whoever simulates edges.
//!
//! What a record does is decided by the same code as in a real store; only the
//! rows are kept in memory, so that thousands of ledgers cost nothing. Every
//! transaction works on a copy and is kept or forgotten as a whole.

#![cfg_attr(not(test), allow(dead_code, reason = "fuzzing takes a part of it"))]

use std::collections::{BTreeMap, BTreeSet};

use super::{
    DeadLetter, EngineError, Environment, JournalMark, LedgerTransaction, MembershipKey, Retention,
    ShipError, Versions, apply,
    changes::{self, Cursor, CursorError},
    other_end, unseen,
};
use crate::{
    clock::UnixMs,
    limits,
    progress::event::{
        Batch, BatchAnswer, Change, Changes, GroupRecord, MembershipRecord, UserDocument,
        chain_hash,
    },
    snapshot::wire::EnvironmentType,
    store::{
        AuditEntry,
        engine::{ChangeRows, Counter, WebhookEffect},
    },
};

/// One environment's progress.
#[derive(Clone, Default)]
pub(crate) struct MemoryLedger {
    pub(crate) users: BTreeMap<String, UserDocument>,
    pub(crate) groups: BTreeMap<String, GroupRecord>,
    pub(crate) memberships: BTreeMap<MembershipKey, MembershipRecord>,
    /// By id.
    pub(crate) posted: BTreeMap<String, WebhookEffect>,
    /// By position.
    noted: BTreeMap<u64, Change>,
    pub(crate) marks: BTreeMap<String, JournalMark>,
    refuted: BTreeMap<(String, String), BTreeSet<String>>,
    pub(crate) dead: Vec<DeadLetter>,
    audited: Vec<AuditEntry>,
    /// How often it was restored from a copy.
    pub(crate) lives: u64,
    /// By what they count.
    pub(crate) counters: BTreeMap<Counter, i64>,
    /// Up to here no revision is given out.
    pub(crate) forgotten_rev: u64,
}

/// An environment as the ledger asks for it.
pub(crate) fn environment(uid: &str, name: &str) -> Environment {
    Environment::new(uid.to_owned(), name, EnvironmentType::Production, true)
}

impl MemoryLedger {
    /// As the store does it.
    pub(crate) fn ship(
        &mut self,
        environment: &Environment,
        batch: &Batch,
        versions: &dyn Versions,
    ) -> Result<BatchAnswer, ShipError> {
        let hash = chain_hash(batch).map_err(|error| ShipError::Refused(error.to_string()))?;
        let mut copy = self.clone();
        let answer = apply(
            &mut copy,
            environment,
            (batch, &hash),
            versions,
            (&Retention::default(), 1),
        )??;
        *self = copy;
        Ok(answer.answer)
    }

    /// As the store does it.
    pub(crate) fn close(&mut self, journal: &str, hash: &str) -> Result<(), ShipError> {
        let mark = self.marks.entry(journal.to_owned()).or_default();
        if let Some(fork) = other_end(journal, Some(hash), mark) {
            return Err(fork);
        }
        mark.closed_ms = Some(1);
        Ok(())
    }

    /// A user's document.
    pub(crate) fn document(&self, user: &str) -> UserDocument {
        let known = self.users.get(user).cloned();
        known.unwrap_or_else(|| unseen(user))
    }

    /// A group's record.
    pub(crate) fn record(&self, group: &str) -> GroupRecord {
        let known = self.groups.get(group).cloned();
        known.unwrap_or_else(|| GroupRecord {
            identifier: group.to_owned(),
            ..GroupRecord::default()
        })
    }
}

impl MemoryLedger {
    /// What stands under a membership key.
    pub(crate) fn membership(
        &self,
        deployment: &str,
        id: &str,
        conversation: Option<&str>,
    ) -> MembershipRecord {
        let key = MembershipKey {
            deployment: deployment.to_owned(),
            id: id.to_owned(),
            conversation: conversation.map(ToOwned::to_owned),
        };
        self.memberships.get(&key).cloned().unwrap_or_default()
    }

    /// What changed since a cursor, as the store says it.
    pub(crate) fn changes(&self, cursor: Option<&str>) -> Result<Changes, CursorError> {
        let cursor = cursor.map(Cursor::read).transpose()?;
        let last = self.noted.keys().next_back().copied().unwrap_or(0);
        let after = cursor.map_or(last, |cursor| cursor.position);
        let first = self.noted.keys().next().copied();
        let rows = self.noted.range(after.saturating_add(1)..);
        let found = ChangeRows {
            ledger: format!("memory{}", self.lives),
            first: first.unwrap_or(last + 1),
            last,
            rows: rows
                .take(limits::CHANGES_PER_ANSWER_MAX)
                .map(|(at, change)| (*at, change.clone()))
                .collect(),
        };
        Ok(changes::answer(cursor, found))
    }
}

impl LedgerTransaction for MemoryLedger {
    fn user(&mut self, user: &str) -> Result<Option<UserDocument>, EngineError> {
        Ok(self.users.get(user).cloned())
    }

    fn put_user(&mut self, document: &UserDocument) -> Result<(), EngineError> {
        let name = document.identifier.clone();
        self.users.insert(name, document.clone());
        Ok(())
    }

    fn group(&mut self, group: &str) -> Result<Option<GroupRecord>, EngineError> {
        Ok(self.groups.get(group).cloned())
    }

    fn put_group(&mut self, record: &GroupRecord) -> Result<(), EngineError> {
        let name = record.identifier.clone();
        self.groups.insert(name, record.clone());
        Ok(())
    }

    fn membership(&mut self, key: &MembershipKey) -> Result<Option<MembershipRecord>, EngineError> {
        Ok(self.memberships.get(key).cloned())
    }

    fn forgotten_rev(&mut self) -> Result<u64, EngineError> {
        Ok(self.forgotten_rev)
    }

    fn touch_conversation(&mut self, _conversation: &str, _now: UnixMs) -> Result<(), EngineError> {
        Ok(())
    }

    fn set_user_aside(&mut self, _user: &str) -> Result<(), EngineError> {
        Ok(())
    }

    fn put_membership(
        &mut self,
        key: &MembershipKey,
        record: &MembershipRecord,
        _now: UnixMs,
    ) -> Result<(), EngineError> {
        self.memberships.insert(key.clone(), record.clone());
        Ok(())
    }

    fn note(&mut self, change: &Change) -> Result<(), EngineError> {
        let next = self.noted.keys().next_back().map_or(1, |last| last + 1);
        self.noted.insert(next, change.clone());
        let kept = usize::try_from(limits::CHANGES_KEPT_MAX).unwrap_or(usize::MAX);
        if self.noted.len() > kept {
            self.noted.pop_first();
        }
        Ok(())
    }

    fn post(&mut self, id: &str, effect: &WebhookEffect, _now: UnixMs) -> Result<(), EngineError> {
        let place = self.posted.entry(id.to_owned());
        place.or_insert_with(|| effect.clone());
        Ok(())
    }

    fn count(&mut self, counts: &BTreeMap<Counter, i64>) -> Result<(), EngineError> {
        for (counter, by) in counts {
            *self.counters.entry(counter.clone()).or_default() += by;
        }
        self.counters.retain(|_, count| *count != 0);
        Ok(())
    }

    fn journals(&mut self) -> Result<Vec<String>, EngineError> {
        Ok(self.marks.keys().cloned().collect())
    }

    fn memberships_of(
        &mut self,
        id: &str,
    ) -> Result<Vec<(MembershipKey, MembershipRecord)>, EngineError> {
        let own = self.memberships.iter().filter(|(key, _)| key.id == id);
        Ok(own
            .map(|(key, record)| (key.clone(), record.clone()))
            .collect())
    }

    fn forget_membership(&mut self, key: &MembershipKey, doc_rev: u64) -> Result<(), EngineError> {
        self.memberships.remove(key);
        self.forgotten_rev = self.forgotten_rev.max(doc_rev);
        self.note(&Change {
            subject: format!("{:016x}", key.subject()),
            doc_rev,
            journal: String::new(),
        })
    }

    fn forget_traces(&mut self, user: &str) -> Result<usize, EngineError> {
        let before = self.dead.len() + self.posted.len();
        self.dead.retain(|letter| letter.event.user != user);
        self.posted.retain(|_, effect| effect.user != user);
        Ok(before - self.dead.len() - self.posted.len())
    }

    fn mark(&mut self, journal: &str) -> Result<Option<JournalMark>, EngineError> {
        Ok(self.marks.get(journal).cloned())
    }

    fn put_mark(&mut self, journal: &str, mark: &JournalMark) -> Result<(), EngineError> {
        self.marks.insert(journal.to_owned(), mark.clone());
        Ok(())
    }

    fn refuted(&mut self, journal: &str, user: &str) -> Result<BTreeSet<String>, EngineError> {
        let place = (journal.to_owned(), user.to_owned());
        Ok(self.refuted.get(&place).cloned().unwrap_or_default())
    }

    fn put_refuted(
        &mut self,
        journal: &str,
        user: &str,
        places: &BTreeSet<String>,
        _now: UnixMs,
    ) -> Result<(), EngineError> {
        let place = (journal.to_owned(), user.to_owned());
        self.refuted.insert(place, places.clone());
        Ok(())
    }

    fn audit(&mut self, entry: &AuditEntry) -> Result<(), EngineError> {
        self.audited.push(entry.clone());
        Ok(())
    }

    fn dead_letter(&mut self, letter: &DeadLetter) -> Result<(), EngineError> {
        self.dead.push(letter.clone());
        Ok(())
    }
}
