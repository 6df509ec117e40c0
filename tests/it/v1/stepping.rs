//! What do intents and transitions of `/v1` answer, and what does a repeat do?

use serde_json::{Value, json};

use super::{Desk, check_revision, check_token, keyed};
use crate::harness::{Client, body_of, check_block, check_problem, eventually};

/// The state as a short text, of an answer that is checked.
#[track_caller]
fn stepped(client: &Client, path: &str, body: &Value) -> (bool, String, Value) {
    let answer = body_of(&client.post(path, body), 200);
    check_answer(&answer);
    let state = &answer["flow"]["state"];
    let flags = ["started", "stopped", "finished"];
    let set: Vec<&str> = flags.into_iter().filter(|f| state[*f] == true).collect();
    (
        answer["changed"] == true,
        set.join("+"),
        answer["blocks"].clone(),
    )
}

#[track_caller]
fn check_answer(answer: &Value) {
    check_revision(answer);
    assert!(answer["changed"].is_boolean(), "{answer}");
    if answer["changed"] == true {
        check_token(answer);
    }
    let flow = &answer["flow"];
    assert!(
        flow["sid"].is_string() && flow["version"].is_u64(),
        "{answer}"
    );
    for flag in ["started", "stopped", "finished"] {
        assert!(flow["state"][flag].is_boolean(), "{answer}");
    }
    let blocks = answer["blocks"].as_array();
    for block in blocks.unwrap_or_else(|| panic!("blocks of {answer}")) {
        check_block(block);
    }
}

#[test]
fn intents_tell_the_new_state_and_what_changed() {
    let desk = Desk::open();
    let body = json!({"subject": {"user": "ada"}, "version": 1});
    let take = |intent: &str| {
        let path = format!("/v1/flows/plain/{intent}");
        stepped(&desk.server, &path, &body)
    };
    let count = |blocks: &Value| blocks.as_array().map(Vec::len);
    let (changed, state, blocks) = take("stop");
    assert_eq!(
        (changed, state.as_str(), count(&blocks)),
        (false, "", Some(0))
    );
    let (changed, state, blocks) = take("start");
    assert_eq!((changed, state.as_str()), (true, "started"));
    assert_eq!(count(&blocks), Some(1), "only what changed: {blocks}");
    assert_eq!(blocks[0]["sid"], "plain.one");
    assert_eq!(blocks[0]["state"]["active"], true);
    let (changed, _, blocks) = take("start");
    assert_eq!((changed, count(&blocks)), (false, Some(0)));
    let (changed, state, blocks) = take("stop");
    assert_eq!((changed, state.as_str()), (true, "started+stopped"));
    assert_eq!(blocks[0]["state"]["active"], false, "{blocks}");
    let (_, state, _) = take("finish");
    assert_eq!(state, "started+finished");
    let (changed, state, _) = take("reset");
    assert_eq!((changed, state.as_str()), (true, "started"));
    // `latest` is resolved, a disabled and an empty flow do nothing.
    for (flow, version) in [("plain", 2), ("off", 1), ("welcome-modal", 0)] {
        let body = json!({"subject": {"user": "bea"}, "version": "latest"});
        let path = format!("/v1/flows/{flow}/start");
        let answer = body_of(&desk.server.post(&path, &body), 200);
        check_answer(&answer);
        assert_eq!(answer["flow"]["version"], version, "{answer}");
        assert_eq!(answer["changed"], flow == "plain", "{answer}");
    }
}

#[test]
fn a_transition_tells_every_block_that_looks_different() {
    let desk = Desk::open();
    let uid = desk.uid("plain", "one");
    let subject = json!({"user": "ada"});
    let body = json!({"subject": subject, "version": 1});
    stepped(&desk.blocks, "/v1/flows/plain/start", &body);
    let path = format!("/v1/blocks/{uid}/transition");
    let body = json!({"subject": subject, "version": 1, "transitions": ["go"]});
    let (changed, _, blocks) = stepped(&desk.blocks, &path, &body);
    assert!(changed);
    let sids: Vec<&str> = blocks
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|block| block["sid"].as_str())
        .collect();
    assert_eq!(sids, ["plain.one", "plain.two"]);
    assert_eq!(
        blocks[0]["transitioned"],
        json!({"go": true, "stay": false})
    );
    let (changed, _, blocks) = stepped(&desk.blocks, &path, &body);
    assert!(!changed, "no longer active: {blocks}");
}

#[test]
fn a_repeat_with_its_key_does_nothing_and_another_body_is_a_conflict() {
    let desk = Desk::open();
    let uid = desk.uid("plain", "one");
    let subject = json!({"user": "ada"});
    let body = json!({"subject": subject, "version": 1});
    let start = keyed(&desk.server, "/v1/flows/plain/start", "k-start", &body);
    assert_eq!(body_of(&start, 200)["changed"], true);
    // A block that stays active: only the key keeps a repeat from counting.
    let path = format!("/v1/blocks/{uid}/transition");
    let stay = json!({"subject": subject, "version": 1, "transitions": ["stay"]});
    let first = body_of(&keyed(&desk.server, &path, "k-1", &stay), 200);
    assert_eq!(first["changed"], true, "{first}");
    let repeat = body_of(&keyed(&desk.server, &path, "k-1", &stay), 200);
    assert_eq!(repeat["changed"], false, "{repeat}");
    assert_eq!(repeat["flow"]["state"]["started"], true, "{repeat}");
    let go = json!({"subject": subject, "version": 1, "transitions": ["go"]});
    let conflict = keyed(&desk.server, &path, "k-1", &go);
    check_problem(&conflict, 409, "idempotency-key-reused");
    let conflict = keyed(&desk.server, "/v1/flows/plain/reset", "k-1", &body);
    check_problem(&conflict, 409, "idempotency-key-reused");
    // Another user's keys are their own.
    let bea = json!({"subject": {"user": "bea"}, "version": 1});
    let start = keyed(&desk.server, "/v1/flows/plain/start", "k-start", &bea);
    assert_eq!(body_of(&start, 200)["changed"], true);
    // Exactly the two steps of Ada's reached the ledger.
    let store = desk.dev.store();
    let document = eventually("two records are applied", || {
        let answer = store.get("/admin/v1/users/ada?environment=development");
        let document = body_of(&answer, 200);
        (document["doc_rev"].as_u64() >= Some(2)).then_some(document)
    });
    assert_eq!(document["doc_rev"], 2, "{document}");
}

#[test]
fn an_identify_is_repeated_by_its_key() {
    let desk = Desk::open();
    let first = json!({"identifier": "ada", "properties": {"seats": 1}});
    let other = json!({"identifier": "ada", "properties": {"seats": 2}});
    let answer = keyed(&desk.server, "/v1/identify", "i-1", &first);
    check_token(&body_of(&answer, 200));
    assert_eq!(
        keyed(&desk.server, "/v1/identify", "i-1", &first).status,
        200
    );
    let conflict = keyed(&desk.server, "/v1/identify", "i-1", &other);
    check_problem(&conflict, 409, "idempotency-key-reused");
    desk.identify(&other);
    // A late repeat of the first does not bring the old value back.
    assert_eq!(
        keyed(&desk.server, "/v1/identify", "i-1", &first).status,
        200
    );
    let store = desk.dev.store();
    let document = eventually("both are applied", || {
        let answer = store.get("/admin/v1/users/ada?environment=development");
        let document = body_of(&answer, 200);
        (document["doc_rev"].as_u64() >= Some(2)).then_some(document)
    });
    assert_eq!(document["properties"]["seats"], 2, "{document}");
    assert_eq!(document["doc_rev"], 2, "{document}");
}

#[test]
fn a_list_of_users_is_identified_at_once_and_repeated_by_its_key() {
    let desk = Desk::open();
    let batch = json!([
        {"identifier": "ada", "properties": {"seats": 1}},
        {"identifier": "bea", "groups": [{"identifier": "acme", "properties": {"size": 3}}]},
        {"identifier": "ada", "properties": {"seats": 2, "plan": "pro"}},
    ]);
    for _ in 0..2 {
        let answer = body_of(&keyed(&desk.server, "/v1/identify", "b-1", &batch), 200);
        assert_eq!(answer["count"], 3, "{answer}");
        check_token(&answer);
    }
    let other = json!([{"identifier": "ada", "properties": {"seats": 9}}]);
    let conflict = keyed(&desk.server, "/v1/identify", "b-1", &other);
    assert_eq!(conflict.status, 409, "{}", conflict.text);
    let store = desk.dev.store();
    let document = eventually("all of it is applied", || {
        let answer = store.get("/admin/v1/users/ada?environment=development");
        let document = body_of(&answer, 200);
        (document["doc_rev"].as_u64() >= Some(2)).then_some(document)
    });
    assert_eq!(document["doc_rev"], 2, "each item once: {document}");
    assert_eq!(document["properties"]["seats"], 2, "{document}");
    let nothing = body_of(&desk.server.post("/v1/identify", &json!([])), 200);
    assert_eq!(nothing["count"], 0, "{nothing}");
}

#[test]
fn force_is_refused_by_name_where_a_flow_takes_none() {
    let desk = Desk::open();
    let body = json!({"subject": {"user": "ada"}, "version": 1, "force": true});
    let refused = desk.blocks.post("/v1/flows/guarded/start", &body);
    check_problem(&refused, 403, "force");
    let (changed, state, _) = stepped(&desk.server, "/v1/flows/guarded/start", &body);
    assert_eq!((changed, state.as_str()), (true, "started"));
    let problem = check_problem(
        &desk.server.post("/v1/flows/guarded/stop", &body),
        400,
        "invalid-value",
    );
    assert_eq!(problem["found"], "force with stop");
    assert_eq!(problem["expected"], "force only with start and reset");
}
