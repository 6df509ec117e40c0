//! How is progress kept in rows?
//!
//! One row a user and a group, the document as JSON: a record touches one
//! user, so there is nothing to gain from taking it apart.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, OptionalExtension, params};
use serde::de::DeserializeOwned;

use super::{EngineError, audit, changes, counters, erasing, outbox, row, signed, text, unsigned};
use crate::{
    clock::UnixMs,
    progress::event::{Change, GroupRecord, MembershipRecord, UserDocument},
    store::{
        AuditEntry,
        engine::{
            Counter, DeadLetter, JournalMark, LedgerTransaction, MembershipKey, WebhookEffect,
            conversations_active_ms,
        },
    },
};

/// A user's document.
pub(super) fn user(
    connection: &Connection,
    environment_uid: &str,
    user: &str,
) -> Result<Option<UserDocument>, EngineError> {
    let found: Option<String> = connection
        .prepare_cached(
            "SELECT document FROM users WHERE environment_uid = ?1 AND identifier = ?2",
        )?
        .query_row([environment_uid, user], |columns| columns.get(0))
        .optional()?;
    found.map(|text| row("user", &text)).transpose()
}

/// A group's record.
pub(super) fn group(
    connection: &Connection,
    environment_uid: &str,
    group: &str,
) -> Result<Option<GroupRecord>, EngineError> {
    let found: Option<String> = connection
        .prepare_cached("SELECT record FROM groups WHERE environment_uid = ?1 AND identifier = ?2")?
        .query_row([environment_uid, group], |columns| columns.get(0))
        .optional()?;
    found.map(|text| row("group", &text)).transpose()
}

/// Users after an id.
pub(super) fn users_after(
    connection: &Connection,
    page: (&str, &str, usize),
) -> Result<Vec<UserDocument>, EngineError> {
    const SQL: &str = "SELECT document FROM users
         WHERE environment_uid = ?1 AND identifier > ?2 AND erased_ms IS NULL
         ORDER BY identifier LIMIT ?3";
    rows_after(connection, (SQL, "user"), page)
}

/// Groups after an id.
pub(super) fn groups_after(
    connection: &Connection,
    page: (&str, &str, usize),
) -> Result<Vec<GroupRecord>, EngineError> {
    const SQL: &str = "SELECT record FROM groups
         WHERE environment_uid = ?1 AND identifier > ?2 AND erased_ms IS NULL
         ORDER BY identifier LIMIT ?3";
    rows_after(connection, (SQL, "group"), page)
}

fn rows_after<T: DeserializeOwned>(
    connection: &Connection,
    (sql, what): (&str, &'static str),
    (environment_uid, after, count_max): (&str, &str, usize),
) -> Result<Vec<T>, EngineError> {
    let mut statement = connection.prepare_cached(sql)?;
    let count = i64::try_from(count_max).unwrap_or(i64::MAX);
    let mut rows = statement.query(params![environment_uid, after, count])?;
    let mut found = Vec::new();
    while let Some(columns) = rows.next()? {
        let text: String = columns.get(0)?;
        found.push(row(what, &text)?);
    }
    Ok(found)
}

/// What stands under a membership key.
pub(super) fn membership(
    connection: &Connection,
    environment_uid: &str,
    key: &MembershipKey,
) -> Result<Option<MembershipRecord>, EngineError> {
    let found: Option<String> = connection
        .prepare_cached(
            "SELECT record FROM memberships
             WHERE environment_uid = ?1 AND deployment = ?2 AND id = ?3 AND conversation = ?4",
        )?
        .query_row(
            [environment_uid, &key.deployment, &key.id, conversation(key)],
            |columns| columns.get(0),
        )
        .optional()?;
    found.map(|text| row("membership", &text)).transpose()
}

/// Where a journal stands.
pub(super) fn mark(
    connection: &Connection,
    environment_uid: &str,
    journal: &str,
) -> Result<Option<JournalMark>, EngineError> {
    Ok(connection
        .prepare_cached(
            "SELECT watermark, hash, closed_ms FROM journals
             WHERE environment_uid = ?1 AND journal = ?2",
        )?
        .query_row([environment_uid, journal], |columns| {
            Ok(JournalMark {
                watermark: columns.get::<_, Option<i64>>(0)?.map(unsigned),
                hash: columns.get(1)?,
                closed_ms: columns.get::<_, Option<i64>>(2)?.map(unsigned),
            })
        })
        .optional()?)
}

/// The column of a key: a primary key holds no null, and no conversation has
/// an empty name.
pub(super) fn conversation(key: &MembershipKey) -> &str {
    key.conversation.as_deref().unwrap_or_default()
}

/// The newest dead letters.
pub(super) fn dead_letters(
    connection: &Connection,
    environment_uid: &str,
    count_max: usize,
) -> Result<Vec<DeadLetter>, EngineError> {
    let mut statement = connection.prepare_cached(
        "SELECT journal, seq, why, at_ms, event FROM dead_letters
         WHERE environment_uid = ?1 ORDER BY id DESC LIMIT ?2",
    )?;
    let count = i64::try_from(count_max).unwrap_or(i64::MAX);
    let mut rows = statement.query(params![environment_uid, count])?;
    let mut found = Vec::new();
    while let Some(columns) = rows.next()? {
        let event: String = columns.get(4)?;
        found.push(DeadLetter {
            journal: columns.get(0)?,
            seq: unsigned(columns.get(1)?),
            why: columns.get(2)?,
            at_ms: unsigned(columns.get(3)?),
            event: row("dead letter", &event)?,
        });
    }
    Ok(found)
}

/// The rows of one environment inside a transaction.
pub(super) struct Rows<'a> {
    connection: &'a Connection,
    environment_uid: &'a str,
}

impl<'a> Rows<'a> {
    /// Over an open transaction.
    pub(super) fn new(connection: &'a Connection, environment_uid: &'a str) -> Self {
        Self {
            connection,
            environment_uid,
        }
    }
}

impl LedgerTransaction for Rows<'_> {
    fn user(&mut self, identifier: &str) -> Result<Option<UserDocument>, EngineError> {
        user(self.connection, self.environment_uid, identifier)
    }

    fn put_user(&mut self, document: &UserDocument) -> Result<(), EngineError> {
        let oldest = conversations_active_ms(document).into_values().min();
        self.connection
            .prepare_cached(
                "INSERT INTO users
                 (environment_uid, identifier, document, conversation_ms, erased_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (environment_uid, identifier) DO UPDATE SET
                 document = excluded.document, conversation_ms = excluded.conversation_ms,
                 erased_ms = excluded.erased_ms",
            )?
            .execute(params![
                self.environment_uid,
                document.identifier,
                text("user", document)?,
                oldest.map(signed),
                document.tombstone_ms().map(signed)
            ])?;
        Ok(())
    }

    fn group(&mut self, identifier: &str) -> Result<Option<GroupRecord>, EngineError> {
        group(self.connection, self.environment_uid, identifier)
    }

    fn put_group(&mut self, record: &GroupRecord) -> Result<(), EngineError> {
        self.connection
            .prepare_cached(
                "INSERT INTO groups (environment_uid, identifier, record, erased_ms)
                 VALUES (?1, ?2, ?3, ?4) ON CONFLICT (environment_uid, identifier)
                 DO UPDATE SET record = excluded.record, erased_ms = excluded.erased_ms",
            )?
            .execute(params![
                self.environment_uid,
                record.identifier,
                text("group", record)?,
                record.tombstone_ms().map(signed)
            ])?;
        Ok(())
    }

    fn membership(&mut self, key: &MembershipKey) -> Result<Option<MembershipRecord>, EngineError> {
        membership(self.connection, self.environment_uid, key)
    }

    fn forgotten_rev(&mut self) -> Result<u64, EngineError> {
        changes::forgotten_rev(self.connection, self.environment_uid)
    }

    fn touch_conversation(&mut self, conversation: &str, now: UnixMs) -> Result<(), EngineError> {
        self.connection
            .prepare_cached(
                "INSERT INTO conversations (environment_uid, conversation, touched_ms)
                 VALUES (?1, ?2, ?3) ON CONFLICT (environment_uid, conversation)
                 DO UPDATE SET touched_ms = MAX(touched_ms, excluded.touched_ms)",
            )?
            .execute(params![self.environment_uid, conversation, signed(now)])?;
        Ok(())
    }

    fn set_user_aside(&mut self, user: &str) -> Result<(), EngineError> {
        self.connection
            .prepare_cached(
                "UPDATE users SET conversation_ms = NULL
                 WHERE environment_uid = ?1 AND identifier = ?2",
            )?
            .execute([self.environment_uid, user])?;
        Ok(())
    }

    fn put_membership(
        &mut self,
        key: &MembershipKey,
        record: &MembershipRecord,
        now: UnixMs,
    ) -> Result<(), EngineError> {
        self.connection
            .prepare_cached(
                "INSERT INTO memberships
                 (environment_uid, deployment, id, conversation, record, touched_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT (environment_uid, deployment, id, conversation)
                 DO UPDATE SET record = excluded.record, touched_ms = excluded.touched_ms",
            )?
            .execute(params![
                self.environment_uid,
                key.deployment,
                key.id,
                conversation(key),
                text("membership", record)?,
                signed(now)
            ])?;
        Ok(())
    }

    fn note(&mut self, change: &Change) -> Result<(), EngineError> {
        changes::note(self.connection, self.environment_uid, change)
    }

    fn post(&mut self, id: &str, effect: &WebhookEffect, now: UnixMs) -> Result<(), EngineError> {
        outbox::post(self.connection, id, effect, now)
    }

    fn mark(&mut self, journal: &str) -> Result<Option<JournalMark>, EngineError> {
        mark(self.connection, self.environment_uid, journal)
    }

    fn put_mark(&mut self, journal: &str, mark: &JournalMark) -> Result<(), EngineError> {
        self.connection
            .prepare_cached(
                "INSERT INTO journals (environment_uid, journal, watermark, hash, closed, closed_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5 IS NOT NULL, ?5)
                 ON CONFLICT (environment_uid, journal) DO UPDATE SET
                 watermark = excluded.watermark, hash = excluded.hash,
                 closed = excluded.closed, closed_ms = excluded.closed_ms",
            )?
            .execute(params![
                self.environment_uid,
                journal,
                mark.watermark.map(signed),
                mark.hash,
                mark.closed_ms.map(signed)
            ])?;
        Ok(())
    }

    fn refuted(&mut self, journal: &str, user: &str) -> Result<BTreeSet<String>, EngineError> {
        let found: Option<String> = self
            .connection
            .prepare_cached(
                "SELECT places FROM refuted
                 WHERE environment_uid = ?1 AND journal = ?2 AND identifier = ?3",
            )?
            .query_row([self.environment_uid, journal, user], |columns| {
                columns.get(0)
            })
            .optional()?;
        Ok(found
            .map(|text| row("refuted place", &text))
            .transpose()?
            .unwrap_or_default())
    }

    fn put_refuted(
        &mut self,
        journal: &str,
        user: &str,
        places: &BTreeSet<String>,
        now: UnixMs,
    ) -> Result<(), EngineError> {
        if places.is_empty() {
            self.connection
                .prepare_cached(
                    "DELETE FROM refuted
                     WHERE environment_uid = ?1 AND journal = ?2 AND identifier = ?3",
                )?
                .execute([self.environment_uid, journal, user])?;
            return Ok(());
        }
        self.connection
            .prepare_cached(
                "INSERT INTO refuted (environment_uid, journal, identifier, places, at_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (environment_uid, journal, identifier)
                 DO UPDATE SET places = excluded.places, at_ms = excluded.at_ms",
            )?
            .execute(params![
                self.environment_uid,
                journal,
                user,
                text("refuted place", places)?,
                signed(now)
            ])?;
        Ok(())
    }

    fn audit(&mut self, entry: &AuditEntry) -> Result<(), EngineError> {
        audit::write(self.connection, entry)
    }

    fn count(&mut self, counts: &BTreeMap<Counter, i64>) -> Result<(), EngineError> {
        let counts = counts.iter().map(|(counter, by)| (counter, *by));
        counters::count(self.connection, self.environment_uid, counts)
    }

    fn journals(&mut self) -> Result<Vec<String>, EngineError> {
        erasing::journals(self.connection, self.environment_uid)
    }

    fn memberships_of(
        &mut self,
        id: &str,
    ) -> Result<Vec<(MembershipKey, MembershipRecord)>, EngineError> {
        erasing::memberships_of(self.connection, self.environment_uid, id)
    }

    fn forget_membership(&mut self, key: &MembershipKey, doc_rev: u64) -> Result<(), EngineError> {
        erasing::forget_membership(self.connection, self.environment_uid, key, doc_rev)
    }

    fn forget_traces(&mut self, user: &str) -> Result<usize, EngineError> {
        erasing::forget_traces(self.connection, self.environment_uid, user)
    }

    fn dead_letter(&mut self, letter: &DeadLetter) -> Result<(), EngineError> {
        self.connection
            .prepare_cached(
                "INSERT INTO dead_letters (environment_uid, journal, seq, why, at_ms, event)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                self.environment_uid,
                letter.journal,
                signed(letter.seq),
                letter.why,
                signed(letter.at_ms),
                text("dead letter", &letter.event)?
            ])?;
        Ok(())
    }
}
