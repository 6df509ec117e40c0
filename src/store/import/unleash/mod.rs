//! What does an Unleash server's export say, in our words?
//!
//! Three forms: the export of its admin API (features with strategies and
//! environments in lists of their own), the older export of its whole state,
//! and the document that clients get, which is of one environment. Each becomes
//! project files, and so goes through every rule of an import. What we have no
//! place for is named in notices.

mod convert;
mod export;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Faults, Files, SourceFile, read};
use crate::{
    limits,
    snapshot::wire::EnvironmentType,
    store::{project_file::Node, workspace::Workspace},
};

/// What Unleash calls the only environment of old servers.
const DEFAULT: [&str; 2] = ["default", ":global:"];

/// Where what an export says is to go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnleashTerms {
    /// The environment of a document that names none.
    pub environment: Option<String>,
    /// Names of environments there, and what they are here.
    pub environments: BTreeMap<String, String>,
}

/// Reads exports as if they were project files.
pub(in crate::store) fn read_unleash(
    workspace: &Workspace,
    files: &[SourceFile],
    terms: &UnleashTerms,
) -> Files {
    let mut faults = Faults::default();
    let mut projects = Vec::new();
    let bytes: usize = files.iter().map(|own| own.content.len()).sum();
    if bytes > limits::IMPORT_BYTES_MAX {
        let rule = format!(
            "the import has {bytes} bytes (expected at most {}; split it)",
            limits::IMPORT_BYTES_MAX
        );
        faults.add("(all)", "", rule);
        return Files { projects, faults };
    }
    if files.is_empty() {
        faults.add("(none)", "", "no file was given (expected at least one)");
    }
    for file in files {
        let document = match serde_json::from_str::<Value>(&file.content) {
            Ok(document) if document["features"].is_array() => document,
            Ok(_) => {
                let rule = "no list of features was found (expected an export of an Unleash \
                            server, or what it answers to /api/client/features)";
                faults.add(&file.name, "", rule);
                continue;
            }
            Err(error) => {
                faults.add(&file.name, "", format!("no JSON: {error}"));
                continue;
            }
        };
        let places = Places {
            workspace,
            terms,
            file: &file.name,
        };
        for node in export::projects(&document, &places, &mut faults) {
            let project = read::project(&file.name, node, &mut faults);
            projects.extend(project.map(|project| (file.name.clone(), project)));
        }
    }
    Files { projects, faults }
}

/// Which environment of ours is meant.
struct Places<'p> {
    workspace: &'p Workspace,
    terms: &'p UnleashTerms,
    file: &'p str,
}

impl Places<'_> {
    /// Ours for one of theirs; an unknown name is left for the import to refuse.
    /// Unleash's `default` was of the type production, and so is what it becomes.
    fn of(&self, theirs: &str, faults: &mut Faults) -> String {
        if let Some(ours) = self.terms.environments.get(theirs) {
            return ours.clone();
        }
        let known = self.workspace.environment(theirs).is_some();
        if known || !DEFAULT.contains(&theirs) {
            return theirs.to_owned();
        }
        let mut environments = self.workspace.environments.iter();
        let production = environments.find(|own| own.kind == EnvironmentType::Production);
        let Some(production) = production else {
            return theirs.to_owned();
        };
        let text = format!(
            "environment {theirs:?} of the export became {} (another one can be named)",
            production.name
        );
        if !faults.notices.iter().any(|own| own.rule == text) {
            faults.notice(self.file, "", text);
        }
        production.name.clone()
    }

    /// Ours for a document of one environment.
    fn only(&self, document: &Value, faults: &mut Faults) -> String {
        if let Some(given) = &self.terms.environment {
            return given.clone();
        }
        let theirs = document["query"]["environment"].as_str();
        self.of(theirs.unwrap_or(DEFAULT[0]), faults)
    }
}

/// A JSON value as if it were read from a file.
fn node(value: &Value) -> Node {
    match value {
        Value::Null => Node::Null,
        Value::Bool(value) => Node::Bool(*value),
        Value::Number(value) => Node::Number(value.clone()),
        Value::String(value) => Node::Text(value.clone()),
        Value::Array(items) => Node::List(items.iter().map(node).collect()),
        Value::Object(members) => {
            let members = members.iter();
            Node::Table(
                members
                    .map(|(name, own)| (name.clone(), node(own)))
                    .collect(),
            )
        }
    }
}
