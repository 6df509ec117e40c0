//! Is a release that turns users away held back by a real edge?
//!
//! One story over store and edge as two processes: a flow that everybody got
//! is turned around; the edge goes on as before, also after a restart, and
//! obeys the kill switch meanwhile; then somebody confirms.

use std::path::Path;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Client, Edge, Events, Store, body_of, eventually, flowgate, run};

const VERSION: &str = "
      - number: NUMBER
        message: m
        author: ada
        created: 2026-01-01T00:00:00Z
        entry: ENTRY
        blocks: [ { sid: card, type: card } ]
        paths: [ { from: entry, to: card } ]";

/// Flows with the entries of their versions.
fn import(store: &Store, folder: &Path, flows: &[(&str, &[&str])]) {
    let mut text = "flowgate: project/1\nproject: demo\nname: Demo\nflows:\n".to_owned();
    for (sid, entries) in flows {
        text += &format!("  - sid: {sid}\n    name: {sid}\n    versions:");
        for (at, entry) in entries.iter().enumerate() {
            let number = (at + 1).to_string();
            text += &VERSION.replace("NUMBER", &number).replace("ENTRY", entry);
        }
        text.push('\n');
    }
    text += "flags:\n  - { name: banner }\n";
    let file = folder.join("project.yaml");
    std::fs::write(&file, text).expect("a project file");
    store.import(&file);
}

/// What a new user gets of a flow.
fn asked(edge: &Edge, user: &str, flow: &str) -> Value {
    let body = json!({"subject": {"user": user}, "flows": {flow: "latest"}});
    let answer = body_of(&edge.client("server").post("/v1/evaluate", &body), 200);
    answer["decisions"][flow].clone()
}

/// Whether a flag is on, as far as the edge has it.
fn banner(pages: &Client) -> Option<bool> {
    let answer = pages.get("/api/frontend/features/banner?userId=ada");
    (answer.status == 200).then(|| answer.json()["enabled"] == true)
}

/// What a client is told that follows flags and has this of them.
fn changes(servers: &Client, had: &str) -> Answer {
    let path = "/api/client/delta";
    let answer = servers.send(Method::GET, path, &[("if-none-match", had)], None);
    answer.expect("an answer")
}

/// Whether the flag is on by these events, the last of which tells.
fn banner_told(data: &Value) -> Option<bool> {
    let events = data["events"].as_array().expect("events").iter();
    let flags = events.flat_map(|event| match event["features"].as_array() {
        Some(all) => all.iter().collect(),
        None => vec![&event["feature"]],
    });
    let mut told = flags.filter(|flag| flag["name"] == "banner");
    told.next_back().map(|flag| flag["enabled"] == true)
}

fn supply(edge: &Edge) -> Value {
    let status = body_of(&edge.admin().get("/status"), 200);
    status["environments"][0].clone()
}

fn author(store: &Store, words: &[&str]) {
    let output = run(&mut store.command(words));
    assert!(output.status.success(), "{words:?}: {output:?}");
}

/// What `snapshot verify` says of what the edge keeps.
#[track_caller]
fn verified(folder: &Path, store: &Store) -> Value {
    let verify = |output: &str| {
        let mut command = flowgate();
        command.args(["snapshot", "verify", "--output", output, "--trust-root"]);
        let output = run(command.arg(store.trust_root()).arg(folder.join("edge")));
        assert!(output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let reports: Value = serde_json::from_str(&verify("json")).expect("JSON");
    let is_held = !reports[0]["held"].is_null();
    assert_eq!(verify("table").contains("is held back"), is_held);
    reports[0].clone()
}

#[test]
fn a_release_that_turns_a_flow_around_is_held_until_somebody_means_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let store = Store::start(folder);
    import(
        &store,
        folder,
        &[("tour", &["everyone"]), ("chat", &["everyone"])],
    );
    let flags = [
        ["--workers", "1"],
        ["--environment-guard-contexts", "development=200"],
        ["--environment-guard-percent", "development=30"],
    ];
    let mut edge = Edge::start_below(folder, &store, store.url(), flags.as_flattened());
    edge.ready();
    let pages = Client::new(&edge.program.text("edge_url"), &store.key("frontend"));
    author(&store, &["flag", "enable", "banner"]);
    eventually("the flag is on", || {
        (banner(&pages) == Some(true)).then_some(())
    });
    let url = edge.program.text("edge_url");
    let key = store.key("client");
    let servers = Client::new(&url, &key);
    let on = eventually("so it is for those who follow flags", || {
        let answer = changes(&servers, "");
        let is_on = answer.status == 200 && banner_told(&answer.json()) == Some(true);
        is_on.then(|| answer.header("etag").to_owned())
    });
    let mut following = Events::open(&url, "/api/client/streaming", &key);
    let begun = following.expect("unleash-connected");
    assert_eq!(banner_told(&begun), Some(true));
    // Enough for more than the smallest number that is judged by.
    let client = edge.client("server");
    for user in 0..800 {
        let user = format!("user-{user}");
        let body = json!({"subject": {"user": user}, "flows": {"tour": "latest"}});
        assert_eq!(client.post("/v1/evaluate", &body).status, 200);
    }

    import(
        &store,
        folder,
        &[("tour", &["everyone", "api-only"]), ("chat", &["everyone"])],
    );
    let held = eventually("the release is held", || {
        let held = supply(&edge)["held"].clone();
        (!held.is_null()).then_some(held)
    });
    let release = held["release"].to_string();
    assert_eq!(asked(&edge, "new", "tour")["served"], true);
    assert_eq!(asked(&edge, "new", "tour")["version"], 1);
    let judged = supply(&edge)["judged"][0].clone();
    assert_eq!(judged["flow"], "tour");
    assert_eq!(judged["judged"], judged["changed"], "{judged}");
    let metrics = edge.admin().get("/metrics").text;
    let gauge = "flowgate_release_held{environment=\"development\"} 1";
    assert!(metrics.contains(gauge), "{metrics}");

    let listed = eventually("the store hears of it", || {
        let output = run(&mut store.command(&["edges", "--output", "json"]));
        let list: Value = serde_json::from_slice(&output.stdout).ok()?;
        let own = list[0].clone();
        (own["held"] == held["release"]).then_some(own)
    });
    assert_eq!(listed["reason"], "release_held", "{listed}");
    assert_eq!(listed["straggler"], true, "{listed}");
    let why = listed["why"].as_array().expect("a list");
    assert!(why.contains(&"held".into()), "{listed}");
    let table = run(&mut store.command(&["edges"]));
    let table = String::from_utf8_lossy(&table.stdout).into_owned();
    assert!(table.contains("HELD"), "{table}");
    assert_eq!(verified(folder, &store)["held"], held["release"]);

    author(&store, &["flow", "disable", "chat"]);
    eventually("the kill switch acts during the hold", || {
        (asked(&edge, "new", "chat")["served"] == false).then_some(())
    });
    assert_eq!(asked(&edge, "new", "tour")["version"], 1);
    author(&store, &["flag", "disable", "banner"]);
    eventually("so does that of a flag", || {
        (banner(&pages) == Some(false)).then_some(())
    });
    let told = following.until("the flag is off", |event| {
        banner_told(&event.data) == Some(false)
    });
    assert_eq!(told.name, "unleash-updated");
    let answer = changes(&servers, &on);
    assert_eq!(banner_told(&body_of(&answer, 200)), Some(false));
    assert_eq!(banner_told(&changes(&servers, "").json()), Some(false));
    // The release that says the same is held as the one before it was.
    let release = eventually("the newer release is held, too", || {
        let newer = supply(&edge)["held"]["release"].to_string();
        (newer != release && newer != "null").then_some(newer)
    });

    let off = changes(&servers, "").header("etag").to_owned();
    edge.program.kill();
    edge.restart(folder);
    let url = edge.program.text("edge_url");
    let servers = Client::new(&url, &key);
    let answer = changes(&servers, &on);
    assert_eq!(banner_told(&body_of(&answer, 200)), Some(false));
    assert_eq!(changes(&servers, &off).status, 304);
    let stream = "/api/client/streaming";
    let mut late = Events::ask_after(&url, stream, &key, on.trim_matches('"'));
    let missed = late.expect("unleash-connected");
    assert_eq!(banner_told(&missed), Some(false));
    let mut again = Events::ask_after(&url, stream, &key, &told.id);
    again.expect("unleash-connected");
    assert_eq!(asked(&edge, "newer", "tour")["version"], 1);
    assert_eq!(asked(&edge, "newer", "chat")["served"], false);
    assert_eq!(supply(&edge)["held"]["release"].to_string(), release);

    let other = run(&mut store.command(&["release", "confirm", "development", "1"]));
    assert!(!other.status.success(), "only the newest can be confirmed");
    author(&store, &["release", "confirm", "development", &release]);
    eventually("the release serves", || {
        (asked(&edge, "newest", "tour")["version"] == 2).then_some(())
    });
    assert_eq!(asked(&edge, "newest", "tour")["served"], false);
    // Nobody hears that it is on again, and who had it on hears that it is off.
    for had in [&*on, &off, ""] {
        let answer = changes(&servers, had);
        let told = (answer.status == 200).then(|| banner_told(&answer.json()));
        assert!(
            [None, Some(None), Some(Some(false))].contains(&told),
            "{had}"
        );
        assert!(told == Some(Some(false)) || had == off, "{had}: {told:?}");
    }
    assert_eq!(supply(&edge)["held"], Value::Null);
    assert_eq!(verified(folder, &store)["held"], Value::Null);
    eventually("the store hears that it is over", || {
        let output = run(&mut store.command(&["edges", "--output", "json"]));
        let list: Value = serde_json::from_slice(&output.stdout).ok()?;
        (list[0]["held"].is_null() && list[0]["reason"].is_null()).then_some(())
    });
}
