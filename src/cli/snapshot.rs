//! Would an edge serve this snapshot, and what is in it?
//!
//! `verify` and `inspect` read one pack, or what an edge keeps in its data
//! folder, and run the checks an edge runs at boot, offline, against the trust
//! root given. Nothing in the folder is changed, so that it may be one of a
//! running edge. A refusal ends with 1 and the rule that refused.

use std::{
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
};

use base64::Engine;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{
    console::Console,
    failure::{Failure, Outcome},
    table::{self, Output},
};
use crate::{
    clock::{Ambient, UnixMs},
    disk::{Disk, RealDisk, keep::Keep},
    limits,
    snapshot::{
        Snapshot,
        compile::compile,
        pack::Pack,
        trust::{Checked, Marks, Origin, Trust, verify_pack},
        wire::EnvelopeFile,
    },
};

/// `flowgate snapshot …`.
#[derive(Debug, Subcommand)]
pub(super) enum SnapshotCommand {
    /// Say whether an edge would serve it, and which rule refuses it if not.
    Verify(Look),
    /// Verify it, and list its flows and versions.
    Inspect(Look),
}

/// What both take.
#[derive(Debug, Args)]
pub(super) struct Look {
    /// A pack file, or an edge's data folder.
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
        SnapshotCommand::Verify(look) => (look, false),
        SnapshotCommand::Inspect(look) => (look, true),
    };
    let root = read(&look.trust_root, limits::DOCUMENT_BYTES_MAX)?;
    let now = Ambient::system().now_ms();
    let found = if look.path.is_dir() {
        of_folder(&look)?
    } else {
        vec![of_file(&look)?]
    };
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
            .mend("expected a pack file, or the data folder of an edge that has served"));
    }
    show(console, look.output, &reports, in_full)?;
    let refused = reports.iter().any(|report| report["verdict"] == "refused");
    Ok(if refused {
        Outcome::NotSo
    } else {
        Outcome::Done
    })
}

/// Something an edge might serve.
struct Candidate {
    /// None: the environment the pack says it is of.
    environment: Option<String>,
    pack: Vec<u8>,
    marks: Option<Marks>,
    origin: Origin,
}

/// Where it was found, and what it is unless it is refused already.
type Found = (String, Result<Candidate, Refused>);

fn of_file(look: &Look) -> Result<Found, Failure> {
    let candidate = Candidate {
        environment: look.environment.clone(),
        pack: read(&look.path, limits::PACK_BYTES_MAX)?,
        marks: None,
        origin: Origin::Disk,
    };
    Ok((look.path.display().to_string(), Ok(candidate)))
}

/// What the folder keeps for each environment, judged against its own marks.
fn of_folder(look: &Look) -> Result<Vec<Found>, Failure> {
    let folder = look.path.join("snapshots");
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let names = match &look.environment {
        Some(name) => vec![name.clone()],
        None => disk.list(&folder).map_err(|error| {
            Failure::undone(format!("{} cannot be read", folder.display()))
                .because(&error)
                .mend("expected a pack file, or an edge's data folder")
        })?,
    };
    let mut found = Vec::new();
    for name in names {
        let kept = Keep::look(disk.clone(), &folder, &name).and_then(|keep| keep.load());
        let place = folder.join(&name).display().to_string();
        let candidate = match kept {
            Ok(Some(kept)) => {
                let Some(pack) = kept.pack else { continue };
                Ok(Candidate {
                    environment: Some(name),
                    pack,
                    marks: Some(kept.marks),
                    origin: if kept.fell_back {
                        Origin::Fallback
                    } else {
                        Origin::Disk
                    },
                })
            }
            Ok(None) => continue,
            Err(error) => Err(Refused::new("keep", &error)),
        };
        found.push((place, candidate));
    }
    Ok(found)
}

/// Why a pack is refused: the rule's stable name, and in words.
struct Refused {
    rule: &'static str,
    words: String,
}

impl Refused {
    fn new(rule: &'static str, error: &(dyn std::error::Error + 'static)) -> Self {
        let failure = Failure::undone("refused").because(error);
        let words = failure.to_string();
        Self {
            rule,
            words: words.trim_start_matches("refused: ").to_owned(),
        }
    }
}

/// The checks of an edge's boot.
fn judge(candidate: &Candidate, root: &[u8], now: UnixMs) -> Result<Judged, Refused> {
    let pack = Pack::parse(&candidate.pack).map_err(|error| Refused::new(error.name(), &error))?;
    // Without a name given, the pack's own is taken: what is then verified is
    // that this root allows these signers to speak for it.
    let environment = candidate
        .environment
        .clone()
        .or_else(|| environment_said(&pack))
        .unwrap_or_default();
    let mut trust = Trust::new(&environment, root, candidate.marks.clone())
        .map_err(|error| Refused::new(error.name(), &error))?;
    let checked = verify_pack(&mut trust, &pack, now, candidate.origin)
        .map_err(|error| Refused::new(error.name(), &error))?;
    let timestamp = checked.timestamp.document();
    let snapshot = compile(
        &environment,
        &timestamp.environment_uid,
        checked.timestamp.revision(),
        &checked.content,
        checked.control.document(),
    )
    .map_err(|error| Refused::new("compile", &error))?;
    Ok(Judged {
        checked,
        snapshot,
        fell_back: candidate.origin == Origin::Fallback,
    })
}

/// What passed all checks.
struct Judged {
    checked: Checked,
    snapshot: Snapshot,
    fell_back: bool,
}

/// The environment a pack says it is of, before anything is verified.
fn environment_said(pack: &Pack) -> Option<String> {
    let envelope: EnvelopeFile = serde_json::from_slice(&pack.timestamp).ok()?;
    let engine = base64::engine::general_purpose::STANDARD;
    let payload = engine.decode(envelope.payload).ok()?;
    let document: Value = serde_json::from_slice(&payload).ok()?;
    document["environment"].as_str().map(ToOwned::to_owned)
}

fn report(place: &str, verdict: Result<Judged, Refused>, now: UnixMs, in_full: bool) -> Value {
    let Judged {
        checked,
        snapshot,
        fell_back,
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

/// A file, unless it is longer than anything that belongs there.
fn read(path: &Path, bytes_max: usize) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(bytes_max as u64 + 1).read_to_end(&mut bytes))
        .map_err(|error| {
            Failure::undone(format!("{} cannot be read", path.display())).because(&error)
        })?;
    if bytes.len() > bytes_max {
        return Err(Failure::undone(format!(
            "{} is longer than {bytes_max} bytes, the most such a file may have",
            path.display()
        )));
    }
    Ok(bytes)
}
