//! How is a store backed up, and brought back?
//!
//! `flowgate store backup` and `flowgate store restore` work on the folders of
//! a store, found by the same settings as a start finds them. What they do is
//! `store::backup`; this file turns it into words, and above all into what is
//! to be done next.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::{
    console::Console,
    failure::{Failure, Outcome},
    serve::{self, StoreArguments},
    table,
};
use crate::{
    clock::Ambient,
    config::{STORE, Settings, StoreConfig, Variables},
    store::backup::{
        BackUp, BackupError, EnvironmentState, Restore, Restored, SigningFolder, back_up, restore,
    },
};

/// `flowgate store`, with or without a verb.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct StoreFamily {
    #[command(subcommand)]
    command: Option<StoreCommand>,
    #[command(flatten)]
    serve: StoreArguments,
}

/// `flowgate store …`.
#[derive(Debug, Subcommand)]
enum StoreCommand {
    /// Copy a store, which may be running, into a new folder.
    Backup(BackupArguments),
    /// Make a store of a backup, in an empty data folder.
    Restore(RestoreArguments),
}

#[derive(Debug, Args)]
struct BackupArguments {
    #[command(flatten)]
    place: Place,
    /// Folder to make; it must not be there yet.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Also copy the secrets: the signing keys, the key that signs webhooks,
    /// the first admin key. Whoever has such a backup can act as the store.
    #[arg(long)]
    with_signing_keys: bool,
}

#[derive(Debug, Args)]
struct RestoreArguments {
    /// Folder that `flowgate store backup` made.
    backup: PathBuf,
    #[command(flatten)]
    place: Place,
    /// Sign a new root that lets the counters of all environments begin again,
    /// so that edges accept the restored store. Needs the key of the root.
    #[arg(long)]
    raise_epoch: bool,
}

/// Where a store keeps its things; by default where its settings say.
#[derive(Debug, Args)]
struct Place {
    /// Settings file of the store.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Data folder of the store [variable: FLOWGATE_DATA].
    #[arg(long, value_name = "PATH")]
    data: Option<PathBuf>,
    /// Folder of its signing keys [default: the folder signing inside the data
    /// folder] [variable: FLOWGATE_SIGNING__FOLDER].
    #[arg(long, value_name = "PATH")]
    signing: Option<PathBuf>,
}

impl Place {
    fn read(&self, variables: &Variables) -> Result<StoreConfig, Failure> {
        let mut settings = Settings::new(&STORE);
        if let Some(file) = &self.config {
            settings = settings.file(file);
        }
        let flags = [("data", &self.data), ("signing.folder", &self.signing)];
        let given = flags.into_iter().filter_map(|(key, path)| {
            Some((
                key.to_owned(),
                path.as_ref()?.to_string_lossy().into_owned(),
            ))
        });
        let pairs: Vec<_> = given.collect();
        Ok(StoreConfig::build(
            settings.variables(variables).flags(&pairs),
        )?)
    }
}

/// Starts a store, or does what the verb says.
pub(super) fn run(
    family: &StoreFamily,
    variables: &Variables,
    console: &mut Console,
) -> Result<Outcome, Failure> {
    match &family.command {
        None => serve::store(&family.serve, variables, console),
        Some(StoreCommand::Backup(arguments)) => backup(arguments, variables, console),
        Some(StoreCommand::Restore(arguments)) => bring_back(arguments, variables, console),
    }
}

fn backup(
    arguments: &BackupArguments,
    variables: &Variables,
    console: &mut Console,
) -> Result<Outcome, Failure> {
    let config = arguments.place.read(variables)?;
    let what = BackUp {
        data: config.data(),
        signing: config.signing(),
        out: &arguments.out,
        with_signing_keys: arguments.with_signing_keys,
    };
    let made = back_up(&what, &Ambient::system()).map_err(|error| failed("backed up", &error))?;
    let bytes: u64 = made.files.iter().map(|file| file.bytes).sum();
    console.line(&format!(
        "backed up: {} into {}, {} files, {bytes} bytes",
        config.data().display(),
        arguments.out.display(),
        made.files.len()
    ))?;
    console.line(&format!("environments: {}", listed(&made.environments)))?;
    console.line(&if made.with_signing_keys {
        "it holds the signing keys: keep it as secret as those".to_owned()
    } else {
        format!(
            "the signing keys are not in it: keep {} yourself",
            config.signing().join("keys").display()
        )
    })?;
    Ok(Outcome::Done)
}

fn bring_back(
    arguments: &RestoreArguments,
    variables: &Variables,
    console: &mut Console,
) -> Result<Outcome, Failure> {
    let config = arguments.place.read(variables)?;
    let what = Restore {
        backup: &arguments.backup,
        data: config.data(),
        signing: config.signing(),
        raise_epoch: arguments.raise_epoch,
    };
    let restored =
        restore(&what, &Ambient::system()).map_err(|error| failed("restored", &error))?;
    console.line(&format!(
        "restored: {} as it was at {}",
        config.data().display(),
        table::time(restored.manifest.created_ms)
    ))?;
    console.line(&format!("environments: {}", listed(&restored.environments)))?;
    for line in what_is_next(&restored, config.signing()) {
        console.line(&line)?;
    }
    Ok(Outcome::Done)
}

/// What a person has to do, or to know, before the store is started.
fn what_is_next(restored: &Restored, signing: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    let folder = signing.display();
    match restored.signing {
        SigningFolder::Kept => lines.push(format!("signing keys: those in {folder} were kept")),
        SigningFolder::Restored => {
            lines.push(format!("signing keys: brought back into {folder}"));
        }
        SigningFolder::WithoutKeys => lines.push(format!(
            "signing keys: none in the backup; put them into {folder}/keys before you start the store"
        )),
    }
    match restored.raised {
        Some(root) => lines.push(format!(
            "epochs: raised by root {root}; edges follow it by themselves"
        )),
        None => {
            let uids = restored.environments.iter().map(|own| own.uid.as_str());
            let uids = uids.collect::<Vec<_>>().join(" ");
            lines.push(
                "epochs: not raised. Edges that have accepted anything since the backup refuse \
                 what this store signs, until its root says otherwise:"
                    .to_owned(),
            );
            lines.push(format!(
                "  flowgate key signing raise-epoch --folder {folder} {uids}"
            ));
        }
    }
    lines.push(format!(
        "keys: what was revoked after {} is valid again, and what was made is gone",
        table::time(restored.manifest.created_ms)
    ));
    lines
}

/// `development at 0.17, production at 0.3`.
fn listed(environments: &[EnvironmentState]) -> String {
    let texts = environments
        .iter()
        .map(|own| format!("{} at {}.{}", own.name, own.epoch, own.revision));
    texts.collect::<Vec<_>>().join(", ")
}

fn failed(what: &str, error: &BackupError) -> Failure {
    Failure::undone(format!("nothing was {what}")).because(error)
}
