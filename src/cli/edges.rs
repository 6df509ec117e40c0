//! Which edges does a store hear of, and which need a look?
//!
//! The list is what edges said last about themselves, with a mark on those
//! that are behind, silent, stale, too far apart, hold a release back, or take
//! no steps.

use clap::Args;
use serde_json::Value;

use super::{
    admin::{Admin, Target},
    console::Console,
    failure::{Failure, Outcome},
    table::{self, Output},
};
use crate::config::Variables;

/// Arguments of `flowgate edges`.
#[derive(Debug, Args)]
pub(super) struct EdgesArguments {
    /// Only of this environment.
    #[arg(long, value_name = "ENV")]
    environment: Option<String>,
    #[command(flatten)]
    target: Target,
    /// Table or JSON.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// `flowgate edges`.
pub(super) fn edges(
    arguments: &EdgesArguments,
    variables: &Variables,
    console: &mut Console,
) -> Result<Outcome, Failure> {
    let admin = Admin::find(&arguments.target, variables)?;
    let query = arguments.environment.as_deref();
    let query: Vec<(&str, &str)> = query
        .map(|name| ("environment", name))
        .into_iter()
        .collect();
    let Value::Array(mut rows) = admin.list(&["edges"], &query, "edges")? else {
        return Err(Failure::undone("the store's answer is not a list of edges"));
    };
    if arguments.output == Output::Table {
        for row in &mut rows {
            let seen = row["seen_s"].as_u64().unwrap_or_default();
            row["seen"] = format!("{seen} s ago").into();
        }
    }
    let columns = [
        ("environment", "ENVIRONMENT"),
        ("edge", "EDGE"),
        ("address", "ADDRESS"),
        ("version", "VERSION"),
        ("revision", "REVISION"),
        ("current", "IN FORCE"),
        ("held", "HELD"),
        ("state", "STATE"),
        ("backlog_records", "BACKLOG"),
        ("seen", "SEEN"),
        ("why", "STRAGGLER"),
    ];
    table::print(console, arguments.output, &columns, &rows)?;
    Ok(Outcome::Done)
}
