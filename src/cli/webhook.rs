//! What became of the webhooks of an environment?
//!
//! Lists the store's log of deliveries, newest first, and has one that was
//! given up tried again.

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::{
    admin::{Admin, Change, Target},
    console::{Console, plain},
    failure::{Failure, Outcome},
    table::{self, Output},
};
use crate::config::Variables;

/// `flowgate webhook …`.
#[derive(Debug, Subcommand)]
pub(super) enum WebhookCommand {
    /// List webhooks and how their delivery stands, newest first.
    List(ListArguments),
    /// Deliver one that was given up, at once and under the same id.
    Retry(RetryArguments),
}

/// Arguments of `flowgate webhook list`.
#[derive(Args, Debug)]
pub(super) struct ListArguments {
    /// Which environment's.
    #[arg(long, value_name = "ENV", default_value = "development")]
    environment: String,
    /// Only those in this state.
    #[arg(long)]
    state: Option<StateName>,
    /// Only those of one user.
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// Only those of one flow.
    #[arg(long, value_name = "SID")]
    flow: Option<String>,
    /// Go on where a list ended.
    #[arg(long, value_name = "CURSOR")]
    after: Option<String>,
    /// How many at the most.
    #[arg(long, value_name = "COUNT", default_value_t = crate::limits::WEBHOOKS_PER_ANSWER)]
    limit: usize,
    #[command(flatten)]
    target: Target,
    /// Table or JSON.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// Arguments of `flowgate webhook retry`.
#[derive(Args, Debug)]
pub(super) struct RetryArguments {
    /// Its id, as the list has it.
    id: String,
    /// Which environment's.
    #[arg(long, value_name = "ENV", default_value = "development")]
    environment: String,
    #[command(flatten)]
    change: Change,
}

/// States of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum StateName {
    /// Will be tried, for the first time or again.
    Waiting,
    /// The receiver took it.
    Delivered,
    /// All attempts failed.
    GivenUp,
}

/// Runs one of them.
pub(super) fn run(
    command: WebhookCommand,
    variables: &Variables,
    console: &mut Console,
) -> Result<Outcome, Failure> {
    match command {
        WebhookCommand::List(arguments) => list(&arguments, variables, console),
        WebhookCommand::Retry(arguments) => retry(&arguments, variables, console),
    }
}

fn list(
    arguments: &ListArguments,
    variables: &Variables,
    console: &mut Console,
) -> Result<Outcome, Failure> {
    let admin = Admin::find(&arguments.target, variables)?;
    let state = arguments.state.and_then(|state| state.to_possible_value());
    let count = arguments.limit.to_string();
    let given = [
        ("state", state.as_ref().map(|value| value.get_name())),
        ("user", arguments.user.as_deref()),
        ("flow", arguments.flow.as_deref()),
        ("after", arguments.after.as_deref()),
        ("limit", Some(count.as_str())),
    ];
    let query: Vec<(&str, &str)> = given
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect();
    let path = ["environments", &arguments.environment, "webhooks"];
    let mut answer = admin.get(&path, &query)?;
    let Value::Array(mut rows) = answer["webhooks"].take() else {
        return Err(Failure::undone(
            "the store's answer is not a list of webhooks",
        ));
    };
    if arguments.output == Output::Table {
        rows.iter_mut().for_each(for_people);
    }
    let columns = [
        ("id", "ID"),
        ("state", "STATE"),
        ("flow", "FLOW"),
        ("version", "VERSION"),
        ("block", "BLOCK"),
        ("user", "USER"),
        ("receiver", "RECEIVER"),
        ("tried", "ATTEMPTS"),
        ("last", "LAST"),
        ("next", "NEXT"),
        ("why", "WHY"),
    ];
    table::print(console, arguments.output, &columns, &rows)?;
    if let Some(next) = answer["next"].as_str() {
        console.complain(&format!("there are more: --after {}", plain(next)));
    }
    Ok(Outcome::Done)
}

/// Adds what the columns say in few words.
fn for_people(row: &mut Value) {
    let attempts = row["attempts"].as_array().cloned().unwrap_or_default();
    row["tried"] = attempts.len().into();
    if let Some(last) = attempts.last() {
        row["last"] = table::time(last["at_ms"].as_u64().unwrap_or_default()).into();
        row["why"] = last["why"].clone();
    }
    if let Some(next) = row["next_ms"].as_u64() {
        row["next"] = table::time(next).into();
    }
}

fn retry(
    arguments: &RetryArguments,
    variables: &Variables,
    console: &mut Console,
) -> Result<Outcome, Failure> {
    let RetryArguments {
        id,
        environment,
        change,
    } = arguments;
    let path = ["environments", environment, "webhooks", id, "retry"];
    let answer = change.author(variables)?.post(&path, &json!({}))?;
    let said = match (answer["state"].as_str(), change.is_dry()) {
        (Some("waiting"), false) => "waits for its next attempt",
        (Some("waiting"), true) => "would wait for its next attempt",
        (Some("delivered"), _) => "is delivered already",
        _ => return Err(Failure::undone("the store's answer is not a webhook")),
    };
    match change.output {
        Output::Json => table::json(console, &answer)?,
        Output::Table => {
            console.print(&format!("webhook {} {said}\n", plain(id)))?;
            change.ends(console, &answer)?;
        }
    }
    Ok(Outcome::Done)
}
