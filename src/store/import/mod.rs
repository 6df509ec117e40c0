//! How do project files change what is authored?
//!
//! All or nothing: the files are read and applied to a copy of the workspace,
//! collecting every fault; with none, the difference between the copy and the
//! original is what is written and reported. A file that says what the store
//! has already makes no difference. Flows, versions, channels and deployments
//! that a file leaves out stay as they are.

mod apply;
mod blocks;
mod deploy;
mod deployments;
mod earlier;
mod flags;
mod logic;
mod read;
mod resolve;
mod rings;
mod structure;
mod table;
#[cfg(test)]
mod tests;
mod unleash;
mod version;

pub(super) use blocks::item_kind;
pub(super) use flags::change;
pub(super) use structure::word;
pub(super) use table::is_name;
pub use unleash::UnleashTerms;
pub(super) use unleash::read_unleash;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    engine::Write,
    naming::Naming,
    project_file,
    workspace::{Flow, Workspace},
};
use crate::{
    clock::{Ambient, UnixMs},
    limits,
    snapshot::wire::VersionPart,
};

/// A file as it was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceFile {
    /// How faults call it.
    pub name: String,
    /// YAML or JSON.
    pub content: String,
}

/// One thing that is wrong with a file, or worth a look.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Which file.
    pub file: String,
    /// Where in it, such as `flow "tour", version 2, block "welcome"`; empty
    /// for the file as a whole.
    pub position: String,
    /// What was found and what is allowed.
    pub rule: String,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.position.is_empty() {
            return write!(f, "{}: {}", self.file, self.rule);
        }
        write!(f, "{}: {}: {}", self.file, self.position, self.rule)
    }
}

/// Nothing was imported.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nothing was changed: {count} {}", if *.count == 1 { "fault" } else { "faults" })]
pub struct ImportError {
    /// All of them, up to `limits::IMPORT_FAULTS_MAX`.
    pub faults: Vec<Fault>,
    /// How many there are.
    pub count: usize,
}

/// What an import did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportReport {
    /// Every change; empty when the files say what the store had.
    pub changes: Vec<Change>,
    /// What was taken and may not be meant; of what changed only, and up to
    /// `limits::IMPORT_FAULTS_MAX`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<Fault>,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// What happened.
    pub kind: ChangeKind,
    /// The project's or flow's sid; the channel's, flag's or segment's name.
    pub sid: String,
    /// The version it happened to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// The environment it happened in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// The name of the deployment it happened to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<String>,
}

/// Kinds of changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeKind {
    /// A project was made or renamed.
    Project,
    /// A flow was made.
    FlowCreated,
    /// A flow's name or settings changed.
    FlowChanged,
    /// A version was committed.
    Committed,
    /// Content was deployed onto a committed version.
    ContentDeployed,
    /// The draft was written.
    DraftReplaced,
    /// The flow was enabled.
    Enabled,
    /// The flow was disabled.
    Disabled,
    /// A channel was described, or otherwise than before.
    Channel,
    /// A deployment was made.
    DeploymentCreated,
    /// A deployment changed.
    DeploymentChanged,
    /// A segment was made.
    SegmentCreated,
    /// A segment changed.
    SegmentChanged,
    /// A segment was forgotten.
    SegmentDeleted,
    /// A flag was made.
    FlagCreated,
    /// What is said of a flag in all environments changed.
    FlagChanged,
    /// A flag was switched on.
    FlagEnabled,
    /// A flag was switched off.
    FlagDisabled,
    /// A flag has other strategies or variants in an environment.
    FlagStrategies,
    /// A flag was archived.
    FlagArchived,
    /// A flag was taken back from the archive.
    FlagRevived,
    /// A flag was forgotten.
    FlagDeleted,
}

/// A workspace after an import, and how to get there.
#[derive(Debug)]
pub(super) struct Imported {
    pub(super) workspace: Workspace,
    pub(super) writes: Vec<Write>,
    pub(super) report: ImportReport,
}

impl Imported {
    /// Everything stays as it is.
    pub(super) fn nothing(workspace: Workspace) -> Self {
        Self {
            workspace,
            writes: Vec::new(),
            report: ImportReport::default(),
        }
    }
}

/// Collects what is wrong and what is worth a look, with its place.
#[derive(Default)]
struct Faults {
    kept: Vec<Fault>,
    count: usize,
    notices: Vec<Fault>,
}

impl Faults {
    fn add(&mut self, file: &str, position: &str, rule: impl Into<String>) {
        self.count += 1;
        keep(&mut self.kept, file, position, rule.into());
    }

    fn notice(&mut self, file: &str, position: &str, text: impl Into<String>) {
        keep(&mut self.notices, file, position, text.into());
    }
}

/// Neither their number nor their length is in the hands of a file.
fn keep(list: &mut Vec<Fault>, file: &str, position: &str, mut rule: String) {
    if list.len() >= limits::IMPORT_FAULTS_MAX {
        return;
    }
    if rule.len() > limits::IMPORT_FAULT_BYTES_MAX {
        rule.truncate(rule.floor_char_boundary(limits::IMPORT_FAULT_BYTES_MAX));
        rule.push('…');
    }
    list.push(Fault {
        file: file.to_owned(),
        position: position.to_owned(),
        rule,
    });
}

/// The time of an import that asks no clock, so that it makes the same each time.
pub(super) const NO_CLOCK: UnixMs = 0;

/// Files that were read and not yet compared with what the store has.
pub(super) struct Files {
    /// With the name of its file.
    projects: Vec<(String, read::ProjectFile)>,
    faults: Faults,
}

/// Reads files. Large ones take their time, so this needs no workspace and
/// keeps no other author waiting.
pub(super) fn read_files(files: &[SourceFile]) -> Files {
    let mut faults = Faults::default();
    let mut read = Vec::new();
    let budget = project_file::Budget::default();
    let mut bytes = 0_usize;
    for file in files {
        bytes = bytes.saturating_add(file.content.len());
        if bytes > limits::IMPORT_BYTES_MAX {
            let rule = format!(
                "the import has more than {} bytes (expected at most that; split it)",
                limits::IMPORT_BYTES_MAX
            );
            faults.add(&file.name, "", rule);
            break;
        }
        match project_file::parse(&file.content, &budget) {
            Ok(projects) => {
                for project in projects.into_iter().map(earlier::without_blanks) {
                    let project = read::project(&file.name, project, &mut faults);
                    read.extend(project.map(|project| (file.name.clone(), project)));
                }
            }
            Err(error) => faults.add(&file.name, "", error),
        }
    }
    if files.is_empty() {
        faults.add("(none)", "", "no file was given (expected at least one)");
    }
    Files {
        projects: read,
        faults,
    }
}

/// A file that was not read but put together.
pub(super) fn file_of(name: &str, project: project_file::Node) -> Files {
    let mut faults = Faults::default();
    let project = read::project(name, project, &mut faults);
    Files {
        projects: project
            .map(|project| (name.to_owned(), project))
            .into_iter()
            .collect(),
        faults,
    }
}

/// Applies files to a workspace that remembers what it calls things.
pub(super) fn import(
    workspace: &Workspace,
    files: Files,
    ambient: &Ambient,
) -> Result<Imported, ImportError> {
    import_named(workspace, files, Naming::Random(ambient), ambient.now_ms())
}

/// Applies files to a workspace.
pub(super) fn import_named(
    workspace: &Workspace,
    files: Files,
    naming: Naming<'_>,
    now: UnixMs,
) -> Result<Imported, ImportError> {
    let mut faults = files.faults;
    let mut apply = apply::Apply::new(workspace, naming, now);
    for (file, project) in files.projects {
        apply.project(&file, project, &mut faults);
    }
    let after = apply.finish(&mut faults);
    if faults.count > 0 {
        return Err(ImportError {
            faults: faults.kept,
            count: faults.count,
        });
    }
    let mut imported = difference(workspace, after);
    imported.report.notices = faults.notices;
    Ok(imported)
}

/// What leads from one workspace to the other.
fn difference(before: &Workspace, after: Workspace) -> Imported {
    let mut writes = Vec::new();
    let mut changes = Vec::new();
    let change = |kind, sid: &str, version| Change {
        kind,
        sid: sid.to_owned(),
        version,
        environment: None,
        deployment: None,
    };
    for (sid, project) in &after.projects {
        if before.projects.get(sid) != Some(project) {
            writes.push(Write::Project(project.clone()));
            changes.push(change(ChangeKind::Project, sid, None));
        }
    }
    for (sid, flow) in after.flows.iter() {
        let old = before.flows.get(sid);
        if old.is_none_or(|old| !says_the_same(old, flow)) {
            writes.push(Write::Flow {
                uid: flow.uid.clone(),
                sid: sid.clone(),
                name: flow.name.clone(),
                project: flow.project.clone(),
                refuse_public_force: flow.refuse_public_force,
                deployments_only: flow.deployments_only,
            });
            let kind = if old.is_none() {
                ChangeKind::FlowCreated
            } else {
                ChangeKind::FlowChanged
            };
            changes.push(change(kind, sid, None));
        }
        for (number, version) in &flow.versions {
            let known = old.and_then(|old| old.versions.get(number));
            if known.is_some_and(|known| Arc::ptr_eq(known, version) || known == version) {
                continue;
            }
            writes.push(Write::Version(Arc::clone(version)));
            let kind = match (number, known) {
                (0, _) => ChangeKind::DraftReplaced,
                (_, None) => ChangeKind::Committed,
                (_, Some(_)) => ChangeKind::ContentDeployed,
            };
            changes.push(change(kind, sid, Some(*number)));
        }
        status_difference(&after, old, flow, &mut writes, &mut changes);
        content_difference(&after, old, flow, &mut writes, &mut changes);
    }
    for (name, channel) in &after.channels {
        if before.channels.get(name) != Some(channel) {
            writes.push(Write::Channel(channel.clone()));
            changes.push(change(ChangeKind::Channel, name, None));
        }
    }
    deployment_difference(before, &after, &mut writes, &mut changes);
    flags::difference(before, &after, &mut writes, &mut changes);
    Imported {
        workspace: after,
        writes,
        report: ImportReport {
            changes,
            notices: Vec::new(),
        },
    }
}

fn says_the_same(one: &Flow, other: &Flow) -> bool {
    one.name == other.name
        && one.project == other.project
        && one.refuse_public_force == other.refuse_public_force
        && one.deployments_only == other.deployments_only
}

fn deployment_difference(
    before: &Workspace,
    after: &Workspace,
    writes: &mut Vec<Write>,
    changes: &mut Vec<Change>,
) {
    for (uid, deployment) in &after.deployments {
        let old = before.deployments.get(uid);
        if old == Some(deployment) {
            continue;
        }
        writes.push(Write::Deployment(Box::new(deployment.clone())));
        let flow = after.flow_by_uid(&deployment.flow_uid);
        let environment = after.environment_by_uid(&deployment.environment_uid);
        changes.push(Change {
            kind: match old {
                None => ChangeKind::DeploymentCreated,
                Some(_) => ChangeKind::DeploymentChanged,
            },
            sid: flow.map(|flow| flow.sid.clone()).unwrap_or_default(),
            version: None,
            environment: environment.map(|own| own.name.clone()),
            deployment: Some(deployment.name.clone()),
        });
    }
}

fn content_difference(
    after: &Workspace,
    old: Option<&Flow>,
    flow: &Flow,
    writes: &mut Vec<Write>,
    changes: &mut Vec<Change>,
) {
    for (place, version) in &flow.content {
        let known = old.and_then(|old| old.content.get(place));
        if known.is_some_and(|known| Arc::ptr_eq(known, version) || known == version) {
            continue;
        }
        let (number, environment_uid) = place;
        writes.push(Write::Content {
            environment_uid: environment_uid.clone(),
            version: Arc::clone(version),
        });
        let environment = after.environment_by_uid(environment_uid);
        changes.push(Change {
            kind: ChangeKind::ContentDeployed,
            sid: flow.sid.clone(),
            version: Some(*number),
            environment: environment.map(|own| own.name.clone()),
            deployment: None,
        });
    }
}

fn status_difference(
    after: &Workspace,
    old: Option<&Flow>,
    flow: &Flow,
    writes: &mut Vec<Write>,
    changes: &mut Vec<Change>,
) {
    for environment in &after.environments {
        let enabled = flow.enabled_in(&environment.uid);
        if old.is_none_or(|old| old.enabled_in(&environment.uid)) == enabled {
            continue;
        }
        writes.push(Write::Status {
            flow_uid: flow.uid.clone(),
            environment_uid: environment.uid.clone(),
            enabled,
        });
        changes.push(Change {
            kind: if enabled {
                ChangeKind::Enabled
            } else {
                ChangeKind::Disabled
            },
            sid: flow.sid.clone(),
            version: None,
            environment: Some(environment.name.clone()),
            deployment: None,
        });
    }
}

/// The order in which versions are asked for known uids: the version itself,
/// those before it, then the draft, then those after it.
fn by_nearness(flow: &Flow, number: u32) -> Vec<&VersionPart> {
    let versions = || flow.versions.iter();
    let own = versions().filter(|(n, _)| **n == number);
    let before = versions()
        .rev()
        .filter(|(n, _)| (**n < number || number == 0) && **n > 0 && **n != number);
    let draft = versions().filter(|(n, _)| **n == 0 && number != 0);
    let after = versions().filter(|(n, _)| **n > number && number != 0);
    own.chain(before)
        .chain(draft)
        .chain(after)
        .map(|(_, version)| &version.part)
        .collect()
}
