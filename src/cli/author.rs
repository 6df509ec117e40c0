//! How do project files get into a store, and out of it again?
//!
//! `import` sends files as they are; the store judges all of them together and
//! takes all or nothing. `export` prints the same format, so that the two in a
//! row change nothing.

use std::{collections::BTreeMap, io::Read, path::PathBuf};

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::{
    admin::{Admin, Change, Target},
    console::Console,
    failure::{Failure, Outcome},
    table::{self, Output},
};
use crate::{config::Variables, store::SourceFile};

/// Arguments of `flowgate import`.
#[derive(Debug, Args)]
pub(super) struct ImportArguments {
    /// Project files, YAML or JSON; `-` is standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Form of the files.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Where to put flags of an Unleash document that is of one environment
    /// [default: the one it names].
    #[arg(long, value_name = "ENV")]
    environment: Option<String>,
    /// An environment of an Unleash export, and what it is called here. Can be
    /// given several times.
    #[arg(long, value_name = "THEIRS=OURS", value_parser = renamed)]
    map_environment: Vec<(String, String)>,
    #[command(flatten)]
    change: Change,
}

/// Arguments of `flowgate export`.
#[derive(Debug, Args)]
pub(super) struct ExportArguments {
    /// Only what concerns one environment.
    #[arg(long, value_name = "ENV")]
    environment: Option<String>,
    #[command(flatten)]
    target: Target,
}

/// Forms of files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Our own.
    #[default]
    Project,
    /// An Unleash export.
    Unleash,
}

/// `flowgate import`.
pub(super) fn import(
    arguments: &ImportArguments,
    variables: &Variables,
    console: &mut Console,
) -> Result<Outcome, Failure> {
    let is_told_where = arguments.environment.is_some() || !arguments.map_environment.is_empty();
    if arguments.format == Format::Project && is_told_where {
        return Err(Failure::usage(
            "found --environment or --map-environment with project files, which name their \
             environments",
        )
        .mend("Unleash exports are: --format unleash"));
    }
    let files: Result<Vec<Value>, Failure> = arguments.files.iter().map(read_file).collect();
    let mut body = json!({"files": files?});
    let author = arguments.change.author(variables)?;
    let answer = match arguments.format {
        Format::Project => author.post(&["import"], &body)?,
        Format::Unleash => {
            let environments: BTreeMap<_, _> = arguments.map_environment.iter().cloned().collect();
            body["environment"] = json!(arguments.environment);
            body["environments"] = json!(environments);
            author.post(&["import", "unleash"], &body)?
        }
    };
    report(console, &arguments.change, &answer)?;
    Ok(Outcome::Done)
}

/// `flowgate export`.
pub(super) fn export(
    arguments: &ExportArguments,
    variables: &Variables,
    console: &mut Console,
) -> Result<Outcome, Failure> {
    let environment = arguments.environment.iter();
    let query: Vec<_> = environment.map(|e| ("environment", e.as_str())).collect();
    let text = Admin::find(&arguments.target, variables)?.get_text(&["export"], &query)?;
    console.print(&text)?;
    Ok(Outcome::Done)
}

/// Two names with a sign between them.
fn renamed(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((theirs, ours)) if !theirs.is_empty() && !ours.is_empty() => {
            Ok((theirs.to_owned(), ours.to_owned()))
        }
        _ => Err(format!(
            "found {text:?}, expected two names such as default=production"
        )),
    }
}

/// A project file as it is sent.
fn read_file(path: &PathBuf) -> Result<Value, Failure> {
    project_file(path).map(|file| json!(file))
}

/// A project file by its path.
pub(super) fn project_file(path: &PathBuf) -> Result<SourceFile, Failure> {
    let mut text = String::new();
    let read = if path.as_os_str() == "-" {
        std::io::stdin().read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|mut file| file.read_to_string(&mut text))
    };
    read.map_err(|error| {
        Failure::undone(format!("{} cannot be read as text", path.display())).because(&error)
    })?;
    Ok(SourceFile {
        name: path.display().to_string(),
        content: text,
    })
}

fn report(console: &mut Console, change: &Change, answer: &Value) -> Result<(), Failure> {
    if change.output == Output::Json {
        return table::json(console, answer);
    }
    let columns = [
        ("kind", "CHANGE"),
        ("sid", "OF"),
        ("version", "VERSION"),
        ("environment", "ENVIRONMENT"),
        ("deployment", "DEPLOYMENT"),
    ];
    let changes = answer["changes"].as_array().map(Vec::as_slice);
    let changes = changes.unwrap_or_default();
    if changes.is_empty() {
        return console.line("nothing to change");
    }
    table::print(console, Output::Table, &columns, changes)?;
    console.notices(answer, &["file", "position"])?;
    if change.is_dry() {
        return change.told(console, answer, "imported; nothing was changed");
    }
    let revisions = answer["revisions"].as_object().into_iter().flatten();
    let revisions: Vec<String> = revisions
        .map(|(environment, revision)| {
            format!("{environment} {}", revision.as_str().unwrap_or("?"))
        })
        .collect();
    console.line(&format!(
        "imported; revisions in force: {}",
        revisions.join(", ")
    ))
}
