//! What is known of groups, and how is it erased?
//!
//! Lists groups with their properties, shows one, erases one. That users name
//! a group stays with the users.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    admin::{Admin, Change, Target},
    console::Console,
    failure::{Failure, Outcome},
    table::{self, Output},
};
use crate::config::Variables;

/// `flowgate group …`.
#[derive(Debug, Subcommand)]
pub(super) enum GroupCommand {
    /// List groups, in the order of their ids.
    List {
        #[command(flatten)]
        place: Place,
    },
    /// Show one.
    Show {
        /// Group id.
        group: String,
        #[command(flatten)]
        place: Place,
    },
    /// Erase what is known of one; late records bring nothing back.
    Erase {
        /// Group id.
        group: String,
        /// Which environment's.
        #[arg(long, value_name = "ENV", default_value = "development")]
        environment: String,
        #[command(flatten)]
        change: Change,
    },
}

/// Where they are.
#[derive(Args, Debug)]
pub(super) struct Place {
    /// Which environment's.
    #[arg(long, value_name = "ENV", default_value = "development")]
    environment: String,
    #[command(flatten)]
    target: Target,
    /// Table or JSON.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// Runs one of them.
pub(super) fn run(
    command: GroupCommand,
    variables: &Variables,
    console: &mut Console,
) -> Result<Outcome, Failure> {
    match command {
        GroupCommand::List { place } => list(&place, variables, console),
        GroupCommand::Show { group, place } => {
            let path = ["environments", &*place.environment, "groups", &*group];
            let found = Admin::find(&place.target, variables)?.get(&path, &[])?;
            if found["created_ms"].is_null() {
                console.complain(&format!(
                    "group {group:?} is not known in environment {}",
                    place.environment
                ));
                return Ok(Outcome::NotSo);
            }
            match place.output {
                Output::Json => table::json(console, &found)?,
                Output::Table => tell(console, &[row(&found["identifier"], &found["properties"])])?,
            }
            Ok(Outcome::Done)
        }
        GroupCommand::Erase {
            group,
            environment,
            change,
        } => {
            // Nobody is asked before it is known whom to tell.
            let author = change.author(variables)?;
            let question = format!("erase all that is known of group {group} in {environment}?");
            if change.is_declined(console, &question)? {
                console.line("nothing was erased")?;
                return Ok(Outcome::NotSo);
            }
            let path = ["environments", &*environment, "groups", &*group];
            let gone = author.change(Method::DELETE, &path, &[], None)?;
            let line = match gone["known"] == true {
                true => format!("erased {group}"),
                false => format!(
                    "erased {group}, which nobody knows (what edges still ship of it is dropped)"
                ),
            };
            change.told(console, &gone, &line)?;
            Ok(Outcome::Done)
        }
    }
}

fn list(place: &Place, variables: &Variables, console: &mut Console) -> Result<Outcome, Failure> {
    let admin = Admin::find(&place.target, variables)?;
    let path = ["environments", &*place.environment, "users"];
    let found = admin.list(&path, &[("kind", "groups")], "lines")?;
    if place.output == Output::Json {
        table::json(console, &found)?;
        return Ok(Outcome::Done);
    }
    let lines = found.as_array().into_iter().flatten();
    let rows: Vec<Value> = lines
        .map(|own| row(&own["group"], &own["properties"]))
        .collect();
    tell(console, &rows)?;
    Ok(Outcome::Done)
}

fn row(group: &Value, properties: &Value) -> Value {
    let properties = properties.as_object().into_iter().flatten();
    let properties = properties.map(|(name, value)| format!("{name} = {value}"));
    json!({"group": group, "properties": properties.collect::<Vec<_>>()})
}

fn tell(console: &mut Console, rows: &[Value]) -> Result<(), Failure> {
    let columns = [("group", "GROUP"), ("properties", "PROPERTIES")];
    table::print(console, Output::Table, &columns, rows)
}
