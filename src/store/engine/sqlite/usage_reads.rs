//! How is the use of flags read from its rows?
//!
//! Lists by name, a stretch at a time, and the hours of one flag. Variants
//! stand in a table of their own and are put to their hours here.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use rusqlite::{Connection, params};

use super::{EngineError, row, signed, unsigned};
use crate::{
    clock::UnixMs,
    store::engine::{ApplicationUsage, FlagUsage, UsageAsked},
    usage::{HourCount, Tally},
};

/// Names of flags and when they were asked for, without their use.
pub(super) fn listed(
    connection: &Connection,
    environment_uid: &str,
    asked: &UsageAsked,
) -> Result<Vec<FlagUsage>, EngineError> {
    let mut statement = connection.prepare_cached(
        "SELECT s.flag, s.seen_ms FROM usage_seen s WHERE s.environment_uid = ?1 AND s.flag > ?2
         AND (?3 IS NULL OR EXISTS (SELECT 1 FROM usage_hours h
              WHERE h.environment_uid = s.environment_uid AND h.flag = s.flag
              AND h.hour_ms >= ?4 AND h.hour_ms < ?5 AND h.app = ?3))
         ORDER BY s.flag LIMIT ?6",
    )?;
    let found = statement.query_map(
        params![
            environment_uid,
            asked.after,
            asked.app,
            signed(asked.hours.start),
            signed(asked.hours.end),
            i64::try_from(asked.count_max).unwrap_or(i64::MAX)
        ],
        |row| {
            Ok(FlagUsage {
                flag: row.get(0)?,
                seen_ms: unsigned(row.get(1)?),
                apps: BTreeMap::new(),
            })
        },
    )?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// Counts of a flag, by hour and application.
pub(super) fn hours(
    connection: &Connection,
    (environment_uid, flag): (&str, &str),
    window: &Range<UnixMs>,
) -> Result<Vec<HourCount>, EngineError> {
    let key = params![
        environment_uid,
        flag,
        signed(window.start),
        signed(window.end)
    ];
    let mut statement = connection.prepare_cached(
        "SELECT hour_ms, app, yes, no FROM usage_hours
         WHERE environment_uid = ?1 AND flag = ?2 AND hour_ms >= ?3 AND hour_ms < ?4
         ORDER BY hour_ms, app",
    )?;
    let found = statement.query_map(key, |row| {
        Ok(HourCount {
            hour_ms: unsigned(row.get(0)?),
            app: row.get(1)?,
            flag: flag.to_owned(),
            seen_ms: 0,
            counts: Tally {
                yes: unsigned(row.get(2)?),
                no: unsigned(row.get(3)?),
                variants: BTreeMap::new(),
            },
        })
    })?;
    let mut counts: Vec<HourCount> = found.collect::<Result<_, _>>()?;
    let mut statement = connection.prepare_cached(
        "SELECT hour_ms, app, variant, count FROM usage_variants
         WHERE environment_uid = ?1 AND flag = ?2 AND hour_ms >= ?3 AND hour_ms < ?4",
    )?;
    let mut rows = statement.query(key)?;
    while let Some(row) = rows.next()? {
        let (hour, app): (i64, String) = (row.get(0)?, row.get(1)?);
        let place = (unsigned(hour), app.as_str());
        let found = counts.binary_search_by(|own| (own.hour_ms, own.app.as_str()).cmp(&place));
        if let Ok(at) = found {
            let variants = &mut counts[at].counts.variants;
            variants.insert(row.get(2)?, unsigned(row.get(3)?));
        }
    }
    Ok(counts)
}

/// Applications by name, without what is known of their instances.
pub(super) fn named(
    connection: &Connection,
    environment_uid: &str,
    after: &str,
    count_max: usize,
) -> Result<Vec<ApplicationUsage>, EngineError> {
    let mut statement = connection.prepare_cached(
        "SELECT app, first_ms, seen_ms, strategies, via FROM usage_apps
         WHERE environment_uid = ?1 AND app > ?2 ORDER BY app LIMIT ?3",
    )?;
    let limit = i64::try_from(count_max).unwrap_or(i64::MAX);
    let mut rows = statement.query(params![environment_uid, after, limit])?;
    let mut found = Vec::new();
    while let Some(columns) = rows.next()? {
        found.push(ApplicationUsage {
            app: columns.get(0)?,
            first_seen_ms: unsigned(columns.get(1)?),
            last_seen_ms: unsigned(columns.get(2)?),
            strategies: row("strategies", &columns.get::<_, String>(3)?)?,
            via: row("via", &columns.get::<_, String>(4)?)?,
            ..ApplicationUsage::default()
        });
    }
    Ok(found)
}

/// Adds what is known of an application's instances.
pub(super) fn instances(
    connection: &Connection,
    environment_uid: &str,
    own: &mut ApplicationUsage,
) -> Result<(), EngineError> {
    let mut statement = connection.prepare_cached(
        "SELECT sdk, platform FROM usage_instances WHERE environment_uid = ?1 AND app = ?2",
    )?;
    let mut rows = statement.query(params![environment_uid, own.app])?;
    while let Some(columns) = rows.next()? {
        own.instances += 1;
        let word = |list: &mut BTreeSet<String>, word: String| {
            if !word.is_empty() {
                list.insert(word);
            }
        };
        word(&mut own.sdks, columns.get(0)?);
        word(&mut own.platforms, columns.get(1)?);
    }
    Ok(())
}
