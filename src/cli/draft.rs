//! How does somebody work on a flow from the command line?
//!
//! Makes, renames and deletes flows; edits the draft as a text, commits it,
//! compares and restores versions, deploys content, and walks a version for a
//! pretended user. What is about to be written can be looked at first.

use std::{io::IsTerminal, path::PathBuf};

use clap::{Subcommand, ValueEnum};
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    admin::{Admin, Author, Change, TaggedChange, Target},
    author::project_file,
    console::Console,
    editing,
    failure::{Failure, Outcome},
    flow,
    table::{self, Output},
    walk::{Walk, walk},
};
use crate::config::Variables;

/// Work on one flow, beside `flowgate flow list` and the like.
#[derive(Debug, Subcommand)]
pub(super) enum DraftCommand {
    /// Make a flow without versions.
    Create {
        /// What client code will say; it never changes.
        #[arg(value_name = "SID")]
        flow: String,
        /// Its project.
        #[arg(long, value_name = "SID")]
        project: String,
        /// Its name, for people.
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        #[command(flatten)]
        change: Change,
    },
    /// Call a flow something else; client code is not concerned.
    Rename {
        /// The flow.
        #[arg(value_name = "SID")]
        flow: String,
        /// Its new name, for people.
        #[arg(value_name = "NAME")]
        name: String,
        #[command(flatten)]
        change: TaggedChange,
    },
    /// Forget a flow that is not in use any more.
    Delete {
        /// The flow.
        #[arg(value_name = "SID")]
        flow: String,
        #[command(flatten)]
        change: TaggedChange,
    },
    /// Edit the draft in $VISUAL or $EDITOR, look at what changed, and save it.
    Edit {
        /// The flow.
        #[arg(value_name = "SID")]
        flow: String,
        /// Take the draft from a file instead; - is standard input.
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
        #[command(flatten)]
        change: TaggedChange,
    },
    /// Print a version as it stands in project files.
    Print {
        /// The flow.
        #[arg(value_name = "SID")]
        flow: String,
        /// draft, latest or a number; with @ENV as that environment sees it.
        #[arg(long, value_name = "VERSION", default_value = "draft")]
        version: String,
        /// Print its entity tag instead, for --if-match of a later command.
        #[arg(long)]
        etag: bool,
        #[command(flatten)]
        target: Target,
    },
    /// Make the draft the next version.
    Commit {
        /// The flow.
        #[arg(value_name = "SID")]
        flow: String,
        /// Why there is a new version.
        #[arg(long, short, value_name = "TEXT")]
        message: String,
        /// Who commits it [default: the name of the key].
        #[arg(long, value_name = "NAME")]
        author: Option<String>,
        /// What it means for users of earlier versions.
        #[arg(long)]
        migration: Option<MigrationName>,
        #[command(flatten)]
        change: TaggedChange,
    },
    /// List the versions of a flow.
    History {
        /// The flow.
        #[arg(value_name = "SID")]
        flow: String,
        #[command(flatten)]
        target: Target,
        /// Table or JSON.
        #[arg(long, value_enum, default_value_t)]
        output: Output,
    },
    /// Tell what differs between two versions; ends with 1 when something does.
    Diff {
        /// The flow.
        #[arg(value_name = "SID")]
        flow: String,
        /// The one before: draft, latest or a number; with @ENV as that
        /// environment sees it.
        #[arg(value_name = "BEFORE", default_value = "latest")]
        before: String,
        /// The one after.
        #[arg(value_name = "AFTER", default_value = "draft")]
        after: String,
        #[command(flatten)]
        target: Target,
        /// Table or JSON.
        #[arg(long, value_enum, default_value_t)]
        output: Output,
    },
    /// Make the draft what a version is.
    Restore {
        /// The flow.
        #[arg(value_name = "SID")]
        flow: String,
        /// latest or a number.
        #[arg(long, value_name = "VERSION")]
        version: String,
        /// Although the draft has changes that no version has.
        #[arg(long)]
        discard: bool,
        #[command(flatten)]
        change: TaggedChange,
    },
    /// Put content onto a committed version, everywhere or in one environment;
    /// users stay where they are.
    DeployContent {
        /// The flow.
        #[arg(value_name = "SID")]
        flow: String,
        /// Which version.
        #[arg(long, value_name = "N")]
        version: u32,
        /// The version with its new content, as `flow print` prints it; - is
        /// standard input.
        #[arg(long, value_name = "FILE", required_unless_present = "follow")]
        file: Option<PathBuf>,
        /// Only there [default: everywhere, and what single environments had
        /// of their own is gone].
        #[arg(long, value_name = "ENV")]
        environment: Option<String>,
        /// Let that environment see again what all see.
        #[arg(long, requires = "environment", conflicts_with = "file")]
        follow: bool,
        #[command(flatten)]
        change: TaggedChange,
    },
    /// Walk a version for a pretended user; nothing is stored or called.
    Try(Walk),
}

/// What a version means for users of earlier ones.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum MigrationName {
    /// Who is in the flow begins anew.
    RestartInProgress,
    /// Everybody begins anew.
    RestartAll,
    /// Who is in the flow leaves it.
    StopInProgress,
    /// Who is in the flow goes on where that is possible.
    CarryOver,
}

/// Runs one of them.
pub(super) fn run(
    command: DraftCommand,
    variables: &Variables,
    console: &mut Console,
) -> Result<Outcome, Failure> {
    match command {
        DraftCommand::Create {
            flow,
            project,
            name,
            change,
        } => {
            let body = json!({"sid": flow, "project": project, "name": name});
            let ends = (Method::POST, &["flows"][..]);
            let author = change.author(variables)?;
            does(console, (&author, &change), ends, Some(&body), "created")?;
        }
        DraftCommand::Rename { flow, name, change } => {
            let body = json!({"name": name});
            let ends = (Method::PATCH, &["flows", &flow][..]);
            let author = change.author(variables)?;
            does(console, (&author, &change), ends, Some(&body), "renamed")?;
        }
        DraftCommand::Delete { flow, change } => {
            let ends = (Method::DELETE, &["flows", &flow][..]);
            let author = change.author(variables)?;
            does(console, (&author, &change), ends, None, "deleted")?;
        }
        DraftCommand::Edit { flow, file, change } => {
            return edit(console, variables, (&flow, file.as_ref()), &change);
        }
        DraftCommand::Print {
            flow,
            version,
            etag,
            target,
        } => {
            let path = ["flows", &flow, "versions", &version];
            let found = Admin::find(&target, variables)?.get_tagged(&path, None)?;
            let (text, tag) = found.unwrap_or_default();
            match etag {
                true => console.line(&tag)?,
                false => console.print(&text)?,
            }
        }
        DraftCommand::Commit {
            flow,
            message,
            author,
            migration,
            change,
        } => {
            let migration = migration.and_then(|own| own.to_possible_value());
            let migration = migration.map(|own| own.get_name().to_owned());
            let mut body = json!({"message": message, "migration": migration});
            if let Some(author) = author {
                body["author"] = author.into();
            }
            let ends = (Method::POST, &["flows", &flow, "commit"][..]);
            let author = change.author(variables)?;
            does(console, (&author, &change), ends, Some(&body), "committed")?;
        }
        DraftCommand::History {
            flow,
            target,
            output,
        } => {
            let path = ["flows", &flow, "versions"];
            let answer = Admin::find(&target, variables)?.list(&path, &[], "versions")?;
            match output {
                Output::Json => table::json(console, &answer)?,
                Output::Table => flow::history(console, &answer)?,
            }
        }
        DraftCommand::Diff {
            flow,
            before,
            after,
            target,
            output,
        } => {
            let query = [("from", before.as_str()), ("to", after.as_str())];
            let answer = Admin::find(&target, variables)?.get(&["flows", &flow, "diff"], &query)?;
            if output == Output::Json {
                table::json(console, &answer)?;
            } else {
                differences(console, &answer["differences"])?;
            }
            let same = answer["differences"].as_array().is_none_or(Vec::is_empty);
            return Ok(if same { Outcome::Done } else { Outcome::NotSo });
        }
        DraftCommand::Restore {
            flow,
            version,
            discard,
            change,
        } => {
            let body = json!({"version": version, "discard": discard});
            let ends = (Method::POST, &["flows", &flow, "restore"][..]);
            let author = change.author(variables)?;
            does(console, (&author, &change), ends, Some(&body), "restored")?;
        }
        DraftCommand::DeployContent {
            flow,
            version,
            file,
            environment,
            follow,
            change,
        } => {
            let place = environment.map_or(version.to_string(), |name| format!("{version}@{name}"));
            let path = ["flows", &flow, "versions", &place];
            let author = change.author(variables)?;
            let answer = match file.filter(|_| !follow) {
                Some(file) => author.put_text(&path, &project_file(&file)?.content)?,
                None => author.change(Method::DELETE, &path, &[], None)?,
            };
            told(console, &change, &answer, "deployed")?;
        }
        DraftCommand::Try(asked) => walk(console, variables, &asked)?,
    }
    Ok(Outcome::Done)
}

fn does(
    console: &mut Console,
    (author, change): (&Author, &Change),
    (method, path): (Method, &[&str]),
    body: Option<&Value>,
    word: &str,
) -> Result<(), Failure> {
    let answer = author.change(method, path, &[], body)?;
    told(console, change, &answer, word)
}

/// What was done, or would be.
fn told(console: &mut Console, change: &Change, answer: &Value, word: &str) -> Result<(), Failure> {
    if change.output == Output::Json {
        return table::json(console, answer);
    }
    differences(console, &answer["differences"])?;
    console.notices(answer, &["position"])?;
    let version = match answer["version"].as_u64() {
        None => String::new(),
        Some(0) => ": the draft".to_owned(),
        Some(number) => format!(": version {number}"),
    };
    let changes = answer["changes"].as_array();
    if changes.is_some_and(Vec::is_empty) {
        return console.line("nothing to change");
    }
    change.told(console, answer, &format!("{word}{version}"))
}

/// One line for each thing that differs.
fn differences(console: &mut Console, list: &Value) -> Result<(), Failure> {
    for one in list.as_array().into_iter().flatten() {
        let text = |member: &str| one[member].as_str().unwrap_or_default();
        let (what, name, member) = (text("what"), text("name"), text("member"));
        let named = match name {
            "" => what.to_owned(),
            name => format!("{what} {name}"),
        };
        let line = match (&one["before"], &one["after"], member) {
            (Value::Null, after, "") if what == "block" => {
                format!("+ {named} ({})", after["type"].as_str().unwrap_or("item"))
            }
            (Value::Null, _, "") => format!("+ {named}"),
            (_, Value::Null, "") => format!("- {named}"),
            (before, after, member) => format!("~ {named}, {member}: {before} -> {after}"),
        };
        console.line(&line)?;
    }
    Ok(())
}

fn edit(
    console: &mut Console,
    variables: &Variables,
    (flow, file): (&str, Option<&PathBuf>),
    change: &TaggedChange,
) -> Result<Outcome, Failure> {
    let author = change.author(variables)?;
    let path = ["flows", flow, "versions", "draft"];
    let missing = Some("unknown-version");
    let read = author.store().get_tagged(&path, missing)?;
    let (before, tag) = match read {
        Some((text, tag)) => (text, tag),
        // There is none yet: begin with the newest version, if there is one.
        None => {
            let latest = ["flows", flow, "versions", "latest"];
            let latest = author.store().get_tagged(&latest, missing)?;
            let text = latest.map_or(editing::TEMPLATE.to_owned(), |(text, _)| {
                editing::without_history(&text)
            });
            // The tag of what is not there: whoever begins one, too, is met.
            (text, "\"\"".to_owned())
        }
    };
    let (text, kept) = match file {
        Some(file) => (project_file(file)?.content, None),
        None => match editing::edited(flow, &before, variables)? {
            Some((text, kept)) => (text, Some(kept)),
            None => {
                console.line("nothing was changed")?;
                return Ok(Outcome::Done);
            }
        },
    };
    // What somebody has typed is never thrown away.
    let place = kept.as_ref().map(|kept| kept.display().to_string());
    let keeping = |failure: Failure| match &place {
        Some(place) if failure.is_late() => failure.also(&format!(
            "your text is in {place}: put what `flowgate flow print {flow}` tells now into it, and \
             give it with --file and, as --if-match, what the same tells with --etag"
        )),
        Some(place) => failure.also(&format!(
            "your text is in {place}: correct it and give it with --file"
        )),
        None => failure,
    };
    let author = author.resting_on(Some(&tag));
    let tried = author.trying().put_text(&path, &text).map_err(keeping)?;
    if change.is_dry() {
        told(console, change, &tried, "saved")?;
        if let Some(place) = &place {
            console.complain(&format!("your text is in {place}: --file saves it"));
        }
        return Ok(Outcome::Done);
    }
    // A file may be older than what it replaces; whoever is there is shown.
    let is_asked = file.is_none() || (!change.is_tagged() && std::io::stdin().is_terminal());
    if !change.is_agreed() && is_asked {
        differences(console, &tried["differences"])?;
        if !editing::agreed(console, "save this draft?").map_err(keeping)? {
            console.line("nothing was saved")?;
            if let Some(place) = &place {
                console.line(&format!("your text is in {place}"))?;
            }
            return Ok(Outcome::NotSo);
        }
    }
    let answer = author.put_text(&path, &text).map_err(keeping)?;
    if let Some(kept) = &kept {
        editing::forget(kept);
    }
    told(console, change, &answer, "saved")?;
    Ok(Outcome::Done)
}
