//! How do environments and projects become rows, and how do they go again?
//!
//! What was authored in an environment goes in the transaction that deletes
//! it. What users did in it goes afterwards, a bounded number of rows at a
//! time: there may be millions, and other environments want to write.

use std::{collections::BTreeMap, sync::Arc};

use rusqlite::{Connection, params};

use super::{EngineError, row, signed, text, unsigned};
use crate::store::{
    engine::Write,
    workspace::{AuthoredVersion, DeletedEnvironment, Environment, Flow, Project},
};

/// Environments and projects that come, change and go; content that a version
/// has in one environment only.
pub(super) const SCHEMA: &str = "
ALTER TABLE environments ADD COLUMN deprecated INTEGER NOT NULL DEFAULT 0;
ALTER TABLE environments ADD COLUMN confirm_changes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE projects ADD COLUMN environments TEXT NOT NULL DEFAULT 'null';

CREATE TABLE deleted_environments (
  uid TEXT PRIMARY KEY, name TEXT NOT NULL, deleted_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE content (
  flow_uid TEXT NOT NULL, number INTEGER NOT NULL, environment_uid TEXT NOT NULL,
  part TEXT NOT NULL, webhooks TEXT NOT NULL, PRIMARY KEY (flow_uid, number, environment_uid)
) STRICT;
CREATE INDEX content_of_environment ON content (environment_uid);
";

/// Tables with what was authored in an environment, beside its keys: they tell
/// edges for a while that it was deleted.
const AUTHORED: [&str; 3] = ["flow_status", "deployments", "content"];

/// Tables with what happened in an environment, and what beside it names a row.
const HAPPENED: [(&str, &str); 19] = [
    ("users", "identifier"),
    ("groups", "identifier"),
    ("memberships", "deployment, id, conversation"),
    ("conversations", "conversation"),
    ("journals", "journal"),
    ("refuted", "journal, identifier"),
    ("dead_letters", "id"),
    ("outbox", "id"),
    ("usage_hours", "flag, hour_ms, app"),
    ("usage_variants", "flag, hour_ms, app, variant"),
    ("usage_seen", "flag"),
    ("usage_apps", "app"),
    ("usage_instances", "app, instance"),
    ("usage_marks", "journal"),
    ("counters", "scope, uid, version, block, fact"),
    ("changes", "position"),
    ("change_heads", "environment_uid"),
    ("documents", "epoch, role, version"),
    ("publications", "environment_uid"),
];

/// Environments in the order in which they were made.
pub(super) fn environments(connection: &Connection) -> Result<Vec<Environment>, EngineError> {
    let mut statement = connection.prepare_cached(
        "SELECT uid, name, type, drafts, access, deprecated, confirm_changes FROM environments
         ORDER BY position",
    )?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(columns) = rows.next()? {
        let kind: String = columns.get(2)?;
        let access: String = columns.get(4)?;
        found.push(Environment {
            uid: columns.get(0)?,
            name: columns.get(1)?,
            kind: row("environment type", &kind)?,
            drafts: columns.get(3)?,
            access: row("environment's access", &access)?,
            deprecated: columns.get(5)?,
            confirm_changes: columns.get(6)?,
        });
    }
    Ok(found)
}

/// Environments that are gone, by uid.
pub(super) fn deleted(
    connection: &Connection,
) -> Result<BTreeMap<String, DeletedEnvironment>, EngineError> {
    let mut statement =
        connection.prepare_cached("SELECT uid, name, deleted_ms FROM deleted_environments")?;
    let mut rows = statement.query([])?;
    let mut found = BTreeMap::new();
    while let Some(columns) = rows.next()? {
        let uid: String = columns.get(0)?;
        let deleted = DeletedEnvironment {
            uid: uid.clone(),
            name: columns.get(1)?,
            deleted_ms: unsigned(columns.get(2)?),
        };
        found.insert(uid, deleted);
    }
    Ok(found)
}

/// Projects by sid.
pub(super) fn projects(connection: &Connection) -> Result<BTreeMap<String, Project>, EngineError> {
    let mut statement =
        connection.prepare_cached("SELECT sid, name, environments FROM projects")?;
    let mut rows = statement.query([])?;
    let mut found = BTreeMap::new();
    while let Some(columns) = rows.next()? {
        let sid: String = columns.get(0)?;
        let environments: String = columns.get(2)?;
        let project = Project {
            sid: sid.clone(),
            name: columns.get(1)?,
            environments: row("project's environments", &environments)?,
        };
        found.insert(sid, project);
    }
    Ok(found)
}

/// Puts what environments have of their own beside the versions, whose history
/// they share.
pub(super) fn contents(
    connection: &Connection,
    flows: &mut BTreeMap<String, Flow>,
) -> Result<(), EngineError> {
    let mut statement = connection
        .prepare_cached("SELECT flow_uid, number, environment_uid, part, webhooks FROM content")?;
    let mut rows = statement.query([])?;
    while let Some(columns) = rows.next()? {
        let uid: String = columns.get(0)?;
        let number: u32 = columns.get(1)?;
        let Some(flow) = flows.get_mut(&uid) else {
            continue;
        };
        let Some(version) = flow.versions.get(&number) else {
            continue;
        };
        let part: String = columns.get(3)?;
        let webhooks: String = columns.get(4)?;
        let content = AuthoredVersion {
            part: row("version's content", &part)?,
            webhooks: row("version's webhooks", &webhooks)?,
            ..AuthoredVersion::clone(version)
        };
        let place = (number, columns.get(2)?);
        flow.content.insert(place, Arc::new(content));
    }
    Ok(())
}

/// Does one write; says how many rows it changed.
pub(super) fn write(connection: &Connection, write: &Write) -> Result<usize, EngineError> {
    let done = match write {
        Write::Environment(environment) => put_environment(connection, environment)?,
        Write::DeleteEnvironment(deleted) => delete(connection, deleted)?,
        Write::ForgetEnvironment { uid } => {
            connection.execute("DELETE FROM keys WHERE environment_uid = ?1", [uid])?;
            connection.execute("DELETE FROM deleted_environments WHERE uid = ?1", [uid])?
        }
        Write::Project(project) => connection
            .prepare_cached(
                "INSERT INTO projects (sid, name, environments) VALUES (?1, ?2, ?3)
                 ON CONFLICT (sid) DO UPDATE SET name = excluded.name,
                 environments = excluded.environments",
            )?
            .execute(params![
                project.sid,
                project.name,
                text("project's environments", &project.environments)?
            ])?,
        Write::DeleteProject { sid } => {
            connection.execute("DELETE FROM projects WHERE sid = ?1", [sid])?
        }
        Write::Content {
            environment_uid,
            version,
        } => connection
            .prepare_cached(
                "INSERT INTO content (flow_uid, number, environment_uid, part, webhooks)
                 VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (flow_uid, number, environment_uid) DO UPDATE SET
                 part = excluded.part, webhooks = excluded.webhooks",
            )?
            .execute(params![
                version.part.flow_uid,
                version.part.number,
                environment_uid,
                text("version's content", &version.part)?,
                text("version's webhooks", &version.webhooks)?
            ])?,
        Write::DeleteContent {
            flow_uid,
            number,
            environment_uid,
        } => connection.execute(
            "DELETE FROM content WHERE flow_uid = ?1 AND number = ?2 AND environment_uid = ?3",
            params![flow_uid, number, environment_uid],
        )?,
        // Kept apart by the caller.
        _ => 0,
    };
    Ok(done)
}

fn put_environment(
    connection: &Connection,
    environment: &Environment,
) -> Result<usize, EngineError> {
    Ok(connection
        .prepare_cached(
            "INSERT INTO environments (uid, name, type, drafts, access, deprecated, confirm_changes)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (uid) DO UPDATE SET name = excluded.name, type = excluded.type,
             drafts = excluded.drafts, access = excluded.access, deprecated = excluded.deprecated,
             confirm_changes = excluded.confirm_changes",
        )?
        .execute(params![
            environment.uid,
            environment.name,
            text("environment type", &environment.kind)?,
            environment.drafts,
            text("environment's access", &environment.access)?,
            environment.deprecated,
            environment.confirm_changes
        ])?)
}

fn delete(connection: &Connection, deleted: &DeletedEnvironment) -> Result<usize, EngineError> {
    for table in AUTHORED {
        connection.execute(
            &format!("DELETE FROM {table} WHERE environment_uid = ?1"),
            [&deleted.uid],
        )?;
    }
    // A flag is one document, with a member for each environment.
    let member = format!("$.environments.\"{}\"", deleted.uid);
    connection.execute(
        "UPDATE flags SET flag = json_remove(flag, ?1) WHERE json_type(flag, ?1) IS NOT NULL",
        [member],
    )?;
    connection.execute("DELETE FROM environments WHERE uid = ?1", [&deleted.uid])?;
    Ok(connection.execute(
        "INSERT INTO deleted_environments (uid, name, deleted_ms) VALUES (?1, ?2, ?3)",
        params![deleted.uid, deleted.name, signed(deleted.deleted_ms)],
    )?)
}

/// Forgets what happened in an environment, at most so many rows of it.
pub(super) fn erase(
    connection: &Connection,
    environment_uid: &str,
    count_max: usize,
) -> Result<usize, EngineError> {
    let mut left = count_max;
    for (table, names) in HAPPENED {
        if left == 0 {
            break;
        }
        let statement = format!(
            "DELETE FROM {table} WHERE environment_uid = ?1 AND ({names}) IN
             (SELECT {names} FROM {table} WHERE environment_uid = ?1 LIMIT ?2)"
        );
        let limit = signed(left as u64);
        let gone = connection
            .prepare_cached(&statement)?
            .execute(params![environment_uid, limit])?;
        left = left.saturating_sub(gone);
    }
    Ok(count_max - left)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{super::SqliteEngine, *};

    /// Whoever adds a table says here what becomes of it.
    #[test]
    fn every_table_with_an_environment_is_emptied_when_it_is_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        drop(SqliteEngine::open(&path).unwrap());
        let connection = Connection::open(&path).unwrap();
        let mut statement = connection
            .prepare(
                "SELECT t.name FROM sqlite_master AS t, pragma_table_info(t.name) AS c
                 WHERE t.type = 'table' AND c.name = 'environment_uid'",
            )
            .unwrap();
        let found = statement.query_map([], |columns| columns.get(0)).unwrap();
        let found: BTreeSet<String> = found.collect::<Result<_, _>>().unwrap();
        let happened = HAPPENED.iter().map(|(table, _)| *table);
        // Keys tell edges for a while; who changed what is kept for its own time.
        let kept = ["keys", "audit_places"];
        let told = AUTHORED.into_iter().chain(happened).chain(kept);
        let told: BTreeSet<String> = told.map(ToOwned::to_owned).collect();
        assert_eq!(found, told);
    }
}
