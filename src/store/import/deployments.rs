//! What does a file say of channels and deployments?
//!
//! Form only: members, types, numbers. Percentages have at most two decimals,
//! because decisions count in hundredths of a percent.

use super::{Faults, table::Table};
use crate::{
    snapshot::{
        compile::channel_fault,
        wire::{
            AlternativePart, OnVersionChange, Remember, RolloutId, RulePart, ScheduledPart,
            VersionPolicy,
        },
    },
    store::{deploying::BASIS_POINTS, project_file::Node, workspace::Channel},
};

/// One deployment of a file.
pub(super) struct DeploymentFile {
    pub(super) name: String,
    pub(super) uid: Option<String>,
    /// By name.
    pub(super) environment: String,
    pub(super) channel: String,
    pub(super) policy: VersionPolicy,
    /// None: as it is, or active.
    pub(super) active: Option<bool>,
    pub(super) alternatives: Vec<AlternativePart>,
    /// None: as it is, or all of them.
    pub(super) basis_points: Option<u16>,
    pub(super) schedule: Vec<ScheduledPart>,
    /// None: as it is, or a new one.
    pub(super) salt: Option<String>,
    pub(super) id: RolloutId,
    pub(super) remember: Remember,
    pub(super) on_version_change: Option<OnVersionChange>,
}

impl DeploymentFile {
    /// Where faults of it are.
    pub(super) fn position(&self, flow: &str) -> String {
        position(flow, &self.name)
    }
}

fn position(flow: &str, name: &str) -> String {
    format!("flow {flow:?}, deployment {name:?}")
}

/// Reads a channel.
pub(super) fn channel(
    file: &str,
    ordinal: usize,
    node: Node,
    faults: &mut Faults,
) -> Option<Channel> {
    let mut table = Table::of(file, format!("channel {ordinal}"), node, faults)?;
    let name = channel_name(&mut table, "name");
    if let Some(name) = &name {
        table.position = format!("channel {name:?}");
    }
    let exclusive = table.bool("exclusive").unwrap_or_default();
    let mut attributes = Vec::new();
    for node in table.list("attributes") {
        match node {
            Node::Text(attribute) if attributes.contains(&attribute) => {
                table.fault(format!("attribute {attribute:?} appears twice"));
            }
            Node::Text(attribute) => attributes.push(attribute),
            other => table.fault_of("attributes", &other, "names"),
        }
    }
    table.finish();
    Some(Channel {
        name: name?,
        exclusive,
        attributes,
    })
}

fn channel_name(table: &mut Table<'_>, member: &str) -> Option<String> {
    if !table.has(member) {
        table.fault(format!("{member} is missing"));
        return None;
    }
    let name = table.text(member)?;
    if let Some(fault) = channel_fault(&name) {
        table.fault(format!("{member}: {fault}"));
        return None;
    }
    Some(name)
}

/// Reads a deployment of a flow.
pub(super) fn deployment(
    file: &str,
    flow: &str,
    ordinal: usize,
    node: Node,
    faults: &mut Faults,
) -> Option<DeploymentFile> {
    let place = format!("flow {flow:?}, deployment {ordinal}");
    let mut table = Table::of(file, place, node, faults)?;
    let name = required(&mut table, "name");
    if let Some(name) = &name {
        table.position = position(flow, name);
    }
    let uid = table.sid("uid");
    let environment = required(&mut table, "environment");
    let channel = channel_name(&mut table, "channel");
    let version = table.version("version");
    let active = table.bool("active");
    let basis_points = basis_points(&mut table);
    let salt = table.text("salt");
    let id = id(&mut table);
    let remember = table.word("remember", "conversation, user or nothing");
    let on_version_change = table.word("onVersionChange", "stay or migrate");
    let audience = table.list("audience");
    let schedule = table.list("schedule");
    let position = table.position.clone();
    table.finish();
    let audience = (1..).zip(audience);
    let alternatives = audience
        .filter_map(|(ordinal, node)| alternative(file, &position, ordinal, node, faults))
        .collect();
    let schedule = (1..).zip(schedule);
    let schedule = schedule
        .filter_map(|(ordinal, node)| scheduled(file, &position, ordinal, node, faults))
        .collect();
    Some(DeploymentFile {
        name: name?,
        uid,
        environment: environment?,
        channel: channel?,
        policy: version?.map_or(VersionPolicy::Latest, VersionPolicy::Pinned),
        active,
        alternatives,
        basis_points,
        schedule,
        salt,
        id,
        remember: remember.unwrap_or_default(),
        on_version_change,
    })
}

fn required(table: &mut Table<'_>, member: &str) -> Option<String> {
    if !table.has(member) {
        table.fault(format!("{member} is missing"));
    }
    table.text(member)
}

/// `percentage` or `basisPoints`.
fn basis_points(table: &mut Table<'_>) -> Option<u16> {
    if table.has("percentage") && table.has("basisPoints") {
        table.fault("percentage and basisPoints say the same (expected one of the two)");
    }
    let percentage = table.take("percentage").map(|found| {
        let points = match &found {
            Node::Number(number) => number.as_f64().and_then(hundredths),
            _ => None,
        };
        (
            points,
            "percentage",
            found,
            "0 to 100 with at most two decimals",
        )
    });
    let points = table.take("basisPoints").map(|found| {
        let points = match &found {
            Node::Number(number) => number
                .as_u64()
                .and_then(|points| u16::try_from(points).ok()),
            _ => None,
        };
        let points = points.filter(|points| *points <= BASIS_POINTS);
        (
            points,
            "basisPoints",
            found,
            "a whole number from 0 to 10000",
        )
    });
    let (points, member, found, expected) = percentage.or(points)?;
    if points.is_none() {
        let found = found.into_value();
        table.fault(format!("{member} is {found} (expected {expected})"));
    }
    points
}

/// Of a percentage with at most two decimals.
fn hundredths(percentage: f64) -> Option<u16> {
    let points = (percentage * 100.0).round();
    // Two decimals times a hundred are off by the last bits of a float at most.
    let exact = (percentage * 100.0 - points).abs() < 1e-9;
    // In that range the conversion is exact.
    (exact && (0.0..=f64::from(BASIS_POINTS)).contains(&points)).then_some(points as u16)
}

fn id(table: &mut Table<'_>) -> RolloutId {
    const EXPECTED: &str = "user, group or {attribute: NAME}";
    match table.take("id") {
        None => RolloutId::User,
        Some(Node::Text(word)) if word == "user" => RolloutId::User,
        Some(Node::Text(word)) if word == "group" => RolloutId::Group,
        Some(Node::Table(members)) => match members.as_slice() {
            [(name, Node::Text(attribute))] if name == "attribute" => {
                RolloutId::Attribute(attribute.clone())
            }
            _ => {
                table.fault(format!("id holds something else (expected {EXPECTED})"));
                RolloutId::User
            }
        },
        Some(other) => {
            let found = other.into_value();
            table.fault(format!("id is {found} (expected {EXPECTED})"));
            RolloutId::User
        }
    }
}

fn alternative(
    file: &str,
    deployment: &str,
    ordinal: usize,
    node: Node,
    faults: &mut Faults,
) -> Option<AlternativePart> {
    let position = format!("{deployment}, alternative {ordinal}");
    let mut table = Table::of(file, position.clone(), node, faults)?;
    let name = table.text("name");
    let nodes = table.list("rules");
    table.finish();
    let rules = (1..).zip(nodes);
    Some(AlternativePart {
        name,
        rules: rules
            .filter_map(|(ordinal, node)| {
                let position = format!("{position}, rule {ordinal}");
                rule(file, position, node, faults)
            })
            .collect(),
    })
}

fn rule(file: &str, position: String, node: Node, faults: &mut Faults) -> Option<RulePart> {
    let mut table = Table::of(file, position, node, faults)?;
    let attribute = required(&mut table, "attribute");
    if !table.has("operator") {
        table.fault("operator is missing");
    }
    let operator = table.word(
        "operator",
        "equals, not_equals, contains, starts_with, ends_with, greater_than, less_than, is_empty \
         or is_not_empty",
    );
    let value = table.take("value").map(Node::into_value);
    let ignore_case = table.bool("ignoreCase").unwrap_or_default();
    table.finish();
    Some(RulePart {
        attribute: attribute?,
        operator: operator?,
        value: value.unwrap_or_default(),
        ignore_case,
    })
}

fn scheduled(
    file: &str,
    deployment: &str,
    ordinal: usize,
    node: Node,
    faults: &mut Faults,
) -> Option<ScheduledPart> {
    let position = format!("{deployment}, schedule entry {ordinal}");
    let mut table = Table::of(file, position, node, faults)?;
    if !table.has("at") {
        table.fault("at is missing");
    }
    let at_ms = table.time("at");
    let had_points = table.has("percentage") || table.has("basisPoints");
    let basis_points = basis_points(&mut table);
    if !had_points {
        table.fault("percentage is missing");
    }
    table.finish();
    Some(ScheduledPart {
        at_ms: at_ms?,
        basis_points: basis_points?,
    })
}
