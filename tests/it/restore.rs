//! Does a store come back from a backup, and do its edges come with it?
//!
//! The whole procedure on real processes: a backup beside a running store,
//! work that the backup does not have, the store's machine gone, a restore
//! elsewhere with raised epochs or without. Edges serve all the time, say what
//! they refuse, follow the new root, and send again what they still have.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::harness::{Client, Edge, Site, Store, body_of, eventually, flowgate, run};

/// Runs a command of the program that must succeed; what it printed.
#[track_caller]
fn told(words: &[&str], paths: &[(&str, &Path)]) -> String {
    let mut command = flowgate();
    command.args(words);
    for (flag, path) in paths {
        if !flag.is_empty() {
            command.arg(flag);
        }
        command.arg(path);
    }
    let output = run(&mut command);
    assert!(output.status.success(), "{words:?}: {output:?}");
    String::from_utf8(output.stdout).expect("text")
}

fn backup(site: &Site, name: &str) -> PathBuf {
    let out = site.path().join(name);
    let (data, signing) = (site.path().join("store"), site.path().join("signing"));
    let text = told(
        &["store", "backup"],
        &[("--data", &data), ("--signing", &signing), ("--out", &out)],
    );
    assert!(text.contains("development at 0."), "{text}");
    out
}

/// The store dies and its data folder is gone.
fn lose(site: &mut Site) {
    site.store.program.kill();
    std::fs::remove_dir_all(site.path().join("store")).expect("it is removed");
}

fn restore(site: &Site, from: &Path, flags: &[&str]) -> String {
    let (data, signing) = (site.path().join("store"), site.path().join("signing"));
    let words = [&["store", "restore"], flags].concat();
    told(
        &words,
        &[("", from), ("--data", &data), ("--signing", &signing)],
    )
}

fn start(edge: &Client, user: &str) {
    let body = json!({"subject": {"user": user}, "version": 1});
    body_of(&edge.post("/v1/flows/announcement/start", &body), 200);
}

fn leave(edge: &Client, card: &str, user: &str) {
    let body = json!({"subject": {"user": user}, "version": 1, "transitions": ["complete"]});
    let path = format!("/v1/blocks/{card}/transition");
    let answer = body_of(&edge.post(&path, &body), 200);
    assert_eq!(answer["changed"], true, "{user}: {answer}");
}

/// How many blocks of the flow the store knows a user to have left.
fn left(store: &Store, user: &str) -> Option<usize> {
    let document = store.user(user)?;
    let blocks = document["flows"][0]["blocks"].as_array()?;
    Some(blocks.iter().filter(|own| own["exited"] == true).count())
}

#[track_caller]
fn shipped(edge: &Edge) -> Value {
    eventually("everything is shipped", || {
        let status = body_of(&edge.admin().get("/status"), 200);
        let progress = &status["progress"];
        (progress["backlog_records"] == 0).then(|| progress["shipped"].clone())
    })
}

fn environment(edge: &Edge) -> Value {
    let status = body_of(&edge.admin().get("/status"), 200);
    let found = status["environments"].as_array().expect("a list").iter();
    let mut own = found.filter(|one| one["name"] == "development");
    own.next().expect("the environment").clone()
}

#[test]
fn a_restored_store_goes_on_under_a_raised_epoch_and_loses_nothing_new() {
    let mut site = Site::start();
    let card = site.card();
    let edge = site.edge.client("server");
    start(&edge, "before");
    shipped(&site.edge);
    let from = backup(&site, "backup");
    // What the backup does not have: content, a user, a step, a revoked key.
    site.publish("Lost");
    eventually("the edge has it", || (site.title() == "Lost").then_some(()));
    leave(&edge, &card, "before");
    start(&edge, "between");
    shipped(&site.edge);
    lose(&mut site);
    // While there is no store, work goes on.
    start(&edge, "away");
    let text = restore(&site, &from, &["--raise-epoch"]);
    assert!(text.contains("raised by root 2"), "{text}");
    site.store.restart();
    let raised = "its epochs were raised";
    assert!(
        site.store.program.log().contains(raised),
        "the store says so"
    );
    eventually("the edge follows the root", || {
        (site.title() == "Hello").then_some(())
    });
    let seen = environment(&site.edge);
    let revision = seen["revision"].as_str().expect("a revision").to_owned();
    assert!(revision.starts_with("1."), "{seen}");
    // Its disk still has what the store has lost, so that comes back too.
    for (user, count) in [("before", 1), ("between", 0), ("away", 0)] {
        eventually("what the edge still had is back", || {
            (left(&site.store, user)? == count).then_some(())
        });
    }
    // From here on nothing may be missing.
    leave(&edge, &card, "between");
    leave(&edge, &card, "away");
    start(&edge, "after");
    site.publish("New");
    eventually("the edge has it", || (site.title() == "New").then_some(()));
    for (user, count) in [("between", 1), ("away", 1), ("after", 0)] {
        eventually("it arrives", || {
            (left(&site.store, user)? == count).then_some(())
        });
    }
    assert_eq!(shipped(&site.edge)["dead"], 0);
    // It was said once, and is no news.
    site.store.program.terminate();
    site.store.restart();
    let log = site.store.program.log();
    assert!(!log.contains("this store was restored"), "{log}");
    // A restarted edge has verified it all, and begins where it was.
    site.edge.program.kill();
    let folder = site.path().to_owned();
    site.edge.restart(&folder);
    site.edge.ready();
    assert_eq!(site.title(), "New");
}

#[test]
fn until_a_root_says_so_edges_refuse_a_restored_store_and_serve() {
    let mut site = Site::start();
    let from = backup(&site, "backup");
    for title in ["Second", "Third"] {
        site.publish(title);
        eventually("the edge has it", || (site.title() == title).then_some(()));
    }
    lose(&mut site);
    let text = restore(&site, &from, &[]);
    let hint = text
        .lines()
        .find(|line| line.contains("key signing raise-epoch"))
        .unwrap_or_else(|| panic!("no hint in {text}"));
    // Said at every start, with the environments and the line to run.
    for _ in 0..2 {
        site.store.restart();
        let log = site.store.program.log();
        assert!(log.contains("epochs were not raised"), "{log}");
        assert!(log.contains("flowgate key signing raise-epoch"), "{log}");
        assert!(log.contains("development"), "{log}");
        site.store.program.terminate();
    }
    site.store.restart();
    let refused = eventually("the edge says what is wrong", || {
        let error = environment(&site.edge)["error"].clone();
        error.to_string().contains("rollback").then_some(error)
    });
    println!("the edge says {refused}");
    assert_eq!(site.title(), "Third", "it serves what it had");
    assert_eq!(site.edge.admin().get("/ready").status, 200);
    // Steps do not wait for the snapshot.
    start(&site.edge.client("server"), "meanwhile");
    eventually("steps arrive all the same", || {
        left(&site.store, "meanwhile")
    });
    // The very line that was printed.
    let words: Vec<&str> = hint.split_whitespace().skip(1).collect();
    let text = told(&words, &[]);
    assert!(text.contains("is in epoch 1"), "{text}");
    site.store.program.terminate();
    site.store.restart();
    assert!(site.store.program.log().contains("its epochs were raised"));
    eventually("the edge follows", || {
        (site.title() == "Hello").then_some(())
    });
    assert_eq!(environment(&site.edge)["error"], Value::Null);
}

#[test]
fn a_restore_that_would_harm_is_refused_with_the_way_out() {
    let site = Site::start();
    let from = backup(&site, "backup");
    let (data, signing) = (site.path().join("store"), site.path().join("signing"));
    let refused = |data: &Path, flags: &[&str]| {
        let mut command = flowgate();
        command.args(["store", "restore"]).args(flags).arg(&from);
        command
            .arg("--data")
            .arg(data)
            .arg("--signing")
            .arg(&signing);
        let output = run(&mut command);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        String::from_utf8(output.stderr).expect("text")
    };
    let text = refused(&data, &[]);
    assert!(text.contains("in use by a running store"), "{text}");
    let key = signing.join("keys/root.json");
    std::fs::rename(&key, site.path().join("offline")).expect("it is moved");
    let text = refused(&site.path().join("new"), &["--raise-epoch"]);
    assert!(text.contains("key of the root"), "{text}");
    assert!(!site.path().join("new").exists());
}
