//! Can every change be tried first from the command line?
//!
//! Each command that changes something is run with `--dry-run`, as table and as
//! JSON, and then for good, on one store after the other. Which commands those
//! are is read from the program's own manual: a new one stands in the table
//! below or fails here.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::Value;

use super::{Ended, deployments::Desk, ended, said};
use crate::harness::flowgate;

/// Tried elsewhere: takes a receiver that fails for long (`cli::tests`).
const ELSEWHERE: &[&str] = &["webhook retry"];

/// Names of commands whose page of the manual has `--dry-run`.
fn that_can_be_tried(folder: &Path) -> BTreeSet<String> {
    let pages = folder.join("pages");
    said(&["man", "--out", &pages.display().to_string()]).with(0);
    let pages = fs::read_dir(pages).expect("pages");
    let pages = pages.map(|page| page.expect("a page").path());
    let with_it = pages.filter(|page| {
        let text = fs::read_to_string(page).expect("a page");
        text.replace('\\', "").contains("--dry-run")
    });
    let names = with_it.map(|page| {
        let name = page.file_stem().expect("a name").to_string_lossy();
        let words = name.trim_start_matches("flowgate-");
        // The commands with a dash of their own.
        match words {
            "flow-deploy-content" => "flow deploy-content".to_owned(),
            words => words.replace('-', " "),
        }
    });
    names.collect()
}

/// Whether a dry run says what the change says: each line of `would be` as the
/// change has it, a table with the same columns.
fn tells_of_the_same(tried: &str, done: &Ended) -> Result<(), String> {
    let said = format!("{}{}", done.error, done.out);
    let says = |words: &str| said.lines().any(|line| line.starts_with(words));
    let would: Vec<&str> = tried
        .lines()
        .filter(|own| own.contains("would be "))
        .collect();
    if would.is_empty() && !tried.contains("it was a dry run") {
        return Err("nothing says that it was tried".to_owned());
    }
    // Of a key that is made its text is told, which a dry run has not.
    if says("this is the only time the key is shown") && !would.is_empty() {
        return Ok(());
    }
    let plain = would.iter().map(|line| {
        let line = line.replacen("would be ", "", 1).replacen("done: ", "", 1);
        line.split("; nothing was ").next().map(ToOwned::to_owned)
    });
    let head = tried.lines().next();
    // Nor does the change say that it had to be confirmed.
    let head = head.filter(|own| !own.contains("would be ") && !own.starts_with("to be confirmed"));
    let mut expected = plain.flatten().chain(head.map(ToOwned::to_owned));
    match expected.find(|words| !says(words)) {
        Some(words) => Err(format!("the change does not say {words:?}")),
        None => Ok(()),
    }
}

/// Everything that a change could change.
fn everything(desk: &Desk) -> String {
    let store = desk.dev.store();
    let paths = [
        "audit?limit=1",
        "export",
        "keys",
        "environments/development/users",
        "environments/development/users?kind=groups",
        "environments/development/users/ann",
    ];
    let read = paths.map(|path| store.get(&format!("/admin/v1/{path}")).text);
    read.join("\n")
}

/// A good command line for each command, in an order in which what comes first
/// makes what the later ones need; the newest release is asked for then.
fn commands(folder: &Path) -> Vec<(&'static str, String)> {
    let file = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).expect("a file");
        path.display().to_string()
    };
    let project = file("project.yaml", "flowgate: project/1\nproject: tried\n");
    let draft = |title: &str| {
        format!(
            "entry: everyone\nblocks: [{{ sid: a, type: card, fields: {{ title: {title} }} }}]\n\
             paths: [{{ from: entry, to: a }}]\n"
        )
    };
    let first = file("first.yaml", &draft("One"));
    let second = file("second.yaml", &draft("Two"));
    let third = file("third.yaml", &draft("Three"));
    let lines = file("users.jsonl", "{\"user\":\"ann\"}\n{\"group\":\"acme\"}\n");
    let people = file("people.json", "[]");
    let key = "--kind server --environment eu --name bot";
    vec![
        ("import", project),
        ("project create", "empty".into()),
        ("project set", "empty --activate production".into()),
        ("project set", "empty --deactivate production".into()),
        ("project delete", "empty".into()),
        ("env create", "eu --type test".into()),
        ("env set", "eu --refuse-force true".into()),
        ("key create", key.into()),
        ("key rotate", key.into()),
        ("env clone", "eu us --keys".into()),
        ("key revoke", key.into()),
        ("env deprecate", "us".into()),
        ("env delete", "us --force".into()),
        ("channel set", "kiosk --exclusive --attribute floor".into()),
        ("channel set", "kiosk --remove-attribute floor".into()),
        ("flow create", "mine --project tried".into()),
        ("flow rename", "mine Mine".into()),
        ("flow edit", format!("mine --file {first}")),
        ("flow commit", "mine -m first".into()),
        ("flow edit", format!("mine --file {second}")),
        ("flow restore", "mine --version 1 --discard".into()),
        (
            "flow deploy-content",
            format!("mine --version 1 --file {third}"),
        ),
        (
            "deployment create",
            "d --flow mine --channel kiosk --percentage 10".into(),
        ),
        ("deployment set", "d --percentage 20".into()),
        ("deployment schedule", "d 2040-01-01T00:00:00Z=50".into()),
        ("deployment schedule", "d --clear".into()),
        ("deployment deactivate", "d".into()),
        ("deployment activate", "d".into()),
        ("deployment delete", "d".into()),
        ("flow disable", "mine".into()),
        ("flow enable", "mine".into()),
        ("flow disable", "mine".into()),
        ("flow disable", "mine --environment production".into()),
        ("flow disable", "mine --environment eu".into()),
        ("flow delete", "mine".into()),
        ("flag create", "f --project tried".into()),
        ("flag set", "f --rollout 20".into()),
        ("flag set", "f --description Words".into()),
        ("flag enable", "f".into()),
        ("flag disable", "f".into()),
        ("flag archive", "f".into()),
        ("flag revive", "f".into()),
        ("flag archive", "f".into()),
        ("flag delete", "f".into()),
        (
            "segment create",
            format!("s --project tried --constraints {people}"),
        ),
        ("segment set", "s --description Words".into()),
        ("segment delete", "s".into()),
        ("user import", lines),
        (
            "user move",
            "ann --flow onboarding-tour --to-version 1 --to-block invite-colleagues".into(),
        ),
        ("user reset", "ann --flow onboarding-tour --force".into()),
        ("user erase", "ann".into()),
        ("group erase", "acme".into()),
        ("release confirm", String::new()),
    ]
}

/// The newest release, as the refusal of another one tells it.
fn newest_release(desk: &Desk) -> String {
    let refused = desk.runs(&["release", "confirm", "development", "999999"]);
    let refused = refused.with(2).error;
    let (_, rest) = refused.split_once("expected ").expect("what was expected");
    let digits = rest.chars().take_while(char::is_ascii_digit);
    digits.collect()
}

#[test]
fn every_change_is_tried_in_its_own_words_and_writes_nothing() {
    let desk = Desk::start();
    let folder = desk.folder.path();
    let expected = that_can_be_tried(folder);
    assert!(expected.contains("flow deploy-content"), "{expected:?}");
    let here = folder.join("here");
    fs::create_dir(&here).expect("a folder");
    let runs = |name: &str, words: &str, more: &[&str]| -> Ended {
        let data = folder.join("dev");
        let mut command = flowgate();
        command
            .args(name.split(' '))
            .args(words.split(' '))
            .args(more);
        ended(command.arg("--data").arg(data).current_dir(&here))
    };
    let mut different: Vec<String> = Vec::new();
    let mut tried: BTreeSet<String> = ELSEWHERE.iter().map(ToString::to_string).collect();
    for (name, words) in commands(folder) {
        let words = match name {
            "release confirm" => format!("development {}", newest_release(&desk)),
            _ => words,
        };
        let before = everything(&desk);
        // Nobody is asked, so nobody has to say --yes.
        let tried_out = runs(name, &words, &["--dry-run"]).with(0).out;
        let told = runs(name, &words, &["--dry-run", "--output", "json"]).with(0);
        let would = told.json();
        assert_eq!(would["dryRun"], true, "{name} {words}: {would}");
        assert!(!told.out.contains("\"key\""), "{name}: {}", told.out);
        assert_eq!(everything(&desk), before, "{name} {words} wrote something");
        let left = fs::read_dir(&here).expect("a folder").count();
        assert_eq!(left, 0, "{name} left a file");
        let done = runs(name, &words, &["--yes"]).with(0);
        if let Err(why) = tells_of_the_same(&tried_out, &done) {
            different.push(format!(
                "{name} {words}: {why}\n{tried_out}{}{}",
                done.error, done.out
            ));
        }
        if let Some(gone) = done.out.strip_prefix("deleted: ") {
            assert_eq!(would["deleted"], gone.trim_end(), "{name} {words}: {would}");
        }
        assert_ne!(everything(&desk), before, "{name} {words} does nothing");
        tried.insert(name.to_owned());
    }
    assert_eq!(tried, expected, "what the manual says can be tried");
    assert!(different.is_empty(), "{}", different.join("\n"));
}

#[test]
fn a_dry_run_says_where_the_change_would_have_to_be_confirmed() {
    let desk = Desk::start();
    let set = ["env", "set", "production", "--confirm-changes", "true"];
    desk.runs(&set).with(0);
    let words = ["flow", "disable", "help", "--environment", "production"];
    let told = desk.runs(&[&words[..], &["--dry-run"]].concat()).with(0);
    assert_eq!(
        told.out,
        "to be confirmed in: production\nwould be disabled: help in production\n"
    );
    desk.runs(&words)
        .with(2)
        .complains_of(&["nothing was done"]);
}

#[test]
fn a_key_that_is_only_tried_is_no_key() {
    let desk = Desk::start();
    let words = [
        "key",
        "create",
        "bot",
        "--kind",
        "server",
        "--environment",
        "production",
        "--dry-run",
    ];
    let told = desk.runs(&words).with(0);
    assert_eq!(
        (told.out.as_str(), told.error.as_str()),
        ("would be created: server key bot in production\n", "")
    );
    let json = desk.runs(&[&words[..], &["--output", "json"]].concat());
    let would = json.with(0).json();
    assert_eq!(
        (&would["key"], &would["last"]),
        (&Value::Null, &Value::Null)
    );
    let listed = desk.runs(&["key", "list"]).with(0).out;
    assert!(!listed.contains("bot"), "{listed}");
}
