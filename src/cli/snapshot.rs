//! Would an edge serve this snapshot, and what is in it?
//!
//! `verify` and `inspect` read one pack, or what an edge keeps in its data
//! folder, and run the checks an edge runs at boot, offline, against the trust
//! root given. Nothing in the folder is changed, so that it may be one of a
//! running edge. A refusal ends with 1 and the rule that refused.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{
    archive::{self, Judged, Refused, judge},
    console::Console,
    diff::{self, DiffArguments},
    failure::{Failure, Outcome},
    offline::{self, BuildArguments, SignArguments},
    table::{self, Output},
};
use crate::{
    clock::{Ambient, UnixMs},
    limits,
    snapshot::Snapshot,
};

/// `flowgate snapshot …`.
#[derive(Debug, Subcommand)]
pub(super) enum SnapshotCommand {
    /// Turn project files into a folder of parts, without a server.
    Build(BuildArguments),
    /// Number and sign what was built, or sign its timestamps anew.
    Sign(SignArguments),
    /// List what differs between two snapshots; ends with 1 when anything does.
    Diff(DiffArguments),
    /// Say whether an edge would serve it, and which rule refuses it if not.
    Verify(Look),
    /// Verify it, and list its flows and versions.
    Inspect(Look),
}

/// What both take.
#[derive(Debug, Args)]
pub(super) struct Look {
    /// A pack file, an edge's data folder, or a folder of snapshot files.
    #[arg(value_name = "DIR|PACK")]
    path: PathBuf,
    /// The root document to trust, as the edge's upstream.trust_root.
    #[arg(long, value_name = "FILE")]
    trust_root: PathBuf,
    /// In a folder only this environment; for a pack the one it must be of.
    #[arg(long, value_name = "ENV")]
    environment: Option<String>,
    /// Table or JSON.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// Runs one of them.
pub(super) fn run(command: SnapshotCommand, console: &mut Console) -> Result<Outcome, Failure> {
    let (look, in_full) = match command {
        SnapshotCommand::Build(arguments) => return offline::build(&arguments, console),
        SnapshotCommand::Sign(arguments) => return offline::sign(&arguments, console),
        SnapshotCommand::Diff(arguments) => return diff::diff(&arguments, console),
        SnapshotCommand::Verify(look) => (look, false),
        SnapshotCommand::Inspect(look) => (look, true),
    };
    let root = archive::read(&look.trust_root, limits::DOCUMENT_BYTES_MAX)?;
    let now = Ambient::system().now_ms();
    let found = archive::find(&look.path, look.environment.as_deref())?;
    let reports: Vec<Value> = found
        .into_iter()
        .map(|(place, candidate)| {
            let verdict = candidate.and_then(|candidate| judge(&candidate, &root, now));
            report(&place, verdict, now, in_full)
        })
        .collect();
    if reports.is_empty() {
        let place = look.path.display();
        return Err(Failure::undone(format!("nothing is kept in {place}"))
            .mend("expected a pack file, the data folder of an edge that has served, or a folder of signed files"));
    }
    show(console, look.output, &reports, in_full)?;
    let refused = reports.iter().any(|report| report["verdict"] == "refused");
    Ok(if refused {
        Outcome::NotSo
    } else {
        Outcome::Done
    })
}

fn report(place: &str, verdict: Result<Judged, Refused>, now: UnixMs, in_full: bool) -> Value {
    let Judged {
        checked,
        snapshot,
        fell_back,
        is_held,
    } = match verdict {
        Ok(judged) => judged,
        Err(refused) => {
            return json!({"pack": place, "verdict": "refused", "rule": refused.rule, "why": refused.words});
        }
    };
    let timestamp = checked.timestamp.document();
    let freshness = if now > timestamp.expires_ms {
        "expired"
    } else if now > timestamp.fresh_until_ms {
        "stale"
    } else {
        "fresh"
    };
    let versions: usize = snapshot
        .flows
        .values()
        .map(|flow| flow.versions.len())
        .sum();
    let mut report = json!({
        "pack": place, "verdict": "good", "previous": fell_back, "environment": &*snapshot.environment,
        "environment_uid": &*snapshot.environment_uid, "revision": snapshot.revision.to_string(),
        "release": checked.release.document().version, "control": checked.control.document().version,
        "freshness": freshness, "age_s": now.saturating_sub(timestamp.issued_ms) / 1000,
        "issued_ms": timestamp.issued_ms, "fresh_until_ms": timestamp.fresh_until_ms,
        "expires_ms": timestamp.expires_ms, "clock_problem": checked.clock_problem().map(ToString::to_string),
        "flows": snapshot.flows.len(), "versions": versions, "keys": snapshot.keys.len(),
        "set_aside": snapshot.set_aside.iter()
            .map(|aside| json!({"flow": &*aside.flow, "version": aside.version, "why": aside.why}))
            .collect::<Vec<_>>(),
    });
    if is_held {
        report["held"] = json!(checked.release.document().version);
    }
    if in_full {
        report["content"] = Value::Array(content(&snapshot));
    }
    report
}

/// Flows and versions, sorted.
fn content(snapshot: &Snapshot) -> Vec<Value> {
    let mut flows: Vec<_> = snapshot.flows.values().collect();
    flows.sort_by_key(|flow| &flow.sid);
    let rows = flows.into_iter().flat_map(|flow| {
        flow.versions.iter().map(|slot| {
            json!({
                "flow": &*flow.sid, "uid": &*flow.uid, "project": &*flow.project, "enabled": flow.enabled,
                "version": slot.number, "blocks": slot.version.as_ref().map(|version| version.blocks.len()),
            })
        })
    });
    rows.collect()
}

fn show(
    console: &mut Console,
    output: Output,
    reports: &[Value],
    in_full: bool,
) -> Result<(), Failure> {
    if output == Output::Json {
        return table::json(console, &Value::Array(reports.to_vec()));
    }
    for report in reports {
        let text = |member: &str| report[member].as_str().unwrap_or_default().to_owned();
        if report["verdict"] == "refused" {
            console.line(&format!(
                "{}: refused ({}): {}",
                text("pack"),
                text("rule"),
                text("why")
            ))?;
            continue;
        }
        console.line(&format!(
            "{}: good, environment {} at revision {} (release {}, control {}), {}, {} s old, {} flows, {} versions, {} keys",
            text("pack"),
            text("environment"),
            text("revision"),
            report["release"],
            report["control"],
            text("freshness"),
            report["age_s"],
            report["flows"],
            report["versions"],
            report["keys"],
        ))?;
        if report["previous"] == true {
            console.line("  the newest pack is damaged; this is the one before it")?;
        }
        if let Some(held) = report["held"].as_u64() {
            console.line(&format!(
                "  release {held} is held back by the guard: the one before it serves until somebody means this one \
                 (flowgate release confirm {} {held})",
                text("environment")
            ))?;
        }
        if let Some(problem) = report["clock_problem"].as_str() {
            console.line(&format!("  the clock of this machine: {problem}"))?;
        }
        for aside in report["set_aside"].as_array().into_iter().flatten() {
            console.line(&format!("  set aside: {aside}"))?;
        }
        if in_full {
            let rows = report["content"]
                .as_array()
                .map(Vec::as_slice)
                .unwrap_or_default();
            let columns = [
                ("flow", "FLOW"),
                ("version", "VERSION"),
                ("enabled", "ENABLED"),
                ("blocks", "BLOCKS"),
                ("project", "PROJECT"),
                ("uid", "UID"),
            ];
            table::print(console, Output::Table, &columns, rows)?;
        }
    }
    Ok(())
}
