//! An edge counts what it evaluates itself, where it is asked to.

use std::{fs, path::Path};

use serde_json::{Value, json};

use super::{metrics, usage};
use crate::harness::{Client, Program, Store, eventually, flowgate, run};

const FRONTEND: &str = "*:development.a-frontend-token-of-the-story";
const CLIENT: &str = "*:development.a-client-token-of-the-story";

/// Flags and tokens in a folder of signed snapshots.
fn build(folder: &Path) {
    let variants = json!([{"name": "blue", "weight": 1000, "stickiness": "userId"}]);
    let flag = |name: &str, project: &str, enabled: bool| json!({"name": name, "project": project, "enabled": enabled, "strategies": [{"name": "default"}]});
    let mut coloured = flag("coloured", "shop", true);
    coloured["variants"] = variants;
    let features = json!({"features": [flag("on", "shop", true), flag("off", "shop", false), coloured,
    ]});
    let files = [
        (
            "project.yaml",
            "flowgate: project/1\nproject: shop\nname: Shop\nflows: []\n".to_owned(),
        ),
        ("frontend.key", FRONTEND.to_owned()),
        ("client.key", CLIENT.to_owned()),
        ("features.json", features.to_string()),
    ];
    for (name, text) in files {
        fs::write(folder.join(name), text).expect("a file");
    }
    for line in [
        "snapshot build project.yaml --out out --environment development --features development=features.json \
         --key frontend:pages=frontend.key --key client:servers=client.key",
        "snapshot sign out --signing signing",
    ] {
        let output = run(flowgate().args(line.split_whitespace()).current_dir(folder));
        assert!(output.status.success(), "{output:?}");
    }
}

/// An edge with flags of a folder and the ledger of a store.
fn start(folder: &Path, store: &Store, flags: &[&str]) -> Program {
    let key = format!("development={}", store.key("edge"));
    let mut command = flowgate();
    command
        .args("edge --json --listen 127.0.0.1:0 --admin 127.0.0.1:0 --upstream file".split(' '))
        .args("--upstream-path out --trust-root signing/root.json --data edge".split(' '))
        .args(["--journal-segment-mb", "4", "--ledger-url", store.url()])
        .args(["--environment-key", &key])
        .args(flags)
        .current_dir(folder);
    Program::start(command, &folder.join("edge.log"))
}

fn flag<'u>(shown: &'u Value, name: &str) -> &'u Value {
    let mut list = shown.as_array().expect("a list").iter();
    list.find(|own| own["flag"] == name).unwrap_or(&Value::Null)
}

#[test]
fn an_edge_counts_its_own_evaluations_when_asked_to() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let store = Store::start(folder);
    build(folder);
    let edge = start(folder, &store, &["--count-evaluations", "true"]);
    let pages = Client::new(&edge.text("edge_url"), FRONTEND);
    eventually("the flags are served", || {
        (pages.get("/api/frontend/features/off").status == 200).then_some(())
    });
    // That was one of each that was answered; every one has its own session.
    for user in 0..5 {
        assert_eq!(
            pages.get(&format!("/api/frontend?userId=u{user}")).status,
            200
        );
        let all = pages.post("/api/frontend/all", &json!({"userId": format!("v{user}")}));
        assert_eq!(all.status, 200);
    }
    assert_eq!(pages.get("/api/frontend/features/on").status, 200);
    // An answer that the client has is none.
    let tag = pages
        .get("/api/frontend?userId=u0")
        .header("etag")
        .to_owned();
    let again = pages.send(
        reqwest::Method::GET,
        "/api/frontend?userId=u0",
        &[("if-none-match", &tag)],
        None,
    );
    assert_eq!(again.expect("an answer").status, 304);
    let shown = eventually("the store has them", || {
        let shown = usage(&store, &["flags"]);
        (flag(&shown, "on")["yes"] == 12).then_some(shown)
    });
    assert_eq!(
        (&flag(&shown, "off")["yes"], &flag(&shown, "off")["no"]),
        (&json!(0), &json!(12))
    );
    assert_eq!(flag(&shown, "coloured")["variants"], json!({"blue": 11}));
    assert_eq!(flag(&shown, "on")["apps"], json!(["(edge)"]));
}

#[test]
fn flags_that_are_gone_are_still_told_of() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let store = Store::start(folder);
    build(folder);
    let edge = start(folder, &store, &[]);
    let servers = Client::new(&edge.text("edge_url"), CLIENT);
    let told = metrics(&json!({"on": {"yes": 2}, "gone": {"yes": 1}}));
    eventually("the key is known", || {
        (servers.post("/api/client/metrics", &told).status == 202).then_some(())
    });
    let shown = eventually("the store has it", || {
        let shown = usage(&store, &["flags"]);
        (flag(&shown, "on")["yes"] == 2).then_some(shown)
    });
    assert_eq!(flag(&shown, "gone")["yes"], 1);
    // It does not count itself unless it is asked to.
    assert_eq!(flag(&shown, "on")["apps"], json!(["shop"]));
}

#[test]
fn without_a_store_nothing_is_kept_and_the_log_says_so_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let made = run(flowgate()
        .args([
            "key",
            "signing",
            "create",
            "--folder",
            "signing",
            "--timestamp-life-days",
            "2",
        ])
        .current_dir(folder));
    assert!(made.status.success(), "{made:?}");
    build(folder);
    let mut command = flowgate();
    command
        .args("edge --json --listen 127.0.0.1:0 --admin 127.0.0.1:0 --upstream file".split(' '))
        .args("--upstream-path out --trust-root signing/root.json --data edge".split(' '))
        .args("--journal-segment-mb 4 --environment-required development=true".split(' '))
        .current_dir(folder);
    let edge = Program::start(command, &folder.join("edge.log"));
    let servers = Client::new(&edge.text("edge_url"), CLIENT);
    let told = metrics(&json!({"on": {"yes": 2}}));
    for _ in 0..3 {
        eventually("it is taken", || {
            (servers.post("/api/client/metrics", &told).status == 202).then_some(())
        });
    }
    let status = Client::new(&edge.text("edge_admin_url"), "")
        .get("/status")
        .json();
    let text = status["usage"]["store"].as_str().expect("a text");
    assert!(text.contains("nothing is kept"), "{text}");
    // A count and an instance of each.
    assert_eq!(status["usage"]["dropped"]["no_store"], 6);
    assert_eq!(edge.log().matches("kept nowhere").count(), 1);
    assert!(!folder.join("edge/usage").exists());
}
