//! How is the change stream kept in rows?
//!
//! One row a noted change, counted upwards within its environment; the oldest
//! are deleted by number. The id of the ledger is made with the database: its
//! positions mean nothing to another one.

use rusqlite::{Connection, OptionalExtension, params};

use super::{EngineError, signed, unsigned};
use crate::{limits, progress::event::Change, store::engine::ChangeRows};

/// Notes a change at the next position.
pub(super) fn note(
    connection: &Connection,
    environment_uid: &str,
    change: &Change,
) -> Result<(), EngineError> {
    let position: i64 = connection
        .prepare_cached(
            "INSERT INTO change_heads (environment_uid, position) VALUES (?1, 1)
             ON CONFLICT (environment_uid) DO UPDATE SET position = position + 1
             RETURNING position",
        )?
        .query_row([environment_uid], |columns| columns.get(0))?;
    connection
        .prepare_cached(
            "INSERT INTO changes (environment_uid, position, subject, doc_rev, journal)
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![
            environment_uid,
            position,
            change.subject,
            signed(change.doc_rev),
            change.journal
        ])?;
    let gone = position.saturating_sub(signed(limits::CHANGES_KEPT_MAX));
    if gone > 0 {
        connection
            .prepare_cached("DELETE FROM changes WHERE environment_uid = ?1 AND position <= ?2")?
            .execute(params![environment_uid, gone])?;
    }
    Ok(())
}

/// The highest revision of a membership that was forgotten.
pub(super) fn forgotten_rev(
    connection: &Connection,
    environment_uid: &str,
) -> Result<u64, EngineError> {
    let found: Option<i64> = connection
        .prepare_cached("SELECT forgotten_rev FROM change_heads WHERE environment_uid = ?1")?
        .query_row([environment_uid], |columns| columns.get(0))
        .optional()?;
    Ok(found.map_or(0, unsigned))
}

/// Notes that a membership is forgotten: to whoever has it, a newer revision
/// that holds nothing.
pub(super) fn note_forgotten(
    connection: &Connection,
    environment_uid: &str,
    subject: u64,
    doc_rev: u64,
) -> Result<(), EngineError> {
    let change = Change {
        subject: format!("{subject:016x}"),
        doc_rev,
        // Nobody's: every edge reads again.
        journal: String::new(),
    };
    note(connection, environment_uid, &change)?;
    raise_forgotten(connection, environment_uid, doc_rev)
}

/// From here on no document has this revision or a lower one.
pub(super) fn raise_forgotten(
    connection: &Connection,
    environment_uid: &str,
    doc_rev: u64,
) -> Result<(), EngineError> {
    connection
        .prepare_cached(
            "UPDATE change_heads SET forgotten_rev = MAX(forgotten_rev, ?2)
             WHERE environment_uid = ?1",
        )?
        .execute(params![environment_uid, signed(doc_rev)])?;
    Ok(())
}

/// What was noted after a position; one view of the database.
pub(super) fn read(
    connection: &Connection,
    environment_uid: &str,
    after: u64,
    count_max: usize,
) -> Result<ChangeRows, EngineError> {
    let view = connection.unchecked_transaction()?;
    let ledger = view
        .prepare_cached("SELECT value FROM meta WHERE key = 'ledger'")?
        .query_row([], |columns| columns.get(0))?;
    let last: Option<i64> = view
        .prepare_cached("SELECT position FROM change_heads WHERE environment_uid = ?1")?
        .query_row([environment_uid], |columns| columns.get(0))
        .optional()?;
    let last = last.map_or(0, unsigned);
    let first: Option<i64> = view
        .prepare_cached("SELECT MIN(position) FROM changes WHERE environment_uid = ?1")?
        .query_row([environment_uid], |columns| columns.get(0))?;
    let mut statement = view.prepare_cached(
        "SELECT position, subject, doc_rev, journal FROM changes
         WHERE environment_uid = ?1 AND position > ?2 ORDER BY position LIMIT ?3",
    )?;
    let count = i64::try_from(count_max).unwrap_or(i64::MAX);
    let found = statement.query_map(params![environment_uid, signed(after), count], |columns| {
        let change = Change {
            subject: columns.get(1)?,
            doc_rev: unsigned(columns.get(2)?),
            journal: columns.get(3)?,
        };
        Ok((unsigned(columns.get(0)?), change))
    })?;
    Ok(ChangeRows {
        ledger,
        first: first.map_or(last + 1, unsigned),
        last,
        rows: found.collect::<Result<_, _>>()?,
    })
}
