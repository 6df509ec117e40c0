//! What does a file say in the pieces that flags are made of?
//!
//! Constraints, variants and parameters, in the members of Unleash. Numbers
//! and booleans are taken as the texts they are written as, where Unleash has
//! texts.

use super::super::{Faults, table::Table};
use crate::store::{
    flags::{FlagConstraint, FlagDependency, FlagOverride, FlagPayload, FlagVariant, check},
    project_file::Node,
};

/// A plain value as text.
fn spelled(node: Node) -> Result<String, Node> {
    match node {
        Node::Text(text) => Ok(text),
        Node::Number(number) => Ok(number.to_string()),
        Node::Bool(value) => Ok(value.to_string()),
        other @ (Node::Null | Node::List(_) | Node::Table(_)) => Err(other),
    }
}

/// A member that is a text or reads as one.
fn text(table: &mut Table<'_>, member: &str) -> Option<String> {
    match spelled(table.take(member)?) {
        Ok(text) => Some(text),
        Err(other) => {
            table.fault_of(member, &other, "text");
            None
        }
    }
}

/// A member that is a list of them.
fn texts(table: &mut Table<'_>, member: &str) -> Vec<String> {
    let mut found = Vec::new();
    for node in table.list(member) {
        match spelled(node) {
            Ok(text) => found.push(text),
            Err(other) => table.fault_of(member, &other, "a list of texts"),
        }
    }
    found
}

/// A text that has to be there.
pub(super) fn required(table: &mut Table<'_>, member: &str) -> Option<String> {
    if !table.has(member) {
        table.fault(format!("{member} is missing"));
        return None;
    }
    text(table, member)
}

/// Parameters of a strategy.
pub(super) fn parameters(table: &mut Table<'_>) -> Vec<(String, String)> {
    let members = match table.take("parameters") {
        None => return Vec::new(),
        Some(Node::Table(members)) => members,
        Some(other) => {
            table.fault_of("parameters", &other, "a table of texts");
            return Vec::new();
        }
    };
    let mut found = Vec::with_capacity(members.len());
    for (name, node) in members {
        match spelled(node) {
            Ok(text) => found.push((name, text)),
            Err(Node::Null) => {}
            Err(other) => table.fault_of(&format!("parameter {name:?}"), &other, "text"),
        }
    }
    found
}

/// Constraints in a row, checked one by one.
pub(super) fn constraints(
    file: &str,
    place: &str,
    nodes: Vec<Node>,
    faults: &mut Faults,
) -> Vec<FlagConstraint> {
    let nodes = (1..).zip(nodes);
    nodes
        .filter_map(|(ordinal, node)| {
            let position = format!("{place}, constraint {ordinal}");
            let own = constraint(file, position.clone(), node, faults)?;
            for rule in check::constraint(&own) {
                faults.add(file, &position, rule);
            }
            Some(own)
        })
        .collect()
}

fn constraint(
    file: &str,
    position: String,
    node: Node,
    faults: &mut Faults,
) -> Option<FlagConstraint> {
    let mut table = Table::of(file, position, node, faults)?;
    let context_name = required(&mut table, "contextName");
    let operator = required(&mut table, "operator");
    let own = FlagConstraint {
        value: text(&mut table, "value"),
        values: texts(&mut table, "values"),
        inverted: table.bool("inverted").unwrap_or_default(),
        case_insensitive: table.bool("caseInsensitive").unwrap_or_default(),
        ..FlagConstraint::default()
    };
    table.finish();
    Some(FlagConstraint {
        context_name: context_name?,
        operator: operator?,
        ..own
    })
}

/// Variants that stand together.
pub(super) fn variants(
    file: &str,
    place: &str,
    nodes: Vec<Node>,
    faults: &mut Faults,
) -> Vec<FlagVariant> {
    let nodes = (1..).zip(nodes);
    let read: Vec<FlagVariant> = nodes
        .filter_map(|(ordinal, node)| {
            variant(file, format!("{place}, variant {ordinal}"), node, faults)
        })
        .collect();
    for rule in check::variants(&read) {
        faults.add(file, place, rule);
    }
    read
}

fn variant(file: &str, position: String, node: Node, faults: &mut Faults) -> Option<FlagVariant> {
    let mut table = Table::of(file, position.clone(), node, faults)?;
    let name = required(&mut table, "name");
    if !table.has("weight") {
        table.fault("weight is missing (expected thousandths, such as 500)");
    }
    let weight = match table.take("weight") {
        Some(Node::Number(number)) => number.as_u64().and_then(|own| u32::try_from(own).ok()),
        _ => None,
    };
    if weight.is_none() {
        table.fault("weight is no whole number (expected thousandths, such as 500)");
    }
    let weight_type = table.word("weightType", "fix or variable");
    let stickiness = text(&mut table, "stickiness");
    let payload = table.take("payload");
    let overrides = table.list("overrides");
    table.finish();
    let payload = payload.and_then(|node| {
        let mut table = Table::of(file, format!("{position}, payload"), node, faults)?;
        let (kind, value) = (required(&mut table, "type"), required(&mut table, "value"));
        table.finish();
        Some(FlagPayload {
            kind: kind?,
            value: value?,
        })
    });
    let overrides = (1..).zip(overrides).filter_map(|(ordinal, node)| {
        let position = format!("{position}, override {ordinal}");
        let mut table = Table::of(file, position, node, faults)?;
        let context_name = required(&mut table, "contextName");
        let values = texts(&mut table, "values");
        table.finish();
        Some(FlagOverride {
            context_name: context_name?,
            values,
        })
    });
    let overrides = overrides.collect();
    Some(FlagVariant {
        name: name?,
        weight: weight?,
        weight_type: weight_type.unwrap_or_default(),
        stickiness,
        payload,
        overrides,
    })
}

/// What a flag depends on: names, or tables that say more.
pub(super) fn dependencies(
    file: &str,
    place: &str,
    nodes: Vec<Node>,
    faults: &mut Faults,
) -> Vec<FlagDependency> {
    let nodes = (1..).zip(nodes);
    let found = nodes.filter_map(|(ordinal, node)| {
        if let Node::Text(feature) = node {
            return Some(FlagDependency {
                feature,
                enabled: true,
                variants: Vec::new(),
            });
        }
        let position = format!("{place}, dependency {ordinal}");
        let mut table = Table::of(file, position, node, faults)?;
        let feature = required(&mut table, "feature");
        let enabled = table.bool("enabled").unwrap_or(true);
        let variants = texts(&mut table, "variants");
        table.finish();
        Some(FlagDependency {
            feature: feature?,
            enabled,
            variants,
        })
    });
    found.collect()
}
