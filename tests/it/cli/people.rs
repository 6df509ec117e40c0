//! Does an operator find users, see what they see, and change it?
//!
//! Over a running store and edge: what is done to a user at the store is what
//! the edge answers next.

use serde_json::{Value, json};

use super::deployments::Desk;
use crate::harness::{body_of, eventually};

const PROJECT: &str = r#"
flowgate: project/1
project: harbor
flows:
  - sid: trip
    versions:
      - number: 1
        entry: everyone
        blocks: [{ sid: dock, type: card }, { sid: sea, type: card }, { sid: end, type: finish }]
        paths:
          - { from: entry, to: dock }
          - { from: dock, on: complete, to: sea }
          - { from: dock, on: dismiss, to: end }
          - { from: sea, on: complete, to: end }
      - number: 2
        migration: carry-over
        entry: everyone
        blocks: [{ sid: dock, type: card }, { sid: sea, type: card }, { sid: end, type: finish }]
        paths:
          - { from: entry, to: dock }
          - { from: dock, on: complete, to: sea }
          - { from: dock, on: dismiss, to: end }
          - { from: sea, on: complete, to: end }
"#;

/// A desk with a flow of two cards in two versions.
#[track_caller]
fn desk() -> Desk {
    let desk = Desk::start();
    desk.dev.import(PROJECT);
    desk
}

/// What the edge decides of the flow for a user.
#[track_caller]
fn decision(desk: &Desk, user: &str, tag: &str, start: bool) -> Value {
    let body = json!({"subject": {"user": user}, "flows": {"trip": tag}, "start": start,
        "include": ["blocks"]});
    let answer = desk.dev.edge("server").post("/v1/evaluate", &body);
    body_of(&answer, 200)["decisions"]["trip"].clone()
}

/// Sids of blocks the user stands on, as the edge says.
#[track_caller]
fn stands_on(desk: &Desk, user: &str, tag: &str) -> Vec<String> {
    let decided = decision(desk, user, tag, false);
    let blocks = decided["blocks"].as_array().into_iter().flatten();
    let active = blocks.filter(|own| own["state"]["active"] == true || own["active"] == true);
    active
        .map(|own| {
            let sid = own["sid"].as_str().unwrap_or_default();
            sid.rsplit('.').next().unwrap_or_default().to_owned()
        })
        .collect()
}

#[track_caller]
fn leave(desk: &Desk, user: &str, version: u32, block: &str, name: &str) {
    let decided = decision(desk, user, &version.to_string(), false);
    let mut blocks = decided["blocks"].as_array().into_iter().flatten();
    let own = blocks
        .find(|own| own["sid"].as_str().is_some_and(|sid| sid.ends_with(block)))
        .unwrap_or_else(|| panic!("no {block} in {decided}"));
    let path = format!(
        "/v1/blocks/{}/transition",
        own["uid"].as_str().expect("uid")
    );
    let body = json!({"subject": {"user": user}, "version": version, "transitions": [name]});
    body_of(&desk.dev.edge("server").post(&path, &body), 200);
}

#[track_caller]
fn shown(desk: &Desk, user: &str) -> Value {
    let path = format!("/admin/v1/environments/development/users/{user}?flow=trip");
    body_of(&desk.dev.store().get(&path), 200)
}

/// Waits until the ledger has the user on this block.
#[track_caller]
fn settles(desk: &Desk, user: &str, version: u32, block: &str) {
    eventually(&format!("the ledger has {user} on {block}"), || {
        let shown = shown(desk, user);
        let mut flows = shown["flows"].as_array()?.iter();
        let own = flows.find(|own| own["version"] == version && own["sid"] == "trip")?;
        let mut blocks = own["blocks"].as_array()?.iter();
        blocks
            .any(|own| own["sid"] == block && own["active"] == true)
            .then_some(())
    });
}

#[test]
fn a_user_is_reset_and_moved_and_the_edge_knows_at_once() {
    let desk = desk();
    decision(&desk, "ann", "1", true);
    leave(&desk, "ann", 1, "dock", "complete");
    settles(&desk, "ann", 1, "sea");
    assert_eq!(stands_on(&desk, "ann", "1"), ["sea"]);

    let told = desk
        .runs(&["user", "reset", "ann", "--flow", "trip", "--version", "1"])
        .with(0)
        .out;
    assert!(told.contains("dock"), "{told}");
    eventually("the edge has the reset", || {
        (stands_on(&desk, "ann", "1") == ["dock"]).then_some(())
    });

    let words = ["user", "move", "ann", "--flow", "trip", "--to-version", "2"];
    desk.runs(&[&words[..], &["--to-block", "sea"]].concat())
        .with(0);
    eventually("the edge has the move", || {
        (stands_on(&desk, "ann", "2") == ["sea"]).then_some(())
    });
    // Steps go on from there.
    leave(&desk, "ann", 2, "sea", "complete");
    let table = eventually("the ledger has the end", || {
        let table = desk.runs(&["user", "show", "ann"]).with(0).out;
        table.contains("finished").then_some(table)
    });
    for word in ["SEES OF", "WHY", "finished", "version 2 by tag"] {
        assert!(table.contains(word), "no {word} in {table}");
    }
    let refused = desk.runs(&[&words[..], &["--to-block", "moon"]].concat());
    refused.with(2).complains_of(&["moon", "dock, sea"]);
    let nobody = ["user", "reset", "nobody", "--flow", "trip"];
    desk.runs(&nobody).with(2).complains_of(&["nobody", "trip"]);
    desk.runs(&["user", "reset", "ann", "--flow", "nope"])
        .with(2)
        .complains_of(&["nope"]);
}

#[test]
fn users_are_found_by_id_property_and_group() {
    let desk = desk();
    let lines = (0..30).map(|number| {
        let plan = if number % 2 == 0 { "pro" } else { "free" };
        let groups = if number % 5 == 0 {
            json!([{"identifier": "acme"}])
        } else {
            json!([])
        };
        json!({"user": format!("user-{number:02}"), "groups": groups,
            "properties": {"plan": plan, "tags": [format!("t{number}")]}})
        .to_string()
    });
    let file = desk.folder.path().join("users.jsonl");
    std::fs::write(&file, lines.collect::<Vec<_>>().join("\n")).expect("a file");
    desk.runs(&["user", "import", &file.display().to_string()])
        .with(0);
    let find = |more: &[&str]| -> Vec<String> {
        let words = [&["user", "find", "--output", "json"][..], more].concat();
        let found = desk.runs(&words).json();
        let found = found.as_array().cloned().unwrap_or_default();
        found
            .iter()
            .map(|own| own["user"].as_str().expect("an id").to_owned())
            .collect()
    };
    assert_eq!(find(&["user-07"]), ["user-07"]);
    assert_eq!(find(&["user-1"]).len(), 10);
    assert_eq!(find(&["--contains=-2"]).len(), 10);
    assert_eq!(find(&["user-", "--property", "plan=pro"]).len(), 15);
    assert_eq!(find(&["--property", "tags=t7"]), ["user-07"]);
    assert_eq!(find(&["--group", "acme"]).len(), 6);
    assert!(find(&["nobody"]).is_empty());
    desk.runs(&["user", "find", "nobody"]).with(1);
    let table = desk
        .runs(&["user", "find", "user-", "--limit", "2"])
        .with(0)
        .out;
    let after = table.split("there may be more: --after ").nth(1);
    let after = after
        .unwrap_or_else(|| panic!("no cursor in {table}"))
        .trim();
    assert_eq!(
        find(&["user-", "--limit", "3", "--after", after]),
        ["user-02", "user-03", "user-04"]
    );
    desk.runs(&["user", "find", "--after", "user-20"])
        .with(2)
        .complains_of(&["user-20", "a cursor of an earlier answer"]);
}

#[test]
fn an_erased_user_is_gone_at_the_edge_and_may_come_again() {
    let desk = desk();
    let edge = desk.dev.edge("server");
    let body = json!({"identifier": "eve", "properties": {"plan": "pro"}});
    assert!(edge.post("/v1/identify", &body).status < 300);
    decision(&desk, "eve", "2", true);
    leave(&desk, "eve", 2, "dock", "complete");
    settles(&desk, "eve", 2, "sea");
    let told = desk.runs(&["user", "erase", "eve"]).with(0).out;
    assert!(told.starts_with("erased eve"), "{told}");
    desk.runs(&["user", "show", "eve"])
        .with(1)
        .complains_of(&["eve", "erased"]);
    assert!(!desk.runs(&["user", "export"]).with(0).out.contains("eve"));
    eventually("the edge knows nothing of eve", || {
        let own = decision(&desk, "eve", "2", false);
        (own["state"]["started"] == false).then_some(())
    });
    // Somebody with this id begins with nothing.
    decision(&desk, "eve", "2", true);
    settles(&desk, "eve", 2, "dock");
    let shown = shown(&desk, "eve");
    assert_eq!(shown["properties"], json!({}), "{shown}");

    desk.runs(&["group", "show", "acme"]).with(1);
    let body = json!({"identifier": "eve", "groups": [{"identifier": "acme", "properties": {"seats": 3}}]});
    assert!(edge.post("/v1/identify", &body).status < 300);
    eventually("the group is at the ledger", || {
        let table = desk.runs(&["group", "list"]).with(0).out;
        table.contains("seats = 3").then_some(())
    });
    assert!(
        desk.runs(&["group", "show", "acme"])
            .with(0)
            .out
            .contains("seats = 3")
    );
    let told = desk.runs(&["group", "erase", "acme"]).with(0).out;
    assert_eq!(told, "erased acme\n");
    let told = desk.runs(&["group", "erase", "acme-2"]).with(0).out;
    assert!(
        told.starts_with("erased acme-2, which nobody knows"),
        "{told}"
    );
    desk.runs(&["group", "show", "acme"]).with(1);
}

#[test]
fn funnels_and_counts_say_what_the_edge_did() {
    let desk = desk();
    let create = [
        "deployment",
        "create",
        "trips",
        "--flow",
        "trip",
        "--channel",
        "app",
    ];
    desk.runs(&[&create[..], &["--remember", "user", "--version", "2"]].concat())
        .with(0);
    let over = |user: &str, start: bool| {
        let body = json!({"subject": {"user": user}, "flows": {"trip": "latest"},
            "channel": "app", "start": start});
        let answer = desk.dev.edge("server").post("/v1/evaluate", &body);
        body_of(&answer, 200)["decisions"]["trip"].clone()
    };
    eventually("the edge has the deployment", || {
        // Started before that, the run would rest on no decision.
        (over("u0", false)["membership"]["in"] == true).then_some(())
    });
    for user in ["u0", "u1", "u2", "u3"] {
        assert_eq!(over(user, true)["served"], true);
    }
    leave(&desk, "u1", 2, "dock", "complete");
    leave(&desk, "u1", 2, "sea", "complete");
    leave(&desk, "u2", 2, "dock", "dismiss");
    leave(&desk, "u3", 2, "dock", "complete");
    let show = ["deployment", "show", "trips", "--output", "json"];
    eventually("the counts are those of the users", || {
        let own = desk.runs(&show).with(0).json();
        let expected = json!({"judged": 4, "in": 4, "out": 0, "started": 4, "finished": 2});
        (own["counts"] == expected).then_some(())
    });
    let words = ["flow", "funnel", "trip", "--output", "json"];
    let told = desk.runs(&words).with(0).json();
    assert_eq!(told["version"], 2);
    assert_eq!(
        (&told["started"], &told["running"], &told["finished"]),
        (&json!(4), &json!(2), &json!(2)),
        "{told}"
    );
    let paths = told["paths"].as_array().into_iter().flatten();
    let taken: Vec<_> = paths
        .map(|own| (own["to"].as_str(), own["taken"].as_u64()))
        .collect();
    let expected = [
        (Some("dock"), Some(4)),
        (Some("sea"), Some(2)),
        (Some("end"), Some(1)),
        (Some("end"), Some(1)),
    ];
    assert_eq!(taken, expected, "{told}");
    let table = desk.runs(&["flow", "funnel", "trip"]).with(0).out;
    assert!(
        table.contains("4 runs started") && table.contains("WENT"),
        "{table}"
    );
    let table = desk.runs(&["deployment", "list"]).with(0).out;
    assert!(table.contains("4/0/4/2"), "{table}");
    desk.runs(&["flow", "funnel", "trip", "--version", "9"])
        .with(2)
        .complains_of(&["9", "1 to 2"]);
}
