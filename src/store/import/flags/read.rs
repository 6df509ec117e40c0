//! What does a file say of a flag or a segment?
//!
//! Form, and what can be judged of each piece alone. Whether segments and other
//! flags are there is a matter of the whole.

use super::{
    super::{Faults, table::Table},
    pieces::{constraints, dependencies, parameters, required, variants},
};
use crate::{
    clock::UnixMs,
    limits::{
        CONSTRAINTS_AUTHORED_MAX, CONSTRAINTS_PER_STRATEGY_MAX, DEPENDENCIES_PER_FLAG_MAX,
        FLAG_TEXT_BYTES_MAX, SEGMENT_VALUES_AUTHORED_MAX, SEGMENTS_PER_STRATEGY_MAX,
        STRATEGIES_AUTHORED_MAX,
    },
    store::{
        flags::{
            Completion, FlagConstraint, FlagDependency, FlagKind, FlagStrategy, FlagVariant,
            check::{self, Said, within},
        },
        project_file::Node,
    },
};

/// One flag of a file; what is none stays as it is.
pub(in crate::store::import) struct FlagFile {
    pub(super) name: String,
    pub(super) kind: Option<FlagKind>,
    pub(super) description: Option<String>,
    pub(super) stale: Option<bool>,
    pub(super) impression_data: Option<bool>,
    pub(super) variants: Option<Vec<FlagVariant>>,
    pub(super) dependencies: Option<Vec<FlagDependency>>,
    pub(super) created_ms: Option<UnixMs>,
    /// None within: it has not ended.
    pub(super) completed: Option<Option<Completion>>,
    /// None within: it is not archived.
    pub(super) archived_ms: Option<Option<UnixMs>>,
    /// By name.
    pub(super) environments: Vec<(String, SettingsFile)>,
}

/// A flag in one environment; what is none stays as it is.
pub(super) struct SettingsFile {
    pub(super) enabled: Option<bool>,
    /// When it was switched on for the first time.
    pub(super) first_enabled_ms: Option<UnixMs>,
    /// Whether somebody says it of this flag alone, and not in a project file:
    /// what has been is then not theirs to tell.
    pub(super) is_by_hand: bool,
    pub(super) strategies: Option<Vec<StrategyFile>>,
    pub(super) variants: Option<Vec<FlagVariant>>,
}

/// A strategy whose segments are not known yet.
pub(super) struct StrategyFile {
    pub(super) strategy: FlagStrategy,
    pub(super) segments: Vec<SegmentNamed>,
}

/// How a strategy names a segment.
pub(super) enum SegmentNamed {
    Name(String),
    Id(i64),
}

/// One segment of a file; what is none stays as it is.
pub(in crate::store::import) struct SegmentFile {
    pub(super) name: String,
    pub(super) id: Option<i64>,
    pub(super) description: Option<String>,
    pub(super) constraints: Option<Vec<FlagConstraint>>,
    /// Whether its number says which one is meant, and its name what that is to
    /// be called. In a file nobody means that: every store counts from 1.
    pub(super) is_rename: bool,
}

/// Reads a flag.
pub(in crate::store::import) fn flag(
    file: &str,
    ordinal: usize,
    node: Node,
    faults: &mut Faults,
) -> Option<FlagFile> {
    let mut table = Table::of(file, format!("flag {ordinal}"), node, faults)?;
    let name = required(&mut table, "name");
    if let Some(name) = &name {
        table.position = format!("flag {name:?}");
        if let Some(rule) = check::name(name) {
            table.fault(rule);
        }
    }
    let place = table.position.clone();
    let kind = table.word(
        "type",
        "release, experiment, operational, kill-switch or permission",
    );
    let description = table.text("description");
    if let Some(rule) = description
        .as_ref()
        .and_then(|own| within("bytes of description", own.len(), FLAG_TEXT_BYTES_MAX))
    {
        table.fault(rule);
    }
    let stale = table.bool("stale");
    let impression_data = table.bool("impressionData");
    let created_ms = table.time("created");
    let completed = completed(&mut table);
    let archived_ms = archived(&mut table);
    let given =
        ["variants", "dependencies"].map(|member| table.has(member).then(|| table.list(member)));
    let environments = match table.take("environments") {
        None => Vec::new(),
        Some(Node::Table(members)) => members,
        Some(other) => {
            table.fault_of("environments", &other, "a table of environments by name");
            Vec::new()
        }
    };
    table.finish();
    let [own_variants, parents] = given;
    let own_variants = own_variants.map(|nodes| variants(file, &place, nodes, faults));
    let parents = parents.map(|nodes| dependencies(file, &place, nodes, faults));
    let count = parents.as_ref().map_or(0, Vec::len);
    if let Some(rule) = within("dependencies", count, DEPENDENCIES_PER_FLAG_MAX) {
        faults.add(file, &place, rule);
    }
    let environments = environments.into_iter().filter_map(|(environment, node)| {
        let own = settings(file, (name.as_deref()?, &environment), node, faults)?;
        Some((environment, own))
    });
    let environments = environments.collect();
    Some(FlagFile {
        name: name?,
        kind,
        description,
        stale,
        impression_data,
        variants: own_variants,
        dependencies: parents,
        created_ms,
        completed,
        archived_ms,
        environments,
    })
}

/// `kept`, `discarded` or `false`.
fn completed(table: &mut Table<'_>) -> Option<Option<Completion>> {
    match table.take("completed")? {
        Node::Bool(false) => Some(None),
        Node::Text(word) if word == "kept" => Some(Some(Completion::Kept)),
        Node::Text(word) if word == "discarded" => Some(Some(Completion::Discarded)),
        other => {
            let found = other.into_value();
            table.fault(format!(
                "completed is {found} (expected kept, discarded or false)"
            ));
            None
        }
    }
}

/// A time, or `false`.
fn archived(table: &mut Table<'_>) -> Option<Option<UnixMs>> {
    match table.take("archived")? {
        Node::Bool(false) => Some(None),
        Node::Text(text) => {
            let time = text.parse::<jiff::Timestamp>().ok();
            let ms = time.and_then(|own| UnixMs::try_from(own.as_millisecond()).ok());
            if ms.is_none() {
                table.fault(format!(
                    "archived is {text:?} (expected a time such as 2026-03-01T09:30:00Z, or false)"
                ));
            }
            ms.map(Some)
        }
        other => {
            table.fault_of("archived", &other, "a time or false");
            None
        }
    }
}

fn settings(
    file: &str,
    (flag, environment): (&str, &str),
    node: Node,
    faults: &mut Faults,
) -> Option<SettingsFile> {
    let place = format!("flag {flag:?}, environment {environment}");
    let mut table = Table::of(file, place.clone(), node, faults)?;
    let enabled = table.bool("enabled");
    let first_enabled_ms = table.time("firstEnabled");
    let [nodes, own_variants] =
        ["strategies", "variants"].map(|member| table.has(member).then(|| table.list(member)));
    let count = nodes.as_ref().map_or(0, Vec::len);
    if let Some(rule) = within("strategies", count, STRATEGIES_AUTHORED_MAX) {
        table.fault(rule);
    }
    table.finish();
    let strategies = nodes.map(|nodes| {
        let nodes = (1..).zip(nodes);
        let read = nodes.filter_map(|(ordinal, node)| {
            let place = format!("{place}, strategy {ordinal}");
            strategy(file, (flag, place), node, faults)
        });
        read.collect()
    });
    let variants = own_variants.map(|nodes| variants(file, &place, nodes, faults));
    Some(SettingsFile {
        enabled,
        first_enabled_ms,
        is_by_hand: false,
        strategies,
        variants,
    })
}

fn strategy(
    file: &str,
    (flag, place): (&str, String),
    node: Node,
    faults: &mut Faults,
) -> Option<StrategyFile> {
    let mut table = Table::of(file, place.clone(), node, faults)?;
    let name = required(&mut table, "name");
    let title = table.text("title");
    let disabled = table.bool("disabled").unwrap_or_default();
    let parameters = parameters(&mut table).into_iter().collect();
    let conditions = table.list("constraints");
    let own_variants = table.list("variants");
    let mut segments = Vec::new();
    for node in table.list("segments") {
        match node {
            Node::Text(name) => segments.push(SegmentNamed::Name(name)),
            Node::Number(id) if id.is_i64() => {
                segments.extend(id.as_i64().map(SegmentNamed::Id));
            }
            other => table.fault_of("segments", &other, "names or numbers of segments"),
        }
    }
    let counts = [
        ("constraints", conditions.len(), CONSTRAINTS_AUTHORED_MAX),
        ("segments", segments.len(), SEGMENTS_PER_STRATEGY_MAX),
    ];
    for (what, found, expected) in counts {
        if let Some(rule) = within(what, found, expected) {
            table.fault(rule);
        }
    }
    table.finish();
    let conditions = constraints(file, &place, conditions, faults);
    for (ordinal, own) in (1..).zip(&conditions) {
        if let Some(rule) = check::constraint_values(own) {
            faults.add(file, &format!("{place}, constraint {ordinal}"), rule);
        }
    }
    let strategy = FlagStrategy {
        name: name?,
        title,
        disabled,
        parameters,
        constraints: conditions,
        segments: Vec::new(),
        variants: variants(file, &place, own_variants, faults),
    };
    for said in check::strategy(flag, &strategy) {
        match said {
            Said::Fault(rule) => faults.add(file, &place, rule),
            Said::Notice(text) => faults.notice(file, &place, text),
        }
    }
    Some(StrategyFile { strategy, segments })
}

/// Reads a segment.
pub(in crate::store::import) fn segment(
    file: &str,
    ordinal: usize,
    node: Node,
    faults: &mut Faults,
) -> Option<SegmentFile> {
    let mut table = Table::of(file, format!("segment {ordinal}"), node, faults)?;
    let name = required(&mut table, "name");
    if let Some(name) = &name {
        table.position = format!("segment {name:?}");
    }
    let place = table.position.clone();
    let id = table.take("id").and_then(|node| {
        let id = match &node {
            Node::Number(number) => number.as_i64().filter(|id| (1..=ID_MAX).contains(id)),
            _ => None,
        };
        if id.is_none() {
            let found = node.into_value();
            table.fault(format!(
                "id is {found} (expected a whole number from 1 to {ID_MAX})"
            ));
        }
        id
    });
    let description = table.text("description");
    let nodes = table.has("constraints").then(|| table.list("constraints"));
    let count = nodes.as_ref().map_or(0, Vec::len);
    if let Some(rule) = within("constraints", count, CONSTRAINTS_PER_STRATEGY_MAX) {
        table.fault(rule);
    }
    table.finish();
    let conditions = nodes.map(|nodes| constraints(file, &place, nodes, faults));
    let values = conditions.iter().flatten().map(|own| own.values.len());
    if let Some(rule) = within("values", values.sum(), SEGMENT_VALUES_AUTHORED_MAX) {
        faults.add(file, &place, rule);
    }
    Some(SegmentFile {
        name: name?,
        id,
        description,
        constraints: conditions,
        is_rename: false,
    })
}

/// Clients read numbers as JavaScript does; these all can.
const ID_MAX: i64 = i32::MAX as i64;
