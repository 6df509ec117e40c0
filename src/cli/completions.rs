//! How does a shell know our words?
//!
//! `flowgate completions SHELL` prints a script that completes commands, flags
//! and the words that flags choose from, made from the same definitions that
//! parse them.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{
    console::Console,
    failure::{Failure, Outcome},
};

/// Shells that are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Known {
    /// GNU bash.
    Bash,
    /// Z shell.
    Zsh,
    /// Friendly interactive shell.
    Fish,
}

/// Arguments of `flowgate completions`.
#[derive(Debug, Args)]
pub(super) struct CompletionsArguments {
    /// The shell the script is for.
    shell: Known,
}

/// `flowgate completions`, for the whole command line `C`.
pub(super) fn completions<C: CommandFactory>(
    arguments: &CompletionsArguments,
    console: &mut Console,
) -> Result<Outcome, Failure> {
    let shell = match arguments.shell {
        Known::Bash => Shell::Bash,
        Known::Zsh => Shell::Zsh,
        Known::Fish => Shell::Fish,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut C::command(), "flowgate", &mut script);
    console.print(&String::from_utf8_lossy(&script))?;
    Ok(Outcome::Done)
}
