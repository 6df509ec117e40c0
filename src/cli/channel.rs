//! Where do requests come from, and what do they carry?
//!
//! Lists channels and says what one is: whether one deployment talks on it at
//! a time, and which attributes its requests have. A rule that asks for
//! another attribute is told of, because it was perhaps mistyped.

use clap::Subcommand;
use reqwest::Method;
use serde_json::json;

use super::{
    admin::{Admin, Target},
    console::Console,
    failure::{Failure, Outcome},
    table::{self, Output},
};
use crate::config::Variables;

/// `flowgate channel …`.
#[derive(Debug, Subcommand)]
pub(super) enum ChannelCommand {
    /// List channels that were described, or are deployed on.
    List {
        #[command(flatten)]
        target: Target,
        /// Table or JSON.
        #[arg(long, value_enum, default_value_t)]
        output: Output,
    },
    /// Say what a channel is; replaces what was said before.
    Set {
        /// Such as web or intercom:acme.
        #[arg(value_name = "CHANNEL")]
        name: String,
        /// One deployment is active on it at a time, as for conversations.
        #[arg(long)]
        exclusive: bool,
        /// An attribute that its requests carry; may be given several times.
        #[arg(long = "attribute", value_name = "NAME")]
        attributes: Vec<String>,
        #[command(flatten)]
        target: Target,
        /// Table or JSON.
        #[arg(long, value_enum, default_value_t)]
        output: Output,
    },
}

const COLUMNS: [(&str, &str); 4] = [
    ("name", "CHANNEL"),
    ("exclusive", "EXCLUSIVE"),
    ("attributes", "ATTRIBUTES"),
    ("deployments", "DEPLOYMENTS"),
];

/// Runs one of them.
pub(super) fn run(
    command: ChannelCommand,
    variables: &Variables,
    console: &mut Console,
) -> Result<Outcome, Failure> {
    match command {
        ChannelCommand::List { target, output } => {
            let answer = Admin::find(&target, variables)?.get(&["channels"], &[])?;
            let rows = answer.as_array().cloned().unwrap_or_default();
            table::print(console, output, &COLUMNS, &rows)?;
        }
        ChannelCommand::Set {
            name,
            exclusive,
            attributes,
            target,
            output,
        } => {
            let body = json!({"exclusive": exclusive, "attributes": attributes});
            let admin = Admin::find(&target, variables)?;
            let answer = admin.change(Method::PUT, &["channels", &name], &[], Some(&body))?;
            match output {
                Output::Json => table::json(console, &answer)?,
                Output::Table => table::print(console, output, &COLUMNS, &[answer])?,
            }
        }
    }
    Ok(Outcome::Done)
}
