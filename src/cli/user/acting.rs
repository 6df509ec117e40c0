//! What does an operator do to one user?
//!
//! Begins a flow anew, moves them, erases them; and says what they see
//! afterwards. Erasing cannot be taken back, so somebody at a terminal is asked.

use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    super::{
        admin::Change,
        console::Console,
        failure::{Failure, Outcome},
    },
    showing,
};
use crate::config::Variables;

/// Whose, and which flow.
#[derive(Args, Debug)]
struct Whose {
    /// User id.
    user: String,
    /// The flow.
    #[arg(long, value_name = "SID")]
    flow: String,
    /// The conversation; without it what is outside of any.
    #[arg(long, value_name = "ID")]
    conversation: Option<String>,
    /// Which environment's.
    #[arg(long, value_name = "ENV", default_value = "development")]
    environment: String,
    #[command(flatten)]
    change: Change,
}

/// Arguments of `flowgate user reset`.
#[derive(Args, Debug)]
pub(in crate::cli) struct ResetArguments {
    #[command(flatten)]
    whose: Whose,
    /// The version [default: the newest they have been in].
    #[arg(long, value_name = "N")]
    version: Option<u32>,
    /// Begin whatever the entry condition says.
    #[arg(long)]
    force: bool,
}

/// Arguments of `flowgate user move`.
#[derive(Args, Debug)]
pub(in crate::cli) struct MoveArguments {
    #[command(flatten)]
    whose: Whose,
    /// The version they are to be in.
    #[arg(long, value_name = "N")]
    to_version: u32,
    /// A block they are to stand on, by its sid; may be given several times.
    /// Without one they stand where they stood, if the version has it.
    #[arg(long = "to-block", value_name = "SID")]
    to_blocks: Vec<String>,
    /// The version they are in [default: the newest].
    #[arg(long, value_name = "N", conflicts_with = "to_blocks")]
    from_version: Option<u32>,
}

/// Arguments of `flowgate user erase`.
#[derive(Args, Debug)]
pub(in crate::cli) struct EraseArguments {
    /// User id.
    user: String,
    /// Which environment's.
    #[arg(long, value_name = "ENV", default_value = "development")]
    environment: String,
    #[command(flatten)]
    change: Change,
}

/// `flowgate user reset`.
pub(super) fn reset(
    arguments: &ResetArguments,
    variables: &Variables,
    console: &mut Console,
) -> Result<Outcome, Failure> {
    let mut body = json!({"force": arguments.force});
    if let Some(version) = arguments.version {
        body["version"] = json!(version);
    }
    arguments.whose.ask("reset", body, variables, console)
}

/// `flowgate user move`.
pub(super) fn move_to(
    arguments: &MoveArguments,
    variables: &Variables,
    console: &mut Console,
) -> Result<Outcome, Failure> {
    let mut body = json!({"to": arguments.to_version, "blocks": arguments.to_blocks});
    if let Some(version) = arguments.from_version {
        body["from"] = json!(version);
    }
    arguments.whose.ask("move", body, variables, console)
}

impl Whose {
    fn ask(
        &self,
        verb: &str,
        mut body: Value,
        variables: &Variables,
        console: &mut Console,
    ) -> Result<Outcome, Failure> {
        body["flow"] = json!(self.flow);
        if let Some(conversation) = &self.conversation {
            body["conversation"] = json!(conversation);
        }
        let author = self.change.author(variables)?;
        let path = ["environments", &self.environment, "users", &self.user, verb];
        let answer = author.post(&path, &body)?;
        showing::print(console, self.change.output, &answer)?;
        self.change.ends(console, &answer)?;
        Ok(Outcome::Done)
    }
}

/// `flowgate user erase`.
pub(super) fn erase(
    arguments: &EraseArguments,
    variables: &Variables,
    console: &mut Console,
) -> Result<Outcome, Failure> {
    let EraseArguments {
        user,
        environment,
        change,
    } = arguments;
    // Nobody is asked before it is known whom to tell.
    let author = change.author(variables)?;
    let question = format!("erase all that is known of user {user} in {environment}?");
    if change.is_declined(console, &question)? {
        console.line("nothing was erased")?;
        return Ok(Outcome::NotSo);
    }
    let path = ["environments", environment, "users", user];
    let gone = author.change(Method::DELETE, &path, &[], None)?;
    let with = format!(
        "{} percentage decisions and {} webhooks or records that did not fit",
        gone["memberships"], gone["traces"]
    );
    let line = match gone["known"] == true {
        true => format!("erased {user}, and with it {with}"),
        false => format!(
            "erased {user}, whom nobody knows (what edges still ship of it is dropped), and with \
             it {with}"
        ),
    };
    change.told(console, &gone, &line)?;
    Ok(Outcome::Done)
}
