//! Does the source keep the promises of its map?
//!
//! Reads every file of `src` and holds the invariants that neither the
//! compiler nor a lint can: purity, who touches the outside world, who knows
//! whom, size, names, reachability. A breach names file, line, word and rule.

mod rules;
mod source;

use rules::{EMPTY_NAMES, INTERIOR, KNOWS, RULES, Rule, WIRE};
use source::{Mention, Source, read_all};

/// Above this a file answers more than one question.
const LINES_MAX: usize = 500;

/// The head of a file: enough to decide whether to read on, in one glance.
const HEAD_LINES: std::ops::RangeInclusive<usize> = 2..=10;

/// Files whose head may be as long as it needs to be.
const LONG_HEADS: &[(&str, &str)] = &[("lib.rs", "it is the map of the whole program")];

fn expect_none(breaches: &[String]) {
    assert!(breaches.is_empty(), "\n{}\n", breaches.join("\n"));
}

/// Files that are part of the program that runs.
fn program() -> Vec<Source> {
    let mut files = read_all();
    files.retain(|file| !file.test_only);
    files
}

#[test]
fn words_stand_only_where_the_rules_allow() {
    let breaches: Vec<String> = program()
        .iter()
        .flat_map(|file| RULES.iter().flat_map(|rule| breaches(rule, file)))
        .collect();
    expect_none(&breaches);
}

#[test]
fn only_what_crosses_a_wire_or_a_disk_is_serialisable() {
    let breaches: Vec<String> = program().iter().flat_map(core_formats).collect();
    expect_none(&breaches);
}

#[test]
fn rooms_know_only_the_rooms_they_may() {
    let breaches: Vec<String> = program().iter().flat_map(strangers).collect();
    expect_none(&breaches);
}

#[test]
fn exactly_one_swap_holds_what_is_live() {
    let declared = |file: &Source| file.code.matches("ArcSwap<").count();
    let count: usize = program().iter().map(declared).sum();
    assert_eq!(
        count, 1,
        "found {count} declarations of ArcSwap<…>, expected one in current.rs"
    );
}

#[test]
fn no_static_hides_shared_state() {
    let breaches: Vec<String> = program().iter().flat_map(hidden_state).collect();
    expect_none(&breaches);
}

#[test]
fn every_file_begins_by_saying_what_it_answers() {
    let breaches: Vec<String> = read_all().iter().filter_map(faulty_head).collect();
    expect_none(&breaches);
}

#[test]
fn no_file_is_too_long() {
    let long = |file: &Source| {
        let lines = file.text.lines().count();
        (lines > LINES_MAX).then(|| {
            format!(
                "src/{}: {lines} lines, at most {LINES_MAX} (one file answers one question)",
                file.path
            )
        })
    };
    let breaches: Vec<String> = read_all().iter().filter_map(long).collect();
    expect_none(&breaches);
}

#[test]
fn names_of_modules_say_what_is_inside() {
    let empty = |file: &Source| {
        let stem = file.path.trim_end_matches(".rs");
        let name = stem.split('/').find(|part| EMPTY_NAMES.contains(part))?;
        Some(format!(
            "src/{}: a module called {name:?} says nothing about what is inside",
            file.path
        ))
    };
    let breaches: Vec<String> = read_all().iter().filter_map(empty).collect();
    expect_none(&breaches);
}

#[test]
fn every_file_is_part_of_the_program() {
    let lost = |file: &Source| {
        (!file.reached).then(|| format!("src/{}: no mod line leads here (dead file)", file.path))
    };
    let breaches: Vec<String> = read_all().iter().filter_map(lost).collect();
    expect_none(&breaches);
}

#[test]
fn unsafe_code_is_forbidden_at_both_roots() {
    for file in program().iter().filter(|file| !file.path.contains('/')) {
        if ["lib.rs", "main.rs"].contains(&file.path.as_str()) {
            let forbids = file.code.contains("#![forbid(unsafe_code)]");
            assert!(
                forbids,
                "src/{}: #![forbid(unsafe_code)] is missing",
                file.path
            );
        }
    }
}

#[test]
fn a_breach_is_found_and_named() {
    let pure = Source::new("snapshot/pack.rs", "//! x\nuse std::{fmt, fs};\n");
    let found: Vec<String> = RULES
        .iter()
        .flat_map(|rule| breaches(rule, &pure))
        .collect();
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(
        found[0].starts_with("src/snapshot/pack.rs:2: std::fs"),
        "{found:#?}"
    );

    let serde = Source::new(
        "evaluate/state.rs",
        "#[derive(Clone, Serialize)]\nstruct A;",
    );
    assert_eq!(core_formats(&serde).len(), 1);

    let allowed = Source::new("disk/real.rs", "use std::fs::File;\n");
    assert!(RULES.iter().all(|rule| breaches(rule, &allowed).is_empty()));

    let channel = Source::new(
        "app/mod.rs",
        "use std::sync::mpsc;\nuse std::sync::mpsc::sync_channel;",
    );
    let found: Vec<String> = RULES
        .iter()
        .flat_map(|rule| breaches(rule, &channel))
        .collect();
    assert_eq!(found.len(), 1, "{found:#?}");

    let stranger = Source::new("snapshot/a.rs", "use crate::{limits, server::route};\n");
    assert_eq!(strangers(&stranger).len(), 1);

    let hidden = Source::new(
        "app/a.rs",
        "static A: Vec<\n    std::sync::atomic::AtomicU64> = x;\nstatic B: &str = y;",
    );
    assert_eq!(hidden_state(&hidden).len(), 1);
}

/// Breaches of one rule in one file.
fn breaches(rule: &Rule, file: &Source) -> Vec<String> {
    let holds_here = rule.within.is_empty() || stands_in(&file.path, rule.within.iter().copied());
    let excepted = stands_in(&file.path, rule.except.iter().map(|(place, _)| *place));
    if !holds_here || excepted {
        return Vec::new();
    }
    let mut found = Vec::new();
    for mention in file.mentions() {
        for word in rule.words.iter().filter(|word| names(&mention, word)) {
            found.push(format!(
                "src/{}:{}: {word} — {}",
                file.path, mention.line, rule.says
            ));
        }
    }
    found
}

fn stands_in<'a>(path: &str, mut places: impl Iterator<Item = &'a str>) -> bool {
    places.any(|place| path.starts_with(place))
}

/// Whether a mention holds the segments of a word in a row.
fn names(mention: &Mention, word: &str) -> bool {
    let (word, whole) = match word.strip_suffix('$') {
        Some(word) => (word, true),
        None => (word, false),
    };
    let segments: Vec<&str> = word.split("::").collect();
    if whole {
        return mention.path == segments;
    }
    mention
        .path
        .windows(segments.len())
        .any(|window| window == segments)
}

/// Mentions of rooms that a file's room may not know.
fn strangers(file: &Source) -> Vec<String> {
    let room = file
        .path
        .split('/')
        .next()
        .unwrap_or_default()
        .trim_end_matches(".rs");
    let Some((_, knows)) = KNOWS.iter().find(|(name, _)| *name == room) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for mention in file.mentions() {
        let [root, other, ..] = mention.path.as_slice() else {
            continue;
        };
        // Macros and constants at the root of the crate have no room.
        let is_room =
            KNOWS.iter().any(|(name, _)| name == other) || ["app", "cli"].contains(&other.as_str());
        if root == "crate" && is_room && other != room && !knows.contains(&other.as_str()) {
            found.push(format!(
                "src/{}:{}: crate::{other} — {room} may know only: {}",
                file.path,
                mention.line,
                knows.join(", ")
            ));
        }
    }
    found
}

/// Derives of serde outside the files that may.
fn core_formats(file: &Source) -> Vec<String> {
    if stands_in(&file.path, WIRE.iter().map(|(place, _)| *place)) {
        return Vec::new();
    }
    let derives = file.code.match_indices("derive(");
    let derived = derives.filter_map(|(at, _)| {
        let list = file.code[at..].split(')').next().unwrap_or_default();
        let word = ["Serialize", "Deserialize"]
            .into_iter()
            .find(|word| list.contains(word))?;
        let line = 1 + file.code[..at].matches('\n').count();
        Some(format!(
            "src/{}:{line}: derive({word}) — only what crosses a wire or a disk is serialisable",
            file.path
        ))
    });
    derived.collect()
}

/// Statics whose type can be changed through a shared reference.
fn hidden_state(file: &Source) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in file.code.match_indices("static ") {
        let word_before = file.code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        if word_before {
            continue;
        }
        let declaration = file.code[at..].split(['=', ';']).next().unwrap_or_default();
        let mut words = declaration.split(|c: char| !c.is_alphanumeric() && c != '_');
        if let Some(word) = words.find(|word| *word == "mut" || INTERIOR.contains(word)) {
            let line = 1 + file.code[..at].matches('\n').count();
            found.push(format!(
                "src/{}:{line}: static with {word} — state is handed down, never global",
                file.path
            ));
        }
    }
    found
}

/// What is wrong with the head of a file.
fn faulty_head(file: &Source) -> Option<String> {
    let mut lines = file.text.lines().peekable();
    // Inner attributes come first where there are some.
    while lines.next_if(|line| line.starts_with("#![")).is_some() {}
    let head = lines.take_while(|line| line.starts_with("//!")).count();
    let long = LONG_HEADS.iter().any(|(path, _)| *path == file.path);
    // Tests beside the code are introduced by the module that holds them.
    let is_tests = file.path.ends_with("/tests.rs") || file.path.contains("/tests/");
    if HEAD_LINES.contains(&head)
        || (long && head > *HEAD_LINES.start())
        || (is_tests && head <= *HEAD_LINES.end())
    {
        return None;
    }
    Some(format!(
        "src/{}: the head has {head} lines of //!, expected {} to {} (which question does the file answer?)",
        file.path,
        HEAD_LINES.start(),
        HEAD_LINES.end()
    ))
}
