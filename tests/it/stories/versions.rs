//! Do versions come and go as the versions page says?
//!
//! An onboarding tour whose application moves from version to version, each
//! with another answer to "what about those who have begun?", with the front
//! ends of two edges; then its status is switched off and on.

use reqwest::Method;
use serde_json::{Value, json};

use super::Pair;
use crate::harness::{Client, body_of, eventually};

/// Versions 1 to 5, as many as are committed so far.
fn project(versions: usize, title: &str, status: &str) -> String {
    let strategies = [
        "restart-in-progress",
        "restart-in-progress",
        "carry-over",
        "stop-in-progress",
        "restart-all",
    ];
    let mut text = format!(
        "flowgate: project/1\nproject: app\nname: App\nflows:\n  - sid: tour\n    name: Tour\n    \
         status: {{ development: {status} }}\n    versions:\n"
    );
    for (at, strategy) in strategies.iter().take(versions).enumerate() {
        let number = at + 1;
        text.push_str(&format!(
            "      - number: {number}\n        message: number {number}\n        author: ada\n        \
             created: 2026-0{number}-01T00:00:00Z\n        migration: {strategy}\n        \
             entry: everyone\n        blocks:\n          \
             - {{ sid: first, type: card, fields: {{ title: \"{title}\" }} }}\n          \
             - {{ sid: second, type: card }}\n          - {{ sid: end, type: finish }}\n        \
             paths:\n          - {{ from: entry, to: first }}\n          \
             - {{ from: first, on: complete, to: second }}\n          \
             - {{ from: second, on: [complete, dismiss], to: end }}\n"
        ));
    }
    // A flow nobody has committed, as a designer leaves it over lunch.
    text.push_str(
        "  - sid: sketch\n    name: Sketch\n    draft:\n      entry: everyone\n      \
         blocks: [ { sid: idea, type: modal } ]\n      paths: [ { from: entry, to: idea } ]\n",
    );
    text
}

/// What a front end built for this version shows.
#[track_caller]
fn open(edge: &Client, user: &str, version: &str) -> Value {
    open_flow(edge, "tour", user, version)
}

#[track_caller]
fn open_flow(edge: &Client, sid: &str, user: &str, version: &str) -> Value {
    let named = if version.parse::<u32>().is_ok() {
        "version"
    } else {
        "tag"
    };
    let path = format!("/v2/flow/{sid}?{named}={version}&include=block&userIdentifier={user}");
    body_of(&edge.get(&path), 200)
}

/// The active blocks by sid, or how the flow ended.
fn shows(flow: &Value) -> String {
    let state = &flow["state"];
    if state["finished"] == true {
        return "finished".to_owned();
    }
    if state["stopped"] == true {
        return "stopped".to_owned();
    }
    let blocks = flow["blocks"].as_array().cloned().unwrap_or_default();
    let active = blocks
        .iter()
        .filter(|block| block["state"]["active"] == true);
    let names: Vec<&str> = active.filter_map(|block| block["sid"].as_str()).collect();
    names.join(" ")
}

#[track_caller]
fn complete(edge: &Client, user: &str, version: u32, sid: &str) {
    let flow = open(edge, user, &version.to_string());
    let blocks = flow["blocks"].as_array().expect("blocks");
    let block = blocks.iter().find(|block| block["sid"] == sid);
    let uid = block.expect("the block")["uid"].as_str().expect("a uid");
    let path = format!(
        "/v2/block/{uid}/transition?version={version}&transitions=complete&userIdentifier={user}"
    );
    let answer = edge.send(Method::POST, &path, &[], Some("{}".into()));
    let answer = answer.expect("an answer");
    assert_eq!(answer.status, 204, "{}", answer.text);
    assert_eq!(answer.header("x-dopt-intent-side-effects"), "true");
}

#[test]
fn a_tour_moves_from_version_to_version_with_its_users() {
    let pair = Pair::start(&project(1, "Hello", "enabled"));
    let first = pair.first.client("blocks");
    let second = pair.second.client("blocks");

    // Version 1: one is half through, one is done, one only looked.
    complete(&first, "half", 1, "tour.first");
    for sid in ["tour.first", "tour.second"] {
        complete(&first, "done", 1, sid);
    }
    assert_eq!(shows(&open(&first, "looked", "1")), "tour.first");
    eventually("the second edge has seen the steps of the first", || {
        let seen = [
            shows(&open(&second, "half", "1")),
            shows(&open(&second, "done", "1")),
        ];
        (seen == ["tour.second", "finished"]).then_some(())
    });

    // "Deploying to a specific version" moves nobody.
    pair.publish(&project(1, "Welcome", "enabled"));
    let deployed = open(&first, "half", "1");
    assert_eq!(shows(&deployed), "tour.second");
    assert_eq!(deployed["blocks"][0]["fields"][0]["value"], "Welcome");

    // Version 2, "restart in progress users only".
    pair.publish(&project(2, "Welcome", "enabled"));
    assert_eq!(shows(&open(&second, "half", "2")), "tour.first");
    assert_eq!(shows(&open(&second, "done", "2")), "finished");
    assert_eq!(shows(&open(&second, "new", "2")), "tour.first");
    // An old build of the application is still out there.
    assert_eq!(shows(&open(&first, "half", "1")), "tour.second");

    // Version 3, "carry over in progress users".
    complete(&second, "half", 2, "tour.first");
    pair.publish(&project(3, "Welcome", "enabled"));
    assert_eq!(shows(&open(&second, "half", "3")), "tour.second");
    assert_eq!(shows(&open(&second, "new", "3")), "tour.first");
    assert_eq!(shows(&open(&second, "done", "3")), "finished");
    // Rolled back to 2: visited before, so it goes on there.
    assert_eq!(shows(&open(&second, "half", "2")), "tour.second");

    // Version 4, "stop in progress users only": they will not see it.
    pair.publish(&project(4, "Welcome", "enabled"));
    assert_eq!(shows(&open(&second, "half", "4")), "stopped");
    assert_eq!(shows(&open(&second, "done", "4")), "finished");
    assert_eq!(shows(&open(&second, "newest", "4")), "tour.first");

    // Version 5, "restart all users", also those who completed it.
    pair.publish(&project(5, "Welcome", "enabled"));
    for user in ["half", "done", "newest"] {
        assert_eq!(
            shows(&open(&second, user, "latest")),
            "tour.first",
            "{user}"
        );
    }
    assert_eq!(open(&first, "nobody", "latest")["version"], 5);

    // `latest` of a flow without a commit is empty, `uncommitted` is there.
    let empty = open_flow(&first, "sketch", "half", "latest");
    assert_eq!(
        (&empty["version"], &empty["state"]["started"]),
        (&json!(0), &json!(false))
    );
    let sketch = open_flow(&first, "sketch", "half", "uncommitted");
    assert_eq!(shows(&sketch), "sketch.idea");

    // Status: everybody stops at once on both edges, nobody begins; enabling
    // puts everybody back where they were.
    pair.publish(&project(5, "Welcome", "disabled"));
    for edge in [&first, &second] {
        let off = open(edge, "half", "5");
        assert_eq!(
            (shows(&off), &off["state"]["started"]),
            (String::new(), &json!(true))
        );
        assert_eq!(open(edge, "late", "5")["state"]["started"], false);
    }
    pair.publish(&project(5, "Welcome", "enabled"));
    eventually("both edges show where the user was", || {
        let seen = [&first, &second].map(|edge| shows(&open(edge, "half", "5")));
        (seen == ["tour.first", "tour.first"]).then_some(())
    });
}
