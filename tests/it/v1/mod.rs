//! Does our own API answer in its stable shapes?
//!
//! Evaluate, intents, transitions and identify of `/v1`, with everything it
//! refuses as a problem document that says what was found and expected.

mod deploying;
mod evaluating;
mod refusals;
mod stepping;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Client, Dev, body_of, check_block};

const PROJECT: &str = r#"
flowgate: project/1
project: desk
flows:
  - sid: plain
    versions:
      - number: 1
        entry: everyone
        blocks:
          - { sid: one, type: custom, transitions: [go, stay], fields: { title: One } }
          - { sid: two, type: card }
          - { sid: end, type: finish }
        paths:
          - { from: entry, to: one }
          - { from: one, on: go, to: two }
          - { from: one, on: stay, to: one }
          - { from: two, on: [complete, dismiss], to: end }
      - { number: 2, entry: everyone, blocks: [{ sid: one, type: card }], paths: [{ from: entry, to: one }] }
  - sid: for-teams
    versions:
      - number: 1
        entry: { expression: "group.properties.seats >= 5 AND includes(user.properties.tags, 'vip')" }
        blocks:
          - { sid: greet, type: custom, transitions: [next] }
          - { sid: is-rich, type: boolean, when: "user.properties.budget > 1000 OR user.identifier LIKE 'rich-%'" }
          - { sid: rich, type: card }
          - { sid: poor, type: card }
        paths:
          - { from: entry, to: greet }
          - { from: greet, on: next, to: is-rich }
          - { from: is-rich, on: "true", to: rich }
          - { from: is-rich, on: "false", to: poor }
  - sid: guarded
    refusePublicForce: true
    versions:
      - { number: 1, entry: api-only, blocks: [{ sid: one, type: card }], paths: [{ from: entry, to: one }] }
  - sid: off
    status: { development: disabled }
    versions:
      - { number: 1, entry: everyone, blocks: [{ sid: one, type: card }], paths: [{ from: entry, to: one }] }
"#;

/// A running dev with the project, and a client for each trusted kind of key.
struct Desk {
    dev: Dev,
    server: Client,
    blocks: Client,
    // Last, so that the process is gone before it is removed.
    _folder: tempfile::TempDir,
}

impl Desk {
    fn open() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let dev = Dev::start(folder.path());
        dev.import(PROJECT);
        Self {
            server: dev.edge("server"),
            blocks: dev.edge("blocks"),
            dev,
            _folder: folder,
        }
    }

    /// One decision of an evaluation that must succeed.
    #[track_caller]
    fn decision(&self, flow: &str, mut body: Value) -> Value {
        if body["flows"].is_null() {
            body["flows"] = json!({flow: 1});
        }
        let answer = body_of(&self.server.post("/v1/evaluate", &body), 200);
        assert_eq!(answer["stale"], false, "{answer}");
        check_revision(&answer);
        answer["decisions"][flow].clone()
    }

    /// The uid of a block of version 1.
    #[track_caller]
    fn uid(&self, flow: &str, sid: &str) -> String {
        let body = json!({"subject": {"user": "finder"}, "include": ["blocks"]});
        let decision = self.decision(flow, body);
        uid_in(&decision["blocks"], flow, sid)
    }

    #[track_caller]
    fn identify(&self, body: &Value) {
        let answer = body_of(&self.server.post("/v1/identify", body), 200);
        check_revision(&answer);
        check_token(&answer);
    }
}

#[track_caller]
fn uid_in(blocks: &Value, flow: &str, sid: &str) -> String {
    let qualified = format!("{flow}.{sid}");
    for block in blocks.as_array().into_iter().flatten() {
        check_block(block);
        if block["sid"] == qualified.as_str() {
            return block["uid"].as_str().unwrap_or_default().to_owned();
        }
    }
    panic!("no {qualified} in {blocks}");
}

#[track_caller]
fn check_revision(body: &Value) {
    let revision = body["revision"].as_str().unwrap_or_default();
    let numbers: Vec<Option<u64>> = revision.split('.').map(|part| part.parse().ok()).collect();
    assert!(
        numbers.len() == 2 && numbers.iter().all(Option::is_some),
        "{body}"
    );
}

#[track_caller]
fn check_token(body: &Value) {
    let token = body["token"].as_str();
    assert!(token.is_some_and(|token| !token.is_empty()), "{body}");
}

/// A step with an idempotency key.
fn keyed(client: &Client, path: &str, key: &str, body: &Value) -> Answer {
    let headers = [("idempotency-key", key)];
    let sent = client.send(Method::POST, path, &headers, Some(body.to_string()));
    sent.expect("an answer")
}
