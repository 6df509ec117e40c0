//! Which version of a flow does a channel serve, and to whom?
//!
//! Lists, makes, changes, switches and deletes deployments of a store. What is
//! set holds for decisions made from then on; what was recorded stands.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    admin::{Admin, Target},
    archive,
    console::Console,
    failure::{Failure, Outcome},
    table::{self, Output},
    told::percent,
};
use crate::{config::Variables, limits};

/// `flowgate deployment …`.
#[derive(Debug, Subcommand)]
pub(super) enum DeploymentCommand {
    /// List deployments.
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
    /// Make a deployment.
    Create {
        /// Its name, for people; unique in the environment.
        #[arg(value_name = "NAME")]
        name: String,
        /// The flow.
        #[arg(long, value_name = "SID")]
        flow: String,
        /// The channel, such as web or intercom:acme.
        #[arg(long, value_name = "CHANNEL")]
        channel: String,
        /// The environment.
        #[arg(long, value_name = "ENV", default_value = "development")]
        environment: String,
        /// Make it without letting it decide anything yet.
        #[arg(long)]
        inactive: bool,
        #[command(flatten)]
        settings: Settings,
        #[command(flatten)]
        target: Target,
        /// Table or JSON.
        #[arg(long, value_enum, default_value_t)]
        output: Output,
    },
    /// Change what is given; the rest stays.
    Set {
        #[command(flatten)]
        which: Which,
        /// Another name.
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        /// Another channel.
        #[arg(long, value_name = "CHANNEL")]
        channel: Option<String>,
        #[command(flatten)]
        settings: Settings,
        #[command(flatten)]
        target: Target,
        /// Table or JSON.
        #[arg(long, value_enum, default_value_t)]
        output: Output,
    },
    /// Let it decide; conversations go on where they stood.
    Activate(Switch),
    /// Stop all it does, running conversations included.
    Deactivate(Switch),
    /// Forget it.
    Delete(Switch),
}

/// Which deployment.
#[derive(Debug, Args)]
pub(super) struct Which {
    /// Its name or uid.
    #[arg(value_name = "NAME|UID")]
    deployment: String,
    /// The environment, where several have one of this name.
    #[arg(long, value_name = "ENV")]
    environment: Option<String>,
}

/// One that is switched or deleted.
#[derive(Debug, Args)]
pub(super) struct Switch {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    target: Target,
    /// Table or JSON.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// What can be said of a deployment.
#[derive(Debug, Args)]
pub(super) struct Settings {
    /// Share of the audience, 0 to 100 with at most two decimals.
    #[arg(long, value_name = "PERCENT", value_parser = basis_points, conflicts_with = "basis_points")]
    percentage: Option<u16>,
    /// The same in hundredths of a percent, 0 to 10000.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(0..=10_000))]
    basis_points: Option<u16>,
    /// latest, or a committed version.
    #[arg(long, value_name = "latest|N", value_parser = version)]
    version: Option<Value>,
    /// How long a percentage decision stands.
    #[arg(long)]
    remember: Option<RememberName>,
    /// What a new version means for those who have begun an older one.
    #[arg(long)]
    on_version_change: Option<ChangeName>,
    /// A percentage from a time on; may be given several times, and then
    /// replaces the schedule.
    #[arg(long, value_name = "TIME=PERCENT", value_parser = scheduled)]
    schedule: Vec<Value>,
    /// Take the schedule away.
    #[arg(long, conflicts_with = "schedule")]
    no_schedule: bool,
    /// File with the alternatives of the audience, JSON or YAML, as in a
    /// project file; an empty list means everyone.
    #[arg(long, value_name = "FILE")]
    audience: Option<PathBuf>,
}

/// How long a decision stands.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum RememberName {
    /// For the conversation; without one, for the id.
    Conversation,
    /// For the id, whatever the conversation.
    User,
    /// Not at all.
    Nothing,
}

/// What a new version means.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum ChangeName {
    /// They finish what they began.
    Stay,
    /// The migration strategies decide.
    Migrate,
    /// Stay with a conversation, else migrate.
    Default,
}

impl Settings {
    /// The members of a request that are given.
    fn body(&self) -> Result<Value, Failure> {
        let mut body = json!({});
        if let Some(points) = self.percentage.or(self.basis_points) {
            body["basisPoints"] = json!(points);
        }
        if let Some(version) = &self.version {
            body["version"] = version.clone();
        }
        if let Some(remember) = self.remember {
            body["remember"] = json!(named(remember));
        }
        match self.on_version_change {
            None => {}
            Some(ChangeName::Default) => body["onVersionChange"] = Value::Null,
            Some(change) => body["onVersionChange"] = json!(named(change)),
        }
        if self.no_schedule || !self.schedule.is_empty() {
            body["schedule"] = json!(self.schedule);
        }
        if let Some(file) = &self.audience {
            body["audience"] = audience(file)?;
        }
        Ok(body)
    }
}

fn named(word: impl ValueEnum) -> Option<String> {
    let value = word.to_possible_value()?;
    Some(value.get_name().to_owned())
}

/// Columns of a listing.
const COLUMNS: [(&str, &str); 9] = [
    ("environment", "ENVIRONMENT"),
    ("name", "NAME"),
    ("flow", "FLOW"),
    ("channel", "CHANNEL"),
    ("version", "VERSION"),
    ("state", "STATE"),
    ("whom", "WHOM"),
    ("share", "SHARE"),
    ("remember", "REMEMBER"),
];

/// Runs one of them.
pub(super) fn run(
    command: DeploymentCommand,
    variables: &Variables,
    console: &mut Console,
) -> Result<Outcome, Failure> {
    match command {
        DeploymentCommand::List {
            environment,
            target,
            output,
        } => {
            let query = query(environment.as_deref());
            let answer = Admin::find(&target, variables)?.get(&["deployments"], &query)?;
            let rows = answer.as_array().cloned().unwrap_or_default();
            show(console, output, rows, &answer)?;
        }
        DeploymentCommand::Create {
            name,
            flow,
            channel,
            environment,
            inactive,
            settings,
            target,
            output,
        } => {
            let mut body = settings.body()?;
            body["name"] = json!(name);
            body["flow"] = json!(flow);
            body["channel"] = json!(channel);
            body["environment"] = json!(environment);
            body["active"] = json!(!inactive);
            let made = Admin::find(&target, variables)?.post(&["deployments"], &body)?;
            changed(console, output, &made)?;
        }
        DeploymentCommand::Set {
            which,
            name,
            channel,
            settings,
            target,
            output,
        } => {
            let mut body = settings.body()?;
            for (member, value) in [("name", name), ("channel", channel)] {
                if let Some(value) = value {
                    body[member] = json!(value);
                }
            }
            if body == json!({}) {
                return Err(Failure::usage("nothing to set was given")
                    .mend("give --percentage, --version, --audience or another of `flowgate deployment set --help`"));
            }
            let admin = Admin::find(&target, variables)?;
            let answer = which.ask(&admin, Method::PATCH, &[], Some(&body))?;
            changed(console, output, &answer)?;
        }
        DeploymentCommand::Activate(switch) => {
            let answer = switch.post("activate", variables)?;
            changed(console, switch.output, &answer)?;
        }
        DeploymentCommand::Deactivate(switch) => {
            let answer = switch.post("deactivate", variables)?;
            changed(console, switch.output, &answer)?;
        }
        DeploymentCommand::Delete(switch) => {
            let admin = Admin::find(&switch.target, variables)?;
            switch.which.ask(&admin, Method::DELETE, &[], None)?;
            match switch.output {
                Output::Json => table::json(console, &json!({"deleted": switch.which.deployment}))?,
                Output::Table => console.line(&format!("deleted: {}", switch.which.deployment))?,
            }
        }
    }
    Ok(Outcome::Done)
}

impl Which {
    fn ask(
        &self,
        admin: &Admin,
        method: Method,
        more: &[&str],
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        let path = ["deployments", &*self.deployment];
        let path: Vec<&str> = path.iter().chain(more).copied().collect();
        admin.change(method, &path, &query(self.environment.as_deref()), body)
    }
}

impl Switch {
    fn post(&self, verb: &str, variables: &Variables) -> Result<Value, Failure> {
        let admin = Admin::find(&self.target, variables)?;
        self.which.ask(&admin, Method::POST, &[verb], None)
    }
}

fn query(environment: Option<&str>) -> Vec<(&str, &str)> {
    let environment = environment.into_iter();
    environment.map(|name| ("environment", name)).collect()
}

/// What a deployment is after a change, and what its author should know.
fn changed(console: &mut Console, output: Output, answer: &Value) -> Result<(), Failure> {
    show(console, output, vec![answer.clone()], answer)?;
    if output == Output::Table {
        for note in answer["notes"].as_array().into_iter().flatten() {
            console.line(&format!("note: {}", note.as_str().unwrap_or_default()))?;
        }
    }
    Ok(())
}

fn show(
    console: &mut Console,
    output: Output,
    mut rows: Vec<Value>,
    answer: &Value,
) -> Result<(), Failure> {
    if output == Output::Json {
        return table::json(console, answer);
    }
    for row in &mut rows {
        row["state"] = json!(if row["active"] == true {
            "active"
        } else {
            "inactive"
        });
        let alternatives = row["audience"].as_array().map_or(0, Vec::len);
        row["whom"] = match alternatives {
            0 => json!("everyone"),
            1 => json!("1 alternative"),
            count => json!(format!("{count} alternatives")),
        };
        let mut share = row["basisPoints"].as_u64().map(percent).unwrap_or_default();
        for entry in row["schedule"].as_array().into_iter().flatten() {
            let at = entry["at"].as_u64().map(table::time).unwrap_or_default();
            let then = entry["basisPoints"].as_u64().map(percent);
            share.push_str(&format!(", {} from {at}", then.unwrap_or_default()));
        }
        row["share"] = json!(share);
    }
    table::print(console, output, &COLUMNS, &rows)
}

/// Alternatives as a project file has them: a list, alone or under `audience`.
fn audience(file: &Path) -> Result<Value, Failure> {
    let bytes = archive::read(file, limits::ADMIN_BODY_BYTES_MAX)?;
    let found: Value = serde_yaml_ng::from_slice(&bytes).map_err(|error| {
        Failure::usage(format!("{} is neither YAML nor JSON", file.display())).because(&error)
    })?;
    let list = match &found {
        Value::Object(members) if members.len() == 1 => &found["audience"],
        other => other,
    };
    if list.is_array() {
        return Ok(list.clone());
    }
    Err(Failure::usage(format!(
        "{} holds no audience, expected a list of alternatives such as [{{\"name\":\"vips\",\"rules\":[…]}}]",
        file.display()
    )))
}

/// A percentage in its own words to basis points, without a detour over floats.
fn basis_points(text: &str) -> Result<u16, String> {
    let refuse =
        || format!("found {text:?}, expected 0 to 100 with at most two decimals, such as 12.5");
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, rest) = text.split_once('.').unwrap_or((text, "0"));
    if !digits(whole) || !digits(rest) || rest.len() > 2 {
        return Err(refuse());
    }
    let rest = format!("{rest:0<2}");
    let points = whole.parse::<u16>().ok().and_then(|whole| {
        let rest: u16 = rest.parse().ok()?;
        whole.checked_mul(100)?.checked_add(rest)
    });
    points.filter(|points| *points <= 10_000).ok_or_else(refuse)
}

fn version(text: &str) -> Result<Value, String> {
    match text.parse::<u32>() {
        _ if text == "latest" => Ok(json!("latest")),
        Ok(number) if number > 0 => Ok(json!(number)),
        _ => Err(format!(
            "found {text:?}, expected latest or the number of a committed version"
        )),
    }
}

fn scheduled(text: &str) -> Result<Value, String> {
    let Some((at, share)) = text.rsplit_once('=') else {
        return Err(format!(
            "found {text:?}, expected a time and a percentage such as 2026-12-01T09:00:00Z=25"
        ));
    };
    let time: jiff::Timestamp = at
        .parse()
        .map_err(|_| format!("found the time {at:?}, expected one such as 2026-12-01T09:00:00Z"))?;
    Ok(json!({"at": time.as_millisecond(), "basisPoints": basis_points(share)?}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_become_basis_points_exactly() {
        for (text, expected) in [
            ("0", 0),
            ("100", 10_000),
            ("12.5", 1_250),
            ("0.29", 29),
            ("99.99", 9_999),
        ] {
            assert_eq!(basis_points(text), Ok(expected), "{text}");
        }
        for bad in [
            "", "-1", "+1", "100.01", "101", "1.234", ".5", "5.", "ten", "1e1", "70000",
        ] {
            let error = basis_points(bad).expect_err(bad);
            assert!(error.contains("expected 0 to 100"), "{error}");
        }
    }

    #[test]
    fn versions_and_schedules_say_what_was_expected() {
        assert_eq!(version("latest"), Ok(json!("latest")));
        assert_eq!(version("3"), Ok(json!(3)));
        for bad in ["0", "newest", "-1"] {
            assert!(version(bad).is_err(), "{bad}");
        }
        let entry = scheduled("2026-12-01T09:00:00Z=25.5").expect("an entry");
        assert_eq!(entry["basisPoints"], 2550);
        assert_eq!(entry["at"], 1_796_115_600_000_u64);
        for bad in ["25", "tomorrow=25", "2026-12-01T09:00:00Z=125"] {
            assert!(scheduled(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_audience_is_a_list_alone_or_under_its_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("audience.yaml");
        let list =
            json!([{"rules": [{"attribute": "plan", "operator": "equals", "value": "pro"}]}]);
        for text in [
            "- rules:\n  - { attribute: plan, operator: equals, value: pro }\n".to_owned(),
            json!({"audience": list}).to_string(),
        ] {
            std::fs::write(&file, text).expect("a file");
            assert_eq!(audience(&file).ok(), Some(list.clone()));
        }
        for text in ["rules: []", "a: [", "7"] {
            std::fs::write(&file, text).expect("a file");
            assert_eq!(audience(&file).expect_err(text).code(), 64);
        }
    }
}
