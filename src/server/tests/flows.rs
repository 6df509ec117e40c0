//! Our own API over HTTP.
//! Answers are compared by their members, since members may be added.

use serde_json::json;

use super::{
    harness::Harness,
    installation::{BLOCKS, ELSEWHERE, SERVER, USERS},
};

#[tokio::test]
async fn evaluate_answers_all_flows_with_their_reasons() {
    let edge = Harness::start();
    let ask = json!({
        "subject": {"user": "u1"}, "start": true, "include": ["blocks"],
        "flows": {"welcome": "latest", "pro": 1, "off": 1, "sketch": null, "nope": 1, "api": 7},
    });
    let reply = edge.post(BLOCKS, "/v1/evaluate", &ask).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.header("flowgate-revision"), Some("0.17"));
    let body = reply.json();
    assert_eq!(
        (&body["revision"], &body["stale"]),
        (&json!("0.17"), &json!(false))
    );
    assert!(body["token"].is_string(), "something was stored");
    let decisions = &body["decisions"];
    let reasons = [
        ("welcome", true, "started"),
        ("pro", false, "entry_condition"),
        ("off", false, "disabled"),
        ("sketch", false, "empty_version"),
        ("nope", false, "unknown_flow"),
        ("api", false, "unknown_version"),
    ];
    for (sid, served, reason) in reasons {
        let decision = &decisions[sid];
        assert_eq!(decision["served"], served, "{sid}: {decision}");
        assert_eq!(decision["reason"], reason, "{sid}");
    }
    let welcome = &decisions["welcome"];
    assert_eq!(welcome["version"], 1);
    assert_eq!(welcome["version_source"], "tag");
    let state = json!({"started": true, "stopped": false, "finished": false});
    assert_eq!(welcome["state"], state);
    assert_eq!(welcome["blocks"][0]["state"]["active"], true);
    assert_eq!(decisions["sketch"]["blocks"], json!([]));
    assert_eq!(decisions["nope"].get("version"), None);
}

#[tokio::test]
async fn evaluating_without_start_changes_nothing() {
    let edge = Harness::start();
    let ask = json!({"subject": {"user": "u1"}, "flows": {"welcome": null}});
    for _ in 0..2 {
        let body = edge.post(BLOCKS, "/v1/evaluate", &ask).await.json();
        let decision = &body["decisions"]["welcome"];
        assert_eq!(decision["served"], true, "it would start");
        assert_eq!(decision["reason"], "entry_condition");
        assert_eq!(decision["state"]["started"], false);
        assert_eq!(body.get("token"), None);
    }
}

#[tokio::test]
async fn attributes_count_from_server_keys_only() {
    let edge = Harness::start();
    let ask = json!({
        "subject": {"user": "u1", "attributes": {"plan": "pro"}}, "flows": {"pro": "latest"},
    });
    let refused = edge.post(BLOCKS, "/v1/evaluate", &ask).await;
    assert_eq!(refused.status, 403);
    assert_eq!(refused.json()["type"], "urn:flowgate:problem:attributes");
    let body = edge.post(SERVER, "/v1/evaluate", &ask).await.json();
    assert_eq!(body["decisions"]["pro"]["served"], true);
}

#[tokio::test]
async fn a_step_tells_what_it_led_to() {
    let edge = Harness::start();
    let subject = json!({"user": "u1"});
    let start = json!({"subject": subject, "version": 1});
    let body = edge
        .post(BLOCKS, "/v1/flows/welcome/start", &start)
        .await
        .json();
    assert_eq!(body["changed"], true, "{body}");
    assert_eq!(body["flow"]["sid"], "welcome");
    assert_eq!(body["flow"]["state"]["started"], true);
    assert_eq!(body["blocks"].as_array().map(Vec::len), Some(1));
    assert_eq!(body["blocks"][0]["uid"], "welcome_one");

    let next = json!({"subject": subject, "version": "latest", "transitions": ["next"]});
    let path = "/v1/blocks/welcome_one/transition";
    let body = edge.post(BLOCKS, path, &next).await.json();
    let uids = [&body["blocks"][0]["uid"], &body["blocks"][1]["uid"]];
    assert_eq!(uids, ["welcome_one", "welcome_two"]);
    assert_eq!(body["blocks"][0]["state"]["active"], false);
    assert_eq!(body["blocks"][1]["state"]["active"], true);

    let finish = edge
        .post(BLOCKS, "/v1/flows/welcome/finish", &start)
        .await
        .json();
    assert_eq!(finish["flow"]["state"]["finished"], true);
    assert_eq!(
        finish["blocks"].as_array().map(Vec::len),
        Some(1),
        "one was active"
    );
    let again = edge.post(BLOCKS, path, &next).await.json();
    assert_eq!(
        (&again["changed"], &again["blocks"]),
        (&json!(false), &json!([]))
    );
}

#[tokio::test]
async fn conversations_of_one_user_stand_apart() {
    let edge = Harness::start();
    let talk = |conversation: &str| json!({"subject": {"user": "u1", "conversation": conversation}, "version": 1});
    edge.post(BLOCKS, "/v1/flows/welcome/start", &talk("c1"))
        .await;
    edge.post(BLOCKS, "/v1/flows/welcome/finish", &talk("c1"))
        .await;
    let other = edge
        .post(BLOCKS, "/v1/flows/welcome/start", &talk("c2"))
        .await;
    assert_eq!(other.json()["flow"]["state"]["finished"], false);
    let ask = json!({
        "subject": {"user": "u1", "conversation": "c1"}, "flows": {"welcome": 1},
    });
    let body = edge.post(BLOCKS, "/v1/evaluate", &ask).await.json();
    assert_eq!(body["decisions"]["welcome"]["reason"], "finished");
}

#[tokio::test]
async fn a_repeat_with_the_same_key_is_harmless_and_another_body_is_not() {
    let edge = Harness::start();
    let send = async |version: u32, path: &str| {
        let body = json!({"subject": {"user": "u1"}, "version": version}).to_string();
        let headers = [("x-api-key", BLOCKS), ("idempotency-key", "k-1")];
        edge.ask("POST", path, &headers, &body).await
    };
    let path = "/v1/flows/welcome/start";
    assert_eq!(send(1, path).await.json()["changed"], true);
    assert_eq!(send(1, path).await.json()["changed"], false);
    let reused = send(1, "/v1/flows/welcome/stop").await;
    assert_eq!(reused.status, 409, "{reused:?}");
    assert_eq!(
        reused.header("content-type"),
        Some("application/problem+json")
    );
}

#[tokio::test]
async fn force_is_refused_where_a_flow_says_so() {
    let edge = Harness::start();
    let start = json!({"subject": {"user": "u1"}, "version": 1, "force": true});
    let refused = edge.post(BLOCKS, "/v1/flows/api/start", &start).await;
    assert_eq!(refused.status, 403);
    let trusted = edge.post(SERVER, "/v1/flows/api/start", &start).await;
    assert_eq!(trusted.json()["changed"], true);
}

#[tokio::test]
async fn identify_is_seen_by_the_next_evaluation() {
    let edge = Harness::start();
    let body = json!({"identifier": "u1", "properties": {"plan": "pro"}});
    let reply = edge.post(USERS, "/v1/identify", &body).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert!(reply.json()["token"].is_string());
    let ask = json!({"subject": {"user": "u1"}, "flows": {"pro": "latest"}});
    let body = edge.post(BLOCKS, "/v1/evaluate", &ask).await.json();
    assert_eq!(body["decisions"]["pro"]["served"], true);
}

/// Key, path, the status that is expected, and the body.
const MISUSES: &str = r#"
blocks /v1/evaluate 400 {"subject":{"user":"u"}}
blocks /v1/evaluate 400 {"subject":{"user":"u"},"flows":{}}
blocks /v1/evaluate 400 {"subject":{"user":""},"flows":{"a":1}}
blocks /v1/evaluate 400 {"subject":{"user":"u","conversation":""},"flows":{"a":1}}
blocks /v1/evaluate 400 {"flows":{"a":1}}
blocks /v1/evaluate 400 {"subject":{"user":"u"},"flow":{"a":1}}
blocks /v1/evaluate 400 {"subject":{"user":"u"},"flows":{"a":1},"include":["state"]}
blocks /v1/evaluate 400 {"subject":{"user":"u"},"flows":{"a":1},"channel":"a b"}
blocks /v1/evaluate 400 {"subject":{"user":"u"},"flows":{"a":1},"channel":"a:b:c"}
blocks /v1/evaluate 400 {"subject":{"user":"u"},"flows":{"a":1},"channel":7}
blocks /v1/evaluate 400 {"subject":{"user":"u"},"channel":"web"}
blocks /v1/flows/welcome/start 400 {"subject":{"user":"u"},"version":1,"channel":""}
blocks /v1/evaluate 400 not json
users /v1/evaluate 403 {}
wrong /v1/evaluate 401 {}
blocks /v1/flows/welcome/start 400 {"subject":{"user":"u"}}
blocks /v1/flows/nope/start 404 {"subject":{"user":"u"},"version":1}
blocks /v1/flows/welcome/start 404 {"subject":{"user":"u"},"version":5}
elsewhere /v1/flows/welcome/start 404 {"subject":{"user":"u"},"version":1}
blocks /v1/flows/welcome/stop 400 {"subject":{"user":"u"},"version":1,"force":true}
blocks /v1/blocks/welcome_one/transition 400 {"subject":{"user":"u"},"version":1,"transitions":[]}
blocks /v1/blocks/welcome_one/transition 400 {"subject":{"user":"u"},"version":1,"transitions":["a","a"]}
blocks /v1/blocks/nope/transition 404 {"subject":{"user":"u"},"version":1,"transitions":["a"]}
users /v1/identify 400 [{"identifier":"u"},["u",{}]]
users /v1/identify 400 {"identifier":"u","groups":[["g",{}]]}
users /v1/identify 400 {"identifier":".."}
blocks /v1/evaluate 400 {"subject":["u"],"flows":{"welcome":1}}
blocks /v1/evaluate 400 [{"user":"u"},null,{"welcome":1},false,[]]
blocks /v1/nothing 404 {}
"#;

#[tokio::test]
async fn every_misuse_is_a_problem_document() {
    let edge = Harness::start();
    for line in MISUSES.trim().lines() {
        let mut words = line.splitn(4, ' ');
        let mut word = || words.next().expect("four words");
        let (key, path, status, body) = (word(), word(), word(), word());
        let key = match key {
            "blocks" => BLOCKS,
            "users" => USERS,
            "elsewhere" => ELSEWHERE,
            other => other,
        };
        let reply = edge.ask("POST", path, &[("x-api-key", key)], body).await;
        assert_eq!(reply.status.to_string(), status, "{line}: {reply:?}");
        assert_eq!(
            reply.header("content-type"),
            Some("application/problem+json")
        );
        let problem = reply.json();
        assert_eq!(problem["status"].to_string(), status);
        assert!(problem["title"].is_string() && problem["detail"].is_string());
    }
    let long = json!({"subject": {"user": "x".repeat(513)}, "flows": {"a": 1}});
    assert_eq!(edge.post(BLOCKS, "/v1/evaluate", &long).await.status, 400);
    let large = edge
        .post(SERVER, "/v1/evaluate", &json!({"x": "y".repeat(70_000)}))
        .await;
    assert_eq!(large.status, 413);
    let deep = format!("{}{}", "[".repeat(40), "]".repeat(40));
    let deep = edge
        .ask("POST", "/v1/evaluate", &[("x-api-key", SERVER)], &deep)
        .await;
    assert_eq!(deep.status, 400);
    assert!(deep.json()["detail"].to_string().contains("16 levels"));
}
