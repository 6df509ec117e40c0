//! Are these settings right, and which are there?
//!
//! `config check` runs the very code a start runs, variables included, without
//! starting anything. `config print-defaults` prints the files in `config/`.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};

use super::{
    console::Console,
    failure::{Failure, Outcome},
};
use crate::config::{
    DEV, DevConfig, EDGE, EdgeConfig, Faults, STORE, Settings, StoreConfig, Surface, Variables,
    print_defaults,
};

/// `flowgate config …`.
#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Report every fault of a settings file at once.
    Check {
        /// The file; variables are laid over it, as at a start.
        file: PathBuf,
        /// Whose settings they are [default: whose keys fit best].
        #[arg(long = "for", value_name = "COMMAND")]
        surface: Option<SurfaceName>,
    },
    /// Print every key with its default and its reason.
    PrintDefaults {
        /// Whose settings: those of which command.
        surface: SurfaceName,
    },
}

/// Commands that have settings.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum SurfaceName {
    /// The proxy that applications ask.
    Edge,
    /// The upstream that edges hang on.
    Store,
    /// Both in one process.
    Dev,
}

impl SurfaceName {
    const ALL: [Self; 3] = [Self::Edge, Self::Store, Self::Dev];

    fn table(self) -> &'static Surface {
        match self {
            Self::Edge => &EDGE,
            Self::Store => &STORE,
            Self::Dev => &DEV,
        }
    }

    fn check(self, settings: Settings) -> Result<(), Faults> {
        match self {
            Self::Edge => EdgeConfig::build(settings).map(drop),
            Self::Store => StoreConfig::build(settings).map(drop),
            Self::Dev => DevConfig::build(settings).map(drop),
        }
    }
}

/// Runs one of them.
pub(super) fn run(
    command: ConfigCommand,
    variables: &Variables,
    console: &mut Console,
) -> Result<Outcome, Failure> {
    match command {
        ConfigCommand::PrintDefaults { surface } => {
            console.print(&print_defaults(surface.table()))?;
        }
        ConfigCommand::Check { file, surface } => {
            let read = |surface: SurfaceName| Settings::new(surface.table()).file(&file);
            // Faults of this stage are unknown keys: the surface with the
            // fewest of them is the one that was meant.
            let fits_best = || {
                let misfits = |surface: &SurfaceName| read(*surface).faults_so_far();
                SurfaceName::ALL.into_iter().min_by_key(misfits)
            };
            let surface = surface.or_else(fits_best).unwrap_or(SurfaceName::Edge);
            surface.check(read(surface).variables(variables))?;
            let name = surface.table().name;
            console.line(&format!(
                "{}: settings of {name}, no faults",
                file.display()
            ))?;
        }
    }
    Ok(Outcome::Done)
}
