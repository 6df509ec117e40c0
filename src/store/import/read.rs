//! What does a file say of a project and its flows?
//!
//! Whether it fits the store is `apply`'s matter.

use super::{
    Faults,
    table::Table,
    version::{VersionFile, version},
};
use crate::store::project_file::{FORMAT, FORMAT_MEMBER, Node};

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
