//! What is asked and said before a deployment is changed?
//!
//! Every change is first made as a dry run, whose notes say what it means:
//! that 100 % lets in whom earlier percentages excluded, that a schedule ends.
//! Where somebody sits at a terminal, what cannot be taken back by itself waits
//! for their word.

use std::io::IsTerminal;

use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    super::{
        admin::{Author, Change},
        console::Console,
        editing::agreed,
        failure::{Failure, Outcome},
        table::Output,
    },
    Which,
    preview::{self, PreviewSettings},
    showing,
};

/// How careful a change is.
#[derive(Debug, Args)]
pub(in crate::cli) struct Care {
    /// Tell first whom it lets in, puts out or moves; without a terminal and
    /// without --yes it ends there, with 1.
    #[arg(long, conflicts_with = "dry_run")]
    preview: bool,
    #[command(flatten)]
    settings: PreviewSettings,
}

/// Path behind the deployment, method and body.
pub(super) type Asked<'a> = (Method, &'a [&'a str], Option<&'a Value>);

/// A new deployment.
pub(super) fn create(
    console: &mut Console,
    author: &Author,
    body: &Value,
    (care, change): (&Care, &Change),
) -> Result<Outcome, Failure> {
    let would = author.trying().post(&["deployments"], body)?;
    if change.is_dry() {
        return told(console, change, &would, None);
    }
    let found = preview_of(console, author, (None, body), (care, change))?;
    if !goes_on(console, &would, change, false, found)? {
        return Ok(Outcome::NotSo);
    }
    let made = author.post(&["deployments"], body)?;
    showing::rows(console, change.output, vec![made.clone()], &made)?;
    Ok(Outcome::Done)
}

/// A change of one that is there; `switches` says that running conversations
/// notice at once. It rests on the state that its preview and its notes speak
/// of.
pub(super) fn change(
    console: &mut Console,
    author: Author,
    (which, (method, more, body)): (&Which, Asked<'_>),
    (care, change): (&Care, &Change),
    switches: bool,
) -> Result<Outcome, Failure> {
    let read = which.read(author.store())?;
    let author = author.resting_on(read["etag"].as_str());
    let would = which.change(&author.trying(), method.clone(), more, body)?;
    let gone = (method == Method::DELETE).then_some(which.deployment.as_str());
    if change.is_dry() {
        return told(console, change, &would, gone);
    }
    let as_body = match (more, body) {
        (["activate"], _) => json!({"active": true}),
        (["deactivate"], _) => json!({"active": false}),
        (_, Some(body)) => body.clone(),
        (_, None) => json!({"active": false}),
    };
    let found = preview_of(console, &author, (Some(which), &as_body), (care, change))?;
    if !goes_on(console, &would, change, switches, found)? {
        return Ok(Outcome::NotSo);
    }
    let answer = which.change(&author, method, more, body)?;
    match gone {
        Some(name) => change.deleted(console, &answer, name)?,
        None => showing::rows(console, change.output, vec![answer.clone()], &answer)?,
    }
    Ok(Outcome::Done)
}

/// The answer of a dry run; of one that would be gone, its name.
fn told(
    console: &mut Console,
    change: &Change,
    would: &Value,
    gone: Option<&str>,
) -> Result<Outcome, Failure> {
    if gone.is_none() {
        showing::rows(console, change.output, vec![would.clone()], would)?;
    }
    if change.output == Output::Table {
        notes(console, would)?;
    }
    match gone {
        Some(name) => change.deleted(console, would, name)?,
        None => change.ends(console, would)?,
    }
    Ok(Outcome::Done)
}

/// Whether a preview was asked for, and told.
fn preview_of(
    console: &mut Console,
    author: &Author,
    (which, body): (Option<&Which>, &Value),
    (care, change): (&Care, &Change),
) -> Result<bool, Failure> {
    if care.preview {
        let found = preview::ask(author.store(), which, body, &care.settings)?;
        // A script reads one answer: that of the change, or of the preview
        // when nothing follows.
        if change.output == Output::Table || !change.is_agreed() {
            preview::print(console, change.output, &found)?;
        }
    }
    Ok(care.preview)
}

/// Says what a change means, and asks where somebody can be asked.
fn goes_on(
    console: &mut Console,
    would: &Value,
    change: &Change,
    switches: bool,
    previewed: bool,
) -> Result<bool, Failure> {
    let output = change.output;
    if output == Output::Table {
        notes(console, would)?;
    }
    if change.is_agreed() {
        return Ok(true);
    }
    let at_terminal = std::io::stdin().is_terminal() && output == Output::Table;
    if !at_terminal {
        if previewed && output == Output::Table {
            console.line("nothing was changed (--yes goes on behind a preview)")?;
        }
        return Ok(!previewed);
    }
    let means_much = would["notes"].as_array().is_some_and(|own| !own.is_empty());
    if !previewed && !switches && !means_much {
        return Ok(true);
    }
    let name = would["name"].as_str().unwrap_or_default();
    let agreed = agreed(console, &format!("go on with {name}?"))?;
    if !agreed {
        console.line("nothing was changed")?;
    }
    Ok(agreed)
}

fn notes(console: &mut Console, would: &Value) -> Result<(), Failure> {
    for note in would["notes"].as_array().into_iter().flatten() {
        console.line(&format!("note: {}", note.as_str().unwrap_or_default()))?;
    }
    Ok(())
}
