//! How are signed documents, blobs and publications kept?
//!
//! Documents are written once and never change; a blob that nothing in force
//! names any more is retired first and dropped later, because an edge may
//! still be fetching what the timestamp before named.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, params};

use super::{EngineError, row, signed, text};
use crate::store::engine::{DocumentName, Publication, Write};

/// What is published for an environment.
pub(super) fn publication(
    connection: &Connection,
    environment_uid: &str,
) -> Result<Option<Publication>, EngineError> {
    let found: Option<(String, Vec<u8>)> = connection
        .prepare_cached("SELECT state, timestamp FROM publications WHERE environment_uid = ?1")?
        .query_row([environment_uid], |columns| {
            Ok((columns.get(0)?, columns.get(1)?))
        })
        .optional()?;
    let Some((state, timestamp)) = found else {
        return Ok(None);
    };
    Ok(Some(Publication {
        timestamp,
        ..row("publication", &state)?
    }))
}

/// A signed document.
pub(super) fn document(
    connection: &Connection,
    name: &DocumentName,
) -> Result<Option<Vec<u8>>, EngineError> {
    Ok(connection
        .prepare_cached(
            "SELECT bytes FROM documents
             WHERE environment_uid = ?1 AND epoch = ?2 AND role = ?3 AND version = ?4",
        )?
        .query_row(
            params![
                name.environment_uid,
                name.epoch,
                name.role.name(),
                signed(name.version)
            ],
            |columns| columns.get(0),
        )
        .optional()?)
}

/// A blob's bytes.
pub(super) fn blob(connection: &Connection, sha256: &str) -> Result<Option<Vec<u8>>, EngineError> {
    Ok(connection
        .prepare_cached("SELECT bytes FROM blobs WHERE sha256 = ?1")?
        .query_row([sha256], |columns| columns.get(0))
        .optional()?)
}

/// Hashes of the blobs that are not retired.
pub(super) fn blobs_in_force(connection: &Connection) -> Result<BTreeSet<String>, EngineError> {
    let mut statement =
        connection.prepare_cached("SELECT sha256 FROM blobs WHERE retired_ms IS NULL")?;
    let rows = statement.query_map([], |columns| columns.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Does one write of a publish.
pub(super) fn write(connection: &Connection, write: &Write) -> Result<(), EngineError> {
    match write {
        Write::Document(name, bytes) => connection
            .prepare_cached(
                "INSERT INTO documents (environment_uid, epoch, role, version, bytes)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![
                name.environment_uid,
                name.epoch,
                name.role.name(),
                signed(name.version),
                bytes
            ])?,
        Write::Publication(publication) => connection
            .prepare_cached(
                "INSERT INTO publications (environment_uid, state, timestamp) VALUES (?1, ?2, ?3)
                 ON CONFLICT (environment_uid) DO UPDATE SET state = excluded.state,
                 timestamp = excluded.timestamp",
            )?
            .execute(params![
                publication.environment_uid,
                text("publication", publication)?,
                publication.timestamp
            ])?,
        Write::Blob { sha256, bytes } => connection
            .prepare_cached(
                "INSERT INTO blobs (sha256, bytes) VALUES (?1, ?2)
                 ON CONFLICT (sha256) DO UPDATE SET retired_ms = NULL",
            )?
            .execute(params![sha256, bytes])?,
        Write::RetireBlob { sha256, at_ms } => connection
            .prepare_cached("UPDATE blobs SET retired_ms = ?2 WHERE sha256 = ?1")?
            .execute(params![sha256, signed(*at_ms)])?,
        Write::PruneBlobs { retired_before_ms } => connection
            .prepare_cached("DELETE FROM blobs WHERE retired_ms < ?1")?
            .execute(params![signed(*retired_before_ms)])?,
        // Kept apart by the caller.
        Write::Audit(_)
        | Write::Environment(_)
        | Write::DeleteEnvironment(_)
        | Write::ForgetEnvironment { .. }
        | Write::Project(_)
        | Write::DeleteProject { .. }
        | Write::Content { .. }
        | Write::DeleteContent { .. }
        | Write::Flow { .. }
        | Write::DeleteFlow { .. }
        | Write::Status { .. }
        | Write::Version(_)
        | Write::Channel(_)
        | Write::Deployment(_)
        | Write::DeleteDeployment { .. }
        | Write::Flag(_)
        | Write::DeleteFlag { .. }
        | Write::Segment(_)
        | Write::DeleteSegment { .. }
        | Write::Key(_) => 0,
    };
    Ok(())
}
