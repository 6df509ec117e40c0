//! What survives when the data folder does not do what it should?
//!
//! Locked, torn, full, read-only and damaged: each has a clear message and
//! the documented behaviour, and nothing that was answered is lost.

use std::path::{Path, PathBuf};

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Client, Site, body_of, eventually, flowgate, run};

/// Runs a command that cannot do its work; what it said.
#[track_caller]
fn refused(command: &mut std::process::Command, expected: &[&str]) -> String {
    let output = run(command);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{text}");
    for expected in expected {
        assert!(text.contains(expected), "no {expected:?} in: {text}");
    }
    assert!(!text.contains("panicked"), "{text}");
    text
}

#[test]
fn a_second_store_on_the_same_folder_is_refused() {
    let site = Site::start();
    let mut command = flowgate();
    command.args(["store", "--json", "--listen", "127.0.0.1:0", "--data"]);
    command.arg(site.path().join("store"));
    command.arg("--signing").arg(site.path().join("signing"));
    refused(&mut command, &["in use", "process"]);
}

#[test]
fn a_folder_that_cannot_be_used_is_named() {
    let site = Site::start();
    let file = site.path().join("a-file");
    std::fs::write(&file, "in the way").expect("a file");
    // A file in the way, and a file system nobody can make folders in.
    for data in [file.join("edge"), PathBuf::from("/proc/flowgate-edge")] {
        let mut command = site.edge.bare_command();
        command.arg("--data").arg(&data);
        let name = data.display().to_string();
        refused(&mut command, &["data folder", &name, "cannot be used"]);
        let mut command = flowgate();
        command
            .args(["dev", "--edge", "127.0.0.1:0", "--store", "127.0.0.1:0"])
            .args(["--admin", "127.0.0.1:0", "--data"])
            .arg(&data);
        refused(&mut command, &[&name]);
    }
}

/// The segment with the newest records, and where they end.
fn newest_segment(journal: &Path) -> (PathBuf, Vec<u8>, usize) {
    const DATA_START: usize = 4096;
    let entries = std::fs::read_dir(journal).expect("the journal");
    let found = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|end| end == "seg"))
        .filter_map(|path| {
            let bytes = std::fs::read(&path).expect("a segment");
            let end = bytes.iter().rposition(|byte| *byte != 0)? + 1;
            (end > DATA_START).then_some((path, bytes, end))
        });
    // The header says which run of the edge a journal is of.
    let newest =
        found.max_by_key(|(_, bytes, _)| bytes[32..40].iter().rev().copied().collect::<Vec<u8>>());
    newest.expect("a segment with records")
}

/// Starts the flow for these users, one record each.
fn start_users(client: &Client, users: std::ops::Range<usize>) {
    for user in users {
        let body = json!({"subject": {"user": format!("torn-{user}")}, "version": 1});
        let answer = client.post("/v1/flows/announcement/start", &body);
        assert_eq!(body_of(&answer, 200)["changed"], true);
    }
}

fn is_started(client: &Client, user: usize) -> bool {
    let body = json!({"subject": {"user": format!("torn-{user}")}, "flows": {"announcement": 1}});
    let answer = body_of(&client.post("/v1/evaluate", &body), 200);
    answer["decisions"]["announcement"]["state"]["started"] == true
}

#[test]
fn a_torn_tail_costs_nothing_before_it() {
    type Damage = fn(&mut Vec<u8>, usize);
    let damages: [(&str, Damage); 3] = [
        ("flipped", |bytes, end| bytes[end - 2] ^= 0xff),
        ("cut off", |bytes, end| bytes.truncate(end - 3)),
        ("half zero", |bytes, end| bytes[end - 20..end].fill(0)),
    ];
    let mut site = Site::start();
    // Without the store nothing leaves the journal.
    site.store.program.kill();
    let folder = site.path().to_owned();
    for (round, (name, damage)) in damages.into_iter().enumerate() {
        let users = round * 10..round * 10 + 5;
        start_users(&site.edge.client("server"), users.clone());
        site.edge.program.kill();
        let (path, mut bytes, end) = newest_segment(&folder.join("edge/journal"));
        damage(&mut bytes, end);
        std::fs::write(&path, bytes).expect("the damage");
        site.edge.restart(&folder);
        let client = site.edge.client("server");
        for user in users.clone().take(4) {
            assert!(is_started(&client, user), "{name}: user {user} was lost");
        }
        let last = users.end - 1;
        assert!(!is_started(&client, last), "{name}: a torn record counts");
        assert!(
            site.edge.program.log().contains("recovered"),
            "{}",
            site.edge.program.log()
        );
        // It can be taken again.
        start_users(&client, last..last + 1);
        site.store.restart();
        eventually("all of it is shipped", || {
            let progress = &site.status()["progress"];
            let done = progress["backlog_records"] == 0 && progress["journals_open"] == 0;
            done.then_some(())
        });
        for user in users {
            let document = site.store.user(&format!("torn-{user}"));
            let document = document.expect("a document");
            assert_eq!(document["doc_rev"], 1, "{name}: {document}");
        }
        site.store.program.kill();
        // A journal of its own for the next round.
        site.edge.program.kill();
        site.edge.restart(&folder);
    }
}

/// An identify call near the largest body, for a user of its own.
fn large_identify(client: &Client, user: usize) -> crate::harness::Answer {
    let properties: serde_json::Map<String, Value> = (0..15)
        .map(|n| (format!("p{n}"), json!("x".repeat(4000))))
        .collect();
    let body = json!({"identifier": format!("big-{user}"), "properties": properties});
    client.post("/v1/identify", &body)
}

#[test]
fn a_full_journal_refuses_writes_and_goes_on_reading() {
    let mut site = Site::start_with(&["--journal-segment-mb", "4", "--journal-total-mb", "8"]);
    let server = site.edge.client("server");
    let blocks = site.edge.client("blocks");
    site.store.program.kill();
    let taken = (0..400).position(|user| large_identify(&server, user).status != 200);
    let taken = taken.expect("8 MiB are full before 24 MB are written");
    assert!(taken > 10, "only {taken} records fit into 8 MiB");
    let answer = large_identify(&server, 9999);
    assert_eq!(answer.status, 503, "{}", answer.text);
    let retry: Result<u64, _> = answer.header("retry-after").parse();
    assert!(retry.is_ok_and(|seconds| seconds > 0), "{answer:?}");
    assert!(answer.text.contains("limit"), "{}", answer.text);
    let status = site.status()["progress"].clone();
    assert_eq!(status["refuses"], "quota", "{status}");
    assert_eq!(status["journal"]["pressure"], "full", "{status}");
    let log = site.edge.program.log();
    assert_eq!(log.matches("nearly full").count(), 1, "{log}");
    // Dopt's steps say so in their own form.
    let path = "/v2/flow/announcement/start?version=1&userIdentifier=late";
    let step = blocks
        .send(Method::POST, path, &[], Some("{}".into()))
        .expect("an answer");
    if step.status != 204 {
        assert_eq!(step.json()["code"], "internal_server_error", "{step:?}");
        assert!(step.header("retry-after").parse::<u64>().is_ok());
    }
    // Reads answer, with what could not be stored left out.
    for user in ["late", "later"] {
        let path = format!("/v2/flow/announcement?version=1&userIdentifier={user}");
        crate::harness::check_flow(&body_of(&blocks.get(&path), 200), false);
    }
    assert_eq!(site.edge.admin().get("/ready").status, 200);
    // The store's return empties it, and everything that was answered arrives.
    site.store.restart();
    eventually("writes are taken again", || {
        (large_identify(&server, 10_000).status == 200).then_some(())
    });
    eventually("all of it is shipped", || {
        (site.status()["progress"]["backlog_records"] == 0).then_some(())
    });
    let status = site.status()["progress"].clone();
    assert_ne!(status["journal"]["pressure"], "full", "{status}");
    for user in (0..taken).step_by(10) {
        let document = site.store.user(&format!("big-{user}"));
        assert_eq!(document.expect("a document")["doc_rev"], 1, "user {user}");
    }
}

#[test]
fn a_damaged_manifest_is_said_and_never_taken_for_nothing() {
    let mut site = Site::start();
    let folder = site.path().to_owned();
    site.edge.program.kill();
    let snapshots = folder.join("edge/snapshots/development");
    let manifest = snapshots.join("manifest.json");
    let whole = std::fs::read(&manifest).expect("the manifest");
    let mut flipped = whole.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0x01;
    for damaged in [&flipped[..], &whole[..whole.len() / 2], b"", b"{}"] {
        std::fs::write(&manifest, damaged).expect("the damage");
        let text = refused(&mut site.edge.command(&folder), &["development"]);
        assert!(text.contains("manifest"), "{text}");
    }
    std::fs::remove_file(&manifest).expect("the manifest is there");
    refused(&mut site.edge.command(&folder), &["manifest", "missing"]);
    // What the message says to do helps: it is fetched anew.
    std::fs::remove_dir_all(&snapshots).expect("the folder is there");
    site.edge.restart(&folder);
    site.edge.ready();
    assert_eq!(site.title(), "Hello");
}

#[test]
fn a_damaged_pack_falls_back_to_the_one_before() {
    let mut site = Site::start();
    let folder = site.path().to_owned();
    site.publish("Second");
    eventually("the second title", || {
        (site.title() == "Second").then_some(())
    });
    site.store.program.kill();
    site.edge.program.kill();
    let snapshots = folder.join("edge/snapshots/development");
    let text = std::fs::read_to_string(snapshots.join("manifest.json")).expect("a manifest");
    let mut packs: Vec<PathBuf> = std::fs::read_dir(&snapshots)
        .expect("the folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|end| end == "pack"))
        .collect();
    let number = |path: &PathBuf| {
        let name = path.file_name()?.to_str()?;
        let number = name.split(['.', '-']).nth(1)?;
        number.parse::<u64>().ok()
    };
    packs.sort_by_key(number);
    assert_eq!(packs.len(), 2, "current and previous: {text}");
    let mut bytes = std::fs::read(&packs[1]).expect("the current pack");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x01;
    std::fs::write(&packs[1], bytes).expect("the damage");
    site.edge.restart(&folder);
    let environment = site.status()["environments"][0].clone();
    assert_eq!(environment["fell_back"], true, "{environment}");
    assert_eq!(site.title(), "Hello", "the one before serves");
    site.store.restart();
    eventually("the newest is fetched again", || {
        (site.title() == "Second").then_some(())
    });
}
