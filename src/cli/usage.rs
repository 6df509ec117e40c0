//! How are flags used, and by which applications?
//!
//! What the store has heard from its edges: sums of hours, one flag in detail,
//! and applications with their libraries.

use clap::{Args, Subcommand};
use serde_json::Value;

use super::{
    admin::{Admin, Target},
    console::{Console, plain},
    failure::{Failure, Outcome},
    table::{self, Output},
};
use crate::{config::Variables, limits::USAGE_PER_ANSWER};

/// `flowgate usage …`.
#[derive(Debug, Subcommand)]
pub(super) enum UsageCommand {
    /// List flags: how often they were on and off, and who asked.
    Flags(FlagsArguments),
    /// Show the use of one flag, by application and by hour.
    Flag(FlagArguments),
    /// List applications with their libraries and when they were met last.
    Applications(ApplicationsArguments),
}

/// Where a list begins and ends, and how it looks.
#[derive(Args, Debug)]
pub(super) struct Stretch {
    /// Go on where a list ended.
    #[arg(long, value_name = "CURSOR")]
    after: Option<String>,
    /// How many at the most.
    #[arg(long, value_name = "COUNT", default_value_t = USAGE_PER_ANSWER)]
    limit: usize,
    #[command(flatten)]
    target: Target,
    /// Table or JSON.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// Arguments of `flowgate usage flags`.
#[derive(Args, Debug)]
pub(super) struct FlagsArguments {
    /// Which environment's.
    #[arg(long, value_name = "ENV", default_value = "development")]
    environment: String,
    /// Of how many hours, the one that goes on among them.
    #[arg(long, value_name = "COUNT", default_value_t = 24)]
    hours: u64,
    /// Only by this application.
    #[arg(long, value_name = "NAME")]
    app: Option<String>,
    #[command(flatten)]
    stretch: Stretch,
}

/// Arguments of `flowgate usage flag`.
#[derive(Args, Debug)]
pub(super) struct FlagArguments {
    /// The flag's name.
    #[arg(value_name = "NAME")]
    name: String,
    /// Which environment's.
    #[arg(long, value_name = "ENV", default_value = "development")]
    environment: String,
    /// Of how many hours, the one that goes on among them.
    #[arg(long, value_name = "COUNT", default_value_t = 24)]
    hours: u64,
    #[command(flatten)]
    target: Target,
    /// Table or JSON.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// Arguments of `flowgate usage applications`.
#[derive(Args, Debug)]
pub(super) struct ApplicationsArguments {
    /// Only of this environment.
    #[arg(long, value_name = "ENV")]
    environment: Option<String>,
    #[command(flatten)]
    stretch: Stretch,
}

/// Runs one of them.
pub(super) fn run(
    command: UsageCommand,
    variables: &Variables,
    console: &mut Console,
) -> Result<Outcome, Failure> {
    match command {
        UsageCommand::Flags(arguments) => flags(&arguments, variables, console),
        UsageCommand::Flag(arguments) => flag(&arguments, variables, console),
        UsageCommand::Applications(arguments) => applications(&arguments, variables, console),
    }
}

fn flags(
    arguments: &FlagsArguments,
    variables: &Variables,
    console: &mut Console,
) -> Result<Outcome, Failure> {
    let hours = arguments.hours.to_string();
    let given = [
        ("hours", Some(hours.as_str())),
        ("app", arguments.app.as_deref()),
    ];
    let path = ["environments", &arguments.environment, "usage"];
    let columns = [
        ("flag", "FLAG"),
        ("yes", "YES"),
        ("no", "NO"),
        ("chosen", "VARIANTS"),
        ("apps", "APPLICATIONS"),
        ("seen", "LAST SEEN"),
    ];
    let asked = (&path[..], "flags", &given[..]);
    list(console, variables, &arguments.stretch, asked, &columns)
}

fn applications(
    arguments: &ApplicationsArguments,
    variables: &Variables,
    console: &mut Console,
) -> Result<Outcome, Failure> {
    let given = [("environment", arguments.environment.as_deref())];
    let columns = [
        ("environment", "ENVIRONMENT"),
        ("app", "APPLICATION"),
        ("instances", "INSTANCES"),
        ("sdks", "LIBRARIES"),
        ("platforms", "PLATFORMS"),
        ("strategies", "STRATEGIES"),
        ("via", "CAME BY"),
        ("seen", "LAST SEEN"),
    ];
    let asked = (&["applications"][..], "applications", &given[..]);
    list(console, variables, &arguments.stretch, asked, &columns)
}

/// Path, the member of the answer that is the list, and parameters.
type Asked<'a> = (&'a [&'a str], &'a str, &'a [(&'a str, Option<&'a str>)]);

fn list(
    console: &mut Console,
    variables: &Variables,
    stretch: &Stretch,
    (path, member, given): Asked<'_>,
    columns: &[(&str, &str)],
) -> Result<Outcome, Failure> {
    let admin = Admin::find(&stretch.target, variables)?;
    let count = stretch.limit.to_string();
    let ends = [
        ("after", stretch.after.as_deref()),
        ("limit", Some(count.as_str())),
    ];
    let query: Vec<(&str, &str)> = given
        .iter()
        .copied()
        .chain(ends)
        .filter_map(|(name, value)| Some((name, value?)))
        .collect();
    let mut answer = admin.get(path, &query)?;
    let Value::Array(mut rows) = answer[member].take() else {
        return Err(no_usage());
    };
    if stretch.output == Output::Table {
        rows.iter_mut().for_each(for_people);
    }
    table::print(console, stretch.output, columns, &rows)?;
    if let Some(next) = answer["next"].as_str() {
        console.complain(&format!("there are more: --after {}", plain(next)));
    }
    Ok(Outcome::Done)
}

fn flag(
    arguments: &FlagArguments,
    variables: &Variables,
    console: &mut Console,
) -> Result<Outcome, Failure> {
    let admin = Admin::find(&arguments.target, variables)?;
    let hours = arguments.hours.to_string();
    let (environment, name) = (&arguments.environment, &arguments.name);
    let path = ["environments", environment, "usage", name];
    let mut answer = admin.get(&path, &[("hours", &hours)])?;
    if arguments.output == Output::Json {
        table::json(console, &answer)?;
        return Ok(Outcome::Done);
    }
    let (apps, by_hour) = (answer["apps"].take(), answer["hours"].take());
    let (Value::Array(mut apps), Value::Array(mut by_hour)) = (apps, by_hour) else {
        return Err(no_usage());
    };
    for_people(&mut answer);
    let seen = answer["seen"].as_str().unwrap_or("never");
    console.line(&format!(
        "{} in {}, last {hours} h: {} yes, {} no, last seen {seen}",
        plain(name),
        plain(environment),
        answer["yes"],
        answer["no"]
    ))?;
    let sums = [("yes", "YES"), ("no", "NO"), ("chosen", "VARIANTS")];
    for (rows, member, heading) in [
        (&mut apps, "app", "APPLICATION"),
        (&mut by_hour, "hour", "HOUR"),
    ] {
        rows.iter_mut().for_each(for_people);
        let mut columns = vec![(member, heading)];
        columns.extend(sums);
        console.line("")?;
        table::print(console, Output::Table, &columns, rows)?;
    }
    Ok(Outcome::Done)
}

/// Adds what the columns say in few words.
fn for_people(row: &mut Value) {
    let variants = row["variants"].as_object().cloned().unwrap_or_default();
    let variants = variants.iter();
    let variants = variants.map(|(name, count)| format!("{name} {count}"));
    let variants: Vec<String> = variants.collect();
    row["chosen"] = variants.into();
    if let Some(at) = row["last_seen_ms"].as_u64() {
        row["seen"] = table::time(at).into();
    }
    if let Some(at) = row["hour_ms"].as_u64() {
        row["hour"] = table::time(at).into();
    }
}

fn no_usage() -> Failure {
    Failure::undone("the store's answer does not tell of the use of flags")
}
