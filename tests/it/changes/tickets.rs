//! Which addresses open a stream, and which only look like it?

use serde_json::{Value, json};

use super::{Pair, start};
use crate::harness::{Events, Site, body_of, eventually};

const SECRET: &str = "a secret that two edges of a story share";

#[track_caller]
fn ticket(site: &Site, kind: &str, subject: &Value) -> String {
    let body = json!({"subject": subject});
    let answer = site.edge.client(kind).post("/v1/changes/tickets", &body);
    let given = body_of(&answer, 200);
    assert!(given["expires_ms"].as_u64().is_some(), "{given}");
    given["url"].as_str().expect("a url").to_owned()
}

#[test]
fn a_ticket_opens_a_stream_without_a_key_and_may_be_used_again() {
    let site = Site::start();
    let url = site.edge.program.text("edge_url");
    let path = ticket(&site, "blocks", &json!({"user": "ann with spaces & more"}));
    assert!(!path.contains("ann"), "{path}");
    let mut heard = Events::open(&url, &path, "");
    heard.expect("hello");
    let mut again = Events::open(&url, &path, "");
    again.expect("hello");
    start(&site.edge.client("blocks"), "ann with spaces & more");
    heard.expect("change");
    again.expect("change");
    for log in [site.edge.program.log(), site.store.program.log()] {
        let ticket = path.split_once('=').expect("a ticket").1;
        assert!(!log.contains(ticket), "a ticket is in the log");
    }
}

#[test]
fn what_is_no_ticket_opens_nothing() {
    let site = Site::start();
    let url = site.edge.program.text("edge_url");
    let path = ticket(&site, "blocks", &json!({"user": "ann"}));
    let refused = |path: &str| {
        let answer = Events::ask(&url, path, "");
        assert_eq!(answer.status(), 401, "{path}");
        assert!(answer.head.contains("application/problem+json"));
    };
    refused("/v1/changes?ticket=");
    refused("/v1/changes?ticket=abc");
    refused("/v1/changes?ticket=%00%C3%A9");
    for cut in [1, 10, 40] {
        refused(&path[..path.len() - cut]);
    }
    refused(&format!("{path}AAAA"));
    let (begin, end) = path.split_at(path.len() - 20);
    let other = if end.starts_with('A') { "B" } else { "A" };
    refused(&format!("{begin}{other}{}", &end[1..]));
    // A key beside it changes nothing, and a subject beside it is a mistake.
    let key = site.edge.key("blocks");
    assert_eq!(
        Events::ask(&url, "/v1/changes?ticket=abc", &key).status(),
        401
    );
    let both = format!("{path}&user=bob");
    assert_eq!(Events::ask(&url, &both, "").status(), 400);
    let metrics = site.edge.admin().get("/metrics").text;
    assert!(
        metrics.contains("flowgate_stream_tickets_total{outcome=\"given\"} 1"),
        "{metrics}"
    );
    assert!(
        !metrics.contains("flowgate_stream_tickets_total{outcome=\"refused\"} 0"),
        "{metrics}"
    );
}

#[test]
fn a_ticket_is_given_to_whoever_may_read_the_subject() {
    let site = Site::start();
    let ask = |kind: &str, body: &Value| {
        let answer = site.edge.client(kind).post("/v1/changes/tickets", body);
        answer.status
    };
    let ann = json!({"subject": {"user": "ann"}});
    assert_eq!(ask("server", &ann), 200);
    assert_eq!(ask("users", &ann), 403);
    assert_eq!(ask("blocks", &json!({"subject": {"user": ""}})), 400);
    assert_eq!(ask("blocks", &json!({"subject": {}})), 400);
    assert_eq!(ask("blocks", &json!({"user": "ann"})), 400);
    let attributes = json!({"subject": {"user": "ann", "attributes": {"a": 1}}});
    assert_eq!(ask("server", &attributes), 400);
}

#[test]
fn a_ticket_ends_with_its_time_and_with_its_key() {
    let site = Site::start_with(&["--ticket-life-s", "1"]);
    let url = site.edge.program.text("edge_url");
    let path = ticket(&site, "blocks", &json!({"user": "ann"}));
    let mut early = Events::open(&url, &path, "");
    early.expect("hello");
    eventually("the ticket is over", || {
        (Events::ask(&url, &path, "").status() == 401).then_some(())
    });
    // The stream it opened is not.
    start(&site.edge.client("blocks"), "ann");
    early.expect("change");
    site.store.revoke("blocks", "blocks");
    let closed = early.until("the end", |event| event.name == "closed");
    assert_eq!(closed.data["reason"], "key");
}

#[test]
fn edges_with_one_secret_open_each_others_tickets() {
    let shared = Pair::with(|store| store.url().to_owned(), &["--ticket-secret", SECRET]);
    let body = json!({"subject": {"user": "ann"}});
    let given = shared
        .first
        .client("blocks")
        .post("/v1/changes/tickets", &body);
    let path = body_of(&given, 200)["url"]
        .as_str()
        .expect("a url")
        .to_owned();
    // The key it was given for was rotated when the second edge was made, and
    // both secrets are good for a while.
    let other = shared.second.program.text("edge_url");
    let mut heard = Events::open(&other, &path, "");
    heard.expect("hello");
    drop(shared);

    let apart = Pair::start();
    let given = apart
        .first
        .client("blocks")
        .post("/v1/changes/tickets", &body);
    let path = body_of(&given, 200)["url"]
        .as_str()
        .expect("a url")
        .to_owned();
    let other = apart.second.program.text("edge_url");
    assert_eq!(Events::ask(&other, &path, "").status(), 401);
    assert!(apart.store.url().starts_with("http://"));
    assert!(apart.folder.path().is_dir());
}
