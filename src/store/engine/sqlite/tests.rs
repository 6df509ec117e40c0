//! What the embedded engine promises beyond the suite.

use super::*;
use crate::store::engine::conformance::conforms;

#[test]
fn sqlite_conforms() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    conforms(&|| Box::new(SqliteEngine::open(&path).unwrap()));
}

#[test]
fn a_second_user_of_the_file_is_told_who_is_in_the_way() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let first = SqliteEngine::open(&path).unwrap();
    let error = SqliteEngine::open(&path).unwrap_err();
    assert!(matches!(error, EngineError::Locked { .. }), "{error}");
    assert!(error.to_string().contains("another process"), "{error}");
    drop(first);
    SqliteEngine::open(&path).unwrap();
}

#[cfg(unix)]
#[test]
fn the_file_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let engine = SqliteEngine::open(&path).unwrap();
    for name in ["store.db", "store.db-wal", "store.lock"] {
        let metadata = std::fs::metadata(folder.path().join(name)).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600, "{name}");
    }
    drop(engine);
}

#[test]
fn a_file_of_a_later_release_is_refused_and_untouched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    drop(SqliteEngine::open(&path).unwrap());
    let connection = Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    let error = SqliteEngine::open(&path).unwrap_err();
    assert!(matches!(error, EngineError::Newer { found: 99, .. }));
}

#[test]
fn damage_is_found_after_an_unclean_stop() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let engine = SqliteEngine::open(&path).unwrap();
    let blobs: Vec<Write> = (0..200)
        .map(|number| Write::Blob {
            sha256: format!("{number:064}"),
            bytes: vec![7; 2_000],
        })
        .collect();
    engine.commit(&blobs).unwrap();
    drop(engine);
    let connection = Connection::open(&path).unwrap();
    schema::set_closed(&connection, false).unwrap();
    drop(connection);
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 40_000].fill(0xff);
    std::fs::write(&path, bytes).unwrap();
    let error = SqliteEngine::open(&path).unwrap_err();
    let text = error.to_string();
    assert!(
        matches!(error, EngineError::Damaged { .. } | EngineError::Storage(_)),
        "{text}"
    );
}

#[test]
fn a_clean_stop_is_noted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let engine = SqliteEngine::open(&path).unwrap();
    assert!(!schema::was_closed(&locked(&engine.writer)).unwrap());
    drop(engine);
    let connection = Connection::open(&path).unwrap();
    assert!(schema::was_closed(&connection).unwrap());
}

#[test]
fn every_commit_is_synced() {
    let folder = tempfile::tempdir().unwrap();
    let engine = SqliteEngine::open(&folder.path().join("store.db")).unwrap();
    let writer = locked(&engine.writer);
    let full: i64 = writer
        .query_row("PRAGMA synchronous", [], |row| row.get(0))
        .unwrap();
    assert_eq!(full, 2);
    let mode: String = writer
        .query_row("PRAGMA journal_mode", [], |row| row.get(0))
        .unwrap();
    assert_eq!(mode, "wal");
}
