//! What did somebody type, and which part of the program does it?
//!
//! The command line: one file per family of commands, each a thin layer over
//! the part that does the work. Exit codes, also for what the argument parser
//! refuses: 0 done, 1 the thing asked for is not so, 2 could not be done, 64
//! wrong usage or configuration. Results go to standard output, everything
//! else to standard error.

mod admin;
mod archive;
mod asking;
mod audit;
mod author;
mod backup;
mod channel;
mod completions;
mod config;
mod consent;
mod console;
mod deployment;
mod diff;
mod draft;
mod edges;
mod editing;
mod env;
mod env_life;
mod explain;
mod failure;
mod features;
mod flag;
mod flags;
mod flow;
mod funnel;
mod group;
mod hash;
mod health;
mod key;
mod load;
mod man;
mod offline;
mod place;
mod project;
mod release;
mod replay;
mod segment;
mod serve;
mod signing;
mod snapshot;
mod table;
mod told;
mod usage;
mod user;
mod users_file;
mod walk;
mod webhook;

pub use console::Console;

use std::ffi::OsString;

use clap::{Parser, Subcommand, error::ErrorKind};

use crate::config::Variables;
use failure::{Failure, Outcome};

/// Where a newcomer begins, and what scripts go by.
const AFTER_HELP: &str = "\
Begin with `flowgate dev`: it prints addresses, keys and a line to try.
Each command explains its own options: flowgate COMMAND --help

Exit codes: 0 done, 1 the thing asked for is not so, 2 could not be done, 64 wrong usage or
settings. Results go to standard output, everything else to standard error.";

/// Evaluation proxy for versioned user flows.
#[derive(Debug, Parser)]
#[command(name = "flowgate", version, about, disable_help_subcommand = true)]
#[command(after_help = AFTER_HELP)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

/// The families of commands.
#[derive(Debug, Subcommand)]
enum Command {
    /// Start store and edge in one process, with a demo project.
    Dev(serve::DevArguments),
    /// Start an edge: the proxy that applications ask.
    Edge(serve::EdgeArguments),
    /// Start the store that edges hang on, or back it up and restore it.
    Store(backup::StoreFamily),
    /// Ask a running edge or store whether it is well.
    Health(health::HealthArguments),
    /// Check settings, or print all of them with their defaults.
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Bring project files into a store.
    Import(author::ImportArguments),
    /// Print what a store has as a project file.
    Export(author::ExportArguments),
    /// Environments, and what public keys may do in them.
    #[command(subcommand)]
    Env(env::EnvCommand),
    /// Projects, and the environments they are active in.
    #[command(subcommand)]
    Project(project::ProjectCommand),
    /// Keys of applications and edges, and keys that sign snapshots.
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Make signed snapshots and look at them, without any server.
    #[command(subcommand)]
    Snapshot(snapshot::SnapshotCommand),
    /// Users: one's progress, and many coming in or going out.
    #[command(subcommand)]
    User(user::UserCommand),
    /// Groups: what is known of them.
    #[command(subcommand)]
    Group(group::GroupCommand),
    /// Flows: their versions, work on the next one, and where they are on.
    #[command(subcommand)]
    Flow(flow::FlowCommand),
    /// How flags are used, and by which applications.
    #[command(subcommand)]
    Usage(usage::UsageCommand),
    /// Which edges the store hears of, and which need a look.
    Edges(edges::EdgesArguments),
    /// What became of webhooks, and another try of those given up.
    #[command(subcommand)]
    Webhook(webhook::WebhookCommand),
    /// Who changed what.
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Which version of a flow a channel serves, and to whom.
    #[command(subcommand)]
    Deployment(deployment::DeploymentCommand),
    /// Flags: where they are on, for whom, and how far they have come.
    #[command(subcommand)]
    Flag(flag::FlagCommand),
    /// Segments: constraints that several flags share.
    #[command(subcommand)]
    Segment(segment::SegmentCommand),
    /// Where requests come from, and what they carry.
    #[command(subcommand)]
    Channel(channel::ChannelCommand),
    /// Releases that edges hold back.
    #[command(subcommand)]
    Release(release::ReleaseCommand),
    /// Tell why a user sees what they see.
    Explain(explain::ExplainArguments),
    /// Send requests at a fixed rate, and tell how long the answers took.
    Load(load::LoadArguments),
    /// Print a script that completes commands and flags in a shell.
    Completions(completions::CompletionsArguments),
    /// Print a page of the manual, or write all of them to a folder.
    Man(man::ManArguments),
    /// Make a receipt again from an archived snapshot, and compare.
    Replay(replay::ReplayArguments),
}

/// Runs one command line, program name first, and gives its exit code.
pub fn run(
    arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>,
    console: &mut Console,
) -> u8 {
    let outcome = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => dispatch(arguments.command, console),
        Err(refusal) => return refuse(&refusal, console),
    };
    match outcome {
        Ok(outcome) => outcome.code(),
        Err(failure) => {
            console.complain(&failure.to_string());
            failure.code()
        }
    }
}

fn dispatch(command: Command, console: &mut Console) -> Result<Outcome, Failure> {
    let variables = Variables::of_process();
    match command {
        Command::Dev(arguments) => serve::dev(&arguments, &variables, console),
        Command::Edge(arguments) => serve::edge(&arguments, &variables, console),
        Command::Store(family) => backup::run(&family, &variables, console),
        Command::Health(arguments) => health::health(&arguments, &variables, console),
        Command::Config(command) => config::run(command, &variables, console),
        Command::Import(arguments) => author::import(&arguments, &variables, console),
        Command::Export(arguments) => author::export(&arguments, &variables, console),
        Command::Env(command) => env::run(command, &variables, console),
        Command::Project(command) => project::run(command, &variables, console),
        Command::Key(command) => key::run(command, &variables, console),
        Command::Snapshot(command) => snapshot::run(command, console),
        Command::User(command) => user::run(command, &variables, console),
        Command::Usage(command) => usage::run(command, &variables, console),
        Command::Group(command) => group::run(command, &variables, console),
        Command::Edges(arguments) => edges::edges(&arguments, &variables, console),
        Command::Audit(command) => audit::run(command, &variables, console),
        Command::Webhook(command) => webhook::run(command, &variables, console),
        Command::Flow(command) => flow::run(command, &variables, console),
        Command::Deployment(command) => deployment::run(command, &variables, console),
        Command::Flag(command) => flag::run(command, &variables, console),
        Command::Segment(command) => segment::run(command, &variables, console),
        Command::Channel(command) => channel::run(command, &variables, console),
        Command::Release(command) => release::run(command, &variables, console),
        Command::Explain(arguments) => explain::explain(&arguments, console),
        Command::Load(arguments) => load::load(&arguments, console),
        Command::Completions(arguments) => {
            completions::completions::<Arguments>(&arguments, console)
        }
        Command::Man(arguments) => man::man::<Arguments>(&arguments, console),
        Command::Replay(arguments) => replay::replay(&arguments, console),
    }
}

/// Help and version are asked for and done; everything else the parser stops
/// at is wrong usage.
fn refuse(refusal: &clap::Error, console: &mut Console) -> u8 {
    let text = refusal.render().to_string();
    match refusal.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => match console.print(&text) {
            Ok(()) => Outcome::Done.code(),
            Err(failure) => failure.code(),
        },
        _ => {
            console.complain_as_is(&text);
            failure::USAGE
        }
    }
}

#[cfg(test)]
mod tests;
