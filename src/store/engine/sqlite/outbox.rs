//! How is the outbox kept in rows?
//!
//! One row a webhook, from the transaction that made it until it is delivered
//! or, given up, until it is too old to be looked at.

use rusqlite::{Connection, Row, params};

use super::{EngineError, row, signed, text, unsigned};
use crate::{
    clock::UnixMs,
    store::engine::{Attempted, OutboxEntry, OutboxPlace, WebhookEffect},
};

/// Puts a webhook in, once.
pub(super) fn post(
    connection: &Connection,
    id: &str,
    effect: &WebhookEffect,
    now: UnixMs,
) -> Result<(), EngineError> {
    connection
        .prepare_cached(
            "INSERT INTO outbox (id, environment_uid, effect, attempts, next_ms, why)
             VALUES (?1, ?2, ?3, 0, ?4, '') ON CONFLICT (id) DO NOTHING",
        )?
        .execute(params![
            id,
            effect.environment_uid,
            text("webhook", effect)?,
            signed(now)
        ])?;
    Ok(())
}

/// What is due.
pub(super) struct Due {
    pub(super) entries: Vec<OutboxEntry>,
    /// Ids of those that cannot be read, and why.
    pub(super) unreadable: Vec<(String, EngineError)>,
}

/// What is due behind a place, the longest waiting first.
pub(super) fn due(
    connection: &Connection,
    now: UnixMs,
    after: &OutboxPlace,
    count_max: usize,
) -> Result<Due, EngineError> {
    let mut statement = connection.prepare_cached(
        "SELECT id, effect, attempts, dead_ms, why, next_ms FROM outbox
         WHERE dead_ms IS NULL AND next_ms <= ?1 AND (next_ms, id) > (?2, ?3)
         ORDER BY next_ms, id LIMIT ?4",
    )?;
    let count = i64::try_from(count_max).unwrap_or(i64::MAX);
    let mut rows = statement.query(params![signed(now), signed(after.next_ms), after.id, count])?;
    let mut due = Due {
        entries: Vec::new(),
        unreadable: Vec::new(),
    };
    while let Some(columns) = rows.next()? {
        match entry(columns) {
            Ok(entry) => due.entries.push(entry),
            Err(error @ EngineError::Row { .. }) => due.unreadable.push((columns.get(0)?, error)),
            Err(error) => return Err(error),
        }
    }
    Ok(due)
}

/// What was given up, newest first; without what cannot be read.
pub(super) fn dead(
    connection: &Connection,
    environment_uid: &str,
    count_max: usize,
) -> Result<Vec<OutboxEntry>, EngineError> {
    let mut statement = connection.prepare_cached(
        "SELECT id, effect, attempts, dead_ms, why, next_ms FROM outbox
         WHERE environment_uid = ?1 AND dead_ms IS NOT NULL ORDER BY dead_ms DESC LIMIT ?2",
    )?;
    let count = i64::try_from(count_max).unwrap_or(i64::MAX);
    let mut rows = statement.query(params![environment_uid, count])?;
    let mut found = Vec::new();
    while let Some(columns) = rows.next()? {
        match entry(columns) {
            Ok(entry) => found.push(entry),
            // The log said so when it was given up.
            Err(EngineError::Row { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

fn entry(columns: &Row<'_>) -> Result<OutboxEntry, EngineError> {
    let effect: String = columns.get(1)?;
    Ok(OutboxEntry {
        id: columns.get(0)?,
        effect: row("webhook", &effect)?,
        attempts: columns.get(2)?,
        next_ms: unsigned(columns.get(5)?),
        dead_ms: columns.get::<_, Option<i64>>(3)?.map(unsigned),
        why: columns.get(4)?,
    })
}

/// Notes what an attempt came to.
pub(super) fn attempted(
    connection: &Connection,
    id: &str,
    attempted: &Attempted,
) -> Result<(), EngineError> {
    match attempted {
        Attempted::Delivered => {
            connection.execute("DELETE FROM outbox WHERE id = ?1", [id])?;
        }
        Attempted::Later { next_ms, why } => {
            connection.execute(
                "UPDATE outbox SET attempts = attempts + 1, next_ms = ?2, why = ?3 WHERE id = ?1",
                params![id, signed(*next_ms), why],
            )?;
        }
        Attempted::Dead { at_ms, why } => {
            connection.execute(
                "UPDATE outbox SET attempts = attempts + 1, dead_ms = ?2, why = ?3 WHERE id = ?1",
                params![id, signed(*at_ms), why],
            )?;
        }
    }
    Ok(())
}
