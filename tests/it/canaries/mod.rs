//! What never stands in a log, whatever goes wrong?
//!
//! Words that occur nowhere else are planted in everything a client can send:
//! ids, attributes, properties, keys, tokens, headers, paths and bodies that
//! are refused. Edge and store log everything they have to say. Then the words
//! are looked for. [`commands`]: the same in what commands print; [`webhooks`]:
//! when the store calls out.

mod commands;
mod webhooks;

use reqwest::Method;
use serde_json::json;

use crate::harness::{Client, Site, eventually, run};

/// Every word that was planted begins with this.
const MARK: &str = "canary7f3a";

fn canary(what: &str) -> String {
    format!("{MARK}-{what}")
}

/// Sends without a word about the answer: each of these is judged elsewhere.
fn send(client: &Client, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> u16 {
    let body = (!body.is_empty()).then(|| body.to_owned());
    let answer = client.send(method, path, headers, body);
    answer.map_or(0, |answer| answer.status)
}

/// Everything a client can say, good and bad.
fn say_everything(site: &Site, card: &str) {
    let (server, users, blocks) = (
        site.edge.client("server"),
        site.edge.client("users"),
        site.edge.client("blocks"),
    );
    let user = canary("user");
    let subject = json!({"user": user, "group": canary("group"), "conversation": canary("conversation"),
        "attributes": {canary("attribute"): canary("value")}});
    let event = canary("event");
    let marked = [
        ("idempotency-key", event.as_str()),
        ("flowgate-token", "canary7f3a:1"),
        ("flowgate-user-token", "canary7f3a.canary7f3a.canary7f3a"),
        ("flowgate-min-revision", "canary7f3a"),
        ("x-canary", "canary7f3a"),
        ("traceparent", "canary7f3a"),
    ];
    let asked = json!({"subject": subject, "flows": {"announcement": "latest", canary("flow"): null}, "start": true});
    let step = json!({"subject": {"user": user}, "version": 1, "transitions": ["complete"]});
    let known = json!({"identifier": user, "properties": {canary("property"): canary("value")},
        "groups": [{"identifier": canary("group"), "properties": {canary("property"): 1}}]});
    let long = "x".repeat(70_000) + MARK;
    let transition = format!("/v1/blocks/{card}/transition");
    for headers in [
        &marked[..1],
        &marked[1..2],
        &marked[2..3],
        &marked[3..],
        &[],
    ] {
        for body in [asked.to_string(), format!("{{\"{MARK}\": "), long.clone()] {
            send(&server, Method::POST, "/v1/evaluate", headers, &body);
            send(&server, Method::POST, "/v1/identify", headers, &body);
        }
        send(
            &users,
            Method::POST,
            "/v1/identify",
            headers,
            &known.to_string(),
        );
        send(
            &users,
            Method::POST,
            "/identify",
            headers,
            &known.to_string(),
        );
        send(
            &server,
            Method::POST,
            &transition,
            headers,
            &step.to_string(),
        );
        let why = json!({"subject": subject, "flow": "announcement"});
        send(
            &server,
            Method::POST,
            "/v1/explain",
            headers,
            &why.to_string(),
        );
        let sold = json!({"subject": {"user": user}});
        send(
            &server,
            Method::POST,
            "/v1/changes/tickets",
            headers,
            &sold.to_string(),
        );
    }
    for path in [
        format!("/v2/flow/announcement?version=1&userIdentifier={user}&include=block"),
        format!("/v2/flow/{user}?version=1&userIdentifier={user}"),
        format!("/v2/flow/announcement?version={MARK}&userIdentifier={user}"),
        format!(
            "/v2/block/{card}?version=1&userIdentifier={user}&groupIdentifier={}",
            canary("group")
        ),
        format!("/v1/changes?ticket={MARK}"),
        format!("/{MARK}/{MARK}"),
        format!("/v2/flow/{MARK};{MARK}"),
    ] {
        send(&blocks, Method::GET, &path, &[], "");
    }
    let stranger = Client::new(&site.edge.program.text("edge_url"), &canary("key"));
    send(
        &stranger,
        Method::POST,
        "/v1/evaluate",
        &[],
        &asked.to_string(),
    );
    let stranger = Client::new(site.store.url(), &canary("key"));
    send(&stranger, Method::GET, "/admin/v1/keys", &[], "");
    send(&stranger, Method::POST, "/admin/v1/import", &[], MARK);
}

#[test]
fn nothing_a_client_says_stands_in_a_log() {
    let mut site = Site::start_talkative();
    let card = site.card();
    say_everything(&site, &card);
    eventually("the store has the user", || {
        let shown = run(&mut site.store.command(&["user", "show", &canary("user")]));
        shown.status.success().then_some(())
    });
    // And once more with nobody to ask, so that failures are logged as well.
    site.store.program.kill();
    say_everything(&site, &card);
    let secret = site.edge.key("server");
    site.edge.program.terminate();
    let logs = [site.edge.program.log(), site.store.program.log()];
    assert!(
        logs.iter()
            .all(|log| log.contains("DEBUG") || log.contains("INFO")),
        "they say something"
    );
    for log in logs {
        for line in log.lines() {
            assert!(!line.contains(MARK), "{line}");
            assert!(!line.contains(&secret), "a key stands in the log");
        }
    }
}
