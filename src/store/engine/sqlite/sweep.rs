//! Which rows are too old to be kept?
//!
//! Every kind by an index over its age, and a bounded number at a time: the
//! writer is held meanwhile, and records wait for it.

use rusqlite::{Connection, params};

use super::{EngineError, signed};
use crate::{clock::UnixMs, store::engine::Swept};

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
    (ended_before, dead_before): (UnixMs, UnixMs),
    count_max: usize,
) -> Result<Swept, EngineError> {
    let delete = |statement: &str, before: UnixMs| {
        let mut statement = connection.prepare_cached(statement)?;
        statement.execute(params![environment_uid, signed(before), limit(count_max)])
    };
    Ok(Swept {
        states: 0,
        memberships: delete(
            "DELETE FROM memberships
             WHERE (environment_uid, deployment, id, conversation) IN (
               SELECT environment_uid, deployment, id, conversation FROM memberships
               WHERE environment_uid = ?1 AND touched_ms < ?2 AND conversation <> '' LIMIT ?3)",
            ended_before,
        )?,
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
        )?,
        refuted: delete(
            "DELETE FROM refuted WHERE (environment_uid, journal, identifier) IN (
               SELECT environment_uid, journal, identifier FROM refuted
               WHERE environment_uid = ?1 AND at_ms < ?2 LIMIT ?3)",
            dead_before,
        )?,
    })
}

fn limit(count_max: usize) -> i64 {
    i64::try_from(count_max).unwrap_or(i64::MAX)
}
