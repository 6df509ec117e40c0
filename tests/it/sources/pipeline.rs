//! Do the commands of an offline pipeline say what a script needs?

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;

use super::{Folder, Running, done, hash_of, word};
use crate::harness::{Client, Site, Store, eventually, flowgate, run};

/// Exit code, standard output and standard error.
fn said(words: &[&str]) -> (i32, String, String) {
    let output = run(flowgate().args(words));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let code = output.status.code().expect("it was not killed");
    (code, text(&output.stdout), text(&output.stderr))
}

#[test]
fn what_was_signed_is_verified_and_shown() {
    let folder = Folder::new("First");
    let (out, root) = (word(&folder.out()), word(&folder.trust_root()));
    let (code, told, _) = said(&["snapshot", "verify", &out, "--trust-root", &root]);
    assert_eq!(code, 0, "{told}");
    assert!(told.contains("production at revision 0.1"), "{told}");
    let json = ["--trust-root", &root, "--output", "json"];
    let (code, told, _) = said(&[&["snapshot", "inspect", &out], &json[..]].concat());
    assert_eq!(code, 0, "{told}");
    let reports: Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!(reports[0]["content"][0]["flow"], "announcement", "{told}");
    assert_eq!(
        (&reports[0]["keys"], &reports[0]["freshness"]),
        (&1.into(), &"fresh".into())
    );
    let other = Folder::new("First");
    let foreign = word(&other.trust_root());
    let (code, told, _) = said(&["snapshot", "verify", &out, "--trust-root", &foreign]);
    assert_eq!(code, 1, "{told}");
}

#[test]
fn a_difference_is_listed_and_ends_with_1() {
    let (one, other) = (Folder::new("First"), Folder::new("Second"));
    let (a, b) = (word(&one.out()), word(&other.out()));
    let diff = |a: &str, b: &str| {
        let (code, told, complaints) = said(&["snapshot", "diff", a, b, "--output", "json"]);
        assert!(complaints.contains("not verified"), "{complaints}");
        let rows: Value = serde_json::from_str(&told).expect("JSON");
        let rows = rows.as_array().expect("rows").clone();
        let short = |row: &Value| {
            let text = |member: &str| row[member].as_str().unwrap_or("?").to_owned();
            format!("{} {} {}", text("change"), text("kind"), text("name"))
        };
        (code, rows.iter().map(short).collect::<Vec<_>>())
    };
    assert_eq!(diff(&a, &a), (0, Vec::new()));
    let (code, rows) = diff(&a, &b);
    assert_eq!(code, 1, "{rows:?}");
    let changed = rows.iter().filter(|row| !row.contains(" key "));
    assert_eq!(
        changed.collect::<Vec<_>>(),
        ["changed version announcement 1"]
    );
    let keys = rows.iter().filter(|row| row.contains(" key server:app "));
    assert_eq!(keys.count(), 2, "each has its own: {rows:?}");
    // What was built and not signed, against what is signed.
    one.build_into(&one.path().join("next"), "Third");
    let (code, rows) = diff(&a, &word(&one.path().join("next")));
    assert_eq!(
        (code, rows),
        (1, vec!["changed version announcement 1".to_owned()])
    );
    // Verified, only what is signed by whom is trusted.
    let root = word(&one.trust_root());
    let verified = ["--trust-root", &root];
    let words = [&["snapshot", "diff", &a, &a], &verified[..]].concat();
    let (code, told, complaints) = said(&words);
    assert_eq!(
        (code, told.as_str(), complaints.as_str()),
        (0, "no difference\n", "")
    );
    let words = [&["snapshot", "diff", &a, &b], &verified[..]].concat();
    assert_eq!(said(&words).0, 2);
}

#[test]
fn an_edge_and_a_folder_are_compared() {
    let site = Site::start();
    let data = word(&site.path().join("edge"));
    let root = word(&site.store.trust_root());
    let (code, told, _) = said(&["snapshot", "diff", &data, &data, "--trust-root", &root]);
    assert_eq!((code, told.as_str()), (0, "no difference\n"));
    let folder = Folder::new("First");
    let (code, told, _) = said(&["snapshot", "diff", &data, &word(&folder.out())]);
    assert_eq!(code, 1);
    assert!(told.contains("removed") && told.contains("added"), "{told}");
}

/// The uid an environment has in a store.
fn environment_uid(store: &Store, key: &str) -> String {
    let path = "/edge/v1/environments/development/timestamp";
    let timestamp = Client::new(store.url(), key).get(path).json();
    let payload = timestamp["payload"].as_str().expect("a payload");
    let payload = STANDARD.decode(payload).expect("base64");
    let payload: Value = serde_json::from_slice(&payload).expect("JSON");
    payload["environment_uid"]
        .as_str()
        .expect("a uid")
        .to_owned()
}

#[test]
fn a_folder_with_a_ledger_ships_to_the_store_it_came_from() {
    let root = tempfile::tempdir().expect("a folder");
    let store = Store::start(root.path());
    store.import(&crate::harness::project(root.path(), "First"));
    let (edge_key, app_key) = (store.key("edge"), store.key("server"));
    let exported = run(&mut store.command(&["export", "--environment", "development"]));
    let file = root.path().join("exported.yaml");
    std::fs::write(&file, exported.stdout).expect("a file");
    let uid = format!("development={}", environment_uid(&store, &edge_key));
    let key = format!("server:app={}", hash_of(root.path(), &app_key));
    let (file, out) = (word(&file), word(&root.path().join("out")));
    let words = ["snapshot", "build", &file, "--out", &out];
    let more = [
        "--environment",
        "development",
        "--environment-uid",
        &uid,
        "--key",
        &key,
    ];
    done(&[&words[..], &more].concat());
    let signing = word(&root.path().join("signing"));
    done(&["snapshot", "sign", &out, "--signing", &signing]);
    let mut command = flowgate();
    command
        .args([
            "edge",
            "--json",
            "--upstream",
            "file",
            "--upstream-path",
            &out,
        ])
        .args(["--ledger-url", store.url(), "--journal-segment-mb", "4"])
        .args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
        .args(["--environment-key", &format!("development={edge_key}")])
        .arg("--trust-root")
        .arg(store.trust_root())
        .arg("--data")
        .arg(root.path().join("below"));
    let edge = Running::start(command, &root.path().join("below.log"));
    edge.serves(&app_key, "First");
    eventually("the step is in the ledger", || {
        let document = store.user("reader")?;
        (document["flows"][0]["started"] == true).then_some(())
    });
    assert_eq!(edge.status()["progress"]["ledger"], "configured");
}

#[test]
fn the_same_build_twice_writes_the_same_bytes() {
    let folder = Folder::new("First");
    let again = folder.path().join("again");
    folder.build_into(&again, "First");
    let content = |out: &std::path::Path| {
        std::fs::read(out.join("environments/production/content.json")).expect("it was built")
    };
    assert_eq!(content(&folder.out()), content(&again));
}

#[test]
fn mistakes_are_told_with_what_was_expected() {
    let folder = Folder::new("First");
    let project = word(&folder.path().join("project.yaml"));
    let out = word(&folder.path().join("x"));
    let build = |more: &[&str]| {
        let words = ["snapshot", "build", &project, "--out", &out];
        said(&[&words[..], more].concat())
    };
    let short = folder.path().join("short.key");
    std::fs::write(&short, "password\n").expect("a file");
    let guessable = format!("production/server:app={}", word(&short));
    let hash = hash_of(folder.path(), &folder.key);
    let twice = format!("server:app={hash}");
    for (more, code, words) in [
        (&["--key", &twice][..], 64, "several environments"),
        (&["--key", &guessable], 64, "24 visible characters"),
        (&["--key", "production/gate:app=x"], 64, "kind is unknown"),
        (
            &["--key", "production/server:app="],
            64,
            "neither a hash nor a file",
        ),
        (
            &["--key", &format!("staging/server:app={hash}")],
            2,
            "is not built",
        ),
        (
            &["--key", &format!("production/edge:app={hash}")],
            2,
            "in no snapshot",
        ),
        (&["--environment", "x=odd"], 64, "preproduction"),
        (&["--environment", "../x"], 2, "letters, digits"),
        (&["--environment-uid", "production=1"], 64, "8 to 64"),
    ] {
        let (found, told, complaints) = build(more);
        assert_eq!(found, code, "{more:?}: {complaints}");
        assert!(complaints.contains(words), "{more:?}: {complaints}");
        assert!(told.is_empty(), "{told}");
        assert!(!complaints.contains(&folder.key), "{complaints}");
    }
    std::fs::write(&project, "flowgate: project/1\nproject: x\nflows: 3\n").expect("a file");
    let (code, _, complaints) = build(&[]);
    assert_eq!(code, 2, "{complaints}");
    assert!(complaints.contains("project.yaml: "), "{complaints}");
    let signing = word(&folder.path().join("signing"));
    let life = ["--timestamp-life-days", "401"];
    let words = ["snapshot", "sign", &out, "--signing", &signing];
    assert_eq!(said(&[&words[..], &life].concat()).0, 64);
    let (code, _, complaints) = said(&words);
    assert_eq!(code, 2, "{complaints}");
    assert!(
        complaints.contains("flowgate snapshot build"),
        "{complaints}"
    );
}
