//! How is the use of flags kept in rows?
//!
//! One row for each flag, application and hour, and one for each of its
//! variants; sums grow in place. Where there are too many rows of a kind a new
//! one is left out, and those that are there go on counting.

use std::{collections::BTreeMap, ops::Range};

use rusqlite::{Connection, OptionalExtension, ToSql, params};

use super::{EngineError, SqliteEngine, row, signed, text, unsigned, usage_reads};
use crate::{
    clock::UnixMs,
    limits::{
        USAGE_APPLICATIONS_KEPT_MAX, USAGE_HOUR_ROWS_MAX, USAGE_INSTANCES_KEPT_MAX, USAGE_SUM_MAX,
    },
    store::engine::{ApplicationUsage, FlagUsage, UsageAsked, UsageRows},
    usage::{HourCount, Sighting, UsageBatch, UsageTaken},
};

/// How long a journal's place is known after its last batch, beyond the hours:
/// a batch that comes again after that has no hour that is still kept.
const MARK_KEPT_MS: u64 = 2 * 24 * 60 * 60 * 1000;

impl UsageRows for SqliteEngine {
    fn take_usage(
        &self,
        environment_uid: &str,
        batch: &UsageBatch,
        hours: &Range<UnixMs>,
        now: UnixMs,
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
                now,
                rows: BTreeMap::new(),
                left_out: 0,
            };
            for count in &batch.counts {
                taking.count(count, hours)?;
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
                    signed(now)
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

/// A batch on its way into the tables.
struct Taking<'c> {
    connection: &'c Connection,
    environment_uid: &'c str,
    /// No edge has seen anything after this, whatever its clock says.
    now: UnixMs,
    /// Rows there are, by what is limited.
    rows: BTreeMap<String, u64>,
    left_out: u64,
}

impl Taking<'_> {
    fn count(&mut self, count: &HourCount, hours: &Range<UnixMs>) -> Result<(), EngineError> {
        self.seen(count)?;
        if !hours.contains(&count.hour_ms) || !self.grow(count)? {
            self.left_out += 1;
            return Ok(());
        }
        for (variant, times) in &count.counts.variants {
            self.connection
                .prepare_cached(
                    "INSERT INTO usage_variants (environment_uid, flag, hour_ms, app, variant, count)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                     ON CONFLICT DO UPDATE SET count = min(count + excluded.count, ?7)",
                )?
                .execute(params![
                    self.environment_uid,
                    count.flag,
                    signed(count.hour_ms),
                    count.app,
                    variant,
                    capped(*times),
                    capped(USAGE_SUM_MAX)
                ])?;
        }
        Ok(())
    }

    /// Adds to a row or makes one; says whether there was room.
    fn grow(&mut self, count: &HourCount) -> Result<bool, EngineError> {
        let hour = signed(count.hour_ms);
        let (yes, no) = (capped(count.counts.yes), capped(count.counts.no));
        let grown = self
            .connection
            .prepare_cached(
                "UPDATE usage_hours SET yes = min(yes + ?5, ?7), no = min(no + ?6, ?7)
                 WHERE environment_uid = ?1 AND flag = ?2 AND hour_ms = ?3 AND app = ?4",
            )?
            .execute(params![
                self.environment_uid,
                count.flag,
                hour,
                count.app,
                yes,
                no,
                capped(USAGE_SUM_MAX)
            ])?;
        if grown > 0 {
            return Ok(true);
        }
        let there = "SELECT count(*) FROM usage_hours WHERE environment_uid = ?1 AND hour_ms = ?2";
        if !self.has_room(format!("hour {hour}"), there, &hour, USAGE_HOUR_ROWS_MAX)? {
            return Ok(false);
        }
        self.connection
            .prepare_cached(
                "INSERT INTO usage_hours (environment_uid, flag, hour_ms, app, yes, no)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                self.environment_uid,
                count.flag,
                hour,
                count.app,
                yes,
                no
            ])?;
        Ok(true)
    }

    /// Notes when a flag was asked for, whatever its hour.
    fn seen(&self, count: &HourCount) -> Result<(), EngineError> {
        self.connection
            .prepare_cached(
                "INSERT INTO usage_seen (environment_uid, flag, seen_ms) VALUES (?1, ?2, ?3)
                 ON CONFLICT DO UPDATE SET seen_ms = max(seen_ms, excluded.seen_ms)",
            )?
            .execute(params![
                self.environment_uid,
                count.flag,
                signed(count.seen_ms.min(self.now))
            ])?;
        Ok(())
    }

    fn sighting(&mut self, own: &Sighting) -> Result<(), EngineError> {
        let seen = signed(own.seen_ms.min(self.now));
        let lists = self
            .connection
            .prepare_cached(
                "SELECT strategies, via FROM usage_apps WHERE environment_uid = ?1 AND app = ?2",
            )?
            .query_row(params![self.environment_uid, own.app], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
            })
            .optional()?;
        let there = "SELECT count(*) FROM usage_apps WHERE environment_uid = ?1 AND ?2 = ''";
        if lists.is_none()
            && !self.has_room("apps".to_owned(), there, &"", USAGE_APPLICATIONS_KEPT_MAX)?
        {
            self.left_out += 1;
            return Ok(());
        }
        let mut all = Sighting::default();
        if let Some((strategies, via)) = lists {
            // What cannot be read is told anew by the next registration.
            all.strategies = row("strategies", &strategies).unwrap_or_default();
            all.via = row("via", &via).unwrap_or_default();
        }
        all.add(own);
        self.connection
            .prepare_cached(
                "INSERT INTO usage_apps (environment_uid, app, first_ms, seen_ms, strategies, via)
                 VALUES (?1, ?2, ?3, ?3, ?4, ?5) ON CONFLICT DO UPDATE SET
                 seen_ms = max(seen_ms, excluded.seen_ms), first_ms = min(first_ms, excluded.first_ms),
                 strategies = excluded.strategies, via = excluded.via",
            )?
            .execute(params![
                self.environment_uid,
                own.app,
                seen,
                text("strategies", &all.strategies)?,
                text("via", &all.via)?
            ])?;
        self.instance(own)
    }

    /// The newest word of an instance counts, and where it is silent the one
    /// before.
    fn instance(&mut self, own: &Sighting) -> Result<(), EngineError> {
        let (connection, environment_uid) = (self.connection, self.environment_uid);
        let seen = signed(own.seen_ms.min(self.now));
        let parameters = params![
            environment_uid,
            own.app,
            own.instance,
            own.sdk,
            own.platform,
            seen
        ];
        let grown = connection
            .prepare_cached(
                "UPDATE usage_instances SET
                 sdk = CASE WHEN ?4 <> '' AND (sdk = '' OR ?6 >= seen_ms) THEN ?4 ELSE sdk END,
                 platform = CASE WHEN ?5 <> '' AND (platform = '' OR ?6 >= seen_ms)
                            THEN ?5 ELSE platform END,
                 seen_ms = max(seen_ms, ?6)
                 WHERE environment_uid = ?1 AND app = ?2 AND instance = ?3",
            )?
            .execute(parameters)?;
        if grown > 0 {
            return Ok(());
        }
        let limited = format!("instances of {}", own.app);
        let there = "SELECT count(*) FROM usage_instances WHERE environment_uid = ?1 AND app = ?2";
        if !self.has_room(limited, there, &own.app, USAGE_INSTANCES_KEPT_MAX)? {
            self.left_out += 1;
            return Ok(());
        }
        connection
            .prepare_cached(
                "INSERT INTO usage_instances
                 (environment_uid, app, instance, sdk, platform, seen_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(parameters)?;
        Ok(())
    }

    /// Whether one more row is allowed, which is then counted. The table is
    /// counted once a batch.
    fn has_room(
        &mut self,
        limited: String,
        there: &str,
        of: &dyn ToSql,
        rows_max: u64,
    ) -> Result<bool, EngineError> {
        let rows = match self.rows.get(&limited) {
            Some(rows) => *rows,
            None => {
                let mut statement = self.connection.prepare_cached(there)?;
                let found =
                    statement.query_row(params![self.environment_uid, of], |row| row.get(0));
                unsigned(found?)
            }
        };
        let has_room = rows < rows_max;
        self.rows.insert(limited, rows + u64::from(has_room));
        Ok(has_room)
    }
}

/// A number of which two still fit.
fn capped(number: u64) -> i64 {
    signed(number.min(USAGE_SUM_MAX))
}
