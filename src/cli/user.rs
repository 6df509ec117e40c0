//! Where does one user stand, and who are all of them?
//!
//! Shows what the ledger has of a user, flow by flow; takes and gives users as
//! lines of a file (see `users_file`). What an edge has not shipped yet is not
//! in it.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{
    admin::{Admin, Target},
    console::Console,
    failure::{Failure, Outcome},
    table::{self, Output},
    users_file,
};
use crate::{
    config::Variables,
    progress::event::{BlockStateDocument, UserDocument},
};

/// `flowgate user …`.
#[derive(Debug, Subcommand)]
pub(super) enum UserCommand {
    /// Show a user's properties and the state of every flow visited.
    Show(ShowArguments),
    /// Bring users and groups with their properties in, from lines of JSON.
    Import(users_file::ImportArguments),
    /// Print users and groups with their properties, as lines of JSON.
    Export(users_file::ExportArguments),
}

/// Arguments of `flowgate user show`.
#[derive(Args, Debug)]
pub(super) struct ShowArguments {
    /// User id.
    user: String,
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
    command: UserCommand,
    variables: &Variables,
    console: &mut Console,
) -> Result<Outcome, Failure> {
    match command {
        UserCommand::Show(arguments) => show(&arguments, variables, console),
        UserCommand::Import(arguments) => users_file::import(&arguments, variables, console),
        UserCommand::Export(arguments) => users_file::export(&arguments, variables, console),
    }
}

fn show(
    arguments: &ShowArguments,
    variables: &Variables,
    console: &mut Console,
) -> Result<Outcome, Failure> {
    let (user, environment) = (&arguments.user, &arguments.environment);
    let admin = Admin::find(&arguments.target, variables)?;
    let answer = admin.get(&["users", user], &[("environment", environment)])?;
    let document: UserDocument = serde_json::from_value(answer.clone()).map_err(|error| {
        Failure::undone("the store's answer is not a user document").because(&error)
    })?;
    if document.doc_rev == 0 {
        console.complain(&format!(
            "user {user:?} is not known in environment {environment}"
        ));
        return Ok(Outcome::NotSo);
    }
    if arguments.output == Output::Json {
        table::json(console, &answer)?;
    } else {
        print(console, &document, &answer)?;
    }
    Ok(Outcome::Done)
}

/// A flow or block as people know it, where the store knows it.
fn named(answer: &Value, uid: &str) -> String {
    match answer["sid"].as_str() {
        Some(sid) => format!("{sid} ({uid})"),
        None => uid.to_owned(),
    }
}

fn print(console: &mut Console, user: &UserDocument, answer: &Value) -> Result<(), Failure> {
    let time = |ms: Option<u64>| ms.map(table::time).unwrap_or_default();
    console.line(&format!(
        "user {} (document {}), first seen {}, identified {}",
        user.identifier,
        user.doc_rev,
        time(user.created_ms),
        time(user.updated_ms)
    ))?;
    for (name, value) in &user.properties {
        console.line(&format!("  {name} = {value}"))?;
    }
    let rows: Vec<Value> = user
        .flows
        .iter()
        .enumerate()
        .map(|(at, flow)| {
            let answer = &answer["flows"][at];
            let with = |wanted: fn(&BlockStateDocument) -> bool| {
                let blocks = flow.blocks.iter().enumerate();
                blocks
                    .filter(|(_, block)| wanted(block))
                    .map(|(at, block)| named(&answer["blocks"][at], &block.block))
                    .collect::<Vec<_>>()
            };
            json!({
                "flow": named(answer, &flow.flow), "version": flow.version, "generation": flow.generation,
                "state": state(flow.started, flow.stopped, flow.finished),
                "active": with(|block| block.active), "exited": with(|block| block.exited),
            })
        })
        .collect();
    let columns = [
        ("flow", "FLOW"),
        ("version", "VERSION"),
        ("generation", "GENERATION"),
        ("state", "STATE"),
        ("active", "ACTIVE BLOCKS"),
        ("exited", "LEFT"),
    ];
    table::print(console, Output::Table, &columns, &rows)
}

fn state(started: bool, stopped: bool, finished: bool) -> &'static str {
    match (started, stopped, finished) {
        (_, _, true) => "finished",
        (_, true, false) => "stopped",
        (true, false, false) => "started",
        (false, false, false) => "not started",
    }
}
