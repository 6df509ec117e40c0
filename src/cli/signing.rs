//! How are the keys made that sign snapshots?
//!
//! Works on the signing folder directly and needs no store: root keys belong
//! on a machine that is offline. All of it is `store::signing`; this file
//! turns it into words.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::{
    console::Console,
    failure::{Failure, Outcome},
    table::{self, Output},
};
use crate::{
    clock::Ambient,
    snapshot::envelope::Role,
    store::signing::{Signing, SigningError, SigningSummary},
};

/// `flowgate key signing …`.
#[derive(Debug, Subcommand)]
pub(super) enum SigningCommand {
    /// Make root, release, timestamp and control keys and the first root.
    Create {
        #[command(flatten)]
        folder: Folder,
        /// Days a timestamp may live under this root: 1 for a store, more for
        /// snapshots that are carried as files.
        #[arg(long, value_name = "N", default_value_t = 1,
              value_parser = clap::value_parser!(u64).range(1..=400))]
        timestamp_life_days: u64,
    },
    /// Replace the key of one role by a fresh one, under a new root.
    Rotate {
        /// Whose key.
        role: RoleName,
        #[command(flatten)]
        folder: Folder,
        /// Days a timestamp may live under the new root [default: as under the
        /// old one].
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=400))]
        timestamp_life_days: Option<u64>,
    },
    /// Let the counters of environments begin again, under a new root: what
    /// edges need after a store was restored from a backup.
    RaiseEpoch {
        /// Uids of the environments, as `flowgate store restore` names them.
        #[arg(required = true, value_name = "UID")]
        environments: Vec<String>,
        #[command(flatten)]
        folder: Folder,
    },
    /// Show the root in force and the ids of the keys, never a secret.
    Show {
        #[command(flatten)]
        folder: Folder,
        /// Table or JSON.
        #[arg(long, value_enum, default_value_t)]
        output: Output,
    },
}

/// Where the signing keys are.
#[derive(Debug, Args)]
pub(super) struct Folder {
    /// Folder of the signing keys, as the store's setting signing.folder
    /// names it.
    #[arg(long, value_name = "DIR", default_value = "./flowgate-store/signing")]
    folder: PathBuf,
}

/// The four roles as typed.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum RoleName {
    /// Signs the next root.
    Root,
    /// Signs what an environment contains.
    Release,
    /// Signs what is current.
    Timestamp,
    /// Signs what is switched off.
    Control,
}

impl RoleName {
    fn role(self) -> Role {
        match self {
            Self::Root => Role::Root,
            Self::Release => Role::Release,
            Self::Timestamp => Role::Timestamp,
            Self::Control => Role::Control,
        }
    }
}

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// Runs one of them.
pub(super) fn run(command: &SigningCommand, console: &mut Console) -> Result<Outcome, Failure> {
    let ambient = Ambient::system();
    match command {
        SigningCommand::Create {
            folder,
            timestamp_life_days,
        } => {
            let life_ms = timestamp_life_days * DAY_MS;
            let signing = Signing::create_living(&folder.folder, life_ms, &ambient);
            let signing = signing.map_err(failed)?;
            tell(console, "created", &signing.show())?;
            console.line(
                "give root.json to every edge (upstream.trust_root); keep keys/ to yourself",
            )?;
        }
        SigningCommand::Rotate {
            role,
            folder,
            timestamp_life_days,
        } => {
            let life_ms = timestamp_life_days.map(|days| days * DAY_MS);
            let rotated = Signing::rotate_living(&folder.folder, role.role(), life_ms, &ambient);
            let signing = rotated.map_err(failed)?;
            tell(console, "rotated", &signing.show())?;
            console.line("edges follow the chain of roots by themselves")?;
            console
                .line("a store that is running signs with the new keys from its next start on")?;
        }
        SigningCommand::RaiseEpoch {
            environments,
            folder,
        } => {
            let wanted = environments.iter().map(|uid| (uid.clone(), 0)).collect();
            let signing =
                Signing::raise_epochs(&folder.folder, &wanted, &ambient).map_err(failed)?;
            tell(console, "raised", &signing.show())?;
            for uid in environments {
                let epoch = signing.root().epochs.get(uid).copied().unwrap_or(0);
                console.line(&format!("environment {uid} is in epoch {epoch}"))?;
            }
            console.line(
                "bring root.json and roots/ to the store and start it again; edges follow by \
                 themselves",
            )?;
        }
        SigningCommand::Show { folder, output } => {
            let signing = Signing::load(&folder.folder).map_err(failed)?;
            show(console, *output, &signing.show())?;
        }
    }
    Ok(Outcome::Done)
}

fn failed(error: SigningError) -> Failure {
    Failure::undone("the signing folder was not used").because(&error)
}

fn tell(console: &mut Console, done: &str, summary: &SigningSummary) -> Result<(), Failure> {
    let root = summary.root_version;
    console.line(&format!("{done}: root {root} in {}", summary.folder))
}

fn show(console: &mut Console, output: Output, summary: &SigningSummary) -> Result<(), Failure> {
    if output == Output::Json {
        let value = serde_json::to_value(summary)
            .map_err(|error| Failure::undone("no JSON").because(&error))?;
        return table::json(console, &value);
    }
    console.line(&format!(
        "root {} in {}, expires {}",
        summary.root_version,
        summary.folder,
        table::time(summary.expires_ms)
    ))?;
    let rows: Vec<Value> = summary
        .keys
        .iter()
        .map(|(role, id)| json!({"role": role, "key": id}))
        .collect();
    table::print(
        console,
        output,
        &[("role", "ROLE"), ("key", "KEY ID")],
        &rows,
    )?;
    if !summary.root_key_present {
        console.line("the root's own key is not in the folder; rotations need it")?;
    }
    Ok(())
}
