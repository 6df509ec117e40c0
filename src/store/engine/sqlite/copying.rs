//! How is a database copied while it is in use, and a copy put to use?
//!
//! SQLite writes the copy itself, from one view of the database: the store
//! goes on meanwhile, and no half of a transaction is in it. A copy that is
//! put to use is an older state of a ledger that has gone on: it gets another
//! ledger id, so that edges read again what they know, and revisions above
//! every one that the lost time may have given out.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, params};

use super::{EngineError, SqliteEngine, connect, row, schema, signed};
use crate::{clock::UnixMs, store::engine::Publication};

/// What a copy holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Copied {
    /// Version of the schema.
    pub schema: u32,
    /// Name, uid and what is published, in the order they were made.
    pub environments: Vec<(String, String, Publication)>,
}

impl SqliteEngine {
    /// Version of the schema this release writes.
    pub fn schema() -> u32 {
        schema::NEWEST
    }

    /// Writes a copy of the database at `path`, which may be in use, to a new
    /// file.
    pub fn copy(path: &Path, to: &Path) -> Result<Copied, EngineError> {
        let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        schema::refuse_newer(&connection, path)?;
        connection.execute("VACUUM INTO ?1", [to.to_string_lossy()])?;
        drop(connection);
        describe(to)
    }

    /// Makes a copy fit for use in place of its original. `now` bounds the
    /// revisions that were given out since: no document changes more than
    /// once a millisecond for all its life.
    pub fn revive(path: &Path, ledger: &str, now: UnixMs) -> Result<Copied, EngineError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(path, flags)?;
        // One file and nothing beside it until the store takes it over.
        connection.pragma_update(None, "journal_mode", "DELETE")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        schema::check(&connection, path)?;
        schema::migrate(&mut connection, path)?;
        let step = connection.transaction()?;
        step.execute(
            "UPDATE meta SET value = ?1 WHERE key = 'ledger'",
            params![ledger],
        )?;
        step.execute(
            "INSERT INTO change_heads (environment_uid, position, forgotten_rev)
             SELECT uid, 0, ?1 FROM environments WHERE true
             ON CONFLICT (environment_uid)
             DO UPDATE SET forgotten_rev = MAX(forgotten_rev, excluded.forgotten_rev)",
            params![signed(now)],
        )?;
        schema::set_closed(&step, true)?;
        step.commit()?;
        drop(connection);
        describe(path)
    }
}

fn describe(path: &Path) -> Result<Copied, EngineError> {
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let schema = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let mut statement = connection.prepare(
        "SELECT name, uid, state FROM environments LEFT JOIN publications
         ON environment_uid = uid ORDER BY position",
    )?;
    let mut rows = statement.query([])?;
    let mut environments = Vec::new();
    while let Some(columns) = rows.next()? {
        let state: Option<String> = columns.get(2)?;
        let publication = state.map(|text| row("publication", &text)).transpose()?;
        environments.push((
            columns.get(0)?,
            columns.get(1)?,
            publication.unwrap_or_default(),
        ));
    }
    Ok(Copied {
        schema,
        environments,
    })
}
