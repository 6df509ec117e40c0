//! How is a deployment written into a project file?
//!
//! Every member that is not what leaving it out would mean. Salt and uid are
//! always written: who was let in must not change with the store.

use serde_yaml_ng::Value;

use super::{Table, time, yaml};
use crate::{
    snapshot::wire::{AlternativePart, Remember, RolloutId, RolloutPart, RulePart, VersionPolicy},
    store::{
        StoreError,
        workspace::{Deployment, Environment, Flow, Workspace},
    },
};

/// The deployments of a flow, of all environments or of one: environment by
/// environment, each by name.
pub(super) fn written(
    workspace: &Workspace,
    environment: Option<&Environment>,
    flow: &Flow,
) -> Result<Vec<Value>, StoreError> {
    let mut written = Vec::new();
    for own in &workspace.environments {
        if environment.is_some_and(|wanted| wanted.uid != own.uid) {
            continue;
        }
        let deployments = workspace.deployments_in(&own.uid);
        let mut deployments: Vec<&Deployment> = deployments
            .filter(|deployment| deployment.flow_uid == flow.uid)
            .collect();
        deployments.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        for deployment in deployments {
            written.push(write(deployment, &own.name)?);
        }
    }
    Ok(written)
}

fn write(deployment: &Deployment, environment: &str) -> Result<Value, StoreError> {
    let mut table = Table::default();
    table.text("name", &deployment.name);
    table.text("uid", &deployment.uid);
    table.text("environment", environment);
    table.text("channel", &deployment.channel);
    match deployment.policy {
        VersionPolicy::Latest => table.text("version", "latest"),
        VersionPolicy::Pinned(number) => table.put("version", number),
    }
    table.put("active", deployment.active);
    if let Some(change) = deployment.on_version_change {
        table.put("onVersionChange", yaml(&change)?);
    }
    write_rollout(&mut table, &deployment.rollout)?;
    Ok(table.done())
}

fn write_rollout(table: &mut Table, rollout: &RolloutPart) -> Result<(), StoreError> {
    let alternatives = rollout.alternatives.iter().map(write_alternative);
    table.list("audience", alternatives.collect::<Result<Vec<_>, _>>()?);
    table.put("percentage", percentage(rollout.basis_points));
    let mut schedule = Vec::with_capacity(rollout.schedule.len());
    for entry in &rollout.schedule {
        let mut own = Table::default();
        own.text("at", &time(entry.at_ms)?);
        own.put("percentage", percentage(entry.basis_points));
        schedule.push(own.done());
    }
    table.list("schedule", schedule);
    table.text("salt", &rollout.salt);
    match &rollout.id {
        RolloutId::User => {}
        RolloutId::Group => table.text("id", "group"),
        RolloutId::Attribute(name) => {
            let mut id = Table::default();
            id.text("attribute", name);
            table.put("id", id.done());
        }
    }
    if rollout.remember != Remember::default() {
        table.put("remember", yaml(&rollout.remember)?);
    }
    Ok(())
}

/// Whole where it can be; else a fraction that reads back as the same.
fn percentage(basis_points: u16) -> Value {
    if basis_points.is_multiple_of(100) {
        return (basis_points / 100).into();
    }
    (f64::from(basis_points) / 100.0).into()
}

fn write_alternative(alternative: &AlternativePart) -> Result<Value, StoreError> {
    let mut table = Table::default();
    if let Some(name) = &alternative.name {
        table.text("name", name);
    }
    let rules = alternative.rules.iter().map(write_rule);
    table.list("rules", rules.collect::<Result<Vec<_>, _>>()?);
    Ok(table.done())
}

fn write_rule(rule: &RulePart) -> Result<Value, StoreError> {
    let mut table = Table::default();
    table.text("attribute", &rule.attribute);
    table.put("operator", yaml(&rule.operator)?);
    if !rule.value.is_null() {
        table.put("value", yaml(&rule.value)?);
    }
    if rule.ignore_case {
        table.put("ignoreCase", true);
    }
    Ok(table.done())
}
