//! How is a signed snapshot read without any server?
//!
//! One loader for every offline command: a pack file, what an edge keeps in
//! its data folder, or a folder into which packs were put away. What is found
//! goes through the checks of an edge's boot against a trust root; nothing in
//! a folder is changed, so that it may be one of a running edge.

use std::{
    borrow::Cow,
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
};

use base64::Engine;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::failure::Failure;
use crate::{
    clock::UnixMs,
    disk::{
        Disk, RealDisk,
        keep::{HeldRelease, Keep},
    },
    limits,
    snapshot::{
        Revision, Snapshot,
        compile::compile,
        layout,
        pack::Pack,
        parts::{self, Content},
        trust::{Checked, Marks, Origin, Trust, verify_pack},
        wire::{ControlDocument, EnvelopeFile, ReleaseDocument},
    },
    store::offline::SnapshotFolder,
};

/// Something an edge might serve.
pub(super) struct Candidate {
    /// None: the environment the pack says it is of.
    environment: Option<String>,
    pack: Form,
    marks: Option<Marks>,
    origin: Origin,
    /// The release that the edge holds back.
    held: Option<HeldRelease>,
}

/// The form in which it was found.
enum Form {
    /// One file.
    Bytes(Vec<u8>),
    /// The files of a folder.
    Pack(Box<Pack>),
}

impl Candidate {
    fn pack(&self) -> Result<Cow<'_, Pack>, Refused> {
        match &self.pack {
            Form::Pack(pack) => Ok(Cow::Borrowed(pack)),
            Form::Bytes(bytes) => Pack::parse(bytes)
                .map(Cow::Owned)
                .map_err(|error| Refused::new(error.name(), &error)),
        }
    }
}

/// Where it was found, and what it is unless it is refused already.
pub(super) type Found = (String, Result<Candidate, Refused>);

/// What there is at a path: one pack, what an edge's data folder keeps, or the
/// signed environments of a folder of snapshot files.
pub(super) fn find(path: &Path, environment: Option<&str>) -> Result<Vec<Found>, Failure> {
    if SnapshotFolder::is_at(path) {
        of_snapshot_folder(path, environment)
    } else if path.is_dir() {
        of_folder(path, environment)
    } else {
        Ok(vec![of_file(path, environment)?])
    }
}

fn of_file(path: &Path, environment: Option<&str>) -> Result<Found, Failure> {
    let candidate = Candidate {
        environment: environment.map(ToOwned::to_owned),
        pack: Form::Bytes(read(path, limits::PACK_BYTES_MAX)?),
        marks: None,
        origin: Origin::Disk,
        held: None,
    };
    Ok((path.display().to_string(), Ok(candidate)))
}

/// The signed environments of a folder of snapshot files.
fn of_snapshot_folder(path: &Path, only: Option<&str>) -> Result<Vec<Found>, Failure> {
    let folder = SnapshotFolder::at(path);
    let names = folder
        .environments()
        .map_err(|error| Failure::undone("the snapshots cannot be listed").because(&error))?;
    let mut found = Vec::new();
    for name in names {
        if only.is_some_and(|only| only != name) {
            continue;
        }
        let candidate = match folder.pack(&name) {
            Ok(Some(pack)) => Ok(Candidate {
                environment: Some(name.clone()),
                pack: Form::Pack(Box::new(pack)),
                marks: None,
                origin: Origin::Disk,
                held: None,
            }),
            Ok(None) => continue,
            Err(error) => Err(Refused::new("folder", &error)),
        };
        let place = path.join(layout::environment(&name));
        found.push((place.display().to_string(), candidate));
    }
    Ok(found)
}

/// What the folder keeps for each environment, judged against its own marks.
fn of_folder(path: &Path, environment: Option<&str>) -> Result<Vec<Found>, Failure> {
    let folder = path.join("snapshots");
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let names = match environment {
        Some(name) => vec![name.to_owned()],
        None => disk.list(&folder).map_err(|error| {
            Failure::undone(format!("{} cannot be read", folder.display()))
                .because(&error)
                .mend("expected a pack file, or an edge's data folder")
        })?,
    };
    let mut found = Vec::new();
    for name in names {
        let kept = Keep::look(disk.clone(), &folder, &name)
            .and_then(|keep| Ok((keep.load()?, keep.held()?)));
        let place = folder.join(&name).display().to_string();
        let candidate = match kept {
            Ok((Some(kept), held)) => {
                let Some(pack) = kept.pack else { continue };
                Ok(Candidate {
                    environment: Some(name),
                    pack: Form::Bytes(pack),
                    marks: Some(kept.marks),
                    origin: if kept.fell_back {
                        Origin::Fallback
                    } else {
                        Origin::Disk
                    },
                    // Where the one in force is lost the held one serves.
                    held: held.and_then(|(held, serves)| serves.map(|_| held)),
                })
            }
            Ok((None, _)) => continue,
            Err(error) => Err(Refused::new("keep", &error)),
        };
        found.push((place, candidate));
    }
    Ok(found)
}

/// Why a pack is refused: the rule's stable name, and in words.
pub(super) struct Refused {
    pub(super) rule: &'static str,
    pub(super) words: String,
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
pub(super) fn judge(candidate: &Candidate, root: &[u8], now: UnixMs) -> Result<Judged, Refused> {
    let pack = candidate.pack()?;
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
    let held = candidate.held.as_ref();
    let is_held = held.is_some_and(|held| held.sha256 == checked.release.sha256())
        && !checked
            .control
            .document()
            .confirmed_releases
            .contains(&checked.release.document().version);
    Ok(Judged {
        checked,
        snapshot,
        is_held,
        fell_back: candidate.origin == Origin::Fallback,
    })
}

/// What it says, verified by nothing but its own hashes.
pub(super) fn unverified(candidate: &Candidate) -> Result<(Content, ControlDocument), Refused> {
    let pack = candidate.pack()?;
    let malformed = || Refused {
        rule: "malformed",
        words: "a document cannot be read (expected an envelope of release and control)".to_owned(),
    };
    let release: ReleaseDocument = payload(&pack.release).ok_or_else(malformed)?;
    let control: ControlDocument = payload(&pack.control).ok_or_else(malformed)?;
    let find = |sha256: &str| pack.blobs.get(sha256).map(Vec::as_slice);
    let content = parts::resolve_index(&release.index, find, limits::SNAPSHOT_BYTES_MAX)
        .map_err(|error| Refused::new(error.name(), &error))?;
    Ok((content, control))
}

/// What an envelope says, before anything is verified.
fn payload<T: DeserializeOwned>(file: &[u8]) -> Option<T> {
    let envelope: EnvelopeFile = serde_json::from_slice(file).ok()?;
    let engine = base64::engine::general_purpose::STANDARD;
    let payload = engine.decode(envelope.payload).ok()?;
    serde_json::from_slice(&payload).ok()
}

/// What passed all checks.
pub(super) struct Judged {
    pub(super) checked: Checked,
    pub(super) snapshot: Snapshot,
    pub(super) fell_back: bool,
    /// The edge whose folder it is serves the release before it.
    pub(super) is_held: bool,
}

/// The environment a pack says it is of, before anything is verified.
fn environment_said(pack: &Pack) -> Option<String> {
    let document: Value = payload(&pack.timestamp)?;
    document["environment"].as_str().map(ToOwned::to_owned)
}

/// A file, unless it is longer than anything that belongs there.
pub(super) fn read(path: &Path, bytes_max: usize) -> Result<Vec<u8>, Failure> {
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

/// Which snapshot a command needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    /// Of this environment; none: whichever the packs are of.
    pub(super) environment: Option<&'a str>,
    /// At this revision.
    pub(super) revision: Number,
}

/// A revision in full, or its number alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Number {
    /// `epoch.N`.
    Revision(Revision),
    /// `N`, of whatever epoch.
    Alone(u64),
}

impl Number {
    pub(super) fn fits(self, revision: Revision) -> bool {
        match self {
            Self::Revision(own) => own == revision,
            Self::Alone(number) => number == revision.number,
        }
    }
}

impl std::str::FromStr for Number {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if digits && let Ok(number) = text.parse() {
            return Ok(Self::Alone(number));
        }
        let revision = text.parse().map(Self::Revision);
        revision.map_err(|_| "expected a revision such as 0.17, or its number alone".to_owned())
    }
}

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Revision(revision) => revision.fmt(f),
            Self::Alone(number) => number.fmt(f),
        }
    }
}

/// The snapshot of this revision among what is at the path. Everything there
/// is verified; the marks of an edge's folder are not asked, because an older
/// revision than the one in force is wanted as a rule.
pub(super) fn at_revision(
    path: &Path,
    trust_root: &Path,
    wanted: Wanted<'_>,
    now: UnixMs,
) -> Result<Snapshot, Failure> {
    let root = read(trust_root, limits::DOCUMENT_BYTES_MAX)?;
    let mut found = Vec::new();
    let all = match SnapshotFolder::is_at(path) {
        true => of_snapshot_folder(path, wanted.environment)?,
        false => packs(path, wanted.environment)?
            .iter()
            .map(|file| of_file(file, wanted.environment))
            .collect::<Result<_, _>>()?,
    };
    for (place, candidate) in all {
        match candidate.and_then(|candidate| judge(&candidate, &root, now)) {
            Ok(judged) if wanted.revision.fits(judged.snapshot.revision) => {
                return Ok(judged.snapshot);
            }
            Ok(judged) => found.push(format!("{place} is revision {}", judged.snapshot.revision)),
            Err(refused) => {
                found.push(format!(
                    "{place} is refused ({}): {}",
                    refused.rule, refused.words
                ));
            }
        }
    }
    let revision = wanted.revision;
    let place = path.display();
    let found = match found.as_slice() {
        [] => "no pack".to_owned(),
        found => found.join("; "),
    };
    Err(Failure::undone(format!(
        "there is no good snapshot of revision {revision} in {place}: found {found}, expected revision {revision}"
    ))
    .mend("give the pack that an edge kept of that revision, or a folder of packs"))
}

/// The pack itself, those an edge keeps of the environment, or those of a
/// folder of packs; by name.
fn packs(path: &Path, environment: Option<&str>) -> Result<Vec<PathBuf>, Failure> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let kept = path.join("snapshots");
    let folders = match environment {
        _ if !kept.is_dir() => vec![path.to_owned()],
        Some(environment) => vec![kept.join(environment)],
        None => entries(&kept)?,
    };
    let mut packs = Vec::new();
    for folder in folders {
        let named = |file: &PathBuf| file.extension().is_some_and(|own| own == "pack");
        packs.extend(entries(&folder)?.into_iter().filter(named));
    }
    Ok(packs)
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let listed = std::fs::read_dir(folder).and_then(|entries| {
        let paths = entries.map(|entry| entry.map(|entry| entry.path()));
        paths.collect::<Result<Vec<_>, _>>()
    });
    let mut paths = listed.map_err(|error| {
        Failure::undone(format!("{} cannot be read", folder.display()))
            .because(&error)
            .mend("expected a pack file, an edge's data folder, or a folder of packs")
    })?;
    paths.sort();
    Ok(paths)
}
