//! What does a file say of a version's blocks, fields and paths?
//!
//! Form only: members, types, names. Items written under their container come
//! out as blocks that follow it and name it.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Faults, logic, structure::word, table::Table};
use crate::{
    snapshot::wire::{BlockKind, FieldKind, FieldPart, TriggerPart},
    store::{
        project_file::{ENTRY, Node},
        workspace::WebhookSettings,
    },
};

/// One block of a file.
pub(super) struct BlockFile {
    pub(super) sid: String,
    pub(super) uid: Option<String>,
    pub(super) kind: BlockKind,
    /// The container's sid.
    pub(super) container: Option<String>,
    pub(super) transitions: Vec<String>,
    pub(super) expression: Option<String>,
    pub(super) trigger: Option<TriggerPart>,
    pub(super) webhook: Option<WebhookSettings>,
    pub(super) fields: Vec<FieldPart>,
}

/// One path of a file.
pub(super) struct PathFile {
    pub(super) uid: Option<String>,
    /// The source's sid; none for the entry.
    pub(super) from: Option<String>,
    pub(super) on: Vec<String>,
    pub(super) to: String,
}

/// What the items of a container are; none of what is no container.
pub(in crate::store) fn item_kind(container: BlockKind) -> Option<BlockKind> {
    match container {
        BlockKind::Tour => Some(BlockKind::TourItem),
        BlockKind::Checklist => Some(BlockKind::ChecklistItem),
        BlockKind::Hints => Some(BlockKind::HintsItem),
        _ => None,
    }
}

/// The container an item stands under.
#[derive(Clone, Copy)]
struct Container<'s> {
    sid: &'s str,
    kind: BlockKind,
}

/// Reads the blocks of a version; items of a container follow it.
pub(super) fn blocks(
    file: &str,
    version: &str,
    nodes: Vec<Node>,
    faults: &mut Faults,
) -> Vec<BlockFile> {
    let mut read = Vec::with_capacity(nodes.len());
    for (ordinal, node) in (1..).zip(nodes) {
        block(file, version, None, ordinal, node, &mut read, faults);
    }
    let mut seen = BTreeSet::new();
    for block in &read {
        let position = format!("{version}, block {:?}", block.sid);
        if block.sid == ENTRY {
            faults.add(
                file,
                &position,
                "the sid \"entry\" means the entry of the flow (choose another)",
            );
        }
        if !seen.insert(block.sid.as_str()) {
            faults.add(file, &position, "the sid appears twice in this version");
        }
    }
    read
}

fn block(
    file: &str,
    version: &str,
    container: Option<Container<'_>>,
    ordinal: usize,
    node: Node,
    read: &mut Vec<BlockFile>,
    faults: &mut Faults,
) {
    let place = container.map_or_else(String::new, |own| format!(" in {:?}", own.sid));
    let position = format!("{version}, block {ordinal}{place}");
    let Some(mut table) = Table::of(file, position, node, faults) else {
        return;
    };
    let sid = table.required_sid("sid");
    if let Some(sid) = &sid {
        table.position = format!("{version}, block {sid:?}");
    }
    let uid = table.sid("uid");
    let kind = kind(&mut table, container);
    let named = table.sid("container");
    if container.is_some() && named.is_some() {
        table.fault("an item under \"items\" names a container as well (expected one of the two)");
    }
    let transitions = names(&mut table, "transitions");
    let expression = table.text("when");
    let trigger = logic::trigger(&mut table, kind);
    let webhook = logic::webhook(&mut table, kind);
    let fields = fields(&mut table);
    let has_items = table.has("items");
    let items = table.list("items");
    if has_items && kind.is_some_and(|kind| item_kind(kind).is_none()) {
        table.fault("only a tour, a checklist and hints have items");
    }
    table.finish();
    let (Some(sid), Some(kind)) = (sid, kind) else {
        return;
    };
    read.push(BlockFile {
        sid: sid.clone(),
        uid,
        kind,
        container: container.map(|own| own.sid.to_owned()).or(named),
        transitions,
        expression,
        trigger,
        webhook,
        fields,
    });
    let container = Some(Container { sid: &sid, kind });
    for (ordinal, item) in (1..).zip(items) {
        block(file, version, container, ordinal, item, read, faults);
    }
}

/// The block's type; under `items` it may be left out.
fn kind(table: &mut Table<'_>, container: Option<Container<'_>>) -> Option<BlockKind> {
    let wanted = container.and_then(|own| item_kind(own.kind));
    if !table.has("type") {
        if wanted.is_none() {
            table.fault("type is missing");
        }
        return wanted;
    }
    let name = table.text("type")?;
    let kind = serde_json::from_value(Value::String(name.clone())).ok();
    if kind.is_none() {
        table.fault(format!(
            "unknown block type {name:?} (expected custom, card, modal, tour, tourItem, \
             checklist, checklistItem, hints, hintsItem, boolean, gate, webhook, flowTrigger or \
             finish)"
        ));
    }
    if let (Some(container), Some(wanted)) = (container, wanted)
        && kind.is_some_and(|kind| kind != wanted)
    {
        let (container, wanted) = (word(&container.kind), word(&wanted));
        table.fault(format!(
            "an item of a {container} is a {name} (expected {wanted})"
        ));
    }
    kind
}

/// One name or a list of them.
fn names(table: &mut Table<'_>, member: &str) -> Vec<String> {
    let nodes = match table.take(member) {
        None => return Vec::new(),
        Some(Node::Text(name)) => return vec![name],
        Some(Node::List(nodes)) => nodes,
        // YAML reads the sides of a boolean block as booleans.
        Some(Node::Bool(side)) => return vec![side.to_string()],
        Some(other) => {
            table.fault_of(member, &other, "a name or a list of names");
            return Vec::new();
        }
    };
    let mut read = Vec::with_capacity(nodes.len());
    for node in nodes {
        match node {
            Node::Text(name) => read.push(name),
            Node::Bool(side) => read.push(side.to_string()),
            other => table.fault_of(member, &other, "names"),
        }
    }
    read
}

fn fields(table: &mut Table<'_>) -> Vec<FieldPart> {
    let members = match table.take("fields") {
        None => return Vec::new(),
        Some(Node::Table(members)) => members,
        Some(other) => {
            table.fault_of("fields", &other, "a table of name: value");
            return Vec::new();
        }
    };
    let mut read = Vec::with_capacity(members.len());
    for (sid, node) in members {
        match field(node) {
            Ok((kind, value)) => read.push(FieldPart { sid, kind, value }),
            Err(why) => table.fault(format!("field {sid:?} {why}")),
        }
    }
    read
}

/// A field's type and value: inferred, or spelled out.
fn field(node: Node) -> Result<(FieldKind, Value), String> {
    let members = match node {
        Node::Text(_) => return Ok((FieldKind::String, node.into_value())),
        Node::Number(_) => return Ok((FieldKind::Number, node.into_value())),
        Node::Bool(_) => return Ok((FieldKind::Boolean, node.into_value())),
        Node::Null | Node::List(_) => {
            return Err(format!(
                "is {} (expected text, a number, true or false, or {{type: …, value: …}})",
                node.kind()
            ));
        }
        Node::Table(members) => members,
    };
    let mut kind = None;
    let mut value = Node::Null;
    for (name, member) in members {
        match (name.as_str(), member) {
            ("type", Node::Text(word)) => {
                let named = serde_json::from_value(Value::String(word.clone()));
                let named: FieldKind = named.map_err(|_| {
                    format!("has type {word:?} (expected string, number, boolean or richText)")
                })?;
                kind = Some(named);
            }
            ("value", member) => value = member,
            (other, _) => {
                return Err(format!(
                    "has the member {other:?} (expected type and value)"
                ));
            }
        }
    }
    let kind = kind.ok_or("has no type (expected string, number, boolean or richText)")?;
    let fits = matches!(
        (&value, kind),
        (Node::Null, _)
            | (Node::Text(_), FieldKind::String)
            | (Node::Number(_), FieldKind::Number)
            | (Node::Bool(_), FieldKind::Boolean)
            | (Node::List(_), FieldKind::RichText)
    );
    if fits {
        Ok((kind, value.into_value()))
    } else {
        Err(format!(
            "has a value that is {} (expected one of its type)",
            value.kind()
        ))
    }
}

/// Reads the paths of a version.
pub(super) fn paths(
    file: &str,
    version: &str,
    nodes: Vec<Node>,
    faults: &mut Faults,
) -> Vec<PathFile> {
    let mut read = Vec::with_capacity(nodes.len());
    for (ordinal, node) in (1_usize..).zip(nodes) {
        let position = format!("{version}, path {ordinal}");
        let Some(mut table) = Table::of(file, position, node, faults) else {
            continue;
        };
        let uid = table.sid("uid");
        let from = table.required_sid("from");
        let on = names(&mut table, "on");
        let to = table.required_sid("to");
        table.finish();
        if let (Some(from), Some(to)) = (from, to) {
            read.push(PathFile {
                uid,
                from: (from != ENTRY).then_some(from),
                on,
                to,
            });
        }
    }
    read
}
