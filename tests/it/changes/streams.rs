//! What does a stream tell, and when?

use std::time::Duration;

use serde_json::json;

use super::{Pair, announcement, start, stop};
use crate::harness::{Events, Site, body_of, eventually, run};

const ANN: &str = "/v1/changes?user=ann";

#[test]
fn a_step_on_one_edge_is_heard_on_the_other() {
    let pair = Pair::start();
    let url = pair.first.program.text("edge_url");
    let mut heard = Events::open(&url, ANN, &pair.first.key("blocks"));
    assert!(heard.head.contains("content-type: text/event-stream"));
    assert!(heard.head.contains("cache-control: no-store"));
    assert!(heard.head.contains("x-accel-buffering: no"));
    let hello = heard.expect("hello");
    assert_eq!(hello["flows"], json!([]), "{hello}");
    assert_eq!(hello["epoch"], 0, "{hello}");

    // A step here is heard at once, one elsewhere when the ledger has it.
    let mine = pair.first.client("blocks");
    start(&mine, "ann");
    let change = heard.until("the start", |event| event.name == "change");
    let own = announcement(&change.data);
    assert_eq!(own["version"], 1, "{own}");
    assert_eq!(own["state"]["started"], true, "{own}");
    let theirs = pair.second.client("blocks");
    eventually("the other edge knows of the start", || {
        let answer = stop(&theirs, "ann");
        (answer["changed"] == true).then_some(())
    });
    let stopped = heard.until("the stop", |event| {
        announcement(&event.data)["state"]["stopped"] == true
    });
    assert_eq!(stopped.name, "change");

    // Whoever comes later is told all of it at once.
    let mut late = Events::open(&url, ANN, &pair.first.key("server"));
    let hello = late.expect("hello");
    assert_eq!(announcement(&hello)["state"]["stopped"], true, "{hello}");
}

#[test]
fn a_step_inside_a_flow_is_a_change_and_nobody_elses_step_is() {
    let site = Site::start();
    let url = site.edge.program.text("edge_url");
    let mut heard = Events::open(&url, ANN, &site.edge.key("blocks"));
    heard.expect("hello");
    let client = site.edge.client("blocks");
    start(&client, "bob");
    start(&client, "ann");
    let change = heard.expect("change");
    assert_eq!(announcement(&change)["state"]["started"], true, "{change}");
    let body = json!({"subject": {"user": "ann"}, "version": 1, "transitions": ["complete"]});
    let path = format!("/v1/blocks/{}/transition", site.card());
    let stepped = body_of(&client.post(&path, &body), 200);
    assert_eq!(stepped["changed"], true, "{stepped}");
    let change = heard.expect("change");
    assert_eq!(announcement(&change)["state"]["started"], true, "{change}");
    // Properties decide as well.
    let body = json!({"identifier": "ann", "properties": {"plan": "pro"}});
    body_of(&site.edge.client("server").post("/v1/identify", &body), 200);
    let change = heard.expect("change");
    assert_eq!(change["properties"], true, "{change}");
    assert_eq!(change["flows"], json!([]), "{change}");
    // Shipping and settling changes nothing that was not told.
    eventually("the backlog is empty", || {
        (site.status()["progress"]["backlog_records"] == 0).then_some(())
    });
    assert!(heard.is_silent(Duration::from_millis(300)));
}

#[test]
fn a_kill_switch_is_heard_as_a_new_revision() {
    let site = Site::start();
    let url = site.edge.program.text("edge_url");
    let mut heard = Events::open(&url, ANN, &site.edge.key("blocks"));
    let hello = heard.next().expect("a first event");
    let disable = [
        "flow",
        "disable",
        "announcement",
        "--environment",
        "development",
    ];
    let output = run(&mut site.store.command(&disable));
    assert!(output.status.success(), "{output:?}");
    let event = heard.until("the revision", |event| event.name == "revision");
    assert_ne!(event.data["revision"], hello.data["revision"]);
    assert_ne!(event.id, hello.id, "an id names a moment");
    // What is decided from here on is decided on it.
    let body = json!({"subject": {"user": "ann"}, "flows": {"announcement": 1}});
    let answer = body_of(&site.edge.client("blocks").post("/v1/evaluate", &body), 200);
    assert_eq!(answer["revision"], event.data["revision"]);
    assert_eq!(answer["decisions"]["announcement"]["reason"], "disabled");
}

#[test]
fn a_stream_opened_while_the_store_is_away_says_so_and_catches_up() {
    let mut site = Site::start();
    let client = site.edge.client("blocks");
    start(&client, "ann");
    eventually("the ledger has it", || site.store.user("ann"));
    site.store.program.kill();
    // Another process: what it knows of her is at the ledger.
    site.edge.program.kill();
    let folder = site.path().to_owned();
    site.edge.restart(&folder);
    let url = site.edge.program.text("edge_url");
    let mut heard = Events::open(&url, ANN, &site.edge.key("blocks"));
    let hello = heard.expect("hello");
    if hello["stale"] == true {
        site.store.restart();
        let change = heard.until("what the ledger knows", |event| event.name == "change");
        assert_eq!(change.data["stale"], false, "{change:?}");
        // Either from the journal, and then it is not told twice, or now.
        let told = [&hello, &change.data].map(announcement);
        let last = told.iter().rfind(|flow| !flow.is_null());
        let last = last.expect("the announcement");
        assert_eq!(last["state"]["started"], true, "{change:?}");
    } else {
        // Her record was still in the journal: then nothing is missing.
        assert_eq!(announcement(&hello)["state"]["started"], true, "{hello}");
    }
}

#[test]
fn a_stream_is_asked_for_strictly() {
    let site = Site::start();
    let url = site.edge.program.text("edge_url");
    let status = |path: &str, kind: &str| {
        let key = match kind {
            "" => String::new(),
            kind => site.edge.key(kind),
        };
        Events::ask(&url, path, &key).status()
    };
    assert_eq!(status("/v1/changes", "blocks"), 400);
    assert_eq!(status("/v1/changes?user=", "blocks"), 400);
    assert_eq!(status("/v1/changes?user=a&user=b", "blocks"), 400);
    assert_eq!(status("/v1/changes?user=a&flow=b", "blocks"), 400);
    assert_eq!(status("/v1/changes?user=%00", "blocks"), 400);
    assert_eq!(status(ANN, ""), 401);
    assert_eq!(status(ANN, "users"), 403);
    assert_eq!(
        status("/v1/changes?user=a&group=g&conversation=c", "server"),
        200
    );
}
