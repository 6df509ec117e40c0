//! What if steps are taken as nobody should take them?
//!
//! Idempotency keys used again over flows that triggers tied together, and
//! conversations by the thousand for one user.

use reqwest::Method;
use serde_json::{Value, json};

use super::Desk;
use crate::harness::{Client, body_of, check_problem, eventually};

const TIED: &str = r#"
flowgate: project/1
project: tied
flows:
  - sid: first
    versions:
      - number: 1
        entry: everyone
        blocks:
          - { sid: ask, type: custom, transitions: [go, stay] }
          - { sid: pull, type: flowTrigger, flow: second, action: start }
          - { sid: end, type: finish }
        paths:
          - { from: entry, to: ask }
          - { from: ask, on: stay, to: ask }
          - { from: ask, on: go, to: pull }
          - { from: pull, on: done, to: end }
  - sid: second
    versions:
      - number: 1
        entry: api-only
        blocks: [{ sid: card, type: custom, transitions: [stay] }]
        paths: [{ from: entry, to: card }, { from: card, on: stay, to: card }]
"#;

impl Desk {
    fn tied() -> (Self, Client) {
        let desk = Self::open();
        desk.dev.import(TIED);
        let server = desk.dev.edge("server");
        (desk, server)
    }
}

#[track_caller]
fn keyed(client: &Client, path: &str, key: &str, body: &Value) -> crate::harness::Answer {
    let headers = [("idempotency-key", key)];
    let sent = client.send(Method::POST, path, &headers, Some(body.to_string()));
    let answer = sent.expect("an answer");
    assert!(answer.status < 500, "{path}: {}", answer.text);
    answer
}

/// The uid of a block.
#[track_caller]
fn uid(server: &Client, flow: &str, sid: &str) -> String {
    let body = json!({"subject": {"user": "finder"}, "flows": {flow: 1}, "include": ["blocks"]});
    let answer = body_of(&server.post("/v1/evaluate", &body), 200);
    let blocks = answer["decisions"][flow]["blocks"].as_array().cloned();
    let blocks = blocks.unwrap_or_else(|| panic!("blocks in {answer}"));
    let found = blocks
        .iter()
        .find(|block| block["sid"] == format!("{flow}.{sid}"));
    found.expect("the block")["uid"]
        .as_str()
        .expect("a uid")
        .to_owned()
}

#[test]
fn a_key_used_again_over_tied_flows_counts_once_or_is_a_conflict() {
    let (desk, server) = Desk::tied();
    let body = json!({"subject": {"user": "ada"}, "version": 1});
    body_of(&keyed(&server, "/v1/flows/first/start", "k-0", &body), 200);
    let ask = uid(&server, "first", "ask");
    let card = uid(&server, "second", "card");
    let step = |block: &str| format!("/v1/blocks/{block}/transition");
    let go = json!({"subject": {"user": "ada"}, "version": 1, "transitions": ["go"]});
    let stay = json!({"subject": {"user": "ada"}, "version": 1, "transitions": ["stay"]});
    // The step that pulls the trigger: both flows move, and the answer says so.
    let pulled = body_of(&keyed(&server, &step(&ask), "k-1", &go), 200);
    assert_eq!(pulled["changed"], true, "{pulled}");
    assert!(pulled["flows"].to_string().contains("\"second"), "{pulled}");
    // Its repeat moves neither.
    let again = body_of(&keyed(&server, &step(&ask), "k-1", &go), 200);
    assert_eq!(again["changed"], false, "{again}");
    // The same key for another request on either flow.
    for (path, body) in [
        (step(&ask), &stay),
        ("/v1/flows/first/reset".to_owned(), &body),
    ] {
        check_problem(
            &keyed(&server, &path, "k-1", body),
            409,
            "idempotency-key-reused",
        );
    }
    // A key belongs to the flow it was used for: where the trigger only led to
    // it counts as new, and from then on as used.
    let first = body_of(&keyed(&server, &step(&card), "k-1", &stay), 200);
    assert_eq!(first["changed"], true, "{first}");
    let second = keyed(&server, "/v1/flows/second/reset", "k-1", &body);
    check_problem(&second, 409, "idempotency-key-reused");
    // Its own keys are its own, and a stopped flow is started by none of them.
    let stop = json!({"subject": {"user": "ada"}, "version": 1});
    body_of(&keyed(&server, "/v1/flows/second/stop", "k-2", &stop), 200);
    let again = body_of(&keyed(&server, &step(&ask), "k-1", &go), 200);
    assert_eq!(again["changed"], false, "{again}");
    let now = json!({"subject": {"user": "ada"}, "flows": {"second": 1}});
    let now = body_of(&server.post("/v1/evaluate", &now), 200);
    assert_eq!(now["decisions"]["second"]["reason"], "stopped", "{now}");
    drop(desk);
}

#[test]
fn conversations_by_the_thousand_end_in_a_clear_refusal_and_reads_go_on() {
    let (desk, server) = Desk::tied();
    let subject = |n: usize| json!({"user": "bot", "conversation": format!("c-{n}")});
    let start = |n: usize| {
        let body = json!({"subject": subject(n), "version": 1});
        let answer = server.post("/v1/flows/first/start", &body);
        assert!(answer.status < 500, "{n}: {}", answer.text);
        answer
    };
    let begun = std::time::Instant::now();
    for n in 0..1024 {
        assert_eq!(body_of(&start(n), 200)["changed"], true, "{n}");
    }
    println!("1024 conversations in {:?}", begun.elapsed());
    let refused = start(1024);
    let problem = check_problem(&refused, 400, "too-much-progress");
    let detail = problem["detail"].as_str().unwrap_or_default();
    assert!(detail.contains("1024"), "{problem}");
    // Reads go on: of what is stored, and of what cannot be.
    let read = |n: usize, start: bool| {
        let body = json!({"subject": subject(n), "flows": {"first": 1}, "start": start});
        let answer = body_of(&server.post("/v1/evaluate", &body), 200);
        answer["decisions"]["first"].clone()
    };
    assert_eq!(read(0, false)["reason"], "started");
    let unstored = read(1024, true);
    assert_eq!(unstored["state"]["started"], false, "{unstored}");
    // Steps where there is a state, and other users, are none the wiser.
    let stop = json!({"subject": subject(7), "version": 1});
    assert_eq!(
        body_of(&server.post("/v1/flows/first/stop", &stop), 200)["changed"],
        true
    );
    let other = json!({"subject": {"user": "ada"}, "version": 1});
    assert_eq!(
        body_of(&server.post("/v1/flows/first/start", &other), 200)["changed"],
        true
    );
    // A step that would reach one flow more than fits is refused as a whole.
    let go = json!({"subject": subject(3), "version": 1, "transitions": ["go"]});
    let path = format!("/v1/blocks/{}/transition", uid(&server, "first", "ask"));
    check_problem(&server.post(&path, &go), 400, "too-much-progress");
    let still = read(3, false);
    assert_eq!(still["reason"], "started", "{still}");
    // And the store took all of it: nothing is dead.
    eventually("everything is shipped", || {
        let status = body_of(&desk.dev.admin().get("/status"), 200);
        let text = status.to_string();
        (status["backlog_records"] == 0 || text.contains("\"backlog_records\":0")).then_some(())
    });
    let status = body_of(&desk.dev.admin().get("/status"), 200).to_string();
    assert!(!status.contains("\"dead\":1"), "{status}");
}

#[test]
fn logic_without_an_end_in_sight_is_stopped_kept_and_counted() {
    let (desk, server) = Desk::tied();
    // A chain of branches longer than one request may follow, and a chain of
    // flows that start each other.
    let branch = |n: usize| json!({"sid": format!("b{n}"), "type": "boolean", "when": "true"});
    let next = |n: usize| json!({"from": format!("b{n}"), "on": ["true", "false"], "to": format!("b{}", n + 1)});
    let mut blocks: Vec<Value> = (0..300).map(branch).collect();
    blocks.push(json!({"sid": "b300", "type": "card"}));
    let mut paths: Vec<Value> = (0..300).map(next).collect();
    paths.push(json!({"from": "entry", "to": "b0"}));
    let version = json!({"number": 1, "entry": "everyone", "blocks": blocks, "paths": paths});
    let mut flows = vec![json!({"sid": "branches", "versions": [version]})];
    flows.extend((0..300).map(|n| {
        let pull = json!({"sid": "pull", "type": "flowTrigger", "flow": format!("f{}", n + 1), "action": "start"});
        json!({"sid": format!("f{n}"), "versions": [{"number": 1, "entry": "everyone",
            "blocks": [pull, {"sid": "card", "type": "card"}],
            "paths": [{"from": "entry", "to": "pull"}, {"from": "pull", "on": "done", "to": "card"}]}]})
    }));
    desk.dev
        .import(&json!({"flowgate": "project/1", "project": "long", "flows": flows}).to_string());
    let capped =
        || body_of(&desk.dev.admin().get("/status"), 200)["progress"]["steps_capped"].clone();
    assert_eq!(capped(), 0);
    let body = json!({"subject": {"user": "ada"}, "version": 1});
    let started = body_of(&server.post("/v1/flows/branches/start", &body), 200);
    assert_eq!(started["flow"]["state"]["started"], true, "{started}");
    assert_eq!(started["flow"]["state"]["finished"], false, "{started}");
    assert_eq!(capped(), 1);
    let pulled = body_of(&server.post("/v1/flows/f0/start", &body), 200);
    let touched = pulled["flows"].as_array().map(Vec::len);
    assert_eq!(touched, Some(256), "as many triggers as steps: {touched:?}");
    assert_eq!(capped(), 2);
    let metrics = desk.dev.admin().get("/metrics").text;
    assert!(metrics.contains("steps_capped_total 2"), "{metrics}");
    // All of it is one record, which the store takes as it is.
    let whole = eventually("the store has all flows", || {
        let user = desk
            .dev
            .store()
            .get("/admin/v1/users/ada?environment=development");
        let user = body_of(&user, 200);
        let flows = user["flows"].as_array().map_or(0, Vec::len);
        (flows == 258).then_some(user)
    });
    assert_eq!(whole["doc_rev"], 2, "two records: {}", whole["doc_rev"]);
}
