//! How are snapshots made without a server?
//!
//! `build` turns project files into a folder of parts, `sign` numbers and
//! signs what was built; both are thin layers over `store::offline`. Keys
//! come as hashes, so that a pipeline needs to know no secret of applications.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use super::{
    author::project_file,
    console::Console,
    env::Unsigned,
    failure::{Failure, Outcome},
    hash::hash_of_file,
    table::{self, Output},
};
use crate::{
    clock::Ambient,
    limits,
    snapshot::{flags::FlagsDocument, is_sha256_hex, wire::EnvironmentType},
    store::{
        SourceFile, StoredKeyKind,
        offline::{
            self, BuildError, Built, EnvironmentGiven, KeyGiven, SignOptions, SnapshotFolder,
        },
        signing::Signing,
    },
};

/// Arguments of `flowgate snapshot build`.
#[derive(Debug, Args)]
pub(super) struct BuildArguments {
    /// Project files, YAML or JSON; `-` is standard input.
    #[arg(required = true, value_name = "PROJECT")]
    files: Vec<PathBuf>,
    /// Folder to write to; made when missing, continued when it is there.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// An environment to build, and its type where its name does not say it:
    /// development (which has drafts), test, preproduction or production.
    /// Can be given several times [default: development and production].
    #[arg(long = "environment", value_name = "NAME[=TYPE]")]
    environments: Vec<String>,
    /// The uid an environment has in the store it came from [default: made of
    /// its name].
    #[arg(long = "environment-uid", value_name = "NAME=UID")]
    uids: Vec<String>,
    /// Whether whoever holds a public key may act as any user, in all that is
    /// built [default: in development and test].
    #[arg(long, value_enum)]
    unsigned_users: Option<Unsigned>,
    /// A key that applications come with: its SHA-256, or a file that holds
    /// the key. KIND is blocks, users, client, frontend or server; ENV may be
    /// left out when one environment is built; @CHANNEL binds it to a channel.
    #[arg(long = "key", value_name = "[ENV/]KIND:NAME[@CHANNEL]=HASH|FILE")]
    keys: Vec<String>,
    /// Flags of all environments that are built, or of one: a document as
    /// Unleash answers /api/client/features. Can be given several times.
    #[arg(long = "features", value_name = "[ENV=]FILE")]
    features: Vec<String>,
    /// Table or JSON.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// Arguments of `flowgate snapshot sign`.
#[derive(Debug, Args)]
pub(super) struct SignArguments {
    /// The folder that was built.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Folder of the signing keys, as `flowgate key signing create` makes it.
    #[arg(long, value_name = "FOLDER")]
    signing: PathBuf,
    /// Days after which no edge accepts it any more [default: as many as the
    /// root allows].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=400))]
    timestamp_life_days: Option<u64>,
    /// Days after which edges call themselves stale [default: the life].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=400))]
    fresh_days: Option<u64>,
    /// The smallest number for new versions: for pipelines that start from an
    /// empty folder each time, such as --number $(date +%s).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1 << 53))]
    number: Option<u64>,
    /// Table or JSON.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// `flowgate snapshot build`.
pub(super) fn build(arguments: &BuildArguments, console: &mut Console) -> Result<Outcome, Failure> {
    let environments = environments(arguments)?;
    let keys: Result<Vec<_>, _> = arguments
        .keys
        .iter()
        .map(|given| key(given, &environments))
        .collect();
    let files: Result<Vec<SourceFile>, _> = arguments.files.iter().map(project_file).collect();
    let (built, notices) = offline::build(&files?, &environments, &keys?).map_err(not_built)?;
    let folder = SnapshotFolder::at(&arguments.out);
    for one in &built {
        folder
            .write_built(one)
            .map_err(|error| Failure::undone("the snapshot was not written").because(&error))?;
    }
    let rows: Vec<Value> = built.iter().map(row).collect();
    let columns = [
        ("environment", "ENVIRONMENT"),
        ("environment_uid", "UID"),
        ("parts", "PARTS"),
        ("bytes", "BYTES"),
        ("index", "INDEX"),
    ];
    table::print(console, arguments.output, &columns, &rows)?;
    for notice in notices {
        console.complain_as_is(&format!("notice: {notice}\n"));
    }
    Ok(Outcome::Done)
}

/// `flowgate snapshot sign`.
pub(super) fn sign(arguments: &SignArguments, console: &mut Console) -> Result<Outcome, Failure> {
    const DAY_MS: u64 = 24 * 60 * 60 * 1000;
    let failed = |error: &(dyn std::error::Error + 'static)| {
        Failure::undone("nothing was signed").because(error)
    };
    let signing = Signing::load(&arguments.signing).map_err(|error| failed(&error))?;
    let options = SignOptions {
        life_ms: arguments.timestamp_life_days.map(|days| days * DAY_MS),
        fresh_ms: arguments.fresh_days.map(|days| days * DAY_MS),
        number: arguments.number,
    };
    let folder = SnapshotFolder::at(&arguments.folder);
    let now = Ambient::system().now_ms();
    let signed = offline::sign(&folder, &signing, &options, now).map_err(|error| failed(&error))?;
    let rows = signed.iter().map(|own| {
        let mut row = json!(own);
        row["expires"] = json!(table::time(own.expires_ms));
        row
    });
    let columns = [
        ("environment", "ENVIRONMENT"),
        ("revision", "REVISION"),
        ("release", "RELEASE"),
        ("control", "CONTROL"),
        ("serial", "SERIAL"),
        ("changed", "CHANGED"),
        ("expires", "EXPIRES"),
    ];
    table::print(
        console,
        arguments.output,
        &columns,
        &rows.collect::<Vec<_>>(),
    )?;
    Ok(Outcome::Done)
}

fn not_built(error: BuildError) -> Failure {
    let failure = Failure::undone("nothing was built").because(&error);
    let BuildError::Import(error) = error else {
        return failure;
    };
    let lines = error.faults.iter().map(ToString::to_string);
    failure.mend(lines.collect::<Vec<_>>().join("\n   "))
}

fn row(built: &Built) -> Value {
    let bytes: usize = built.blobs.values().map(Vec::len).sum();
    json!({
        "environment": built.content.environment,
        "environment_uid": built.content.environment_uid,
        "parts": built.blobs.len(),
        "bytes": bytes,
        "index": built.content.index.sha256,
    })
}

fn environments(arguments: &BuildArguments) -> Result<Vec<EnvironmentGiven>, Failure> {
    let named = match arguments.environments.as_slice() {
        [] => vec!["development".to_owned(), "production".to_owned()],
        given => given.to_vec(),
    };
    let one = |given: &String| {
        let (name, kind) = given.split_once('=').unwrap_or((given, given));
        let kind = match kind {
            "development" => EnvironmentType::Development,
            "test" => EnvironmentType::Test,
            "preproduction" => EnvironmentType::Preproduction,
            "production" => EnvironmentType::Production,
            other if given.contains('=') => {
                return Err(Failure::usage(format!(
                    "--environment {given}: found type {other:?}, expected development, test, preproduction or production"
                )));
            }
            _ => EnvironmentType::Production,
        };
        Ok(EnvironmentGiven {
            name: name.to_owned(),
            kind,
            uid: None,
            unsigned_users: arguments.unsigned_users.and_then(Unsigned::choice),
            flags: FlagsDocument::default(),
        })
    };
    let mut environments = named.iter().map(one).collect::<Result<Vec<_>, _>>()?;
    for given in &arguments.uids {
        let (name, uid) = given.split_once('=').unwrap_or((given, ""));
        let own = environments.iter_mut().find(|own| own.name == name);
        match own {
            Some(own) if (8..=64).contains(&uid.len()) => own.uid = Some(uid.to_owned()),
            _ => {
                return Err(Failure::usage(format!(
                    "--environment-uid {given}: expected NAME=UID of an environment that is built, the uid of 8 to 64 bytes"
                )));
            }
        }
    }
    for given in &arguments.features {
        add_flags(given, &mut environments)?;
    }
    Ok(environments)
}

/// Reads `[ENV=]FILE`; what is given for one environment counts there.
fn add_flags(given: &str, environments: &mut [EnvironmentGiven]) -> Result<(), Failure> {
    let named = given.split_once('=');
    let named = named.filter(|(name, _)| environments.iter().any(|own| own.name == *name));
    let path = named.map_or(given, |(_, path)| path);
    let wrong = |error: &(dyn std::error::Error + 'static)| {
        Failure::undone(format!("--features {given}: no flags")).because(error)
    };
    let bytes = std::fs::read(path).map_err(|error| wrong(&error))?;
    let flags = FlagsDocument::read(&bytes).map_err(|error| wrong(&error))?;
    for own in environments {
        match named {
            Some((name, _)) if own.name == name => own.flags = flags.clone(),
            None if own.flags == FlagsDocument::default() => own.flags = flags.clone(),
            _ => {}
        }
    }
    Ok(())
}

/// Reads `[ENV/]KIND:NAME[@CHANNEL]=HASH|FILE`.
fn key(given: &str, environments: &[EnvironmentGiven]) -> Result<KeyGiven, Failure> {
    // What stands behind the sign may be a key by mistake, and is not shown.
    let (label, value) = given.split_once('=').unwrap_or((given, ""));
    let wrong = |what: &str| {
        Failure::usage(format!("--key {label}=…: {what}"))
            .mend("expected [ENV/]KIND:NAME[@CHANNEL]=HASH, or a file that holds the key in place of its hash")
    };
    let (environment, rest) = match (label.split_once('/'), environments) {
        (Some((environment, rest)), _) if !environment.contains(':') => (environment, rest),
        (_, [only]) => (only.name.as_str(), label),
        _ => return Err(wrong("several environments are built, and it names none")),
    };
    let (kind, name) = rest.split_once(':').unwrap_or((rest, ""));
    let (name, channel) = match name.split_once('@') {
        Some((name, channel)) => (name, Some(channel.to_owned())),
        None => (name, None),
    };
    let kind = StoredKeyKind::named(kind).ok_or_else(|| wrong("its kind is unknown"))?;
    let sha256 = match value {
        "" => return Err(wrong("there is neither a hash nor a file")),
        hash if is_sha256_hex(hash) => hash.to_owned(),
        file => hash_of_file(Path::new(file), limits::HEAD_BYTES_MAX)
            .map_err(|failure| wrong(&failure.to_string()))?,
    };
    Ok(KeyGiven {
        environment: environment.to_owned(),
        kind,
        name: name.to_owned(),
        sha256,
        channel,
    })
}
