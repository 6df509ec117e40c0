//! How do authored things become rows, and rows authored things?
//!
//! Everything authored is read once, at the start, and lives in memory from
//! then on; afterwards there are only writes, each inside a transaction that
//! is not opened here.

use std::{collections::BTreeMap, sync::Arc};

use rusqlite::{Connection, params};

use super::{EngineError, environments, flags, row, signed, text, unsigned};
use crate::store::{
    engine::Write,
    workspace::{
        AuthoredVersion, Channel, Deployment, Flow, Flows, StoredKey, StoredKeyKind, Workspace,
    },
};

/// Reads everything authored.
pub(super) fn workspace(connection: &Connection) -> Result<Workspace, EngineError> {
    Ok(Workspace {
        environments: environments::environments(connection)?,
        projects: environments::projects(connection)?,
        flows: flows(connection)?,
        channels: channels(connection)?,
        deployments: deployments(connection)?,
        flags: flags::flags(connection)?,
        segments: flags::segments(connection)?,
        keys: keys(connection)?,
        deleted: environments::deleted(connection)?,
    })
}

fn flows(connection: &Connection) -> Result<Flows, EngineError> {
    let mut statement = connection.prepare_cached(
        "SELECT uid, sid, name, project, refuse_public_force, deployments_only FROM flows",
    )?;
    let mut rows = statement.query([])?;
    let mut by_uid = BTreeMap::new();
    while let Some(columns) = rows.next()? {
        let uid: String = columns.get(0)?;
        let flow = Flow {
            uid: uid.clone(),
            sid: columns.get(1)?,
            name: columns.get(2)?,
            project: columns.get(3)?,
            refuse_public_force: columns.get(4)?,
            deployments_only: columns.get(5)?,
            status: BTreeMap::new(),
            versions: BTreeMap::new(),
            content: BTreeMap::new(),
        };
        by_uid.insert(uid, flow);
    }
    let mut statement =
        connection.prepare_cached("SELECT flow_uid, environment_uid, enabled FROM flow_status")?;
    let mut rows = statement.query([])?;
    while let Some(columns) = rows.next()? {
        let uid: String = columns.get(0)?;
        if let Some(flow) = by_uid.get_mut(&uid) {
            flow.status.insert(columns.get(1)?, columns.get(2)?);
        }
    }
    let mut statement = connection.prepare_cached(
        "SELECT flow_uid, number, part, message, author, created_ms, webhooks FROM versions",
    )?;
    let mut rows = statement.query([])?;
    while let Some(columns) = rows.next()? {
        let uid: String = columns.get(0)?;
        let part: String = columns.get(2)?;
        let webhooks: String = columns.get(6)?;
        let version = AuthoredVersion {
            part: row("version", &part)?,
            message: columns.get(3)?,
            author: columns.get(4)?,
            created_ms: unsigned(columns.get(5)?),
            webhooks: row("version's webhooks", &webhooks)?,
        };
        if let Some(flow) = by_uid.get_mut(&uid) {
            flow.versions.insert(columns.get(1)?, Arc::new(version));
        }
    }
    environments::contents(connection, &mut by_uid)?;
    Ok(by_uid.into_values().collect())
}

fn channels(connection: &Connection) -> Result<BTreeMap<String, Channel>, EngineError> {
    let mut statement =
        connection.prepare_cached("SELECT name, exclusive, attributes FROM channels")?;
    let mut rows = statement.query([])?;
    let mut found = BTreeMap::new();
    while let Some(columns) = rows.next()? {
        let name: String = columns.get(0)?;
        let attributes: String = columns.get(2)?;
        let channel = Channel {
            name: name.clone(),
            exclusive: columns.get(1)?,
            attributes: row("channel's attributes", &attributes)?,
        };
        found.insert(name, channel);
    }
    Ok(found)
}

fn deployments(connection: &Connection) -> Result<BTreeMap<String, Deployment>, EngineError> {
    let mut statement = connection.prepare_cached(
        "SELECT uid, environment_uid, name, flow_uid, channel, policy, rollout, on_version_change,
                active FROM deployments",
    )?;
    let mut rows = statement.query([])?;
    let mut found = BTreeMap::new();
    while let Some(columns) = rows.next()? {
        let uid: String = columns.get(0)?;
        let json = |column| columns.get::<_, String>(column);
        let deployment = Deployment {
            uid: uid.clone(),
            environment_uid: columns.get(1)?,
            name: columns.get(2)?,
            flow_uid: columns.get(3)?,
            channel: columns.get(4)?,
            policy: row("deployment's version", &json(5)?)?,
            rollout: row("deployment's rollout", &json(6)?)?,
            on_version_change: row("deployment", &json(7)?)?,
            active: columns.get(8)?,
        };
        found.insert(uid, deployment);
    }
    Ok(found)
}

fn keys(connection: &Connection) -> Result<Vec<StoredKey>, EngineError> {
    let mut statement = connection.prepare_cached(
        "SELECT sha256, kind, environment_uid, name, projects, last, created_ms, expires_ms,
                rotated_ms, revoked_ms, channel, origins, rights FROM keys ORDER BY position",
    )?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(columns) = rows.next()? {
        let kind: String = columns.get(1)?;
        let projects: String = columns.get(4)?;
        let origins: String = columns.get(11)?;
        let rights: Option<String> = columns.get(12)?;
        let rights = rights.map(|text| row("key's rights", &text));
        let time = |column| -> rusqlite::Result<Option<u64>> {
            Ok(columns.get::<_, Option<i64>>(column)?.map(unsigned))
        };
        found.push(StoredKey {
            sha256: columns.get(0)?,
            kind: StoredKeyKind::named(&kind).ok_or(EngineError::Row {
                what: "key kind",
                found: kind,
            })?,
            environment_uid: columns.get(2)?,
            name: columns.get(3)?,
            projects: row("key's projects", &projects)?,
            last: columns.get(5)?,
            created_ms: unsigned(columns.get(6)?),
            expires_ms: time(7)?,
            rotated_ms: time(8)?,
            revoked_ms: time(9)?,
            channel: columns.get(10)?,
            origins: row("key's origins", &origins)?,
            rights: rights.transpose()?,
        });
    }
    Ok(found)
}

/// Does one authored write.
pub(super) fn write(connection: &Connection, write: &Write) -> Result<(), EngineError> {
    match write {
        Write::Environment(_)
        | Write::DeleteEnvironment(_)
        | Write::ForgetEnvironment { .. }
        | Write::Project(_)
        | Write::DeleteProject { .. }
        | Write::Content { .. }
        | Write::DeleteContent { .. } => environments::write(connection, write)?,
        Write::Flow {
            uid,
            sid,
            name,
            project,
            refuse_public_force,
            deployments_only,
        } => connection
            .prepare_cached(
                "INSERT INTO flows (uid, sid, name, project, refuse_public_force, deployments_only)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT (uid) DO UPDATE SET sid = excluded.sid, name = excluded.name,
                 project = excluded.project, refuse_public_force = excluded.refuse_public_force,
                 deployments_only = excluded.deployments_only",
            )?
            .execute(params![
                uid,
                sid,
                name,
                project,
                refuse_public_force,
                deployments_only
            ])?,
        Write::Status {
            flow_uid,
            environment_uid,
            enabled,
        } => connection
            .prepare_cached(
                "INSERT INTO flow_status (flow_uid, environment_uid, enabled) VALUES (?1, ?2, ?3)
                 ON CONFLICT (flow_uid, environment_uid) DO UPDATE SET enabled = excluded.enabled",
            )?
            .execute(params![flow_uid, environment_uid, enabled])?,
        Write::Version(version) => write_version(connection, version)?,
        Write::Channel(channel) => connection
            .prepare_cached(
                "INSERT INTO channels (name, exclusive, attributes) VALUES (?1, ?2, ?3)
                 ON CONFLICT (name) DO UPDATE SET exclusive = excluded.exclusive,
                 attributes = excluded.attributes",
            )?
            .execute(params![
                channel.name,
                channel.exclusive,
                text("channel's attributes", &channel.attributes)?
            ])?,
        Write::Deployment(deployment) => write_deployment(connection, deployment)?,
        Write::DeleteFlow { uid } => {
            for table in ["versions", "flow_status", "content"] {
                connection
                    .prepare_cached(&format!("DELETE FROM {table} WHERE flow_uid = ?1"))?
                    .execute(params![uid])?;
            }
            connection
                .prepare_cached("DELETE FROM flows WHERE uid = ?1")?
                .execute(params![uid])?
        }
        Write::DeleteDeployment { uid } => connection
            .prepare_cached("DELETE FROM deployments WHERE uid = ?1")?
            .execute(params![uid])?,
        Write::Flag(flag) => flags::write_flag(connection, flag)?,
        Write::DeleteFlag { name } => flags::delete_flag(connection, name)?,
        Write::Segment(segment) => flags::write_segment(connection, segment)?,
        Write::DeleteSegment { id } => flags::delete_segment(connection, *id)?,
        Write::Key(key) => write_key(connection, key)?,
        // Kept apart by the caller.
        Write::Audit(_)
        | Write::Document(..)
        | Write::Publication(_)
        | Write::Blob { .. }
        | Write::RetireBlob { .. }
        | Write::PruneBlobs { .. } => 0,
    };
    Ok(())
}

fn write_version(connection: &Connection, version: &AuthoredVersion) -> Result<usize, EngineError> {
    Ok(connection
        .prepare_cached(
            "INSERT INTO versions (flow_uid, number, part, message, author, created_ms, webhooks)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (flow_uid, number) DO UPDATE SET part = excluded.part,
             message = excluded.message, author = excluded.author,
             created_ms = excluded.created_ms, webhooks = excluded.webhooks",
        )?
        .execute(params![
            version.part.flow_uid,
            version.part.number,
            text("version", &version.part)?,
            version.message,
            version.author,
            signed(version.created_ms),
            text("version's webhooks", &version.webhooks)?
        ])?)
}

fn write_deployment(
    connection: &Connection,
    deployment: &Deployment,
) -> Result<usize, EngineError> {
    Ok(connection
        .prepare_cached(
            "INSERT INTO deployments (uid, environment_uid, name, flow_uid, channel, policy,
             rollout, on_version_change, active)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
             ON CONFLICT (uid) DO UPDATE SET environment_uid = excluded.environment_uid,
             name = excluded.name, flow_uid = excluded.flow_uid, channel = excluded.channel,
             policy = excluded.policy, rollout = excluded.rollout,
             on_version_change = excluded.on_version_change, active = excluded.active",
        )?
        .execute(params![
            deployment.uid,
            deployment.environment_uid,
            deployment.name,
            deployment.flow_uid,
            deployment.channel,
            text("deployment's version", &deployment.policy)?,
            text("deployment's rollout", &deployment.rollout)?,
            text("deployment", &deployment.on_version_change)?,
            deployment.active
        ])?)
}

fn write_key(connection: &Connection, key: &StoredKey) -> Result<usize, EngineError> {
    Ok(connection
        .prepare_cached(
            "INSERT INTO keys (sha256, kind, environment_uid, name, projects, last, created_ms,
             expires_ms, rotated_ms, revoked_ms, channel, origins, rights)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
             ON CONFLICT (sha256) DO UPDATE SET expires_ms = excluded.expires_ms,
             rotated_ms = excluded.rotated_ms, revoked_ms = excluded.revoked_ms,
             rights = excluded.rights",
        )?
        .execute(params![
            key.sha256,
            key.kind.name(),
            key.environment_uid,
            key.name,
            text("key's projects", &key.projects)?,
            key.last,
            signed(key.created_ms),
            key.expires_ms.map(signed),
            key.rotated_ms.map(signed),
            key.revoked_ms.map(signed),
            key.channel,
            text("key's origins", &key.origins)?,
            key.rights
                .as_ref()
                .map(|own| text("key's rights", own))
                .transpose()?
        ])?)
}
