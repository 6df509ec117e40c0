//! Does an edge follow its file of flags?

use std::fs;

use serde_json::json;

use super::offline::{Offline, command};
use crate::harness::{eventually, run};

const TOKEN: &str = "*:development.a-secret-of-the-story";

fn document(names: &[&str]) -> String {
    let features = names
        .iter()
        .map(|name| json!({"name": name, "enabled": true}));
    json!({"version": 2, "features": features.collect::<Vec<_>>()}).to_string()
}

fn names(edge: &Offline) -> Vec<String> {
    let answer = edge.client.get("/api/frontend").json();
    let toggles = answer["toggles"].as_array().expect("toggles").iter();
    let name = |toggle: &serde_json::Value| toggle["name"].as_str().expect("a name").to_owned();
    toggles.map(name).collect()
}

#[test]
fn a_file_that_changes_is_served_and_one_that_is_broken_is_not() {
    let mut edge = Offline::start(&document(&["b", "a"]), &[TOKEN]);
    assert_eq!(names(&edge), ["a", "b"]);
    assert_eq!(edge.admin().get("/ready").status, 200);
    edge.replace(&document(&["c"]));
    eventually("the new flag is served", || {
        (names(&edge) == ["c"]).then_some(())
    });

    let problem = || {
        let status = edge.admin().get("/status").json();
        let error = &status["environments"][0]["error"];
        error.as_str().map(ToOwned::to_owned)
    };
    edge.replace("{\"features\": [{\"name\": \"d\"");
    let error = eventually("the status says what is wrong", problem);
    assert!(error.contains("no document of flags"), "{error}");
    assert_eq!(names(&edge), ["c"]);
    assert_eq!(edge.admin().get("/ready").status, 200);

    edge.remove();
    eventually("the status says that it is gone", || {
        problem().filter(|error| error.contains("cannot be read"))
    });
    assert_eq!(names(&edge), ["c"]);
    edge.replace(&document(&["e", "c"]));
    eventually("the file is followed again", || {
        (names(&edge) == ["c", "e"]).then_some(())
    });
    eventually("the status is content", || {
        problem().is_none().then_some(())
    });
    assert_eq!(edge.terminate(), Some(0));
}

#[test]
fn a_broken_flag_is_named_and_the_rest_serve() {
    let document = json!({"features": [
        {"name": "good", "enabled": true},
        {"name": "broken", "enabled": 7},
        {"name": "odd", "enabled": true, "strategies": [{"name": "astrology"}]},
    ]});
    let edge = Offline::start(&document.to_string(), &[TOKEN]);
    assert_eq!(names(&edge), ["good"]);
    let status = edge.admin().get("/status").json();
    let environment = &status["environments"][0];
    assert_eq!(environment["flags"], 2);
    let set_aside = environment["set_aside"].as_array().expect("a list");
    assert_eq!(set_aside.len(), 1);
    assert_eq!(set_aside[0]["flow"], "flag broken");
    for told in ["broken", "astrology"] {
        assert!(edge.log().contains(told), "{}", edge.log());
    }
}

#[test]
fn what_cannot_be_started_says_why() {
    let folder = tempfile::tempdir().expect("a folder");
    let features = folder.path().join("features.json");
    let says = |arguments: &[&str], code: i32, expected: &str| {
        let mut command = command(&features, &[]);
        let output = run(command.args(arguments).current_dir(folder.path()));
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
        assert!(text.contains(expected), "{arguments:?}: {text}");
        // A token may be a secret, also one that is none.
        assert!(!text.contains("secret-word"), "{text}");
    };
    let token = ["--token", TOKEN];
    says(&token, 64, "cannot be read");
    fs::write(&features, "[]").expect("a file");
    says(&token, 2, "no document of flags");
    fs::write(&features, document(&["a"])).expect("a file");
    says(&[], 64, "nobody could ask");
    says(
        &["--token", "*:.secret-word"],
        64,
        "project:environment.secret",
    );
    says(&["--token", "secret-word with spaces"], 64, "invisible");
    says(&["--token-file", "nowhere"], 64, "--token-file nowhere");
    let upstream = [&token[..], &["--upstream-url", "http://127.0.0.1:1"]].concat();
    says(&upstream, 64, "upstream.url");
}
