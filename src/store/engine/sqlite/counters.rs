//! How are counters kept in rows?
//!
//! One row each; one that comes back to nothing is deleted, so that there are
//! never more than what stands in the ledger has facts.

use rusqlite::{Connection, OptionalExtension, params};

use super::{EngineError, unsigned};
use crate::store::engine::{Counted, Counter};

/// The table, and what stands in the ledger already, counted once. Who finished
/// on which percentage decision nobody wrote down before.
pub(super) const SCHEMA: &str = "
CREATE TABLE counters (
  environment_uid TEXT NOT NULL, scope TEXT NOT NULL, uid TEXT NOT NULL, version INTEGER NOT NULL,
  block TEXT NOT NULL, fact TEXT NOT NULL, count INTEGER NOT NULL,
  PRIMARY KEY (environment_uid, scope, uid, version, block, fact)
) STRICT, WITHOUT ROWID;

INSERT INTO counters
  WITH judged AS (
    SELECT environment_uid, deployment, record FROM memberships
    WHERE json_valid(record) AND record ->> '$.membership.in' IS NOT NULL)
  SELECT environment_uid, 'deployment', deployment, 0, '', fact, count(*) FROM (
    SELECT environment_uid, deployment, 'judged' AS fact FROM judged
    UNION ALL SELECT environment_uid, deployment, iif(record ->> '$.membership.in', 'in', 'out')
      FROM judged
    UNION ALL SELECT environment_uid, deployment, 'started' FROM judged
      WHERE record ->> '$.started')
  GROUP BY environment_uid, deployment, fact;

INSERT INTO counters
  WITH runs AS (
    SELECT u.environment_uid, f.value AS run FROM users u,
      json_each(iif(json_valid(u.document), u.document, '{}'), '$.flows') f),
  blocks AS (
    SELECT environment_uid, run ->> '$.flow' AS flow, run ->> '$.version' AS version,
      b.value AS block FROM runs, json_each(run, '$.blocks') b)
  SELECT environment_uid, 'flow', flow, version, block, fact, count(*) FROM (
    SELECT environment_uid, run ->> '$.flow' AS flow, run ->> '$.version' AS version, '' AS block,
      'started' AS fact FROM runs WHERE run ->> '$.started'
    UNION ALL SELECT environment_uid, run ->> '$.flow', run ->> '$.version', '', 'stopped'
      FROM runs WHERE run ->> '$.stopped'
    UNION ALL SELECT environment_uid, run ->> '$.flow', run ->> '$.version', '', 'finished'
      FROM runs WHERE run ->> '$.finished'
    UNION ALL SELECT environment_uid, flow, version, block ->> '$.block', 'entered' FROM blocks
    UNION ALL SELECT environment_uid, flow, version, block ->> '$.block', 'active' FROM blocks
      WHERE block ->> '$.active'
    UNION ALL SELECT environment_uid, flow, version, block ->> '$.block', 'exited' FROM blocks
      WHERE block ->> '$.exited'
    UNION ALL SELECT environment_uid, flow, version, block ->> '$.block',
      'took ' || (block -> '$.taken') FROM blocks
      WHERE json_array_length(block, '$.taken') > 0)
  WHERE flow IS NOT NULL AND version IS NOT NULL AND block IS NOT NULL
  GROUP BY environment_uid, flow, version, block, fact;
";

/// Changes counters by so much.
pub(super) fn count<'c>(
    connection: &Connection,
    environment_uid: &str,
    counts: impl Iterator<Item = (&'c Counter, i64)>,
) -> Result<(), EngineError> {
    for (counter, by) in counts.filter(|(_, by)| *by != 0) {
        let (scope, uid, version) = place(&counter.of);
        let own = params![
            environment_uid,
            scope,
            uid,
            version,
            counter.block,
            counter.fact,
            by
        ];
        let now: Option<i64> = connection
            .prepare_cached(
                "INSERT INTO counters (environment_uid, scope, uid, version, block, fact, count)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                 ON CONFLICT (environment_uid, scope, uid, version, block, fact)
                 DO UPDATE SET count = count + excluded.count RETURNING count",
            )?
            .query_row(own, |columns| columns.get(0))
            .optional()?;
        if now == Some(0) {
            connection
                .prepare_cached(
                    "DELETE FROM counters WHERE environment_uid = ?1 AND scope = ?2 AND uid = ?3
                     AND version = ?4 AND block = ?5 AND fact = ?6",
                )?
                .execute(params![
                    environment_uid,
                    scope,
                    uid,
                    version,
                    counter.block,
                    counter.fact
                ])?;
        }
    }
    Ok(())
}

/// Counters of one deployment, or of one version of a flow.
pub(super) fn read(
    connection: &Connection,
    environment_uid: &str,
    of: &Counted,
) -> Result<Vec<(Counter, u64)>, EngineError> {
    let (scope, uid, version) = place(of);
    let mut statement = connection.prepare_cached(
        "SELECT block, fact, count FROM counters
         WHERE environment_uid = ?1 AND scope = ?2 AND uid = ?3 AND version = ?4",
    )?;
    let found = statement.query_map(params![environment_uid, scope, uid, version], |columns| {
        let counter = Counter {
            of: of.clone(),
            block: columns.get(0)?,
            fact: columns.get(1)?,
        };
        Ok((counter, unsigned(columns.get(2)?)))
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}

fn place(of: &Counted) -> (&'static str, &str, u32) {
    match of {
        Counted::Deployment(uid) => ("deployment", uid, 0),
        Counted::Flow(uid, version) => ("flow", uid, *version),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use crate::{
        progress::event::MembershipRecord,
        store::engine::{Ending, Engine, MembershipKey, SqliteEngine},
    };

    #[test]
    fn what_stands_in_an_older_file_is_counted_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        let engine = SqliteEngine::open(&path).unwrap();
        let run = |finished: bool, left: bool| {
            json!({"flow": "f", "version": 2, "started": true, "finished": finished, "blocks": [
                {"block": "b", "active": !left, "exited": left,
                    "taken": if left { json!(["next", "\u{e9}\"\n"]) } else { json!([]) }}]})
        };
        let users = [
            json!({"identifier": "ann", "doc_rev": 1, "flows": [run(true, true), {"flow": "g", "version": 1}]}),
            json!({"identifier": "bob", "doc_rev": 1, "flows": [run(false, true)]}),
            json!({"identifier": "cy", "doc_rev": 1, "flows": [run(false, false)]}),
            json!({"identifier": "di", "doc_rev": 1}),
        ];
        let membership = |id: &str, is_in: bool, started: bool| {
            let record = json!({"doc_rev": 1, "started": started, "membership":
                {"deployment": "d", "id": id, "in": is_in, "basis_points": 5, "bucket": 3}});
            let record: MembershipRecord = serde_json::from_value(record).unwrap();
            (
                MembershipKey::of(record.membership.as_ref().unwrap()),
                record,
            )
        };
        let mut put = |rows: &mut dyn crate::store::engine::LedgerTransaction| {
            for user in &users {
                rows.put_user(&serde_json::from_value(user.clone()).unwrap())?;
            }
            for (key, record) in [
                membership("ann", true, true),
                membership("bob", true, false),
                membership("cy", false, false),
            ] {
                rows.put_membership(&key, &record, 1)?;
            }
            Ok(Ending::Commit)
        };
        engine.ledger("e1", &mut put).unwrap();
        drop(engine);
        // As in a file from before there were counters.
        let connection = Connection::open(&path).unwrap();
        connection.execute_batch("DROP TABLE counters;").unwrap();
        connection.execute_batch(SCHEMA).unwrap();
        drop(connection);
        let engine = SqliteEngine::open(&path).unwrap();
        let read = |of: Counted| -> BTreeMap<String, u64> {
            let found = engine.counts("e1", &of).unwrap();
            let named = found.into_iter();
            named
                .map(|(own, count)| (format!("{} {}", own.block, own.fact), count))
                .collect()
        };
        let expected = |pairs: &[(&str, u64)]| -> BTreeMap<String, u64> {
            let pairs = pairs.iter();
            pairs
                .map(|(name, count)| ((*name).to_owned(), *count))
                .collect()
        };
        let took = format!("b took {}", json!(["next", "\u{e9}\"\n"]));
        assert_eq!(
            read(Counted::Flow("f".to_owned(), 2)),
            expected(&[
                (" started", 3),
                (" finished", 1),
                ("b active", 1),
                ("b entered", 3),
                ("b exited", 2),
                (&took, 2),
            ])
        );
        assert!(read(Counted::Flow("g".to_owned(), 1)).is_empty());
        assert_eq!(
            read(Counted::Deployment("d".to_owned())),
            expected(&[(" judged", 3), (" in", 2), (" out", 1), (" started", 1)])
        );
    }

    #[test]
    fn a_counter_that_comes_back_to_nothing_leaves_no_row() {
        let folder = tempfile::tempdir().unwrap();
        let engine = SqliteEngine::open(&folder.path().join("store.db")).unwrap();
        let counter = Counter {
            of: Counted::Flow("f".to_owned(), 1),
            block: "b".to_owned(),
            fact: "entered".to_owned(),
        };
        let count = |by: i64| {
            let counts = BTreeMap::from([(counter.clone(), by)]);
            let mut work = |rows: &mut dyn crate::store::engine::LedgerTransaction| {
                rows.count(&counts)?;
                Ok(Ending::Commit)
            };
            engine.ledger("e1", &mut work).unwrap();
            engine.counts("e1", &counter.of).unwrap()
        };
        assert_eq!(count(2), [(counter.clone(), 2)]);
        assert_eq!(count(0), [(counter.clone(), 2)]);
        assert!(count(-2).is_empty());
    }
}
