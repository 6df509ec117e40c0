//! How do flags and segments become rows, and rows flags and segments?
//!
//! Each is one document: nothing but the whole store asks for them.

use std::sync::Arc;

use rusqlite::{Connection, params};

use super::{EngineError, row, text};
use crate::store::flags::{Flag, Flags, Segment, Segments};

/// Reads every flag.
pub(super) fn flags(connection: &Connection) -> Result<Flags, EngineError> {
    let mut statement = connection.prepare_cached("SELECT flag FROM flags")?;
    let mut rows = statement.query([])?;
    let mut found = Flags::new();
    while let Some(columns) = rows.next()? {
        let flag: Flag = row("flag", &columns.get::<_, String>(0)?)?;
        found.insert(flag.name.clone(), Arc::new(flag));
    }
    Ok(found)
}

/// Reads every segment.
pub(super) fn segments(connection: &Connection) -> Result<Segments, EngineError> {
    let mut statement = connection.prepare_cached("SELECT segment FROM segments")?;
    let mut rows = statement.query([])?;
    let mut found = Segments::new();
    while let Some(columns) = rows.next()? {
        let segment: Segment = row("segment", &columns.get::<_, String>(0)?)?;
        found.insert(segment.id, Arc::new(segment));
    }
    Ok(found)
}

pub(super) fn write_flag(connection: &Connection, flag: &Flag) -> Result<usize, EngineError> {
    Ok(connection
        .prepare_cached(
            "INSERT INTO flags (name, flag) VALUES (?1, ?2)
             ON CONFLICT (name) DO UPDATE SET flag = excluded.flag",
        )?
        .execute(params![flag.name, text("flag", flag)?])?)
}

pub(super) fn delete_flag(connection: &Connection, name: &str) -> Result<usize, EngineError> {
    Ok(connection
        .prepare_cached("DELETE FROM flags WHERE name = ?1")?
        .execute(params![name])?)
}

pub(super) fn write_segment(
    connection: &Connection,
    segment: &Segment,
) -> Result<usize, EngineError> {
    Ok(connection
        .prepare_cached(
            "INSERT INTO segments (id, segment) VALUES (?1, ?2)
             ON CONFLICT (id) DO UPDATE SET segment = excluded.segment",
        )?
        .execute(params![segment.id, text("segment", segment)?])?)
}

pub(super) fn delete_segment(connection: &Connection, id: i64) -> Result<usize, EngineError> {
    Ok(connection
        .prepare_cached("DELETE FROM segments WHERE id = ?1")?
        .execute(params![id])?)
}
