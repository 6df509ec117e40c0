//! How does a flow become its next version?
//!
//! Everything done to one flow by hand: it is made, renamed and deleted, its
//! draft is read and written, committed and restored, and content is deployed
//! onto a committed version. Versions travel as they stand in project files,
//! and whatever is written goes through the same checks as an import. Any of
//! it can be tried first, like every change.

mod comparing;
mod content;
mod error;
mod trying;

pub use comparing::{Difference, Sort};
pub use content::SeenVersion;
pub use error::FlowError;
pub use trying::{Pretend, PretendStep, Tried, TryError};

use std::sync::Arc;

use super::{
    Store, StoreError,
    engine::Write,
    export, import,
    import::ImportReport,
    project_file::{Budget, FORMAT, FORMAT_MEMBER, Node, parse},
    workspace::{AuthoredVersion, Flow, Workspace},
};
use crate::snapshot::{
    sha256_hex,
    wire::{Migration, VersionPart},
};

/// Hexadecimal digits of a tag: nobody tries to find two texts with one tag.
const TAG_DIGITS: usize = 32;

/// How faults call what came with a request.
const SOURCE: &str = "body";

/// One version as text, and what names this state of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VersionText {
    /// YAML, as under `draft` in a project file.
    pub text: String,
    /// Changes with the text.
    pub tag: String,
}

/// Which version of a flow is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Version 0.
    Draft,
    /// The newest that is committed.
    Latest,
    /// A committed one.
    Number(u32),
}

impl Which {
    /// `draft`, `latest` or a number; 0 is the draft.
    pub fn named(text: &str) -> Option<Self> {
        match text {
            "draft" | "uncommitted" | "0" => Some(Self::Draft),
            "latest" => Some(Self::Latest),
            _ => text.parse().ok().map(Self::Number),
        }
    }
}

impl std::fmt::Display for Which {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Draft => f.write_str("draft"),
            Self::Latest => f.write_str("latest"),
            Self::Number(number) => write!(f, "{number}"),
        }
    }
}

/// A flow to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewFlow {
    /// What client code will say.
    pub sid: String,
    /// Of which project.
    pub project: String,
    /// For people; else the sid.
    pub name: Option<String>,
}

/// What a version is committed with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Why.
    pub message: String,
    /// Who.
    pub author: String,
    /// What it means for users of earlier versions; else what the draft says.
    pub migration: Option<Migration>,
}

/// On which conditions something is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// The tag of what was read; any state will do without one.
    pub tag: Option<String>,
}

/// What was, or would be, written.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    /// Number of the version.
    pub version: u32,
    /// Its tag from now on.
    pub tag: String,
    /// What changed.
    pub report: ImportReport,
    /// What of the version, against what stood there; of a new one, against the
    /// one before.
    pub differences: Vec<Difference>,
}

impl Store {
    /// Makes a flow without versions.
    pub fn create_flow(&self, new: &NewFlow) -> Result<ImportReport, StoreError> {
        self.author_flow(|workspace| {
            if !workspace.projects.contains_key(&new.project) {
                return Err(FlowError::UnknownProject {
                    found: new.project.clone(),
                    expected: names(workspace.projects.keys()),
                }
                .into());
            }
            if let Some(flow) = workspace.flows.get(&new.sid) {
                return Err(FlowError::Taken {
                    sid: flow.sid.clone(),
                    project: flow.project.clone(),
                }
                .into());
            }
            let name = new.name.iter().map(|name| ("name", text(name)));
            let flow = [("sid", text(&new.sid))].into_iter().chain(name);
            self.imported(workspace, &new.project, table(flow))
        })
    }

    /// Calls a flow something else; clients know it by its sid.
    pub fn rename_flow(&self, sid: &str, name: &str) -> Result<ImportReport, StoreError> {
        self.author_flow(|workspace| {
            let flow = known(workspace, sid)?;
            let change = table([("sid", text(sid)), ("name", text(name))]);
            self.imported(workspace, &flow.project, change)
        })
    }

    /// Forgets a flow that nothing and nobody uses. What users did in it stays
    /// recorded and means nothing.
    pub fn delete_flow(&self, sid: &str) -> Result<(), StoreError> {
        self.author(|workspace| {
            let flow = known(workspace, sid)?;
            let by = uses(workspace, flow);
            if !by.is_empty() {
                let flow = sid.to_owned();
                return Err(FlowError::InUse { flow, by }.into());
            }
            let mut after = workspace.clone();
            after.flows.remove(sid);
            let uid = flow.uid.clone();
            Ok((after, vec![Write::DeleteFlow { uid }], ()))
        })
    }

    /// Replaces the draft.
    pub fn put_draft(&self, sid: &str, draft: &str, terms: &Terms) -> Result<Written, StoreError> {
        let node = node(draft)?;
        self.write_version(sid, |_| 0, terms, |_| Ok(vec![("draft", node)]))
    }

    /// Makes the draft the next version. The draft stays.
    pub fn commit_draft(
        &self,
        sid: &str,
        commit: &Commit,
        terms: &Terms,
    ) -> Result<Written, StoreError> {
        // Which number comes next is known only while nobody else commits.
        let next_of = |flow: &Flow| flow.latest() + 1;
        self.write_version(sid, next_of, terms, |flow| {
            let next = next_of(flow);
            let draft = version(flow, Which::Draft)?;
            if let Some(latest) = flow.versions.get(&flow.latest()).filter(|_| next > 1)
                && says_the_same(latest, draft)
                && commit
                    .migration
                    .is_none_or(|own| latest.part.migration == Some(own))
            {
                return Err(FlowError::NothingToCommit {
                    flow: sid.to_owned(),
                    version: flow.latest(),
                }
                .into());
            }
            let Node::Table(mut members) = node(&text_of(Some(draft))?.text)? else {
                return Ok(Vec::new());
            };
            if let Some(migration) = &commit.migration {
                members.retain(|(name, _)| name != "migration");
                let word = import::word(migration);
                members.push(("migration".to_owned(), Node::Text(word)));
            }
            let history = [
                ("number", Node::Number(next.into())),
                ("message", text(&commit.message)),
                ("author", text(&commit.author)),
            ];
            members.extend(history.map(|(name, node)| (name.to_owned(), node)));
            Ok(vec![("versions", Node::List(vec![Node::Table(members)]))])
        })
    }

    /// Makes the draft what a version is. What the draft has and no version has
    /// is gone, so that must be said.
    pub fn restore_draft(
        &self,
        sid: &str,
        from: Which,
        discard: bool,
        terms: &Terms,
    ) -> Result<Written, StoreError> {
        self.write_version(
            sid,
            |_| 0,
            terms,
            |flow| {
                let wanted = version(flow, from)?;
                let draft = flow.versions.get(&0);
                if let Some(changes) = draft
                    .and_then(|draft| unsaved(flow, draft))
                    .filter(|_| !discard)
                {
                    let flow = sid.to_owned();
                    return Err(FlowError::WouldDiscard { flow, changes }.into());
                }
                let Node::Table(mut members) = node(&text_of(Some(wanted))?.text)? else {
                    return Ok(Vec::new());
                };
                members
                    .retain(|(name, _)| name != "migration" && !HISTORY.contains(&name.as_str()));
                Ok(vec![("draft", Node::Table(members))])
            },
        )
    }

    /// Imports a change of one flow, made from what it is at that moment.
    fn write_version(
        &self,
        sid: &str,
        number_of: impl FnOnce(&Flow) -> u32,
        terms: &Terms,
        members: impl FnOnce(&Flow) -> Result<Vec<(&'static str, Node)>, StoreError>,
    ) -> Result<Written, StoreError> {
        let mut number = 0;
        let mut tag = String::new();
        let mut differences = Vec::new();
        let report = self.author_flow(|workspace| {
            let flow = known(workspace, sid)?;
            number = number_of(flow);
            // A commit rests on the draft.
            let read = flow.versions.get(&number).or_else(|| flow.versions.get(&0));
            refuse_changed(terms, sid, read.map(|own| &**own))?;
            let members = members(flow)?;
            let change = [("sid", text(sid))].into_iter().chain(members);
            let imported = self.imported(workspace, &flow.project, table(change))?;
            let after = imported.workspace.flows.get(sid);
            let after = after.and_then(|flow| flow.versions.get(&number));
            tag = text_of(after.map(|version| &**version))?.tag;
            let before = flow.versions.get(&number);
            let before = before.or_else(|| flow.versions.get(&flow.latest()));
            if let Some(after) = after {
                differences = comparing::compare(before.map(|own| &**own), after)?;
            }
            Ok(imported)
        })?;
        Ok(Written {
            version: number,
            tag,
            report,
            differences,
        })
    }

    fn imported(
        &self,
        workspace: &Workspace,
        project: &str,
        flow: Node,
    ) -> Result<import::Imported, StoreError> {
        let file = table([
            (FORMAT_MEMBER, text(FORMAT)),
            ("project", text(project)),
            ("flows", Node::List(vec![flow])),
        ]);
        let files = import::file_of(SOURCE, file);
        Ok(import::import(workspace, files, &self.ambient)?)
    }

    fn author_flow(
        &self,
        work: impl FnOnce(&Workspace) -> Result<import::Imported, StoreError>,
    ) -> Result<ImportReport, StoreError> {
        self.author(|workspace| {
            let import::Imported {
                workspace,
                writes,
                report,
            } = work(workspace)?;
            Ok((workspace, writes, report))
        })
    }
}

/// Members of a version that say where it comes from.
const HISTORY: [&str; 4] = ["number", "message", "author", "created"];

pub(super) fn known<'w>(workspace: &'w Workspace, sid: &str) -> Result<&'w Flow, FlowError> {
    let flow = workspace.flows.get(sid);
    flow.ok_or_else(|| FlowError::Unknown(sid.to_owned()))
}

/// The version that is meant.
fn version(flow: &Flow, which: Which) -> Result<&Arc<AuthoredVersion>, FlowError> {
    let number = match which {
        Which::Draft => Some(0),
        Which::Latest => Some(flow.latest()).filter(|number| *number > 0),
        Which::Number(number) => Some(number),
    };
    let found = number.and_then(|number| flow.versions.get(&number));
    found.ok_or_else(|| {
        let there = flow.versions.keys().map(|number| match number {
            0 => "draft".to_owned(),
            number => number.to_string(),
        });
        let there: Vec<String> = there.collect();
        FlowError::UnknownVersion {
            flow: flow.sid.clone(),
            found: which.to_string(),
            expected: match there.is_empty() {
                true => "none: nothing was written yet".to_owned(),
                false => format!("one of {}", there.join(", ")),
            },
        }
    })
}

/// Refuses to write over what somebody else wrote.
fn refuse_changed(
    terms: &Terms,
    sid: &str,
    read: Option<&AuthoredVersion>,
) -> Result<(), StoreError> {
    let Some(found) = &terms.tag else {
        return Ok(());
    };
    let expected = text_of(read)?.tag;
    if *found == expected {
        return Ok(());
    }
    Err(FlowError::Changed {
        flow: sid.to_owned(),
        version: match read.map_or(0, |own| own.part.number) {
            0 => "the draft".to_owned(),
            number => format!("version {number}"),
        },
        found: found.clone(),
        expected,
    }
    .into())
}

/// A version as text; what is not there yet has an empty tag, as anything else.
fn text_of(version: Option<&AuthoredVersion>) -> Result<VersionText, StoreError> {
    let Some(version) = version else {
        return Ok(VersionText::default());
    };
    let text = export::version(version)?;
    let mut tag = sha256_hex(text.as_bytes());
    tag.truncate(TAG_DIGITS);
    Ok(VersionText { text, tag })
}

/// Whether they differ in nothing but number, history and migration.
fn says_the_same(one: &AuthoredVersion, other: &AuthoredVersion) -> bool {
    let plain = |version: &AuthoredVersion| VersionPart {
        number: 0,
        migration: None,
        ..version.part.clone()
    };
    plain(one) == plain(other) && one.webhooks == other.webhooks
}

/// How much of the draft no version has; none when one has all of it.
fn unsaved(flow: &Flow, draft: &AuthoredVersion) -> Option<usize> {
    let committed = || flow.versions.iter().filter(|(number, _)| **number > 0);
    if committed().any(|(_, version)| says_the_same(version, draft)) {
        return None;
    }
    let changes = committed().map(|(_, version)| {
        let differences = comparing::compare(Some(version), draft);
        differences.map_or(1, |all| all.len())
    });
    Some(changes.min().unwrap_or(draft.part.blocks.len()).max(1))
}

/// What uses a flow, and how that is ended.
fn uses(workspace: &Workspace, flow: &Flow) -> Vec<String> {
    let deployments = workspace.deployments.values();
    let deployed = deployments
        .filter(|own| own.flow_uid == flow.uid)
        .map(|own| format!("deployment {:?} serves it (delete that first)", own.name));
    let others = workspace.flows.values().filter(|own| own.uid != flow.uid);
    let triggering = others.filter(|own| {
        let mut blocks = own
            .versions
            .values()
            .flat_map(|version| &version.part.blocks);
        blocks.any(|block| {
            let trigger = block.trigger.as_ref();
            trigger.is_some_and(|trigger| trigger.flow_sid == flow.sid)
        })
    });
    let triggered = triggering.map(|own| format!("flow {:?} triggers it", own.sid));
    let enabled = workspace.environments.iter();
    let enabled = enabled
        .filter(|own| flow.latest() > 0 && flow.enabled_in(&own.uid))
        .map(|own| format!("it is enabled in {} (disable it there)", own.name));
    deployed.chain(triggered).chain(enabled).collect()
}

fn names<'n>(names: impl Iterator<Item = &'n String>) -> String {
    let names: Vec<&str> = names.map(String::as_str).collect();
    names.join(", ")
}

fn text(text: &str) -> Node {
    Node::Text(text.to_owned())
}

fn table(members: impl IntoIterator<Item = (&'static str, Node)>) -> Node {
    let members = members.into_iter();
    Node::Table(
        members
            .map(|(name, node)| (name.to_owned(), node))
            .collect(),
    )
}

/// The one table of a text.
fn node(text: &str) -> Result<Node, FlowError> {
    let nodes = parse(text, &Budget::default()).map_err(FlowError::Text)?;
    match <[Node; 1]>::try_from(nodes) {
        Ok([node @ Node::Table(_)]) => Ok(node),
        Ok([other]) => {
            let found = other.kind();
            let text = format!("found {found} (expected a table with entry, blocks and paths)");
            Err(FlowError::Text(text))
        }
        Err(nodes) => Err(FlowError::Text(format!(
            "found {} documents (expected one)",
            nodes.len()
        ))),
    }
}
