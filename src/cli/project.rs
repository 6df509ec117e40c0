//! Which projects does a store have, and where are they active?
//!
//! Lists, shows, makes, changes and deletes projects. In an environment where a
//! project is not active nothing of it is seen.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    admin::{Admin, Target},
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
    Show(Which),
    /// Make a project.
    Create {
        #[command(flatten)]
        which: Which,
        /// Its name, for people [default: the sid].
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        /// Where it is active [default: in all environments, those of the
        /// future included].
        #[arg(long, value_delimiter = ',', value_name = "ENV,…")]
        environments: Option<Vec<String>>,
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

/// One project of a store.
#[derive(Debug, Args)]
pub(super) struct Which {
    /// The project.
    #[arg(value_name = "SID")]
    project: String,
    #[command(flatten)]
    target: Target,
    /// Table or JSON.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
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
            let answer = Admin::find(&target, variables)?.get(&["projects"], &[])?;
            list(console, output, &answer)?;
        }
        ProjectCommand::Show(which) => {
            let answer = which.read(&Admin::find(&which.target, variables)?)?;
            which.told(console, &answer)?;
            if which.output == Output::Table {
                let flows = answer["flows"].as_array().into_iter().flatten();
                let flows: Vec<&str> = flows.filter_map(Value::as_str).collect();
                console.line(&format!("flows: {}", flows.join(", ")))?;
            }
        }
        ProjectCommand::Create {
            which,
            name,
            environments,
        } => {
            let body = json!({"sid": which.project, "name": name, "environments": environments});
            let answer = Admin::find(&which.target, variables)?.post(&["projects"], &body)?;
            which.told(console, &answer)?;
        }
        ProjectCommand::Set {
            which,
            name,
            environments,
            everywhere,
            activate,
            deactivate,
        } => {
            let admin = Admin::find(&which.target, variables)?;
            let mut body = json!({});
            if let Some(name) = name {
                body["name"] = json!(name);
            }
            if everywhere {
                body["environments"] = Value::Null;
            } else if let Some(environments) = environments {
                body["environments"] = json!(environments);
            } else if !activate.is_empty() || !deactivate.is_empty() {
                let before = which.read(&admin)?;
                body["environments"] = json!(moved(&before, &activate, &deactivate));
            }
            if body == json!({}) {
                return Err(Failure::usage("nothing to set was given").mend(
                    "give --name, --environments, --everywhere, --activate or --deactivate",
                ));
            }
            let path = ["projects", &*which.project];
            let answer = admin.change(Method::PATCH, &path, &[], Some(&body))?;
            which.told(console, &answer)?;
        }
        ProjectCommand::Delete(which) => {
            let admin = Admin::find(&which.target, variables)?;
            admin.change(Method::DELETE, &["projects", &which.project], &[], None)?;
            match which.output {
                Output::Json => table::json(console, &json!({"deleted": which.project}))?,
                Output::Table => console.line(&format!("deleted: {}", which.project))?,
            }
        }
    }
    Ok(Outcome::Done)
}

impl Which {
    fn read(&self, admin: &Admin) -> Result<Value, Failure> {
        admin.get(&["projects", &self.project], &[])
    }

    fn told(&self, console: &mut Console, answer: &Value) -> Result<(), Failure> {
        match self.output {
            Output::Json => table::json(console, answer),
            Output::Table => list(console, Output::Table, &json!([answer])),
        }
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
