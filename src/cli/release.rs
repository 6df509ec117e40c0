//! How is a release let through that edges hold back?
//!
//! A guarded edge holds a release that turns away too many of those it serves
//! now. Whoever looked at it and means it says so here: the store signs it, and
//! every edge that holds this very release puts it in force.

use clap::Subcommand;
use serde_json::json;

use super::{
    admin::{Admin, Target},
    console::Console,
    failure::{Failure, Outcome},
    table::{self, Output},
};
use crate::config::Variables;

/// `flowgate release …`.
#[derive(Debug, Subcommand)]
pub(super) enum ReleaseCommand {
    /// Let edges serve a release they hold back; only the newest can be.
    Confirm {
        /// The environment.
        #[arg(value_name = "ENV")]
        environment: String,
        /// The release, as the edge's /status names it.
        #[arg(value_name = "VERSION")]
        version: u64,
        #[command(flatten)]
        target: Target,
        /// Table or JSON.
        #[arg(long, value_enum, default_value_t)]
        output: Output,
    },
}

/// Runs one of them.
pub(super) fn run(
    command: ReleaseCommand,
    variables: &Variables,
    console: &mut Console,
) -> Result<Outcome, Failure> {
    let ReleaseCommand::Confirm {
        environment,
        version,
        target,
        output,
    } = command;
    let number = version.to_string();
    let path = ["environments", &environment, "releases", &number, "confirm"];
    let answer = Admin::find(&target, variables)?.post(&path, &json!({}))?;
    if output == Output::Json {
        table::json(console, &answer)?;
    } else {
        let revision = answer["revision"].as_str().unwrap_or_default();
        console.line(&format!(
            "confirmed: release {version} of {environment}, at revision {revision}"
        ))?;
    }
    Ok(Outcome::Done)
}
