//! What does a file say of a project and its flows?
//!
//! Whether it fits the store is `apply`'s matter.

use super::{
    Faults,
    deployments::{DeploymentFile, channel, deployment},
    flags::{self, FlagFile, SegmentFile},
    table::Table,
    version::{VersionFile, version},
};
use crate::store::{
    project_file::{FORMAT, FORMAT_MEMBER, Node},
    workspace::Channel,
};

/// One project of a file.
pub(super) struct ProjectFile {
    pub(super) sid: String,
    /// None: unchanged, or the sid.
    pub(super) name: Option<String>,
    /// None: unchanged, or all.
    pub(super) environments: Option<ActiveIn>,
    pub(super) channels: Vec<Channel>,
    pub(super) flows: Vec<FlowFile>,
    pub(super) flags: Vec<FlagFile>,
    pub(super) segments: Vec<SegmentFile>,
}

/// Where a project is active.
pub(super) enum ActiveIn {
    /// Those there are and will be.
    All,
    /// By name.
    Listed(Vec<String>),
}

/// One flow of a file.
pub(super) struct FlowFile {
    pub(super) sid: String,
    pub(super) uid: Option<String>,
    pub(super) name: Option<String>,
    pub(super) refuse_public_force: Option<bool>,
    pub(super) deployments_only: Option<bool>,
    /// Environment name to enabled; those left out stay.
    pub(super) status: Vec<(String, bool)>,
    /// Ascending by number; the draft has 0 and comes last.
    pub(super) versions: Vec<VersionFile>,
    pub(super) deployments: Vec<DeploymentFile>,
    /// Environment name, and a version as only that one sees it.
    pub(super) contents: Vec<(String, VersionFile)>,
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
    let environments = active_in(&mut table);
    let nodes = table.list("flows");
    let channel_nodes = table.list("channels");
    if table.take("deployments").is_some() {
        table.fault("deployments stand under the flow that they deploy");
    }
    let [flag_nodes, segment_nodes] = ["flags", "segments"].map(|member| table.list(member));
    table.finish();
    let mut channels = Vec::with_capacity(channel_nodes.len());
    for (ordinal, node) in (1..).zip(channel_nodes) {
        channels.extend(channel(file, ordinal, node, faults));
    }
    let mut flows = Vec::with_capacity(nodes.len());
    for (ordinal, node) in (1..).zip(nodes) {
        flows.extend(flow(file, ordinal, node, faults));
    }
    let flag_nodes = (1..).zip(flag_nodes);
    let flags = flag_nodes.filter_map(|(at, node)| flags::flag(file, at, node, faults));
    let flags = flags.collect();
    let segment_nodes = (1..).zip(segment_nodes);
    let segments = segment_nodes.filter_map(|(at, node)| flags::segment(file, at, node, faults));
    let segments = segments.collect();
    // A file with faults is not applied at all: what follows from a piece that
    // was misread would only be noise.
    (faults.count == before).then_some(ProjectFile {
        sid: sid?,
        name,
        environments,
        channels,
        flows,
        flags,
        segments,
    })
}

/// `all`, or names of environments.
fn active_in(table: &mut Table<'_>) -> Option<ActiveIn> {
    let expected = "all, or a list of at least one environment";
    match table.take("environments")? {
        Node::Text(word) if word == "all" => Some(ActiveIn::All),
        Node::List(nodes) if !nodes.is_empty() => {
            let mut names = Vec::with_capacity(nodes.len());
            for node in nodes {
                match node {
                    Node::Text(name) => names.push(name),
                    other => table.fault_of("one of environments", &other, "a name"),
                }
            }
            Some(ActiveIn::Listed(names))
        }
        Node::Text(word) => {
            table.fault(format!("environments is {word:?} (expected {expected})"));
            None
        }
        other => {
            table.fault_of("environments", &other, expected);
            None
        }
    }
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
    let deployments_only = table.bool("deploymentsOnly");
    let status = status(&mut table);
    let versions = table.list("versions");
    let draft = table.take("draft");
    let deployment_nodes = table.list("deployments");
    let content_nodes = table.list("contents");
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
    let mut deployments = Vec::with_capacity(deployment_nodes.len());
    for (ordinal, node) in (1..).zip(deployment_nodes) {
        deployments.extend(deployment(file, &sid, ordinal, node, faults));
    }
    let mut contents = Vec::with_capacity(content_nodes.len());
    for (ordinal, node) in (1..).zip(content_nodes) {
        contents.extend(content(file, &sid, ordinal, node, faults));
    }
    Some(FlowFile {
        sid,
        uid,
        name,
        refuse_public_force,
        deployments_only,
        status,
        versions: read,
        deployments,
        contents,
    })
}

/// A version as one environment sees it: its name, and the whole version.
fn content(
    file: &str,
    flow: &str,
    ordinal: usize,
    node: Node,
    faults: &mut Faults,
) -> Option<(String, VersionFile)> {
    let position = format!("flow {flow:?}, content at place {ordinal}");
    let Node::Table(mut members) = node else {
        let rule = format!(
            "found {} (expected a version with an environment)",
            node.kind()
        );
        faults.add(file, &position, rule);
        return None;
    };
    let at = members.iter().position(|(name, _)| name == "environment");
    let Some(Node::Text(environment)) = at.map(|at| members.remove(at).1) else {
        faults.add(file, &position, "environment is missing or not a name");
        return None;
    };
    let version = version(file, flow, Some(ordinal), Node::Table(members), faults)?;
    Some((environment, version))
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
