//! Which keys does a store have?
//!
//! Creates, lists, rotates and revokes keys of applications, edges and
//! authors. A secret is shown exactly once, by the command that made it.

use clap::{Subcommand, ValueEnum};
use serde_json::{Map, Value, json};

use super::{
    admin::{Admin, Target},
    console::Console,
    failure::{Failure, Outcome},
    signing::{self, SigningCommand},
    table::{self, Output},
};
use crate::config::Variables;

/// `flowgate key …`.
#[derive(Debug, Subcommand)]
pub(super) enum KeyCommand {
    /// Make a key and print it, once.
    Create {
        /// What it may do.
        #[arg(long)]
        kind: KindName,
        /// Its environment; every kind but admin has one.
        #[arg(long, value_name = "ENV", required_unless_present = "no_environment")]
        environment: Option<String>,
        /// For admin keys, which belong to no environment.
        #[arg(long, hide = true, conflicts_with = "environment")]
        no_environment: bool,
        /// For people.
        #[arg(long)]
        name: String,
        /// Projects it may see [default: all].
        #[arg(long, value_delimiter = ',', value_name = "SID,…")]
        projects: Vec<String>,
        #[command(flatten)]
        target: Target,
        /// Table or JSON.
        #[arg(long, value_enum, default_value_t)]
        output: Output,
    },
    /// List keys, without their secrets.
    List {
        /// Only those of one environment.
        #[arg(long, value_name = "ENV")]
        environment: Option<String>,
        #[command(flatten)]
        target: Target,
        /// Table or JSON.
        #[arg(long, value_enum, default_value_t)]
        output: Output,
    },
    /// Make a second secret for a key and print it; both work for a while.
    Rotate {
        /// Id, as `key list` shows it.
        id: String,
        #[command(flatten)]
        target: Target,
        /// Table or JSON.
        #[arg(long, value_enum, default_value_t)]
        output: Output,
    },
    /// Make a key useless at once.
    Revoke {
        /// Id, as `key list` shows it.
        id: String,
        #[command(flatten)]
        target: Target,
    },
    /// Keys that sign snapshots.
    #[command(subcommand)]
    Signing(SigningCommand),
}

/// Kinds of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum KindName {
    /// Public: front ends read blocks and take steps.
    Blocks,
    /// Identify only.
    Users,
    /// Back ends: the full flag configuration.
    Client,
    /// Evaluated flags.
    Frontend,
    /// Trusted: everything of /v1.
    Server,
    /// A proxy that pulls snapshots.
    Edge,
    /// Authoring.
    Admin,
}

/// Columns of a listing.
const COLUMNS: [(&str, &str); 6] = [
    ("id", "ID"),
    ("environment", "ENVIRONMENT"),
    ("kind", "KIND"),
    ("name", "NAME"),
    ("projects", "PROJECTS"),
    ("state", "STATE"),
];

/// Runs one of them.
pub(super) fn run(
    command: KeyCommand,
    variables: &Variables,
    console: &mut Console,
) -> Result<Outcome, Failure> {
    match command {
        KeyCommand::Create {
            kind,
            environment,
            no_environment: _,
            name,
            projects,
            target,
            output,
        } => {
            let mut body = Map::new();
            body.insert("kind".into(), json!(kind_name(kind)));
            body.insert("name".into(), json!(name));
            body.insert("projects".into(), json!(projects));
            if let Some(environment) = environment {
                body.insert("environment".into(), json!(environment));
            }
            let made = Admin::find(&target, variables)?.post(&["keys"], &Value::Object(body))?;
            made_key(console, output, &made)
        }
        KeyCommand::List {
            environment,
            target,
            output,
        } => {
            let query: Vec<_> = environment
                .iter()
                .map(|e| ("environment", e.as_str()))
                .collect();
            let answer = Admin::find(&target, variables)?.get(&["keys"], &query)?;
            let keys = answer["keys"].as_array().cloned().unwrap_or_default();
            table::print(console, output, &COLUMNS, &keys)?;
            Ok(Outcome::Done)
        }
        KeyCommand::Rotate { id, target, output } => {
            let admin = Admin::find(&target, variables)?;
            let made = admin.post(&["keys", &id, "rotate"], &json!({}))?;
            made_key(console, output, &made)
        }
        KeyCommand::Revoke { id, target } => {
            Admin::find(&target, variables)?.post(&["keys", &id, "revoke"], &json!({}))?;
            console.line(&format!("revoked: {id}"))?;
            Ok(Outcome::Done)
        }
        KeyCommand::Signing(command) => signing::run(&command, console),
    }
}

fn kind_name(kind: KindName) -> String {
    kind.to_possible_value()
        .map(|value| value.get_name().to_owned())
        .unwrap_or_default()
}

/// A fresh secret: alone on standard output, so that a script can take it.
fn made_key(console: &mut Console, output: Output, made: &Value) -> Result<Outcome, Failure> {
    if output == Output::Json {
        table::json(console, made)?;
        return Ok(Outcome::Done);
    }
    let Some(secret) = made["key"].as_str() else {
        return Err(Failure::undone("the store's answer holds no key"));
    };
    console.line(secret)?;
    console.complain_as_is("this is the only time the key is shown\n");
    Ok(Outcome::Done)
}
