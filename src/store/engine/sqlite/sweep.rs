//! Which rows are too old to be kept?
//!
//! Every kind by an index over its age, and a bounded number at a time: the
//! writer is held meanwhile, and records wait for it.

use rusqlite::{Connection, params};

use super::{EngineError, changes, row, signed, unsigned};
use crate::{
    clock::UnixMs,
    progress::event::MembershipRecord,
    store::engine::{MembershipKey, Swept},
};

/// Users with a state of a conversation that is older than this.
pub(super) fn users(
    connection: &Connection,
    environment_uid: &str,
    ended_before: UnixMs,
    count_max: usize,
) -> Result<Vec<String>, EngineError> {
    let mut statement = connection.prepare_cached(
        "SELECT identifier FROM users
         WHERE environment_uid = ?1 AND conversation_ms < ?2 LIMIT ?3",
    )?;
    let found = statement.query_map(
        params![environment_uid, signed(ended_before), limit(count_max)],
        |columns| columns.get(0),
    )?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// Deletes what is older than its time.
pub(super) fn sweep(
    connection: &Connection,
    environment_uid: &str,
    (ended_before, dead_before, delivered_before): (UnixMs, UnixMs, UnixMs),
    count_max: usize,
) -> Result<Swept, EngineError> {
    let delete = |statement: &str, before: UnixMs| {
        let mut statement = connection.prepare_cached(statement)?;
        statement.execute(params![environment_uid, signed(before), limit(count_max)])
    };
    let memberships = memberships(connection, environment_uid, ended_before, count_max)?;
    // No membership looks at these any more: it would have to be as old.
    delete(
        "DELETE FROM conversations WHERE (environment_uid, conversation) IN (
           SELECT environment_uid, conversation FROM conversations
           WHERE environment_uid = ?1 AND touched_ms < ?2 LIMIT ?3)",
        ended_before,
    )?;
    Ok(Swept {
        states: 0,
        tombstones: 0,
        memberships,
        dead_letters: delete(
            "DELETE FROM dead_letters WHERE id IN (
               SELECT id FROM dead_letters WHERE environment_uid = ?1 AND at_ms < ?2 LIMIT ?3)",
            dead_before,
        )?,
        webhooks: delete(
            "DELETE FROM outbox WHERE id IN (
               SELECT id FROM outbox
               WHERE environment_uid = ?1 AND dead_ms < ?2 AND dead_ms IS NOT NULL LIMIT ?3)",
            dead_before,
        )? + delete(
            "DELETE FROM outbox WHERE id IN (
               SELECT id FROM outbox WHERE environment_uid = ?1
               AND delivered_ms < ?2 AND delivered_ms IS NOT NULL LIMIT ?3)",
            delivered_before,
        )?,
        refuted: delete(
            "DELETE FROM refuted WHERE (environment_uid, journal, identifier) IN (
               SELECT environment_uid, journal, identifier FROM refuted
               WHERE environment_uid = ?1 AND at_ms < ?2 LIMIT ?3)",
            dead_before,
        )?,
        journals: delete(
            "DELETE FROM journals WHERE (environment_uid, journal) IN (
               SELECT environment_uid, journal FROM journals
               WHERE environment_uid = ?1 AND closed_ms < ?2 AND closed_ms IS NOT NULL LIMIT ?3)",
            dead_before,
        )?,
    })
}

/// Forgets memberships of conversations that ended, each noted as a change.
/// One whose conversation went on since is as young as that from here on, so
/// that no sweep meets it again before its time.
fn memberships(
    connection: &Connection,
    environment_uid: &str,
    ended_before: UnixMs,
    count_max: usize,
) -> Result<usize, EngineError> {
    let mut statement = connection.prepare_cached(
        "SELECT m.deployment, m.id, m.conversation, m.record, c.touched_ms
         FROM memberships m LEFT JOIN conversations c
           ON c.environment_uid = m.environment_uid AND c.conversation = m.conversation
         WHERE m.environment_uid = ?1 AND m.touched_ms < ?2 AND m.conversation <> '' LIMIT ?3",
    )?;
    let old = statement.query_map(
        params![environment_uid, signed(ended_before), limit(count_max)],
        |columns| {
            let key = MembershipKey {
                deployment: columns.get(0)?,
                id: columns.get(1)?,
                conversation: Some(columns.get(2)?),
            };
            let record: String = columns.get(3)?;
            Ok((key, record, columns.get::<_, Option<i64>>(4)?.map(unsigned)))
        },
    )?;
    let old = old.collect::<Result<Vec<_>, _>>()?;
    let mut forgotten = 0;
    for (key, record, active_ms) in old {
        let conversation = key.conversation.as_deref().unwrap_or_default();
        if let Some(active_ms) = active_ms.filter(|at| *at >= ended_before) {
            connection
                .prepare_cached(
                    "UPDATE memberships SET touched_ms = ?5 WHERE environment_uid = ?1
                     AND deployment = ?2 AND id = ?3 AND conversation = ?4",
                )?
                .execute(params![
                    environment_uid,
                    key.deployment,
                    key.id,
                    conversation,
                    signed(active_ms)
                ])?;
            continue;
        }
        // One that cannot be read goes like the others.
        let doc_rev = row::<MembershipRecord>("membership", &record).map_or(0, |own| own.doc_rev);
        connection
            .prepare_cached(
                "DELETE FROM memberships WHERE environment_uid = ?1
                 AND deployment = ?2 AND id = ?3 AND conversation = ?4",
            )?
            .execute(params![
                environment_uid,
                key.deployment,
                key.id,
                conversation
            ])?;
        changes::note_forgotten(connection, environment_uid, key.subject(), doc_rev + 1)?;
        forgotten += 1;
    }
    Ok(forgotten)
}

fn limit(count_max: usize) -> i64 {
    i64::try_from(count_max).unwrap_or(i64::MAX)
}
