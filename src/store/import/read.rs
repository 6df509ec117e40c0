//! What does a project file say, and is each piece of it well formed?
//!
//! Reads the tree member by member, so that everything wrong is found at once
//! and every unknown member is one of the faults. Whether it fits the store is
//! `apply`'s matter.

use super::{
    Faults,
    blocks::{BlockFile, PathFile, blocks, paths},
};
use crate::{
    clock::UnixMs,
    limits,
    snapshot::wire::{EntryCondition, Migration},
    store::project_file::{FORMAT, FORMAT_MEMBER, Node},
};

/// One project of a file.
pub(super) struct ProjectFile {
    pub(super) sid: String,
    /// None: unchanged, or the sid.
    pub(super) name: Option<String>,
    pub(super) flows: Vec<FlowFile>,
}

/// One flow of a file.
pub(super) struct FlowFile {
    pub(super) sid: String,
    pub(super) uid: Option<String>,
    pub(super) name: Option<String>,
    pub(super) refuse_public_force: Option<bool>,
    /// Environment name to enabled; those left out stay.
    pub(super) status: Vec<(String, bool)>,
    /// Ascending by number; the draft has 0 and comes last.
    pub(super) versions: Vec<VersionFile>,
}

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

/// A table being read: members are taken out, what remains is unknown.
pub(super) struct Table<'a> {
    file: &'a str,
    pub(super) position: String,
    members: Vec<(String, Node)>,
    pub(super) faults: &'a mut Faults,
}

impl<'a> Table<'a> {
    /// Of a node that must be one.
    pub(super) fn of(
        file: &'a str,
        position: String,
        node: Node,
        faults: &'a mut Faults,
    ) -> Option<Self> {
        match node {
            Node::Table(members) => Some(Self {
                file,
                position,
                members,
                faults,
            }),
            other => {
                faults.add(
                    file,
                    &position,
                    format!("found {} (expected a table of members)", other.kind()),
                );
                None
            }
        }
    }

    pub(super) fn fault(&mut self, rule: impl Into<String>) {
        self.faults.add(self.file, &self.position, rule);
    }

    pub(super) fn fault_of(&mut self, member: &str, found: &Node, expected: &str) {
        self.fault(format!(
            "{member} is {} (expected {expected})",
            found.kind()
        ));
    }

    /// A member, if it is there and not null.
    pub(super) fn take(&mut self, member: &str) -> Option<Node> {
        let at = self.members.iter().position(|(name, _)| name == member)?;
        Some(self.members.remove(at).1).filter(|node| *node != Node::Null)
    }

    pub(super) fn text(&mut self, member: &str) -> Option<String> {
        match self.take(member)? {
            Node::Text(text) => Some(text),
            other => {
                self.fault_of(member, &other, "text");
                None
            }
        }
    }

    fn bool(&mut self, member: &str) -> Option<bool> {
        match self.take(member)? {
            Node::Bool(value) => Some(value),
            other => {
                self.fault_of(member, &other, "true or false");
                None
            }
        }
    }

    pub(super) fn list(&mut self, member: &str) -> Vec<Node> {
        match self.take(member) {
            None => Vec::new(),
            Some(Node::List(items)) => items,
            Some(other) => {
                self.fault_of(member, &other, "a list");
                Vec::new()
            }
        }
    }

    /// A name that stands in paths and source code.
    pub(super) fn sid(&mut self, member: &str) -> Option<String> {
        let sid = self.text(member)?;
        if is_name(&sid) {
            return Some(sid);
        }
        self.fault(format!(
            "{member} is {sid:?} (expected 1 to {} of the characters A-Z a-z 0-9 _ -)",
            limits::SID_BYTES_MAX
        ));
        None
    }

    /// A sid that must be there.
    pub(super) fn required_sid(&mut self, member: &str) -> Option<String> {
        if !self.has(member) {
            self.fault(format!("{member} is missing"));
            return None;
        }
        self.sid(member)
    }

    pub(super) fn has(&self, member: &str) -> bool {
        self.members
            .iter()
            .any(|(name, node)| name == member && *node != Node::Null)
    }

    /// Refuses by name what a later release brings.
    pub(super) fn refuse_unbuilt(&mut self, members: &[&str]) {
        for member in members {
            if self.take(member).is_some() {
                self.fault(format!(
                    "{member} is not supported by this version of flowgate"
                ));
            }
        }
    }

    /// Whatever was not taken is unknown.
    pub(super) fn finish(mut self) {
        for (name, _) in std::mem::take(&mut self.members) {
            self.fault(format!("unknown member {name:?}"));
        }
    }
}

/// Whether a text may be a sid or uid.
pub(super) fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    (1..=limits::SID_BYTES_MAX).contains(&text.len()) && text.bytes().all(allowed)
}

/// Reads one project.
pub(super) fn project(file: &str, node: Node, faults: &mut Faults) -> Option<ProjectFile> {
    let before = faults.count;
    let mut table = Table::of(file, String::new(), node, faults)?;
    match table.text(FORMAT_MEMBER) {
        Some(format) if format == FORMAT => {}
        Some(other) => {
            table.fault(format!("the format is {other:?} (expected {FORMAT:?})"));
            return None;
        }
        None => {
            table.fault(format!(
                "no format is named (expected \"{FORMAT_MEMBER}: {FORMAT}\")"
            ));
            return None;
        }
    }
    let sid = table.required_sid("project");
    let name = table.text("name");
    let nodes = table.list("flows");
    table.refuse_unbuilt(&["flags", "segments", "channels", "deployments"]);
    table.finish();
    let mut flows = Vec::with_capacity(nodes.len());
    for (ordinal, node) in (1..).zip(nodes) {
        flows.extend(flow(file, ordinal, node, faults));
    }
    // A file with faults is not applied at all: what follows from a piece that
    // was misread would only be noise.
    (faults.count == before).then_some(ProjectFile {
        sid: sid?,
        name,
        flows,
    })
}

fn flow(file: &str, ordinal: usize, node: Node, faults: &mut Faults) -> Option<FlowFile> {
    let mut table = Table::of(file, format!("flow {ordinal}"), node, faults)?;
    let sid = table.required_sid("sid");
    if let Some(sid) = &sid {
        table.position = format!("flow {sid:?}");
    }
    let uid = table.sid("uid");
    let name = table.text("name");
    let refuse_public_force = table.bool("refusePublicForce");
    let status = status(&mut table);
    let versions = table.list("versions");
    let draft = table.take("draft");
    table.refuse_unbuilt(&["deployments", "deploymentsOnly"]);
    table.finish();
    let sid = sid?;
    let mut read: Vec<VersionFile> = Vec::new();
    for (ordinal, node) in (1..).zip(versions) {
        read.extend(version(file, &sid, Some(ordinal), node, faults));
    }
    read.sort_by_key(|version| version.number);
    for pair in read
        .windows(2)
        .filter(|pair| pair[0].number == pair[1].number)
    {
        faults.add(file, &pair[0].position(&sid), "the version appears twice");
    }
    if let Some(draft) = draft {
        read.extend(version(file, &sid, None, draft, faults));
    }
    Some(FlowFile {
        sid,
        uid,
        name,
        refuse_public_force,
        status,
        versions: read,
    })
}

fn status(table: &mut Table<'_>) -> Vec<(String, bool)> {
    let members = match table.take("status") {
        None => return Vec::new(),
        Some(Node::Table(members)) => members,
        Some(other) => {
            table.fault_of(
                "status",
                &other,
                "a table of environment: enabled or disabled",
            );
            return Vec::new();
        }
    };
    let mut status = Vec::with_capacity(members.len());
    for (environment, node) in members {
        match &node {
            Node::Text(word) if word == "enabled" => status.push((environment, true)),
            Node::Text(word) if word == "disabled" => status.push((environment, false)),
            Node::Text(word) => table.fault(format!(
                "status in {environment} is {word:?} (expected enabled or disabled)"
            )),
            other => table.fault(format!(
                "status in {environment} is {} (expected enabled or disabled)",
                other.kind()
            )),
        }
    }
    status
}

/// Reads a version; without an ordinal it is the draft, which has no history.
fn version(
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
        read.message = table.text("message");
        read.author = table.text("author");
        read.created_ms = created(&mut table);
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

fn created(table: &mut Table<'_>) -> Option<UnixMs> {
    let text = table.text("created")?;
    let time = text
        .parse::<jiff::Timestamp>()
        .ok()
        .and_then(|time| UnixMs::try_from(time.as_millisecond()).ok());
    if time.is_none() {
        table.fault(format!(
            "created is {text:?} (expected a time such as 2026-03-01T09:30:00Z)"
        ));
    }
    time
}

fn migration(table: &mut Table<'_>) -> Option<Migration> {
    let text = table.text("migration")?;
    let named = serde_json::from_value(serde_json::Value::String(text.clone())).ok();
    if named.is_none() {
        table.fault(format!(
            "migration is {text:?} (expected restart-in-progress, restart-all, \
             stop-in-progress or carry-over)"
        ));
    }
    named
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
