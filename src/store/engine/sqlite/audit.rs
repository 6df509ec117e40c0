//! How is the audit log kept?
//!
//! An entry as one document, and beside it a row for each thing and place, by
//! which it is found. Ids are never used twice, also when the newest go.

use rusqlite::{Connection, params};

use super::{EngineError, row, signed, text, unsigned};
use crate::{
    clock::UnixMs,
    store::{AuditEntry, AuditFilter},
};

/// What stands as the place of a change that is noticed everywhere.
const EVERYWHERE: &str = "*";

/// Adds an entry.
pub(super) fn write(connection: &Connection, entry: &AuditEntry) -> Result<(), EngineError> {
    connection
        .prepare_cached("INSERT INTO audit (at_ms, who, entry) VALUES (?1, ?2, ?3)")?
        .execute(params![
            signed(entry.at_ms),
            entry.who.name,
            text("audit entry", entry)?
        ])?;
    let id = connection.last_insert_rowid();
    let mut place = connection.prepare_cached(
        "INSERT OR IGNORE INTO audit_places (audit_id, object, kind, environment_uid)
         VALUES (?1, ?2, ?3, ?4)",
    )?;
    for change in &entry.changes {
        let everywhere = [EVERYWHERE.to_owned()];
        let uids = match change.environment_uids.as_deref() {
            // What is noticed nowhere yet is no secret of any environment.
            None | Some([]) => &everywhere[..],
            Some(uids) => uids,
        };
        for uid in uids {
            place.execute(params![id, change.object, change.kind, uid])?;
        }
    }
    Ok(())
}

/// Entries before an id that a filter lets through, the newest first.
pub(super) fn read(
    connection: &Connection,
    filter: &AuditFilter,
    before: u64,
    count_max: usize,
) -> Result<Vec<AuditEntry>, EngineError> {
    let mut statement = connection.prepare_cached(
        "SELECT id, entry FROM audit WHERE id < ?1 AND at_ms >= ?2
         AND (?3 IS NULL OR who = ?3)
         AND (coalesce(?4, ?5, ?6) IS NULL OR EXISTS (
           SELECT 1 FROM audit_places WHERE audit_id = id
           AND (?4 IS NULL OR object = ?4) AND (?5 IS NULL OR kind = ?5)
           AND (?6 IS NULL OR environment_uid IN (?6, ?7))))
         ORDER BY id DESC LIMIT ?8",
    )?;
    let mut rows = statement.query(params![
        signed(before),
        signed(filter.since_ms),
        filter.who,
        filter.object,
        filter.kind,
        filter.environment_uid,
        EVERYWHERE,
        signed(count_max as u64)
    ])?;
    let mut found = Vec::new();
    while let Some(columns) = rows.next()? {
        let entry: String = columns.get(1)?;
        found.push(AuditEntry {
            id: unsigned(columns.get(0)?),
            ..row("audit entry", &entry)?
        });
    }
    Ok(found)
}

/// Forgets entries from before a time, the oldest first.
pub(super) fn sweep(
    connection: &Connection,
    before: UnixMs,
    count_max: usize,
) -> Result<usize, EngineError> {
    let limit = signed(count_max as u64);
    let of = "SELECT id FROM audit WHERE at_ms < ?1 ORDER BY at_ms, id LIMIT ?2";
    connection
        .prepare_cached(&format!(
            "DELETE FROM audit_places WHERE audit_id IN ({of})"
        ))?
        .execute(params![signed(before), limit])?;
    Ok(connection
        .prepare_cached(&format!("DELETE FROM audit WHERE id IN ({of})"))?
        .execute(params![signed(before), limit])?)
}
