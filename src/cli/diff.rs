//! What would change for an edge that goes from one snapshot to the other?
//!
//! Two packs, data folders or folders of snapshot files, signed or only built,
//! compared by what they say: flows, versions, deployments, keys and settings.
//! With a trust root both are verified first; without one only the hashes are.
//! Ends with 1 when there is a difference.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use clap::Args;
use serde_json::{Value, json};

use super::{
    archive::{self, judge},
    console::Console,
    failure::{Failure, Outcome},
    table::{self, Output},
};
use crate::{
    clock::{Ambient, UnixMs},
    limits,
    snapshot::{
        parts::{self, Content},
        wire::{ControlDocument, KeyPart},
    },
    store::offline::SnapshotFolder,
};

/// Arguments of `flowgate snapshot diff`.
#[derive(Debug, Args)]
pub(super) struct DiffArguments {
    /// The one before: a pack, an edge's data folder, or a folder of snapshot
    /// files.
    #[arg(value_name = "A")]
    before: PathBuf,
    /// The one after. Of a folder that was built and not signed, what was
    /// built.
    #[arg(value_name = "B")]
    after: PathBuf,
    /// Verify both against this root first.
    #[arg(long, value_name = "FILE")]
    trust_root: Option<PathBuf>,
    /// Only this environment.
    #[arg(long, value_name = "ENV")]
    environment: Option<String>,
    /// Table or JSON.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// What one side says of one environment: kind and name of each thing, and
/// its members.
type Things = BTreeMap<(&'static str, String), BTreeMap<String, String>>;

/// `flowgate snapshot diff`.
pub(super) fn diff(arguments: &DiffArguments, console: &mut Console) -> Result<Outcome, Failure> {
    let root = arguments.trust_root.as_ref();
    let root = root.map(|path| archive::read(path, limits::DOCUMENT_BYTES_MAX));
    let root = root.transpose()?;
    let only = arguments.environment.as_deref();
    let now = Ambient::system().now_ms();
    let before = side(&arguments.before, only, root.as_deref(), now)?;
    let after = side(&arguments.after, only, root.as_deref(), now)?;
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let mut rows = Vec::new();
    for name in names {
        match (before.get(name), after.get(name)) {
            (Some(one), Some(other)) => rows.extend(differences(name, one, other)),
            (one, _) => {
                let change = if one.is_some() { "removed" } else { "added" };
                rows.push(json!({"environment": name, "kind": "environment", "name": name, "change": change}));
            }
        }
    }
    let columns = [
        ("environment", "ENVIRONMENT"),
        ("change", "CHANGE"),
        ("kind", "KIND"),
        ("name", "NAME"),
        ("details", "DETAILS"),
    ];
    if rows.is_empty() && arguments.output == Output::Table {
        console.line("no difference")?;
    } else {
        table::print(console, arguments.output, &columns, &rows)?;
    }
    if root.is_none() {
        console.complain_as_is("not verified: no --trust-root was given\n");
    }
    Ok(match rows.is_empty() {
        true => Outcome::Done,
        false => Outcome::NotSo,
    })
}

/// Every environment of one side, by name.
fn side(
    path: &Path,
    only: Option<&str>,
    root: Option<&[u8]>,
    now: UnixMs,
) -> Result<BTreeMap<String, Things>, Failure> {
    let mut found = BTreeMap::new();
    for (place, candidate) in archive::find(path, only)? {
        let refused = |rule: &str, words: &str| {
            Failure::undone(format!("{place} is refused ({rule}): {words}"))
        };
        let candidate = candidate.map_err(|r| refused(r.rule, &r.words))?;
        let (content, control) = match root {
            Some(root) => {
                let judged = judge(&candidate, root, now).map_err(|r| refused(r.rule, &r.words))?;
                let control = judged.checked.control.document().clone();
                (judged.checked.content, control)
            }
            None => archive::unverified(&candidate).map_err(|r| refused(r.rule, &r.words))?,
        };
        let name = control.environment.clone();
        found.insert(name, things(&content, &control));
    }
    if root.is_none() && SnapshotFolder::is_at(path) {
        for (name, things) in built(path, only)? {
            found.entry(name).or_insert(things);
        }
    }
    if found.is_empty() {
        return Err(
            Failure::undone(format!("there is no snapshot in {}", path.display())).mend(
                "expected a pack, an edge's data folder, or a folder of snapshot files (signed, where --trust-root is given)",
            ),
        );
    }
    Ok(found)
}

/// What was built in a folder and may not be signed.
fn built(path: &Path, only: Option<&str>) -> Result<Vec<(String, Things)>, Failure> {
    let folder = SnapshotFolder::at(path);
    let failed = |error: &(dyn std::error::Error + 'static)| {
        Failure::undone(format!("{} cannot be compared", path.display())).because(error)
    };
    let mut all = Vec::new();
    for name in folder.environments().map_err(|error| failed(&error))? {
        if only.is_some_and(|only| only != name) {
            continue;
        }
        let Some(built) = folder.content(&name).map_err(|error| failed(&error))? else {
            continue;
        };
        let blobs = folder.blobs(&name, &built.index);
        let blobs = blobs.map_err(|error| failed(&error))?;
        let find = |sha256: &str| blobs.get(sha256).map(Vec::as_slice);
        let content = parts::resolve_index(&built.index, find, limits::SNAPSHOT_BYTES_MAX);
        let content = content.map_err(|error| failed(&error))?;
        let control = ControlDocument {
            disabled_flows: built.disabled_flows,
            inactive_deployments: built.inactive_deployments,
            ..ControlDocument::default()
        };
        all.push((name, things(&content, &control)));
    }
    Ok(all)
}

/// Everything there is, by what people call it.
fn things(content: &Content, control: &ControlDocument) -> Things {
    let mut things = Things::new();
    let mut put = |kind, name: String, members: Vec<(&str, String)>| {
        let members = members.into_iter();
        let members = members.map(|(member, value)| (member.to_owned(), value));
        things.insert((kind, name), members.collect());
    };
    let sid = |uid: &str| {
        let flow = content.flows.iter().find(|flow| flow.uid == uid);
        flow.map_or(uid, |flow| &flow.sid).to_owned()
    };
    for flow in &content.flows {
        let enabled = flow.enabled && !control.disabled_flows.contains(&flow.uid);
        let members = vec![
            ("uid", flow.uid.clone()),
            ("name", flow.name.clone()),
            ("project", flow.project.clone()),
            ("enabled", enabled.to_string()),
            ("refusePublicForce", flow.refuse_public_force.to_string()),
            ("deploymentsOnly", flow.deployments_only.to_string()),
        ];
        put("flow", flow.sid.clone(), members);
    }
    for (sha256, version) in &content.versions {
        let name = format!("{} {}", sid(&version.flow_uid), version.number);
        put("version", name, vec![("content", sha256.clone())]);
    }
    for deployment in &content.deployments {
        let active = !control.inactive_deployments.contains(&deployment.uid);
        let members = vec![
            ("uid", deployment.uid.clone()),
            ("flow", sid(&deployment.flow_uid)),
            ("channel", deployment.channel.clone()),
            ("policy", text(&deployment.policy)),
            ("rollout", text(&deployment.rollout)),
            ("onVersionChange", text(&deployment.on_version_change)),
            ("active", active.to_string()),
        ];
        put("deployment", deployment.name.clone(), members);
    }
    for key in &content.keys {
        let revoked = control.revoked_keys.contains(&key.sha256);
        let members = vec![
            ("projects", key.projects.join(",")),
            ("channel", key.channel.clone().unwrap_or_default()),
            ("revoked", revoked.to_string()),
        ];
        put("key", key_name(key), members);
    }
    let settings = &content.settings;
    let members = vec![
        ("type", text(&settings.environment_type)),
        ("drafts", settings.drafts.to_string()),
        ("channels", text(&settings.channels)),
    ];
    put("settings", "settings".to_owned(), members);
    for (part, why) in &content.broken {
        put("broken part", part.clone(), vec![("why", why.clone())]);
    }
    things
}

/// Several secrets may share a name; the start of the hash tells them apart.
fn key_name(key: &KeyPart) -> String {
    let start = key.sha256.get(..8).unwrap_or_default();
    format!("{}:{} {start}", key.kind.name(), key.name)
}

fn text(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

fn differences(environment: &str, before: &Things, after: &Things) -> Vec<Value> {
    let names: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let row = |(kind, name): &(&str, String), change: &str, details: Vec<String>| json!({"environment": environment, "kind": kind, "name": name, "change": change, "details": details});
    let mut rows = Vec::new();
    for thing in names {
        match (before.get(thing), after.get(thing)) {
            (Some(one), Some(other)) if one == other => {}
            (Some(one), Some(other)) => {
                let changed = one
                    .iter()
                    .filter(|(member, was)| other.get(*member) != Some(was));
                let details = changed.map(|(member, was)| detail(member, was, &other[member]));
                rows.push(row(thing, "changed", details.collect()));
            }
            (Some(_), None) => rows.push(row(thing, "removed", Vec::new())),
            (None, _) => rows.push(row(thing, "added", Vec::new())),
        }
    }
    rows
}

/// Short values in full, long ones by their name alone.
fn detail(member: &str, was: &str, is: &str) -> String {
    const SHOWN: usize = 40;
    if was.len() > SHOWN || is.len() > SHOWN {
        return member.to_owned();
    }
    format!("{member}: {was} → {is}")
}
