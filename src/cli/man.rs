//! How does `man flowgate` know our words?
//!
//! `flowgate man` prints the manual page of the program or of one command;
//! with a folder it writes them all there, one file for each command, named as
//! `man` looks for them. They are made from the definitions that parse the
//! command line, so that a page cannot speak of a flag that is not there.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use clap::{Args, Command, CommandFactory};

use super::{
    console::Console,
    failure::{Failure, Outcome},
};

/// The section of the manual for commands that anybody may call.
const SECTION: &str = "1";

/// Arguments of `flowgate man`.
#[derive(Debug, Args)]
pub(super) struct ManArguments {
    /// The command the page is about, such as `key create`; without it the
    /// program.
    #[arg(value_name = "COMMAND")]
    command: Vec<String>,
    /// Folder to write the pages of all commands to; made when missing.
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    out: Option<PathBuf>,
}

/// `flowgate man`, for the whole command line `C`.
pub(super) fn man<C: CommandFactory>(
    arguments: &ManArguments,
    console: &mut Console,
) -> Result<Outcome, Failure> {
    let mut program = C::command();
    program.build();
    if let Some(folder) = &arguments.out {
        let written = write_all(&program, folder).map_err(|(path, error)| {
            Failure::undone(format!("{} cannot be written: {error}", path.display()))
        })?;
        console.print(&format!("{written} pages in {}\n", folder.display()))?;
        return Ok(Outcome::Done);
    }
    let command = find(&program, &arguments.command)?;
    let mut page = Vec::new();
    render(command, &mut page).map_err(|error| Failure::undone(error.to_string()))?;
    console.print(&String::from_utf8_lossy(&page))?;
    Ok(Outcome::Done)
}

/// Follows the words down from the program.
fn find<'c>(program: &'c Command, words: &[String]) -> Result<&'c Command, Failure> {
    let mut command = program;
    for word in words {
        command = command.find_subcommand(word).ok_or_else(|| {
            let known: Vec<&str> = visible(command).map(Command::get_name).collect();
            let of = command.get_display_name().unwrap_or("flowgate");
            let expected = match known.as_slice() {
                [] => "no further word".to_owned(),
                known => format!("one of {}", known.join(", ")),
            };
            let of = of.replace('-', " ");
            Failure::usage(format!(
                "{of} has no command {word:?} (expected {expected})"
            ))
        })?;
    }
    Ok(command)
}

fn visible(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|own| !own.is_hide_set())
}

/// Writes the page of a command and those of all below it; says how many.
fn write_all(command: &Command, folder: &Path) -> Result<usize, (PathBuf, io::Error)> {
    let named = |path: &Path| {
        let path = path.to_owned();
        move |error| (path, error)
    };
    fs::create_dir_all(folder).map_err(named(folder))?;
    let mut page = Vec::new();
    render(command, &mut page).map_err(named(folder))?;
    let name = command.get_display_name().unwrap_or(command.get_name());
    let path = folder.join(format!("{name}.{SECTION}"));
    fs::write(&path, page).map_err(named(&path))?;
    visible(command).try_fold(1, |count, own| Ok(count + write_all(own, folder)?))
}

fn render(command: &Command, page: &mut Vec<u8>) -> io::Result<()> {
    // The name of a page is that of its file, so that `man flowgate-key` and
    // the list at the end of `man flowgate` lead there.
    clap_mangen::Man::new(command.clone())
        .section(SECTION)
        .source(concat!("flowgate ", env!("CARGO_PKG_VERSION")))
        .manual("Flowgate")
        .render(page)
}
