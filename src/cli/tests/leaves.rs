//! Which commands change something in a store, and can each be tried first?
//!
//! The definition of the command line itself is walked, so that a new command
//! stands in one of the two tables below or fails here. That those of the first
//! cannot change anything is for the compiler: only `--dry-run` makes an author.

use std::collections::BTreeSet;

use clap::{Command, CommandFactory};

use super::Arguments;

/// Commands that ask a store and change nothing.
const READING: &[&str] = &[
    "audit list",
    "audit show",
    "channel list",
    "channel show",
    "deployment list",
    "deployment preview",
    "deployment show",
    "edges",
    "env list",
    "env show",
    "export",
    "flag list",
    "flag show",
    "flow diff",
    "flow funnel",
    "flow history",
    "flow list",
    "flow print",
    "flow show",
    "flow try",
    "group list",
    "group show",
    "key list",
    "project list",
    "project show",
    "segment list",
    "segment show",
    "usage applications",
    "usage flag",
    "usage flags",
    "user export",
    "user find",
    "user show",
    "webhook list",
];

/// Commands that change what has no entity tag: files are about many things,
/// what users did is changed by the record, and what is made has no state yet.
const UNTAGGED: &[&str] = &[
    "deployment create",
    "env create",
    "flag create",
    "flow create",
    "group erase",
    "import",
    "key create",
    "key revoke",
    "key rotate",
    "project create",
    "release confirm",
    "segment create",
    "user erase",
    "user import",
    "user move",
    "user reset",
    "webhook retry",
];

/// Commands without commands below them, with their whole names.
fn leaves(command: &Command, name: &str, found: &mut Vec<(String, Command)>) {
    if command.get_subcommands().next().is_none() {
        found.push((name.trim().to_owned(), command.clone()));
    }
    for below in command.get_subcommands() {
        leaves(below, &format!("{name} {}", below.get_name()), found);
    }
}

fn has(command: &Command, flag: &str) -> bool {
    let mut flags = command.get_arguments();
    flags.any(|own| own.get_long() == Some(flag))
}

/// Names of the leaves for which this is so.
fn those(counts: impl Fn(&Command) -> bool) -> BTreeSet<String> {
    let mut all = Vec::new();
    leaves(&Arguments::command(), "", &mut all);
    let those = all.into_iter().filter(|(_, command)| counts(command));
    those.map(|(name, _)| name).collect()
}

fn table(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn every_command_on_a_store_reads_only_or_can_be_tried() {
    let reading = those(|own| has(own, "to") && !has(own, "dry-run"));
    assert_eq!(reading, table(READING));
    // Whatever is changed is told as a table and as JSON.
    let silent = those(|own| has(own, "dry-run") && !has(own, "output"));
    assert_eq!(silent, BTreeSet::new());
}

#[test]
fn every_change_of_a_thing_with_a_tag_can_rest_on_it() {
    let untagged = those(|own| has(own, "dry-run") && !has(own, "if-match"));
    assert_eq!(untagged, table(UNTAGGED));
    let without = those(|own| has(own, "if-match") && !has(own, "dry-run"));
    assert_eq!(without, BTreeSet::new());
}
