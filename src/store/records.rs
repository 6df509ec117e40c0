//! What does the store know of users, and how does it learn more?
//!
//! The ledger half of [`Store`]. Environments are named as in urls; everything
//! blocks on the engine.

use serde_json::Map;
use tokio::sync::watch;

use super::{
    Page, PageAsk, Store, StoreError,
    engine::{DeadLetter, MembershipKey, Swept},
    known_environment,
    ledger::{
        self, ImportedUsers,
        changes::{self, Cursor},
    },
    paging::{EXPORTED_GROUPS, EXPORTED_USERS},
    user_line::UserLine,
};
use crate::{
    clock::UnixMs,
    limits,
    progress::event::{
        Batch, BatchAnswer, Changes, GroupDocument, GroupRecord, MembershipRecord, UserDocument,
    },
};

impl Store {
    /// A user's document; `doc_rev` 0 for one never seen.
    pub fn user(&self, environment: &str, user: &str) -> Result<UserDocument, StoreError> {
        let workspace = self.workspace();
        let environment = known_environment(&workspace, environment)?;
        let found = self.engine.user(&environment.uid, user)?;
        Ok(found.unwrap_or_else(|| ledger::unseen(user)))
    }

    /// A group's record; `doc_rev` 0 for one never seen.
    pub fn group(&self, environment: &str, group: &str) -> Result<GroupRecord, StoreError> {
        let workspace = self.workspace();
        let environment = known_environment(&workspace, environment)?;
        let found = self.engine.group(&environment.uid, group)?;
        Ok(found.unwrap_or_else(|| GroupRecord {
            identifier: group.to_owned(),
            ..GroupRecord::default()
        }))
    }

    /// What stands under a membership key; `doc_rev` 0 for nothing.
    pub fn membership(
        &self,
        environment: &str,
        deployment: &str,
        id: &str,
        conversation: Option<&str>,
    ) -> Result<MembershipRecord, StoreError> {
        let workspace = self.workspace();
        let environment = known_environment(&workspace, environment)?;
        let key = MembershipKey {
            deployment: deployment.to_owned(),
            id: id.to_owned(),
            conversation: conversation.map(ToOwned::to_owned),
        };
        let found = self.engine.membership(&environment.uid, &key)?;
        Ok(found.unwrap_or_default())
    }

    /// What changed since a cursor; without one, where the ledger stands.
    pub fn changes(&self, environment: &str, cursor: Option<&str>) -> Result<Changes, StoreError> {
        let cursor = cursor.map(Cursor::read).transpose()?;
        let workspace = self.workspace();
        let environment = known_environment(&workspace, environment)?;
        let (after, count_max) = match cursor {
            Some(cursor) => (cursor.position, limits::CHANGES_PER_ANSWER_MAX),
            None => (0, 0),
        };
        let found = self.engine.changes(&environment.uid, after, count_max)?;
        Ok(changes::answer(cursor, found))
    }

    /// Whether a record of a journal, and every one before it, has its
    /// outcome.
    pub fn is_settled(
        &self,
        environment: &str,
        journal: &str,
        seq: u64,
    ) -> Result<bool, StoreError> {
        let workspace = self.workspace();
        let environment = known_environment(&workspace, environment)?;
        let mark = self.engine.mark(&environment.uid, journal)?;
        let watermark = mark.and_then(|mark| mark.watermark);
        Ok(watermark.is_some_and(|reached| reached >= seq))
    }

    /// A signal for every batch that changed something in an environment.
    pub(crate) fn watch_progress(
        &self,
        environment: &str,
    ) -> Result<watch::Receiver<u64>, StoreError> {
        let workspace = self.workspace();
        let uid = &known_environment(&workspace, environment)?.uid;
        let progress = self.following.progress(uid);
        // Deleted since the workspace was read.
        progress.ok_or_else(|| StoreError::UnknownEnvironment {
            found: environment.to_owned(),
            expected: super::environment_names(&self.workspace()),
        })
    }

    /// A signal for every batch that changed something, wherever: the outbox
    /// is one for all environments.
    pub(crate) fn watch_all_progress(&self) -> watch::Receiver<u64> {
        self.following.all_progress()
    }

    /// Applies a batch of progress; one transaction.
    pub fn ship(&self, environment: &str, batch: &Batch) -> Result<BatchAnswer, StoreError> {
        let workspace = self.workspace();
        let environment = known_environment(&workspace, environment)?;
        let now = self.ambient.now_ms();
        let shipped = ledger::ship(
            &*self.engine,
            environment,
            batch,
            &self.versions_in(&environment.uid),
            (&self.retention, now),
        )?;
        // Committed by now: whoever wakes finds what it woke for.
        if shipped.changed {
            self.following.taken(&environment.uid);
        }
        Ok(shipped.answer)
    }

    /// Takes lines of a file of users, or says what that would do; one
    /// transaction.
    pub fn import_users(
        &self,
        environment: &str,
        lines: &[Result<UserLine, String>],
        dry_run: bool,
    ) -> Result<ImportedUsers, StoreError> {
        let workspace = self.workspace();
        let environment = known_environment(&workspace, environment)?;
        let now = self.ambient.now_ms();
        let dry_run = dry_run || self.is_trial();
        let entry = |done: &ImportedUsers| {
            let tallies = serde_json::json!({"users": done.users, "groups": done.groups});
            let what = ("imported", "users", environment.name.as_str());
            self.audited(what, environment, Some(tallies))
        };
        let told: Option<&ledger::Telling<'_>> = (!dry_run).then_some(&entry);
        let done = ledger::import(&*self.engine, environment, lines, (told, now))?;
        if done.writes() && !dry_run {
            self.following.taken(&environment.uid);
        }
        Ok(done)
    }

    /// A page of users as lines of such a file, in the order of their ids.
    pub fn export_users(
        &self,
        environment: &str,
        ask: &PageAsk,
    ) -> Result<Page<UserLine>, StoreError> {
        let workspace = self.workspace();
        let uid = &known_environment(&workspace, environment)?.uid;
        let after: String = EXPORTED_USERS.place(ask)?.unwrap_or_default();
        let count_max = EXPORTED_USERS.count(ask.count_max);
        // One more says whether anything follows.
        let users = self.engine.users_after(uid, &after, count_max + 1)?;
        let page = EXPORTED_USERS.cut(users, count_max, |last| last.identifier.clone());
        Ok(page.map(|document| {
            let groups = document.groups.into_iter().map(|identifier| GroupDocument {
                identifier,
                properties: Map::new(),
            });
            UserLine::User {
                user: document.identifier,
                properties: document.properties,
                groups: groups.collect(),
            }
        }))
    }

    /// The same of groups.
    pub fn export_groups(
        &self,
        environment: &str,
        ask: &PageAsk,
    ) -> Result<Page<UserLine>, StoreError> {
        let workspace = self.workspace();
        let uid = &known_environment(&workspace, environment)?.uid;
        let after: String = EXPORTED_GROUPS.place(ask)?.unwrap_or_default();
        let count_max = EXPORTED_GROUPS.count(ask.count_max);
        let groups = self.engine.groups_after(uid, &after, count_max + 1)?;
        let page = EXPORTED_GROUPS.cut(groups, count_max, |last| last.identifier.clone());
        Ok(page.map(|record| {
            UserLine::Group(GroupDocument {
                identifier: record.identifier,
                properties: record.properties,
            })
        }))
    }

    /// Forgets what is too old, a bounded amount of it. To be called now and
    /// then.
    pub fn sweep(&self, now: UnixMs) -> Result<(), StoreError> {
        let mut failed = None;
        for environment in &self.workspace().environments {
            self.sweep_usage(&environment.uid, now)?;
            let swept = match ledger::sweep(&*self.engine, environment, &self.retention, now) {
                Ok(swept) => swept,
                // The others are swept all the same.
                Err(error) => {
                    failed = Some(error);
                    continue;
                }
            };
            if swept.states > 0 || swept.memberships > 0 {
                self.following.taken(&environment.uid);
            }
            if swept != Swept::default() {
                tracing::info!(
                    environment = environment.name,
                    states = swept.states,
                    memberships = swept.memberships,
                    dead_letters = swept.dead_letters,
                    webhooks = swept.webhooks,
                    refuted = swept.refuted,
                    journals = swept.journals,
                    tombstones = swept.tombstones,
                    "what is too old was forgotten"
                );
            }
        }
        let before = now.saturating_sub(self.retention.audit_ms);
        let audited = self.engine.sweep_audit(before, limits::AUDIT_SWEEP_MAX)?;
        if audited > 0 {
            tracing::info!(audited, "entries of the audit log were forgotten");
        }
        self.sweep_deleted(now)?;
        failed.map_or(Ok(()), |error| Err(error.into()))
    }

    /// Notes that nothing follows in a journal; with a hash, only if that batch
    /// is its last.
    pub fn close_journal(
        &self,
        environment: &str,
        journal: &str,
        hash: Option<&str>,
    ) -> Result<(), StoreError> {
        let workspace = self.workspace();
        let environment = known_environment(&workspace, environment)?;
        Ok(ledger::close(
            &*self.engine,
            environment,
            (journal, hash),
            self.ambient.now_ms(),
        )?)
    }

    /// The newest records that did not fit.
    pub fn dead_letters(
        &self,
        environment: &str,
        count_max: usize,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        let workspace = self.workspace();
        let environment = known_environment(&workspace, environment)?;
        Ok(self.engine.dead_letters(&environment.uid, count_max)?)
    }
}
