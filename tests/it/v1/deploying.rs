//! Who gets what over which channel, and what stays so?
//!
//! A chat on an exclusive channel, the same flow on the web for some, and a
//! flow that is served nowhere else.

use serde_json::{Value, json};

use crate::harness::{Client, Dev, body_of, check_problem};

const PROJECT: &str = r#"
flowgate: project/1
project: talks
channels:
  - { name: "slack:acme", exclusive: true }
  - { name: web }
flows:
  - sid: chat
    versions:
      - number: 1
        entry: everyone
        blocks:
          - { sid: greet, type: custom, transitions: [go], fields: { title: Hello } }
          - { sid: more, type: card }
        paths: [ { from: entry, to: greet }, { from: greet, on: go, to: more } ]
      - number: 2
        entry: everyone
        blocks: [ { sid: greet, type: custom, transitions: [go], fields: { title: Hello again } } ]
        paths: [ { from: entry, to: greet } ]
    deployments:
      - { name: chat-acme, environment: development, channel: "slack:acme", version: latest, percentage: 100, salt: a }
      - name: chat-web
        environment: development
        channel: web
        version: 1
        audience: [ { rules: [ { attribute: tags, operator: contains, value: vip } ] } ]
        percentage: 50
        salt: b
"#;

/// A running dev with the project, and a client of its edge.
fn open() -> (Dev, Client, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let dev = Dev::start(folder.path());
    dev.import(PROJECT);
    let server = dev.edge("server");
    (dev, server, folder)
}

#[track_caller]
fn chat(server: &Client, user: &str, over: &Value) -> Value {
    let mut body =
        json!({"subject": {"user": user}, "flows": {"chat": null}, "include": ["blocks"]});
    for (name, value) in over.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    let answer = body_of(&server.post("/v1/evaluate", &body), 200);
    answer["decisions"]["chat"].clone()
}

#[test]
fn an_exclusive_channel_is_asked_without_a_flow() {
    let (_dev, server, _folder) = open();
    let body = json!({"subject": {"user": "ada", "conversation": "c-1"},
        "channel": "slack:acme", "start": true});
    let answer = body_of(&server.post("/v1/evaluate", &body), 200);
    let decision = &answer["decisions"]["chat"];
    assert_eq!(decision["version"], 2, "{answer}");
    assert_eq!(decision["version_source"], "policy", "{answer}");
    assert_eq!(decision["state"]["started"], true, "{answer}");
    assert_eq!(decision["membership"]["recorded"], true, "{answer}");
    // The conversation has begun: it stays where it is.
    let again = body_of(&server.post("/v1/evaluate", &body), 200);
    let again = &again["decisions"]["chat"];
    assert_eq!(again["reason"], "started", "{again}");
    assert_eq!(again["version_source"], "pin", "{again}");
    let body = json!({"subject": {"user": "ada"}, "channel": "web"});
    check_problem(&server.post("/v1/evaluate", &body), 400, "invalid-value");
}

#[test]
fn an_audience_is_asked_and_half_of_it_is_in() {
    let (_dev, server, _folder) = open();
    let stranger = chat(&server, "ada", &json!({"channel": "web"}));
    assert_eq!(stranger["reason"], "audience_mismatch", "{stranger}");
    assert_eq!(stranger["blocks"], json!([]), "{stranger}");
    let mut seen = [0, 0];
    for number in 0..32 {
        let user = format!("vip-{number}");
        let subject = json!({"user": user, "attributes": {"tags": ["vip"]}});
        let asked = json!({"channel": "web", "subject": subject, "start": true});
        let decision = chat(&server, &user, &asked);
        let membership = &decision["membership"];
        assert_eq!(membership["recorded"], true, "{decision}");
        assert_eq!(membership["basis_points"], 5_000, "{decision}");
        let is_in = membership["in"] == true;
        let bucket = membership["bucket"].as_u64().expect("a bucket");
        assert_eq!(is_in, bucket < 5_000, "{decision}");
        assert_eq!(decision["served"], is_in, "{decision}");
        assert_eq!(decision["state"]["started"], is_in, "{decision}");
        let blocks = decision["blocks"].as_array().map(Vec::len);
        assert_eq!(blocks, Some(if is_in { 2 } else { 0 }), "{decision}");
        seen[usize::from(is_in)] += 1;
        // Whoever is not in is not let in by force either.
        if !is_in {
            let body = json!({"subject": subject, "channel": "web", "version": 1, "force": true});
            let answer = body_of(&server.post("/v1/flows/chat/start", &body), 200);
            assert_eq!(answer["changed"], false, "{answer}");
        }
    }
    assert!(seen.iter().all(|count| *count > 0), "{seen:?}");
    // Without a channel no deployment decides.
    let tagged = chat(&server, "ada", &json!({"flows": {"chat": 1}}));
    assert_eq!(tagged["version_source"], "tag", "{tagged}");
    assert!(tagged["membership"].is_null(), "{tagged}");
}
