//! How is what was authored written as a project file?
//!
//! Everything that `import` reads, and nothing it would not understand, so
//! that importing an export changes nothing. One document for each project.

mod deployments;
mod flags;

pub(super) use flags::{flag_text, flag_value, segment_text, segment_value};

use std::collections::BTreeMap;

use serde_json::Value as Json;
use serde_yaml_ng::{Mapping, Value};

use super::{
    StoreError,
    called::is_blank,
    import::item_kind,
    project_file::{ENTRY, FORMAT, FORMAT_MEMBER},
    workspace::{AuthoredVersion, Channel, Environment, Flow, Project, WebhookSettings, Workspace},
};
use crate::clock::UnixMs;
use crate::snapshot::wire::{BlockPart, EntryCondition, FieldKind, FieldPart, PathPart};

/// Writes the workspace, or what one environment sees of it.
pub(super) fn export(
    workspace: &Workspace,
    environment: Option<&Environment>,
) -> Result<String, StoreError> {
    let mut documents = Vec::new();
    // Channels belong to no project; the first one brings them.
    let mut channels: Vec<Value> = workspace.channels.values().map(write_channel).collect();
    let is_seen = |project: &&Project| environment.is_none_or(|own| project.is_active_in(&own.uid));
    for project in workspace.projects.values().filter(is_seen) {
        let flows = workspace.flows.values();
        let flows = flows
            .filter(|flow| flow.project == project.sid)
            .map(|flow| write_flow(workspace, environment, flow))
            .collect::<Result<Vec<_>, _>>()?;
        let mut table = Table::default();
        table.text(FORMAT_MEMBER, FORMAT);
        table.text("project", &project.sid);
        table.text("name", &project.name);
        // What one environment sees says nothing of the others.
        if let Some(uids) = project
            .environments
            .as_ref()
            .filter(|_| environment.is_none())
        {
            let listed = workspace.environments.iter();
            let listed = listed.filter(|own| uids.contains(&own.uid));
            table.list(
                "environments",
                listed.map(|own| own.name.as_str().into()).collect(),
            );
        }
        table.list("channels", std::mem::take(&mut channels));
        table.list("segments", flags::segments(workspace, &project.sid)?);
        table.list("flags", flags::flags(workspace, environment, &project.sid)?);
        table.list("flows", flows);
        let text = serde_yaml_ng::to_string(&table.0)
            .map_err(|error| StoreError::Export(error.to_string()))?;
        documents.push(text);
    }
    Ok(documents.join("---\n"))
}

/// One version, as it stands under `draft` or in the list of versions.
pub(super) fn version(version: &AuthoredVersion) -> Result<String, StoreError> {
    let Value::Mapping(table) = version_table(version)? else {
        return Ok(String::new());
    };
    serde_yaml_ng::to_string(&table).map_err(|error| StoreError::Export(error.to_string()))
}

/// The same as values, without what says where it comes from.
pub(super) fn version_value(version: &AuthoredVersion) -> Result<Json, StoreError> {
    let mut table = Table::default();
    write_version(&mut table, version)?;
    serde_json::to_value(table.0).map_err(|error| StoreError::Export(error.to_string()))
}

fn version_table(version: &AuthoredVersion) -> Result<Value, StoreError> {
    if version.part.number > 0 {
        return write_committed(version);
    }
    let mut table = Table::default();
    write_version(&mut table, version)?;
    Ok(table.done())
}

fn write_channel(channel: &Channel) -> Value {
    let mut table = Table::default();
    table.text("name", &channel.name);
    if channel.exclusive {
        table.put("exclusive", true);
    }
    let attributes = channel.attributes.iter().map(|name| name.as_str().into());
    table.list("attributes", attributes.collect());
    table.done()
}

/// A table being written, in the order people read it.
#[derive(Default)]
struct Table(Mapping);

impl Table {
    fn put(&mut self, member: &str, value: impl Into<Value>) {
        self.0
            .insert(Value::String(member.to_owned()), value.into());
    }

    fn text(&mut self, member: &str, text: &str) {
        self.put(member, text);
    }

    /// Left out when empty.
    fn list(&mut self, member: &str, items: Vec<Value>) {
        if !items.is_empty() {
            self.put(member, Value::Sequence(items));
        }
    }

    fn done(self) -> Value {
        Value::Mapping(self.0)
    }
}

fn write_flow(
    workspace: &Workspace,
    environment: Option<&Environment>,
    flow: &Flow,
) -> Result<Value, StoreError> {
    let mut table = Table::default();
    table.text("sid", &flow.sid);
    table.text("name", &flow.name);
    table.text("uid", &flow.uid);
    if flow.refuse_public_force {
        table.put("refusePublicForce", true);
    }
    if flow.deployments_only {
        table.put("deploymentsOnly", true);
    }
    let mut status = Table::default();
    for own in &workspace.environments {
        if environment.is_none_or(|wanted| wanted.uid == own.uid) {
            let word = if flow.enabled_in(&own.uid) {
                "enabled"
            } else {
                "disabled"
            };
            status.text(&own.name, word);
        }
    }
    table.put("status", status.done());
    let deployments = deployments::written(workspace, environment, flow)?;
    table.list("deployments", deployments);
    let committed = flow.versions.iter().filter(|(number, _)| **number > 0);
    // Of one environment, what that one sees.
    let seen = |(number, version): (&u32, _)| {
        let own = environment.and_then(|own| flow.version_in(*number, &own.uid));
        write_committed(own.unwrap_or(version))
    };
    let committed = committed.map(seen).collect::<Result<Vec<_>, _>>()?;
    table.list("versions", committed);
    if environment.is_none() {
        table.list("contents", contents(workspace, flow)?);
    }
    let sees_drafts = environment.is_none_or(|wanted| wanted.drafts);
    if let Some(draft) = flow.versions.get(&0).filter(|_| sees_drafts) {
        table.put("draft", version_table(draft)?);
    }
    Ok(table.done())
}

/// What environments have of their own, without the history, which is the version's.
fn contents(workspace: &Workspace, flow: &Flow) -> Result<Vec<Value>, StoreError> {
    let own = flow.content.iter().map(|((number, uid), version)| {
        let environment = workspace.environment_by_uid(uid);
        let mut table = Table::default();
        table.text("environment", environment.map_or(uid, |own| &own.name));
        table.put("number", *number);
        write_version(&mut table, version)?;
        Ok(table.done())
    });
    own.collect()
}

fn write_committed(version: &AuthoredVersion) -> Result<Value, StoreError> {
    let mut table = Table::default();
    table.put("number", version.part.number);
    // Left out by whoever committed it, and no message is empty.
    for (member, said) in [("message", &version.message), ("author", &version.author)] {
        if !is_blank(said) {
            table.text(member, said);
        }
    }
    let created = time(version.created_ms)?;
    table.text("created", &created);
    write_version(&mut table, version)?;
    Ok(table.done())
}

fn write_version(table: &mut Table, version: &AuthoredVersion) -> Result<(), StoreError> {
    let part = &version.part;
    if let Some(migration) = part.migration {
        table.put("migration", yaml(&migration)?);
    }
    match &part.entry {
        EntryCondition::Everyone => table.text("entry", "everyone"),
        EntryCondition::ApiOnly => table.text("entry", "api-only"),
        EntryCondition::Expression(text) => {
            let mut entry = Table::default();
            entry.text("expression", text);
            table.put("entry", entry.done());
        }
    }
    let sids: BTreeMap<&str, &str> = part
        .blocks
        .iter()
        .map(|block| (block.uid.as_str(), block.sid.as_str()))
        .collect();
    table.list("blocks", write_blocks(version, &sids)?);
    let paths = part.paths.iter().map(|path| write_path(path, &sids));
    table.list("paths", paths.collect());
    Ok(())
}

/// Items stand under their container when they follow it directly, which keeps the
/// order; elsewhere they name it.
fn write_blocks(
    version: &AuthoredVersion,
    sids: &BTreeMap<&str, &str>,
) -> Result<Vec<Value>, StoreError> {
    let mut written = Vec::with_capacity(version.part.blocks.len());
    let mut rest = version.part.blocks.as_slice();
    while let Some((block, after)) = rest.split_first() {
        rest = after;
        let mut table = write_block(block, true, version.webhooks.get(&block.uid))?;
        if let Some(container) = &block.container {
            table.text("container", sid(sids, container));
        }
        if let Some(kind) = item_kind(block.kind) {
            let count = rest
                .iter()
                .take_while(|item| item.kind == kind && item.container.as_ref() == Some(&block.uid))
                .count();
            let (own, others) = rest.split_at(count);
            let items = own
                .iter()
                .map(|item| Ok(write_block(item, false, None)?.done()))
                .collect::<Result<Vec<_>, StoreError>>()?;
            table.list("items", items);
            rest = others;
        }
        written.push(table.done());
    }
    Ok(written)
}

fn write_block(
    block: &BlockPart,
    with_kind: bool,
    webhook: Option<&WebhookSettings>,
) -> Result<Table, StoreError> {
    let mut table = Table::default();
    table.text("sid", &block.sid);
    if with_kind {
        table.put("type", yaml(&block.kind)?);
    }
    table.text("uid", &block.uid);
    if let Some(expression) = &block.expression {
        table.text("when", expression);
    }
    if let Some(trigger) = &block.trigger {
        table.text("flow", &trigger.flow_sid);
        if let Some(version) = trigger.version {
            table.put("version", version);
        }
        table.put("action", yaml(&trigger.action)?);
    }
    if let Some(webhook) = webhook {
        table.text("url", &webhook.url);
        let mut headers = Table::default();
        for (name, value) in &webhook.headers {
            headers.text(name, value);
        }
        if !headers.0.is_empty() {
            table.put("headers", headers.done());
        }
        if let Some(body) = &webhook.body {
            table.put("body", yaml(body)?);
        }
    }
    let transitions = block.transitions.iter().map(|name| name.as_str().into());
    table.list("transitions", transitions.collect());
    let mut fields = Table::default();
    for field in &block.fields {
        fields.put(&field.sid, write_field(field)?);
    }
    if !fields.0.is_empty() {
        table.put("fields", fields.done());
    }
    Ok(table)
}

/// Plain where the type can be seen, else spelled out.
fn write_field(field: &FieldPart) -> Result<Value, StoreError> {
    let is_plain = matches!(
        (&field.value, field.kind),
        (Json::String(_), FieldKind::String)
            | (Json::Number(_), FieldKind::Number)
            | (Json::Bool(_), FieldKind::Boolean)
    );
    if is_plain {
        return yaml(&field.value);
    }
    let mut table = Table::default();
    table.put("type", yaml(&field.kind)?);
    table.put("value", yaml(&field.value)?);
    Ok(table.done())
}

fn write_path(path: &PathPart, sids: &BTreeMap<&str, &str>) -> Value {
    let mut table = Table::default();
    let from = path.from.as_ref().map_or(ENTRY, |uid| sid(sids, uid));
    table.text("from", from);
    match path.on.as_slice() {
        [] => {}
        [name] => table.text("on", name),
        names => {
            let names = names.iter().map(|name| name.as_str().into());
            table.list("on", names.collect());
        }
    }
    table.text("to", sid(sids, &path.to));
    table.text("uid", &path.uid);
    table.done()
}

/// A version that compiled names its own blocks only; an unknown uid would
/// show here rather than vanish.
fn sid<'a>(sids: &BTreeMap<&str, &'a str>, uid: &'a str) -> &'a str {
    sids.get(uid).copied().unwrap_or(uid)
}

fn time(ms: UnixMs) -> Result<String, StoreError> {
    let time = i64::try_from(ms)
        .ok()
        .and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    let time = time.ok_or_else(|| StoreError::Export(format!("the time {ms} ms")))?;
    Ok(time.to_string())
}

fn yaml(value: &impl serde::Serialize) -> Result<Value, StoreError> {
    serde_yaml_ng::to_value(value).map_err(|error| StoreError::Export(error.to_string()))
}
