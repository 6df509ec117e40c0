//! Is what people change written down, whatever happens meanwhile?
//!
//! Stories against the real store: killed in the middle of changes, and asked
//! by the command line who did what.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Client, Store, body_of, eventually, run};

/// Rounds of killing; each hits another moment of a transaction.
const ROUNDS: usize = 6;

/// Authors that change something at the same time.
const AUTHORS: usize = 3;

/// Changes that were answered before a round ends.
const CHANGES: usize = 12;

/// Everything that a listing of the store has, page by page.
fn pages(client: &Client, path: &str, member: &str) -> Vec<Value> {
    let mut all = Vec::new();
    let mut after = String::new();
    loop {
        let page = body_of(&client.get(&format!("{path}{after}")), 200);
        all.extend(page[member].as_array().into_iter().flatten().cloned());
        let Some(next) = page["next"].as_str() else {
            return all;
        };
        after = format!("&after={next}");
    }
}

#[test]
fn a_store_that_is_killed_has_an_entry_for_every_change_and_none_besides() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut store = Store::start(folder.path());
    let file = folder.path().join("p.yaml");
    std::fs::write(&file, "flowgate: project/1\nproject: p\n").expect("a file");
    store.import(&file);
    let mut answered = BTreeSet::new();
    for round in 0..ROUNDS {
        let done = AtomicUsize::new(0);
        let told = thread::scope(|scope| {
            let authors: Vec<_> = (0..AUTHORS)
                .map(|author| {
                    let (client, done) = (store.admin(), &done);
                    scope.spawn(move || make_flows(&client, &format!("r{round}-a{author}"), done))
                })
                .collect();
            eventually("changes were answered", || {
                (done.load(Ordering::Relaxed) >= CHANGES).then_some(())
            });
            store.program.kill();
            let told = authors
                .into_iter()
                .flat_map(|own| own.join().expect("an author"));
            told.collect::<Vec<String>>()
        });
        answered.extend(told);
        store.restart();
    }
    let admin = store.admin();
    let flows = pages(&admin, "/admin/v1/flows?limit=3", "flows");
    let flows = flows.iter();
    let there: BTreeSet<String> = flows.map(|own| own["sid"].to_string()).collect();
    let entries = pages(&admin, "/admin/v1/audit?kind=flow&limit=50", "entries");
    let mut written = BTreeSet::new();
    for entry in &entries {
        let change = &entry["changes"][0];
        assert_eq!(change["action"], "created", "{entry}");
        assert!(
            written.insert(change["object"].to_string()),
            "twice: {entry}"
        );
    }
    assert_eq!(
        there, written,
        "a change has one entry, and an entry its change"
    );
    let lost: Vec<_> = answered
        .iter()
        .filter(|own| !there.contains(*own))
        .collect();
    assert!(lost.is_empty(), "answered and gone: {lost:?}");
    println!(
        "{} changes, {} of them answered",
        there.len(),
        answered.len()
    );
}

/// Makes flows until the store is gone; says which were answered.
fn make_flows(client: &Client, prefix: &str, done: &AtomicUsize) -> Vec<String> {
    let mut told = Vec::new();
    for number in 0.. {
        let sid = format!("{prefix}-{number}");
        let body = json!({"sid": sid, "project": "p"}).to_string();
        match client.send(Method::POST, "/admin/v1/flows", &[], Some(body)) {
            Ok(answer) => {
                assert_eq!(answer.status, 201, "{}", answer.text);
                told.push(json!(sid).to_string());
                done.fetch_add(1, Ordering::Relaxed);
            }
            Err(_) => break,
        }
    }
    told
}

#[test]
fn the_command_line_tells_who_changed_what() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::start(folder.path());
    let file = folder.path().join("p.yaml");
    std::fs::write(
        &file,
        "flowgate: project/1\nproject: p\nflows: [{sid: f}]\n",
    )
    .expect("a file");
    store.import(&file);
    let request = [
        ("x-request-id", "ticket-17"),
        ("flowgate-confirm", "production"),
    ];
    let status = json!({"environment": "production", "enabled": false}).to_string();
    let path = "/admin/v1/flows/f/status";
    let answer = store
        .admin()
        .send(Method::POST, path, &request, Some(status));
    body_of(&answer.expect("an answer"), 200);
    let said = |words: &[&str]| {
        let output = run(&mut store.command(words));
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("text")
    };
    let list = said(&[
        "audit",
        "list",
        "--object",
        "f",
        "--environment",
        "production",
    ]);
    assert!(
        list.contains("changed status f") && list.contains("first (…"),
        "{list}"
    );
    let words = ["audit", "list", "--kind", "status", "--output", "json"];
    let rows: Value = serde_json::from_str(&said(&words)).expect("JSON");
    assert_eq!(rows.as_array().map(Vec::len), Some(1), "{rows}");
    let shown = said(&["audit", "show", &rows[0]["id"].to_string()]);
    for part in [
        "request ticket-17",
        "~ enabled true -> false",
        "in production",
    ] {
        assert!(shown.contains(part), "no {part:?} in: {shown}");
    }
    let none = said(&["audit", "list", "--who", "nobody"]);
    assert_eq!(none.lines().count(), 1, "{none}");
    let unknown = run(&mut store.command(&["audit", "show", "9999"]));
    assert_eq!(unknown.status.code(), Some(2), "{unknown:?}");
}
