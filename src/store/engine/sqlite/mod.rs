//! How does one file keep a whole store?
//!
//! SQLite in WAL mode with `synchronous=FULL`: a commit that returned has been
//! synced. One connection writes, behind a mutex, so a batch of records is one
//! transaction and one sync; readers have connections of their own and never
//! wait for the writer. A lock file keeps a second process out, and after an
//! unclean stop the file is checked before it is used.

mod audit;
mod authoring;
mod changes;
mod copying;
mod counters;
mod environments;
mod erasing;
mod flags;
mod ledger;
mod outbox;
mod publishing;
mod schema;
mod sweep;
mod usage;
mod usage_reads;
mod usage_taking;

use std::{
    collections::BTreeSet,
    fs::{File, OpenOptions},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

pub use copying::Copied;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use super::{
    Attempt, Attempted, ChangeRows, Counted, Counter, DeadLetter, DeliveryFilter, DeliveryPlace,
    DocumentName, Ending, Engine, EngineError, LedgerWork, MembershipKey, OutboxEntry, OutboxPlace,
    Publication, Swept, Write,
};
use crate::{
    clock::UnixMs,
    progress::event::{GroupRecord, MembershipRecord, UserDocument},
    store::{AuditEntry, AuditFilter, workspace::Workspace},
};

/// Reading connections kept open; more are opened in a rush and closed again.
const READERS_KEPT: usize = 4;

/// The embedded engine.
#[derive(Debug)]
pub struct SqliteEngine {
    path: PathBuf,
    writer: Mutex<Connection>,
    readers: Mutex<Vec<Connection>>,
    /// Held while this value lives; the operating system lets go of it when
    /// the process dies, however it dies.
    _lock: File,
}

impl SqliteEngine {
    /// Opens the database file, or creates it with mode 0600.
    pub fn open(path: &Path) -> Result<Self, EngineError> {
        let lock = lock(path)?;
        private_file(path)?;
        let mut writer = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        schema::migrate(&mut writer, path)?;
        if !schema::was_closed(&writer)? {
            schema::check(&writer, path)?;
        }
        schema::set_closed(&writer, false)?;
        Ok(Self {
            path: path.to_owned(),
            writer: Mutex::new(writer),
            readers: Mutex::default(),
            _lock: lock,
        })
    }

    /// Runs a read on a connection of its own.
    fn read<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        let pooled = locked(&self.readers).pop();
        let connection = match pooled {
            Some(connection) => connection,
            None => connect(&self.path, OpenFlags::SQLITE_OPEN_READ_ONLY)?,
        };
        let answer = work(&connection);
        let mut readers = locked(&self.readers);
        if readers.len() < READERS_KEPT {
            readers.push(connection);
        }
        answer
    }

    /// Runs a write; the transaction is rolled back unless `work` commits it.
    fn write(
        &self,
        work: impl FnOnce(Transaction<'_>) -> Result<(), EngineError>,
    ) -> Result<(), EngineError> {
        let mut writer = locked(&self.writer);
        work(writer.transaction_with_behavior(TransactionBehavior::Immediate)?)
    }
}

impl Drop for SqliteEngine {
    fn drop(&mut self) {
        // A failure here only costs a check at the next start.
        drop(schema::set_closed(&locked(&self.writer), true));
    }
}

impl Engine for SqliteEngine {
    fn workspace(&self) -> Result<Workspace, EngineError> {
        self.read(authoring::workspace)
    }

    fn commit(&self, writes: &[Write]) -> Result<(), EngineError> {
        self.write(|transaction| {
            for write in writes {
                match write {
                    Write::Audit(entry) => audit::write(&transaction, entry)?,
                    Write::Document(..)
                    | Write::Publication(_)
                    | Write::Blob { .. }
                    | Write::RetireBlob { .. }
                    | Write::PruneBlobs { .. } => publishing::write(&transaction, write)?,
                    authored => authoring::write(&transaction, authored)?,
                }
            }
            Ok(transaction.commit()?)
        })
    }

    fn publication(&self, environment_uid: &str) -> Result<Option<Publication>, EngineError> {
        self.read(|connection| publishing::publication(connection, environment_uid))
    }

    fn document(&self, name: &DocumentName) -> Result<Option<Vec<u8>>, EngineError> {
        self.read(|connection| publishing::document(connection, name))
    }

    fn blob(&self, sha256: &str) -> Result<Option<Vec<u8>>, EngineError> {
        self.read(|connection| publishing::blob(connection, sha256))
    }

    fn blobs_in_force(&self) -> Result<BTreeSet<String>, EngineError> {
        self.read(publishing::blobs_in_force)
    }

    fn user(&self, environment_uid: &str, user: &str) -> Result<Option<UserDocument>, EngineError> {
        self.read(|connection| ledger::user(connection, environment_uid, user))
    }

    fn group(
        &self,
        environment_uid: &str,
        group: &str,
    ) -> Result<Option<GroupRecord>, EngineError> {
        self.read(|connection| ledger::group(connection, environment_uid, group))
    }

    fn users_after(
        &self,
        environment_uid: &str,
        after: &str,
        count_max: usize,
    ) -> Result<Vec<UserDocument>, EngineError> {
        let page = (environment_uid, after, count_max);
        self.read(|connection| ledger::users_after(connection, page))
    }

    fn groups_after(
        &self,
        environment_uid: &str,
        after: &str,
        count_max: usize,
    ) -> Result<Vec<GroupRecord>, EngineError> {
        let page = (environment_uid, after, count_max);
        self.read(|connection| ledger::groups_after(connection, page))
    }

    fn membership(
        &self,
        environment_uid: &str,
        key: &MembershipKey,
    ) -> Result<Option<MembershipRecord>, EngineError> {
        self.read(|connection| ledger::membership(connection, environment_uid, key))
    }

    fn mark(
        &self,
        environment_uid: &str,
        journal: &str,
    ) -> Result<Option<super::JournalMark>, EngineError> {
        self.read(|connection| ledger::mark(connection, environment_uid, journal))
    }

    fn changes(
        &self,
        environment_uid: &str,
        after: u64,
        count_max: usize,
    ) -> Result<ChangeRows, EngineError> {
        self.read(|connection| changes::read(connection, environment_uid, after, count_max))
    }

    fn dead_letters(
        &self,
        environment_uid: &str,
        count_max: usize,
    ) -> Result<Vec<DeadLetter>, EngineError> {
        self.read(|connection| ledger::dead_letters(connection, environment_uid, count_max))
    }

    fn outbox_due(
        &self,
        now: UnixMs,
        after: &OutboxPlace,
        count_max: usize,
    ) -> Result<Vec<OutboxEntry>, EngineError> {
        let due = self.read(|connection| outbox::due(connection, now, after, count_max))?;
        for (id, error) in due.unreadable {
            tracing::error!(id, %error, "a webhook was given up");
            let attempt = Attempt {
                at_ms: now,
                status: None,
                why: Some(error.to_string()),
            };
            self.attempted(&id, &attempt, &Attempted::Dead)?;
        }
        Ok(due.entries)
    }

    fn deliveries(
        &self,
        environment_uid: &str,
        filter: &DeliveryFilter,
        after: Option<&DeliveryPlace>,
        count_max: usize,
    ) -> Result<Vec<OutboxEntry>, EngineError> {
        let page = (after, count_max);
        self.read(|connection| outbox::deliveries(connection, environment_uid, filter, page))
    }

    fn delivery(
        &self,
        environment_uid: &str,
        id: &str,
    ) -> Result<Option<OutboxEntry>, EngineError> {
        self.read(|connection| outbox::delivery(connection, environment_uid, id))
    }

    fn deliveries_waiting(&self) -> Result<u64, EngineError> {
        self.read(outbox::waiting)
    }

    fn deliver_again(
        &self,
        environment_uid: &str,
        id: &str,
        audit: &AuditEntry,
    ) -> Result<(), EngineError> {
        self.write(|transaction| {
            if outbox::again(&transaction, environment_uid, id, audit.at_ms)? {
                audit::write(&transaction, audit)?;
            }
            Ok(transaction.commit()?)
        })
    }

    fn audited(
        &self,
        filter: &AuditFilter,
        before: u64,
        count_max: usize,
    ) -> Result<Vec<AuditEntry>, EngineError> {
        self.read(|connection| audit::read(connection, filter, before, count_max))
    }

    fn sweep_audit(&self, before: UnixMs, count_max: usize) -> Result<usize, EngineError> {
        let mut swept = 0;
        self.write(|transaction| {
            swept = audit::sweep(&transaction, before, count_max)?;
            Ok(transaction.commit()?)
        })?;
        Ok(swept)
    }

    fn attempted(
        &self,
        id: &str,
        attempt: &Attempt,
        attempted: &Attempted,
    ) -> Result<(), EngineError> {
        self.write(|transaction| {
            outbox::attempted(&transaction, id, attempt, attempted)?;
            Ok(transaction.commit()?)
        })
    }

    fn counts(
        &self,
        environment_uid: &str,
        of: &Counted,
    ) -> Result<Vec<(Counter, u64)>, EngineError> {
        self.read(|connection| counters::read(connection, environment_uid, of))
    }

    fn users_with_ended(
        &self,
        environment_uid: &str,
        ended_before: UnixMs,
        count_max: usize,
    ) -> Result<Vec<String>, EngineError> {
        self.read(|connection| sweep::users(connection, environment_uid, ended_before, count_max))
    }

    fn sweep(
        &self,
        environment_uid: &str,
        before: (UnixMs, UnixMs, UnixMs),
        count_max: usize,
    ) -> Result<Swept, EngineError> {
        let mut swept = Swept::default();
        self.write(|transaction| {
            swept = sweep::sweep(&transaction, environment_uid, before, count_max)?;
            Ok(transaction.commit()?)
        })?;
        Ok(swept)
    }

    fn erase(&self, environment_uid: &str, count_max: usize) -> Result<usize, EngineError> {
        let mut erased = 0;
        self.write(|transaction| {
            erased = environments::erase(&transaction, environment_uid, count_max)?;
            Ok(transaction.commit()?)
        })?;
        Ok(erased)
    }

    fn sweep_tombstones(
        &self,
        environment_uid: &str,
        before: UnixMs,
        count_max: usize,
    ) -> Result<usize, EngineError> {
        let mut swept = 0;
        self.write(|transaction| {
            swept = erasing::sweep(&transaction, environment_uid, before, count_max)?;
            Ok(transaction.commit()?)
        })?;
        Ok(swept)
    }

    fn ledger(&self, environment_uid: &str, work: &mut LedgerWork<'_>) -> Result<(), EngineError> {
        self.write(|transaction| {
            let mut rows = ledger::Rows::new(&transaction, environment_uid);
            match work(&mut rows)? {
                Ending::Commit => Ok(transaction.commit()?),
                Ending::RollBack => Ok(transaction.rollback()?),
            }
        })
    }
}

impl From<rusqlite::Error> for EngineError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Storage(Box::new(error))
    }
}

/// A panic while holding a connection leaves at worst an open transaction,
/// which SQLite rolls back with the guard: the connection is still sound.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes the lock that keeps a second process away. A file of its own, because
/// SQLite's own locks must stay free for our readers.
fn lock(path: &Path) -> Result<File, EngineError> {
    let lock_path = path.with_extension("lock");
    let file = private_file(&lock_path)?;
    file.try_lock().map_err(|error| match error {
        std::fs::TryLockError::WouldBlock => EngineError::Locked {
            path: path.display().to_string(),
        },
        std::fs::TryLockError::Error(source) => EngineError::File {
            path: lock_path.display().to_string(),
            source,
        },
    })?;
    Ok(file)
}

/// Opens or creates a file nobody else may read. SQLite gives its `-wal` and
/// `-shm` files the mode of the database.
fn private_file(path: &Path) -> Result<File, EngineError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(|source| EngineError::File {
        path: path.display().to_string(),
        source,
    })
}

fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, EngineError> {
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.set_prepared_statement_cache_capacity(64);
    if flags.contains(OpenFlags::SQLITE_OPEN_READ_WRITE) {
        // Even the mode of the journal is written into the file: one that a
        // later release wrote is left as it is.
        schema::refuse_newer(&connection, path)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
    }
    Ok(connection)
}

/// Numbers of ours fit into SQLite's signed 64 bits for longer than any store
/// lives; one that does not is stored as the largest.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The other way; a negative number can only come from a damaged row.
fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

fn row<T: serde::de::DeserializeOwned>(what: &'static str, text: &str) -> Result<T, EngineError> {
    serde_json::from_str(text).map_err(|error| EngineError::Row {
        what,
        found: error.to_string(),
    })
}

fn text<T: serde::Serialize>(what: &'static str, value: &T) -> Result<String, EngineError> {
    serde_json::to_string(value).map_err(|error| EngineError::Row {
        what,
        found: error.to_string(),
    })
}

#[cfg(test)]
mod tests;
