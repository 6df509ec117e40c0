//! Which flags are there, where are they on, and for whom?
//!
//! Lists, makes, changes, archives and deletes flags of a store, and switches
//! them in an environment, which edges follow at once. Who gets a flag is said
//! by strategies: from a file, or in short for a gradual rollout.

mod strategies;

use clap::{Args, Subcommand, ValueEnum};
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    admin::{Admin, Author, Change, TaggedChange, Target},
    console::Console,
    failure::{Failure, Outcome},
    table::{self, Output},
};
use crate::config::Variables;
use strategies::Rules;
pub(super) use strategies::condition;

/// `flowgate flag …`.
#[derive(Debug, Subcommand)]
pub(super) enum FlagCommand {
    /// List flags, where they are on, and how far they have come.
    List {
        /// Only those of one project.
        #[arg(long, value_name = "SID")]
        project: Option<String>,
        /// Those that are archived, instead.
        #[arg(long)]
        archived: bool,
        #[command(flatten)]
        target: Target,
        /// Table or JSON.
        #[arg(long, value_enum, default_value_t)]
        output: Output,
    },
    /// Show a flag with its strategies in every environment.
    Show {
        /// The flag.
        #[arg(value_name = "NAME")]
        flag: String,
        #[command(flatten)]
        target: Target,
        /// Table or JSON.
        #[arg(long, value_enum, default_value_t)]
        output: Output,
    },
    /// Make a flag that is off everywhere.
    Create {
        /// What applications will ask for; it never changes.
        #[arg(value_name = "NAME")]
        flag: String,
        /// Its project.
        #[arg(long, value_name = "SID")]
        project: String,
        #[command(flatten)]
        words: Words,
        #[command(flatten)]
        change: Change,
    },
    /// Switch a flag on; without strategies it is on for everybody.
    Enable(Switch),
    /// Switch a flag off at once, for everybody.
    Disable(Switch),
    /// Change what is given, of the flag or of its strategies in one environment.
    Set {
        /// The flag.
        #[arg(value_name = "NAME")]
        flag: String,
        #[command(flatten)]
        words: Words,
        #[command(flatten)]
        rules: Rules,
        #[command(flatten)]
        change: TaggedChange,
    },
    /// Take a flag from all edges; it is off when it comes back.
    Archive(One),
    /// Take a flag back from the archive.
    Revive(One),
    /// Forget an archived flag.
    Delete(One),
}

/// What can be said of a flag in all environments.
#[derive(Debug, Args)]
pub(super) struct Words {
    /// What it is for.
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<KindName>,
    /// For people.
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Whether it may go.
    #[arg(long, value_name = "true|false")]
    stale: Option<bool>,
    /// Whether clients tell when it was seen.
    #[arg(long, value_name = "true|false")]
    impression_data: Option<bool>,
    /// How it ended.
    #[arg(long, value_name = "HOW")]
    completed: Option<CompletedName>,
}

impl Words {
    /// The members of a request that are given.
    fn body(&self) -> Value {
        let mut body = json!({});
        if let Some(kind) = self.kind {
            body["type"] = json!(named(kind));
        }
        if let Some(description) = &self.description {
            body["description"] = json!(description);
        }
        for (member, value) in [
            ("stale", self.stale),
            ("impressionData", self.impression_data),
        ] {
            if let Some(value) = value {
                body[member] = json!(value);
            }
        }
        match self.completed {
            None => {}
            Some(CompletedName::Open) => body["completed"] = json!(false),
            Some(how) => body["completed"] = json!(named(how)),
        }
        body
    }
}

/// What a flag is for.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum KindName {
    /// Something new is let out bit by bit.
    Release,
    /// Variants are compared.
    Experiment,
    /// How the system works.
    Operational,
    /// Something can be taken away at once.
    KillSwitch,
    /// Some may do something, others not.
    Permission,
}

/// How a flag ended.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum CompletedName {
    /// What it guarded stays.
    Kept,
    /// It is taken out.
    Discarded,
    /// Not yet.
    Open,
}

fn named(word: impl ValueEnum) -> Option<String> {
    let value = word.to_possible_value()?;
    Some(value.get_name().to_owned())
}

/// A flag that is switched.
#[derive(Debug, Args)]
pub(super) struct Switch {
    /// The flag.
    #[arg(value_name = "NAME")]
    flag: String,
    /// Where.
    #[arg(long, value_name = "ENV", default_value = "development")]
    environment: String,
    #[command(flatten)]
    change: TaggedChange,
}

/// A flag, and nothing more.
#[derive(Debug, Args)]
pub(super) struct One {
    /// The flag.
    #[arg(value_name = "NAME")]
    flag: String,
    #[command(flatten)]
    change: TaggedChange,
}

/// Asks for a change of a flag or a segment and tells what it was.
pub(super) fn does(
    console: &mut Console,
    (author, change): (&Author, &Change),
    (method, path): (Method, &[&str]),
    body: Option<&Value>,
) -> Result<(), Failure> {
    let answer = author.change(method, path, &[], body)?;
    told(console, change, &answer)
}

/// One line for each change, and what may not be meant.
fn told(console: &mut Console, change: &Change, answer: &Value) -> Result<(), Failure> {
    if change.output == Output::Json {
        return table::json(console, answer);
    }
    let text = |own: &Value, member: &str| own[member].as_str().unwrap_or_default().to_owned();
    console.notices(answer, &["position"])?;
    let changes = answer["changes"].as_array();
    if changes.is_some_and(Vec::is_empty) {
        return console.line("nothing to change");
    }
    change.unconfirmed(console, answer)?;
    let would = if change.is_dry() {
        "would be done: "
    } else {
        ""
    };
    for own in changes.into_iter().flatten() {
        let place = match own["environment"].as_str() {
            Some(environment) => format!(" in {environment}"),
            None => String::new(),
        };
        let (kind, name) = (text(own, "kind"), text(own, "sid"));
        console.line(&format!("{would}{kind}: {name}{place}"))?;
    }
    Ok(())
}

/// Runs one of them.
pub(super) fn run(
    command: FlagCommand,
    variables: &Variables,
    console: &mut Console,
) -> Result<Outcome, Failure> {
    match command {
        FlagCommand::List {
            project,
            archived,
            target,
            output,
        } => {
            let mut query: Vec<(&str, &str)> = Vec::new();
            query.extend(project.as_deref().map(|sid| ("project", sid)));
            if archived {
                query.push(("archived", "true"));
            }
            let answer = Admin::find(&target, variables)?.list(&["flags"], &query, "flags")?;
            list(console, output, &answer)?;
        }
        FlagCommand::Show {
            flag,
            target,
            output,
        } => {
            let answer = Admin::find(&target, variables)?.get_one(&["flags", &flag], &[])?;
            show(console, output, &answer)?;
        }
        FlagCommand::Create {
            flag,
            project,
            words,
            change,
        } => {
            let mut body = words.body();
            body["name"] = json!(flag);
            body["project"] = json!(project);
            let author = change.author(variables)?;
            let ends = (Method::POST, &["flags"][..]);
            does(console, (&author, &change), ends, Some(&body))?;
        }
        FlagCommand::Enable(switch) => set_on(console, variables, &switch, "on")?,
        FlagCommand::Disable(switch) => set_on(console, variables, &switch, "off")?,
        FlagCommand::Set {
            flag,
            words,
            rules,
            change,
        } => set(console, variables, &flag, (&words, &rules), &change)?,
        FlagCommand::Archive(one) => post(console, variables, &one, "archive")?,
        FlagCommand::Revive(one) => post(console, variables, &one, "revive")?,
        FlagCommand::Delete(one) => delete(console, variables, &one.change, ("flags", &one.flag))?,
    }
    Ok(Outcome::Done)
}

fn set_on(
    console: &mut Console,
    variables: &Variables,
    switch: &Switch,
    state: &str,
) -> Result<(), Failure> {
    let Switch {
        flag,
        environment,
        change,
    } = switch;
    let path = ["flags", flag, "environments", environment, state];
    let author = change.author(variables)?;
    does(console, (&author, change), (Method::POST, &path), None)
}

fn post(
    console: &mut Console,
    variables: &Variables,
    one: &One,
    verb: &str,
) -> Result<(), Failure> {
    let path = ["flags", &*one.flag, verb];
    let author = one.change.author(variables)?;
    does(console, (&author, &one.change), (Method::POST, &path), None)
}

/// Forgets a flag or a segment.
pub(super) fn delete(
    console: &mut Console,
    variables: &Variables,
    change: &TaggedChange,
    (family, name): (&str, &str),
) -> Result<(), Failure> {
    let author = change.author(variables)?;
    let answer = author.change(Method::DELETE, &[family, name], &[], None)?;
    change.deleted(console, &answer, name)
}

fn set(
    console: &mut Console,
    variables: &Variables,
    flag: &str,
    (words, rules): (&Words, &Rules),
    change: &TaggedChange,
) -> Result<(), Failure> {
    let body = words.body();
    let says_words = body != json!({});
    match (says_words, rules.is_given()) {
        (false, false) => Err(Failure::usage("nothing to set was given").mend(
            "give --rollout, --strategies, --description or another of `flowgate flag set --help`",
        )),
        (true, true) => Err(Failure::usage(
            "found changes of the flag and of its strategies, expected one of the two at a time",
        )),
        (true, false) => {
            let ends = (Method::PATCH, &["flags", flag][..]);
            let author = change.author(variables)?;
            does(console, (&author, change), ends, Some(&body))
        }
        (false, true) => {
            let answer = rules.put(change.author(variables)?, flag)?;
            told(console, change, &answer)
        }
    }
}

/// Where a flag is on that is off everywhere.
const NOWHERE: &str = "nowhere";

/// Where a flag is on, in words.
fn places(row: &Value) -> Option<String> {
    let environments = row["environments"].as_object().into_iter().flatten();
    let on = environments.filter(|(_, own)| own["enabled"] == true);
    let names: Vec<&str> = on.map(|(name, _)| name.as_str()).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

fn list(console: &mut Console, output: Output, answer: &Value) -> Result<(), Failure> {
    if output == Output::Json {
        return table::json(console, answer);
    }
    let mut rows = answer.as_array().cloned().unwrap_or_default();
    for row in &mut rows {
        row["on"] = json!(places(row).as_deref().unwrap_or(NOWHERE));
    }
    let columns = [
        ("project", "PROJECT"),
        ("name", "FLAG"),
        ("type", "TYPE"),
        ("stage", "STAGE"),
        ("on", "ON IN"),
        ("description", "DESCRIPTION"),
    ];
    table::print(console, output, &columns, &rows)
}

fn show(console: &mut Console, output: Output, answer: &Value) -> Result<(), Failure> {
    if output == Output::Json {
        return table::json(console, answer);
    }
    let text = |member: &str| answer[member].as_str().unwrap_or_default();
    console.line(&format!(
        "flag {} of project {}, {}, {}, on {}",
        text("name"),
        text("project"),
        text("type"),
        text("stage"),
        match places(answer) {
            None => NOWHERE.to_owned(),
            Some(names) => format!("in {names}"),
        }
    ))?;
    for member in ["description", "variants", "dependencies"] {
        let value = &answer[member];
        match value {
            Value::Null => {}
            Value::String(words) => console.line(&format!("{member}: {words}"))?,
            other => console.line(&format!("{member}: {other}"))?,
        }
    }
    let rows = strategies::rows(answer);
    let columns = [
        ("environment", "ENVIRONMENT"),
        ("on", "ON"),
        ("place", "NO"),
        ("strategy", "STRATEGY"),
        ("parameters", "PARAMETERS"),
        ("conditions", "CONDITIONS"),
        ("variants", "VARIANTS"),
    ];
    table::print(console, output, &columns, &rows)
}
