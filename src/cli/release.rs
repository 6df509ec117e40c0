//! How is a release let through that edges hold back?
//!
//! A guarded edge holds a release that turns away too many of those it serves
//! now. Whoever looked at it and means it says so here: the store signs it, and
//! every edge that holds this very release puts it in force.

use clap::Subcommand;
use serde_json::json;

use super::{
    admin::Change,
    console::Console,
    failure::{Failure, Outcome},
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
        change: Change,
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
        change,
    } = command;
    let number = version.to_string();
    let path = ["environments", &environment, "releases", &number, "confirm"];
    let answer = change.author(variables)?.post(&path, &json!({}))?;
    let revision = answer["revision"].as_str().unwrap_or_default();
    let line = format!("confirmed: release {version} of {environment}, at revision {revision}");
    change.told(console, &answer, &line)?;
    Ok(Outcome::Done)
}
