//! Which flows does a store have, and where are they switched on?
//!
//! Lists flows, shows one with its versions and deployments, and sets its
//! status in an environment, which edges follow at once. Work on a flow itself
//! is in [`super::draft`].

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{
    admin::{Admin, TaggedChange, Target},
    console::Console,
    draft::{self, DraftCommand},
    failure::{Failure, Outcome},
    funnel,
    table::{self, Output},
};
use crate::config::Variables;

/// `flowgate flow …`.
#[derive(Debug, Subcommand)]
pub(super) enum FlowCommand {
    /// List flows and where they are enabled.
    List {
        #[command(flatten)]
        target: Target,
        /// Table or JSON.
        #[arg(long, value_enum, default_value_t)]
        output: Output,
    },
    /// Show a flow with its versions and deployments.
    Show {
        /// The flow.
        #[arg(value_name = "SID")]
        flow: String,
        #[command(flatten)]
        target: Target,
        /// Table or JSON.
        #[arg(long, value_enum, default_value_t)]
        output: Output,
    },
    /// Tell how many users came to each block, and along each path.
    Funnel(funnel::FunnelArguments),
    #[command(flatten)]
    Draft(DraftCommand),
    /// Switch a flow on; who was in it goes on where they stood.
    Enable(Status),
    /// Switch a flow off at once, for running users too.
    Disable(Status),
}

/// A flow whose status is set.
#[derive(Debug, Args)]
pub(super) struct Status {
    /// The flow.
    #[arg(value_name = "SID")]
    flow: String,
    /// Where.
    #[arg(long, value_name = "ENV", default_value = "development")]
    environment: String,
    #[command(flatten)]
    change: TaggedChange,
}

/// Runs one of them.
pub(super) fn run(
    command: FlowCommand,
    variables: &Variables,
    console: &mut Console,
) -> Result<Outcome, Failure> {
    match command {
        FlowCommand::List { target, output } => {
            let answer = Admin::find(&target, variables)?.list(&["flows"], &[], "flows")?;
            list(console, output, &answer)?;
        }
        FlowCommand::Show {
            flow,
            target,
            output,
        } => {
            let admin = Admin::find(&target, variables)?;
            let mut answer = admin.get_one(&["flows", &flow], &[])?;
            complete(&admin, &mut answer)?;
            show(console, output, &answer)?;
        }
        FlowCommand::Funnel(arguments) => return funnel::funnel(&arguments, variables, console),
        FlowCommand::Draft(command) => return draft::run(command, variables, console),
        FlowCommand::Enable(status) => set(console, &status, true, variables)?,
        FlowCommand::Disable(status) => set(console, &status, false, variables)?,
    }
    Ok(Outcome::Done)
}

/// A flow with all of its versions and deployments.
fn complete(admin: &Admin, flow: &mut Value) -> Result<(), Failure> {
    let sid = flow["sid"].as_str().unwrap_or_default().to_owned();
    if flow["history_left_out"] != 0 {
        flow["history"] = admin.list(&["flows", &sid, "versions"], &[], "versions")?;
        flow["history_left_out"] = json!(0);
    }
    if flow["deployments_left_out"] != 0 {
        let of_it = [("flow", sid.as_str())];
        flow["deployments"] = admin.list(&["deployments"], &of_it, "deployments")?;
        flow["deployments_left_out"] = json!(0);
    }
    Ok(())
}

fn set(
    console: &mut Console,
    status: &Status,
    enabled: bool,
    variables: &Variables,
) -> Result<(), Failure> {
    let body = json!({"environment": status.environment, "enabled": enabled});
    let author = status.change.author(variables)?;
    let answer = author.post(&["flows", &status.flow, "status"], &body)?;
    let word = if enabled { "enabled" } else { "disabled" };
    let line = format!("{word}: {} in {}", status.flow, status.environment);
    status.change.told(console, &answer, &line)
}

/// Where a flow is on, in words.
fn places(row: &Value) -> String {
    let status = row["status"].as_object().into_iter().flatten();
    let on = status.filter(|(_, enabled)| **enabled == true);
    let names: Vec<&str> = on.map(|(name, _)| name.as_str()).collect();
    if names.is_empty() {
        "nowhere".to_owned()
    } else {
        names.join(", ")
    }
}

fn list(console: &mut Console, output: Output, answer: &Value) -> Result<(), Failure> {
    if output == Output::Json {
        return table::json(console, answer);
    }
    let mut rows = answer.as_array().cloned().unwrap_or_default();
    for row in &mut rows {
        row["enabled"] = json!(places(row));
    }
    let columns = [
        ("project", "PROJECT"),
        ("sid", "FLOW"),
        ("latest", "LATEST"),
        ("draft", "DRAFT"),
        ("enabled", "ENABLED IN"),
        ("name", "NAME"),
    ];
    table::print(console, output, &columns, &rows)
}

/// The versions of a flow as a table.
pub(super) fn history(console: &mut Console, versions: &Value) -> Result<(), Failure> {
    let mut versions = versions.as_array().cloned().unwrap_or_default();
    for version in &mut versions {
        version["created"] = json!(version["created_ms"].as_u64().map(table::time));
        if version["version"] == 0 {
            version["version"] = json!("draft");
        }
    }
    let columns = [
        ("version", "VERSION"),
        ("blocks", "BLOCKS"),
        ("migration", "MIGRATION"),
        ("content_in", "OWN CONTENT IN"),
        ("created", "CREATED"),
        ("author", "AUTHOR"),
        ("message", "MESSAGE"),
    ];
    table::print(console, Output::Table, &columns, &versions)
}

fn show(console: &mut Console, output: Output, answer: &Value) -> Result<(), Failure> {
    if output == Output::Json {
        return table::json(console, answer);
    }
    let text = |member: &str| answer[member].as_str().unwrap_or_default().to_owned();
    console.line(&format!(
        "flow {} ({}) of project {}, enabled in {}{}",
        text("sid"),
        text("uid"),
        text("project"),
        places(answer),
        if answer["deploymentsOnly"] == true {
            ", for deployments only"
        } else {
            ""
        }
    ))?;
    history(console, &answer["history"])?;
    let deployments = answer["deployments"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    if !deployments.is_empty() {
        let columns = [
            ("environment", "ENVIRONMENT"),
            ("name", "DEPLOYMENT"),
            ("channel", "CHANNEL"),
            ("version", "SERVES"),
            ("active", "ACTIVE"),
        ];
        table::print(console, output, &columns, &deployments)?;
    }
    Ok(())
}
