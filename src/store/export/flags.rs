//! How are flags and segments written into a project file?
//!
//! Every member that is not what leaving it out of a new one would mean.
//! Strategies name segments by their names, which read better and mean the
//! same, since names are unique.

use serde_json::Value as Json;
use serde_yaml_ng::Value;

use super::{Table, time, yaml};
use crate::store::{
    StoreError,
    flags::{
        Flag, FlagConstraint, FlagDependency, FlagKind, FlagSettings, FlagStrategy, FlagVariant,
        Segment, WeightType,
    },
    workspace::{Environment, Workspace},
};

/// The segments of a project.
pub(super) fn segments(workspace: &Workspace, project: &str) -> Result<Vec<Value>, StoreError> {
    let segments = workspace.segments.values();
    let own = segments.filter(|own| own.project == project);
    own.map(|own| segment(own)).collect()
}

/// The flags of a project, of all environments or of one.
pub(super) fn flags(
    workspace: &Workspace,
    environment: Option<&Environment>,
    project: &str,
) -> Result<Vec<Value>, StoreError> {
    let flags = workspace.flags.values();
    let own = flags.filter(|own| own.project == project);
    own.map(|own| flag(workspace, environment, own)).collect()
}

/// One flag as YAML.
pub(in crate::store) fn flag_text(workspace: &Workspace, own: &Flag) -> Result<String, StoreError> {
    text(&flag(workspace, None, own)?)
}

/// The same as JSON.
pub(in crate::store) fn flag_value(workspace: &Workspace, own: &Flag) -> Result<Json, StoreError> {
    json(&flag(workspace, None, own)?)
}

/// One segment as JSON.
pub(in crate::store) fn segment_value(own: &Segment) -> Result<Json, StoreError> {
    json(&segment(own)?)
}

/// One segment as YAML.
pub(in crate::store) fn segment_text(own: &Segment) -> Result<String, StoreError> {
    text(&segment(own)?)
}

fn json(value: &Value) -> Result<Json, StoreError> {
    serde_json::to_value(value).map_err(|error| StoreError::Export(error.to_string()))
}

fn text(value: &Value) -> Result<String, StoreError> {
    serde_yaml_ng::to_string(value).map_err(|error| StoreError::Export(error.to_string()))
}

fn segment(own: &Segment) -> Result<Value, StoreError> {
    let mut table = Table::default();
    table.text("name", &own.name);
    table.put("id", own.id);
    if !own.description.is_empty() {
        table.text("description", &own.description);
    }
    // Also when there are none: a new one must say so.
    let constraints = own.constraints.iter().map(constraint);
    table.put("constraints", Value::Sequence(constraints.collect()));
    Ok(table.done())
}

fn flag(
    workspace: &Workspace,
    environment: Option<&Environment>,
    own: &Flag,
) -> Result<Value, StoreError> {
    let mut table = Table::default();
    table.text("name", &own.name);
    if own.kind != FlagKind::Release {
        table.put("type", yaml(&own.kind)?);
    }
    if !own.description.is_empty() {
        table.text("description", &own.description);
    }
    table.text("created", &time(own.created_ms)?);
    for (member, given) in [
        ("stale", own.stale),
        ("impressionData", own.impression_data),
    ] {
        if given {
            table.put(member, true);
        }
    }
    if let Some(completed) = own.completed {
        table.put("completed", yaml(&completed)?);
    }
    if let Some(archived_ms) = own.archived_ms {
        table.text("archived", &time(archived_ms)?);
    }
    table.list("variants", variants(&own.variants)?);
    let parents = own.dependencies.iter().map(dependency);
    table.list("dependencies", parents.collect());
    let mut environments = Table::default();
    for known in &workspace.environments {
        let wanted = environment.is_none_or(|wanted| wanted.uid == known.uid);
        if let Some(settings) = own.environments.get(&known.uid).filter(|_| wanted) {
            environments.put(&known.name, write_settings(workspace, settings)?);
        }
    }
    if !environments.0.is_empty() {
        table.put("environments", environments.done());
    }
    Ok(table.done())
}

fn write_settings(workspace: &Workspace, own: &FlagSettings) -> Result<Value, StoreError> {
    let mut table = Table::default();
    table.put("enabled", own.enabled);
    if let Some(enabled_ms) = own.enabled_ms {
        table.text("firstEnabled", &time(enabled_ms)?);
    }
    table.list("strategies", strategies(workspace, &own.strategies)?);
    table.list("variants", variants(&own.variants)?);
    Ok(table.done())
}

fn strategies(workspace: &Workspace, list: &[FlagStrategy]) -> Result<Vec<Value>, StoreError> {
    list.iter().map(|own| strategy(workspace, own)).collect()
}

fn strategy(workspace: &Workspace, own: &FlagStrategy) -> Result<Value, StoreError> {
    let mut table = Table::default();
    table.text("name", &own.name);
    if let Some(title) = &own.title {
        table.text("title", title);
    }
    if own.disabled {
        table.put("disabled", true);
    }
    let mut parameters = Table::default();
    for (name, value) in &own.parameters {
        parameters.text(name, value);
    }
    if !parameters.0.is_empty() {
        table.put("parameters", parameters.done());
    }
    table.list(
        "constraints",
        own.constraints.iter().map(constraint).collect(),
    );
    let segments = own
        .segments
        .iter()
        .map(|id| match workspace.segments.get(id) {
            Some(segment) => segment.name.as_str().into(),
            None => Value::from(*id),
        });
    table.list("segments", segments.collect());
    table.list("variants", variants(&own.variants)?);
    Ok(table.done())
}

fn constraint(own: &FlagConstraint) -> Value {
    let mut table = Table::default();
    table.text("contextName", &own.context_name);
    table.text("operator", &own.operator);
    if let Some(value) = &own.value {
        table.text("value", value);
    }
    let values = own.values.iter().map(|value| value.as_str().into());
    table.list("values", values.collect());
    for (member, given) in [
        ("inverted", own.inverted),
        ("caseInsensitive", own.case_insensitive),
    ] {
        if given {
            table.put(member, true);
        }
    }
    table.done()
}

fn variants(list: &[FlagVariant]) -> Result<Vec<Value>, StoreError> {
    list.iter().map(variant).collect()
}

fn variant(own: &FlagVariant) -> Result<Value, StoreError> {
    let mut table = Table::default();
    table.text("name", &own.name);
    table.put("weight", own.weight);
    if own.weight_type != WeightType::default() {
        table.put("weightType", yaml(&own.weight_type)?);
    }
    if let Some(stickiness) = &own.stickiness {
        table.text("stickiness", stickiness);
    }
    if let Some(payload) = &own.payload {
        table.put("payload", yaml(payload)?);
    }
    let overrides = own.overrides.iter().map(yaml);
    table.list("overrides", overrides.collect::<Result<_, _>>()?);
    Ok(table.done())
}

fn dependency(own: &FlagDependency) -> Value {
    if own.enabled && own.variants.is_empty() {
        return own.feature.as_str().into();
    }
    let mut table = Table::default();
    table.text("feature", &own.feature);
    if !own.enabled {
        table.put("enabled", false);
    }
    let variants = own.variants.iter().map(|name| name.as_str().into());
    table.list("variants", variants.collect());
    table.done()
}
