//! Where do requests come from, and what do they carry?
//!
//! Lists channels and says what one is: whether one deployment talks on it at
//! a time, and which attributes its requests have. A rule that asks for
//! another attribute is told of, because it was perhaps mistyped. What is not
//! named stays: a change rests on what was read.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    admin::{Admin, TaggedChange, Target},
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
    /// Show one, with its entity tag in JSON.
    Show {
        /// Such as web or intercom:acme.
        #[arg(value_name = "CHANNEL")]
        name: String,
        #[command(flatten)]
        target: Target,
        /// Table or JSON.
        #[arg(long, value_enum, default_value_t)]
        output: Output,
    },
    /// Say what a channel is; what is not named stays.
    Set(Set),
}

/// A change of a channel.
#[derive(Debug, Args)]
pub(super) struct Set {
    /// Such as web or intercom:acme.
    #[arg(value_name = "CHANNEL")]
    name: String,
    /// One deployment is active on it at a time, as for conversations.
    #[arg(long)]
    exclusive: bool,
    /// Several deployments may be active on it.
    #[arg(long, conflicts_with = "exclusive")]
    not_exclusive: bool,
    /// An attribute that its requests carry, too; may be given several times.
    #[arg(long = "attribute", value_name = "NAME")]
    attributes: Vec<String>,
    /// An attribute that they carry no longer; may be given several times.
    #[arg(long = "remove-attribute", value_name = "NAME")]
    removed: Vec<String>,
    #[command(flatten)]
    change: TaggedChange,
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
            let answer = Admin::find(&target, variables)?.list(&["channels"], &[], "channels")?;
            let rows = answer.as_array().cloned().unwrap_or_default();
            table::print(console, output, &COLUMNS, &rows)?;
        }
        ChannelCommand::Show {
            name,
            target,
            output,
        } => {
            let answer = Admin::find(&target, variables)?.get_one(&["channels", &name], &[])?;
            told(console, output, &answer)?;
        }
        ChannelCommand::Set(set) => {
            let author = set.change.author(variables)?;
            let path = ["channels", &*set.name];
            let read = author.store().get_tagged(&path, Some("unknown-channel"))?;
            // Nothing has this tag but what is not there.
            let (text, tag) = read.unwrap_or_else(|| ("{}".to_owned(), "\"\"".to_owned()));
            let before: Value = serde_json::from_str(&text).map_err(|error| {
                Failure::undone("the store's answer is not JSON").because(&error)
            })?;
            let body = set.over(&before)?;
            let author = author.resting_on(Some(&tag));
            let answer = author.change(Method::PUT, &path, &[], Some(&body))?;
            told(console, set.change.output, &answer)?;
            set.change.ends(console, &answer)?;
        }
    }
    Ok(Outcome::Done)
}

fn told(console: &mut Console, output: Output, answer: &Value) -> Result<(), Failure> {
    match output {
        Output::Json => table::json(console, answer),
        Output::Table => table::print(console, output, &COLUMNS, std::slice::from_ref(answer)),
    }
}

impl Set {
    /// What the channel is afterwards.
    fn over(&self, before: &Value) -> Result<Value, Failure> {
        let listed = before["attributes"].as_array().into_iter().flatten();
        let mut attributes: Vec<&str> = listed.filter_map(Value::as_str).collect();
        if let Some(unknown) = self
            .removed
            .iter()
            .find(|own| !attributes.contains(&own.as_str()))
        {
            return Err(Failure::undone(format!(
                "channel {} is not said to carry {unknown:?}, expected {}",
                self.name,
                match attributes.is_empty() {
                    true => "none: it carries nothing".to_owned(),
                    false => format!("one of {}", attributes.join(", ")),
                }
            )));
        }
        attributes.retain(|own| !self.removed.iter().any(|gone| gone == own));
        for own in &self.attributes {
            if !attributes.contains(&own.as_str()) {
                attributes.push(own);
            }
        }
        let was = before["exclusive"] == true;
        let exclusive = self.exclusive || (was && !self.not_exclusive);
        Ok(json!({"exclusive": exclusive, "attributes": attributes}))
    }
}
