//! How does an environment begin, and how does it end?
//!
//! Shows, makes, clones, deprecates and deletes environments of a store. Texts
//! of keys that a clone makes are printed once and never again.

use clap::{Args, Subcommand, ValueEnum};
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    admin::{Admin, Change, TaggedChange, Target},
    console::Console,
    env::{list, state},
    failure::{Failure, Outcome},
    table::{self, Output},
};
use crate::config::Variables;

/// Beside `flowgate env list` and `set`.
#[derive(Debug, Subcommand)]
pub(super) enum LifeCommand {
    /// Show an environment with the projects that are active in it.
    Show {
        /// Its name.
        #[arg(value_name = "ENV")]
        environment: String,
        #[command(flatten)]
        target: Target,
        /// Table or JSON.
        #[arg(long, value_enum, default_value_t)]
        output: Output,
    },
    /// Make an environment; an edge can be pointed at it at once.
    Create {
        /// Its name.
        #[arg(value_name = "ENV")]
        environment: String,
        /// What it is for.
        #[arg(long = "type", value_enum, default_value_t = Kind::Development)]
        kind: Kind,
        /// Whether drafts are visible in it [default: in development].
        #[arg(long, value_name = "TRUE|FALSE")]
        drafts: Option<bool>,
        #[command(flatten)]
        change: Change,
    },
    /// Make an environment with what was authored in another one, which it then
    /// has nothing to do with; never its users.
    Clone {
        /// The one that is cloned.
        #[arg(value_name = "FROM")]
        from: String,
        /// The name of the new one.
        #[arg(value_name = "ENV")]
        environment: String,
        /// What the new one is for [default: the same].
        #[arg(long = "type", value_enum)]
        kind: Option<Kind>,
        /// Whether drafts are visible in it [default: as in the other one].
        #[arg(long, value_name = "TRUE|FALSE")]
        drafts: Option<bool>,
        /// Only these projects [default: all that are active there].
        #[arg(long, value_delimiter = ',', value_name = "SID,…")]
        projects: Option<Vec<String>>,
        /// Take over what public keys may do.
        #[arg(long)]
        access: bool,
        /// Make keys of the same names on the same terms, and print them once.
        #[arg(long)]
        keys: bool,
        #[command(flatten)]
        change: TaggedChange,
    },
    /// Let nothing new begin in an environment; it is served as ever.
    Deprecate {
        #[command(flatten)]
        which: Which,
        /// Take it back.
        #[arg(long)]
        undo: bool,
    },
    /// Delete an environment with its keys and users, for good.
    Delete {
        #[command(flatten)]
        which: Which,
        /// Although edges of it are running.
        #[arg(long)]
        force: bool,
    },
}

/// One environment of a store that is changed.
#[derive(Debug, Args)]
pub(super) struct Which {
    /// Its name.
    #[arg(value_name = "ENV")]
    environment: String,
    #[command(flatten)]
    change: TaggedChange,
}

/// What an environment is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Kind {
    /// Local and shared development.
    Development,
    /// Automated and manual tests.
    Test,
    /// The last stop before users.
    Preproduction,
    /// Real users; changes have to be confirmed.
    Production,
}

impl Kind {
    /// As in files and answers.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Development => "development",
            Self::Test => "test",
            Self::Preproduction => "preproduction",
            Self::Production => "production",
        }
    }
}

/// Runs one of them.
pub(super) fn run(
    command: LifeCommand,
    variables: &Variables,
    console: &mut Console,
) -> Result<Outcome, Failure> {
    match command {
        LifeCommand::Show {
            environment,
            target,
            output,
        } => {
            let admin = Admin::find(&target, variables)?;
            let answer = admin.get_one(&["environments", &environment], &[])?;
            match output {
                Output::Json => table::json(console, &answer)?,
                Output::Table => show(console, &admin, answer)?,
            }
        }
        LifeCommand::Create {
            environment,
            kind,
            drafts,
            change,
        } => {
            let body = json!({"name": environment, "type": kind.name(), "drafts": drafts});
            let answer = change.author(variables)?.post(&["environments"], &body)?;
            change.told(console, &answer, &format!("created: {environment}"))?;
        }
        LifeCommand::Clone {
            from,
            environment,
            kind,
            drafts,
            projects,
            access,
            keys,
            change,
        } => {
            let body = json!({
                "name": environment, "type": kind.map(Kind::name), "drafts": drafts,
                "projects": projects, "access": access, "keys": keys,
            });
            let author = change.author(variables)?;
            let answer = author.post(&["environments", &from, "clone"], &body)?;
            cloned(console, &from, &change, &answer)?;
        }
        LifeCommand::Deprecate { which, undo } => {
            let body = json!({"deprecated": !undo});
            let author = which.change.author(variables)?;
            let answer = author.post(&["environments", &which.environment], &body)?;
            which.told(console, &answer, if undo { "open" } else { "deprecated" })?;
        }
        LifeCommand::Delete { which, force } => {
            let query: &[_] = if force { &[("force", "true")] } else { &[] };
            let path = ["environments", &*which.environment];
            let author = which.change.author(variables)?;
            let answer = author.change(Method::DELETE, &path, query, None)?;
            which.told(console, &answer, "deleted")?;
        }
    }
    Ok(Outcome::Done)
}

impl Which {
    fn told(&self, console: &mut Console, answer: &Value, word: &str) -> Result<(), Failure> {
        let line = format!("{word}: {}", self.environment);
        self.change.told(console, answer, &line)
    }
}

fn show(console: &mut Console, admin: &Admin, answer: Value) -> Result<(), Failure> {
    let text = |member: &str| answer[member].as_str().unwrap_or_default().to_owned();
    let drafts = if answer["drafts"] == true {
        "with"
    } else {
        "without"
    };
    console.line(&format!(
        "environment {} ({}), {}, {}, {drafts} drafts, {} edges",
        text("name"),
        text("uid"),
        text("type"),
        state(&answer),
        answer["edges"],
    ))?;
    let projects = admin.list(&["projects"], &[], "projects")?;
    let projects = projects.as_array().into_iter().flatten();
    let is_active = |own: &&Value| {
        let names = own["environments"].as_array();
        names.is_some_and(|names| names.contains(&answer["name"]))
    };
    let sids: Vec<&str> = projects
        .filter(is_active)
        .filter_map(|own| own["sid"].as_str())
        .collect();
    console.line(&format!("projects: {}", sids.join(", ")))?;
    list(console, Output::Table, json!([answer]))
}

fn cloned(
    console: &mut Console,
    from: &str,
    change: &Change,
    answer: &Value,
) -> Result<(), Failure> {
    let line = format!(
        "cloned: {from} as {}, with {} projects, {} statuses, {} deployments, {} contents, {} flags",
        answer["name"].as_str().unwrap_or_default(),
        answer["projects"].as_array().map_or(0, Vec::len),
        answer["statuses"],
        answer["deployments"],
        answer["contents"],
        answer["flags"],
    );
    change.told(console, answer, &line)?;
    let keys = answer["keys"].as_array().cloned().unwrap_or_default();
    if keys.is_empty() || change.output == Output::Json {
        return Ok(());
    }
    let columns = [
        ("kind", "KIND"),
        ("name", "NAME"),
        ("key", "KEY, SHOWN ONCE"),
    ];
    // The text of a key that is only tried would never be one.
    let shown = if change.is_dry() { 2 } else { columns.len() };
    table::print(console, Output::Table, &columns[..shown], &keys)
}
