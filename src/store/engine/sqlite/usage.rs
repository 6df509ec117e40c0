//! How is the use of flags kept in rows?
//!
//! One row for each flag, application and hour, and one for each of its
//! variants; a batch is taken in one transaction, with where its journal stands
//! after it. What is too old goes a bounded number of rows at a time.

use std::{collections::BTreeMap, ops::Range};

use rusqlite::{Connection, OptionalExtension, params};

use super::{EngineError, SqliteEngine, signed, unsigned, usage_reads, usage_taking::Taking};
use crate::{
    clock::UnixMs,
    store::engine::{ApplicationUsage, FlagUsage, UsageAsked, UsageKept, UsageRows},
    usage::{HourCount, UsageBatch, UsageTaken},
};

/// How long a journal's place is known after its last batch, beyond the hours:
/// a batch that comes again after that has no hour that is still kept.
const MARK_KEPT_MS: u64 = 2 * 24 * 60 * 60 * 1000;

impl UsageRows for SqliteEngine {
    fn take_usage(
        &self,
        environment_uid: &str,
        batch: &UsageBatch,
        kept: &UsageKept<'_>,
    ) -> Result<UsageTaken, EngineError> {
        let mut taken = UsageTaken::default();
        self.write(|transaction| {
            taken.through = mark(&transaction, environment_uid, &batch.journal)?;
            if taken.through != batch.after {
                return Ok(transaction.rollback()?);
            }
            let mut taking = Taking {
                connection: &transaction,
                environment_uid,
                kept,
                rows: BTreeMap::new(),
                left_out: 0,
                has_forgotten: false,
            };
            for count in &batch.counts {
                taking.count(count)?;
            }
            for sighting in &batch.seen {
                taking.sighting(sighting)?;
            }
            taken = UsageTaken {
                through: batch.through,
                taken: true,
                left_out: taking.left_out,
            };
            transaction
                .prepare_cached(
                    "INSERT INTO usage_marks (environment_uid, journal, through, touched_ms)
                     VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET
                     through = excluded.through, touched_ms = excluded.touched_ms",
                )?
                .execute(params![
                    environment_uid,
                    batch.journal,
                    signed(batch.through),
                    signed(kept.now)
                ])?;
            Ok(transaction.commit()?)
        })?;
        Ok(taken)
    }

    fn flag_seen(&self, environment_uid: &str, flag: &str) -> Result<Option<UnixMs>, EngineError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT seen_ms FROM usage_seen WHERE environment_uid = ?1 AND flag = ?2",
            )?;
            let found = statement.query_row(params![environment_uid, flag], |row| row.get(0));
            Ok(found.optional()?.map(unsigned))
        })
    }

    fn flag_usage(
        &self,
        environment_uid: &str,
        asked: &UsageAsked,
    ) -> Result<Vec<FlagUsage>, EngineError> {
        self.read(|connection| {
            let mut flags = usage_reads::listed(connection, environment_uid, asked)?;
            for own in &mut flags {
                let place = (environment_uid, own.flag.as_str());
                for found in usage_reads::hours(connection, place, &asked.hours)? {
                    if asked.app.as_ref().is_none_or(|app| *app == found.app) {
                        own.apps.entry(found.app).or_default().add(&found.counts);
                    }
                }
            }
            Ok(flags)
        })
    }

    fn hour_usage(
        &self,
        environment_uid: &str,
        flag: &str,
        window: &Range<UnixMs>,
    ) -> Result<Vec<HourCount>, EngineError> {
        self.read(|connection| usage_reads::hours(connection, (environment_uid, flag), window))
    }

    fn applications(
        &self,
        environment_uid: &str,
        after: &str,
        count_max: usize,
    ) -> Result<Vec<ApplicationUsage>, EngineError> {
        self.read(|connection| {
            let mut applications =
                usage_reads::named(connection, environment_uid, after, count_max)?;
            for own in &mut applications {
                usage_reads::instances(connection, environment_uid, own)?;
            }
            Ok(applications)
        })
    }

    fn sweep_usage(
        &self,
        environment_uid: &str,
        (before, seen_before): (UnixMs, UnixMs),
        count_max: usize,
    ) -> Result<usize, EngineError> {
        // Keys of each table, which age counts, and since when.
        let marks_before = before.saturating_sub(MARK_KEPT_MS);
        let tables = [
            ("usage_hours", "flag, hour_ms, app", "hour_ms", before),
            (
                "usage_variants",
                "flag, hour_ms, app, variant",
                "hour_ms",
                before,
            ),
            ("usage_instances", "app, instance", "seen_ms", before),
            ("usage_apps", "app", "seen_ms", before),
            ("usage_marks", "journal", "touched_ms", marks_before),
            ("usage_seen", "flag", "seen_ms", seen_before),
        ];
        let limit = i64::try_from(count_max).unwrap_or(i64::MAX);
        let mut swept = 0;
        self.write(|transaction| {
            for (table, key, age, before) in tables {
                let statement = format!(
                    "DELETE FROM {table} WHERE (environment_uid, {key}) IN (
                       SELECT environment_uid, {key} FROM {table}
                       WHERE environment_uid = ?1 AND {age} < ?2 LIMIT ?3)"
                );
                swept += transaction.prepare_cached(&statement)?.execute(params![
                    environment_uid,
                    signed(before),
                    limit
                ])?;
            }
            Ok(transaction.commit()?)
        })?;
        Ok(swept)
    }
}

/// How far a journal has come; 0 for one nobody heard of.
fn mark(connection: &Connection, environment_uid: &str, journal: &str) -> Result<u64, EngineError> {
    let mut statement = connection.prepare_cached(
        "SELECT through FROM usage_marks WHERE environment_uid = ?1 AND journal = ?2",
    )?;
    let found = statement.query_row(params![environment_uid, journal], |row| row.get(0));
    Ok(found.optional()?.map_or(0, unsigned))
}
