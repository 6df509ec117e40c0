//! How is everything found that is kept of one user?
//!
//! Memberships by an index over their ids; webhooks and records that did not
//! fit are few, are gone by age anyway, and are looked through.

use rusqlite::{Connection, params};

use super::{EngineError, changes, ledger::conversation, row, signed, unsigned};
use crate::{
    clock::UnixMs,
    progress::event::{MembershipRecord, UserDocument},
    store::engine::MembershipKey,
};

/// Who was erased and not heard of since, and what was decided under an id.
pub(super) const SCHEMA: &str = "
ALTER TABLE users ADD COLUMN erased_ms INTEGER;
CREATE INDEX users_erased ON users (environment_uid, erased_ms) WHERE erased_ms IS NOT NULL;
ALTER TABLE groups ADD COLUMN erased_ms INTEGER;
CREATE INDEX groups_erased ON groups (environment_uid, erased_ms) WHERE erased_ms IS NOT NULL;
CREATE INDEX memberships_by_id ON memberships (environment_uid, id);
";

/// Every journal that is known.
pub(super) fn journals(
    connection: &Connection,
    environment_uid: &str,
) -> Result<Vec<String>, EngineError> {
    let mut statement =
        connection.prepare_cached("SELECT journal FROM journals WHERE environment_uid = ?1")?;
    let found = statement.query_map([environment_uid], |columns| columns.get(0))?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// Memberships under an id. One that cannot be read is there all the same.
pub(super) fn memberships_of(
    connection: &Connection,
    environment_uid: &str,
    id: &str,
) -> Result<Vec<(MembershipKey, MembershipRecord)>, EngineError> {
    let mut statement = connection.prepare_cached(
        "SELECT deployment, conversation, record FROM memberships
         WHERE environment_uid = ?1 AND id = ?2",
    )?;
    let found = statement.query_map([environment_uid, id], |columns| {
        let conversation: String = columns.get(1)?;
        let key = MembershipKey {
            deployment: columns.get(0)?,
            id: id.to_owned(),
            conversation: Some(conversation).filter(|own| !own.is_empty()),
        };
        let record: String = columns.get(2)?;
        Ok((key, record))
    })?;
    let found = found.collect::<Result<Vec<_>, _>>()?;
    let read = |text: &str| row("membership", text).unwrap_or_default();
    Ok(found
        .into_iter()
        .map(|(key, record)| (key, read(&record)))
        .collect())
}

/// Forgets a membership, as at the end of its conversation.
pub(super) fn forget_membership(
    connection: &Connection,
    environment_uid: &str,
    key: &MembershipKey,
    doc_rev: u64,
) -> Result<(), EngineError> {
    connection
        .prepare_cached(
            "DELETE FROM memberships WHERE environment_uid = ?1
             AND deployment = ?2 AND id = ?3 AND conversation = ?4",
        )?
        .execute([environment_uid, &key.deployment, &key.id, conversation(key)])?;
    changes::note_forgotten(connection, environment_uid, key.subject(), doc_rev)
}

/// Forgets webhooks and records that did not fit.
pub(super) fn forget_traces(
    connection: &Connection,
    environment_uid: &str,
    user: &str,
) -> Result<usize, EngineError> {
    let letters = connection
        .prepare_cached(
            "DELETE FROM dead_letters WHERE environment_uid = ?1
             AND json_valid(event) AND json_extract(event, '$.user') = ?2",
        )?
        .execute([environment_uid, user])?;
    let webhooks = connection
        .prepare_cached(
            "DELETE FROM outbox WHERE environment_uid = ?1
             AND json_valid(effect) AND json_extract(effect, '$.user') = ?2",
        )?
        .execute([environment_uid, user])?;
    Ok(letters + webhooks)
}

/// Forgets tombstones from before a time. Whatever edges still have of them
/// says the same as nothing, so nobody is told; but later documents of these
/// ids are newer than what was there.
pub(super) fn sweep(
    connection: &Connection,
    environment_uid: &str,
    before: UnixMs,
    count_max: usize,
) -> Result<usize, EngineError> {
    let limit = i64::try_from(count_max).unwrap_or(i64::MAX);
    let users: Vec<(String, String)> = connection
        .prepare_cached(
            "SELECT identifier, document FROM users
             WHERE environment_uid = ?1 AND erased_ms < ?2 AND erased_ms IS NOT NULL LIMIT ?3",
        )?
        .query_map(params![environment_uid, signed(before), limit], |columns| {
            Ok((columns.get(0)?, columns.get(1)?))
        })?
        .collect::<Result<_, _>>()?;
    for (identifier, document) in &users {
        let document: UserDocument = row("user", document)?;
        changes::raise_forgotten(connection, environment_uid, document.doc_rev)?;
        connection
            .prepare_cached("DELETE FROM users WHERE environment_uid = ?1 AND identifier = ?2")?
            .execute([environment_uid, identifier])?;
    }
    let groups: Vec<(String, i64)> = connection
        .prepare_cached(
            "SELECT identifier, json_extract(record, '$.doc_rev') FROM groups
             WHERE environment_uid = ?1 AND erased_ms < ?2 AND erased_ms IS NOT NULL LIMIT ?3",
        )?
        .query_map(params![environment_uid, signed(before), limit], |columns| {
            Ok((columns.get(0)?, columns.get(1)?))
        })?
        .collect::<Result<_, _>>()?;
    for (identifier, doc_rev) in &groups {
        changes::raise_forgotten(connection, environment_uid, unsigned(*doc_rev))?;
        connection
            .prepare_cached("DELETE FROM groups WHERE environment_uid = ?1 AND identifier = ?2")?
            .execute([environment_uid, identifier])?;
    }
    Ok(users.len() + groups.len())
}
