//! Which flags does a server command have?
//!
//! One for every key of its table in `config`, made from the table: help,
//! default and variable included. The values stay texts here; their rules are
//! checked with those of all other layers, so that every fault shows at once.

use std::{fmt, marker::PhantomData};

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

use crate::config::{DEV, EDGE, Key, Kind, Preset, STORE, Surface, variable_name};

/// A surface as a type, so that clap can ask for its flags.
pub(super) trait SurfaceTable: 'static {
    /// The table.
    const TABLE: &'static Surface;
}

/// The flags of `flowgate edge`.
#[derive(Clone, Copy, Debug)]
pub(super) struct EdgeTable;

/// The flags of `flowgate store`.
#[derive(Clone, Copy, Debug)]
pub(super) struct StoreTable;

/// The flags of `flowgate dev`.
#[derive(Clone, Copy, Debug)]
pub(super) struct DevTable;

impl SurfaceTable for EdgeTable {
    const TABLE: &'static Surface = &EDGE;
}

impl SurfaceTable for StoreTable {
    const TABLE: &'static Surface = &STORE;
}

impl SurfaceTable for DevTable {
    const TABLE: &'static Surface = &DEV;
}

/// What was given as flags: pairs of dotted key and text.
pub(super) struct SurfaceFlags<S> {
    pub(super) pairs: Vec<(String, String)>,
    surface: PhantomData<S>,
}

impl<S> fmt::Debug for SurfaceFlags<S> {
    /// Without values: one of them may be a key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.pairs.iter().map(|(key, _)| key))
            .finish()
    }
}

impl<S: SurfaceTable> Args for SurfaceFlags<S> {
    fn augment_args(mut command: Command) -> Command {
        for key in S::TABLE.keys() {
            command = command.arg(argument(key, key.flag, help(key)));
            if let Some(flag) = key.secret {
                let help = format!("File that holds what --{} takes", key.flag);
                command = command.arg(argument(key, flag, help));
            }
        }
        command
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<S: SurfaceTable> FromArgMatches for SurfaceFlags<S> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut pairs = Vec::new();
        for key in S::TABLE.keys() {
            collect(matches, key.flag, key.name, &mut pairs)?;
            if let Some(flag) = key.secret {
                collect(matches, flag, &format!("{}_file", key.name), &mut pairs)?;
            }
        }
        Ok(Self {
            pairs,
            surface: PhantomData,
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn argument(key: &Key, flag: &'static str, help: String) -> Arg {
    let named = key.name.contains(".*.");
    Arg::new(flag)
        .long(flag)
        .value_name(if named {
            "NAME=VALUE"
        } else {
            key.kind.placeholder()
        })
        .action(if named {
            ArgAction::Append
        } else {
            ArgAction::Set
        })
        .help(help)
}

fn help(key: &Key) -> String {
    // The first sentence; the rest of the reasons is in the printed defaults.
    let short = key.doc.split(". ").next().unwrap_or(key.doc);
    let short = short.split_whitespace().collect::<Vec<_>>().join(" ");
    let default = match key.preset {
        Preset::Value(value) => format!(" [default: {}]", value.trim_matches('"')),
        Preset::Optional(_) => String::new(),
        Preset::Required(_) => " [required]".to_owned(),
    };
    let words = match key.kind {
        Kind::Choice { now, .. } => format!(" [one of: {}]", now.join(", ")),
        _ => String::new(),
    };
    let variable = variable_name(key.name);
    format!(
        "{}{words}{default} [variable: {variable}]",
        short.trim_end_matches('.')
    )
}

fn collect(
    matches: &ArgMatches,
    flag: &'static str,
    key: &str,
    pairs: &mut Vec<(String, String)>,
) -> Result<(), clap::Error> {
    for text in matches.get_many::<String>(flag).into_iter().flatten() {
        if !key.contains(".*.") {
            pairs.push((key.to_owned(), text.clone()));
            continue;
        }
        // The text may be a secret: it is not repeated in the complaint.
        let Some((name, value)) = text.split_once('=') else {
            return Err(clap::Error::raw(
                clap::error::ErrorKind::InvalidValue,
                format!("--{flag} expects NAME=VALUE, and no = was found\n"),
            ));
        };
        pairs.push((key.replace('*', name), value.to_owned()));
    }
    Ok(())
}
