//! Where does one user stand, and who are all of them?
//!
//! Finds users, shows what the ledger has of one and what they see of every
//! flow, begins a flow anew for them, moves and erases them; takes and gives
//! users as lines of a file (see `users_file`). What an edge has not shipped yet
//! is not in it.

mod acting;
mod showing;

use clap::{Args, Subcommand};

use super::{
    admin::{Admin, Target},
    console::Console,
    failure::{Failure, Outcome},
    table::{self, Output},
    users_file,
};
use crate::config::Variables;

/// `flowgate user …`.
#[derive(Debug, Subcommand)]
pub(super) enum UserCommand {
    /// Find users by their ids, properties or groups.
    Find(FindArguments),
    /// Show a user's properties, the state of every flow visited, and what
    /// they see of each flow and why.
    Show(ShowArguments),
    /// Begin a flow anew for a user.
    Reset(acting::ResetArguments),
    /// Put a user into a version of a flow, as they stand or on given blocks.
    Move(acting::MoveArguments),
    /// Erase all that is known of a user; what edges still ship of them is
    /// dropped.
    Erase(acting::EraseArguments),
    /// Bring users and groups with their properties in, from lines of JSON.
    Import(users_file::ImportArguments),
    /// Print users and groups with their properties, as lines of JSON.
    Export(users_file::ExportArguments),
}

/// Arguments of `flowgate user find`.
#[derive(Args, Debug)]
pub(super) struct FindArguments {
    /// How the id begins.
    #[arg(value_name = "PREFIX")]
    prefix: Option<String>,
    /// What stands in the id; looks through all of them.
    #[arg(long, value_name = "TEXT")]
    contains: Option<String>,
    /// A property they have, alone or with what it is.
    #[arg(long, value_name = "NAME[=VALUE]")]
    property: Option<String>,
    /// A group they belong to.
    #[arg(long, value_name = "ID")]
    group: Option<String>,
    /// Go on where a list ended.
    #[arg(long, value_name = "CURSOR")]
    after: Option<String>,
    /// How many at the most.
    #[arg(long, value_name = "COUNT", default_value_t = crate::limits::USERS_PER_ANSWER)]
    limit: usize,
    /// Which environment's.
    #[arg(long, value_name = "ENV", default_value = "development")]
    environment: String,
    #[command(flatten)]
    target: Target,
    /// Table or JSON.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// Arguments of `flowgate user show`.
#[derive(Args, Debug)]
pub(super) struct ShowArguments {
    /// User id.
    user: String,
    /// Only what they see of this flow.
    #[arg(long, value_name = "SID")]
    flow: Option<String>,
    /// Which environment's.
    #[arg(long, value_name = "ENV", default_value = "development")]
    environment: String,
    #[command(flatten)]
    target: Target,
    /// Table or JSON.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// Runs one of them.
pub(super) fn run(
    command: UserCommand,
    variables: &Variables,
    console: &mut Console,
) -> Result<Outcome, Failure> {
    match command {
        UserCommand::Find(arguments) => find(&arguments, variables, console),
        UserCommand::Show(arguments) => show(&arguments, variables, console),
        UserCommand::Reset(arguments) => acting::reset(&arguments, variables, console),
        UserCommand::Move(arguments) => acting::move_to(&arguments, variables, console),
        UserCommand::Erase(arguments) => acting::erase(&arguments, variables, console),
        UserCommand::Import(arguments) => users_file::import(&arguments, variables, console),
        UserCommand::Export(arguments) => users_file::export(&arguments, variables, console),
    }
}

fn find(
    arguments: &FindArguments,
    variables: &Variables,
    console: &mut Console,
) -> Result<Outcome, Failure> {
    let admin = Admin::find(&arguments.target, variables)?;
    let path = ["environments", &*arguments.environment, "users:find"];
    let mut users = Vec::new();
    let mut after = arguments.after.clone();
    // A store looks through a bounded number of users a call.
    let more = loop {
        let limit = (arguments.limit - users.len()).min(crate::limits::USERS_PER_ANSWER_MAX);
        let limit = limit.max(1).to_string();
        let given = [
            ("prefix", &arguments.prefix),
            ("contains", &arguments.contains),
            ("property", &arguments.property),
            ("group", &arguments.group),
            ("after", &after),
        ];
        let given = given
            .iter()
            .filter_map(|(name, value)| Some((*name, value.as_deref()?)));
        let query: Vec<(&str, &str)> = given.chain([("limit", limit.as_str())]).collect();
        let answer = admin.get(&path, &query)?;
        users.extend(answer["users"].as_array().cloned().unwrap_or_default());
        after = answer["next"].as_str().map(ToOwned::to_owned);
        if after.is_none() || users.len() >= arguments.limit {
            break after;
        }
    };
    let columns = [
        ("user", "USER"),
        ("seen", "FIRST SEEN"),
        ("identified", "IDENTIFIED"),
        ("flows", "FLOWS"),
        ("groups", "GROUPS"),
    ];
    for user in &mut users {
        let time = |member: &str| user[member].as_u64().map(table::time).unwrap_or_default();
        let (seen, identified) = (time("created_ms"), time("updated_ms"));
        if arguments.output == Output::Table {
            user["seen"] = seen.into();
            user["identified"] = identified.into();
        }
    }
    let found = !users.is_empty();
    table::print(console, arguments.output, &columns, &users)?;
    if let (Some(after), Output::Table) = (more, arguments.output) {
        console.line(&format!("there may be more: --after {after}"))?;
    }
    Ok(if found { Outcome::Done } else { Outcome::NotSo })
}

fn show(
    arguments: &ShowArguments,
    variables: &Variables,
    console: &mut Console,
) -> Result<Outcome, Failure> {
    let (user, environment) = (&*arguments.user, &*arguments.environment);
    let admin = Admin::find(&arguments.target, variables)?;
    let path = ["environments", environment, "users", user];
    let only = arguments.flow.as_deref();
    let mut whole = None;
    let mut after: Option<String> = None;
    loop {
        let query = [("flow", only), ("after", after.as_deref())];
        let query = query
            .iter()
            .filter_map(|(name, value)| Some((*name, (*value)?)));
        let page = admin.get(&path, &query.collect::<Vec<_>>())?;
        after = page["next_flow"].as_str().map(ToOwned::to_owned);
        match &mut whole {
            None => whole = Some(page),
            Some(whole) => showing::join(whole, page),
        }
        if after.is_none() {
            break;
        }
    }
    let answer = whole.unwrap_or_default();
    let is_known = answer["doc_rev"].as_u64().unwrap_or(0) > 0;
    if !is_known || showing::is_erased(&answer) {
        let erased = if is_known { " (erased)" } else { "" };
        console.complain(&format!(
            "user {user:?} is not known in environment {environment}{erased}"
        ));
        return Ok(Outcome::NotSo);
    }
    showing::print(console, arguments.output, &answer)?;
    Ok(Outcome::Done)
}
