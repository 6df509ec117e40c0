//! What does a file say of one version of a flow?
//!
//! Form only; a committed version has a number and a history, the draft has
//! neither and is number 0.

use super::{
    Faults,
    blocks::{BlockFile, PathFile, blocks, paths},
    table::Table,
};
use crate::{
    clock::UnixMs,
    snapshot::wire::{EntryCondition, Migration},
    store::project_file::Node,
};

/// One version of a file.
pub(super) struct VersionFile {
    pub(super) number: u32,
    pub(super) message: Option<String>,
    pub(super) author: Option<String>,
    pub(super) created_ms: Option<UnixMs>,
    pub(super) migration: Option<Migration>,
    pub(super) entry: EntryCondition,
    pub(super) blocks: Vec<BlockFile>,
    pub(super) paths: Vec<PathFile>,
}

impl VersionFile {
    /// Where faults of it are.
    pub(super) fn position(&self, flow: &str) -> String {
        if self.number == 0 {
            format!("flow {flow:?}, draft")
        } else {
            format!("flow {flow:?}, version {}", self.number)
        }
    }
}

/// Reads a version; without an ordinal it is the draft, which has no history.
pub(super) fn version(
    file: &str,
    flow: &str,
    ordinal: Option<usize>,
    node: Node,
    faults: &mut Faults,
) -> Option<VersionFile> {
    let position = match ordinal {
        Some(ordinal) => format!("flow {flow:?}, version at place {ordinal}"),
        None => format!("flow {flow:?}, draft"),
    };
    let mut table = Table::of(file, position, node, faults)?;
    let mut read = VersionFile {
        number: 0,
        message: None,
        author: None,
        created_ms: None,
        migration: None,
        entry: EntryCondition::Everyone,
        blocks: Vec::new(),
        paths: Vec::new(),
    };
    if ordinal.is_some() {
        read.number = number(&mut table)?;
        table.position = read.position(flow);
        read.message = table.words("message");
        read.author = table.text("author");
        read.created_ms = table.time("created");
    }
    read.migration = migration(&mut table);
    if let Some(entry) = entry(&mut table) {
        read.entry = entry;
    }
    let block_nodes = table.list("blocks");
    let path_nodes = table.list("paths");
    let position = table.position.clone();
    table.finish();
    read.blocks = blocks(file, &position, block_nodes, faults);
    read.paths = paths(file, &position, path_nodes, faults);
    Some(read)
}

fn number(table: &mut Table<'_>) -> Option<u32> {
    let found = match table.take("number") {
        Some(Node::Number(number)) => number.as_u64().and_then(|number| {
            let number = u32::try_from(number).ok()?;
            (number > 0).then_some(number)
        }),
        _ => None,
    };
    if found.is_none() {
        table.fault("number is missing or not a whole number from 1 on (the draft is \"draft\")");
    }
    found
}

fn migration(table: &mut Table<'_>) -> Option<Migration> {
    table.word(
        "migration",
        "restart-in-progress, restart-all, stop-in-progress or carry-over",
    )
}

fn entry(table: &mut Table<'_>) -> Option<EntryCondition> {
    const EXPECTED: &str = "everyone, api-only or {expression: \"…\"}";
    match table.take("entry")? {
        Node::Text(word) if word == "everyone" => Some(EntryCondition::Everyone),
        Node::Text(word) if word == "api-only" => Some(EntryCondition::ApiOnly),
        Node::Text(word) => {
            table.fault(format!("entry is {word:?} (expected {EXPECTED})"));
            None
        }
        Node::Table(members) => match members.as_slice() {
            [(name, Node::Text(text))] if name == "expression" => {
                Some(EntryCondition::Expression(text.clone()))
            }
            _ => {
                table.fault(format!("entry holds something else (expected {EXPECTED})"));
                None
            }
        },
        other => {
            table.fault_of("entry", &other, EXPECTED);
            None
        }
    }
}
