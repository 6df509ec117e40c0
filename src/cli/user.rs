//! Where does one user stand?
//!
//! Shows what the ledger has of a user, flow by flow. What an edge has not
//! shipped yet is not in it.

use clap::Subcommand;
use serde_json::{Value, json};

use super::{
    admin::{Admin, Target},
    console::Console,
    failure::{Failure, Outcome},
    table::{self, Output},
};
use crate::{
    config::Variables,
    progress::event::{BlockStateDocument, UserDocument},
};

/// `flowgate user …`.
#[derive(Debug, Subcommand)]
pub(super) enum UserCommand {
    /// Show a user's properties and the state of every flow visited.
    Show {
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
    },
}

/// Runs one of them.
pub(super) fn run(
    command: UserCommand,
    variables: &Variables,
    console: &mut Console,
) -> Result<Outcome, Failure> {
    let UserCommand::Show {
        user,
        environment,
        target,
        output,
    } = command;
    let admin = Admin::find(&target, variables)?;
    let answer = admin.get(&["users", &user], &[("environment", &environment)])?;
    let document: UserDocument = serde_json::from_value(answer.clone()).map_err(|error| {
        Failure::undone("the store's answer is not a user document").because(&error)
    })?;
    if document.doc_rev == 0 {
        console.complain(&format!(
            "user {user:?} is not known in environment {environment}"
        ));
        return Ok(Outcome::NotSo);
    }
    if output == Output::Json {
        table::json(console, &answer)?;
    } else {
        show(console, &document, &answer)?;
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

fn show(console: &mut Console, user: &UserDocument, answer: &Value) -> Result<(), Failure> {
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
