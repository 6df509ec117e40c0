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
        admin::Admin,
        console::Console,
        editing::agreed,
        failure::{Failure, Outcome},
        table::{self, Output},
    },
    Which,
    preview::{self, PreviewSettings},
    showing,
};

/// How careful a change is.
#[derive(Debug, Args)]
pub(in crate::cli) struct Care {
    /// Only say what it would mean.
    #[arg(long)]
    dry_run: bool,
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
    admin: &Admin,
    body: &Value,
    (care, output): (&Care, Output),
) -> Result<Outcome, Failure> {
    let dry = [("dryRun", "true")];
    let would = admin.change(Method::POST, &["deployments"], &dry, Some(body))?;
    if care.dry_run {
        return told(console, output, &would);
    }
    let found = preview_of(console, admin, (None, body), (care, output))?;
    if !goes_on(console, &would, (admin, output), false, found)? {
        return Ok(Outcome::NotSo);
    }
    let made = admin.post(&["deployments"], body)?;
    showing::rows(console, output, vec![made.clone()], &made)?;
    Ok(Outcome::Done)
}

/// A change of one that is there; `switches` says that running conversations
/// notice at once.
pub(super) fn change(
    console: &mut Console,
    admin: &Admin,
    (which, (method, more, body)): (&Which, Asked<'_>),
    (care, output): (&Care, Output),
    switches: bool,
) -> Result<Outcome, Failure> {
    let dry = [("dryRun", "true")];
    let would = which.ask(admin, method.clone(), more, &dry, body)?;
    if care.dry_run {
        return told(console, output, &would);
    }
    let as_body = match (more, body) {
        (["activate"], _) => json!({"active": true}),
        (["deactivate"], _) => json!({"active": false}),
        (_, Some(body)) => body.clone(),
        (_, None) => json!({"active": false}),
    };
    let found = preview_of(console, admin, (Some(which), &as_body), (care, output))?;
    if !goes_on(console, &would, (admin, output), switches, found)? {
        return Ok(Outcome::NotSo);
    }
    let deletes = method == Method::DELETE;
    let answer = which.ask(admin, method, more, &[], body)?;
    match (deletes, output) {
        (true, Output::Json) => table::json(console, &json!({"deleted": which.deployment}))?,
        (true, Output::Table) => console.line(&format!("deleted: {}", which.deployment))?,
        (false, _) => showing::rows(console, output, vec![answer.clone()], &answer)?,
    }
    Ok(Outcome::Done)
}

/// The answer of a dry run.
fn told(console: &mut Console, output: Output, would: &Value) -> Result<Outcome, Failure> {
    showing::rows(console, output, vec![would.clone()], would)?;
    if output == Output::Table {
        notes(console, would)?;
        console.line("nothing was changed (it was a dry run)")?;
    }
    Ok(Outcome::Done)
}

/// Whether a preview was asked for, and told.
fn preview_of(
    console: &mut Console,
    admin: &Admin,
    (which, body): (Option<&Which>, &Value),
    (care, output): (&Care, Output),
) -> Result<bool, Failure> {
    if care.preview {
        let found = preview::ask(admin, which, body, &care.settings)?;
        // A script reads one answer: that of the change, or of the preview
        // when nothing follows.
        if output == Output::Table || !admin.is_agreed() {
            preview::print(console, output, &found)?;
        }
    }
    Ok(care.preview)
}

/// Says what a change means, and asks where somebody can be asked.
fn goes_on(
    console: &mut Console,
    would: &Value,
    (admin, output): (&Admin, Output),
    switches: bool,
    previewed: bool,
) -> Result<bool, Failure> {
    if output == Output::Table {
        notes(console, would)?;
    }
    if admin.is_agreed() {
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
