//! Do flags travel in signed snapshots?
//!
//! A pipeline builds and signs them beside flows, and an edge that lives from
//! the folder serves them to whoever has a key of the right kind.

use std::{fs, path::Path};

use serde_json::{Value, json};

use reqwest::Method;

use crate::harness::{Answer, Client, Events, Program, body_of, eventually, flowgate, run};

const PROJECT: &str = "flowgate: project/1\nproject: shop\nname: Shop\nflows: []\n";
const FRONTEND: &str = "*:production.a-frontend-token-of-the-story";
const CLIENT: &str = "*:production.a-client-token-of-the-story";

fn document(names: &[&str]) -> Value {
    let flag = |name: &&str| {
        let segments = json!([{"name": "default", "segments": [7]}]);
        json!({"name": name, "enabled": true, "project": "shop", "strategies": segments})
    };
    let features: Vec<Value> = names.iter().map(flag).collect();
    let production =
        json!([{"contextName": "environment", "operator": "IN", "values": ["production"]}]);
    json!({"version": 2, "features": features, "segments": [{"id": 7, "constraints": production}]})
}

/// Runs a command in a folder; its words on standard error when it fails.
fn does(folder: &Path, line: &[&str]) -> Result<(), String> {
    let output = run(flowgate().args(line).current_dir(folder));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    output.status.success().then_some(()).ok_or(text)
}

fn build(folder: &Path, flags: &Value) -> Result<(), String> {
    fs::write(folder.join("features.json"), flags.to_string()).expect("a file");
    let keys = [
        "--key",
        "frontend:pages=frontend.key",
        "--key",
        "client:servers=client.key",
    ];
    let line = [
        "snapshot",
        "build",
        "project.yaml",
        "--out",
        "out",
        "--environment",
        "production",
        "--features",
        "production=features.json",
    ];
    does(folder, &[&line[..], &keys].concat())
}

fn sign(folder: &Path) {
    let line = ["snapshot", "sign", "out", "--signing", "signing"];
    does(folder, &line).expect("it is signed");
}

fn prepared() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in [
        ("project.yaml", PROJECT),
        ("frontend.key", FRONTEND),
        ("client.key", CLIENT),
    ] {
        fs::write(folder.path().join(name), text).expect("a file");
    }
    let line = [
        "key",
        "signing",
        "create",
        "--folder",
        "signing",
        "--timestamp-life-days",
        "2",
    ];
    does(folder.path(), &line).expect("keys are made");
    folder
}

fn start(folder: &Path, name: &str) -> Program {
    let mut command = flowgate();
    command.args([
        "edge",
        "--json",
        "--listen",
        "127.0.0.1:0",
        "--admin",
        "127.0.0.1:0",
    ]);
    command.args([
        "--upstream",
        "file",
        "--upstream-path",
        "out",
        "--upstream-reread-ms",
        "50",
    ]);
    command.args([
        "--trust-root",
        "signing/root.json",
        "--data",
        name,
        "--journal-segment-mb",
        "4",
    ]);
    command
        .args(["--environment-required", "production=true"])
        .current_dir(folder);
    Program::start(command, &folder.join(format!("{name}.log")))
}

fn names(client: &Client, path: &str, list: &str) -> Vec<String> {
    let answer = client.get(path);
    if answer.status != 200 {
        return Vec::new();
    }
    let body = answer.json();
    let list = body[list].as_array().expect("a list").iter();
    list.map(|own| own["name"].as_str().expect("a name").to_owned())
        .collect()
}

#[test]
fn flags_of_a_signed_snapshot_are_served_and_follow_it() {
    let folder = prepared();
    let folder = folder.path();
    build(folder, &document(&["b", "a"])).expect("it is built");
    sign(folder);
    let edge = start(folder, "edge");
    let client = |key: &str| Client::new(&edge.text("edge_url"), key);
    let (pages, servers) = (client(FRONTEND), client(CLIENT));
    eventually("the flags are served", || {
        (names(&pages, "/api/frontend", "toggles") == ["a", "b"]).then_some(())
    });
    assert_eq!(
        names(&servers, "/api/client/features", "features"),
        ["a", "b"]
    );
    // The key has settled the environment, whatever a context says.
    let spoofed = pages.post("/api/frontend", &json!({"environment": "development"}));
    assert_eq!(
        body_of(&spoofed, 200)["toggles"].as_array().map(Vec::len),
        Some(2)
    );
    // Each kind of key opens its own paths.
    assert_eq!(servers.get("/api/frontend").status, 403);
    assert_eq!(pages.get("/api/client/features").status, 403);
    let tag = pages.get("/api/frontend").header("etag").to_owned();

    build(folder, &document(&["c", "a"])).expect("it is built again");
    sign(folder);
    eventually("the new flags are served", || {
        (names(&pages, "/api/frontend", "toggles") == ["a", "c"]).then_some(())
    });
    assert_ne!(pages.get("/api/frontend").header("etag"), tag);
}

/// What has changed since an event.
fn delta(edge: &Program, since: &str) -> Answer {
    let client = Client::new(&edge.text("edge_url"), CLIENT);
    let headers = [("if-none-match", since)];
    let answer = client.send(Method::GET, "/api/client/delta", &headers, None);
    answer.expect("an answer")
}

#[test]
fn numbers_of_events_are_those_of_revisions_on_every_edge() {
    let folder = prepared();
    let folder = folder.path();
    build(folder, &document(&["b", "a"])).expect("it is built");
    sign(folder);
    let mut edges = ["one", "two"].map(|name| start(folder, name));
    let begun = edges.each_ref().map(|edge| {
        eventually("the flags are served", || {
            Some(delta(edge, "")).filter(|answer| answer.status == 200)
        })
    });
    let revision = begun[0].header("flowgate-revision");
    let number = revision
        .strip_prefix("0.")
        .expect("the first epoch")
        .to_owned();
    for answer in &begun {
        assert_eq!(answer.header("etag"), format!("\"{number}\""));
    }
    assert_eq!(begun[0].text, begun[1].text);
    let url = edges[1].text("edge_url");
    let path = "/api/client/streaming";
    let mut events = Events::open(&url, path, CLIENT);
    assert_eq!(events.next().expect("the first event").id, number);

    build(folder, &document(&["c", "a"])).expect("it is built again");
    sign(folder);
    let updated = events.next().expect("the change");
    let kinds: Vec<&Value> = updated.data["events"]
        .as_array()
        .expect("events")
        .iter()
        .map(|event| &event["type"])
        .collect();
    assert_eq!(kinds, ["feature-removed", "feature-updated"]);
    assert_ne!(updated.id, number);
    let changed = edges.each_ref().map(|edge| {
        eventually("the change is told", || {
            Some(delta(edge, &number)).filter(|answer| answer.status == 200)
        })
    });
    assert_eq!(changed[0].text, changed[1].text);
    assert_eq!(changed[0].header("etag"), format!("\"{}\"", updated.id));
    assert_eq!(changed[0].json(), updated.data);

    // An edge that has just begun knows what is in force, and nothing before.
    edges[0].kill();
    edges[0] = start(folder, "one");
    eventually("it is known what is in force", || {
        (delta(&edges[0], &updated.id).status == 304).then_some(())
    });
    let body = delta(&edges[0], &number).json();
    assert_eq!(body["events"][0]["type"], "hydration");
    let url = edges[0].text("edge_url");
    let mut resumed = Events::ask_after(&url, path, CLIENT, &updated.id);
    let resumed = resumed.next().expect("the first event");
    assert_eq!(
        (resumed.id, &resumed.data["events"]),
        (updated.id, &json!([]))
    );
}

#[test]
fn flags_that_no_edge_would_serve_are_refused_where_they_are_built() {
    let folder = prepared();
    for (features, expected) in [
        (
            json!([{"name": "a", "enabled": "yes"}]),
            "flags of environment production cannot be built: a:",
        ),
        (
            json!([{"name": "a", "enabled": true}, {"name": "a", "enabled": true}]),
            "second flag",
        ),
        (json!({"name": "a"}), "no document of flags"),
    ] {
        let refused = build(folder.path(), &json!({"features": features}));
        let text = refused.expect_err("it is refused");
        assert!(text.contains(expected), "{text}");
    }
}
