//! How far did the runs of a flow come?
//!
//! A run is one user in one conversation, or outside of any. Tells how many
//! came to each block of a version and along each path, as the ledger stands.

use clap::Args;
use serde_json::{Value, json};

use super::{
    admin::{Admin, Target},
    console::Console,
    failure::{Failure, Outcome},
    table::{self, Output},
};
use crate::config::Variables;

/// Arguments of `flowgate flow funnel`.
#[derive(Args, Debug)]
pub(super) struct FunnelArguments {
    /// The flow.
    #[arg(value_name = "SID")]
    flow: String,
    /// The version; 0 is the draft [default: the newest].
    #[arg(long, value_name = "N")]
    version: Option<u32>,
    /// In which environment.
    #[arg(long, value_name = "ENV", default_value = "development")]
    environment: String,
    #[command(flatten)]
    target: Target,
    /// Table or JSON.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// `flowgate flow funnel`.
pub(super) fn funnel(
    arguments: &FunnelArguments,
    variables: &Variables,
    console: &mut Console,
) -> Result<Outcome, Failure> {
    let admin = Admin::find(&arguments.target, variables)?;
    let version = arguments.version.map(|number| number.to_string());
    let mut query = vec![("environment", arguments.environment.as_str())];
    query.extend(version.as_deref().map(|number| ("version", number)));
    let found = admin.get(&["flows", &arguments.flow, "funnel"], &query)?;
    if arguments.output == Output::Json {
        table::json(console, &found)?;
        return Ok(Outcome::Done);
    }
    console.line(&format!(
        "flow {}, version {} in {}: {} runs started, {} go on, {} stopped, {} finished, {} expired",
        arguments.flow,
        found["version"],
        arguments.environment,
        found["started"],
        found["running"],
        found["stopped"],
        found["finished"],
        found["expired"]
    ))?;
    let rows = |member: &str| found[member].as_array().cloned().unwrap_or_default();
    let columns = [
        ("block", "BLOCK"),
        ("kind", "KIND"),
        ("entered", "CAME"),
        ("active", "STAND"),
        ("exited", "LEFT"),
    ];
    table::print(console, Output::Table, &columns, &rows("blocks"))?;
    let columns = [
        ("from", "FROM"),
        ("names", "BY"),
        ("to", "TO"),
        ("taken", "WENT"),
    ];
    let paths: Vec<Value> = rows("paths")
        .into_iter()
        .map(|mut path| {
            if path["from"].is_null() {
                path["from"] = json!("entry");
            }
            path
        })
        .collect();
    table::print(console, Output::Table, &columns, &paths)?;
    Ok(Outcome::Done)
}
