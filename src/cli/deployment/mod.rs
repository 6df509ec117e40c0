//! Which version of a flow does a channel serve, and to whom?
//!
//! Lists, makes, changes, tries, switches and deletes deployments of a store.
//! What is set holds for decisions made from then on; what was recorded stands.
//! Whoever sits at a terminal is asked before something is switched.

mod changing;
mod preview;
mod settings;
mod showing;
mod wizard;

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use self::{
    changing::Care,
    preview::PreviewSettings,
    settings::{Settings, scheduled},
};
use super::{
    admin::{Admin, Author, Change, TaggedChange, Target},
    console::Console,
    failure::{Failure, Outcome},
    table::Output,
};
use crate::config::Variables;

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
    /// Show one in full, with its audience, schedule and counts.
    Show(Switch),
    /// Make a deployment; on a terminal what is not given is asked for.
    Create(Box<CreateArguments>),
    /// Change what is given; the rest stays.
    Set(Box<SetArguments>),
    /// Tell whom a change would let in, put out or move, and change nothing.
    Preview(Box<PreviewArguments>),
    /// Raise the percentage at given times, or take the times away.
    Schedule {
        #[command(flatten)]
        which: Which,
        /// From this time on so many; these replace the schedule.
        #[arg(value_name = "TIME=PERCENT", value_parser = scheduled, required_unless_present = "clear")]
        steps: Vec<Value>,
        /// Take the schedule away; the percentage stays as it is now.
        #[arg(long, conflicts_with = "steps")]
        clear: bool,
        #[command(flatten)]
        care: Care,
        #[command(flatten)]
        change: TaggedChange,
    },
    /// Let it decide; conversations go on where they stood.
    Activate(CarefulSwitch),
    /// Stop all it does, running conversations included.
    Deactivate(CarefulSwitch),
    /// Forget it.
    Delete(CarefulSwitch),
}

/// Arguments of `flowgate deployment create`.
#[derive(Debug, Args)]
pub(super) struct CreateArguments {
    /// Its name, for people; unique in the environment.
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// The flow.
    #[arg(long, value_name = "SID")]
    flow: Option<String>,
    /// The channel, such as web or intercom:acme.
    #[arg(long, value_name = "CHANNEL")]
    channel: Option<String>,
    /// The environment.
    #[arg(long, value_name = "ENV", default_value = "development")]
    environment: String,
    /// Make it without letting it decide anything yet.
    #[arg(long)]
    inactive: bool,
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    care: Care,
    #[command(flatten)]
    change: Change,
}

/// Arguments of `flowgate deployment set`.
#[derive(Debug, Args)]
pub(super) struct SetArguments {
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
    care: Care,
    #[command(flatten)]
    change: TaggedChange,
}

/// Arguments of `flowgate deployment preview`.
#[derive(Debug, Args)]
pub(super) struct PreviewArguments {
    #[command(flatten)]
    which: Which,
    /// As if it were switched on.
    #[arg(long, conflicts_with = "inactive")]
    active: bool,
    /// As if it were switched off.
    #[arg(long)]
    inactive: bool,
    /// As if it were on this channel.
    #[arg(long, value_name = "CHANNEL")]
    channel: Option<String>,
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    preview: PreviewSettings,
    #[command(flatten)]
    target: Target,
    /// Table or JSON.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
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

/// One that is looked at.
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

/// One that is switched or deleted.
#[derive(Debug, Args)]
pub(super) struct CarefulSwitch {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    care: Care,
    #[command(flatten)]
    change: TaggedChange,
}

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
            let answer =
                Admin::find(&target, variables)?.list(&["deployments"], &query, "deployments")?;
            let rows = answer.as_array().cloned().unwrap_or_default();
            showing::rows(console, output, rows, &answer)?;
            Ok(Outcome::Done)
        }
        DeploymentCommand::Show(switch) => {
            let admin = Admin::find(&switch.target, variables)?;
            let answer = switch.which.read(&admin)?;
            showing::whole(console, switch.output, &answer)?;
            Ok(Outcome::Done)
        }
        DeploymentCommand::Create(arguments) => create(&arguments, variables, console),
        DeploymentCommand::Set(arguments) => set(&arguments, variables, console),
        DeploymentCommand::Preview(arguments) => {
            let mut body = arguments.settings.body()?;
            if let Some(channel) = &arguments.channel {
                body["channel"] = json!(channel);
            }
            if arguments.active || arguments.inactive {
                body["active"] = json!(arguments.active);
            }
            let admin = Admin::find(&arguments.target, variables)?;
            let output = arguments.output;
            let which = Some(&arguments.which);
            let found = preview::ask(&admin, which, &body, &arguments.preview)?;
            preview::print(console, output, &found)?;
            Ok(Outcome::Done)
        }
        DeploymentCommand::Schedule {
            which,
            steps,
            clear,
            care,
            change,
        } => {
            let mut author = change.author(variables)?;
            let mut body = json!({"schedule": steps});
            if clear {
                // What holds now goes on holding.
                let own = which.read(author.store())?;
                author = author.resting_on(own["etag"].as_str());
                body["basisPoints"] = own["basisPointsNow"].clone();
            }
            let asked = (Method::PATCH, &[][..], Some(&body));
            changing::change(console, author, (&which, asked), (&care, &change), false)
        }
        DeploymentCommand::Activate(own) => own.post("activate", variables, console),
        DeploymentCommand::Deactivate(own) => own.post("deactivate", variables, console),
        DeploymentCommand::Delete(own) => {
            let CarefulSwitch {
                which,
                care,
                change,
            } = &own;
            let author = change.author(variables)?;
            let asked = (Method::DELETE, &[][..], None);
            changing::change(console, author, (which, asked), (care, change), true)
        }
    }
}

fn create(
    arguments: &CreateArguments,
    variables: &Variables,
    console: &mut Console,
) -> Result<Outcome, Failure> {
    let author = arguments.change.author(variables)?;
    let mut body = arguments.settings.body()?;
    let given = [
        ("name", &arguments.name),
        ("flow", &arguments.flow),
        ("channel", &arguments.channel),
    ];
    for (member, value) in given {
        if let Some(value) = value {
            body[member] = json!(value);
        }
    }
    body["environment"] = json!(arguments.environment);
    body["active"] = json!(!arguments.inactive);
    wizard::complete(console, author.store(), &mut body)?;
    let how = (&arguments.care, &arguments.change);
    changing::create(console, &author, &body, how)
}

fn set(
    arguments: &SetArguments,
    variables: &Variables,
    console: &mut Console,
) -> Result<Outcome, Failure> {
    let mut body = arguments.settings.body()?;
    for (member, value) in [("name", &arguments.name), ("channel", &arguments.channel)] {
        if let Some(value) = value {
            body[member] = json!(value);
        }
    }
    if body == json!({}) {
        return Err(Failure::usage("nothing to set was given").mend(
            "give --percentage, --version, --audience or another of `flowgate deployment set --help`",
        ));
    }
    let author = arguments.change.author(variables)?;
    let asked = (Method::PATCH, &[][..], Some(&body));
    let how = (&arguments.care, &*arguments.change);
    changing::change(console, author, (&arguments.which, asked), how, false)
}

impl Which {
    /// Reads it, with its entity tag.
    fn read(&self, admin: &Admin) -> Result<Value, Failure> {
        admin.get_one(&self.path(&[]), &self.query())
    }

    /// Changes it.
    fn change(
        &self,
        author: &Author,
        method: Method,
        more: &[&str],
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        author.change(method, &self.path(more), &self.query(), body)
    }

    fn path<'p>(&'p self, more: &[&'p str]) -> Vec<&'p str> {
        let path = ["deployments", &*self.deployment];
        path.iter().chain(more).copied().collect()
    }

    fn query(&self) -> Vec<(&str, &str)> {
        query(self.environment.as_deref())
    }
}

impl CarefulSwitch {
    fn post(
        &self,
        verb: &str,
        variables: &Variables,
        console: &mut Console,
    ) -> Result<Outcome, Failure> {
        let Self {
            which,
            care,
            change,
        } = self;
        let author = change.author(variables)?;
        let asked = (Method::POST, &[verb][..], None);
        changing::change(console, author, (which, asked), (care, change), true)
    }
}

fn query(environment: Option<&str>) -> Vec<(&str, &str)> {
    let environment = environment.into_iter();
    environment.map(|name| ("environment", name)).collect()
}
