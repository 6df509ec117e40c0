//! Which tables stand in the file, and is the file sound?
//!
//! `user_version` counts the migrations that were run; each is one script in
//! one transaction. A file of a later release is refused and left untouched.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::{EngineError, counters, environments, erasing};

/// One script for each version of the schema, in order; never edited once
/// released.
const MIGRATIONS: &[&str] = &[
    FIRST,
    DEPLOYMENTS,
    MEMBERSHIPS,
    ACTIVITY,
    ACCESS,
    DELIVERIES,
    RIGHTS,
    USAGE,
    AUDIT,
    FLAGS,
    erasing::SCHEMA,
    counters::SCHEMA,
    environments::SCHEMA,
];

/// The version that all of them lead to.
pub(super) const NEWEST: u32 = MIGRATIONS.len() as u32;

/// Environments, flows, keys, what is published, the ledger.
const FIRST: &str = "
CREATE TABLE meta (
  key TEXT PRIMARY KEY, value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE environments (
  position INTEGER PRIMARY KEY, uid TEXT NOT NULL UNIQUE, name TEXT NOT NULL UNIQUE,
  type TEXT NOT NULL, drafts INTEGER NOT NULL
) STRICT;
CREATE TABLE projects (
  sid TEXT PRIMARY KEY, name TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE flows (
  uid TEXT PRIMARY KEY, sid TEXT NOT NULL UNIQUE, name TEXT NOT NULL, project TEXT NOT NULL,
  refuse_public_force INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE flow_status (
  flow_uid TEXT NOT NULL, environment_uid TEXT NOT NULL, enabled INTEGER NOT NULL,
  PRIMARY KEY (flow_uid, environment_uid)
) STRICT, WITHOUT ROWID;
CREATE TABLE versions (
  flow_uid TEXT NOT NULL, number INTEGER NOT NULL, part TEXT NOT NULL, message TEXT NOT NULL,
  author TEXT NOT NULL, created_ms INTEGER NOT NULL, PRIMARY KEY (flow_uid, number)
) STRICT;
CREATE TABLE keys (
  position INTEGER PRIMARY KEY, sha256 TEXT NOT NULL UNIQUE, kind TEXT NOT NULL,
  environment_uid TEXT, name TEXT NOT NULL, projects TEXT NOT NULL, last TEXT NOT NULL,
  created_ms INTEGER NOT NULL, expires_ms INTEGER, rotated_ms INTEGER, revoked_ms INTEGER
) STRICT;

CREATE TABLE publications (
  environment_uid TEXT PRIMARY KEY, state TEXT NOT NULL, timestamp BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE documents (
  environment_uid TEXT NOT NULL, epoch INTEGER NOT NULL, role TEXT NOT NULL,
  version INTEGER NOT NULL, bytes BLOB NOT NULL,
  PRIMARY KEY (environment_uid, epoch, role, version)
) STRICT;
CREATE TABLE blobs (
  sha256 TEXT PRIMARY KEY, bytes BLOB NOT NULL, retired_ms INTEGER
) STRICT;

CREATE INDEX blobs_retired ON blobs (retired_ms) WHERE retired_ms IS NOT NULL;

CREATE TABLE users (
  environment_uid TEXT NOT NULL, identifier TEXT NOT NULL, document TEXT NOT NULL,
  PRIMARY KEY (environment_uid, identifier)
) STRICT, WITHOUT ROWID;
CREATE TABLE groups (
  environment_uid TEXT NOT NULL, identifier TEXT NOT NULL, record TEXT NOT NULL,
  PRIMARY KEY (environment_uid, identifier)
) STRICT, WITHOUT ROWID;
CREATE TABLE journals (
  environment_uid TEXT NOT NULL, journal TEXT NOT NULL, watermark INTEGER, hash TEXT NOT NULL,
  closed INTEGER NOT NULL, PRIMARY KEY (environment_uid, journal)
) STRICT, WITHOUT ROWID;
CREATE TABLE refuted (
  environment_uid TEXT NOT NULL, journal TEXT NOT NULL, identifier TEXT NOT NULL,
  places TEXT NOT NULL, PRIMARY KEY (environment_uid, journal, identifier)
) STRICT, WITHOUT ROWID;
CREATE TABLE dead_letters (
  id INTEGER PRIMARY KEY, environment_uid TEXT NOT NULL, journal TEXT NOT NULL,
  seq INTEGER NOT NULL, why TEXT NOT NULL, at_ms INTEGER NOT NULL, event TEXT NOT NULL
) STRICT;
CREATE INDEX dead_letters_of_environment ON dead_letters (environment_uid, id);
";

/// Channels, deployments and what points at them; whom webhooks call.
const DEPLOYMENTS: &str = "
ALTER TABLE flows ADD COLUMN deployments_only INTEGER NOT NULL DEFAULT 0;
ALTER TABLE versions ADD COLUMN webhooks TEXT NOT NULL DEFAULT '{}';
ALTER TABLE keys ADD COLUMN channel TEXT;

CREATE TABLE channels (
  name TEXT PRIMARY KEY, exclusive INTEGER NOT NULL, attributes TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE deployments (
  uid TEXT PRIMARY KEY, environment_uid TEXT NOT NULL, name TEXT NOT NULL, flow_uid TEXT NOT NULL,
  channel TEXT NOT NULL, policy TEXT NOT NULL, rollout TEXT NOT NULL, on_version_change TEXT NOT NULL,
  active INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
";

/// What the ledger keeps beside users: percentage decisions, the change stream
/// under an id of its own, the outbox; and the ages that retention goes by.
const MEMBERSHIPS: &str = "
CREATE TABLE memberships (
  environment_uid TEXT NOT NULL, deployment TEXT NOT NULL, id TEXT NOT NULL,
  conversation TEXT NOT NULL, record TEXT NOT NULL, touched_ms INTEGER NOT NULL,
  PRIMARY KEY (environment_uid, deployment, id, conversation)
) STRICT, WITHOUT ROWID;
CREATE INDEX memberships_of_conversations ON memberships (environment_uid, touched_ms)
  WHERE conversation <> '';

CREATE TABLE changes (
  environment_uid TEXT NOT NULL, position INTEGER NOT NULL, subject TEXT NOT NULL,
  doc_rev INTEGER NOT NULL, journal TEXT NOT NULL, PRIMARY KEY (environment_uid, position)
) STRICT, WITHOUT ROWID;
CREATE TABLE change_heads (
  environment_uid TEXT PRIMARY KEY, position INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO meta (key, value) VALUES ('ledger', lower(hex(randomblob(16))));

CREATE TABLE outbox (
  id TEXT PRIMARY KEY, environment_uid TEXT NOT NULL, effect TEXT NOT NULL,
  attempts INTEGER NOT NULL, next_ms INTEGER NOT NULL, dead_ms INTEGER, why TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX outbox_due ON outbox (next_ms) WHERE dead_ms IS NULL;
CREATE INDEX outbox_dead ON outbox (environment_uid, dead_ms) WHERE dead_ms IS NOT NULL;

ALTER TABLE users ADD COLUMN conversation_ms INTEGER;
CREATE INDEX users_with_conversations ON users (environment_uid, conversation_ms)
  WHERE conversation_ms IS NOT NULL;
ALTER TABLE refuted ADD COLUMN at_ms INTEGER NOT NULL DEFAULT 0;
UPDATE refuted SET at_ms = unixepoch() * 1000;
CREATE INDEX refuted_by_age ON refuted (environment_uid, at_ms);
CREATE INDEX dead_letters_by_age ON dead_letters (environment_uid, at_ms);
";

/// When conversations were active and journals were closed, and how far the
/// revisions of forgotten memberships had come.
const ACTIVITY: &str = "
CREATE TABLE conversations (
  environment_uid TEXT NOT NULL, conversation TEXT NOT NULL, touched_ms INTEGER NOT NULL,
  PRIMARY KEY (environment_uid, conversation)
) STRICT, WITHOUT ROWID;
CREATE INDEX conversations_by_age ON conversations (environment_uid, touched_ms);

ALTER TABLE change_heads ADD COLUMN forgotten_rev INTEGER NOT NULL DEFAULT 0;

ALTER TABLE journals ADD COLUMN closed_ms INTEGER;
UPDATE journals SET closed_ms = unixepoch() * 1000 WHERE closed;
CREATE INDEX journals_closed ON journals (environment_uid, closed_ms)
  WHERE closed_ms IS NOT NULL;
";

/// What public keys may do in an environment, and whose pages may use a key.
const ACCESS: &str = "
ALTER TABLE environments ADD COLUMN access TEXT NOT NULL DEFAULT '{}';
ALTER TABLE keys ADD COLUMN origins TEXT NOT NULL DEFAULT '[]';
";

/// What became of webhooks: delivered ones stay for a while, and all tell of
/// their attempts.
const DELIVERIES: &str = "
ALTER TABLE outbox ADD COLUMN delivered_ms INTEGER;
ALTER TABLE outbox ADD COLUMN posted_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE outbox ADD COLUMN log TEXT NOT NULL DEFAULT '[]';
UPDATE outbox SET posted_ms = coalesce(
  CASE WHEN json_valid(effect) THEN json_extract(effect, '$.at_ms') END, 0);
UPDATE outbox SET log = json_array(json_object('at_ms', coalesce(dead_ms, posted_ms), 'why', why))
  WHERE why <> '';
ALTER TABLE outbox DROP COLUMN why;
DROP INDEX outbox_due;
CREATE INDEX outbox_waiting ON outbox (next_ms, id) WHERE dead_ms IS NULL AND delivered_ms IS NULL;
CREATE INDEX outbox_delivered ON outbox (environment_uid, delivered_ms)
  WHERE delivered_ms IS NOT NULL;
CREATE INDEX outbox_newest ON outbox (environment_uid, posted_ms, id);
";

/// What keys of the authoring API may do; those there are may do everything.
const RIGHTS: &str = "
ALTER TABLE keys ADD COLUMN rights TEXT;
UPDATE keys SET rights = json_object('role', 'admin', 'environments', json_array())
  WHERE kind = 'admin';
";

/// How flags are used, who uses them, and how far edges have told of it.
const USAGE: &str = "
CREATE TABLE usage_hours (
  environment_uid TEXT NOT NULL, flag TEXT NOT NULL, hour_ms INTEGER NOT NULL, app TEXT NOT NULL,
  yes INTEGER NOT NULL, no INTEGER NOT NULL, PRIMARY KEY (environment_uid, flag, hour_ms, app)
) STRICT, WITHOUT ROWID;
CREATE INDEX usage_hours_by_age ON usage_hours (environment_uid, hour_ms);
CREATE TABLE usage_variants (
  environment_uid TEXT NOT NULL, flag TEXT NOT NULL, hour_ms INTEGER NOT NULL, app TEXT NOT NULL,
  variant TEXT NOT NULL, count INTEGER NOT NULL,
  PRIMARY KEY (environment_uid, flag, hour_ms, app, variant)
) STRICT, WITHOUT ROWID;
CREATE INDEX usage_variants_by_age ON usage_variants (environment_uid, hour_ms);
CREATE TABLE usage_seen (
  environment_uid TEXT NOT NULL, flag TEXT NOT NULL, seen_ms INTEGER NOT NULL,
  PRIMARY KEY (environment_uid, flag)
) STRICT, WITHOUT ROWID;
CREATE INDEX usage_seen_by_age ON usage_seen (environment_uid, seen_ms);
CREATE TABLE usage_apps (
  environment_uid TEXT NOT NULL, app TEXT NOT NULL, first_ms INTEGER NOT NULL,
  seen_ms INTEGER NOT NULL, strategies TEXT NOT NULL, via TEXT NOT NULL,
  PRIMARY KEY (environment_uid, app)
) STRICT, WITHOUT ROWID;
CREATE TABLE usage_instances (
  environment_uid TEXT NOT NULL, app TEXT NOT NULL, instance TEXT NOT NULL, sdk TEXT NOT NULL,
  platform TEXT NOT NULL, seen_ms INTEGER NOT NULL, PRIMARY KEY (environment_uid, app, instance)
) STRICT, WITHOUT ROWID;
CREATE INDEX usage_instances_by_age ON usage_instances (environment_uid, seen_ms);
CREATE TABLE usage_marks (
  environment_uid TEXT NOT NULL, journal TEXT NOT NULL, through INTEGER NOT NULL,
  touched_ms INTEGER NOT NULL, PRIMARY KEY (environment_uid, journal)
) STRICT, WITHOUT ROWID;
";

/// Who changed what: an entry as a document, and what it is found by.
const AUDIT: &str = "
CREATE TABLE audit (
  id INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL, who TEXT NOT NULL,
  entry TEXT NOT NULL
) STRICT;
CREATE INDEX audit_by_age ON audit (at_ms);
CREATE TABLE audit_places (
  audit_id INTEGER NOT NULL, object TEXT NOT NULL, kind TEXT NOT NULL,
  environment_uid TEXT NOT NULL, PRIMARY KEY (audit_id, object, kind, environment_uid)
) STRICT, WITHOUT ROWID;
";

/// Flags and segments, as they are authored.
const FLAGS: &str = "
CREATE TABLE flags (
  name TEXT PRIMARY KEY, flag TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE segments (
  id INTEGER PRIMARY KEY, segment TEXT NOT NULL
) STRICT;
";

/// Brings the file to the newest schema.
pub(super) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), EngineError> {
    let found = refuse_newer(connection, path)?;
    for (number, script) in (1_i64..).zip(MIGRATIONS).filter(|(n, _)| *n > found) {
        let step = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        step.execute_batch(script)?;
        step.pragma_update(None, "user_version", number)?;
        step.commit()?;
    }
    Ok(())
}

/// The version of a file, unless a later release wrote it.
pub(super) fn refuse_newer(connection: &Connection, path: &Path) -> Result<i64, EngineError> {
    let expected = i64::from(NEWEST);
    let found: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if found <= expected {
        return Ok(found);
    }
    Err(EngineError::Newer {
        path: path.display().to_string(),
        found,
        expected,
    })
}

/// Whether the last user of the file closed it; true for a fresh one.
pub(super) fn was_closed(connection: &Connection) -> Result<bool, EngineError> {
    let value: Option<String> = connection
        .query_row("SELECT value FROM meta WHERE key = 'closed'", [], |row| {
            row.get(0)
        })
        .optional()?;
    Ok(value.is_none_or(|value| value == "yes"))
}

/// Notes whether the file is closed.
pub(super) fn set_closed(connection: &Connection, closed: bool) -> Result<(), EngineError> {
    connection.execute(
        "INSERT INTO meta (key, value) VALUES ('closed', ?1)
         ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        params![if closed { "yes" } else { "no" }],
    )?;
    Ok(())
}

/// Looks the whole file over without rebuilding its indexes.
pub(super) fn check(connection: &Connection, path: &Path) -> Result<(), EngineError> {
    let found: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if found == "ok" {
        return Ok(());
    }
    Err(EngineError::Damaged {
        path: path.display().to_string(),
        found,
    })
}

#[cfg(test)]
mod tests {
    use super::{super::SqliteEngine, *};
    use crate::store::engine::{Engine, Write};

    /// What the first release wrote: a flow with a status and a version, a key,
    /// a user.
    const ROWS: &str = r#"
INSERT INTO environments (uid, name, type, drafts) VALUES ('e1', 'production', '"production"', 0);
INSERT INTO projects VALUES ('shop', 'Shop');
INSERT INTO flows VALUES ('f1', 'tour', 'Tour', 'shop', 1);
INSERT INTO flow_status VALUES ('f1', 'e1', 0);
INSERT INTO versions VALUES ('f1', 1, '{"flow_uid":"f1","flow_sid":"tour","number":1,
  "entry":"everyone","blocks":[{"uid":"b1","sid":"card","kind":"card"}],
  "paths":[{"uid":"p1","to":"b1"}]}', 'first', 'ann', 17);
INSERT INTO keys (sha256, kind, environment_uid, name, projects, last, created_ms)
  VALUES ('k1', 'server', 'e1', 'back end', '["shop"]', 'abc123', 1),
    ('k2', 'admin', NULL, 'ada', '[]', 'def456', 1);
INSERT INTO users VALUES ('e1', 'ann', '{"identifier":"ann","doc_rev":3}');
"#;

    /// The same in the tables of later schemas.
    const ROWS_SINCE: &str = r#"
INSERT INTO environments (uid, name, type, drafts) VALUES ('e1', 'production', '"production"', 0);
INSERT INTO projects (sid, name) VALUES ('shop', 'Shop');
INSERT INTO flows (uid, sid, name, project, refuse_public_force) VALUES ('f1', 'tour', 'Tour', 'shop', 1);
INSERT INTO versions (flow_uid, number, part, message, author, created_ms)
  VALUES ('f1', 1, '{"flow_uid":"f1","flow_sid":"tour","number":1,
  "entry":"everyone","blocks":[{"uid":"b1","sid":"card","kind":"card"}],
  "paths":[{"uid":"p1","to":"b1"}]}', 'first', 'ann', 17);
INSERT INTO users (environment_uid, identifier, document)
  VALUES ('e1', 'ann', '{"identifier":"ann","doc_rev":3}');
"#;

    #[test]
    fn a_file_of_the_first_release_opens_and_keeps_everything() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        let connection = Connection::open(&path).unwrap();
        connection.execute_batch(FIRST).unwrap();
        connection.execute_batch(ROWS).unwrap();
        connection.pragma_update(None, "user_version", 1).unwrap();
        drop(connection);
        let engine = SqliteEngine::open(&path).unwrap();
        let workspace = engine.workspace().unwrap();
        let flow = &workspace.flows["tour"];
        assert!(flow.refuse_public_force && !flow.deployments_only);
        assert!(!flow.enabled_in("e1"));
        let version = &flow.versions[&1];
        assert_eq!(version.part.blocks[0].uid, "b1");
        assert_eq!((&*version.message, version.created_ms), ("first", 17));
        assert!(version.webhooks.is_empty());
        assert_eq!(workspace.keys[0].projects, ["shop"]);
        assert_eq!(workspace.keys[0].channel, None);
        assert!(workspace.keys[0].origins.is_empty());
        let rights: Vec<_> = workspace.keys.iter().map(|own| &own.rights).collect();
        assert_eq!(rights, [&None, &Some(crate::store::Rights::ALL)]);
        assert_eq!(workspace.environments[0].access, Default::default());
        assert!(workspace.channels.is_empty() && workspace.deployments.is_empty());
        assert_eq!(engine.user("e1", "ann").unwrap().unwrap().doc_rev, 3);
        // It takes what is new, and is not migrated again.
        let rollout = serde_json::from_value(serde_json::json!({"basis_points": 1, "salt": "s"}));
        let deployment = crate::store::Deployment {
            uid: "d1".to_owned(),
            name: "web".to_owned(),
            environment_uid: "e1".to_owned(),
            flow_uid: "f1".to_owned(),
            channel: "web".to_owned(),
            policy: crate::snapshot::wire::VersionPolicy::Latest,
            rollout: rollout.unwrap(),
            on_version_change: None,
            active: true,
        };
        let write = Write::Deployment(Box::new(deployment.clone()));
        engine.commit(&[write]).unwrap();
        drop(engine);
        let workspace = SqliteEngine::open(&path).unwrap().workspace().unwrap();
        assert_eq!(workspace.deployments["d1"], deployment);
        assert_eq!(workspace.flows["tour"].versions.len(), 1);
    }

    #[test]
    fn webhooks_of_an_older_file_are_told_of_and_go_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        let connection = Connection::open(&path).unwrap();
        for script in &MIGRATIONS[..5] {
            connection.execute_batch(script).unwrap();
        }
        let effect = r#"{"environment":"production","environment_uid":"e1","user":"ann",
            "flow":"f1","version":1,"block":"b1","at_ms":7}"#;
        let rows = [
            ("new", effect, 0, None, ""),
            ("failed", effect, 2, None, "answered 500"),
            ("dead", effect, 12, Some(9), "answered 404"),
            ("broken", "{", 0, None, ""),
        ];
        for (id, effect, attempts, dead_ms, why) in rows {
            connection
                .execute(
                    "INSERT INTO outbox VALUES (?1, 'e1', ?2, ?3, 5, ?4, ?5)",
                    params![id, effect, attempts, dead_ms, why],
                )
                .unwrap();
        }
        connection.pragma_update(None, "user_version", 5).unwrap();
        drop(connection);
        let engine = SqliteEngine::open(&path).unwrap();
        let found = engine.deliveries("e1", &Default::default(), None, 9);
        let found = found.unwrap();
        let ids: Vec<&str> = found.iter().map(|own| own.id.as_str()).collect();
        assert_eq!(ids, ["new", "failed", "dead"]);
        assert_eq!(found[0].log, []);
        assert_eq!(found[1].log[0].why.as_deref(), Some("answered 500"));
        assert_eq!((found[2].log[0].at_ms, found[2].posted_ms), (9, 7));
        assert_eq!(engine.deliveries_waiting().unwrap(), 3);
    }

    #[test]
    fn a_file_of_every_schema_opens_serves_and_is_backed_up() {
        for version in 1..=NEWEST {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("store.db");
            let connection = Connection::open(&path).unwrap();
            for script in &MIGRATIONS[..version as usize] {
                connection.execute_batch(script).unwrap();
            }
            let rows = if version == 1 { ROWS } else { ROWS_SINCE };
            connection.execute_batch(rows).unwrap();
            connection
                .pragma_update(None, "user_version", version)
                .unwrap();
            drop(connection);
            // A copy is as old as its original until it is put to use.
            let copy = folder.path().join("copy.db");
            assert_eq!(SqliteEngine::copy(&path, &copy).unwrap().schema, version);
            let revived = SqliteEngine::revive(&copy, "other", 1_000).unwrap();
            assert_eq!(revived.schema, NEWEST);
            assert_eq!(revived.environments[0].0, "production");
            for path in [&path, &copy] {
                let engine = SqliteEngine::open(path).unwrap();
                assert_eq!(engine.workspace().unwrap().flows["tour"].versions.len(), 1);
                let mut document = engine.user("e1", "ann").unwrap().unwrap();
                document.doc_rev += 1;
                let step = engine.ledger("e1", &mut |rows| {
                    rows.put_user(&document)?;
                    Ok(crate::store::engine::Ending::Commit)
                });
                step.unwrap();
                assert_eq!(engine.user("e1", "ann").unwrap().unwrap().doc_rev, 4);
                let changes = engine.changes("e1", 0, 10).unwrap();
                assert_eq!(changes.ledger == "other", path == &copy);
            }
        }
    }

    #[test]
    fn a_file_of_a_later_release_is_refused_and_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        let connection = Connection::open(&path).unwrap();
        connection.execute_batch(FIRST).unwrap();
        connection
            .pragma_update(None, "user_version", NEWEST + 1)
            .unwrap();
        drop(connection);
        let before = std::fs::read(&path).unwrap();
        let copy = folder.path().join("copy.db");
        for error in [
            SqliteEngine::copy(&path, &copy).unwrap_err(),
            SqliteEngine::open(&path).unwrap_err(),
        ] {
            assert!(matches!(error, EngineError::Newer { .. }), "{error}");
        }
        assert!(!copy.exists());
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }
}
