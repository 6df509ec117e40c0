//! Which projects does a store have, and where are they active?
//!
//! Lists, shows, makes, changes and deletes projects. In an environment where a
//! project is not active nothing of it is seen.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    admin::{Admin, Change, TaggedChange, Target},
    console::Console,
    failure::{Failure, Outcome},
    table::{self, Output},
};
use crate::config::Variables;

/// `flowgate project …`.
#[derive(Debug, Subcommand)]
pub(super) enum ProjectCommand {
    /// List projects and where they are active.
    List {
        #[command(flatten)]
        target: Target,
        /// Table or JSON.
        #[arg(long, value_enum, default_value_t)]
        output: Output,
    },
    /// Show a project with its flows.
    Show {
        /// The project.
        #[arg(value_name = "SID")]
        project: String,
        #[command(flatten)]
        target: Target,
        /// Table or JSON.
        #[arg(long, value_enum, default_value_t)]
        output: Output,
    },
    /// Make a project.
    Create {
        /// The project.
        #[arg(value_name = "SID")]
        project: String,
        /// Its name, for people [default: the sid].
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        /// Where it is active [default: in all environments, those of the
        /// future included].
        #[arg(long, value_delimiter = ',', value_name = "ENV,…")]
        environments: Option<Vec<String>>,
        #[command(flatten)]
        change: Change,
    },
    /// Change what is given; the rest stays.
    Set {
        #[command(flatten)]
        which: Which,
        /// Another name, for people.
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        /// Where it is active from now on, and nowhere else.
        #[arg(long, value_delimiter = ',', value_name = "ENV,…")]
        environments: Option<Vec<String>>,
        /// Make it active in all environments, those of the future included.
        #[arg(long, conflicts_with = "environments")]
        everywhere: bool,
        /// Make it active in this one, too; may be given several times.
        #[arg(long, value_name = "ENV", conflicts_with_all = ["environments", "everywhere"])]
        activate: Vec<String>,
        /// Make it active in this one no longer; may be given several times.
        #[arg(long, value_name = "ENV", conflicts_with_all = ["environments", "everywhere"])]
        deactivate: Vec<String>,
    },
    /// Forget a project that has no flows.
    Delete(Which),
}

/// One project of a store that is changed.
#[derive(Debug, Args)]
pub(super) struct Which {
    /// The project.
    #[arg(value_name = "SID")]
    project: String,
    #[command(flatten)]
    change: TaggedChange,
}

/// Columns of a listing.
const COLUMNS: [(&str, &str); 4] = [
    ("sid", "PROJECT"),
    ("active", "ACTIVE IN"),
    ("count", "FLOWS"),
    ("name", "NAME"),
];

/// Runs one of them.
pub(super) fn run(
    command: ProjectCommand,
    variables: &Variables,
    console: &mut Console,
) -> Result<Outcome, Failure> {
    match command {
        ProjectCommand::List { target, output } => {
            let answer = Admin::find(&target, variables)?.list(&["projects"], &[], "projects")?;
            list(console, output, &answer)?;
        }
        ProjectCommand::Show {
            project,
            target,
            output,
        } => {
            let answer = Admin::find(&target, variables)?.get_one(&["projects", &project], &[])?;
            told(console, output, &answer)?;
            if output == Output::Table {
                let flows = answer["flows"].as_array().into_iter().flatten();
                let flows: Vec<&str> = flows.filter_map(Value::as_str).collect();
                console.line(&format!("flows: {}", flows.join(", ")))?;
            }
        }
        ProjectCommand::Create {
            project,
            name,
            environments,
            change,
        } => {
            let body = json!({"sid": project, "name": name, "environments": environments});
            let answer = change.author(variables)?.post(&["projects"], &body)?;
            told(console, change.output, &answer)?;
            change.ends(console, &answer)?;
        }
        ProjectCommand::Set {
            which,
            name,
            environments,
            everywhere,
            activate,
            deactivate,
        } => {
            let mut author = which.change.author(variables)?;
            let path = ["projects", &*which.project];
            let mut body = json!({});
            if let Some(name) = name {
                body["name"] = json!(name);
            }
            if everywhere {
                body["environments"] = Value::Null;
            } else if let Some(environments) = environments {
                body["environments"] = json!(environments);
            } else if !activate.is_empty() || !deactivate.is_empty() {
                let before = author.store().get_one(&path, &[])?;
                author = author.resting_on(before["etag"].as_str());
                body["environments"] = json!(moved(&before, &activate, &deactivate));
            }
            if body == json!({}) {
                return Err(Failure::usage("nothing to set was given").mend(
                    "give --name, --environments, --everywhere, --activate or --deactivate",
                ));
            }
            let answer = author.change(Method::PATCH, &path, &[], Some(&body))?;
            told(console, which.change.output, &answer)?;
            which.change.ends(console, &answer)?;
        }
        ProjectCommand::Delete(which) => {
            let author = which.change.author(variables)?;
            let path = ["projects", &*which.project];
            let answer = author.change(Method::DELETE, &path, &[], None)?;
            which.change.deleted(console, &answer, &which.project)?;
        }
    }
    Ok(Outcome::Done)
}

fn told(console: &mut Console, output: Output, answer: &Value) -> Result<(), Failure> {
    match output {
        Output::Json => table::json(console, answer),
        Output::Table => list(console, Output::Table, &json!([answer])),
    }
}

/// Names of environments after some came and some went.
fn moved(before: &Value, come: &[String], gone: &[String]) -> Vec<String> {
    let names = before["environments"].as_array().into_iter().flatten();
    let names = names.filter_map(Value::as_str).map(ToOwned::to_owned);
    let mut names: Vec<String> = names.filter(|name| !gone.contains(name)).collect();
    names.extend(come.iter().filter(|name| !gone.contains(name)).cloned());
    names
}

fn list(console: &mut Console, output: Output, answer: &Value) -> Result<(), Failure> {
    if output == Output::Json {
        return table::json(console, answer);
    }
    let mut rows = answer.as_array().cloned().unwrap_or_default();
    for row in &mut rows {
        row["active"] = match row["everywhere"] == true {
            true => json!("all environments"),
            false => row["environments"].clone(),
        };
        row["count"] = json!(row["flows"].as_array().map_or(0, Vec::len));
    }
    table::print(console, output, &COLUMNS, &rows)
}
