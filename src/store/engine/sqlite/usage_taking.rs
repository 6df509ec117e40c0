//! How does a batch of use come into its rows?
//!
//! Sums grow in place. Where there are too many rows of a kind a new one is
//! left out, and those that are there go on counting. Names that no flag has
//! are left out earlier than those of flags, so that whatever clients make up
//! leaves room for what somebody authored.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, ToSql, params};

use super::{EngineError, row, signed, text, unsigned};
use crate::{
    limits::{
        USAGE_APPLICATIONS_KEPT_MAX, USAGE_HOUR_ROWS_MAX, USAGE_HOUR_ROWS_OF_FLAGS,
        USAGE_HOUR_VARIANTS_MAX, USAGE_HOUR_VARIANTS_OF_FLAGS, USAGE_INSTANCES_KEPT_MAX,
        USAGE_SEEN_FORGOTTEN, USAGE_SEEN_MAX, USAGE_SEEN_OF_FLAGS, USAGE_SUM_MAX,
        USAGE_VARIANTS_MAX,
    },
    store::engine::UsageKept,
    usage::{COUNTED_HERE, HourCount, Sighting},
};

/// A batch on its way into the tables.
pub(super) struct Taking<'c> {
    pub(super) connection: &'c Connection,
    pub(super) environment_uid: &'c str,
    pub(super) kept: &'c UsageKept<'c>,
    /// Rows there are, by what is limited.
    pub(super) rows: BTreeMap<String, u64>,
    pub(super) left_out: u64,
    /// Whether names were let go already.
    pub(super) has_forgotten: bool,
}

impl Taking<'_> {
    /// Takes what an application made of a flag in an hour.
    pub(super) fn count(&mut self, count: &HourCount) -> Result<(), EngineError> {
        let is_flag = (self.kept.is_flag)(&count.flag);
        let is_seen = self.seen(count, is_flag)?;
        let is_kept = is_seen && self.kept.hours.contains(&count.hour_ms);
        if !is_kept || !self.grow(count, is_flag)? {
            self.left_out += 1;
            return Ok(());
        }
        for (variant, times) in &count.counts.variants {
            if !self.variant(count, is_flag, (variant, *times))? {
                self.left_out += 1;
            }
        }
        Ok(())
    }

    /// Notes when a flag was asked for, whatever its hour; says whether there
    /// was room.
    fn seen(&mut self, count: &HourCount, is_flag: bool) -> Result<bool, EngineError> {
        let seen = signed(count.seen_ms.min(self.kept.now));
        let environment_uid = self.environment_uid;
        let parameters = params![environment_uid, count.flag, seen];
        let grown = self
            .connection
            .prepare_cached(
                "UPDATE usage_seen SET seen_ms = max(seen_ms, ?3)
                 WHERE environment_uid = ?1 AND flag = ?2",
            )?
            .execute(parameters)?;
        if grown > 0 {
            return Ok(true);
        }
        let there = "SELECT count(*) FROM usage_seen WHERE environment_uid = ?1";
        let rows_max = room(USAGE_SEEN_MAX, USAGE_SEEN_OF_FLAGS, is_flag);
        let limited = "seen".to_owned();
        if !self.has_room(limited.clone(), there, params![environment_uid], rows_max)? {
            if is_flag || !self.forgets_oldest()? {
                return Ok(false);
            }
            self.has_room(limited, there, params![environment_uid], rows_max)?;
        }
        self.connection
            .prepare_cached(
                "INSERT INTO usage_seen (environment_uid, flag, seen_ms) VALUES (?1, ?2, ?3)",
            )?
            .execute(parameters)?;
        Ok(true)
    }

    /// Lets those names go that no flag has and that were asked for longest ago,
    /// once a batch; says whether there were any. Else whoever makes up names
    /// would keep those out that come later.
    fn forgets_oldest(&mut self) -> Result<bool, EngineError> {
        if std::mem::replace(&mut self.has_forgotten, true) {
            return Ok(false);
        }
        let mut oldest = self.connection.prepare_cached(
            "SELECT flag FROM usage_seen WHERE environment_uid = ?1 ORDER BY seen_ms, flag",
        )?;
        let names = oldest.query_map(params![self.environment_uid], |row| row.get(0))?;
        let names: Vec<String> = names.collect::<Result<_, _>>()?;
        let unknown = names.into_iter().filter(|name| !(self.kept.is_flag)(name));
        let mut forgotten = 0;
        for name in unknown.take(USAGE_SEEN_FORGOTTEN) {
            forgotten += self
                .connection
                .prepare_cached("DELETE FROM usage_seen WHERE environment_uid = ?1 AND flag = ?2")?
                .execute(params![self.environment_uid, name])? as u64;
        }
        if let Some(rows) = self.rows.get_mut("seen") {
            *rows = rows.saturating_sub(forgotten);
        }
        Ok(forgotten > 0)
    }

    /// Adds to a row or makes one; says whether there was room.
    fn grow(&mut self, count: &HourCount, is_flag: bool) -> Result<bool, EngineError> {
        let hour = signed(count.hour_ms);
        let (yes, no) = (capped(count.counts.yes), capped(count.counts.no));
        let environment_uid = self.environment_uid;
        let grown = self
            .connection
            .prepare_cached(
                "UPDATE usage_hours SET yes = min(yes + ?5, ?7), no = min(no + ?6, ?7)
                 WHERE environment_uid = ?1 AND flag = ?2 AND hour_ms = ?3 AND app = ?4",
            )?
            .execute(params![
                environment_uid,
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
        let limited = format!("hour {hour}");
        let there = "SELECT count(*) FROM usage_hours WHERE environment_uid = ?1 AND hour_ms = ?2";
        let rows_max = match is_flag && is_ours(count) {
            true => u64::MAX,
            false => room(USAGE_HOUR_ROWS_MAX, USAGE_HOUR_ROWS_OF_FLAGS, is_flag),
        };
        if !self.has_room(limited, there, params![environment_uid, hour], rows_max)? {
            return Ok(false);
        }
        self.connection
            .prepare_cached(
                "INSERT INTO usage_hours (environment_uid, flag, hour_ms, app, yes, no)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                environment_uid,
                count.flag,
                hour,
                count.app,
                yes,
                no
            ])?;
        Ok(true)
    }

    /// The same for one of its variants.
    fn variant(
        &mut self,
        count: &HourCount,
        is_flag: bool,
        (variant, times): (&str, u64),
    ) -> Result<bool, EngineError> {
        let hour = signed(count.hour_ms);
        let (environment_uid, times) = (self.environment_uid, capped(times));
        let grown = self
            .connection
            .prepare_cached(
                "UPDATE usage_variants SET count = min(count + ?6, ?7) WHERE environment_uid = ?1
                 AND flag = ?2 AND hour_ms = ?3 AND app = ?4 AND variant = ?5",
            )?
            .execute(params![
                environment_uid,
                count.flag,
                hour,
                count.app,
                variant,
                times,
                capped(USAGE_SUM_MAX)
            ])?;
        if grown > 0 {
            return Ok(true);
        }
        let limited = format!("variants of {hour}, {:?}, {:?}", count.flag, count.app);
        let there = "SELECT count(*) FROM usage_variants WHERE environment_uid = ?1 AND flag = ?2
                     AND hour_ms = ?3 AND app = ?4";
        let of = params![environment_uid, count.flag, hour, count.app];
        if !self.has_room(limited, there, of, USAGE_VARIANTS_MAX as u64)? {
            return Ok(false);
        }
        let limited = format!("variants of {hour}");
        let there =
            "SELECT count(*) FROM usage_variants WHERE environment_uid = ?1 AND hour_ms = ?2";
        let rows_max = match is_flag && is_ours(count) {
            true => u64::MAX,
            false => room(
                USAGE_HOUR_VARIANTS_MAX,
                USAGE_HOUR_VARIANTS_OF_FLAGS,
                is_flag,
            ),
        };
        if !self.has_room(limited, there, params![environment_uid, hour], rows_max)? {
            return Ok(false);
        }
        self.connection
            .prepare_cached(
                "INSERT INTO usage_variants (environment_uid, flag, hour_ms, app, variant, count)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                environment_uid,
                count.flag,
                hour,
                count.app,
                variant,
                times
            ])?;
        Ok(true)
    }

    /// Takes that an instance of an application was met.
    pub(super) fn sighting(&mut self, own: &Sighting) -> Result<(), EngineError> {
        let (seen, environment_uid) =
            (signed(own.seen_ms.min(self.kept.now)), self.environment_uid);
        let lists = self
            .connection
            .prepare_cached(
                "SELECT strategies, via FROM usage_apps WHERE environment_uid = ?1 AND app = ?2",
            )?
            .query_row(params![self.environment_uid, own.app], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
            })
            .optional()?;
        let there = "SELECT count(*) FROM usage_apps WHERE environment_uid = ?1";
        let of = params![environment_uid];
        if lists.is_none()
            && !self.has_room("apps".to_owned(), there, of, USAGE_APPLICATIONS_KEPT_MAX)?
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
        let seen = signed(own.seen_ms.min(self.kept.now));
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
        let of = params![environment_uid, own.app];
        if !self.has_room(limited, there, of, USAGE_INSTANCES_KEPT_MAX)? {
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
        of: &[&dyn ToSql],
        rows_max: u64,
    ) -> Result<bool, EngineError> {
        let rows = match self.rows.get(&limited) {
            Some(rows) => *rows,
            None => {
                let mut statement = self.connection.prepare_cached(there)?;
                unsigned(statement.query_row(of, |row| row.get(0))?)
            }
        };
        let has_room = rows < rows_max;
        self.rows.insert(limited, rows + u64::from(has_room));
        Ok(has_room)
    }
}

/// Whether an edge has counted it itself. Clients crowd out none of that, and
/// there are only so many flags with so many variants.
fn is_ours(count: &HourCount) -> bool {
    count.app == COUNTED_HERE
}

/// How many rows there may be for one more of this name.
fn room(rows_max: u64, of_flags: u64, is_flag: bool) -> u64 {
    match is_flag {
        true => rows_max,
        false => rows_max - of_flags,
    }
}

/// A number of which two still fit.
fn capped(number: u64) -> i64 {
    signed(number.min(USAGE_SUM_MAX))
}
