//! How is the outbox kept in rows?
//!
//! One row a webhook, from the transaction that made it until it was delivered
//! or given up, and then until it is too old, or one of too many, to be looked
//! at.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{EngineError, row, signed, text, unsigned};
use crate::{
    clock::UnixMs,
    limits,
    store::engine::{
        Attempt, Attempted, DeliveryFilter, DeliveryPlace, DeliveryState, OutboxEntry, OutboxPlace,
        WebhookEffect,
    },
};

/// What [`entry`] reads.
macro_rules! entries {
    ($rest:literal) => {
        concat!(
            "SELECT id, effect, attempts, next_ms, dead_ms, delivered_ms, posted_ms, log \
             FROM outbox ",
            $rest
        )
    };
}

/// Rows that are dropped with one that is kept: more than one, so that an
/// outbox with too many comes down to its limit.
const DROPPED_AT_ONCE: i64 = 8;

/// Puts a webhook in, once.
pub(super) fn post(
    connection: &Connection,
    id: &str,
    effect: &WebhookEffect,
    now: UnixMs,
) -> Result<(), EngineError> {
    connection
        .prepare_cached(
            "INSERT INTO outbox (id, environment_uid, effect, attempts, next_ms, posted_ms)
             VALUES (?1, ?2, ?3, 0, ?4, ?4) ON CONFLICT (id) DO NOTHING",
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
    let mut statement = connection.prepare_cached(entries!(
        "WHERE dead_ms IS NULL AND delivered_ms IS NULL
         AND next_ms <= ?1 AND (next_ms, id) > (?2, ?3) ORDER BY next_ms, id LIMIT ?4"
    ))?;
    let mut rows = statement.query(params![
        signed(now),
        signed(after.next_ms),
        after.id,
        limit(count_max)
    ])?;
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

/// How many wait.
pub(super) fn waiting(connection: &Connection) -> Result<u64, EngineError> {
    let mut statement = connection.prepare_cached(
        "SELECT COUNT(*) FROM outbox WHERE dead_ms IS NULL AND delivered_ms IS NULL",
    )?;
    Ok(unsigned(statement.query_row([], |columns| columns.get(0))?))
}

/// Those of an environment that a filter lets through, newest first.
pub(super) fn deliveries(
    connection: &Connection,
    environment_uid: &str,
    filter: &DeliveryFilter,
    (after, count_max): (Option<&DeliveryPlace>, usize),
) -> Result<Vec<OutboxEntry>, EngineError> {
    // An effect that cannot be read has no user, and is left out below.
    let mut statement = connection.prepare_cached(entries!(
        "WHERE environment_uid = ?1 AND (posted_ms, id) < (?2, ?3)
         AND (?4 IS NULL OR ?4 = CASE WHEN delivered_ms IS NOT NULL THEN 'delivered'
              WHEN dead_ms IS NOT NULL THEN 'given-up' ELSE 'waiting' END)
         AND (?5 IS NULL OR ?5 = CASE WHEN json_valid(effect)
              THEN json_extract(effect, '$.user') END)
         AND (?6 IS NULL OR ?6 = CASE WHEN json_valid(effect)
              THEN json_extract(effect, '$.flow') END)
         ORDER BY posted_ms DESC, id DESC LIMIT ?7"
    ))?;
    // Nothing comes before the largest time.
    let place = after.map_or((UnixMs::MAX, ""), |own| (own.posted_ms, own.id.as_str()));
    let mut rows = statement.query(params![
        environment_uid,
        signed(place.0),
        place.1,
        filter.state.map(word),
        filter.user,
        filter.flow,
        limit(count_max)
    ])?;
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

/// One of an environment.
pub(super) fn delivery(
    connection: &Connection,
    environment_uid: &str,
    id: &str,
) -> Result<Option<OutboxEntry>, EngineError> {
    let mut statement =
        connection.prepare_cached(entries!("WHERE environment_uid = ?1 AND id = ?2"))?;
    let mut rows = statement.query([environment_uid, id])?;
    rows.next()?.map(entry).transpose()
}

fn entry(columns: &Row<'_>) -> Result<OutboxEntry, EngineError> {
    let (effect, log): (String, String) = (columns.get(1)?, columns.get(7)?);
    let dead: Option<i64> = columns.get(4)?;
    let delivered: Option<i64> = columns.get(5)?;
    Ok(OutboxEntry {
        id: columns.get(0)?,
        effect: row("webhook", &effect)?,
        attempts: columns.get(2)?,
        next_ms: unsigned(columns.get(3)?),
        state: match (delivered, dead) {
            (Some(_), _) => DeliveryState::Delivered,
            (None, Some(_)) => DeliveryState::GivenUp,
            (None, None) => DeliveryState::Waiting,
        },
        posted_ms: unsigned(columns.get(6)?),
        log: row("webhook's attempts", &log)?,
    })
}

fn word(state: DeliveryState) -> &'static str {
    match state {
        DeliveryState::Waiting => "waiting",
        DeliveryState::Delivered => "delivered",
        DeliveryState::GivenUp => "given-up",
    }
}

/// Makes one that was given up due.
pub(super) fn again(
    connection: &Connection,
    environment_uid: &str,
    id: &str,
    now: UnixMs,
) -> Result<bool, EngineError> {
    let changed = connection.execute(
        "UPDATE outbox SET dead_ms = NULL, attempts = 0, next_ms = ?3
         WHERE environment_uid = ?1 AND id = ?2 AND dead_ms IS NOT NULL",
        params![environment_uid, id, signed(now)],
    )?;
    Ok(changed > 0)
}

/// Notes an attempt and what follows from it.
pub(super) fn attempted(
    connection: &Connection,
    id: &str,
    attempt: &Attempt,
    attempted: &Attempted,
) -> Result<(), EngineError> {
    let log = connection
        .query_row("SELECT log FROM outbox WHERE id = ?1", [id], |columns| {
            columns.get::<_, String>(0)
        })
        .optional()?;
    let Some(log) = log else {
        return Ok(());
    };
    // One that cannot be read begins anew: what counts is what follows.
    let mut log: Vec<Attempt> = row("webhook's attempts", &log).unwrap_or_default();
    log.push(attempt.clone());
    let spare = log.len().saturating_sub(limits::WEBHOOK_ATTEMPTS_KEPT_MAX);
    log.drain(..spare);
    let log = text("webhook's attempts", &log)?;
    let at = signed(attempt.at_ms);
    match attempted {
        Attempted::Delivered => {
            connection.execute(
                "UPDATE outbox SET delivered_ms = ?2, log = ?3 WHERE id = ?1",
                params![id, at, log],
            )?;
            drop_oldest(
                connection,
                "DELETE FROM outbox WHERE id IN (
                   SELECT id FROM outbox WHERE delivered_ms IS NOT NULL AND environment_uid =
                     (SELECT environment_uid FROM outbox WHERE id = ?1)
                   ORDER BY delivered_ms DESC LIMIT ?2 OFFSET ?3)",
                (id, limits::WEBHOOKS_DELIVERED_KEPT_MAX),
            )?;
        }
        Attempted::Later { next_ms } => {
            connection.execute(
                "UPDATE outbox SET attempts = attempts + 1, next_ms = ?2, log = ?3 WHERE id = ?1",
                params![id, signed(*next_ms), log],
            )?;
        }
        Attempted::Dead => {
            connection.execute(
                "UPDATE outbox SET attempts = attempts + 1, dead_ms = ?2, log = ?3 WHERE id = ?1",
                params![id, at, log],
            )?;
            drop_oldest(
                connection,
                "DELETE FROM outbox WHERE id IN (
                   SELECT id FROM outbox WHERE dead_ms IS NOT NULL AND environment_uid =
                     (SELECT environment_uid FROM outbox WHERE id = ?1)
                   ORDER BY dead_ms DESC LIMIT ?2 OFFSET ?3)",
                (id, limits::WEBHOOKS_GIVEN_UP_KEPT_MAX),
            )?;
        }
    }
    Ok(())
}

/// Drops the oldest of those beside this one, where there are more than so
/// many.
fn drop_oldest(
    connection: &Connection,
    statement: &str,
    (id, kept_max): (&str, usize),
) -> Result<(), EngineError> {
    connection
        .prepare_cached(statement)?
        .execute(params![id, DROPPED_AT_ONCE, limit(kept_max)])?;
    Ok(())
}

fn limit(count_max: usize) -> i64 {
    i64::try_from(count_max).unwrap_or(i64::MAX)
}
