//! Does an edge live from a folder alone?

use std::{fs, path::Path};

use serde_json::{Value, json};

use super::{Folder, Running, question};
use crate::harness::{body_of, eventually};

/// The state of a user's flow.
#[track_caller]
fn state(edge: &Running, key: &str, user: &str) -> Value {
    let answer = edge.client(key).post("/v1/evaluate", &question(user));
    body_of(&answer, 200)["decisions"]["announcement"].clone()
}

#[test]
fn an_edge_starts_from_a_folder_and_follows_it() {
    let folder = Folder::new("First");
    let edge = folder.start();
    edge.serves(&folder.key, "First");
    let status = edge.status();
    assert_eq!(
        status["progress"]["ledger"], "no ledger configured",
        "{status}"
    );
    assert_eq!(status["environments"][0]["stale"], false, "{status}");
    for title in ["Second", "Third"] {
        folder.build(title);
        folder.sign();
        edge.serves(&folder.key, title);
    }
    let revision = edge.status()["environments"][0]["revision"].clone();
    assert_eq!(revision, "0.3");
}

#[test]
fn a_timestamp_that_was_signed_again_makes_it_fresher() {
    let folder = Folder::new("First");
    let edge = folder.start();
    edge.serves(&folder.key, "First");
    let fact = |name: &str| edge.status()["environments"][0][name].clone();
    let confirmed = fact("last_success_ms").as_u64();
    assert_eq!(folder.sign()["changed"], false);
    eventually("the new timestamp is confirmed", || {
        (fact("last_success_ms").as_u64() > confirmed).then_some(())
    });
    assert_eq!(
        (fact("revision"), fact("failures")),
        (json!("0.1"), json!(0))
    );
}

#[test]
fn steps_without_a_ledger_stay_here_over_restarts() {
    let folder = Folder::new("First");
    let mut edge = folder.start();
    edge.serves(&folder.key, "First");
    let begun = state(&edge, &folder.key, "ada");
    let card = begun["blocks"][0]["uid"]
        .as_str()
        .expect("a block")
        .to_owned();
    let step = json!({"subject": {"user": "ada"}, "version": 1, "transitions": ["complete"]});
    let path = format!("/v1/blocks/{card}/transition");
    body_of(&edge.client(&folder.key).post(&path, &step), 200);
    let after = state(&edge, &folder.key, "ada");
    assert_eq!(after["blocks"][0]["state"]["exited"], true, "{after}");
    edge.program.kill();
    let edge = folder.start();
    let again = state(&edge, &folder.key, "ada");
    assert_eq!(again["blocks"], after["blocks"]);
    // And goes on from there.
    let modal = again["blocks"][1]["uid"].as_str().expect("a block");
    let path = format!("/v1/blocks/{modal}/transition");
    let answer = edge.client(&folder.key).post(&path, &step);
    assert_eq!(body_of(&answer, 200)["flow"]["state"]["finished"], true);
    // Nobody is taken for somebody who may be known elsewhere.
    let new = edge
        .client(&folder.key)
        .post("/v1/evaluate", &question("new"));
    assert_eq!(new.header("flowgate-stale"), "", "{new:?}");
    let status = edge.status();
    assert!(
        status["progress"]["backlog_records"].as_u64() > Some(1),
        "{status}"
    );
    assert_eq!(status["progress"]["error"], Value::Null, "{status}");
    assert_eq!(status["progress"]["writable"], true, "{status}");
}

/// Copies a folder and everything below it.
fn copy_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy_all(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).expect("a copy")),
        }
    }
}

#[test]
fn a_half_copied_folder_is_refused_and_read_again() {
    let folder = Folder::new("First");
    let edge = folder.start();
    edge.serves(&folder.key, "First");
    let staged = folder.path().join("staged");
    copy_all(&folder.out(), &staged);
    folder.build_into(&staged, "Second");
    folder.sign_in(&staged);
    // The timestamp first, as a careless copy does it.
    let place = folder.environment();
    let from = staged.join("environments/production");
    let first = fs::read(place.join("timestamp.json")).expect("a timestamp");
    fs::copy(from.join("timestamp.json"), place.join("timestamp.json")).expect("a copy");
    edge.refuses("releases/2.json is not in the folder");
    fs::copy(from.join("releases/2.json"), place.join("releases/2.json")).expect("a copy");
    edge.refuses("is not in the folder, the timestamp leads to it");
    assert_eq!(edge.title(&folder.key).as_deref(), Some("First"));
    copy_all(&from, &place);
    edge.serves(&folder.key, "Second");
    // An older timestamp in place of the newest is a rollback.
    fs::write(place.join("timestamp.json"), first).expect("the older one");
    edge.refuses("serial");
    assert_eq!(edge.title(&folder.key).as_deref(), Some("Second"));
    copy_all(&from, &place);
    eventually("it is content again", || {
        edge.status()["environments"][0]["error"]
            .is_null()
            .then_some(())
    });
}

#[test]
fn damage_in_any_file_is_refused_and_healed() {
    let folder = Folder::new("First");
    let parts = folder.environment().join("parts");
    let parts = fs::read_dir(parts).expect("the parts");
    let parts = parts.map(|part| {
        let name = part.expect("an entry").file_name();
        format!("parts/{}", name.to_string_lossy())
    });
    let documents = ["timestamp.json", "releases/1.json", "control/1.json"];
    let names: Vec<String> = documents
        .map(ToOwned::to_owned)
        .into_iter()
        .chain(parts)
        .collect();
    let mut damaged = Vec::new();
    for name in &names {
        let path = folder.environment().join(name);
        let whole = fs::read(&path).expect("the file");
        let mut bytes = whole.clone();
        bytes[whole.len() / 2] ^= 1;
        fs::write(&path, bytes).expect("the damage");
        damaged.push((path, whole));
    }
    let edge = folder.start();
    for (path, whole) in damaged {
        eventually("the damage is named", || {
            let status = edge.status();
            status["environments"][0]["error"].as_str().map(drop)
        });
        assert_eq!(edge.title(&folder.key), None, "{}", path.display());
        fs::write(&path, whole).expect("it is mended");
    }
    edge.serves(&folder.key, "First");
}

#[test]
fn what_is_no_file_is_not_waited_for() {
    let folder = Folder::new("First");
    let timestamp = folder.environment().join("timestamp.json");
    let kept = fs::read(&timestamp).expect("a timestamp");
    fs::remove_file(&timestamp).expect("it goes");
    let made = std::process::Command::new("mkfifo")
        .arg(&timestamp)
        .status();
    if !made.is_ok_and(|status| status.success()) {
        println!("NOT run: there is no mkfifo on this machine");
        return;
    }
    let edge = folder.start();
    edge.refuses("not a file");
    fs::remove_file(&timestamp).expect("the pipe goes");
    fs::write(&timestamp, kept).expect("the timestamp comes back");
    edge.serves(&folder.key, "First");
}

#[test]
fn a_folder_of_other_keys_is_refused() {
    let (folder, other) = (Folder::new("First"), Folder::new("Other"));
    let command = folder.command("edge", &other.trust_root());
    let edge = Running::start(command, &folder.path().join("edge.log"));
    eventually("it is refused", || {
        edge.status()["environments"][0]["error"].as_str().map(drop)
    });
    assert_eq!(edge.title(&folder.key), None);
}
