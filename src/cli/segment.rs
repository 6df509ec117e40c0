//! Which segments are there, who is in them, and which flags use them?
//!
//! Lists, makes, changes and deletes segments of a store: constraints that
//! strategies of several flags share.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    admin::{Admin, Change, TaggedChange, Target},
    author::project_file,
    console::Console,
    failure::{Failure, Outcome},
    flag::{self, condition},
    table::{self, Output},
};
use crate::config::Variables;

/// `flowgate segment …`.
#[derive(Debug, Subcommand)]
pub(super) enum SegmentCommand {
    /// List segments and the flags that use them.
    List {
        #[command(flatten)]
        target: Target,
        /// Table or JSON.
        #[arg(long, value_enum, default_value_t)]
        output: Output,
    },
    /// Show a segment with its constraints.
    Show {
        /// Its name or number.
        #[arg(value_name = "NAME|ID")]
        segment: String,
        #[command(flatten)]
        target: Target,
        /// Table or JSON.
        #[arg(long, value_enum, default_value_t)]
        output: Output,
    },
    /// Make a segment.
    Create {
        /// Its name; unique.
        #[arg(value_name = "NAME")]
        segment: String,
        /// In whose files it will stand.
        #[arg(long, value_name = "SID")]
        project: String,
        /// File with the list of constraints, JSON or YAML, as in a project
        /// file; - is standard input.
        #[arg(long, value_name = "FILE")]
        constraints: PathBuf,
        /// For people.
        #[arg(long, value_name = "TEXT")]
        description: Option<String>,
        #[command(flatten)]
        change: Change,
    },
    /// Change what is given; every strategy that uses it follows.
    Set {
        /// Its name or number.
        #[arg(value_name = "NAME|ID")]
        segment: String,
        /// Another name.
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        /// File with the list of constraints.
        #[arg(long, value_name = "FILE")]
        constraints: Option<PathBuf>,
        /// For people.
        #[arg(long, value_name = "TEXT")]
        description: Option<String>,
        #[command(flatten)]
        change: TaggedChange,
    },
    /// Forget a segment that no strategy uses.
    Delete {
        /// Its name or number.
        #[arg(value_name = "NAME|ID")]
        segment: String,
        #[command(flatten)]
        change: TaggedChange,
    },
}

/// Runs one of them.
pub(super) fn run(
    command: SegmentCommand,
    variables: &Variables,
    console: &mut Console,
) -> Result<Outcome, Failure> {
    match command {
        SegmentCommand::List { target, output } => {
            let answer = Admin::find(&target, variables)?.list(&["segments"], &[], "segments")?;
            list(console, output, &answer)?;
        }
        SegmentCommand::Show {
            segment,
            target,
            output,
        } => {
            let answer = Admin::find(&target, variables)?.get_one(&["segments", &segment], &[])?;
            show(console, output, &answer)?;
        }
        SegmentCommand::Create {
            segment,
            project,
            constraints,
            description,
            change,
        } => {
            let mut body = said(Some(&constraints), description.as_deref())?;
            body["name"] = json!(segment);
            body["project"] = json!(project);
            let author = change.author(variables)?;
            let ends = (Method::POST, &["segments"][..]);
            flag::does(console, (&author, &change), ends, Some(&body))?;
        }
        SegmentCommand::Set {
            segment,
            name,
            constraints,
            description,
            change,
        } => {
            let mut body = said(constraints.as_deref(), description.as_deref())?;
            if let Some(name) = name {
                body["name"] = json!(name);
            }
            if body == json!({}) {
                return Err(Failure::usage("nothing to set was given")
                    .mend("give --constraints, --name or --description"));
            }
            let ends = (Method::PATCH, &["segments", &*segment][..]);
            let author = change.author(variables)?;
            flag::does(console, (&author, &change), ends, Some(&body))?;
        }
        SegmentCommand::Delete { segment, change } => {
            flag::delete(console, variables, &change, ("segments", &segment))?;
        }
    }
    Ok(Outcome::Done)
}

/// The members of a request that are given.
fn said(constraints: Option<&Path>, description: Option<&str>) -> Result<Value, Failure> {
    let mut body = json!({});
    if let Some(file) = constraints {
        body["constraints"] = list_in(file)?;
    }
    if let Some(description) = description {
        body["description"] = json!(description);
    }
    Ok(body)
}

/// A list of constraints, alone or under `constraints`.
fn list_in(file: &Path) -> Result<Value, Failure> {
    let given = project_file(&file.to_owned())?;
    let found: Value = serde_yaml_ng::from_str(&given.content).map_err(|error| {
        Failure::usage(format!("{} is neither YAML nor JSON", given.name)).because(&error)
    })?;
    let list = match &found {
        Value::Object(members) if members.len() == 1 => &found["constraints"],
        other => other,
    };
    if list.is_array() {
        return Ok(list.clone());
    }
    Err(Failure::usage(format!(
        "{} holds no list of constraints, expected such as \
         [{{\"contextName\":\"userId\",\"operator\":\"IN\",\"values\":[…]}}]",
        given.name
    )))
}

fn list(console: &mut Console, output: Output, answer: &Value) -> Result<(), Failure> {
    if output == Output::Json {
        return table::json(console, answer);
    }
    let mut rows = answer.as_array().cloned().unwrap_or_default();
    for row in &mut rows {
        row["count"] = json!(row["constraints"].as_array().map_or(0, Vec::len));
        row["users"] = json!(users(row));
    }
    let columns = [
        ("id", "ID"),
        ("name", "SEGMENT"),
        ("project", "PROJECT"),
        ("count", "CONSTRAINTS"),
        ("users", "USED BY"),
        ("description", "DESCRIPTION"),
    ];
    table::print(console, output, &columns, &rows)
}

fn users(row: &Value) -> String {
    let users = row["usedBy"].as_array().into_iter().flatten();
    let users: Vec<&str> = users.filter_map(Value::as_str).collect();
    match users.is_empty() {
        true => "nobody".to_owned(),
        false => users.join(", "),
    }
}

fn show(console: &mut Console, output: Output, answer: &Value) -> Result<(), Failure> {
    if output == Output::Json {
        return table::json(console, answer);
    }
    let text = |member: &str| answer[member].as_str().unwrap_or_default();
    console.line(&format!(
        "segment {} ({}) of project {}, used by {}",
        text("name"),
        answer["id"],
        text("project"),
        users(answer)
    ))?;
    for own in answer["constraints"].as_array().into_iter().flatten() {
        console.line(&format!("  {}", condition(own)))?;
    }
    Ok(())
}
